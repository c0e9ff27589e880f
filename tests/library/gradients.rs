//! Gradients of whole nets on the oracle, held to finite differences and to those of the fused graph.

use crate::layer_types;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use wgrad::device::cpu::Executor;
use wgrad::ir::case::unit;
use wgrad::ir::graph::{Graph, Node, Shape, Tensor, TensorInfo};
use wgrad::ir::values::Values;
use wgrad::model::formats::weights::{to_file, to_memory};
use wgrad::model::layers::keys::Value;
use wgrad::model::layers::*;
use wgrad::model::{Build, Sequential};
use wgrad::ops::conv::geometry::Padding;
use wgrad::ops::loss::softmax_ce::SoftmaxCe;
use wgrad::ops::pointwise::activation::Function;
use wgrad::ops::pointwise::add::Add;
use wgrad::plan::fuse::{Stage, fuse};
use wgrad::step::control::Control;

const BATCH: usize = 3;
fn relu() -> LayerEntry {
    Relu::new().into()
}

fn flatten() -> LayerEntry {
    Flatten::new().into()
}

fn conv(filters: usize, kernel: [usize; 2], stride: [usize; 2]) -> LayerEntry {
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

fn dense(units: usize) -> LayerEntry {
    LayerEntry::from(Dense { units, bias: true })
}

/// A net with softmax cross-entropy on top and the gradients of its parameters and of its input.
struct Net {
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
    fn new(input: [usize; 3], layers: &impl Fn(&mut Graph, Tensor, Build) -> Tensor, fused: bool) -> Net {
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

    fn floats(&self, t: Tensor) -> Vec<f64> {
        match self.executor.get(t) {
            Values::Float(values) => values,
            _ => panic!("{t} holds no floats"),
        }
    }

    /// The mean loss, or the logits weighed by `upstream`.
    fn value(&mut self, upstream: Option<&[f64]>) -> f64 {
        (0..self.forward).for_each(|n| self.executor.run(n));
        match upstream {
            None => self.floats(self.loss).iter().sum(),
            Some(upstream) => self.floats(self.logits).iter().zip(upstream).map(|(y, u)| y * u).sum(),
        }
    }

    /// The gradient of `value` with respect to every root, in the order of memory.
    fn gradients(&mut self, upstream: Option<&[f64]>) -> Vec<Vec<f64>> {
        self.value(upstream);
        if let Some(upstream) = upstream {
            self.executor.set(self.delta, Values::Float(upstream.to_vec())).unwrap();
        }
        (self.forward..self.executor.graph().nodes.len()).for_each(|n| self.executor.run(n));
        self.roots.iter().map(|(_, _, grad)| self.floats(*grad)).collect()
    }

    /// The same, those of parameters in the order of the weight file.
    fn gradients_in_file(&mut self, upstream: Option<&[f64]>) -> Vec<Vec<f64>> {
        let mut grads = self.gradients(upstream);
        let trained = self.executor.graph().params.iter().filter(|param| !param.running);
        for (grad, param) in grads[1..].iter_mut().zip(trained) {
            *grad = to_file(&param.layout, grad).unwrap();
        }
        grads
    }
}

fn random(seed: u64, count: usize) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| f64::from(unit(&mut rng))).collect()
}

/// Checks a net, plain and fused, under the loss and under a random gradient of the logits.
fn check(input: [usize; 3], layers: impl Fn(&mut Graph, Tensor) -> Tensor) {
    check_built(input, |graph, x, _| layers(graph, x));
}

/// `check` of layers that are told how they are built: for training, by this net.
fn check_built(input: [usize; 3], layers: impl Fn(&mut Graph, Tensor, Build) -> Tensor) {
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
fn differences(net: &mut Net, upstream: Option<&[f64]>) {
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

/// Adds layers one behind the other, the first of them at `index` of the list.
fn chain(graph: &mut Graph, index: usize, x: Tensor, layers: &[LayerEntry]) -> Tensor {
    chain_built(graph, index, x, layers, Build::INFERENCE)
}

fn chain_built(graph: &mut Graph, index: usize, x: Tensor, layers: &[LayerEntry], build: Build) -> Tensor {
    let mut layers = layers.iter().enumerate();
    layers.try_fold(x, |x, (i, layer)| layer.build(index + i, graph, &[x], build)).unwrap()
}

fn add(graph: &mut Graph, a: Tensor, b: Tensor) -> Tensor {
    graph.apply(Add, &[a, b]).unwrap()[0]
}

#[test]
fn a_small_net() {
    let net = Sequential::new([7, 6, 2]).conv2d_with(3, [3, 2], [2, 1], Padding::Same).relu();
    let model = net.max_pool2d_with(2, 1).flatten().dense(4).build().unwrap();
    check(model.image().unwrap(), |graph, x| model.build(graph, x, Build::INFERENCE).unwrap());
}

/// The shape of the reference net, whose convolution, ReLU and pool have a common form.
#[test]
fn a_small_reference_net() {
    let net = Sequential::new([8, 7, 1]).conv2d(3, 3).relu().max_pool2d(2).flatten().dense(3);
    let model = net.build().unwrap();
    check(model.image().unwrap(), |graph, x| model.build(graph, x, Build::INFERENCE).unwrap());
}

#[test]
fn relu_between_flatten_and_dense() {
    let pool = LayerEntry::from(MaxPool2d { size: [2, 2], stride: [2, 2] });
    let layers = [conv(3, [2, 2], [1, 1]), pool, flatten(), relu(), dense(5), relu(), dense(4)];
    check([4, 6, 2], |graph, x| chain(graph, 0, x, &layers));
}

#[test]
fn two_dense_layers_behind_one_flatten() {
    check([3, 4, 2], |graph, x| {
        let flat = chain(graph, 0, x, &[conv(3, [3, 3], [1, 1]), flatten()]);
        let left = chain(graph, 2, flat, &[dense(4)]);
        let right = chain(graph, 3, flat, &[relu(), dense(4)]);
        add(graph, left, right)
    });
}

/// What is added to the features stands in C, H, W order, so that the flatten must stay what it is.
#[test]
fn a_residual_connection_around_features() {
    check([3, 2, 2], |graph, x| {
        let flat = chain(graph, 0, x, &[conv(2, [2, 2], [1, 1]), relu(), flatten()]);
        let branch = chain(graph, 3, flat, &[dense(12), relu()]);
        let sum = add(graph, flat, branch);
        chain(graph, 5, sum, &[dense(3)])
    });
}

#[test]
fn a_residual_connection_between_convolutions() {
    check([5, 4, 2], |graph, x| {
        let stem = chain(graph, 0, x, &[conv(3, [3, 3], [1, 1])]);
        let branch = chain(graph, 1, stem, &[relu(), conv(3, [3, 3], [1, 1])]);
        let sum = add(graph, stem, branch);
        chain(graph, 3, sum, &[relu(), flatten(), dense(4)])
    });
}

/// One tensor on both sides of a sum gets the gradient twice.
#[test]
fn a_tensor_added_to_itself() {
    check([4, 4, 1], |graph, x| {
        let stem = chain(graph, 0, x, &[conv(2, [3, 3], [2, 2]), relu()]);
        let twice = add(graph, stem, stem);
        chain(graph, 2, twice, &[flatten(), dense(3)])
    });
}

/// Weights that two layers share get the sum of both gradients.
#[test]
fn dense_weights_used_twice() {
    check([2, 3, 2], |graph, x| {
        let flat = Shape::from([BATCH, 12]);
        let features = chain(graph, 0, x, &[conv(2, [2, 2], [1, 1]), relu(), flatten()]);
        assert_eq!(graph.shape(features), flat.0);
        let first = chain(graph, 3, features, &[dense(12)]);
        let shared: Vec<Tensor> = graph.params.iter().rev().take(2).rev().map(|param| param.tensor).collect();
        let dense_again = wgrad::ops::matmul::matmul_nt::MatmulNt::default();
        graph.apply(dense_again, &[first, shared[0], shared[1]]).unwrap()[0]
    });
}

/// Overlapping windows, windows that leave places out, and the mean of a whole image.
#[test]
fn average_pools() {
    let pools = [
        LayerEntry::from(AvgPool2d { size: [2, 3], stride: [1, 2] }),
        LayerEntry::from(AvgPool2d { size: [1, 2], stride: [2, 3] }),
    ];
    for pool in pools {
        let layers = [conv(3, [2, 2], [1, 1]), relu(), pool, conv(2, [1, 1], [1, 1]), flatten(), relu(), dense(3)];
        check([6, 7, 2], |graph, x| chain(graph, 0, x, &layers));
    }
}

#[test]
fn global_pools() {
    for pool in [LayerEntry::from(GlobalAvgPool2d::new()), LayerEntry::from(GlobalMaxPool2d::new())] {
        let layers = [conv(5, [3, 3], [1, 1]), relu(), pool, dense(4), relu(), dense(3)];
        check([9, 8, 1], |graph, x| chain(graph, 0, x, &layers));
    }
}

/// Of images and of features, by the batch's statistics and, as inference has them, by given ones.
#[test]
fn batch_normalisation() {
    let norm = LayerEntry::from(BatchNorm { epsilon: 1e-2, momentum: 0.1 });
    // A bias right before it would have no gradient.
    let layers = [conv(3, [2, 2], [1, 1]), relu(), norm.clone(), flatten(), dense(5), relu(), norm.clone(), dense(4)];
    check_built([4, 5, 2], |graph, x, build| chain_built(graph, 0, x, &layers, build));
    let layers = [conv(3, [2, 2], [1, 1]), norm, relu(), flatten(), relu(), dense(4)];
    check([4, 5, 2], |graph, x| chain(graph, 0, x, &layers));
}

#[test]
fn layer_normalisation() {
    let norm = LayerEntry::from(LayerNorm { epsilon: 1e-2 });
    let layers = [conv(3, [2, 2], [1, 1]), norm.clone(), relu(), flatten(), relu(), dense(5), norm, relu(), dense(4)];
    check([4, 5, 2], |graph, x| chain(graph, 0, x, &layers));
}

#[test]
fn every_activation_between_convolution_and_dense() {
    for &function in Function::ALL {
        let activation = LayerEntry::from(Activation { function, slope: function.slope().unwrap_or(0.0) });
        let layers = [conv(2, [3, 3], [2, 2]), activation.clone(), flatten(), activation, dense(3)];
        check([5, 4, 2], |graph, x| chain(graph, 0, x, &layers));
    }
}

/// The mask of the gradient is that of the value, between convolutions and between dense layers.
#[test]
fn dropout_with_one_mask_forward_and_backward() {
    check([5, 4, 2], |graph, x| {
        let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]));
        let dropout = |graph: &mut Graph, index: usize, x: Tensor| {
            LayerEntry::from(Dropout { rate: 0.25 }).build(index, graph, &[x], Build::training(control)).unwrap()
        };
        let features = chain(graph, 0, x, &[conv(3, [3, 3], [1, 1]), relu()]);
        let features = dropout(graph, 2, features);
        let flat = chain(graph, 3, features, &[flatten(), dense(12)]);
        let flat = dropout(graph, 5, flat);
        chain(graph, 6, flat, &[dense(3)])
    });
}

/// A ReLU and a pool whose results have a second consumer, further down.
#[test]
fn named_layers_added_and_concatenated() {
    let net = Sequential::new([6, 4, 2]).conv2d_with(3, 3, 1, Padding::Same).named("stem").relu().named("relu");
    let net = net.conv2d_with(3, 3, 1, Padding::Same).add_from("stem").relu().max_pool2d(2).named("pool");
    let net = net.conv2d_with(2, [2, 1], 1, Padding::Same).concat_from("pool").flatten().dense(5).named("units");
    let model = net.relu().concat_from("units").dense(3).build().unwrap();
    check(model.image().unwrap(), |graph, x| model.build(graph, x, Build::INFERENCE).unwrap());
}

#[test]
fn convolutions_in_groups_and_with_dilation() {
    let (kernel, stride, padding) = ([3, 2], [1, 2], Padding::Same);
    let grouped =
        LayerEntry::from(Conv2d { filters: 4, kernel, stride, padding, dilation: [2, 1], groups: 2, bias: true });
    let apart = LayerEntry::from(DepthwiseConv2d {
        kernel,
        stride: [1, 1],
        padding,
        dilation: [1, 2],
        multiplier: 2,
        bias: true,
    });
    let layers = [grouped, relu(), apart, relu(), flatten(), dense(3)];
    check([5, 6, 2], |graph, x| chain(graph, 0, x, &layers));
}

/// Each of them reads what another layer reads, too.
#[test]
fn transposed_convolutions_in_an_encoder_and_decoder() {
    let net = Sequential::new([4, 4, 2]).conv2d_with(3, 2, 1, Padding::Same).relu().named("high");
    let net = net.conv2d_with(2, 3, 2, Padding::Same).named("low").conv_transpose2d_with(2, [2, 3], 1, Padding::Same);
    let net = net.add_from("low").named("sum").conv_transpose2d_with(3, [3, 2], 2, Padding::Same).relu();
    let net = net.concat_from("high").conv_transpose2d(2, [2, 1]).flatten().relu().dense(3);
    let model = net.build().unwrap();
    check(model.image().unwrap(), |graph, x| model.build(graph, x, Build::INFERENCE).unwrap());
}

#[test]
fn upsampling_between_convolutions() {
    let layers = [
        conv(3, [3, 3], [2, 2]),
        relu(),
        LayerEntry::from(Upsample2d { factor: [3, 2] }),
        conv(2, [2, 3], [1, 1]),
        flatten(),
    ];
    check([4, 3, 2], |graph, x| {
        let flat = chain(graph, 0, x, &layers);
        chain(graph, 5, flat, &[dense(3)])
    });
}

/// Every type of layer with its default keys, and again without its bias where it can do without one; it stands behind a
/// function without kinks, since a pool or a ReLU behind another would have ties.
#[test]
fn every_type_of_layer() {
    for kind in TYPES.iter() {
        let (model, at) = layer_types::around(kind);
        check_built(model.image().unwrap(), |graph, x, build| model.build(graph, x, build).unwrap());
        if let Some(changed) = model.layers[at].with("bias", Value::Flag(false)) {
            let mut model = model;
            model.layers[at] = changed;
            assert!(!model.params().unwrap().iter().any(|param| param.name == format!("{at}.bias")));
            check_built(model.image().unwrap(), |graph, x, build| model.build(graph, x, build).unwrap());
        }
    }
}

/// Squeeze-and-excitation: features gate the channels of an image, in either order, and a product of one shape.
#[test]
fn gates_of_channels() {
    let net = Sequential::new([4, 3, 2]).conv2d_with(4, 2, 1, Padding::Same).relu().named("image");
    let net = net.global_avg_pool2d().named("squeezed").dense(4).activation(Function::Sigmoid).named("gate");
    let net = net.multiply_from("image").named("gated").conv2d(4, 1).multiply_from("gate").multiply_from("gated");
    let model = net.multiply_from("squeezed").flatten().dense(3).build().unwrap();
    check(model.image().unwrap(), |graph, x| model.build(graph, x, Build::INFERENCE).unwrap());
}

/// A layer reads an earlier result in place of the one before it, and several are joined at once.
#[test]
fn results_that_are_read_from_far() {
    let net = Sequential::new([4, 3, 2]).conv2d(3, 2).relu().named("a").conv2d(3, 1).named("b");
    let net = net.activation(Function::Tanh).reading("a").named("c").add_from("b").reading("a");
    let model = net.concat_from("c").reading("b").flatten().dense(3).build().unwrap();
    assert_eq!(model.infer().unwrap()[5].shape, [3, 2, 9]);
    check(model.image().unwrap(), |graph, x| model.build(graph, x, Build::INFERENCE).unwrap());
}
