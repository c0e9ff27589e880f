//! Fifty steps of small recurrent nets over the windows of one stream, held to PyTorch's.

use crate::fixtures::json;
use crate::forms::{Form, usual};
use crate::optim::{TOLERANCE, first_contents, follows};
use serde_json::{Value, json};
use wgrad::data::schema::Field;
use wgrad::data::{Column, Split};
use wgrad::model::{Model, ParamSpec};
use wgrad::step::control::pcg;
use wgrad::text::Unit;
use wgrad::train::settings::options::TrainOptions;
use wgrad::train::step::Step;

const STEPS: usize = 50;
const BATCH: usize = 4;
const LENGTH: usize = 8;
const VOCABULARY: usize = 17;

/// The windows of the stream that the script trains on, and one that only begins.
fn windows() -> Split {
    let tokens = STEPS * BATCH * LENGTH + 1;
    let token = |k: usize| ((3 * k + pcg(k as u32) as usize % 2) % VOCABULARY) as u8;
    let field = Field { stream: Some(tokens), ..Field::of_tokens(Unit::Chars, VOCABULARY, LENGTH) };
    let stored = (0..tokens.next_multiple_of(LENGTH)).map(token).collect();
    Split::of(vec![Column::new(field, stored).unwrap()]).unwrap()
}

/// First weights as the script draws them: biases 0, all else by its sizes in PyTorch's order.
fn initial(p: usize, spec: &ParamSpec) -> Vec<f32> {
    let &[rows, columns] = &spec.file_shape[..] else { return vec![0.0; spec.elements()] };
    let limit = (6.0 / (rows + columns) as f64).sqrt();
    let salt = (p as u32).wrapping_mul(0x9E37_79B9);
    let unit = |i: usize| f64::from(pcg(i as u32 ^ salt)) / 2f64.powi(32);
    (0..spec.elements()).map(|i| ((unit(i) * 2.0 - 1.0) * limit) as f32).collect()
}

fn model(layer: &Value) -> Model {
    let mut text =
        format!("input = {{ tokens = {LENGTH} }}\n[[layers]]\ntype = \"embedding\"\ntokens = {VOCABULARY}\n");
    text += "size = 6\n[[layers]]\nunits = 8\n";
    for (key, value) in layer.as_object().unwrap() {
        text += &format!("{key} = {value}\n");
    }
    text += &format!("[[layers]]\ntype = \"dense\"\nunits = {VOCABULARY}\n");
    Model::from_toml(&text, "net.toml", "net").unwrap()
}

fn check(run: &Value, form: &Form) {
    let (name, split) = (run["name"].as_str().unwrap(), windows());
    let mut all = json!({ "batch_size": BATCH, "shuffle": false, "epochs": 1, "max_steps": STEPS });
    all.as_object_mut().unwrap().extend(run["options"].as_object().unwrap().clone());
    let options: TrainOptions = serde_json::from_value(all).unwrap();
    let model = model(&run["layer"]);
    let step = Step::training_on(&model, &split.schema(), split.count, &options).unwrap();
    let contents = first_contents(&step, &model, &split, &options, initial);
    let want: Vec<f64> = run["losses"].as_array().unwrap().iter().map(|loss| loss.as_f64().unwrap()).collect();
    assert!(want[STEPS - 1] < want[0] - 0.5, "{name}: it learns");
    // A software adapter compiles and waits long, and `verify` holds its kernels to the same oracle.
    let steps = if form.is_software() { 8 } else { STEPS };
    follows(name, form, &step, &contents, &want[..steps], TOLERANCE);
}

#[test]
fn every_recurrence_follows_pytorch() {
    let table = json("recurrent.json");
    for (key, expected) in [("steps", STEPS), ("batch_size", BATCH), ("length", LENGTH), ("vocabulary", VOCABULARY)] {
        assert_eq!(table[key], expected, "{key}");
    }
    for run in table["runs"].as_array().unwrap() {
        let clips = run["options"]["clip_norm"].is_number();
        assert_eq!(clips, run["clipped"].as_u64().unwrap() > 5, "{}", run["name"]);
        usual().for_each(|form| check(run, form));
    }
}
