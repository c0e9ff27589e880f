//! Everything between the gradients and the weights is stopped and resumed like the rest of a run, and works as
//! documented.

use crate::cpu;
use crate::{all_checkpoints, data, devices, finish, options, resumed, trainer};
use wgrad::model::{Sequential, Weights};
use wgrad::train::epochs::trainer::{Event, Trainer};
use wgrad::train::settings::interval::Interval;
use wgrad::train::settings::options::{OptimizerName, ScheduleName, TrainOptions};
use wgrad::train::state::checkpoint::Checkpoint;

/// The options that are cut, each with a name.
fn runs() -> Vec<(&'static str, TrainOptions)> {
    let adam = || options(OptimizerName::Adam);
    vec![
        ("ema", TrainOptions { ema: Some(0.7), ..adam() }),
        ("ema, frozen", TrainOptions { ema: Some(0.7), freeze: vec!["4.weight".into()], ..adam() }),
        ("nesterov", TrainOptions { nesterov: true, ..options(OptimizerName::Sgd) }),
        ("rmsprop", TrainOptions { momentum: 0.9, lr: Some(2e-3), ..options(OptimizerName::Rmsprop) }),
        ("lion", TrainOptions { lr: Some(2e-3), ..options(OptimizerName::Lion) }),
        ("adagrad", TrainOptions { lr: Some(3e-2), ..options(OptimizerName::Adagrad) }),
        ("adadelta", TrainOptions { rho: Some(0.8), ..options(OptimizerName::Adadelta) }),
        ("clip norm", TrainOptions { clip_norm: Some(0.01), ..options(OptimizerName::Sgd) }),
        ("clip value", TrainOptions { clip_value: Some(1e-3), ..options(OptimizerName::Sgd) }),
        // Four batches an epoch: groups of three and one, so that cuts fall within them.
        (
            "accumulate, cosine, ema, frozen",
            TrainOptions {
                accumulate: 3,
                schedule: ScheduleName::Cosine,
                ema: Some(0.7),
                freeze: vec!["4.weight".into()],
                ..adam()
            },
        ),
    ]
}

#[test]
fn a_run_that_is_cut_ends_in_the_same_bytes() {
    for device in devices() {
        for (name, options) in runs() {
            let uncut = finish(&mut trainer(&device, &options));
            let plain = finish(&mut trainer(&device, &crate::options(options.optimizer)));
            assert!(uncut.1 != plain.1, "{}, {name}: it changes nothing", device.name());
            let files = all_checkpoints(&device, &options, Interval::Steps(1));
            // Within an epoch and a group, at an epoch's end, and before a group that is not whole.
            for cut in [2, 8, 11] {
                let found = finish(&mut resumed(&device, &options, &files[cut]));
                assert!(found == uncut, "{}, {name}, cut at step {cut}", device.name());
            }
        }
    }
}

/// Activations that are computed again change no byte, wherever in a run that begins or ends.
#[test]
fn a_run_goes_on_with_and_without_recomputed_activations() {
    for device in devices() {
        let keeps = options(OptimizerName::Adam);
        let again = TrainOptions { recompute: true, ..keeps.clone() };
        let uncut = finish(&mut trainer(&device, &keeps));
        assert!(finish(&mut trainer(&device, &again)) == uncut, "{}", device.name());
        for (begins, ends) in [(&keeps, &again), (&again, &keeps)] {
            let files = all_checkpoints(&device, begins, Interval::Steps(1));
            assert!(finish(&mut resumed(&device, ends, &files[5])) == uncut, "{}", device.name());
        }
    }
}

/// Between two updates the weights stay to the bit; there are as many as groups of batches.
#[test]
fn accumulated_gradients_update_once_a_group() {
    for device in devices() {
        let options = TrainOptions { accumulate: 3, ..options(OptimizerName::Adam) };
        let files = all_checkpoints(&device, &options, Interval::Steps(1));
        let weights: Vec<Weights> =
            files.iter().map(|file| Checkpoint::from_bytes(file).expect("a file").weights).collect();
        let changed: Vec<bool> = weights.windows(2).map(|pair| pair[0] != pair[1]).collect();
        assert_eq!(changed, [false, false, true, true].repeat(3), "{}", device.name());
    }
}

/// The average of all weights, running statistics included, computed again from the weights after each step.
#[test]
fn the_average_is_that_of_the_weights_behind_each_step() {
    let net = Sequential::new([8, 8, 1]).conv2d(3, 3).batch_norm().relu().flatten().dense(4).build().expect("a model");
    let options = TrainOptions { ema: Some(0.5), ..options(OptimizerName::Sgd) };
    for device in devices() {
        let mut trainer = Trainer::new(&device, &net, &data(0), &options, None).expect("a trainer");
        trainer.checkpoints(Some(Interval::Steps(1)));
        let mut expected: Option<Weights> = None;
        let mut steps = 0;
        let fitted = pollster::block_on(trainer.fit(|event| {
            if let Event::Checkpoint(Checkpoint { weights, state, .. }) = event {
                let t = state.progress.step as f64 - 1.0;
                let share = (1.0 - 0.5f64).max(9.0 / (10.0 + t));
                let average = expected.get_or_insert_with(|| weights.clone());
                for (e, w) in average.tensors.iter_mut().zip(&weights.tensors) {
                    for (e, w) in e.values.iter_mut().zip(&w.values) {
                        *e = (f64::from(*e) + share * f64::from(*w - *e)) as f32;
                    }
                }
                let Event::Checkpoint(checkpoint) = event else { unreachable!() };
                let found = checkpoint.final_weights();
                assert!(steps == 0 || *found != checkpoint.weights, "the average lags behind");
                for (e, f) in average.tensors.iter().zip(&found.tensors) {
                    assert_eq!(e.name, f.name);
                    let off = e.values.iter().zip(&f.values).map(|(e, f)| (e - f).abs()).fold(0.0, f32::max);
                    assert!(off <= 1e-5, "{}, step {steps}, {}: {off}", device.name(), e.name);
                }
                steps += 1;
            }
            std::ops::ControlFlow::Continue(())
        }));
        fitted.expect("a run");
        assert_eq!(steps, 13);
    }
}

/// Reading a checkpoint file gives the average; resuming the run gives both.
#[test]
fn the_weights_of_a_checkpoint_are_the_average() {
    let options = TrainOptions { ema: Some(0.9), ..options(OptimizerName::Adam) };
    let file = all_checkpoints(&cpu(), &options, Interval::Steps(3)).pop().expect("a checkpoint");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("last.safetensors");
    std::fs::write(&path, &file).expect("a file");
    let read = Weights::load(&path).expect("weights").1;
    let checkpoint = Checkpoint::from_bytes(&file).expect("a checkpoint");
    assert_eq!(&read, checkpoint.final_weights());
    assert_ne!(read, checkpoint.weights);
    let trainer = resumed(&cpu(), &options, &file);
    let left = pollster::block_on(trainer.weights()).expect("weights");
    assert_eq!(left, read);
}
