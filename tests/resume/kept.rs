//! The results of a run and its decisions: the best epoch's weights, a plateau of the validation loss, balanced
//! classes.

use crate::common::{Place, number};
use crate::{TRAIN, is_same};

/// A rate that is lowered between epochs comes back, also where the last epoch ended before its time and is opened again.
#[test]
fn a_rate_that_was_lowered_on_a_plateau_comes_back() {
    let place = Place::new();
    let options = "--schedule plateau --plateau-patience 0 --plateau-threshold 0.9 --plateau-factor 0.5 --lr 0.01 --device cpu \
                   --no-report";
    place.works(&format!("{TRAIN} --epochs 4 {options} --run-dir uncut"));
    place.works(&format!("{TRAIN} --epochs 4 {options} --max-steps 10 --run-dir cut"));
    place.works("train --resume cut --epochs 4 --no-report");
    is_same(&place, "cut", "uncut");
    let rates: Vec<f64> = place.lines("cut/metrics.jsonl").iter().map(|line| number(line, "lr")).collect();
    assert_eq!(rates, [0.01, 0.01, 0.005, 0.0025]);
    place.works(&format!("{TRAIN} --epochs 4 --device cpu --lr 0.01 --no-report --run-dir constant"));
    assert!(place.read("cut/model.safetensors") != place.read("constant/model.safetensors"), "the rates are used");
}

/// Noise under labels that say nothing of it: a net memorises it, and its validation loss falls only for a while.
#[test]
fn the_best_epochs_weights_are_kept() {
    let place = Place::new();
    let mut state = 1u32;
    let mut draw = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let row = |_| {
        let pixels: Vec<String> = (0..16).map(|_| draw(256).to_string()).collect();
        format!("{},{}\n", draw(2), pixels.join(","))
    };
    place.write("noise.csv", (0..60).map(row).collect::<String>());
    let train = "train --data noise.csv --image-size 4 --model mlp --batch-size 8 --lr 0.01 --validation-split 0.25 \
                 --device cpu --no-report";
    let done = place.works(&format!("{train} --epochs 6 --keep best --format json --run-dir run"));
    let end: serde_json::Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    let best = end["best"]["epoch"].as_u64().unwrap();
    assert!(best < 6 && end["model_epoch"] == best, "{end}");
    assert!(done.err.contains("(kept in model.safetensors)"), "{}", done.err);
    place.works(&format!("{train} --epochs {best} --run-dir short"));
    place.works(&format!("{train} --epochs 6 --run-dir last"));
    assert!(place.read("run/model.safetensors") == place.read("short/model.safetensors"));
    assert_eq!(place.read("run/test.json"), place.read("short/test.json"), "it is what is tested");
    assert!(place.read("run/model.safetensors") != place.read("last/model.safetensors"));
    // It may be had afterwards, and given back.
    place.works("train --resume run --keep last --no-report");
    assert!(place.read("run/model.safetensors") == place.read("last/model.safetensors"));
    place.works("train --resume last --keep best --no-report");
    assert!(place.read("last/model.safetensors") == place.read("short/model.safetensors"));
    assert_eq!(place.read("last/test.json"), place.read("short/test.json"));
}

/// Balanced weights are the same run as their numbers, which are printed: 30 labels of 4 classes, 8, 8, 7 and 7 of
/// each.
#[test]
fn balanced_class_weights_are_those_of_the_labels() {
    let place = Place::new();
    let train = format!("{TRAIN} --train-limit 30 --device cpu --no-report");
    let done = place.works(&format!("{train} --epochs 2 --class-weights balanced --run-dir run"));
    let note = "note: class weights (and samples): 0 0.9375 (8), 1 1.0714 (7), 2 1.0714 (7), 3 0.9375 (8)\n";
    assert!(done.err.contains(note), "{}", done.err);
    let (few, many) = (30.0 / (4.0 * 7.0), 30.0 / (4.0 * 8.0));
    place.works(&format!("{train} --epochs 2 --class-weights {many},{few},{few},{many} --run-dir numbers"));
    assert!(place.read("run/model.safetensors") == place.read("numbers/model.safetensors"));
    let config = String::from_utf8(place.read("run/config.toml")).unwrap();
    assert!(config.contains("class_weights = \"balanced\""), "{config}");
    place.works("train --resume run --epochs 3 --no-report");
    place.works(&format!("{train} --epochs 3 --class-weights balanced --run-dir longer"));
    is_same(&place, "run", "longer");
    let done = place.call(&format!("{train} --class-weights balance --run-dir no"));
    assert!(done.status == Some(2) && done.err.contains("'balance': expected a number for each class"), "{}", done.err);
}
