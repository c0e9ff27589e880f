//! Batch normalisation in whole runs: its running statistics are learnt, kept by checkpoints and files, used by
//! evaluation and prediction, and left alone where it is frozen.

use crate::noise::noise;
use std::ops::ControlFlow;
use wgrad::data::Dataset;
use wgrad::device::Device;
use wgrad::model::init::glorot_uniform;
use wgrad::model::{Model, Sequential, Weights};
use wgrad::train::epochs::evaluator::Evaluator;
use wgrad::train::epochs::trainer::{Event, Trainer};
use wgrad::train::predict::TrainedModel;
use wgrad::train::settings::interval::Interval;
use wgrad::train::settings::options::TrainOptions;
use wgrad::train::state::checkpoint::Checkpoint;

fn devices() -> [Device; 2] {
    let device = crate::adapter::device();
    [device, Device::cpu(2).expect("two threads")]
}

fn model() -> Model {
    let net = Sequential::new([8, 8, 1]).name("normal").conv2d(3, 3).batch_norm().relu().avg_pool2d(2);
    let net = net.conv2d(5, 2).batch_norm().relu().global_avg_pool2d().dense(6).batch_norm().relu();
    net.dense(4).build().expect("a model")
}

/// Batches of 16, 16, 16 and 3.
fn data() -> Dataset {
    noise([8, 8, 1], 4, [51, 20])
}

fn options(freeze: &[&str]) -> TrainOptions {
    let freeze = freeze.iter().map(|name| name.to_string()).collect();
    TrainOptions { epochs: 2, batch_size: 16, seed: 3, freeze, ..TrainOptions::default() }
}

fn fit(trainer: &mut Trainer) -> (Weights, f64) {
    let metrics = pollster::block_on(trainer.fit(|_| ControlFlow::Continue(()))).expect("a run");
    let weights = pollster::block_on(trainer.weights()).expect("weights");
    (weights, metrics.last().expect("an epoch").val_loss)
}

fn values<'a>(weights: &'a Weights, name: &str) -> &'a [f32] {
    &weights.get(name).unwrap_or_else(|| panic!("no {name}")).values
}

#[test]
fn a_start_has_the_values_of_pytorch() {
    let names: Vec<String> =
        model().params().unwrap().into_iter().map(|p| p.name).filter(|n| n.starts_with("1.")).collect();
    assert_eq!(names, ["1.weight", "1.bias", "1.running_mean", "1.running_var"]);
    let first = glorot_uniform(&model(), 0).unwrap();
    for (end, value) in [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
        assert_eq!(values(&first, &format!("1.{end}")), [value; 3], "{end}");
    }
}

#[test]
fn statistics_are_learnt_and_travel_with_the_weights() {
    for device in devices() {
        let (trained, test_loss) = fit(&mut Trainer::new(&device, &model(), &data(), &options(&[]), None).unwrap());
        for layer in [1, 5, 9] {
            let (mean, variance) =
                (values(&trained, &format!("{layer}.running_mean")), values(&trained, &format!("{layer}.running_var")));
            assert!(mean.iter().any(|m| *m != 0.0) && variance.iter().all(|v| *v > 0.0 && *v != 1.0), "layer {layer}");
        }
        // The file, evaluation and prediction have them.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        trained.save(&path, &model()).unwrap();
        let loaded = Model::load(&path).unwrap();
        assert_eq!(loaded.weights.get("5.running_var"), trained.get("5.running_var"));
        let mut evaluator = Evaluator::new(&device, &model(), &data().test, 7).unwrap();
        evaluator.set_weights(&loaded.weights).unwrap();
        let found = pollster::block_on(evaluator.run()).unwrap().loss();
        assert!((found - test_loss).abs() < 1e-5, "{}: {found}, in training {test_loss}", device.name());
        // An image's answer does not depend on those beside it.
        let data = data();
        let pixels = &data.test.pixels()[..3 * 64];
        let together = loaded.predict(pixels).unwrap();
        let alone: Vec<Vec<f32>> = pixels.chunks(64).flat_map(|image| loaded.predict(image).unwrap()).collect();
        let apart = together.concat().iter().zip(alone.concat()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-6, "{apart}");
        // The statistics matter: with those of the start the answers are others.
        let mut reset = loaded.weights.clone();
        for tensor in reset.tensors.iter_mut().filter(|t| t.name.ends_with("running_var")) {
            tensor.values.fill(1.0);
        }
        let other = TrainedModel { model: model(), weights: reset }.predict(pixels).unwrap();
        assert_ne!(other, together);
        #[cfg(feature = "onnx")]
        {
            let bytes = loaded.to_onnx().unwrap();
            let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            for text in ["BatchNormalization", "epsilon", "9.running_var", "AveragePool", "GlobalAveragePool"] {
                assert!(has(text), "{text}");
            }
        }
    }
}

#[test]
fn a_run_cut_at_any_step_ends_in_the_same_bytes() {
    for device in devices() {
        for freeze in [&[][..], &["5"], &["0", "9.bias"]] {
            let options = options(freeze);
            let mut files = Vec::new();
            let mut trainer = Trainer::new(&device, &model(), &data(), &options, None).unwrap();
            trainer.checkpoints(Some(Interval::Steps(1)));
            pollster::block_on(trainer.fit(|event| {
                if let Event::Checkpoint(checkpoint) = event {
                    files.push(checkpoint.to_bytes().expect("a file"));
                }
                ControlFlow::Continue(())
            }))
            .expect("a run");
            let uncut = pollster::block_on(trainer.weights()).unwrap();
            for cut in [0, 3, 4, 6] {
                let checkpoint = Checkpoint::from_bytes(&files[cut]).unwrap();
                let weights = Some(&checkpoint.weights);
                let mut resumed = Trainer::new(&device, &model(), &data(), &options, weights).unwrap();
                resumed.restore(&checkpoint).unwrap();
                assert!(fit(&mut resumed).0 == uncut, "{}, frozen {freeze:?}, cut at {cut}", device.name());
            }
        }
    }
}

/// A frozen batch normalisation keeps its parameters and its statistics; one with only its bias frozen is trained.
#[test]
fn a_frozen_batch_normalisation_stays_as_it_is() {
    let mut first = glorot_uniform(&model(), 0).unwrap();
    for tensor in first.tensors.iter_mut().filter(|t| t.name.starts_with("5.")) {
        tensor.values.iter_mut().enumerate().for_each(|(i, v)| *v += 0.1 * i as f32);
    }
    for device in devices() {
        let freeze = options(&["5", "9.bias"]);
        let (trained, _) = fit(&mut Trainer::new(&device, &model(), &data(), &freeze, Some(&first)).unwrap());
        for tensor in &trained.tensors {
            let kept = tensor.values == values(&first, &tensor.name);
            let frozen = tensor.name.starts_with("5.") || tensor.name == "9.bias";
            // A bias before a batch normalisation has no gradient but roundings.
            assert!(kept == frozen || tensor.name.ends_with("bias"), "{}: {} kept: {kept}", device.name(), tensor.name);
        }
    }
}
