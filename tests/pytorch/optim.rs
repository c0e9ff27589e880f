//! Fifty steps of a tiny net with every optimizer and schedule, clipping, accumulation and the average of the weights,
//! compared with PyTorch's. An epoch has seven batches, the last of them smaller.

use crate::curves::initial;
use crate::fixtures::json;
use crate::forms::{Form, usual};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use wgrad::data::Split;
use wgrad::ir::graph::Tensor;
use wgrad::ir::values::Values;
use wgrad::model::formats::weights::to_memory;
use wgrad::model::{Model, ParamSpec, Sequential};
use wgrad::ops::optim::step_end::RECORD;
use wgrad::step::control::pcg;
use wgrad::train::settings::options::TrainOptions;
use wgrad::train::step::Step;

const STEPS: usize = 50;
const BATCH: usize = 16;
const SAMPLES: usize = 100;

/// How far losses may be off, relative to each, and weights, relative to the largest.
pub const TOLERANCE: f64 = 1e-4;

/// The images as the script draws them.
fn images() -> Split {
    let label = |k: usize| (pcg(k as u32 ^ 0x5EED) % 3) as u8;
    let pixel = |k: usize, p: usize| {
        let bright = if p % 3 == usize::from(label(k)) { 128 } else { 0 };
        (pcg((36 * k + p) as u32) & 127) as u8 + bright
    };
    let pixels = (0..SAMPLES).flat_map(|k| (0..36).map(move |p| pixel(k, p))).collect();
    Split::new([6, 6, 1], pixels, (0..SAMPLES).map(label).collect()).unwrap()
}

fn model() -> Model {
    let net = Sequential::new([6, 6, 1]).name("tiny").conv2d(5, 3).relu().flatten();
    net.dense(7).relu().dense(3).build().unwrap()
}

/// The settings of a run: those of the file, and what all have.
fn options(run: &Value) -> TrainOptions {
    let mut all = json!({ "batch_size": BATCH, "shuffle": false, "epochs": 8, "max_steps": STEPS });
    let own = run["options"].as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(own);
    let options: TrainOptions = serde_json::from_value(all).unwrap();
    options.check().unwrap();
    options
}

/// What a step's tensors hold at the start, parameter p the values `initial` of its place.
pub fn first_contents(
    step: &Step,
    model: &Model,
    split: &Split,
    options: &TrainOptions,
    initial: impl Fn(usize, &ParamSpec) -> Vec<f32>,
) -> Vec<(Tensor, Values)> {
    let control = step.start(0, options.rates(split.count).at(0), options.optimizer().betas());
    let mut contents: Vec<(Tensor, Values)> = step.data(split).unwrap();
    contents.push((step.control, Values::Word(control.words())));
    let mut arena = vec![0.0; step.graph.info(step.params).elements()];
    for (p, (spec, param)) in model.params().unwrap().iter().zip(&step.graph.params).enumerate() {
        let values = to_memory(&param.layout, &initial(p, spec)).unwrap();
        arena[step.graph.root(param.tensor).1..][..values.len()].copy_from_slice(&values);
    }
    contents.push((step.params, Values::Float(arena.clone())));
    contents.extend(step.ema.map(|ema| (ema, Values::Float(arena))));
    contents
}

/// Takes the steps and holds their losses to PyTorch's, relative to each; returns the average of the weights, where one is kept.
pub fn follows(
    name: &str,
    form: &Form,
    step: &Step,
    contents: &[(Tensor, Values)],
    want: &[f64],
    tolerance: f64,
) -> Option<Values<f64>> {
    let wanted: Vec<Tensor> = [step.log].into_iter().chain(step.ema).collect();
    let mut found = form.run(&step.graph, contents, &wanted, want.len(), true).into_iter();
    let Some(Values::Float(log)) = found.next() else { panic!("the log holds no floats") };
    let strays: Vec<f64> = log.chunks(RECORD).zip(want).map(|(row, want)| (row[0] - want).abs() / want).collect();
    let worst = strays.iter().copied().fold(0.0, f64::max);
    println!("{name} ({form}): at most {worst:.1e} off");
    // Written so that NaN is off.
    let off: Vec<usize> =
        (0..want.len()).filter(|&k| !strays.get(k).is_some_and(|stray| *stray <= tolerance)).map(|k| k + 1).collect();
    assert!(off.is_empty(), "{name} ({form}): at most {worst:.1e} off, in steps {off:?}");
    found.next()
}

fn check(run: &Value, form: &Form) {
    let (name, options, model, split) = (run["name"].as_str().unwrap(), options(run), model(), images());
    let step = Step::training(&model, SAMPLES, &options).unwrap();
    let contents = first_contents(&step, &model, &split, &options, initial);
    let want: Vec<f64> = run["losses"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(want.len(), STEPS);
    let found = follows(name, form, &step, &contents, &want, TOLERANCE);
    let Some(average) = run["average"].as_object() else { return };
    let Some(Values::Float(found)) = found else { panic!("the average holds no floats") };
    for param in &step.graph.params {
        let want: Vec<f64> = average[&param.name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let want = to_memory(&param.layout, &want).unwrap();
        let found = &found[step.graph.root(param.tensor).1..][..want.len()];
        let most = want.iter().fold(0.0f64, |most, w| most.max(w.abs()));
        let off = want.iter().zip(found).map(|(w, f)| (w - f).abs()).fold(0.0, f64::max);
        assert!(off <= TOLERANCE * most, "{name} ({form}): the average of {} is {off:.1e} of {most} off", param.name);
    }
}

fn runs() -> Vec<Value> {
    let table = json("optim.json");
    for (key, expected) in [("steps", STEPS), ("batch_size", BATCH), ("samples", SAMPLES)] {
        assert_eq!(table[key], expected, "{key}");
    }
    table["runs"].as_array().unwrap().clone()
}

/// The stored values are meaningful: clipping clips, and no two runs are the same.
#[test]
fn the_stored_runs_differ_and_clip() {
    let runs = runs();
    let mut ends = BTreeSet::new();
    for run in &runs {
        let clips = ["clip_norm", "clip_value"].iter().any(|key| run["options"][key].is_number());
        assert_eq!(clips, run["clipped"].as_u64().unwrap() > 5, "{}", run["name"]);
        // The average does not act on the losses.
        if run["average"].is_null() {
            assert!(ends.insert(run["losses"][STEPS - 1].to_string()), "{}", run["name"]);
        }
    }
    assert!(runs.len() > 20);
}

#[test]
fn every_run_follows_pytorch() {
    for run in runs() {
        usual().for_each(|form| check(&run, form));
    }
}
