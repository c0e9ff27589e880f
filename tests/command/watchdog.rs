//! The watchdog: a non-finite number stops the run, at its step, with the op where it began; nothing else does.

use crate::common::{Place, adapter};
use crate::noise::noise;
use std::ops::ControlFlow;
use std::time::Duration;
use wgrad::data::Dataset;
use wgrad::device::Device;
use wgrad::device::gpu::executor::Executor;
use wgrad::device::gpu::{classes_of, limits_of};
use wgrad::ir::case::Case;
use wgrad::ir::graph::{Graph, Tensor, TensorInfo};
use wgrad::ir::launch::{Lower, Source};
use wgrad::ir::op::{Backward, In, Op, Out, Real, Reference, Rounding};
use wgrad::ir::values::Values;
use wgrad::model::{Inferred, Inputs, Layer, Model, Sequential};
use wgrad::ops::optim::adam::Adam;
use wgrad::ops::optim::sgd::Sgd;
use wgrad::ops::optim::step_end::{StepEnd, Weighing};
use wgrad::plan::lower::{Target, lower};
use wgrad::step::control::Control;
use wgrad::step::nonfinite::{GRADIENT, LOSS, PARAMETER, STATE};
use wgrad::step::schedule::Rates;
use wgrad::train::epochs::trainer::{Event, Trainer};
use wgrad::train::settings::options::{OptimizerName, TrainOptions};
use wgrad::train::state::checkpoint::Checkpoint;

fn devices() -> [Device; 2] {
    [adapter::device(), Device::cpu(2).expect("two threads")]
}

/// The fault that a case's op leaves on each device and in its plain form.
fn faults(case: &Case) -> Vec<u32> {
    let word = |values: &Values| match values {
        Values::Word(words) => words[0],
        // The log's first record ends in it.
        Values::Float(log) => log[3] as u32,
        _ => panic!("the fault is a word, or a number of the log"),
    };
    let mut found = Vec::new();
    for fast in [false, true] {
        let mut y: Vec<Values> = case.y.iter().map(|(_, values)| values.clone()).collect();
        let x: Vec<In<f32>> = case.x.iter().map(|(info, x)| x.arg(0, &info.shape.0)).collect();
        let mut out: Vec<Out<f32>> = y.iter_mut().map(Values::result).collect();
        if fast {
            case.op.fast(&x, &mut out)
        } else {
            case.op.reference_f32(&x, &mut out)
        }
        drop(out);
        found.push(word(y.last().expect("the fault")));
    }
    let [Device::Gpu(gpu), _] = devices() else { panic!("an adapter comes first") };
    for class in classes_of(&gpu) {
        let (graph, x, y) = case.graph().expect("a graph");
        let plan = lower(&graph, Target { class, limits: limits_of(&gpu), reuse: false }).expect("a plan");
        let mut executor = Executor::new(gpu.clone(), plan, None, false).expect("an executor");
        for (&t, (_, values)) in x.iter().chain(&y).zip(case.x.iter().chain(&case.y)) {
            executor.write(t, values.bytes()).expect("written");
        }
        executor.submit(1).expect("a step");
        let last = *y.last().expect("the fault");
        let bytes = pollster::block_on(executor.read(last)).expect("read");
        found.push(word(&Values::from_bytes(graph.info(last).dtype, &bytes)));
    }
    found
}

#[test]
fn the_optimizers_flag_what_is_no_finite_number_and_nothing_else() {
    const N: usize = 1027;
    let control = Control { rate: 0.5, valid: 1, correction1: 0.1, correction2: 0.001, ..Control::default() };
    let adam = Adam { betas: [0.9, 0.999], epsilon: 1e-7, l2: 0.0, decay: 0.0 };
    let sgd = Sgd { momentum: 0.9, l2: 0.0, nesterov: false };
    let (nan, inf, most) = (f32::NAN, f32::INFINITY, f32::MAX);
    // What is in which argument (0 the gradients, then what is updated), and the bits that each optimizer leaves.
    let table: [(usize, f32, u32, u32); 12] = [
        (0, nan, GRADIENT | PARAMETER | STATE, GRADIENT | PARAMETER | STATE),
        (0, -nan, GRADIENT | PARAMETER | STATE, GRADIENT | PARAMETER | STATE),
        (0, inf, GRADIENT | PARAMETER | STATE, GRADIENT | PARAMETER | STATE),
        (0, -inf, GRADIENT | PARAMETER | STATE, GRADIENT | PARAMETER | STATE),
        // The square of such a large gradient is infinite, and the parameter would never change again.
        (0, 1e21, STATE, 0),
        (0, 1e18, 0, 0),
        (0, most, STATE, 0),
        (1, nan, PARAMETER, PARAMETER),
        (1, -inf, PARAMETER, PARAMETER),
        (1, -most, 0, 0),
        (1, 1e-45, 0, 0),
        (2, nan, PARAMETER, PARAMETER | STATE),
    ];
    for (argument, value, by_adam, by_sgd) in table {
        for place in [0, 5, N - 1] {
            for (case, states, expected) in [(Case::new(adam), 2, by_adam), (Case::new(sgd), 1, by_sgd)] {
                let mut floats = vec![vec![0.25f32; N]; 2 + states];
                floats[argument][place] = value;
                let mut case = case.words([Control::WORDS], control.words());
                for (at, values) in floats.into_iter().enumerate() {
                    case = case.floats([N], values);
                    case = if at > 0 { case.in_place() } else { case };
                }
                // A bit that no optimizer knows stays, too.
                let case = case.words([1], vec![16]).in_place();
                for found in faults(&case) {
                    // Decay of 0 carries a parameter's NaN into the gradient, unless a compiler leaves it out.
                    let known = if argument == 1 { !(GRADIENT | STATE) } else { u32::MAX };
                    assert_eq!(
                        found & known,
                        (16 | expected) & known,
                        "{:?}: {value} in {argument} at {place}",
                        case.op
                    );
                }
            }
        }
    }
}

#[test]
fn a_steps_record_flags_a_loss_that_is_no_finite_number() {
    for (value, bit) in [(f32::NAN, LOSS), (-f32::NAN, LOSS), (f32::INFINITY, LOSS), (-f32::INFINITY, LOSS), (1e37, 0)]
    {
        for place in [0, 64, 66] {
            let mut loss = vec![0.25; 67];
            loss[place] = value;
            let op = StepEnd {
                batch: 67,
                capacity: 1,
                betas: [0.9, 0.999],
                rates: Rates::constant(1e-3),
                accumulate: 1,
                weighing: Weighing::Samples,
            };
            let control = Control { valid: 67, samples: 67, ..Control::default() };
            let case = Case::new(op).floats([67], loss).words([67], vec![1; 67]).words([1], vec![STATE]);
            let case = case.words([Control::WORDS], control.words()).in_place().floats([1, 6], vec![0.0; 6]).in_place();
            for found in faults(&case) {
                assert_eq!(found, STATE | bit, "{value} at {place}");
            }
        }
    }
}

/// `y = x`; the gradient is multiplied by 10³⁰ twice over where it is not 0, on every device.
#[derive(Clone, Copy, Debug)]
struct Explode {
    gradient: bool,
}

impl Reference for Explode {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let factor = F::of(if self.gradient { 1e30 } else { 1.0 });
        y[0].floats().iter_mut().zip(x[0].floats()).for_each(|(y, x)| *y = *x * factor * factor);
    }
}

impl Op for Explode {
    fn name(&self) -> &'static str {
        if self.gradient { "explode" } else { "pass_on" }
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        Ok(vec![TensorInfo::floats(self.name(), x[0].shape.clone())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> wgrad::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.apply(Explode { gradient: true }, &[dy])?[0])])
    }

    fn lower(&self, cx: &mut Lower) -> wgrad::Result<()> {
        const TEXT: &str = "override count: u32;
            override factor: f32;
            @group(0) @binding(0) var<storage, read> x: array<f32>;
            @group(0) @binding(1) var<storage, read_write> y: array<f32>;
            @compute @workgroup_size(64)
            fn main(@builtin(global_invocation_id) id: vec3u) {
                if id.x < count {
                    y[id.x] = x[id.x] * factor;
                    y[id.x] = y[id.x] * factor;
                }
            }";
        let source = Source::new(self.name(), TEXT);
        let count = cx.elements(cx.y[0]);
        let factor = if self.gradient { 1e30 } else { 1.0 };
        let launch = cx.kernel(source, &[])?.size("count", count).set("factor", factor);
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 2.0 }
    }
}

impl Layer for Explode {
    fn type_name(&self) -> &'static str {
        "explode"
    }

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        Ok(Inferred::of(inputs[0]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> wgrad::Result<Tensor> {
        Ok(graph.apply(*self, at.x)?[0])
    }
}

fn data() -> Dataset {
    noise([6, 6, 1], 3, [80, 8])
}

fn net(exploding: bool) -> Model {
    let net = Sequential::new([6, 6, 1]).name("net").conv2d(4, 3).relu().flatten();
    let net = if exploding { net.custom(Explode { gradient: false }) } else { net };
    net.dense(5).relu().dense(3).build().expect("a model")
}

/// A run's error, the records that came back, and the trainer as it is left.
fn run(device: &Device, model: &Model, options: &TrainOptions, within: Option<Duration>) -> (String, usize, Trainer) {
    let mut trainer = Trainer::new(device, model, &data(), options, None).expect("a trainer");
    within.into_iter().for_each(|within| trainer.replay_within(within));
    let mut healthy = 0;
    let fitted = pollster::block_on(trainer.fit(|event| {
        if let Event::Steps { records, .. } = event {
            assert!(records.iter().all(|record| record.fault == 0 && record.loss.is_finite()), "{records:?}");
            healthy += records.len();
        }
        ControlFlow::Continue(())
    }));
    let error = match fitted {
        Err(wgrad::Error::Failed(text)) => text,
        Err(other) => panic!("{other}"),
        Ok(_) => String::new(),
    };
    (error, healthy, trainer)
}

fn all_finite(trainer: &Trainer) -> bool {
    let weights = pollster::block_on(trainer.weights()).expect("weights");
    weights.tensors.iter().all(|tensor| tensor.values.iter().all(|x| x.is_finite()))
}

/// The loss is still finite, the gradient is not: that is enough, and the op is found.
#[test]
fn a_gradient_that_explodes_behind_a_finite_loss_stops_the_run() {
    for device in devices() {
        for optimizer in [OptimizerName::Adam, OptimizerName::Adamw, OptimizerName::Sgd] {
            let options = TrainOptions { epochs: 1, batch_size: 8, optimizer, ..TrainOptions::default() };
            let (error, healthy, trainer) = run(&device, &net(true), &options, None);
            let wants = [
                "step 1: the gradients, the parameters and the optimizer's state hold NaN or infinity; ",
                "it began in op explode",
                "from finite arguments, with explode [8, 64] (infinity in ",
                "; a smaller learning rate may help",
            ];
            assert!(wants.iter().all(|want| error.contains(want)), "{}: {error}", device.name());
            let named = error.contains("(kernel explode)");
            assert_eq!(named, matches!(device, Device::Gpu(_)), "{error}");
            assert_eq!((healthy, trainer.progress().step), (0, 0));
            assert!(all_finite(&trainer), "the trainer is back at its last good state");
        }
    }
}

/// Clipping does not make a number of what is none, a sign does not either, and what is only added up is found at once.
#[test]
fn nothing_between_gradients_and_weights_hides_what_is_no_number() {
    let base = || TrainOptions { epochs: 1, batch_size: 8, ..TrainOptions::default() };
    let all = [
        TrainOptions { optimizer: OptimizerName::Rmsprop, ..base() },
        TrainOptions { optimizer: OptimizerName::Lion, ..base() },
        TrainOptions { optimizer: OptimizerName::Adagrad, ..base() },
        TrainOptions { optimizer: OptimizerName::Adadelta, ..base() },
        TrainOptions { optimizer: OptimizerName::Lion, clip_norm: Some(1.0), ..base() },
        TrainOptions { clip_norm: Some(1e-3), ..base() },
        TrainOptions { clip_value: Some(1e-3), ..base() },
        TrainOptions { accumulate: 3, ..base() },
        TrainOptions { accumulate: 3, clip_value: Some(1.0), ema: Some(0.9), ..base() },
    ];
    for device in devices() {
        for options in &all {
            let (error, healthy, trainer) = run(&device, &net(true), options, None);
            let wants = ["step 1: the gradients", "it began in op explode"];
            assert!(wants.iter().all(|want| error.contains(want)), "{}, {options:?}: {error}", device.name());
            assert_eq!((healthy, trainer.progress().step), (0, 0));
            assert!(all_finite(&trainer), "the trainer is back at its last good state");
        }
    }
}

/// A learning rate that lets the numbers grow for a while: the step that is named is the first that is wrong.
#[test]
fn a_run_that_diverges_is_run_again_from_the_epochs_start() {
    for device in devices() {
        for (lr, momentum) in [(1e5, 0.0), (3e3, 0.9), (2e36, 0.0)] {
            let options = TrainOptions {
                epochs: 9,
                batch_size: 8,
                optimizer: OptimizerName::Sgd,
                lr: Some(lr),
                momentum,
                ..TrainOptions::default()
            };
            let model = Sequential::new([6, 6, 1]).name("linear").flatten().dense(5).dense(5).dense(3).build().unwrap();
            let (error, _, trainer) = run(&device, &model, &options, None);
            println!("{}, {lr}, {momentum}: {error}", device.name());
            let step: u64 =
                error.strip_prefix("step ").and_then(|e| e.split(':').next()?.parse().ok()).expect("a step");
            assert!(error.contains("it began in op ") && error.contains("from finite arguments"), "{error}");
            assert_eq!(trainer.progress().step, (step - 1) / 10 * 10, "the start of the epoch: {error}");
            assert!(all_finite(&trainer));
            if step > 1 {
                let shorter = TrainOptions { max_steps: Some(step - 1), ..options.clone() };
                let (error, healthy, trainer) = run(&device, &model, &shorter, None);
                assert_eq!((error.as_str(), healthy as u64), ("", step - 1), "{}", device.name());
                assert!(all_finite(&trainer));
            }
            let (without, ..) = run(&device, &model, &options, Some(Duration::ZERO));
            let start = error.split("; ").next().expect("a sentence");
            assert!(without.starts_with(start) && without.contains("the op where it began is not known"), "{without}");
        }
    }
}

#[test]
fn the_command_stops_with_status_1_and_the_last_good_checkpoint() {
    let place = Place::new();
    let train = "train --model tiny.toml --data data --batch-size 16 --epochs 50 --optimizer sgd --checkpoint-every 1";
    for device in ["auto", "cpu"] {
        let done = place.call(&format!("{train} --lr 1e38 --device {device} --run-dir {device}"));
        let last = done.err.lines().last().unwrap_or_default();
        assert!(done.status == Some(1) && last.starts_with("error: step "), "{done:#?}");
        let path = format!("{device}/checkpoints/last.safetensors");
        for want in
            ["it began in op ", "a smaller learning rate may help", &format!("the last good checkpoint is {path}")]
        {
            assert!(last.contains(want), "{want}: {last}");
        }
        let good = Checkpoint::read(&place.path(&path)).expect("whole");
        let step = good.state.progress.step;
        assert!(last.starts_with(&format!("error: step {}: ", step + 1)), "{step}: {last}");
        assert!(good.weights.tensors.iter().all(|t| t.values.iter().all(|x| x.is_finite())));
        // On the same device the same comes again.
        let again = place.call(&format!("train --resume {device}"));
        assert_eq!((again.status, again.err.lines().last()), (Some(1), Some(last)));
    }
}
