//! Dropout and upsampling: their graphs, and refused values in files.

use wgrad::ir::graph::{Graph, TensorInfo};
use wgrad::model::formats::weights::NamedTensor;
use wgrad::model::{Build, Mode, Model, Sequential, Weights};
use wgrad::train::predict::TrainedModel;
use wgrad::train::settings::options::TrainOptions;
use wgrad::train::step::Step;

/// In training it needs the control block; in inference there is no trace of it.
#[test]
fn dropout_is_of_training_alone() {
    let model = Sequential::new([4, 4, 2]).dropout(0.5).flatten().dense(3).build().unwrap();
    let built = |build: Build| {
        let mut graph = Graph::new();
        let x = graph.tensor(TensorInfo::floats("x", [2, 4, 4, 2]));
        model.build(&mut graph, x, build).map(|_| graph.to_string())
    };
    assert!(!built(Build::INFERENCE).unwrap().contains("Dropout"));
    let none = Build { mode: Mode::Training, ..Build::INFERENCE };
    assert!(built(none).unwrap_err().to_string().contains("layer 0 (dropout): found no control block"));
    let step = Step::training(&model, 8, &TrainOptions { batch_size: 4, ..TrainOptions::default() }).unwrap();
    assert!(step.graph.to_string().contains("Dropout { rate: 0.5, salt: 0, each: 1 }"));
    assert!(!Step::evaluation(&model, 8, 4).unwrap().graph.to_string().contains("Dropout"));
}

/// Shapes, file and description, and what a factor may not be.
#[test]
fn upsampling_repeats_pixels() {
    let net = Sequential::new([4, 4, 2]).name("net").max_pool2d(2).upsample2d([2, 3]).flatten().dense(3);
    let built = net.build().unwrap();
    assert_eq!(built.infer().unwrap()[1].shape, [4, 6, 2]);
    assert_eq!(Model::from_toml(&built.to_toml(), "net.toml", "net").unwrap(), built);
    assert_eq!(Model::from_json(&built.to_json().unwrap()).unwrap(), built);
    let layer = |factor: &str| format!("input = [4, 4, 2]\n[[layers]]\ntype = 'upsample2d'\n{factor}");
    for (factor, want) in [
        ("", "line 2: layer 0 (upsample2d): found no key factor, expected n or [h, w]"),
        ("factor = 0", "line 4: layer 0 (upsample2d): found factor = 0, expected n or [h, w]"),
        ("factor = 2000000000", "line 2: layer 0 (upsample2d): found a result of shape [8000000000, 8000000000, 2]"),
    ] {
        let error = Model::from_toml(&layer(factor), "net.toml", "net").unwrap_err().to_string();
        assert!(error.contains(want), "{factor}: {error}");
    }
}

/// (v - mean) / std before a dense layer is another dense layer: W / std, and b - W · mean / std.
#[test]
fn channels_are_normalised_before_the_first_layer() {
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let build = || Sequential::new([2, 2, 3]).flatten().dense(2);
    let plain = build().build().unwrap();
    let normed = build().normalise_channels(mean, std).build().unwrap();
    let weight: Vec<f32> = (0..24).map(|at| ((at * 7 % 11) as f32 - 5.0) / 10.0).collect();
    let pixels: Vec<u8> = (0..24).map(|at| (at * 37 % 256) as u8).collect();
    let tensor =
        |name: &str, shape: &[usize], values: Vec<f32>| NamedTensor { name: name.into(), shape: shape.into(), values };
    let trained = |model: &Model, weight: Vec<f32>, bias: Vec<f32>| {
        let weights = Weights::new(vec![tensor("1.weight", &[2, 12], weight), tensor("1.bias", &[2], bias)]);
        TrainedModel { model: model.clone(), weights }
    };
    let predict = |model: &Model, weight, bias| trained(model, weight, bias).predict(&pixels).unwrap();
    let found = predict(&normed, weight.clone(), vec![0.1, -0.2]);
    // The file has channels first: element p of a row is of channel p / 4.
    let channel = |at: usize| at % 12 / 4;
    let folded: Vec<f32> = weight.iter().enumerate().map(|(at, w)| w / std[channel(at)] as f32).collect();
    let moved = |row: usize| (row * 12..row * 12 + 12).map(|at| folded[at] * mean[channel(at)] as f32).sum::<f32>();
    let expected = predict(&plain, folded.clone(), vec![0.1 - moved(0), -0.2 - moved(1)]);
    for (found, expected) in found.concat().iter().zip(expected.concat()) {
        // Twelve products of numbers up to 5, each rounded a few times.
        assert!((found - expected).abs() <= 12.0 * 5.0 * 8.0 * f32::EPSILON, "{found}, expected {expected}");
    }
    let other = predict(&plain, weight.clone(), vec![0.1, -0.2]);
    assert!(found.concat().iter().zip(other.concat()).any(|(a, b)| (a - b).abs() > 0.01), "it does something");
    let onnx = trained(&normed, weight, vec![0.1, -0.2]).to_onnx().unwrap();
    assert!(onnx.windows(13).any(|part| part == b"channel_scale"));
}
