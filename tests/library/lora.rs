//! Low-rank adapters: what they change, what stays, and that merged weights give the same.

use crate::adapter;
use wgrad::device::Device;
use wgrad::device::cpu::Executor;
use wgrad::ir::graph::{Graph, Role, TensorInfo};
use wgrad::ir::values::Values;
use wgrad::model::init::glorot_uniform;
use wgrad::model::layers::Transformer;
use wgrad::model::lora::Lora;
use wgrad::model::{Build, Model, Sequential, Weights};
use wgrad::step::control::Control;
use wgrad::train::predict::TrainedModel;
use wgrad::train::settings::options::TrainOptions;
use wgrad::train::step::Step;
use wgrad::verify::models;

const TOKENS: usize = 7;
const PLACES: usize = 5;

fn net() -> Model {
    let block = Transformer { causal: true, ..Transformer::new(2usize, 10usize) };
    let net = Sequential::text(PLACES).embedding_with_positions(TOKENS, 8).blocks(block, 2).layer_norm().dense(TOKENS);
    net.build().unwrap()
}

fn adapted(rank: usize, on: &[&str]) -> Model {
    net().with_lora(rank, &on.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
}

/// The logits of a forward pass.
fn logits(model: &Model, weights: &Weights) -> Vec<f32> {
    let mut graph = Graph::new();
    let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]).role(Role::Control));
    let x = graph.tensor(TensorInfo::words("x", [2, PLACES]).role(Role::Control));
    let y = model.build(&mut graph, x, Build::inference(control)).unwrap();
    let params = weights.to_graph(&graph).unwrap();
    let mut executor = Executor::<f32>::new(graph, true).unwrap();
    params.into_iter().for_each(|(t, values)| executor.set(t, Values::Float(values)).unwrap());
    executor.set(x, Values::Word((0..2 * PLACES as u32).map(|n| n * 3 % TOKENS as u32).collect())).unwrap();
    executor.step();
    match executor.get(y) {
        Values::Float(y) => y,
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_choose_the_weights_that_are_adapted() {
    let on = |model: Model| model.lora.unwrap().on;
    let qkv = ["1.self_attn.in_proj_weight", "2.self_attn.in_proj_weight"];
    assert_eq!(on(adapted(2, &[])), qkv);
    assert_eq!(on(adapted(2, &["2"])).len(), 4);
    assert_eq!(on(adapted(2, &["self_attn"])).len(), 4);
    assert_eq!(on(adapted(2, &["1.linear1", "4"])), ["1.linear1.weight", "4.weight"]);
    let refused = |rank, on: &str| net().with_lora(rank, &[on.to_string()]).unwrap_err().to_string();
    assert!(refused(2, "self_atn").contains("self_attn"), "{}", refused(2, "self_atn"));
    assert!(refused(2, "norm1").contains("lora-on"), "norms are no products");
    assert!(refused(9, "linear1").contains("found rank 9, expected 1 to 8"));
    assert!(refused(0, "linear1").contains("found rank 0"));
    assert!(adapted(2, &[]).with_lora(2, &[]).unwrap_err().to_string().contains("adapters already"));
}

/// B begins as zeros; with other values the logits change, and merging does not change them.
#[test]
fn merged_weights_give_what_adapters_gave() {
    let model = adapted(3, &["self_attn", "linear1", "linear2", "4"]);
    let mut weights = glorot_uniform(&model, 5).unwrap();
    let base: Vec<_> = weights.tensors.iter().filter(|t| !t.name.contains(".lora_")).cloned().collect();
    let plain = logits(&net(), &Weights::new(base));
    assert_eq!(logits(&model, &weights), plain, "adapters begin as what changes nothing");
    for tensor in weights.tensors.iter_mut().filter(|tensor| tensor.name.ends_with("lora_B")) {
        tensor.values.iter_mut().enumerate().for_each(|(n, value)| *value = (n as f32 * 0.7).sin() * 0.1);
    }
    let found = logits(&model, &weights);
    let furthest = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(furthest(&found, &plain) > 0.05);
    let merged = TrainedModel { model: model.clone(), weights }.merged().unwrap();
    assert_eq!((&merged.model, merged.weights.tensors.len()), (&net(), net().params().unwrap().len()));
    // Sums of at most ten numbers of about 1, through two blocks.
    assert!(furthest(&found, &logits(&merged.model, &merged.weights)) < 1e-5);
    // The model's description has its adapters.
    assert_eq!(Model::from_json(&model.to_json().unwrap()).unwrap(), model);
}

#[test]
fn adapters_alone_are_trained() {
    let model = adapted(2, &["linear1"]);
    let options = TrainOptions { batch_size: 2, ..TrainOptions::default() };
    let step = Step::training(&model, 8, &options).unwrap();
    let trained: Vec<&str> = step.graph.trained_params().map(|(param, _)| &*param.name).collect();
    let expected: Vec<String> =
        ["1.linear1.weight", "2.linear1.weight"].iter().flat_map(|weight| Lora::names(weight)).collect();
    assert_eq!(trained, expected);
    // Their gradients, through everything that is frozen.
    for device in [adapter::device(), Device::cpu(2).unwrap()] {
        let report = models::check(&device, &model, false).unwrap();
        assert_eq!((report.verdict, report.failed), ("pass", None), "{}", device.name());
    }
}
