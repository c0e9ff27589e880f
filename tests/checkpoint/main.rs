//! Checkpoints through the library: a run stopped at any step ends with the same bytes, and no wrong state is ever
//! restored.

#[path = "../common/adapter.rs"]
mod adapter;
mod damage;
mod update;

use std::ops::ControlFlow;
use std::time::Duration;
use wgrad::Error;
use wgrad::data::{Dataset, Split};
use wgrad::device::Device;
use wgrad::model::{Model, Sequential};
use wgrad::train::epochs::trainer::{Event, Metrics, Trainer};
use wgrad::train::settings::interval::Interval;
use wgrad::train::settings::options::{OptimizerName, TrainOptions};
use wgrad::train::state::checkpoint::Checkpoint;

/// The adapter of the tests and the native CPU.
fn devices() -> [Device; 2] {
    [adapter::device(), cpu()]
}

fn cpu() -> Device {
    Device::cpu(2).expect("two threads")
}

/// 60 training images: batches of 16, 16, 16 and 12.
fn data(seed: usize) -> Dataset {
    let split = |count: usize| {
        let label = |i: usize| (i * 7 % 4) as u8;
        let pixel = |i: usize, p: usize| ((i * 31 + p * 17 + seed) * 2_654_435_761 % 65_536 / 256) as u8;
        let pixels = (0..count).flat_map(|i| (0..64).map(move |p| pixel(i, p))).collect();
        Split::new([8, 8, 1], pixels, (0..count).map(label).collect()).expect("a split")
    };
    Dataset::new("test", split(60), split(20)).expect("a data set")
}

fn model(units: usize) -> Model {
    let net = Sequential::new([8, 8, 1]).name("small").conv2d(3, 3).relu().max_pool2d(2).flatten();
    net.dense(units).relu().dense(4).build().expect("a model")
}

fn options(optimizer: OptimizerName) -> TrainOptions {
    let momentum = if optimizer == OptimizerName::Sgd { 0.9 } else { 0.0 };
    TrainOptions { epochs: 3, batch_size: 16, optimizer, momentum, seed: 7, ..TrainOptions::default() }
}

fn trainer(device: &Device, options: &TrainOptions) -> Trainer {
    Trainer::new(device, &model(5), &data(0), options, None).expect("a trainer")
}

/// Trains to the end: metrics without times, and the weights as a file.
fn finish(trainer: &mut Trainer) -> (Vec<Metrics>, Vec<u8>) {
    // With checkpoints there is a digest of the weights in every epoch's metrics, which is compared, too.
    trainer.checkpoints(None);
    let metrics = pollster::block_on(trainer.fit(|_| ControlFlow::Continue(()))).expect("a run");
    let timeless = |m: Metrics| Metrics { seconds: 0.0, images_per_second: 0.0, ..m };
    let weights = pollster::block_on(trainer.weights()).expect("weights").to_bytes(&model(5)).expect("a file");
    (metrics.into_iter().map(timeless).collect(), weights)
}

/// A run with a checkpoint at every step; what it ends in, and the checkpoints as files.
fn all_checkpoints(device: &Device, options: &TrainOptions, every: Interval) -> Vec<Vec<u8>> {
    let mut trainer = trainer(device, options);
    trainer.checkpoints(Some(every));
    let mut files = Vec::new();
    let fitted = pollster::block_on(trainer.fit(|event| {
        if let Event::Checkpoint(checkpoint) = event {
            files.push(checkpoint.to_bytes().expect("a file"));
        }
        ControlFlow::Continue(())
    }));
    fitted.expect("a run");
    files
}

fn resumed(device: &Device, options: &TrainOptions, file: &[u8]) -> Trainer {
    let checkpoint = Checkpoint::from_bytes(file).expect("a checkpoint");
    assert!(checkpoint.to_bytes().expect("a file") == file, "what was read is what was written");
    let mut trainer = Trainer::new(device, &checkpoint.model, &data(0), options, Some(&checkpoint.weights)).unwrap();
    trainer.restore(&checkpoint).expect("the same run");
    trainer
}

#[test]
fn a_run_cut_at_any_step_ends_in_the_same_bytes() {
    for device in devices() {
        // Layer 4 lies between those that are trained, so that the optimizer's state is laid out otherwise than the weights.
        let runs = [(OptimizerName::Adam, ""), (OptimizerName::Adamw, ""), (OptimizerName::Sgd, "4.weight")];
        for (optimizer, frozen) in runs.into_iter().chain([(OptimizerName::Adam, "4"), (OptimizerName::Sgd, "")]) {
            let freeze = (!frozen.is_empty()).then(|| frozen.to_string()).into_iter().collect();
            let options = TrainOptions { freeze, ..options(optimizer) };
            let uncut = finish(&mut trainer(&device, &options));
            assert_eq!(uncut.0.iter().map(|m| m.step).collect::<Vec<_>>(), [4, 8, 12]);
            let files = all_checkpoints(&device, &options, Interval::Steps(1));
            let steps = |file: &Vec<u8>| Checkpoint::from_bytes(file).unwrap().state.progress.step;
            assert_eq!(files.iter().map(steps).collect::<Vec<_>>(), (0..=12).collect::<Vec<_>>());
            // Every step of one optimizer; of the others cuts within an epoch, and at the end of one.
            let cuts =
                if optimizer == OptimizerName::Adam && frozen.is_empty() { (0..=12).collect() } else { vec![3, 4, 7] };
            for cut in cuts {
                let found = finish(&mut resumed(&device, &options, &files[cut]));
                assert!(found == uncut, "{}, {optimizer:?}, frozen {frozen:?}, cut at step {cut}", device.name());
            }
        }
    }
}

/// The observer's break stops between steps; the same trainer can continue, and so can one from its last checkpoint.
#[test]
fn a_break_stops_where_it_is() {
    for device in devices() {
        let options = options(OptimizerName::Adam);
        let uncut = finish(&mut trainer(&device, &options));
        let mut cut = trainer(&device, &options);
        cut.checkpoints(None);
        let (mut last, mut epochs) = (Vec::new(), 0);
        let fitted = pollster::block_on(cut.fit(|event| match event {
            Event::Steps { first, records, .. } if first + records.len() as u64 > 5 => ControlFlow::Break(()),
            Event::Checkpoint(checkpoint) => {
                last = checkpoint.to_bytes().unwrap();
                ControlFlow::Continue(())
            }
            Event::Epoch(_) => {
                epochs += 1;
                ControlFlow::Continue(())
            }
            Event::Steps { .. } | Event::Sample { .. } => ControlFlow::Continue(()),
        }));
        let step = cut.progress().step;
        assert!((5..=8).contains(&step), "stopped at {step}, where the steps in flight ended");
        assert_eq!((fitted.unwrap().len(), epochs), (1, 1), "the epoch under way does not count");
        assert_eq!(Checkpoint::from_bytes(&last).unwrap().state.progress.step, step);
        assert!(finish(&mut resumed(&device, &options, &last)) == uncut, "{}: from the checkpoint", device.name());
        assert!(finish(&mut cut) == uncut, "{}: the same trainer", device.name());
    }
}

#[test]
fn a_run_that_is_prolonged_is_the_longer_run() {
    let long = options(OptimizerName::Adam);
    for device in devices() {
        let uncut = finish(&mut trainer(&device, &long));
        // Whole epochs, and an end in the middle of one.
        for short in [TrainOptions { epochs: 2, ..long.clone() }, TrainOptions { max_steps: Some(6), ..long.clone() }] {
            let files = all_checkpoints(&device, &short, Interval::Steps(100));
            assert!(finish(&mut resumed(&device, &long, files.last().unwrap())) == uncut, "{}", device.name());
        }
    }
}

#[test]
fn checkpoints_come_as_often_as_asked_for() {
    let options = options(OptimizerName::Adam);
    let steps = |every| {
        let files = all_checkpoints(&cpu(), &options, every);
        files.iter().map(|file| Checkpoint::from_bytes(file).unwrap().state.progress.step).collect::<Vec<_>>()
    };
    assert_eq!(steps(Interval::Steps(3)), [0, 3, 4, 6, 8, 9, 12]);
    assert_eq!(steps(Interval::Steps(u64::MAX)), [0, 4, 8, 12]);
    assert_eq!(steps(Interval::Time(Duration::from_secs(3600))), [0, 4, 8, 12]);
    // Always due: after every submit, of which the first has one step.
    let often = steps(Interval::Time(Duration::ZERO));
    assert!(often.starts_with(&[0, 1]) && often.len() > 4 && often.is_sorted(), "{often:?}");
}

#[test]
fn the_best_is_the_first_with_the_smallest_val_loss() {
    let device = cpu();
    let options = TrainOptions { lr: Some(0.3), epochs: 8, ..options(OptimizerName::Adam) };
    let files = all_checkpoints(&device, &options, Interval::Steps(100));
    let state = Checkpoint::from_bytes(files.last().unwrap()).unwrap().state;
    let least = state.progress.metrics.iter().map(|m| m.val_loss).fold(f64::INFINITY, f64::min);
    let first = state.progress.metrics.iter().find(|m| m.val_loss == least).unwrap();
    let best = state.progress.best.unwrap();
    assert_eq!((best.epoch, best.step, best.val_loss), (first.epoch, first.step, least));
    assert!(best.epoch < 8, "this rate is too high to get better to the end: {best:?}");
}

#[test]
fn another_run_is_refused_by_what_differs() {
    let own = options(OptimizerName::Adam);
    let file = all_checkpoints(&cpu(), &own, Interval::Steps(3)).swap_remove(1);
    let checkpoint = Checkpoint::from_bytes(&file).unwrap();
    let refusal = |model: &Model, data: &Dataset, options: &TrainOptions| {
        let error = Trainer::new(&cpu(), model, data, options, None).unwrap().restore(&checkpoint).unwrap_err();
        assert!(matches!(error, Error::Input(_)), "{error}");
        error.to_string()
    };
    let batch = TrainOptions { batch_size: 15, ..own.clone() };
    let shuffle = TrainOptions { shuffle: false, ..own.clone() };
    for (error, want) in [
        (refusal(&model(6), &data(0), &own), "the model small"),
        (refusal(&model(5), &data(1), &own), "CRC-32"),
        (refusal(&model(5), &data(0), &batch), "batch_size: 15"),
        (refusal(&model(5), &data(0), &shuffle), "shuffle: false"),
        (refusal(&model(5), &data(0), &options(OptimizerName::Sgd)), "optimizer: Sgd"),
    ] {
        assert!(error.contains(want) && error.contains("expected"), "{want}: {error}");
    }
}
