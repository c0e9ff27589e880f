//! A device that goes away in the middle of a run: what was saved is whole, and the run goes on elsewhere.

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
use wgrad::train::settings::every::Every;
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
        trainer.checkpoints(Some(Every::Steps(3)));
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

#[test]
fn the_command_stops_with_the_command_that_goes_on() {
    let place = Place::new();
    let train = "train --model tiny.toml --data data --batch-size 16 --epochs 5 --no-report --log-steps";
    place.works(&format!("{train} --checkpoint-every 3 --run-dir uncut"));
    for (at, run) in [(1, "a"), (9, "b"), (19, "c")] {
        let line = format!("{train} --checkpoint-every 3 --run-dir {run}");
        let mut command = common::wgrad();
        command.args(line.split_whitespace()).env("WGRAD_TEST_LOSE_DEVICE_AT", at.to_string());
        let done = common::call(&mut command, &place.path(""));
        let last = done.err.lines().last().unwrap_or_default();
        assert!(done.status == Some(1) && !done.err.contains("panicked"), "{done:#?}");
        for want in [
            "the device was lost",
            &format!("the last good checkpoint is {run}/checkpoints/last.safetensors (step "),
            &format!("wgrad train --resume {run} goes on from it"),
        ] {
            assert!(last.contains(want), "{want}: {last}");
        }
        place.works(&format!("train --resume {run} --no-report"));
        for file in ["model.safetensors", "steps.jsonl"] {
            assert!(place.read(&format!("{run}/{file}")) == place.read(&format!("uncut/{file}")), "{at}: {file}");
        }
    }
}
