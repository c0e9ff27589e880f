//! Sweeps of `wgrad train`: runs one after the other, a table and a page at the end, and how a stopped one is resumed.

use crate::common::Place;
use serde_json::Value;

const SWEEP: &str =
    "train --model tiny.toml --data data --batch-size 16 --device cpu --no-report --lr 0.01,0.001 --seeds 2";

fn events(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn count(events: &[Value], name: &str) -> usize {
    events.iter().filter(|event| event["event"] == name).count()
}

#[test]
fn a_sweep_trains_each_setting_and_compares_them() {
    let place = Place::new();
    let done = events(&place.works(&format!("{SWEEP} --epochs 1 --run-dir s --format json")).out);
    assert_eq!(["sweep", "sweep_run", "end", "sweep_end"].map(|name| count(&done, name)), [1, 4, 4, 1]);
    let last = done.last().expect("events");
    let best = |one: &Value| one["figures"][0]["mean"].as_f64().expect("a mean");
    let settings = last["settings"].as_array().expect("a list");
    assert_eq!((settings.len(), &settings[0]["figures"][0]["name"]), (2, &"val_accuracy".into()));
    assert!(best(&settings[0]) >= best(&settings[1]), "{last}");
    for one in settings {
        let runs = one["runs"].as_array().expect("folders").iter().filter_map(Value::as_str);
        let values: Vec<f64> =
            runs.map(|run| place.lines(&format!("{run}/metrics.jsonl"))[0]["val_accuracy"].as_f64().unwrap()).collect();
        assert!((best(one) - (values[0] + values[1]) / 2.0).abs() < 1e-12, "{one}");
    }
    assert!(place.path("s/comparison.html").exists());
    // A run of a sweep is the run that the same flags give alone.
    place.works("train --model tiny.toml --data data --batch-size 16 --device cpu --no-report --epochs 1 --lr 0.001 --seed 1 --run-dir alone");
    assert!(place.read("s/4/model.safetensors") == place.read("alone/model.safetensors"));

    let again = place.works(&format!("{SWEEP} --epochs 1 --run-dir s"));
    assert_eq!(again.err.matches("finished before").count(), 4, "{again:?}");
    assert!(again.out.contains("val_accuracy") && again.out.contains(" ± "), "{again:?}");
    for (line, expected) in [
        ("--lr 0.01,0.002 --run-dir s", "sweep.json"),
        ("--lr 0.01,0.001 --run-dir alone", "not empty"),
        ("--lr 0.01,0.001 --resume alone", "--resume"),
        ("--seeds 0", "--seeds"),
        ("--lr 0.01,nonsense", "nonsense"),
        ("--lr 0.01,0.001 --watch", "--watch"),
    ] {
        let done = place.call(&format!("train --model tiny.toml --data data --device cpu {line}"));
        assert!(done.status == Some(2) && done.err.contains(expected), "{line}: {done:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_sweep_that_was_stopped_goes_on() {
    let place = Place::new();
    let line = format!("{SWEEP} --epochs 40 --run-dir cut --format json");
    let mut running = place.starts(&line);
    // In the second run, a few epochs after its start.
    let mut runs = 0;
    while runs < 2 {
        runs += usize::from(running.line().contains("\"sweep_run\""));
    }
    while !running.line().contains("\"epoch\":3,") {}
    running.signal("INT");
    let done = running.ends();
    assert_eq!(done.status, Some(130), "{done:?}");
    let stopped = events(&done.out).pop().expect("events");
    assert_eq!((&stopped["event"], &stopped["run"]), (&"sweep_stopped".into(), &2.into()));
    let command = stopped["resume"].as_str().and_then(|line| line.strip_prefix("wgrad ")).expect("a command");
    let done = place.works(command);
    assert!(done.err.contains("run 1 of 4, lr 0.01, seed 0: finished before"), "{done:?}");
    let uncut =
        "train --model tiny.toml --data data --batch-size 16 --device cpu --no-report --epochs 40 --run-dir uncut";
    place.works(&format!("{uncut} --lr 0.01 --seed 1"));
    assert!(place.read("cut/2/model.safetensors") == place.read("uncut/model.safetensors"));
    assert!(place.path("cut/4/model.safetensors").exists());
}
