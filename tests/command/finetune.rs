//! Fine-tuning: frozen layers keep their bytes, others are trained as before, and a head for other classes is new.

use crate::common::{Place, adapter, idx};
use crate::noise::noise;
use std::ops::ControlFlow;
use wgrad::data::Dataset;
use wgrad::device::Device;
use wgrad::model::init::glorot_uniform;
use wgrad::model::{Model, Sequential, Weights};
use wgrad::train::epochs::trainer::Trainer;
use wgrad::train::predict::TrainedModel;
use wgrad::train::settings::options::{OptimizerName, TrainOptions};
use wgrad::train::step::Step;

fn devices() -> [Device; 2] {
    [adapter::device(), Device::cpu(2).expect("two threads")]
}

fn model() -> Model {
    let net = Sequential::new([9, 8, 1]).name("net").conv2d(5, 3).relu().conv2d(6, 2).relu().max_pool2d(2);
    net.flatten().dense(7).relu().dense(4).build().expect("a model")
}

fn data() -> Dataset {
    noise([9, 8, 1], 4, [24, 8])
}

/// The weights after this many steps.
fn train(device: &Device, optimizer: OptimizerName, steps: u64, freeze: &[&str]) -> Weights {
    let freeze = freeze.iter().map(|name| name.to_string()).collect();
    let options = TrainOptions {
        batch_size: 8,
        optimizer,
        weight_decay: Some(0.1),
        max_steps: Some(steps),
        freeze,
        ..TrainOptions::default()
    };
    train_by(device, &options)
}

fn train_by(device: &Device, options: &TrainOptions) -> Weights {
    let mut trainer = Trainer::new(device, &model(), &data(), options, None).expect("a trainer");
    pollster::block_on(trainer.fit(|_| ControlFlow::Continue(()))).expect("a run");
    pollster::block_on(trainer.weights()).expect("weights")
}

/// Decay would move a frozen weight even where its gradient is zero.
#[test]
fn frozen_weights_keep_their_bytes_and_the_others_learn() {
    let first = glorot_uniform(&model(), 0).unwrap();
    let frozen = |name: &str, freeze: &[&str]| freeze.iter().any(|f| name == *f || name.split('.').next() == Some(f));
    for device in devices() {
        for optimizer in [OptimizerName::Adam, OptimizerName::Adamw, OptimizerName::Sgd] {
            let all = [&["0", "6"][..], &["0.bias", "2.weight"], &["8"], &["0"], &["2"], &["0", "2"], &["6", "8"]];
            // The graph is the same with each optimizer.
            for freeze in &all[..if optimizer == OptimizerName::Adam { 7 } else { 2 }] {
                let trained = train(&device, optimizer, 3, freeze);
                for (before, after) in first.tensors.iter().zip(&trained.tensors) {
                    let kept = before.values == after.values;
                    let name = &before.name;
                    assert_eq!(kept, frozen(name, freeze), "{name}, {freeze:?}, {optimizer:?}, {}", device.name());
                }
            }
        }
    }
}

/// Nothing but the frozen layers changes: one step moves the others to the same bytes.
#[test]
fn one_step_moves_the_others_as_it_would_without() {
    for device in devices() {
        let free = train(&device, OptimizerName::Adamw, 1, &[]);
        for freeze in ["0", "2", "6", "8", "0.weight"] {
            let some = train(&device, OptimizerName::Adamw, 1, &[freeze]);
            for tensor in some.tensors.iter().filter(|t| t.name != freeze && t.name.split('.').next() != Some(freeze)) {
                assert!(free.get(&tensor.name) == Some(tensor), "{}, frozen {freeze}, {}", tensor.name, device.name());
            }
        }
    }
}

/// A step of a layer at half the rate is that of the whole net at half the rate, decay included; all else is as without. Where
/// several name a layer the last one counts.
#[test]
fn layers_learn_at_rates_of_their_own() {
    for device in devices() {
        for &optimizer in OptimizerName::ALL {
            let moved = |lr: f64, scales: &[&str], accumulate: u32| {
                let lr_scale = scales.iter().map(|scale| scale.parse().unwrap()).collect();
                let base =
                    TrainOptions { batch_size: 8, optimizer, weight_decay: Some(0.1), ..TrainOptions::default() };
                let max_steps = Some(accumulate.into());
                train_by(&device, &TrainOptions { lr: Some(lr), lr_scale, max_steps, accumulate, ..base })
            };
            for accumulate in [1, 2] {
                let [whole, half] = [0.02, 0.01].map(|lr| moved(lr, &[], accumulate));
                let scaled = moved(0.02, &["2=7", "6.bias=0.5", "2=0.5"], accumulate);
                for tensor in &scaled.tensors {
                    let slow = ["2.weight", "2.bias", "6.bias"].contains(&&*tensor.name);
                    let expected = if slow { &half } else { &whole };
                    let what = (&tensor.name, optimizer, accumulate, device.name());
                    assert!(expected.get(&tensor.name) == Some(tensor), "{what:?}");
                    assert!(half.get(&tensor.name) != whole.get(&tensor.name), "{what:?}");
                }
            }
        }
    }
    for (scale, want) in
        [("9=0.5", "lr scale: no layer '9'; expected 0, 2, 6, 8"), ("0=0.5", "lr scale 0=0.5: nothing")]
    {
        let lr_scale = vec![scale.parse().unwrap()];
        let error = Step::training(&model(), 24, &TrainOptions { lr_scale, ..frozen(&["0"]) }).unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}");
    }
}

/// Not a rate of zero: the gradients of frozen layers are not computed.
fn frozen(freeze: &[&str]) -> TrainOptions {
    let freeze = freeze.iter().map(|name| name.to_string()).collect();
    TrainOptions { batch_size: 8, freeze, ..TrainOptions::default() }
}

#[test]
fn frozen_gradients_are_not_asked_for() {
    let ops = |freeze: &[&str]| {
        let step = Step::training(&model(), 24, &frozen(freeze)).unwrap();
        let has = |name: &str| step.graph.nodes.iter().filter(|node| node.op.name() == name).count();
        ["conv2d_dw", "conv2d_relu_pool_dw", "conv2d_relu_pool_dx", "matmul_tn", "matmul_nn", "adam"].map(has)
    };
    assert_eq!(ops(&[]), [1, 1, 1, 2, 2, 1]);
    assert_eq!(ops(&["0"]), [0, 1, 0, 2, 2, 1]);
    assert_eq!(ops(&["2"]), [1, 0, 1, 2, 2, 2]);
    assert_eq!(ops(&["0", "2"]), [0, 0, 0, 2, 1, 1]);
    assert_eq!(ops(&["0", "2", "6"]), [0, 0, 0, 1, 0, 1]);
    assert_eq!(ops(&["6", "8"]), [1, 1, 1, 0, 2, 1]);
}

#[test]
fn what_cannot_be_frozen_is_refused() {
    for (freeze, want) in [
        (&["1"][..], "freeze: no layer '1'; expected 0, 2, 6, 8"),
        (&["9"], "freeze: no layer '9'; expected 0, 2, 6, 8"),
        (&["2.wieght"], "freeze: no layer '2.wieght'"),
        (&[""], "freeze: no layer ''"),
        (&["0", "2", "6", "8"], "freeze 0,2,6,8: nothing is left to train"),
    ] {
        let error = Step::training(&model(), 24, &frozen(freeze)).unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}");
    }
}

/// The names of this many classes in data without names: their numbers.
fn names(classes: usize) -> Vec<String> {
    (0..classes).map(|class| class.to_string()).collect()
}

#[test]
fn another_number_of_classes_replaces_the_last_dense_layer() {
    let known = TrainedModel { model: model(), weights: glorot_uniform(&model(), 3).unwrap() };
    let (same, head) = known.clone().with_classes(&names(4), 0).unwrap();
    assert!(head.is_none() && same.weights == known.weights && same.model == known.model);
    let (other, head) = known.clone().with_classes(&names(6), 9).unwrap();
    let said = head.unwrap().to_string();
    assert_eq!(said, "layer 8 (dense) is replaced: 6 outputs, before 4");
    assert_eq!(other.model.classes().unwrap(), 6);
    for tensor in &known.weights.tensors {
        assert_eq!(other.weights.get(&tensor.name) == Some(tensor), !tensor.name.starts_with("8."), "{}", tensor.name);
    }
    assert_eq!(other.weights, { glorot_head(&other, &known.weights) });

    // A convolution that gives a class to each pixel.
    let pixels = Sequential::new([3, 3, 1]).name("pixels").conv2d(4, 1).relu().conv2d(4, 1).named("head");
    let pixels = pixels.build().unwrap();
    let pixels = TrainedModel { weights: glorot_uniform(&pixels, 0).unwrap(), model: pixels };
    let (other, head) = pixels.with_classes(&names(5), 0).unwrap();
    assert_eq!(head.unwrap().to_string(), "layer 2 (conv2d) is replaced: 5 outputs, before 4");
    assert_eq!(other.model.classes().unwrap(), 5);

    let norm = Sequential::new([3, 3, 1]).name("norm").flatten().dense(4).batch_norm().build().unwrap();
    let norm = TrainedModel { weights: glorot_uniform(&norm, 0).unwrap(), model: norm };
    let error = norm.with_classes(&names(5), 0).unwrap_err().to_string();
    assert_eq!(error, "model norm: its last layer with weights is 2 (batch_norm), so it cannot be given 5 classes");
}

/// The old weights with the head that the seed 9 gives the new model.
fn glorot_head(new: &TrainedModel, old: &Weights) -> Weights {
    let fresh = glorot_uniform(&new.model, 9).unwrap();
    let pick = |tensor: wgrad::model::formats::weights::NamedTensor| match tensor.name.starts_with("8.") {
        true => tensor,
        false => old.get(&tensor.name).cloned().unwrap(),
    };
    Weights::new(fresh.tensors.into_iter().map(pick).collect())
}

#[test]
fn the_command_goes_on_from_a_file_and_again_from_its_configuration() {
    let place = Place::new();
    place.trains("one", "--device cpu");
    // The same images in three classes.
    for (part, count) in [("train", 60), ("t10k", 20)] {
        place.write(&format!("three/{part}-images-idx3-ubyte"), place.read(&format!("data/{part}-images-idx3-ubyte")));
        let labels: Vec<u8> = (0..count).map(|i| (i % 3) as u8).collect();
        place.write(&format!("three/{part}-labels-idx1-ubyte"), idx(2049, &[count], &labels));
    }
    let flags = "--data three --batch-size 16 --epochs 1 --device cpu";
    let done = place.works(&format!("train --from one/model.safetensors --freeze 0 {flags} --run-dir two"));
    assert!(done.err.contains("note: layer 4 (dense) is replaced: 3 outputs, before 4"), "{}", done.err);
    let config = String::from_utf8(place.read("two/config.toml")).unwrap();
    assert!(config.contains("from = \"one/model.safetensors\"") && config.contains("freeze = [\"0\"]"), "{config}");
    assert!(config.contains("model = \"tiny\""), "{config}");
    let [one, two] = ["one", "two"].map(|run| Weights::load(&place.path(&format!("{run}/model.safetensors"))).unwrap());
    let model = two.0.unwrap();
    assert_eq!((model.classes().unwrap(), model.class_names.len()), (3, 3));
    for name in ["0.weight", "0.bias"] {
        assert_eq!(one.1.get(name), two.1.get(name));
    }
    assert_eq!(two.1.get("4.weight").unwrap().shape, [3, 36]);
    place.works("train --config two/config.toml --run-dir again");
    assert!(place.read("two/model.safetensors") == place.read("again/model.safetensors"));
    // The same classes keep the head, in silence.
    let same =
        place.works("train --from one/model.safetensors --data data --batch-size 16 --max-steps 1 --run-dir same");
    assert!(!same.err.contains("is replaced"), "{}", same.err);

    place.data("wide", 9, 20, 20);
    place.write("both.toml", "init = \"one/model.safetensors\"\nfrom = \"one/model.safetensors\"\n");
    let from = "train --from one/model.safetensors --batch-size 16 --run-dir out";
    for (line, wants) in [
        (format!("{from} --data data --model tiny.toml"), &["--model", "cannot be used with"][..]),
        (format!("{from} --data data --init one/model.safetensors"), &["--init", "cannot be used with"]),
        (format!("{from} --data wide"), &["[9, 9, 1]", "expects [8, 8, 1]"]),
        (format!("{from} --data three --freeze 4"), &["freeze 4: layer 4 (dense) is replaced"]),
        (format!("{from} --data data --freeze 0,9"), &["freeze: no layer '9'; expected 0, 4"]),
        ("train --from nothing --data data --run-dir out".into(), &["nothing: cannot be read"]),
        ("train --config both.toml --data data --run-dir out".into(), &["from and init"]),
        ("train --config two/config.toml --model tiny.toml --run-dir out".into(), &["--model", "`from`"]),
    ] {
        let done = place.call(&line);
        assert!(done.status == Some(2) && wants.iter().all(|want| done.err.contains(want)), "{line}: {done:#?}");
        assert!(!place.path("out").exists(), "{line}");
    }
}
