//! Normalisations: several steps of batch normalisation with their running statistics, the last batch smaller than its
//! buffers, then inference with the running statistics; and the normalisations without a state.

use crate::fixtures::bytes;
use crate::forms::usual;
use crate::net::{Array, Upstream, layout};
use safetensors::SafeTensors;
use wgrad::ir::graph::{Graph, Shape, Tensor, TensorInfo};
use wgrad::ir::values::Values;
use wgrad::model::Build;
use wgrad::model::formats::weights::to_memory;
use wgrad::model::layers::{BatchNorm, GroupNorm, LayerEntry, LayerNorm, RmsNorm};
use wgrad::step::control::Control;

/// The unit roundoff of single precision.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

fn get(tensors: &SafeTensors, name: &str) -> Array {
    let view = tensors.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    let values = view.data().as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
    (view.shape().to_vec(), values)
}

/// Shape and elements in the order of memory.
fn memory((shape, values): &Array) -> (Vec<usize>, Vec<f32>) {
    let layout = layout(shape);
    (layout.perm.iter().map(|&axis| shape[axis]).collect(), to_memory(&layout, values).unwrap())
}

/// A normalisation of a batch with a given gradient of its result.
struct One {
    graph: Graph,
    x: Tensor,
    dy: Tensor,
    control: Tensor,
    training: bool,
    /// y, dx, dγ and, where it has a β, dβ.
    results: Vec<Tensor>,
}

impl One {
    fn new(layer: &LayerEntry, shape: Vec<usize>, training: bool) -> One {
        let mut graph = Graph::new();
        let x = graph.tensor(TensorInfo::floats("x", Shape(shape.clone())));
        let dy = graph.tensor(TensorInfo::floats("dy", Shape(shape)));
        let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]));
        let build = if training { Build::training(control) } else { Build::INFERENCE };
        let y = layer.build(0, &mut graph, &[x], build).unwrap();
        let end = graph.apply(Upstream, &[y, dy]).unwrap()[0];
        let learnt = graph.params.iter().take(2).map(|param| param.tensor);
        let roots: Vec<Tensor> = [x].into_iter().chain(learnt).collect();
        let grads = graph.gradients(end, &roots).unwrap();
        graph.update_norms().unwrap();
        let results = [y].into_iter().chain(grads.into_iter().map(Option::unwrap)).collect();
        One { graph, x, dy, control, training, results }
    }

    /// The contents of the first `valid` samples; what is beyond has a wild x and no gradient.
    fn contents(&self, x: &[f32], dy: &[f32], valid: usize) -> Vec<(Tensor, Values)> {
        let elements = self.graph.info(self.x).elements();
        let padded = |values: &[f32], with: f32| {
            let mut values = values.to_vec();
            values.resize(elements, with);
            Values::Float(values)
        };
        let block = Control { valid: valid as u32, samples: 100, ..Control::default() };
        let mut contents = vec![(self.x, padded(x, 1e3)), (self.dy, padded(dy, 0.0))];
        // What no op reads has no place on a device.
        if self.training {
            contents.push((self.control, Values::Word(block.words())));
        }
        contents
    }
}

fn floats(values: &Values<f64>) -> &[f64] {
    match values {
        Values::Float(values) => values,
        _ => panic!("no floats"),
    }
}

/// Holds what came out to what PyTorch stored. Every element is a sum over at most `rows` rows of terms that together
/// are no larger than `size`, but for 40 roundings more.
fn hold(label: &str, got: &[f64], want: &[f32], rows: usize, size: f64) {
    let tolerance = UNIT * (40.0 + 6.0 * (rows as f64).sqrt()) * size;
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (got - f64::from(*want)).abs();
        assert!(error <= tolerance, "{label}[{i}]: {got}, expected {want}, off by {error:e} of {tolerance:e}");
    }
}

fn most(values: &[f32]) -> f64 {
    values.iter().fold(1.0, |most, v| f64::from(v.abs()).max(most))
}

/// Holds y, dx, dγ and, where it is there, dβ to the stored ones.
fn hold_results(label: &str, got: &[Values<f64>], tensors: &SafeTensors, at: &str, [rows, channels]: [usize; 2]) {
    let stored = |name: &str| memory(&get(tensors, &format!("{at}/{name}"))).1;
    let (x, dy) = (stored("x"), stored("dy"));
    let sum = |c: usize| dy.iter().skip(c).step_by(channels).map(|d| f64::from(d.abs())).sum::<f64>();
    let sums = (0..channels).map(sum).fold(0.0, f64::max);
    for ((name, got), size) in ["y", "dx", "dw", "db"].iter().zip(got).zip([most(&x), most(&dy), sums, sums]) {
        let want = stored(name);
        hold(&format!("{label} {name}"), floats(got), &want, rows, size * (most(&want) + most(&x)));
    }
}

#[test]
fn batch_normalisation_follows_pytorch_over_several_steps() {
    let bytes = bytes("norms.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for (k, (epsilon, momentum)) in [(1e-5, 0.1), (1e-5, 0.1), (1e-3, 0.3)].into_iter().enumerate() {
        let layer = LayerEntry::from(BatchNorm { epsilon, momentum });
        let own = |name: &str| get(&tensors, &format!("batch_norm/{k}/{name}"));
        let (shape, _) = memory(&own("0/x"));
        let channels = *shape.last().unwrap();
        let training = One::new(&layer, shape.clone(), true);
        let inference = One::new(&layer, shape, false);
        let given = [own("w").1, own("b").1];
        for form in usual() {
            let mut running = [vec![0.0; channels], vec![1.0; channels]];
            let params = |one: &One, running: &[Vec<f32>; 2]| -> Vec<(Tensor, Values)> {
                let values = given.iter().chain(running).cloned().map(Values::Float);
                one.graph.params.iter().map(|param| param.tensor).zip(values).collect()
            };
            for step in 0..3 {
                let at = format!("batch_norm/{k}/{step}");
                let (sizes, x) = memory(&own(&format!("{step}/x")));
                let (_, dy) = memory(&own(&format!("{step}/dy")));
                let mut contents = training.contents(&x, &dy, sizes[0]);
                contents.extend(params(&training, &running));
                let statistics = [2, 3].map(|p| training.graph.params[p].tensor);
                let wanted = [&training.results[..], &statistics].concat();
                let got = form.run(&training.graph, &contents, &wanted, 1, false);
                let rows = x.len() / channels;
                let label = format!("{at} ({form})");
                let held: Vec<Values<f64>> =
                    got[..2].iter().map(|v| Values::Float(floats(v)[..x.len()].to_vec())).collect();
                hold_results(&label, &[&held[..], &got[2..4]].concat(), &tensors, &at, [rows, channels]);
                assert!(
                    floats(&got[1])[x.len()..].iter().all(|dx| *dx == 0.0),
                    "{label}: a gradient beyond the valid rows"
                );
                assert!(floats(&got[0]).iter().all(|y| y.is_finite()), "{label}");
                for (i, name) in ["running_mean", "running_var"].iter().enumerate() {
                    let want = own(&format!("{step}/{name}")).1;
                    hold(&format!("{label} {name}"), floats(&got[4 + i]), &want, rows, most(&x) * most(&x));
                    running[i] = floats(&got[4 + i]).iter().map(|v| *v as f32).collect();
                }
            }
            let at = format!("batch_norm/{k}/inference");
            let (sizes, x) = memory(&own("inference/x"));
            let (_, dy) = memory(&own("inference/dy"));
            let mut contents = inference.contents(&x, &dy, sizes[0]);
            contents.extend(params(&inference, &running));
            let got = form.run(&inference.graph, &contents, &inference.results, 1, false);
            let held: Vec<Values<f64>> =
                got[..2].iter().map(|v| Values::Float(floats(v)[..x.len()].to_vec())).collect();
            let sizes = [x.len() / channels, channels];
            hold_results(&format!("{at} ({form})"), &[&held[..], &got[2..]].concat(), &tensors, &at, sizes);
        }
    }
}

/// Holds a normalisation that has no state to the stored case `at`.
fn hold_one(layer: &LayerEntry, tensors: &SafeTensors, at: &str) {
    let own = |name: &str| memory(&get(tensors, &format!("{at}/{name}")));
    let ((shape, x), (_, dy)) = (own("x"), own("dy"));
    let channels = *shape.last().unwrap();
    let one = One::new(layer, shape.clone(), false);
    let mut contents = one.contents(&x, &dy, shape[0]);
    let params = one.graph.params.iter().zip(["w", "b"]);
    contents.extend(params.map(|(param, name)| (param.tensor, Values::Float(own(name).1))));
    for form in usual() {
        let got = form.run(&one.graph, &contents, &one.results, 1, false);
        hold_results(&format!("{at} ({form})"), &got, tensors, at, [x.len() / channels, channels]);
    }
}

#[test]
fn layer_normalisation_follows_pytorch() {
    let bytes = bytes("norms.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let layer = LayerEntry::from(LayerNorm { epsilon: 1e-5, ..LayerNorm::new() });
    (0..3).for_each(|k| hold_one(&layer, &tensors, &format!("layer_norm/{k}")));
}

#[test]
fn group_normalisation_follows_pytorch() {
    let bytes = bytes("norms.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for (k, (groups, epsilon)) in [(2, 1e-5), (3, 1e-5), (1, 1e-3), (4, 1e-5)].into_iter().enumerate() {
        hold_one(&LayerEntry::from(GroupNorm { groups, epsilon }), &tensors, &format!("group_norm/{k}"));
    }
}

#[test]
fn normalisation_by_the_root_of_the_mean_square_follows_pytorch() {
    let bytes = bytes("norms.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for (k, epsilon) in [RmsNorm::new().epsilon, 1e-5, 1e-2].into_iter().enumerate() {
        hold_one(&LayerEntry::from(RmsNorm { epsilon }), &tensors, &format!("rms_norm/{k}"));
    }
    assert_eq!(RmsNorm::new().epsilon, 1.1920928955078125e-7, "torch.finfo(torch.float32).eps");
}
