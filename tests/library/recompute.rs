//! Recomputed activations: the same bytes from less memory, on the native CPU and on an adapter.

use crate::adapter;
use crate::plans::{BATCH, preset, target};
use wgrad::device::Device;
use wgrad::device::executor::Build;
use wgrad::ir::graph::Role;
use wgrad::ir::launch::KernelClass;
use wgrad::ir::values::Values;
use wgrad::model::init::glorot_uniform;
use wgrad::model::layers::Transformer;
use wgrad::model::{Model, Sequential};
use wgrad::plan::lower::lower;
use wgrad::train::settings::options::TrainOptions;
use wgrad::train::step::Step;

const ROWS: usize = 4;
const STEPS: u32 = 3;

/// Nets of many layers: dropout, running statistics, branches that meet, states, views.
fn nets() -> Vec<(&'static str, Model)> {
    let block = Transformer { causal: true, dropout: 0.2, ..Transformer::new(2usize, 16usize) };
    let text = Sequential::text(8).embedding_with_positions(6, 16).dropout(0.1).blocks(block, 6).layer_norm().dense(6);
    let mut image = Sequential::new([12, 12, 1]).conv2d(4, 3).batch_norm().relu();
    for n in 0..6 {
        image = image.named(format!("skip{n}")).conv2d_with(4, 3, 1, wgrad::ops::conv::geometry::Padding::Same);
        image = image.batch_norm().relu().dropout(0.2).add_from(&format!("skip{n}"));
    }
    let mut states = Sequential::text(8).embedding(6, 8);
    for _ in 0..4 {
        states = states.gru(8, 1);
    }
    [("text", text), ("image", image.max_pool2d(2).flatten().dense(5)), ("states", states.dense(6))]
        .map(|(name, net)| (name, net.build().unwrap()))
        .into()
}

fn step(model: &Model, recompute: bool) -> Step {
    let options = TrainOptions { batch_size: ROWS, recompute, ..TrainOptions::default() };
    Step::training(model, 2 * ROWS, &options).unwrap()
}

/// The bits of all weights after some steps, and the memory that they took.
fn trained(device: &Device, model: &Model, recompute: bool) -> (Vec<u32>, u64) {
    let step = step(model, recompute);
    let graph = &step.graph;
    let mut executor = device.executor(graph, Build { reuse: true, ..Build::default() }).unwrap();
    for column in &step.columns {
        let bytes = graph.info(column.tensor).elements();
        executor.write(column.tensor, &Values::Byte((0..bytes).map(|i| (i * i % 11 % 4) as u8).collect())).unwrap();
    }
    for (t, values) in glorot_uniform(model, 3).unwrap().to_graph(graph).unwrap() {
        executor.write(t, &Values::Float(values)).unwrap();
    }
    let options = TrainOptions::default();
    let control = step.start(1, options.rate(), options.optimizer().betas());
    executor.write(step.control, &Values::Word(control.words())).unwrap();
    executor.submit(STEPS).unwrap();
    match pollster::block_on(executor.read(step.params)).unwrap() {
        Values::Float(params) => (params.into_iter().map(f32::to_bits).collect(), executor.bytes()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_bytes_take_less_memory() {
    for device in [Device::cpu(1).unwrap(), adapter::device()] {
        for (name, model) in nets() {
            let [(kept, most), (recomputed, least)] = [false, true].map(|again| trained(&device, &model, again));
            assert!(kept.iter().any(|&bits| bits != kept[0]) && kept == recomputed, "{name}");
            assert!(least < most, "{name}: {least} bytes instead of {most}");
        }
    }
}

/// What is not kept is computed twice, and nothing else; the optimizer and the running statistics are as they were.
#[test]
fn each_op_runs_twice_at_most() {
    for (name, model) in nets() {
        let [kept, recomputed] = [false, true].map(|again| step(&model, again).graph);
        let forward = kept.nodes.iter().position(|node| node.op.name().ends_with("_dx")).unwrap();
        let added = recomputed.nodes.len() - kept.nodes.len();
        assert!(added > 0 && added < forward, "{name}: {added} of {forward} ops run again");
        let updates = |graph: &wgrad::ir::graph::Graph| {
            let updates = graph.nodes.iter().filter(|node| node.phase == wgrad::ir::graph::Phase::Update);
            updates.map(|node| format!("{:?}", node.op)).collect::<Vec<_>>()
        };
        assert_eq!(updates(&kept), updates(&recomputed), "{name}");
    }
}

/// The activations of a deep net that are left, in hundredths, and the ops that run again: of a net of n equal layers about
/// 2·√n of n.
#[test]
fn deep_presets_keep_a_part() {
    for (name, most) in [("gpt-char", 45), ("resnet50", 55)] {
        let model = preset(name);
        let activations = |recompute: bool| {
            let options = TrainOptions { batch_size: BATCH / 16, recompute, ..TrainOptions::default() };
            let step = Step::training(&model, BATCH / 16, &options).unwrap();
            lower(&step.graph, target(KernelClass::Tile)).unwrap().bytes(Role::Activation)
        };
        let [kept, left] = [false, true].map(activations);
        assert!(left * 100 < kept * most, "{name}: {left} of {kept}");
    }
}
