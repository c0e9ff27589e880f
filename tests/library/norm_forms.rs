//! Normalisations over groups and by the root of the mean square, against PyTorch's documented formulas, written down
//! here for [N, C, H, W] in double precision: they share no line with the ops. Gradients are in `gradients.rs`.

use wgrad::device::cpu::Executor;
use wgrad::ir::graph::{Graph, TensorInfo};
use wgrad::ir::values::Values;
use wgrad::model::layers::{GroupNorm, LayerEntry, RmsNorm};
use wgrad::model::{Build, Model, Sequential};

const N: usize = 2;
const C: usize = 6;
const PLACES: [usize; 2] = [3, 4];

/// Values without a pattern, the same every time.
fn values(count: usize, times: f64) -> Vec<f64> {
    (0..count).map(|i| (((i * 7919 + 13) % 101) as f64 / 50.0 - 1.0) * times + 0.25).collect()
}

/// The layer's result in double precision for x [N, C, H, W], in that order; γ and β are `values`.
fn run(layer: &LayerEntry, x: &[f64], places: usize) -> Vec<f64> {
    let mut graph = Graph::new();
    let sizes = if places == 1 { vec![N, C] } else { vec![N, PLACES[0], PLACES[1], C] };
    let input = graph.tensor(TensorInfo::floats("x", wgrad::ir::graph::Shape(sizes)));
    let y = layer.build(0, &mut graph, &[input], Build::INFERENCE).unwrap();
    let mut executor = Executor::<f64>::new(graph.clone(), false).unwrap();
    let at = |i: usize| (i / (C * places) * C + i / places % C, i % places);
    let mut own = vec![0.0; x.len()];
    (0..x.len()).for_each(|i| own[(at(i).0 / C * places + at(i).1) * C + at(i).0 % C] = x[i]);
    executor.set(input, Values::Float(own)).unwrap();
    for (p, param) in graph.params.iter().enumerate() {
        assert_eq!(param.name, ["0.weight", "0.bias"][p]);
        executor.set(param.tensor, Values::Float(values(C, 1.0 + p as f64))).unwrap();
    }
    executor.step();
    let Values::Float(got) = executor.get(y) else { panic!("no floats") };
    (0..x.len()).map(|i| got[(at(i).0 / C * places + at(i).1) * C + at(i).0 % C]).collect()
}

fn close(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= 1e-12 * (1.0 + want.abs()), "{i}: {got}, PyTorch's formula {want}");
    }
}

/// y = (x - E[x]) / √(Var[x] + ε) · γ + β, where E and Var are those of the C / groups channels that lie together in
/// [N, C, H, W], and Var divides by their number.
#[test]
fn group_norm_is_that_of_pytorch() {
    for places in [1, PLACES[0] * PLACES[1]] {
        let x = values(N * C * places, 3.0);
        for groups in [1, 2, 3, 6] {
            let epsilon = 1e-3;
            let got = run(&GroupNorm { groups, epsilon }.into(), &x, places);
            let (gamma, beta) = (values(C, 1.0), values(C, 2.0));
            let size = C / groups * places;
            let want = x.chunks(size).flat_map(|own| {
                let mean = own.iter().sum::<f64>() / size as f64;
                let variance = own.iter().map(|x| x * x).sum::<f64>() / size as f64 - mean * mean;
                own.iter().map(move |x| (x - mean) / (variance + epsilon).sqrt()).collect::<Vec<_>>()
            });
            let want: Vec<f64> =
                want.enumerate().map(|(i, x)| x * gamma[i / places % C] + beta[i / places % C]).collect();
            close(&got, &want);
        }
    }
}

/// y = x / √(E[x²] + ε) · γ over the channels of each place.
#[test]
fn rms_norm_is_that_of_pytorch() {
    for places in [1, PLACES[0] * PLACES[1]] {
        let x = values(N * C * places, 3.0);
        for epsilon in [f64::from(f32::EPSILON), 0.5] {
            let got = run(&RmsNorm { epsilon }.into(), &x, places);
            let gamma = values(C, 1.0);
            let root = |i: usize| {
                let (n, p) = (i / (C * places), i % places);
                let squares = (0..C).map(|c| x[(n * C + c) * places + p].powi(2)).sum::<f64>();
                (squares / C as f64 + epsilon).sqrt()
            };
            let want: Vec<f64> = (0..x.len()).map(|i| x[i] / root(i) * gamma[i / places % C]).collect();
            close(&got, &want);
        }
    }
    assert_eq!(RmsNorm::new().epsilon, 1.1920928955078125e-7, "torch.finfo(torch.float32).eps");
}

#[test]
fn groups_and_gates_that_do_not_fit_are_refused() {
    let groups = |groups: usize| Sequential::new([4, 4, 6]).group_norm(groups).flatten().dense(3).build();
    assert!(groups(3).is_ok());
    let error = groups(4).unwrap_err().to_string();
    assert!(
        error.contains("layer 0 (group_norm): found 6 channels and groups = 4, expected channels in mult"),
        "{error}"
    );
    let gate = Sequential::new([4, 4, 6]).relu().named("x").global_avg_pool2d().dense(5).multiply_from("x");
    let error = gate.flatten().dense(3).build().unwrap_err().to_string();
    assert!(error.contains("layer 3 (multiply): found [4, 4, 6] and [5], expected results of one shape"), "{error}");
}

/// `bias = false` leaves a parameter out, and no other layer has the key.
#[test]
fn layers_without_a_bias_have_one_parameter() {
    let net = Sequential::new([6, 6, 2]).name("net").conv2d(4, 3).without_bias().depthwise_conv2d(2).without_bias();
    let net = net.conv_transpose2d(3, 2).without_bias().flatten().dense(3).without_bias();
    let model = net.build().unwrap();
    let names: Vec<String> = model.params().unwrap().into_iter().map(|param| param.name).collect();
    assert_eq!(names, ["0.weight", "1.weight", "2.weight", "4.weight"]);
    assert_eq!(model.to_toml().matches("bias = false\n").count(), 4);
    assert_eq!(model.to_json().unwrap().matches("\"bias\":false").count(), 4);
    assert_eq!(Model::from_toml(&model.to_toml(), "net.toml", "net").unwrap(), model);
    let error = Sequential::new([6, 6, 2]).relu().without_bias().flatten().dense(3).build().unwrap_err().to_string();
    assert!(
        error.contains("found bias = false after a layer that has no such key, expected it after \"conv2d\""),
        "{error}"
    );
}
