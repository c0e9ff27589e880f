//! `wgrad runs`: the runs that it lists, and those that it leaves out.

use crate::common::Place;
use serde_json::Value;

fn listed(place: &Place, line: &str) -> Value {
    serde_json::from_str(&place.works(&format!("runs {line} --json")).out).expect("JSON")
}

#[test]
fn figures_are_those_of_the_files() {
    let place = Place::new();
    place.trains("runs/one", "--device cpu --no-report --validation-split 0.2");
    place.trains("runs/deep/two", "--device cpu --no-report --lr 0.01");
    let found = listed(&place, "");
    let runs = found["runs"].as_array().expect("a list");
    assert_eq!(runs.len(), 2, "{found}");
    assert!(runs.is_sorted_by_key(|run| run["begun"].as_str().map(String::from)), "the oldest first: {found}");
    let of = |name: &str| runs.iter().find(|run| run["run"] == name).expect("the run");
    let runs = ["runs/one", "runs/deep/two"].map(of);
    for (run, folder) in runs.into_iter().zip(["runs/one", "runs/deep/two"]) {
        let metrics = place.lines(&format!("{folder}/metrics.jsonl"));
        let loss = |line: &&Value| line["val_loss"].as_f64().expect("a loss");
        let best = metrics.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).expect("two epochs");
        assert_eq!((&run["best"], &run["last"]), (best, &metrics[1]), "{folder}");
        assert_eq!((&run["state"], &run["epochs"], &run["of"]), (&"finished".into(), &2.into(), &2.into()));
        assert!(run["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0) && run["begun"].is_string(), "{run}");
    }
    assert_eq!(runs[0]["test"], place.lines("runs/one/test.json")[0]);
    assert_eq!(runs[0]["validated_on"], "validation");
    // Without a validation set the test figures are those that val_ has.
    assert_eq!((&runs[1]["validated_on"], &runs[1]["test"]["loss"]), (&"test".into(), &runs[1]["last"]["val_loss"]));

    let text = place.works("runs --sort val_loss").out;
    let lines: Vec<&str> = text.lines().collect();
    let order = [lines[1], lines[2]].map(|line| line.contains("runs/one"));
    let losses = [0, 1].map(|n| runs[n]["best"]["val_loss"].as_f64().expect("a loss"));
    assert_eq!(order, [losses[0] <= losses[1], losses[0] > losses[1]], "{text}");
    assert!(text.contains("runs/deep/two *") && text.contains("* there is no validation set"), "{text}");
    assert!(lines[0].contains("test_accuracy") && lines[0].contains("begun"), "{text}");
}

#[test]
fn states_are_told() {
    let place = Place::new();
    place.trains("runs/1", "--device cpu --no-report");
    let state = || listed(&place, "runs")["runs"][0]["state"].clone();
    assert_eq!(state(), "finished");
    let lock = wgrad::train::run::files::lock(&place.path("runs/1")).expect("a lock");
    assert_eq!(state(), "running");
    drop(lock);
    let text = String::from_utf8(place.read("runs/1/run.json")).expect("text");
    for (end, expected) in [("null", "interrupted"), ("\"stopped\"", "stopped"), ("\"failed\"", "failed")] {
        place.write("runs/1/run.json", text.replace("\"finished\"", end));
        assert_eq!(state(), expected);
    }
    // A folder of an older wgrad has no such file.
    std::fs::remove_file(place.path("runs/1/run.json")).expect("it was there");
    assert_eq!(state(), "finished");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_named_and_counted() {
    let place = Place::new();
    place.trains("runs/good", "--device cpu --no-report");
    for broken in ["metrics.jsonl", "device.json", "run.json", "test.json", "config.toml"] {
        let run = format!("runs/bad-{broken}");
        for file in ["config.toml", "device.json", "metrics.jsonl"] {
            place.write(&format!("{run}/{file}"), place.read(&format!("runs/good/{file}")));
        }
        place.write(&format!("{run}/{broken}"), "{ \"broken\n");
    }
    let fifo = |name: &str| {
        std::fs::create_dir_all(place.path(name).parent().expect("a folder")).expect("a folder");
        let made = std::process::Command::new("mkfifo").arg(place.path(name)).status();
        assert!(made.expect("mkfifo").success());
    };
    ["runs/pipe", "runs/bad-pipe/config.toml", "runs/good/.lock-pipe"].into_iter().for_each(fifo);
    std::os::unix::fs::symlink("nowhere", place.path("runs/dangling")).expect("a link");
    std::os::unix::fs::symlink(".", place.path("runs/circle")).expect("a link");
    let found = listed(&place, "runs");
    assert_eq!(found["runs"].as_array().map(Vec::len), Some(1), "{found}");
    let skipped: Vec<&str> =
        found["skipped"].as_array().expect("a list").iter().filter_map(|one| one["path"].as_str()).collect();
    let bad = ["config.toml", "device.json", "metrics.jsonl", "pipe", "run.json", "test.json"];
    let mut expected: Vec<String> = bad.iter().map(|name| format!("runs/bad-{name}")).collect();
    expected.extend(["runs/dangling".into(), "runs/pipe".into()]);
    assert_eq!(skipped, expected);
    let done = place.works("runs");
    assert!(done.err.contains("note: 8 of 9 could not be read"), "{done:?}");
    assert!(done.err.contains("runs/dangling: a link that leads nowhere"), "{done:?}");
    let missing = place.call("runs nowhere");
    assert!(missing.status == Some(2) && missing.err.contains("nowhere"), "{missing:?}");
    assert!(place.works("runs data").err.contains("no runs in data"));
}
