//! Training through the library, on the default adapter and on the native CPU.

use crate::adapter;
use std::ops::ControlFlow;
use wgrad::data::{Dataset, Split};
use wgrad::device::Device;
use wgrad::device::gpu::executor::Executor;
use wgrad::device::gpu::{classes_of, limits_of};
use wgrad::ir::values::Values;
use wgrad::model::init::glorot_uniform;
use wgrad::model::{Model, Sequential};
use wgrad::plan::lower::{Target, lower};
use wgrad::train::epochs::trainer::{Event, Metrics, Trainer};
use wgrad::train::settings::options::{OptimizerName, TrainOptions};
use wgrad::train::step::Step;

fn devices() -> [Device; 2] {
    [adapter::device(), Device::cpu(2).expect("two threads")]
}

/// Images of `size` × `size` in 10 classes, each a noisy picture of its own.
fn data(size: usize, train: usize, test: usize) -> Dataset {
    let split = |count: usize| {
        let label = |i: usize| (i * 7 % 10) as u8;
        let pixel = |i: usize, p: usize| {
            let picture = (usize::from(label(i)) * 7919 + p * 104_729) % 251 % 2 * 150;
            (picture + (i * 31 + p * 17) * 2_654_435_761 % 65_536 / 700) as u8
        };
        let pixels = (0..count).flat_map(|i| (0..size * size).map(move |p| pixel(i, p))).collect();
        Split::new([size, size, 1], pixels, (0..count).map(label).collect()).expect("a split")
    };
    Dataset::new("test", split(train), split(test)).expect("a data set")
}

fn small() -> Model {
    Sequential::new([8, 8, 1])
        .name("small")
        .conv2d(6, 3)
        .relu()
        .max_pool2d(2)
        .flatten()
        .dense(12)
        .relu()
        .dense(10)
        .build()
        .expect("a model")
}

/// The results of a run: its losses step by step, its metrics, its weights as a file, and the objects it created
/// before and after.
struct Run {
    losses: Vec<f32>,
    metrics: Vec<Metrics>,
    file: Vec<u8>,
    created: [usize; 2],
}

fn train(device: &Device, model: &Model, data: &Dataset, options: &TrainOptions) -> Run {
    let init = glorot_uniform(model, options.seed).expect("first weights");
    let mut trainer = Trainer::new(device, model, data, options, Some(&init)).expect("a trainer");
    let before = trainer.created();
    let mut losses = Vec::new();
    let metrics = pollster::block_on(trainer.fit(|event| {
        if let Event::Steps { records, .. } = event {
            losses.extend(records.iter().map(|record| record.loss));
        }
        ControlFlow::Continue(())
    }));
    let created = [before, trainer.created()];
    let weights = pollster::block_on(trainer.weights()).expect("weights");
    Run { losses, metrics: metrics.expect("a run"), file: weights.to_bytes(model).expect("a file"), created }
}

/// Ten classes that nothing is known of cost ln 10; Glorot's start is near that.
#[test]
fn the_first_loss_is_near_ln_10() {
    let model = Model::preset("mnist-cnn", [28, 28, 1], 10).unwrap();
    let data = data(28, 128, 8);
    for device in devices() {
        for seed in 0..3 {
            let options = TrainOptions { epochs: 1, seed, ..TrainOptions::default() };
            let loss = train(&device, &model, &data, &options).losses[0];
            assert!((loss - 10f32.ln()).abs() <= 0.35, "{}, seed {seed}: {loss}", device.name());
        }
    }
}

#[test]
fn one_batch_is_learnt_by_heart() {
    let data = data(8, 32, 8);
    for device in devices() {
        for (optimizer, lr, momentum) in
            [(OptimizerName::Adam, 1e-2, 0.0), (OptimizerName::Adamw, 1e-2, 0.0), (OptimizerName::Sgd, 0.1, 0.9)]
        {
            let options = TrainOptions {
                epochs: 250,
                batch_size: 32,
                optimizer,
                lr: Some(lr),
                momentum,
                weight_decay: Some(0.0),
                ..TrainOptions::default()
            };
            let run = train(&device, &small(), &data, &options);
            let last = run.metrics.last().unwrap();
            assert!(last.loss <= 0.01 && last.accuracy == 1.0, "{}, {optimizer:?}: {last:?}", device.name());
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let data = data(8, 60, 20);
    for device in devices() {
        let run = |seed| {
            let options = TrainOptions { epochs: 3, batch_size: 16, seed, ..TrainOptions::default() };
            train(&device, &small(), &data, &options)
        };
        let (one, two, other) = (run(5), run(5), run(6));
        assert!(one.file == two.file && one.losses == two.losses, "{}", device.name());
        assert!(one.file != other.file, "{}", device.name());
    }
}

#[test]
fn a_thousand_steps_create_nothing() {
    let data = data(8, 160, 8);
    for device in devices() {
        let options = TrainOptions { epochs: 100, batch_size: 16, ..TrainOptions::default() };
        let run = train(&device, &small(), &data, &options);
        assert_eq!(run.losses.len(), 1000);
        assert_eq!(run.created[0], run.created[1], "{}", device.name());
        assert!(run.created[0] > 0 || matches!(device, Device::Cpu(_)), "the count counts");
    }
}

/// An observer that breaks ends the run as its last epoch would have ended.
#[test]
fn an_observer_can_end_a_run() {
    let data = data(8, 160, 8);
    for device in devices() {
        let options = TrainOptions { epochs: 50, batch_size: 16, ..TrainOptions::default() };
        let init = glorot_uniform(&small(), 0).unwrap();
        let mut trainer = Trainer::new(&device, &small(), &data, &options, Some(&init)).unwrap();
        let fitted = pollster::block_on(trainer.fit(|event| match event {
            Event::Epoch(metrics) if metrics.epoch == 3 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }));
        let metrics = fitted.unwrap();
        assert_eq!(metrics.iter().map(|m| (m.epoch, m.step)).collect::<Vec<_>>(), [(1, 10), (2, 20), (3, 30)]);
    }
}

/// Bounds checks may cost time; they may not change a bit.
#[test]
fn checked_and_unchecked_shaders_give_the_same_bytes() {
    let gpu = adapter::gpu();
    let (model, data) = (small(), data(8, 60, 8));
    let init = glorot_uniform(&model, 0).unwrap();
    for optimizer in [OptimizerName::Adam, OptimizerName::Sgd] {
        let options = TrainOptions { batch_size: 16, optimizer, ..TrainOptions::default() };
        let step = Step::training(&model, data.train.count, &options).unwrap();
        for class in classes_of(&gpu) {
            let run = |checked: bool| {
                let plan = lower(&step.graph, Target { class, limits: limits_of(&gpu), reuse: true }).unwrap();
                let mut executor = Executor::new(gpu.clone(), plan, None, checked).unwrap();
                for (t, values) in step.data(&data.train).unwrap() {
                    executor.write(t, values.bytes()).unwrap();
                }
                let control = step.start(0, options.rate(), options.optimizer().betas());
                executor.write(step.control, Values::Word(control.words()).bytes()).unwrap();
                for (tensor, values) in init.to_graph(&step.graph).unwrap() {
                    executor.write(tensor, Values::Float(values).bytes()).unwrap();
                }
                executor.submit(10).unwrap();
                let [params, log] = [step.params, step.log].map(|t| pollster::block_on(executor.read(t)).unwrap());
                [params, log]
            };
            let [checked, unchecked] = [run(true), run(false)];
            assert!(checked == unchecked, "{optimizer:?}, {class}");
            let moved = init.to_graph(&step.graph).unwrap();
            assert!(!checked[0].starts_with(Values::Float(moved[0].1.clone()).bytes()), "the weights have moved");
        }
    }
}

/// A run that diverges is no success: it stops, and names the step.
#[test]
fn a_diverged_run_stops_at_its_step() {
    let data = data(8, 64, 8);
    let options = TrainOptions {
        epochs: 20,
        batch_size: 32,
        optimizer: OptimizerName::Sgd,
        lr: Some(1e30),
        ..TrainOptions::default()
    };
    for device in devices() {
        let mut trainer = Trainer::new(&device, &small(), &data, &options, None).expect("a trainer");
        let error = pollster::block_on(trainer.fit(|_| ControlFlow::Continue(()))).expect_err("a run that diverges");
        assert!(matches!(&error, wgrad::Error::Failed(why) if why.starts_with("step ")), "{error}");
    }
}
