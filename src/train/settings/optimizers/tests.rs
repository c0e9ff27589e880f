//! The contract of an optimizer's column.

use super::{Column, Constants, OptimizerName};
use crate::device::cpu;
use crate::ir::freeze::{Group, Run};
use crate::ir::graph::{Graph, Role, TensorInfo};
use crate::ir::values::Values;
use crate::ops;
use crate::step::control::Control;
use crate::train::settings::options::TrainOptions;
use std::collections::BTreeSet;

/// One element's new parameter by the settings, the step and the old parameter; the states are brought to the step.
pub type Formula = fn(&Constants, &At, f64, &mut [f64]) -> f64;

/// A step, as a formula sees it.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// The number of the step, from 1.
    pub step: i32,
    /// The learning rate.
    pub rate: f64,
    /// The element's gradient.
    pub gradient: f64,
}

const STEPS: i32 = 50;
const ELEMENTS: usize = 12;

/// The settings of three runs: the defaults, with a decay, and with whatever else the optimizer takes.
fn settings(optimizer: OptimizerName) -> Vec<TrainOptions> {
    let base = TrainOptions { optimizer, ..TrainOptions::default() };
    let has = optimizer.defaults();
    let all = TrainOptions {
        weight_decay: Some(0.05),
        momentum: has.momentum.map_or(0.0, |_| 0.8),
        nesterov: has.nesterov.is_some(),
        betas: has.betas.map(|_| [0.8, 0.95]),
        epsilon: has.epsilon.map(|_| 1e-3),
        rho: has.rho.map(|_| 0.8),
        ..base.clone()
    };
    vec![base.clone(), TrainOptions { weight_decay: Some(0.1), ..base }, all]
}

/// Gradients that differ in size and sign from element to element and from step to step.
fn gradient(element: usize, step: i32) -> f64 {
    let scale = 10f64.powi(element as i32 % 4 - 2);
    f64::from((scale * (0.3 + (1.7 * f64::from(step) + element as f64).sin())) as f32)
}

/// Fifty updates in single precision, and by the formula in double: the first elements of parameters and states, with
/// what the tolerance of each scales with.
fn updates(options: &TrainOptions) {
    let (optimizer, rate) = (options.optimizer(), f64::from(options.rate() as f32));
    let Column { name, states, formula, .. } = *optimizer.column;
    let mut graph = Graph::new();
    let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]).role(Role::Control));
    let fault = graph.tensor(TensorInfo::words("fault", [1]).role(Role::Control));
    let floats = |name: &str| TensorInfo::floats(name, [ELEMENTS]).role(Role::State);
    let [params, grads] = ["params", "grads"].map(|name| graph.tensor(floats(name)));
    let run = Run { params, grads, offset: 0, elements: ELEMENTS, group: Group { decays: true, rate: 1.0 } };
    let before = graph.tensors.len();
    optimizer.update(&mut graph, [control, fault], &[run], ELEMENTS).expect("an update");
    let made: Vec<_> = graph.tensors[before..before + states.len()].iter().map(|info| &*info.name).collect();
    assert_eq!(made, states, "{name}: one arena a state, by its name");
    let state_tensors: Vec<_> = (before..before + states.len()).map(|at| graph.tensors[at].clone()).collect();
    assert!(state_tensors.iter().all(|info| info.elements() == ELEMENTS && info.role == Role::State), "{name}");
    let op = graph.nodes[0].op.clone();
    let infos = op.outputs(&[graph.info(control), graph.info(grads)]).expect("results");
    let results: Vec<&str> = infos.iter().map(|info| &*info.name).collect();
    assert_eq!(results[1..results.len() - 1], *states, "{name}: the op's results are the column's states");
    assert!(ops::ALL.iter().any(|entry| entry.name == op.name()), "{name}: {} is in the registry", op.name());

    let mut executor = cpu::Executor::<f32>::new(graph, true).expect("an executor");
    let mut p: Vec<f64> = (0..ELEMENTS).map(|at| f64::from(((at as f64).cos() * 0.5) as f32)).collect();
    let first = p.clone();
    let mut s = vec![vec![0.0; states.len()]; ELEMENTS];
    // What was added to each parameter so far, all of it taken as positive.
    let mut path: Vec<f64> = p.iter().map(|p| p.abs()).collect();
    executor.set(params, Values::Float(p.iter().map(|p| *p as f32).collect())).expect("set");
    for step in 1..=STEPS {
        let [c1, c2] = optimizer.betas().map(|beta| (1.0 - beta.powi(step)) as f32);
        let words = Control { rate: rate as f32, correction1: c1, correction2: c2, valid: 1, ..Control::default() };
        executor.set(control, Values::Word(words.words())).expect("set");
        let now: Vec<f64> = (0..ELEMENTS).map(|element| gradient(element, step)).collect();
        executor.set(grads, Values::Float(now.iter().map(|g| *g as f32).collect())).expect("set");
        executor.step();
        for (at, gradient) in now.into_iter().enumerate() {
            let new = formula(&optimizer.constants, &At { step, rate, gradient }, p[at], &mut s[at]);
            path[at] += (new - p[at]).abs();
            p[at] = new;
        }
    }
    let Values::Float(found) = executor.get(params) else { panic!("parameters are floats") };
    // A step rounds a few dozen times at most, each time by half a unit of a part of the path; fifty steps add up.
    let unit = f64::from(f32::EPSILON) / 2.0;
    for at in 0..ELEMENTS {
        let (off, most) = ((p[at] - f64::from(found[at])).abs(), 32.0 * f64::from(STEPS) * unit * path[at]);
        assert!(
            off <= most,
            "{name}, element {at}: found {}, expected {}, {off:.1e} of {most:.1e} off",
            found[at],
            p[at]
        );
        assert!(path[at] - first[at].abs() > 20.0 * most, "{name}, element {at}: the path is too short to tell");
    }
}

#[test]
fn every_optimizer_follows_its_formula_for_fifty_steps() {
    for &optimizer in OptimizerName::ALL {
        settings(optimizer).iter().for_each(updates);
    }
}

#[test]
fn names_are_those_of_the_files() {
    let names: BTreeSet<String> = OptimizerName::NAMES.iter().map(|name| (*name).to_string()).collect();
    assert_eq!(names.len(), OptimizerName::ALL.len(), "a name is there twice");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/train/settings/optimizers");
    let text = |path: &std::path::Path| std::fs::read_to_string(path).expect("a file");
    let files = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let columns = files.filter(|path| !path.ends_with("tests.rs") && text(path).contains("COLUMN: Column = Column {"));
    let columns: BTreeSet<String> =
        columns.map(|path| path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().into()).collect();
    assert_eq!(columns, names);
    for optimizer in OptimizerName::ALL {
        let text = serde_json::to_string(optimizer).expect("a name");
        assert_eq!(text, format!("\"{}\"", optimizer.name()));
        assert_eq!(serde_json::from_str::<OptimizerName>(&text).expect("an optimizer"), *optimizer);
    }
    let error = serde_json::from_str::<OptimizerName>("\"adm\"").expect_err("no such optimizer").to_string();
    assert!(error.starts_with("unknown variant `adm`, expected one of `adam`, `adamw`"), "{error}");
}

/// A setting is taken by exactly the optimizers whose columns have it.
#[test]
fn settings_are_refused_where_the_column_has_none() {
    for &optimizer in OptimizerName::ALL {
        let (base, has) = (TrainOptions { optimizer, ..TrainOptions::default() }, optimizer.defaults());
        assert_eq!(base.check(), Ok(()));
        let cases = [
            ("momentum", has.momentum.is_some(), TrainOptions { momentum: 0.5, ..base.clone() }),
            ("betas", has.betas.is_some(), TrainOptions { betas: Some([0.5, 0.6]), ..base.clone() }),
            ("epsilon", has.epsilon.is_some(), TrainOptions { epsilon: Some(0.5), ..base.clone() }),
            ("rho", has.rho.is_some(), TrainOptions { rho: Some(0.5), ..base.clone() }),
        ];
        for (setting, taken, options) in cases {
            let error = options.check().err().map(|error| error.to_string());
            assert_eq!(error.is_none(), taken, "{}, {setting}: {error:?}", optimizer.name());
            assert!(error.is_none_or(|e| e.starts_with(setting) && e.contains("none but with --optimizer ")));
        }
    }
}
