//! A device that is lost in the middle of a run: saved files are complete, and the run can be resumed on another
//! device.

mod common;
#[path = "common/noise.rs"]
mod noise;

use common::Place;
use noise::noise;
use std::ops::ControlFlow;
use wgrad::data::Dataset;
use wgrad::device::Device;
use wgrad::model::{Model, Sequential};
use wgrad::train::epochs::trainer::{Event, Trainer};
use wgrad::train::finetune::First;
use wgrad::train::run::RunConfig;
use wgrad::train::session::{self, Session};
use wgrad::train::settings::interval::Interval;
use wgrad::train::settings::options::TrainOptions;
use wgrad::train::state::checkpoint::Checkpoint;

fn adapter() -> Device {
    common::adapter::device()
}

fn setting() -> (Model, Dataset, TrainOptions) {
    let model = Sequential::new([6, 6, 1]).name("net").conv2d(4, 3).relu().flatten().dense(3).build().expect("a model");
    let options = TrainOptions { epochs: 4, batch_size: 8, ..TrainOptions::default() };
    (model, noise([6, 6, 1], 3, [80, 8]), options)
}

#[test]
fn a_new_device_goes_on_from_the_last_checkpoint_to_the_same_bytes() {
    let (model, data, options) = setting();
    let whole = {
        let mut trainer = Trainer::new(&adapter(), &model, &data, &options, None).expect("a trainer");
        pollster::block_on(trainer.fit(|_| ControlFlow::Continue(()))).expect("a run");
        pollster::block_on(trainer.weights()).expect("weights").to_bytes(&model).expect("a file")
    };
    for at in [0, 7, 10, 23] {
        let device = adapter();
        let Device::Gpu(gpu) = &device else { panic!("an adapter") };
        let mut trainer = Trainer::new(&device, &model, &data, &options, None).expect("a trainer");
        trainer.checkpoints(Some(Interval::Steps(3)));
        let mut last: Option<Checkpoint> = None;
        let fitted = pollster::block_on(trainer.fit(|event| {
            match event {
                Event::Checkpoint(checkpoint) => {
                    last = Some(checkpoint.clone());
                    if checkpoint.state.progress.step == 0 && at == 0 {
                        gpu.device.destroy();
                    }
                }
                Event::Steps { first, records, .. } if first + records.len() as u64 > at => gpu.device.destroy(),
                _ => {}
            }
            ControlFlow::Continue(())
        }));
        let error = fitted.expect_err("the device is gone").to_string();
        assert!(error.contains("the device was lost"), "{error}");
        let last = last.expect("a checkpoint");
        let step = last.state.progress.step;
        assert!(step <= at && at - step <= 10, "{step} of {at}");
        let mut trainer = Trainer::new(&adapter(), &model, &data, &options, None).expect("a trainer");
        trainer.restore(&last).expect("restored");
        pollster::block_on(trainer.fit(|_| ControlFlow::Continue(()))).expect("a run");
        let weights = pollster::block_on(trainer.weights()).expect("weights");
        assert!(weights.to_bytes(&model).expect("a file") == whole, "lost at {at}");
    }
}

/// A run with a folder, by the library: the device goes away from an observer.
#[test]
fn a_run_that_loses_its_device_names_the_command_that_goes_on() {
    let place = Place::new();
    let train = "train --model tiny.toml --data data --batch-size 16 --epochs 5 --no-report --log-steps";
    place.works(&format!("{train} --checkpoint-every 3 --run-dir uncut"));
    let text = |name: &str| place.path(name).display().to_string();
    for (at, run) in [(1, "a"), (9, "b"), (19, "c")] {
        let config = RunConfig {
            model: text("tiny.toml"),
            data: text("data"),
            device: Some(common::adapter::name().into()),
            log_steps: true,
            checkpoint_every: Some(Interval::Steps(3)),
            train: TrainOptions { epochs: 5, batch_size: 16, ..TrainOptions::default() },
            ..RunConfig::default()
        };
        let data = session::open_data(&config, None).expect("a data set");
        let first = First::of(&config, &data).expect("a model");
        let (device, choice) = common::adapter::chosen();
        let run = place.path(run);
        let mut session = Session::begin(config, data, first, (device.clone(), &choice), Some(&run)).expect("a run");
        let driven = pollster::block_on(session.drive(
            || false,
            |event| {
                if let (Event::Steps { first, records, .. }, Device::Gpu(gpu)) = (event, &device)
                    && first + records.len() as u64 > at
                {
                    gpu.device.destroy();
                }
                Ok(())
            },
        ));
        drop(session);
        let error = driven.expect_err("the device is gone").to_string();
        let last = run.join("checkpoints/last.safetensors");
        for want in [
            "the device was lost",
            &format!("the last good checkpoint is {} (step ", last.display()),
            &format!("wgrad train --resume {} goes on from it", run.display()),
        ] {
            assert!(error.contains(want), "{want}: {error}");
        }
        place.works(&format!("train --resume {} --no-report", run.display()));
        for file in ["model.safetensors", "steps.jsonl"] {
            let found = std::fs::read(run.join(file)).expect("a file");
            assert!(found == place.read(&format!("uncut/{file}")), "{at}: {file}");
        }
    }
}
