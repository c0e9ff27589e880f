//! Refused settings and their messages.

use super::*;

const OPTIMIZERS: [(OptimizerName, f64, f64); 7] = [
    (OptimizerName::Adam, 1e-3, 0.0),
    (OptimizerName::Adamw, 1e-3, 0.01),
    (OptimizerName::Sgd, 1e-2, 0.0),
    (OptimizerName::Rmsprop, 1e-3, 0.0),
    (OptimizerName::Lion, 1e-4, 0.0),
    (OptimizerName::Adagrad, 1e-2, 0.0),
    (OptimizerName::Adadelta, 1.0, 0.0),
];

/// Seven batches an epoch, of which three make an update: three updates, the last of one batch.
#[test]
fn schedules_count_updates() {
    let options = TrainOptions { batch_size: 16, epochs: 2, accumulate: 3, ..TrainOptions::default() };
    let found: Vec<u64> = (0..=14).map(|steps| options.updates(100, steps)).collect();
    assert_eq!(found, [0, 0, 0, 1, 1, 1, 2, 3, 3, 3, 4, 4, 4, 5, 6]);
    assert_eq!(options.rates(100).total, 6);
    let plain = TrainOptions { accumulate: 1, ..options };
    assert!((0..=14).all(|steps| plain.updates(100, steps) == steps));
}

#[test]
fn defaults_depend_on_the_optimizer() {
    for (optimizer, rate, decay) in OPTIMIZERS {
        let options = TrainOptions { optimizer, ..TrainOptions::default() };
        assert_eq!((options.rate(), options.decay()), (rate, decay), "{optimizer:?}");
        assert_eq!(options.check(), Ok(()));
    }
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    let base = TrainOptions::default;
    let sgd = || TrainOptions { optimizer: OptimizerName::Sgd, ..base() };
    let cases = [
        (TrainOptions { lr: Some(0.0), ..base() }, "learning rate 0"),
        (TrainOptions { lr: Some(-1e-3), ..base() }, "learning rate -0.001"),
        (TrainOptions { lr: Some(f64::NAN), ..base() }, "learning rate NaN"),
        (TrainOptions { lr: Some(f64::INFINITY), ..base() }, "learning rate inf"),
        (TrainOptions { lr: Some(1e-60), ..base() }, "learning rate"),
        (TrainOptions { lr: Some(1e60), ..base() }, "learning rate"),
        (TrainOptions { momentum: 1.0, ..sgd() }, "momentum 1"),
        (TrainOptions { momentum: f64::NAN, ..sgd() }, "momentum NaN"),
        (TrainOptions { momentum: 0.9, ..base() }, "momentum 0.9"),
        (TrainOptions { weight_decay: Some(-1.0), ..base() }, "weight decay -1"),
        (TrainOptions { weight_decay: Some(f64::NAN), ..base() }, "weight decay NaN"),
        (TrainOptions { ema: Some(1.0), ..base() }, "ema 1"),
        (TrainOptions { nesterov: true, ..base() }, "nesterov true"),
        (TrainOptions { nesterov: true, ..sgd() }, "nesterov true"),
        (TrainOptions { betas: Some([0.9, 1.0]), ..base() }, "betas 0.9,1"),
        (TrainOptions { betas: Some([f64::NAN, 0.9]), ..base() }, "betas NaN,0.9"),
        (TrainOptions { betas: Some([0.9, 0.9]), ..sgd() }, "betas 0.9,0.9"),
        (TrainOptions { epsilon: Some(0.0), ..base() }, "epsilon 0"),
        (TrainOptions { rho: Some(0.9), ..base() }, "rho 0.9"),
        (TrainOptions { rho: Some(1.0), optimizer: OptimizerName::Adadelta, ..base() }, "rho 1"),
        (TrainOptions { epsilon: Some(1e-60), ..base() }, "epsilon 0.0"),
        (TrainOptions { epsilon: Some(1e-8), ..sgd() }, "epsilon 0.0"),
        (TrainOptions { clip_norm: Some(0.0), ..base() }, "clip norm 0"),
        (TrainOptions { clip_norm: Some(f64::NAN), ..base() }, "clip norm NaN"),
        (TrainOptions { clip_value: Some(-1.0), ..base() }, "clip value -1"),
        (TrainOptions { clip_norm: Some(1.0), clip_value: Some(2.0), ..base() }, "clip value 2"),
        (TrainOptions { validation_split: Some(1.0), ..base() }, "validation split 1"),
        (TrainOptions { validation_split: Some(f64::NAN), ..base() }, "validation split NaN"),
        (TrainOptions { accumulate: 0, ..base() }, "accumulate 0"),
        (TrainOptions { ema: Some(f64::NAN), ..base() }, "ema NaN"),
        (TrainOptions { gamma: Some(0.5), ..base() }, "gamma 0.5"),
        (TrainOptions { schedule: ScheduleName::Step, gamma: Some(f64::NAN), ..base() }, "gamma NaN"),
        (TrainOptions { schedule: ScheduleName::Step, gamma: Some(1.5), ..base() }, "gamma 1.5"),
        (TrainOptions { schedule: ScheduleName::Step, step_every: Some(0), ..base() }, "step every 0"),
        (TrainOptions { step_every: Some(2), ..base() }, "step every 2"),
        (TrainOptions { schedule: ScheduleName::OneCycle, warmup_steps: 5, ..base() }, "warm-up steps 5"),
        (TrainOptions { pct_start: Some(0.5), ..base() }, "pct start 0.5"),
        (TrainOptions { schedule: ScheduleName::OneCycle, pct_start: Some(1.5), ..base() }, "pct start 1.5"),
        (TrainOptions { schedule: ScheduleName::OneCycle, div_factor: Some(0.5), ..base() }, "div factor 0.5"),
        (TrainOptions { schedule: ScheduleName::OneCycle, final_div_factor: Some(1e39), ..base() }, "final div factor"),
        (TrainOptions { epochs: 0, ..base() }, "epochs 0"),
        (TrainOptions { batch_size: 0, ..base() }, "batch size 0"),
        (TrainOptions { max_steps: Some(0), ..base() }, "max steps 0"),
        (TrainOptions { patience: Some(0), ..base() }, "patience 0"),
        (TrainOptions { device_data_limit: Some(0), ..base() }, "device data limit 0"),
        (TrainOptions { augment: Augment { rotate: 181.0, ..Augment::default() }, ..base() }, "augment rotate 181"),
    ];
    for (options, start) in cases {
        let error = options.check().expect_err(start).to_string();
        assert!(error.starts_with(start), "{error}");
    }
}
