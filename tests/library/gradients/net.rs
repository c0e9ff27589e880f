//! A net with a loss on top, and its gradients compared with finite differences and with those of the fused graph.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use wgrad::device::cpu::Executor;
use wgrad::ir::case::unit;
use wgrad::ir::graph::{Graph, Node, Tensor, TensorInfo};
use wgrad::ir::values::Values;
use wgrad::model::Build;
use wgrad::model::formats::weights::{to_file, to_memory};
use wgrad::model::layers::*;
use wgrad::ops::conv::geometry::Padding;
use wgrad::ops::loss::softmax_ce::SoftmaxCe;
use wgrad::ops::pointwise::add::Add;
use wgrad::plan::fuse::{Stage, fuse};
use wgrad::step::control::Control;

pub const BATCH: usize = 3;
pub fn relu() -> LayerEntry {
    Relu::new().into()
}

pub fn flatten() -> LayerEntry {
    Flatten::new().into()
}

pub fn conv(filters: usize, kernel: [usize; 2], stride: [usize; 2]) -> LayerEntry {
    LayerEntry::from(Conv2d {
        filters,
        kernel,
        stride,
        padding: Padding::Same,
        dilation: [1, 1],
        groups: 1,
        bias: true,
    })
}

pub fn dense(units: usize) -> LayerEntry {
    LayerEntry::from(Dense { units, bias: true })
}

/// A net with softmax cross-entropy on top and the gradients of its parameters and of its input.
pub struct Net {
    executor: Executor<f64>,
    /// How many nodes come before the gradients.
    forward: usize,
    logits: Tensor,
    loss: Tensor,
    /// The gradient of the logits.
    delta: Tensor,
    /// Name, tensor and gradient of the input and of every parameter.
    roots: Vec<(String, Tensor, Tensor)>,
}

impl Net {
    pub fn new(input: [usize; 3], layers: &impl Fn(&mut Graph, Tensor, Build) -> Tensor, fused: bool) -> Net {
        let mut graph = Graph::new();
        let [h, w, c] = input;
        let x = graph.tensor(TensorInfo::floats("x", [BATCH, h, w, c]));
        let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]));
        let labels = graph.tensor(TensorInfo::words("labels", [BATCH]));
        let logits = layers(&mut graph, x, Build::training(control));
        let [loss, _, delta] = graph.apply(SoftmaxCe::default(), &[control, logits, labels]).unwrap()[..] else {
            panic!()
        };
        if fused {
            let before = graph.nodes.clone();
            fuse(&mut graph, &[], Stage::Forward);
            let names = |nodes: &[Node]| nodes.iter().map(|node| format!("{:?}", node.op)).collect::<Vec<_>>();
            assert_ne!(names(&before), names(&graph.nodes), "nothing was fused");
        }
        let forward = graph.nodes.len();
        let mut roots = vec![("x".to_string(), x)];
        roots
            .extend(graph.params.iter().filter(|param| !param.running).map(|param| (param.name.clone(), param.tensor)));
        let tensors: Vec<Tensor> = roots.iter().map(|(_, root)| *root).collect();
        let grads = graph.gradients(loss, &tensors).unwrap();
        let roots = roots.into_iter().zip(grads).map(|((name, root), grad)| (name, root, grad.unwrap())).collect();
        let mut executor = Executor::new(graph.clone(), false).unwrap();
        let block = Control { valid: BATCH as u32, samples: BATCH as u32, ..Control::default() };
        executor.set(control, Values::Word(block.words())).unwrap();
        executor.set(labels, Values::Word((0..BATCH as u32).map(|b| b % 2).collect())).unwrap();
        executor.set(x, Values::Float(random(0, BATCH * h * w * c))).unwrap();
        for (seed, param) in graph.params.iter().enumerate() {
            let values = random(1 + seed as u64, graph.info(param.tensor).elements());
            let values = to_memory(&param.layout, &values).unwrap();
            let values = match param.name.ends_with("running_var") {
                true => values.iter().map(|v| v.abs() + 0.5).collect(),
                false => values,
            };
            executor.set(param.tensor, Values::Float(values)).unwrap();
        }
        Net { executor, forward, logits, loss, delta, roots }
    }

    pub fn floats(&self, t: Tensor) -> Vec<f64> {
        match self.executor.get(t) {
            Values::Float(values) => values,
            _ => panic!("{t} holds no floats"),
        }
    }

    /// The mean loss, or the logits weighed by `upstream`.
    pub fn value(&mut self, upstream: Option<&[f64]>) -> f64 {
        (0..self.forward).for_each(|n| self.executor.run(n));
        match upstream {
            None => self.floats(self.loss).iter().sum(),
            Some(upstream) => self.floats(self.logits).iter().zip(upstream).map(|(y, u)| y * u).sum(),
        }
    }

    /// The gradient of `value` with respect to every root, in the order of memory.
    pub fn gradients(&mut self, upstream: Option<&[f64]>) -> Vec<Vec<f64>> {
        self.value(upstream);
        if let Some(upstream) = upstream {
            self.executor.set(self.delta, Values::Float(upstream.to_vec())).unwrap();
        }
        (self.forward..self.executor.graph().nodes.len()).for_each(|n| self.executor.run(n));
        self.roots.iter().map(|(_, _, grad)| self.floats(*grad)).collect()
    }

    /// The same, those of parameters in the order of the weight file.
    pub fn gradients_in_file(&mut self, upstream: Option<&[f64]>) -> Vec<Vec<f64>> {
        let mut grads = self.gradients(upstream);
        let trained = self.executor.graph().params.iter().filter(|param| !param.running);
        for (grad, param) in grads[1..].iter_mut().zip(trained) {
            *grad = to_file(&param.layout, grad).unwrap();
        }
        grads
    }
}

pub fn random(seed: u64, count: usize) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| f64::from(unit(&mut rng))).collect()
}

/// Checks a net, plain and fused, under the loss and under a random gradient of the logits.
pub fn check(input: [usize; 3], layers: impl Fn(&mut Graph, Tensor) -> Tensor) {
    check_built(input, |graph, x, _| layers(graph, x));
}

/// `check` of layers built for training by this net.
pub fn check_built(input: [usize; 3], layers: impl Fn(&mut Graph, Tensor, Build) -> Tensor) {
    let mut plain = Net::new(input, &layers, false);
    let mut fused = Net::new(input, &layers, true);
    let upstream = random(99, plain.floats(plain.logits).len());
    for upstream in [None, Some(&upstream[..])] {
        differences(&mut plain, upstream);
        differences(&mut fused, upstream);
        assert_eq!(plain.roots.len(), fused.roots.len());
        let pairs = plain.gradients_in_file(upstream).into_iter().zip(fused.gradients_in_file(upstream));
        for ((a, b), (name, ..)) in pairs.zip(&plain.roots) {
            assert_eq!(a.len(), b.len());
            for (i, (a, b)) in a.iter().zip(&b).enumerate() {
                assert!((a - b).abs() <= 1e-12 * (1.0 + a.abs()), "{name}[{i}]: plain {a}, fused {b}");
            }
        }
    }
}

/// Holds every gradient to a central difference. Its own error is about u / STEP for the roundings and STEP²
/// for the curvature, both far below the tolerance; a ReLU or a pool that tips over within a step is not, but
/// no pre-activation of these fixed inputs is that close.
pub fn differences(net: &mut Net, upstream: Option<&[f64]>) {
    const STEP: f64 = 1e-6;
    let grads = net.gradients(upstream);
    for ((name, root, _), grad) in net.roots.clone().into_iter().zip(grads) {
        assert!(grad.iter().any(|g| g.abs() > 1e-3), "{name}: no gradient to speak of");
        let values = net.floats(root);
        assert_eq!(values.len(), grad.len(), "{name}");
        for (i, grad) in grad.iter().enumerate() {
            let mut at = |step: f64| {
                let mut moved = values.clone();
                moved[i] += step;
                net.executor.set(root, Values::Float(moved)).unwrap();
                net.value(upstream)
            };
            let slope = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            assert!((slope - grad).abs() <= 1e-7 * (1.0 + grad.abs()), "{name}[{i}]: gradient {grad}, slope {slope}");
        }
        net.executor.set(root, Values::Float(values)).unwrap();
    }
}

/// Adds a chain of layers, the first of them at `index` of the list.
pub fn chain(graph: &mut Graph, index: usize, x: Tensor, layers: &[LayerEntry]) -> Tensor {
    chain_built(graph, index, x, layers, Build::INFERENCE)
}

pub fn chain_built(graph: &mut Graph, index: usize, x: Tensor, layers: &[LayerEntry], build: Build) -> Tensor {
    let mut layers = layers.iter().enumerate();
    layers.try_fold(x, |x, (i, layer)| layer.build(index + i, graph, &[x], build)).unwrap()
}

pub fn add(graph: &mut Graph, a: Tensor, b: Tensor) -> Tensor {
    graph.apply(Add, &[a, b]).unwrap()[0]
}
