//! Single ops and short chains, forward and backward, and a model that PyTorch wrote.

use crate::fixtures::{bytes, fixture, json};
use crate::forms::usual;
use crate::net::{Array, Net};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use wgrad::ir::graph::{Graph, Tensor};
use wgrad::model::formats::weights::Weights;
use wgrad::model::layers::{Conv2d, Dense, Flatten, LayerEntry, MaxPool2d, Relu};
use wgrad::model::{Build, Sequential};
use wgrad::ops::conv::geometry::Padding;
use wgrad::ops::loss::softmax_ce::SoftmaxCe;
use wgrad::plan::fuse::{Stage, fuse};
use wgrad::step::control::Control;
use wgrad::verify::compare::Deviation;

/// One case of a table, such as `ops.json`, with its tensors.
pub struct Stored<'a> {
    pub label: String,
    sizes: &'a Value,
    tensors: &'a SafeTensors<'a>,
}

impl Stored<'_> {
    pub fn size(&self, key: &str) -> usize {
        self.sizes[key].as_u64().unwrap() as usize
    }

    pub fn pair(&self, key: &str) -> [usize; 2] {
        [0, 1].map(|i| self.sizes[key][i].as_u64().unwrap() as usize)
    }

    pub fn padding(&self) -> Padding {
        match self.sizes["padding"].as_str() {
            Some("same") => Padding::Same,
            Some("valid") => Padding::Valid,
            other => panic!("{other:?}"),
        }
    }

    pub fn value(&self, key: &str) -> &Value {
        &self.sizes[key]
    }

    /// Shape and elements of a tensor of the case.
    pub fn get(&self, name: &str) -> Array {
        let view = self.tensors.tensor(&format!("{}/{name}", self.label)).unwrap();
        let words = view.data().as_chunks().0.iter();
        let values = match view.dtype() {
            Dtype::F32 => words.map(|word| f32::from_le_bytes(*word)).collect(),
            Dtype::I32 => words.map(|word| i32::from_le_bytes(*word) as f32).collect(),
            other => panic!("{name}: elements of type {other}"),
        };
        (view.shape().to_vec(), values)
    }
}

/// Runs `check` on every case of a kind and prints the worst error of every form.
fn every(kind: &str, check: impl Fn(&Stored) -> Vec<Deviation>) {
    every_of("ops", kind, check);
}

/// `every` of the table of that name.
pub fn every_of(table: &str, kind: &str, check: impl Fn(&Stored) -> Vec<Deviation>) {
    let bytes = bytes(&format!("{table}.safetensors"));
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let table = json(&format!("{table}.json"));
    let cases = table["cases"][kind].as_array().unwrap();
    assert!(!cases.is_empty(), "{kind}");
    let mut worst = vec![Deviation::NONE; usual().count()];
    for (k, sizes) in cases.iter().enumerate() {
        let found = check(&Stored { label: format!("{kind}/{k}"), sizes, tensors: &tensors });
        worst.iter_mut().zip(found).for_each(|(worst, found)| *worst = worst.worse(found));
    }
    for (form, worst) in usual().zip(worst) {
        println!("{kind} ({form}): error {:.2e} of {:.2e}", worst.error, worst.tolerance);
    }
}

/// Whether layers are joined where they can be, and whether the input's gradient is wanted.
#[derive(Clone, Copy, Debug)]
pub struct How {
    fused: bool,
    input_gradient: bool,
}

pub const PLAIN: How = How { fused: false, input_gradient: true };
pub const FUSED: How = How { fused: true, input_gradient: true };

/// Builds layers on the case's x, fills their parameters and says what PyTorch found: y, dx and the gradients of
/// the parameters, in one set for each of `ends` ("" where there is but one result).
pub fn layered(case: &Stored, how: How, ends: &[&str], layers: impl Fn(&mut Graph, Tensor) -> Vec<Tensor>) -> Net {
    let mut net = Net::default();
    let name = |stem: &str, end: &str| format!("{stem}{end}");
    let stored = |stem: &str, end: &str| case.get(&name(stem, end));
    let x = net.input("x", &stored("x", ""));
    let results = layers(&mut net.graph, x);
    if how.fused {
        fuse(&mut net.graph, &results, Stage::Forward);
    }
    let given: Vec<(Tensor, Tensor)> =
        results.iter().zip(ends).map(|(&y, end)| (y, net.input("dy", &stored("dy", end)))).collect();
    let roots = if how.input_gradient { vec![x] } else { Vec::new() };
    let grads = net.backward(&given, &roots);
    if how.input_gradient {
        net.want("dx", grads[0], &stored("dx", ""), 1.0);
    }
    for (&(y, _), end) in given.iter().zip(ends) {
        net.want(&name("y", end), y, &stored("y", end), 1.0);
    }
    let params = ends.iter().flat_map(|end| [("w", end), ("b", end)]).take(net.graph.params.len());
    for (param, (stem, end)) in params.enumerate() {
        net.fill(param, &stored(stem, end));
        let grad = net.graph.params[param].grad.unwrap();
        net.want(&name(&format!("d{stem}"), end), grad, &stored(&format!("d{stem}"), end), 1.0);
    }
    net
}

/// Adds a chain of layers, the first of them at `index` of the list.
pub fn chain(graph: &mut Graph, index: usize, x: Tensor, layers: &[LayerEntry]) -> Tensor {
    let mut layers = layers.iter().enumerate();
    layers.try_fold(x, |x, (i, layer)| layer.build(index + i, graph, &[x], Build::INFERENCE)).unwrap()
}

pub fn ops(net: &Net) -> Vec<&'static str> {
    net.graph.nodes.iter().map(|node| node.op.name()).collect()
}

fn conv(case: &Stored) -> LayerEntry {
    let (kernel, stride) = (case.pair("kernel"), case.pair("stride"));
    LayerEntry::from(Conv2d {
        filters: case.size("o"),
        kernel,
        stride,
        padding: case.padding(),
        dilation: [1, 1],
        groups: 1,
        bias: true,
    })
}

#[test]
fn convolution() {
    every("conv", |case| layered(case, PLAIN, &[""], |g, x| vec![chain(g, 0, x, &[conv(case)])]).check(&case.label));
}

#[test]
fn max_pool() {
    every("pool", |case| {
        let pool = LayerEntry::from(MaxPool2d { stride: case.pair("stride"), ..MaxPool2d::new(case.pair("window")) });
        layered(case, PLAIN, &[""], |g, x| vec![chain(g, 0, x, std::slice::from_ref(&pool))]).check(&case.label)
    });
}

/// Plain, joined, and joined where only the weights want a gradient.
#[test]
fn convolution_relu_and_pool() {
    for how in [PLAIN, FUSED, How { fused: true, input_gradient: false }] {
        every("conv_relu_pool", |case| {
            let pool =
                LayerEntry::from(MaxPool2d { stride: case.pair("pool_stride"), ..MaxPool2d::new(case.pair("window")) });
            let layers = [conv(case), LayerEntry::from(Relu::new()), pool];
            let net = layered(case, how, &[""], |g, x| vec![chain(g, 0, x, &layers)]);
            let found = ops(&net);
            assert_eq!(found.contains(&"conv2d_relu_pool"), how.fused, "{found:?}");
            assert_eq!(found.contains(&"conv2d_relu_pool_dw"), how.fused, "{found:?}");
            let both = how.fused && how.input_gradient;
            assert_eq!(found.contains(&"conv2d_relu_pool_dx"), both, "{found:?}");
            net.check(&format!("{} {how:?}", case.label))
        });
    }
}

#[test]
fn dense() {
    for (kind, bias) in [("dense", true), ("dense_without_bias", false)] {
        every(kind, |case| {
            let layer = LayerEntry::from(Dense { units: case.size("out"), bias });
            layered(case, PLAIN, &[""], |g, x| vec![chain(g, 0, x, std::slice::from_ref(&layer))]).check(&case.label)
        });
    }
}

/// PyTorch's loss is each sample's own, wgrad's its share of the mean: one by the number of samples.
#[test]
fn cross_entropy() {
    every("ce", |case| {
        let (n, mut net) = (case.size("n"), Net::default());
        let get = |name| case.get(name);
        let block = Control { valid: n as u32, samples: n as u32, ..Control::default() };
        let control = net.words("control", block.words());
        let logits = net.input("logits", &get("logits"));
        let labels = net.words("labels", get("labels").1.iter().map(|&label| label as u32).collect());
        let upstream = net.input("upstream", &get("upstream"));
        let loss = net.graph.apply(SoftmaxCe::default(), &[control, logits, labels]).unwrap()[0];
        let grads = net.backward(&[(loss, upstream)], &[logits]);
        assert!(ops(&net).contains(&"scale_rows"));
        net.want("loss", loss, &get("loss"), 1.0 / n as f64);
        net.want("dlogits", grads[0], &get("dlogits"), 1.0 / n as f64);
        net.check(&case.label)
    });
}

/// As it stands, and with the flatten folded into the weights after it.
fn with_and_without_the_flatten(net: impl Fn(How) -> Net, label: &str) -> Vec<Deviation> {
    let check = |how: How| {
        let net = net(how);
        assert_eq!(ops(&net).contains(&"transpose"), !how.fused, "{:?}", ops(&net));
        net.check(&format!("{label} {how:?}"))
    };
    check(PLAIN).into_iter().zip(check(FUSED)).map(|(plain, fused)| plain.worse(fused)).collect()
}

#[test]
fn relu_between_flatten_and_dense() {
    every("flatten_dense", |case| {
        let layers = [
            LayerEntry::from(Flatten::new()),
            LayerEntry::from(Relu::new()),
            LayerEntry::from(Dense { units: case.size("out"), bias: true }),
        ];
        let net = |how| layered(case, how, &[""], |g, x| vec![chain(g, 0, x, &layers)]);
        with_and_without_the_flatten(net, &case.label)
    });
}

#[test]
fn two_consumers_of_one_flatten() {
    every("flatten_two", |case| {
        let [first, second] = ["out1", "out2"].map(|key| LayerEntry::from(Dense { units: case.size(key), bias: true }));
        let layers = |g: &mut Graph, x| {
            let flat = chain(g, 0, x, &[LayerEntry::from(Flatten::new())]);
            let left = chain(g, 1, flat, std::slice::from_ref(&first));
            vec![left, chain(g, 2, flat, &[LayerEntry::from(Relu::new()), second.clone()])]
        };
        with_and_without_the_flatten(|how| layered(case, how, &["1", "2"], layers), &case.label)
    });
}

#[test]
fn a_model_that_pytorch_wrote() {
    let net = Sequential::new([8, 8, 1]).conv2d(3, 3).relu().max_pool2d(2).flatten().dense(4);
    let model = net.build().unwrap();
    let (described, weights) = Weights::load(&fixture("model.safetensors")).unwrap();
    assert!(described.is_none(), "PyTorch does not describe the model");
    weights.check_against(&model).unwrap();
    let io = json("model_io.json");
    let cases = io["cases"].as_array().unwrap();
    let numbers = |case: &Value, key: &str| -> Vec<f64> {
        case[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let pixels = cases.iter().flat_map(|case| numbers(case, "pixels"));
    let pixels: Vec<f32> = pixels.map(|byte| byte as f32 / 255.0).collect();
    let mut net = Net::default();
    let x = net.input("x", &(vec![cases.len(), 1, 8, 8], pixels));
    let logits = model.build(&mut net.graph, x, Build::INFERENCE).unwrap();
    fuse(&mut net.graph, &[logits], Stage::Forward);
    for param in 0..net.graph.params.len() {
        let stored = weights.get(&net.graph.params[param].name).unwrap().clone();
        net.fill(param, &(stored.shape, stored.values));
    }
    net.want_exactly("logits", logits, cases.iter().flat_map(|case| numbers(case, "logits")).collect());
    for (form, worst) in usual().zip(net.check("model")) {
        println!("model ({form}): error {:.2e} of {:.2e}", worst.error, worst.tolerance);
    }
}
