//! Code shared by the tests of the plans: the cases of every op and the steps of the presets, lowered without a device.
// Every test file compiles this module for itself and uses a part of it.
#![allow(dead_code)]

use wgrad::ir::launch::KernelClass;
use wgrad::model::{Model, presets};
use wgrad::ops;
use wgrad::plan::lower::{Target, lower};
use wgrad::plan::{Limits, Plan};
use wgrad::train::settings::loss::Criterion;
use wgrad::train::settings::options::{OptimizerName, TrainOptions};
use wgrad::train::step::{Step, schema_of};

/// The lowerings: tiles, and lanes for every size of subgroup that an adapter is given them for.
pub const CLASSES: [KernelClass; 4] =
    [KernelClass::Tile, KernelClass::Lanes(4), KernelClass::Lanes(8), KernelClass::Lanes(16)];

/// Rows of a preset's batch.
pub const BATCH: usize = 128;

/// The target of a class within the portable limits.
pub fn target(class: KernelClass) -> Target {
    Target { class, limits: Limits::PORTABLE, reuse: true }
}

/// A preset for the images that it was made for.
pub fn preset(name: &str) -> Model {
    Model::without_data(name).expect("a preset")
}

/// The training and the evaluation step of a preset over 60,000 and 10,000 samples.
pub fn steps(name: &str, optimizer: OptimizerName) -> [(&'static str, Step); 2] {
    // What a portable binding holds; a preset for larger images has more, which come through a window.
    let device_data_limit = Some(Limits::PORTABLE.binding_bytes);
    // Of a larger net a batch that these limits hold.
    let batch = if presets::SLOW.contains(&name) { BATCH / 8 } else { BATCH };
    let options = TrainOptions { batch_size: batch, optimizer, device_data_limit, ..TrainOptions::default() };
    let model = preset(name);
    let training = Step::training(&model, 60_000, &options).expect("a training step");
    let plain = Criterion::default();
    let schema = schema_of(&model).expect("fields");
    let evaluation = Step::evaluation_by(&plain, &model, &schema, 10_000, batch, device_data_limit);
    let evaluation = evaluation.expect("an evaluation step");
    [("training", training), ("evaluation", evaluation)]
}

/// The plans of all presets in a class, each with what it is for.
pub fn preset_plans(class: KernelClass) -> Vec<(String, Plan)> {
    let mut plans = Vec::new();
    // Those of published nets are of the same kernels, and take minutes.
    let published = presets::published();
    for name in presets::names().into_iter().filter(|name| !published.contains(name)) {
        for optimizer in [OptimizerName::Adam, OptimizerName::Adamw, OptimizerName::Sgd] {
            for (kind, step) in steps(name, optimizer) {
                let plan = lower(&step.graph, target(class)).unwrap_or_else(|e| panic!("{name} {kind} {class}: {e}"));
                plans.push((format!("{name} {kind} {class}"), plan));
            }
        }
    }
    plans
}

/// The plans of every case of every op in every class, each with its op.
pub fn case_plans() -> Vec<(&'static str, KernelClass, Plan)> {
    let mut plans = Vec::new();
    for entry in ops::ALL.iter() {
        for case in (entry.cases)() {
            let (graph, _, _) = case.graph().unwrap_or_else(|e| panic!("{}: {e}", case.label()));
            for class in CLASSES {
                let plan = lower(&graph, target(class)).unwrap_or_else(|e| panic!("{} {class}: {e}", case.label()));
                plans.push((entry.name, class, plan));
            }
        }
    }
    plans
}
