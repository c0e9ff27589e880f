//! `wgrad train --resume` through the real command: restored state, messages and refusals.

#[path = "../common/mod.rs"]
mod common;
#[cfg(unix)]
mod faults;
#[cfg(unix)]
mod interrupt;
mod kept;
mod older;
mod refusals;
mod texts;

use common::{Done, Place, number};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The default adapter, and the native CPU.
const DEVICES: [&str; 2] = ["", "--device cpu"];

/// Four steps per epoch.
const TRAIN: &str = "train --model tiny.toml --data data --batch-size 16";

/// The logs of a run without what a clock decides.
fn logs(place: &Place, run: &str) -> (Vec<Value>, String, Vec<u8>) {
    let mut metrics = place.lines(&format!("{run}/metrics.jsonl"));
    for line in &mut metrics {
        ["seconds", "images_per_second"].iter().for_each(|key| line[key] = Value::Null);
    }
    let csv = String::from_utf8(place.read(&format!("{run}/metrics.csv"))).unwrap();
    let timeless = |row: &str| row.split(',').take(6).collect::<Vec<_>>().join(",") + "\n";
    let steps = fs::read(place.path(&format!("{run}/steps.jsonl"))).unwrap_or_default();
    (metrics, csv.lines().map(timeless).collect(), steps)
}

/// The one event file of a run, and how long it is; its points have a fixed length.
fn events(place: &Place, run: &str) -> (String, usize) {
    let names = place.path(run).read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let found: Vec<String> = names.filter(|name| name.starts_with("events.out.tfevents.")).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    let length = place.read(&format!("{run}/{}", found[0])).len();
    (found[0].clone(), length)
}

/// Holds a run to one that was not cut.
fn is_same(place: &Place, run: &str, uncut: &str) {
    for file in ["model.safetensors", "config.toml"] {
        assert!(place.read(&format!("{run}/{file}")) == place.read(&format!("{uncut}/{file}")), "{file} of {run}");
    }
    assert_eq!(logs(place, run), logs(place, uncut), "{run}");
    assert_eq!(events(place, run).1, events(place, uncut).1, "{run}");
    // The checkpoints differ in times alone; eval reads them as it reads a model.
    for name in ["best", "last"] {
        let eval = |run: &str| {
            place.works(&format!("eval {run}/checkpoints/{name}.safetensors --data data --json --device cpu")).out
        };
        assert_eq!(eval(run), eval(uncut), "{name} of {run}");
    }
    let mut names: Vec<_> = place.path(&format!("{run}/checkpoints")).read_dir().unwrap().collect();
    names.retain(|name| name.as_ref().unwrap().file_name().to_str().unwrap().ends_with(".tmp"));
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn a_run_that_was_cut_ends_as_one_that_was_not() {
    for device in DEVICES {
        let place = Place::new();
        let options = format!("--log-steps --checkpoint-every 3 {device}");
        place.works(&format!("{TRAIN} --epochs 3 {options} --run-dir uncut"));
        place.works(&format!("{TRAIN} --epochs 3 {options} --max-steps 6 --run-dir cut"));
        // From elsewhere: the data is where it was, the model is in the checkpoint.
        fs::remove_file(place.path("tiny.toml")).unwrap();
        fs::create_dir(place.path("elsewhere")).unwrap();
        let done = call_in(&place, "elsewhere", "train --resume ../cut --epochs 3");
        assert_eq!(done.status, Some(0), "{done:#?}");
        assert!(
            done.err.contains("at step 6 of 12, in epoch 2") && !done.err.contains("another device,"),
            "{}",
            done.err
        );
        assert_eq!(done.out.lines().count(), 2, "epochs 2 and 3: {}", done.out);
        is_same(&place, "cut", "uncut");
        // From the one before the last, which was step 11 or so: the end comes again.
        let again = place.works("train --resume cut --from-previous");
        assert!(again.err.contains("at step 9 of 12, in epoch 3"), "{}", again.err);
        is_same(&place, "cut", "uncut");
    }
}

/// The rates of a schedule follow from a step's number and the length of the run.
#[test]
fn a_run_with_a_schedule_that_was_cut_ends_as_one_that_was_not() {
    for device in DEVICES {
        for schedule in [
            "--schedule cosine --warmup-steps 3",
            "--schedule one-cycle",
            "--schedule step --gamma 0.5",
            // Every epoch after the first is a plateau.
            "--schedule plateau --plateau-patience 0 --plateau-threshold 0.9",
        ] {
            let place = Place::new();
            let options = format!("{schedule} --log-steps --checkpoint-every 2 {device} --no-report");
            place.works(&format!("{TRAIN} --epochs 3 {options} --run-dir uncut"));
            place.works(&format!("{TRAIN} --epochs 3 {options} --run-dir cut"));
            place.works("train --resume cut --from-previous --no-report");
            is_same(&place, "cut", "uncut");
            let rates: Vec<f64> =
                place.lines("cut/metrics.jsonl").iter().map(|line| line["lr"].as_f64().expect("lr")).collect();
            assert!(rates[2] < rates[1] && rates[1] <= 1e-3, "{schedule}: {rates:?}");
        }
    }
}

/// The options between gradients and weights, through flags.
#[test]
fn a_run_with_an_average_and_accumulation_that_was_cut_ends_as_one_that_was_not() {
    for device in DEVICES {
        let place = Place::new();
        let options = format!(
            "--ema 0.9 --accumulate 3 --clip-norm 0.5 --optimizer rmsprop --momentum 0.5 --init-method he-normal \
             --schedule cosine --log-steps --checkpoint-every 2 {device} --no-report"
        );
        place.works(&format!("{TRAIN} --epochs 3 {options} --run-dir uncut"));
        place.works(&format!("{TRAIN} --epochs 3 {options} --run-dir cut"));
        place.works("train --resume cut --from-previous --no-report");
        is_same(&place, "cut", "uncut");
        // The model is the average, and so is what a checkpoint is evaluated as.
        let eval = |file: &str| place.works(&format!("eval cut/{file} --data data --json --device cpu")).out;
        assert_eq!(eval("model.safetensors"), eval("checkpoints/last.safetensors"));
        let found: Value = serde_json::from_str(&eval("model.safetensors")).unwrap();
        let last = place.lines("cut/metrics.jsonl").pop().unwrap();
        let [found, validated] = [&found["loss"], &last["val_loss"]].map(|loss| loss.as_f64().expect("a loss"));
        assert!((found - validated).abs() < 1e-5, "{found} {validated}");
    }
}

/// A share of the training samples is used for validation, and the test set is used at the end.
#[test]
fn a_validation_split_leaves_the_test_set_to_the_end() {
    for device in DEVICES {
        let place = Place::new();
        let options = format!("--validation-split 0.25 --checkpoint-every 2 {device} --format json");
        let done = place.works(&format!("{TRAIN} --epochs 3 {options} --run-dir uncut"));
        place.works(&format!("{TRAIN} --epochs 3 {options} --run-dir cut"));
        place.works("train --resume cut --from-previous --format json");
        is_same(&place, "cut", "uncut");
        assert_eq!(place.read("cut/test.json"), place.read("uncut/test.json"));
        let found: Value = serde_json::from_slice(&place.read("cut/test.json")).unwrap();
        let eval = place.works("eval cut/model.safetensors --data data --json --device cpu").out;
        let eval: Value = serde_json::from_str(&eval).unwrap();
        assert_eq!((&found["accuracy"], &found["samples"]), (&eval["accuracy"], &eval["samples"]));
        let end: Value = serde_json::from_str(done.out.lines().last().expect("a line")).unwrap();
        assert_eq!((&end["event"], &end["test_loss"]), (&Value::from("end"), &found["loss"]), "{end}");
        let last = place.lines("cut/metrics.jsonl").pop().unwrap();
        assert_ne!(last["val_loss"], found["loss"], "not what the epochs were validated on");
    }
}

/// A run that patience has ended continues if more epochs are requested.
#[test]
fn a_run_that_patience_ended_is_prolonged() {
    let place = Place::new();
    // So large a rate that the loss over the test set soon gets worse.
    let done = place.works(&format!(
        "{TRAIN} --epochs 50 --lr 0.3 --label-smoothing 0.1 --patience 2 --device cpu --no-report --run-dir run"
    ));
    let ended = place.lines("run/metrics.jsonl").len();
    assert!((3..50).contains(&ended), "{ended} epochs: {}", done.out);
    let losses: Vec<f64> =
        place.lines("run/metrics.jsonl").iter().map(|line| line["val_loss"].as_f64().expect("a loss")).collect();
    let best = losses[..ended - 2].iter().copied().fold(f64::INFINITY, f64::min);
    assert!(losses[ended - 3] == best && losses[ended - 2..].iter().all(|loss| *loss >= best), "{losses:?}");
    let done = place.works("train --resume run");
    assert!(done.err.contains("the run is finished"), "{}", done.err);
    place.works(&format!("train --resume run --epochs {} --no-report", ended + 1));
    assert_eq!(place.lines("run/metrics.jsonl").len(), ended + 1);
}

fn call_in(place: &Place, folder: &str, line: &str) -> Done {
    let mut command = common::wgrad();
    common::call(command.args(line.split_whitespace()), &place.path(folder))
}

#[test]
fn a_finished_run_says_so_and_gets_back_what_is_missing() {
    let place = Place::new();
    place.works(&format!("{TRAIN} --epochs 2 --device cpu --run-dir run --log-steps"));
    place.works(&format!("{TRAIN} --epochs 2 --device cpu --run-dir same --log-steps"));
    let kept = place.read("run/metrics.jsonl");
    let (event_file, length) = events(&place, "run");
    let files = ["model.safetensors", "metrics.jsonl", "metrics.csv", "checkpoints/best.safetensors", &event_file];
    for name in files.iter().chain(&["report.html"]) {
        fs::remove_file(place.path(&format!("run/{name}"))).unwrap();
    }
    place.works("train --resume run --no-report");
    assert!(!place.path("run/report.html").exists(), "it was not wanted");
    place.works("train --resume run");
    assert!(place.path("run/report.html").exists());
    // The name of the event file contains the second in which it was created again.
    let (event_file, _) = events(&place, "run");
    for name in files[..4].iter().chain(&[&*event_file]) {
        fs::remove_file(place.path(&format!("run/{name}"))).unwrap();
    }
    let done = place.works("train --resume run");
    assert!(done.err.contains("the run is finished, 2 epochs and 8 steps") && done.out.is_empty(), "{done:#?}");
    assert!(!done.err.contains("device"), "nothing is left to compute: {}", done.err);
    assert!(place.read("run/metrics.jsonl") == kept, "times included");
    assert_eq!(events(&place, "run").1, length);
    is_same(&place, "run", "same");
    let changed = |name: &str| fs::metadata(place.path(&format!("run/{name}"))).unwrap().modified().unwrap();
    let before = ["model.safetensors", "metrics.csv", "config.toml"].map(changed);
    place.works("train --resume run --quiet");
    assert_eq!(before, ["model.safetensors", "metrics.csv", "config.toml"].map(changed), "nothing was missing");
    let json = place.works("train --resume run --format json").out;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["event"], "finished");
    // And prolonged, it is the longer run.
    place.works(&format!("{TRAIN} --epochs 3 --device cpu --run-dir longer --log-steps"));
    place.works("train --resume run --epochs 3");
    is_same(&place, "run", "longer");
}

/// The test metrics at the end are restored too, where the epochs were validated on other data.
#[test]
fn a_finished_run_is_tested_again_where_that_is_missing() {
    let place = Place::new();
    place.works(&format!("{TRAIN} --epochs 2 --device cpu --run-dir run --validation-split 0.25 --ema 0.9"));
    let kept = place.read("run/test.json");
    fs::remove_file(place.path("run/test.json")).unwrap();
    let done = place.works("train --resume run --no-report");
    assert!(done.err.contains("test_accuracy"), "{}", done.err);
    assert_eq!(place.read("run/test.json"), kept);
    assert!(!place.works("train --resume run --no-report").err.contains("test_accuracy"), "it is there");
}

#[test]
fn logs_are_cut_back_to_the_checkpoint() {
    let place = Place::new();
    place.works(&format!("{TRAIN} --epochs 3 --device cpu --run-dir uncut --log-steps"));
    place.works(&format!("{TRAIN} --epochs 2 --device cpu --run-dir cut --log-steps"));
    // As if it had been killed in epoch 3: after its checkpoint it wrote more, some of it half.
    let append = |name: &str, text: &[u8]| {
        let old = place.read(&format!("cut/{name}"));
        place.write(&format!("cut/{name}"), [&old[..], text].concat());
    };
    append("metrics.jsonl", b"{\"epoch\":3,\"step\":12,\"loss\":7}\n{\"epo");
    append("metrics.csv", b"3,12,7,7,7,7,7,7\n4,");
    append("steps.jsonl", b"{\"loss\":0.5,\"step\":9}\n{\"loss\":0.5,\"st");
    append(&events(&place, "cut").0, &[7; 99]);
    for name in ["last", "best", "previous"] {
        place.write(&format!("cut/checkpoints/{name}.safetensors.tmp"), b"half a checkpoint");
    }
    place.works("train --resume cut --epochs 3");
    is_same(&place, "cut", "uncut");
}

/// Every state that a kill between two of the renamings leaves.
#[test]
fn checkpoints_that_were_half_renamed_are_settled() {
    let place = Place::new();
    place.works(&format!("{TRAIN} --epochs 3 --device cpu --run-dir uncut"));
    place.works(&format!("{TRAIN} --epochs 2 --device cpu --run-dir base"));
    let link = |run: &str, from: &str, to: &str| {
        let path = |name: &str| place.path(&format!("{run}/checkpoints/{name}.safetensors"));
        let _ = fs::remove_file(path(to));
        fs::hard_link(path(from), path(to)).unwrap();
    };
    type Change<'a> = &'a dyn Fn(&str);
    let states: [(&str, Change); 4] = [
        ("linked", &|run| link(run, "last", "previous")),
        ("no-previous", &|run| {
            fs::remove_file(place.path(&format!("{run}/checkpoints/previous.safetensors"))).unwrap()
        }),
        ("old-best", &|run| link(run, "previous", "best")),
        ("no-best", &|run| fs::remove_file(place.path(&format!("{run}/checkpoints/best.safetensors"))).unwrap()),
    ];
    for (name, change) in states {
        copy(&place.path("base"), &place.path(name));
        change(name);
        place.works(&format!("train --resume {name} --epochs 3"));
        is_same(&place, name, "uncut");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[test]
fn data_that_has_moved_is_named() {
    let place = Place::new();
    place.works(&format!("{TRAIN} --epochs 2 --device cpu --run-dir uncut"));
    place.works(&format!("{TRAIN} --epochs 1 --device cpu --run-dir run"));
    fs::rename(place.path("data"), place.path("moved")).unwrap();
    let done = place.call("train --resume run --epochs 2");
    assert!(done.status == Some(2) && done.err.contains("data"), "{done:#?}");
    place.works("train --resume run --epochs 2 --data moved");
    assert!(place.read("run/model.safetensors") == place.read("uncut/model.safetensors"));
}

#[test]
fn another_device_is_said_and_goes_on() {
    let place = Place::new();
    place.works(&format!("{TRAIN} --epochs 1 --run-dir run"));
    let done = place.works("train --resume run --epochs 2 --device cpu");
    assert!(done.err.contains("note: the checkpoint was written on another device, "), "{}", done.err);
    assert_eq!(place.lines("run/metrics.jsonl").len(), 2);
    assert!(String::from_utf8(place.read("run/device.json")).unwrap().contains("native CPU"));
    // Its threads change no byte, so they are no other device.
    let done = place.works("train --resume run --epochs 3 --device cpu --threads 1");
    assert!(!done.err.contains("another device,"), "{}", done.err);
}

#[test]
fn json_is_an_object_a_line() {
    let place = Place::new();
    let done = place.trains("run", "--device cpu --format json");
    let lines: Vec<Value> = done.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["start", "epoch", "epoch", "end"]);
    for (line, metrics) in lines[1..3].iter().zip(place.lines("run/metrics.jsonl")) {
        let mut fields = line.clone();
        fields.as_object_mut().unwrap().remove("event");
        assert_eq!(fields, metrics);
    }
    assert_eq!((&lines[0]["run"], &lines[3]["model"]), (&"run".into(), &"run/model.safetensors".into()));
}

#[test]
fn csv_has_the_keys_and_numbers_of_the_metrics() {
    let place = Place::new();
    place.trains("run", "--device cpu");
    let csv = String::from_utf8(place.read("run/metrics.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|row| row.split(',').collect()).collect();
    let metrics = place.lines("run/metrics.jsonl");
    assert_eq!((rows.len(), rows[0].len()), (3, metrics[0].as_object().unwrap().len()));
    for (row, line) in rows[1..].iter().zip(metrics) {
        for (key, cell) in rows[0].iter().zip(row) {
            match &line[*key] {
                Value::String(text) => assert_eq!(cell, text, "{key}"),
                _ => assert_eq!(cell.parse::<f64>().unwrap(), number(&line, key), "{key}"),
            }
        }
    }
}
