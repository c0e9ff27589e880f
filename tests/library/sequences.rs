//! Ops of sequences: gradients compared with finite differences, in double precision.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use wgrad::device::cpu::Executor;
use wgrad::ir::case::unit;
use wgrad::ir::element::IGNORED;
use wgrad::ir::graph::{Graph, Shape, Tensor, TensorInfo};
use wgrad::ir::values::Values;
use wgrad::ops::loss::softmax_ce::SoftmaxCe;
use wgrad::ops::sequence::attend::Attend;
use wgrad::ops::sequence::embedding::Embedding;
use wgrad::ops::sequence::lengths::Lengths;
use wgrad::ops::sequence::masked_mean::MaskedMean;
use wgrad::ops::sequence::select_last::SelectLast;
use wgrad::ops::shape::reshape::Reshape;
use wgrad::step::control::Control;

/// The tokens of three rows: no valid place, all four, and two.
const TOKENS: [u32; 12] = [IGNORED, 1, 1, 1, 2, 0, 4, 2, 3, 1, IGNORED, IGNORED];

/// Holds the gradients of a loss of what `build` makes of arguments of these shapes, and of tokens [3, 4], to central
/// differences. It gives one row for each of three samples.
fn check(shapes: &[&[usize]], build: impl Fn(&mut Graph, &[Tensor], Tensor) -> Tensor) {
    let mut graph = Graph::new();
    let x: Vec<Tensor> =
        shapes.iter().map(|shape| graph.tensor(TensorInfo::floats("x", Shape(shape.to_vec())))).collect();
    let tokens = graph.tensor(TensorInfo::words("tokens", [3, 4]));
    let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]));
    let labels = graph.tensor(TensorInfo::words("labels", [3]));
    let y = build(&mut graph, &x, tokens);
    let columns = graph.info(y).elements() / 3;
    let logits = graph.apply(Reshape { shape: Shape(vec![3, columns]) }, &[y]).unwrap()[0];
    let loss = graph.apply(SoftmaxCe::default(), &[control, logits, labels]).unwrap()[0];
    let forward = graph.nodes.len();
    let grads = graph.gradients(loss, &x).unwrap();
    let mut executor = Executor::<f64>::new(graph, false).unwrap();
    let block = Control { valid: 3, samples: 3, ..Control::default() };
    executor.set(control, Values::Word(block.words())).unwrap();
    executor.set(labels, Values::Word(vec![0, 1, 1])).unwrap();
    executor.set(tokens, Values::Word(TOKENS.to_vec())).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for (&x, shape) in x.iter().zip(shapes) {
        let values = (0..shape.iter().product()).map(|_| f64::from(unit(&mut rng))).collect();
        executor.set(x, Values::Float(values)).unwrap();
    }
    let floats = |executor: &Executor<f64>, t: Tensor| match executor.get(t) {
        Values::Float(values) => values,
        _ => panic!("{t} holds no floats"),
    };
    (0..executor.graph().nodes.len()).for_each(|n| executor.run(n));
    let grads: Vec<Vec<f64>> = grads.into_iter().map(|grad| floats(&executor, grad.expect("a gradient"))).collect();
    for (which, (&x, grad)) in x.iter().zip(grads).enumerate() {
        let values = floats(&executor, x);
        assert!(grad.iter().any(|grad| grad.abs() > 1e-3), "argument {which}: no gradient to speak of");
        for (i, grad) in grad.iter().enumerate() {
            let mut at = |step: f64| {
                let mut moved = values.clone();
                moved[i] += step;
                executor.set(x, Values::Float(moved)).unwrap();
                (0..forward).for_each(|n| executor.run(n));
                floats(&executor, loss).iter().sum::<f64>()
            };
            // Its own error is about u / 1e-6 for the roundings and 1e-12 for the curvature.
            let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
            assert!((slope - grad).abs() <= 1e-8, "argument {which}, element {i}: gradient {grad}, slope {slope}");
        }
        executor.set(x, Values::Float(values)).unwrap();
    }
}

/// A token that stands twice, padding and one that never stands.
#[test]
fn the_gradient_of_an_embedding() {
    check(&[&[6, 2]], |graph, x, tokens| graph.apply(Embedding, &[tokens, x[0]]).unwrap()[0]);
}

#[test]
fn gradients_over_time() {
    check(&[&[3, 4, 5]], |graph, x, tokens| {
        let lengths = graph.apply(Lengths, &[tokens]).unwrap()[0];
        graph.apply(SelectLast, &[x[0], lengths]).unwrap()[0]
    });
    check(&[&[3, 4, 5]], |graph, x, tokens| {
        let lengths = graph.apply(Lengths, &[tokens]).unwrap()[0];
        graph.apply(MaskedMean, &[x[0], lengths]).unwrap()[0]
    });
    check(&[&[3, 4, 5]], |graph, x, _| graph.apply(SelectLast, x).unwrap()[0]);
}

/// Of the queries, the keys and the values, through the contexts and through the weights.
#[test]
fn gradients_of_attention() {
    check(&[&[3, 2, 5], &[3, 4, 5], &[3, 4, 3]], |graph, x, tokens| {
        let lengths = Some(graph.apply(Lengths, &[tokens]).unwrap()[0]);
        let attend = Attend { keys: x[1], values: x[2], lengths, scaled: true, causal: false };
        attend.build(graph, x[0]).unwrap()[0]
    });
    // Keys that are the values, and queries of the same sequence that see no later place.
    check(&[&[3, 4, 5]], |graph, x, _| {
        let attend = Attend { keys: x[0], values: x[0], lengths: None, scaled: false, causal: true };
        attend.build(graph, x[0]).unwrap()[0]
    });
}
