//! Transformer layers: model files, shapes, names, first weights, and what is refused.

use crate::adapter;
use wgrad::device::Device;
use wgrad::device::cpu::Executor;
use wgrad::ir::graph::{Graph, TensorInfo};
use wgrad::ir::values::Values;
use wgrad::model::init::glorot_uniform;
use wgrad::model::layers::{Embedding, LayerNorm, Positions, Tokens, Transformer};
use wgrad::model::{Model, Sequential};
use wgrad::ops::attention::rotary::{Rates, Rotary, table};
use wgrad::train::step::Step;
use wgrad::verify::models;

const FILE: &str = r#"input = { tokens = 6 }
[[layers]]
type = "embedding"
size = 8
positions = "learned"
[[layers]]
type = "transformer"
heads = 4
hidden = 12
kv_heads = 2
repeat = 2
name = "read"
[[layers]]
type = "input"
[[layers]]
type = "embedding"
size = 8
positions = "learned"
[[layers]]
type = "transformer"
heads = 2
hidden = 12
bias = false
causal = true
memory = "read"
[[layers]]
type = "dense"
units = "vocabulary"
"#;

#[test]
fn a_model_file_is_written_as_it_was_read() {
    let model = Model::from_toml(FILE, "net.toml", "net").unwrap();
    assert_eq!(model.layers.len(), 7);
    assert!(model.translates());
    assert_eq!(model.layers[5].from, [2], "the last of those that repeat");
    let written = model.to_toml();
    assert!(written.contains("memory = \"layer 2\"") && written.contains("context = 7"), "{written}");
    let again = Model::from_toml(&written, "net.toml", "net").unwrap();
    assert_eq!(again.layers, model.layers);
    assert_eq!(again.to_toml(), written);
}

#[test]
fn parameters_have_pytorchs_names_and_shapes() {
    let model = Model::from_toml(FILE, "net.toml", "net").unwrap();
    let params = model.params().unwrap();
    let found: Vec<(&str, &[usize])> = params.iter().map(|p| (&*p.name, &p.file_shape[..])).collect();
    let of = |layer: &str| found.iter().filter(|(name, _)| name.starts_with(layer)).copied().collect::<Vec<_>>();
    assert_eq!(of("0."), [("0.weight", &[256, 8][..]), ("0.positions", &[6, 8])]);
    // Four heads of queries and two of keys and of values, two numbers each.
    let block: [(&str, &[usize]); 12] = [
        ("1.self_attn.in_proj_weight", &[16, 8]),
        ("1.self_attn.in_proj_bias", &[16]),
        ("1.self_attn.out_proj.weight", &[8, 8]),
        ("1.self_attn.out_proj.bias", &[8]),
        ("1.linear1.weight", &[12, 8]),
        ("1.linear1.bias", &[12]),
        ("1.linear2.weight", &[8, 12]),
        ("1.linear2.bias", &[8]),
        ("1.norm1.weight", &[8]),
        ("1.norm1.bias", &[8]),
        ("1.norm2.weight", &[8]),
        ("1.norm2.bias", &[8]),
    ];
    assert_eq!(of("1."), block);
    let names: Vec<&str> = of("5.").into_iter().map(|(name, _)| name).collect();
    let expected = [
        "self_attn.in_proj_weight",
        "self_attn.out_proj.weight",
        "multihead_attn.in_proj_weight",
        "multihead_attn.out_proj.weight",
        "linear1.weight",
        "linear2.weight",
        "norm1.weight",
        "norm2.weight",
        "norm3.weight",
    ];
    assert_eq!(names, expected.map(|name| format!("5.{name}")));
}

/// Standard deviations of GPT-2's first weights, each within five deviations of its estimate.
#[test]
fn first_weights_are_gpt2s() {
    let model = Model::without_data("gpt-mini").unwrap();
    let weights = glorot_uniform(&model, 1).unwrap();
    assert_eq!(weights.tensors.iter().map(|tensor| tensor.values.len()).sum::<usize>(), 804_096);
    for tensor in weights.tensors.iter().filter(|tensor| tensor.shape.len() > 1) {
        let ends = tensor.name.ends_with("out_proj.weight") || tensor.name.ends_with("linear2.weight");
        let expected = if ends { 0.02 / 8f64.sqrt() } else { 0.02 };
        let n = tensor.values.len() as f64;
        let found = (tensor.values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / n).sqrt();
        assert!((found / expected - 1.0).abs() < 5.0 / (2.0 * n).sqrt(), "{}: {found}, not {expected}", tensor.name);
    }
}

/// What swaps places and features is no flatten, which a dense layer would have in its weights.
#[test]
fn a_dense_layer_mixes_the_places_of_a_sequence() {
    let net = Sequential::new([4, 2, 3]).tokens().transpose().dense(5).transpose().dense(4).mean_pool().dense(2);
    let model = net.build().unwrap();
    assert_eq!(model.params().unwrap()[1].file_shape, [5, 8]);
    let graph = Step::evaluation(&model, 9, 3).unwrap().graph;
    glorot_uniform(&model, 3).unwrap().to_graph(&graph).unwrap();
    for device in [adapter::device(), Device::cpu(1).unwrap()] {
        let report = models::check(&device, &model, false).unwrap();
        assert_eq!(report.verdict, "pass", "{report:?}");
    }
}

#[test]
fn a_part_of_a_model_can_be_frozen_by_name() {
    let mut graph = wgrad::ir::graph::Graph::new();
    let model = Model::without_data("vit-mini").unwrap();
    let x = graph.tensor(wgrad::ir::graph::TensorInfo::floats("x", [1, 28, 28, 1]));
    model.build(&mut graph, x, wgrad::model::Build::INFERENCE).unwrap();
    graph.freeze(&["2".into(), "3.self_attn".into()]).unwrap();
    let frozen: Vec<&str> = graph.params.iter().filter(|p| p.frozen).map(|p| &*p.name).collect();
    assert_eq!(frozen.len(), 16, "{frozen:?}");
    assert!(frozen.contains(&"2.norm2.bias") && frozen.contains(&"3.self_attn.out_proj.bias"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let error = |text: &str| Model::from_toml(text, "net.toml", "net").unwrap_err().to_string();
    for (change, expected) in [
        (("heads = 4", "heads = 3"), "found 8 features and heads = 3, expected features in multiples of it"),
        (("kv_heads = 2", "kv_heads = 3"), "found kv_heads = 3 and heads = 4, expected a divisor of it"),
        (("memory = \"read\"", "memory = \"rad\""), "did you mean 'read'?"),
        (("memory = \"read\"", "memory = true"), "expected the name of an earlier layer"),
        (("memory = \"read\"", "memory = \"read\"\nfrom = \"read\""), "found unknown key from"),
        (("repeat = 2", "repeat = 0"), "found repeat = 0, expected a whole number from 1 to 1000"),
        (("repeat = 2", "repeat = 100000000"), "expected a whole number from 1 to 1000"),
        (("positions = \"learned\"", "positions = \"rotary\""), "expected \"none\", \"learned\" or \"sinusoidal\""),
        (("positions = \"learned\"", "positions = \"learned\"\ncontext = 3"), "found 6 places, expected at most 3"),
    ] {
        let found = error(&FILE.replace(change.0, change.1));
        assert!(found.contains(expected), "{change:?}: {found}");
    }
    let wide = Sequential::text(4).embedding(9, 258).layer(Transformer::new(2usize, 4usize)).mean_pool().dense(2);
    assert!(wide.build().unwrap_err().to_string().contains("heads of 129 numbers, expected at most 128"));
    let image = Sequential::new([4, 4, 3]).layer(Transformer::new(1usize, 4usize)).flatten().dense(2);
    assert!(image.build().unwrap_err().to_string().contains("expected a sequence [places, features]"));
    let flat = Sequential::new([8]).layer(Tokens::new()).dense(2);
    assert!(flat.build().unwrap_err().to_string().contains("expected an image"));
}

/// A norm without a bias has one parameter; one of a sequence is that of each place.
#[test]
fn a_norm_may_have_no_bias() {
    let model = Sequential::text(4).embedding(9, 6).layer(LayerNorm { bias: false, ..LayerNorm::new() }).dense(9);
    let names: Vec<String> = model.build().unwrap().params().unwrap().into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["0.weight", "1.weight", "2.weight", "2.bias"]);
}

/// Llama's formula by hand, and what it is for: products depend on the distance alone.
#[test]
fn products_depend_on_the_distance() {
    let (size, places) = (8, 30);
    let by_hand = |values: &[f64], place: usize| -> Vec<f64> {
        let angle = |i: usize| place as f64 / 10_000f64.powf(2.0 * (i % 4) as f64 / 8.0);
        let partner = |i: usize| if i < 4 { -values[i + 4] } else { values[i - 4] };
        (0..size).map(|i| values[i] * angle(i).cos() + partner(i) * angle(i).sin()).collect()
    };
    let [q, k] = [1.0, 7.0].map(|seed: f64| (0..size).map(|i| (seed * (i as f64 + 0.3)).sin()).collect::<Vec<f64>>());
    let mut graph = Graph::new();
    let x = graph.tensor(TensorInfo::floats("x", [1, places, 2 * size]));
    let angles = graph.tensor(TensorInfo::floats("table", [places, size]));
    let y = graph.apply(Rotary { heads: 2, back: false }, &[x, angles]).unwrap()[0];
    let mut executor = Executor::<f64>::new(graph, false).unwrap();
    executor.set(x, Values::Float((0..places).flat_map(|_| [&q[..], &k].concat()).collect())).unwrap();
    executor
        .set(angles, Values::Float(table(places, size, Rates::new(1e4)).into_iter().map(f64::from).collect()))
        .unwrap();
    executor.step();
    let Values::Float(y) = executor.get(y) else { unreachable!() };
    let row = |place: usize| y[place * 2 * size..][..2 * size].split_at(size);
    let product = |a: usize, b: usize| row(a).0.iter().zip(row(b).1).map(|(a, b)| a * b).sum::<f64>();
    // Angles and their cosines are single precision.
    let tolerance = 8.0 * places as f64 * f64::from(f32::EPSILON);
    for place in [0, 1, 29] {
        let expected = [by_hand(&q, place), by_hand(&k, place)].concat();
        let found = [row(place).0, row(place).1].concat();
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < tolerance), "{place}: {found:?}");
    }
    assert!((product(20, 13) - product(9, 2)).abs() < tolerance);
    assert!((product(20, 13) - product(9, 3)).abs() > 0.01, "another distance is another product");
}

/// A text shorter than the learned positions: it takes the first of them.
#[test]
fn a_text_shorter_than_the_positions_trains() {
    let embedding = Embedding { tokens: 7, positions: Positions::Learned, context: 9, ..Embedding::new(8usize) };
    let block = Transformer::new(2usize, 12usize);
    let model = Sequential::text(5).layer(embedding).blocks(block, 1).dense(7usize).build().unwrap();
    assert_eq!(model.params().unwrap()[1].file_shape, [9, 8]);
    for device in [adapter::device(), Device::cpu(2).unwrap()] {
        let report = models::check(&device, &model, false).unwrap();
        assert_eq!((report.verdict, report.failed), ("pass", None), "{}", device.name());
    }
}
