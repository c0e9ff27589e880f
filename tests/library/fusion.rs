//! Fusion of neighbouring ops: which ones are fused, and that the result has exactly the same numbers.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use wgrad::device::cpu::Executor;
use wgrad::ir::case::unit;
use wgrad::ir::graph::{Graph, Tensor, TensorInfo};
use wgrad::ir::values::Values;
use wgrad::model::formats::weights::{to_file, to_memory};
use wgrad::model::{Build, Model, Sequential};
use wgrad::ops::loss::softmax_ce::SoftmaxCe;
use wgrad::ops::pointwise::activation::{Activation, Function};
use wgrad::plan::fuse::{Stage, join_neighbours};
use wgrad::step::control::Control;
use wgrad::train::settings::options::TrainOptions;
use wgrad::train::step::Step;

const BATCH: usize = 4;
const INPUT: [usize; 3] = [6, 5, 4];

/// Each op that an activation joins, as a net's beginning; the net is flat then, or not.
type Beginning = (bool, fn(Sequential) -> Sequential);
const BEGINNINGS: [Beginning; 5] = [
    (true, |net| net.flatten().dense(5)),
    (false, |net| net.conv2d(5, 3)),
    (false, |net| net.depthwise_conv2d(3)),
    (false, |net| net.conv_transpose2d(3, 2)),
    (false, |net| net.batch_norm()),
];

fn finish(net: Sequential, flat: bool) -> Model {
    let net = if flat { net } else { net.flatten() };
    net.dense(3).build().unwrap()
}

/// A net for each of these ops before each activation.
fn nets() -> Vec<(Option<Function>, Model)> {
    let functions = Function::ALL.iter().copied().map(Some).chain([None]);
    let with = |function: Option<Function>| {
        BEGINNINGS.map(|(flat, begin)| {
            let net = begin(Sequential::new(INPUT));
            (function, finish(function.map_or_else(|| net.clone().relu(), |f| net.clone().activation(f)), flat))
        })
    };
    functions.flat_map(with).collect()
}

/// Of the activations' own ops, how many are left in a graph.
fn left(graph: &Graph) -> usize {
    graph.nodes.iter().filter(|node| ["activation", "relu"].contains(&node.op.name())).count()
}

/// In evaluation every activation joins the op before it. In training those do whose gradient can be computed from their
/// result; the others keep the argument, which their gradient reads.
#[test]
fn an_activation_joins_the_op_before_it() {
    for (function, model) in nets() {
        let evaluation = Step::evaluation(&model, 8, BATCH).unwrap().graph;
        assert_eq!(left(&evaluation), 0, "{evaluation}");
        let options = TrainOptions { batch_size: BATCH, ..TrainOptions::default() };
        let training = Step::training(&model, 8, &options).unwrap().graph;
        let by_result =
            function.is_none_or(|function| Activation { function, slope: function.slope().unwrap_or(0.0) }.by_result());
        assert_eq!(left(&training), usize::from(!by_result), "{training}");
    }
    let by_result = Function::ALL.iter().filter(|&&function| Activation { function, slope: 0.1 }.by_result());
    let expected = [Function::Sigmoid, Function::Tanh, Function::LeakyRelu, Function::Relu6];
    assert_eq!(by_result.copied().collect::<Vec<_>>(), expected);
    assert!(!Activation { function: Function::LeakyRelu, slope: -0.1 }.by_result());
}

/// In evaluation a batch normalisation joins the convolution before it, and what follows joins both.
#[test]
fn a_normalisation_by_given_statistics_joins_a_convolution() {
    let model = finish(Sequential::new(INPUT).conv2d(4, 3).batch_norm().relu(), false);
    let names = |graph: &Graph| graph.nodes.iter().map(|node| node.op.name()).collect::<Vec<_>>().join(" ");
    let evaluation = Step::evaluation(&model, 8, BATCH).unwrap().graph;
    assert!(!names(&evaluation).contains("norm") && left(&evaluation) == 0, "{evaluation}");
    let options = TrainOptions { batch_size: BATCH, ..TrainOptions::default() };
    let training = Step::training(&model, 8, &options).unwrap().graph;
    assert!(names(&training).contains("conv2d batch_norm ") && left(&training) == 0, "{training}");
}

/// The logits of a model, and in training the gradients of all parameters in their files' order, as bits: on the native CPU
/// in single precision.
fn results(model: &Model, training: bool, fused: bool) -> Vec<Vec<u32>> {
    let mut graph = Graph::new();
    let x = graph.tensor(TensorInfo::floats("x", [BATCH, INPUT[0], INPUT[1], INPUT[2]]));
    let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]));
    let labels = graph.tensor(TensorInfo::words("labels", [BATCH]));
    let build = if training { Build::training(control) } else { Build::INFERENCE };
    let logits = model.build(&mut graph, x, build).unwrap();
    if fused {
        // Not all of `fuse`: weights in another order would be summed in another order.
        join_neighbours(&mut graph, &[logits], if training { Stage::Forward } else { Stage::Whole });
    }
    if training {
        let loss = graph.apply(SoftmaxCe::default(), &[control, logits, labels]).unwrap()[0];
        graph.backward(loss).unwrap();
        if fused {
            join_neighbours(&mut graph, &[logits], Stage::Whole);
        }
    }
    let mut executor = Executor::<f32>::new(graph.clone(), true).unwrap();
    let block = Control { valid: BATCH as u32, samples: BATCH as u32, ..Control::default() };
    executor.set(control, Values::Word(block.words())).unwrap();
    executor.set(labels, Values::Word((0..BATCH as u32).map(|b| b % 3).collect())).unwrap();
    let random = |seed: u64, t: Tensor| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..graph.info(t).elements()).map(|_| unit(&mut rng)).collect::<Vec<f32>>()
    };
    executor.set(x, Values::Float(random(0, x))).unwrap();
    for (seed, param) in (1..).zip(&graph.params) {
        let mut values = random(seed, param.tensor);
        if param.name.ends_with("running_var") {
            values.iter_mut().for_each(|v| *v = v.abs() + 0.1);
        }
        executor.set(param.tensor, Values::Float(to_memory(&param.layout, &values).unwrap())).unwrap();
    }
    executor.step();
    let floats = |t: Tensor| match executor.get(t) {
        Values::Float(values) => values,
        other => panic!("{other:?}"),
    };
    let grads = graph.params.iter().filter_map(|p| Some(to_file(&p.layout, &floats(p.grad?)).unwrap()));
    let all = std::iter::once(floats(logits)).chain(grads);
    all.map(|values| values.iter().map(|v| v.to_bits()).collect()).collect()
}

#[test]
fn what_is_joined_gives_the_same_bytes() {
    // Few input channels and many have forms of their own.
    let normed = [(4, 3), (4, 1), (40, 3)].map(|(filters, kernel)| {
        let net = Sequential::new(INPUT).conv2d(filters, 3);
        (None, finish(net.conv2d(7, kernel).batch_norm().relu().conv2d(5, 1).batch_norm(), false))
    });
    for (_, model) in nets().into_iter().chain(normed) {
        for training in [false, true] {
            let [joined, apart] = [true, false].map(|fused| results(&model, training, fused));
            assert_eq!(joined, apart, "training {training}: {model:?}");
        }
    }
}
