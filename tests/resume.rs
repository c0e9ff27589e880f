//! `wgrad train --resume` through the real command: what comes back, what it says, and what it refuses.

mod common;

use common::{Done, Place, number};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The default adapter, and the native CPU.
const DEVICES: [&str; 2] = ["", "--device cpu"];

/// Four steps an epoch.
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
        assert!(done.err.contains("at step 6 of 12, in epoch 2") && !done.err.contains("another"), "{}", done.err);
        assert_eq!(done.out.lines().count(), 2, "epochs 2 and 3: {}", done.out);
        is_same(&place, "cut", "uncut");
        // From the one before the last, which was step 11 or so: the end comes again.
        let again = place.works("train --resume cut --from-previous");
        assert!(again.err.contains("at step 9 of 12, in epoch 3"), "{}", again.err);
        is_same(&place, "cut", "uncut");
    }
}

fn call_in(place: &Place, folder: &str, line: &str) -> Done {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wgrad"));
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
    for name in files {
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
fn a_damaged_checkpoint_is_refused_and_the_one_before_offered() {
    let place = Place::new();
    place.works(&format!("{TRAIN} --epochs 3 --device cpu --run-dir uncut"));
    place.works(&format!("{TRAIN} --epochs 3 --device cpu --run-dir run"));
    let last = "run/checkpoints/last.safetensors";
    let good = place.read(last);
    for at in [0, 8, 40, good.len() / 2, good.len() - 1] {
        let mut flipped = good.clone();
        flipped[at] ^= 4;
        for bytes in [&flipped[..], &good[..at]] {
            place.write("run/checkpoints/last.safetensors", bytes);
            let done = place.call("train --resume run");
            assert_eq!(done.status, Some(2), "{done:#?}");
            assert!(done.err.contains(last) && done.err.contains("--from-previous takes the one before"), "{done:#?}");
            assert!(!done.err.contains("panicked") && done.out.is_empty(), "{done:#?}");
            let eval = place.call(&format!("eval {last} --data data --device cpu"));
            assert_eq!(eval.status, Some(2), "{eval:#?}");
        }
    }
    // The damaged one must not become the previous one.
    let previous = place.read("run/checkpoints/previous.safetensors");
    fs::remove_file(place.path("run/checkpoints/best.safetensors")).unwrap();
    let done = place.works("train --resume run --from-previous");
    assert!(done.err.contains("at step 8 of 12"), "{}", done.err);
    is_same(&place, "run", "uncut");
    assert!(place.read("run/checkpoints/previous.safetensors") == previous);
    place.write("run/checkpoints/last.safetensors", b"");
    place.write("run/checkpoints/previous.safetensors", b"nothing either");
    for line in ["train --resume run", "train --resume run --from-previous"] {
        let done = place.call(line);
        assert!(done.status == Some(2) && !done.err.contains("--from-previous takes"), "{done:#?}");
    }
    fs::remove_file(place.path(last)).unwrap();
    place.write("run/checkpoints/previous.safetensors", previous);
    let done = place.call("train --resume run");
    assert!(done.status == Some(2) && done.err.contains("--from-previous takes the one before"), "{done:#?}");
}

#[test]
fn what_cannot_be_resumed_is_refused() {
    let place = Place::new();
    place.works(&format!("{TRAIN} --epochs 2 --device cpu --run-dir run"));
    fs::create_dir(place.path("empty")).unwrap();
    let refused = |line: &str, wants: &[&str]| {
        let done = place.call(line);
        let last = done.err.lines().last().unwrap_or_default();
        assert!(done.status == Some(2) && done.out.is_empty(), "wgrad {line}: {done:#?}");
        assert!(last.starts_with("error: ") && wants.iter().all(|want| last.contains(want)), "wgrad {line}: {done:#?}");
    };
    refused("train --resume nowhere", &["nowhere", "no checkpoint"]);
    refused("train --resume empty", &["empty", "no checkpoint"]);
    refused("train --resume data", &["data", "no checkpoint"]);
    assert!(!place.path("nowhere").exists() && !place.path("data/.lock").exists(), "nothing was made");
    refused("train --resume run --epochs 1", &["found a run of 8 steps", "expected", "4 steps"]);
    refused("train --resume run --max-steps 3", &["found a run of 8 steps", "3 steps"]);
    refused("train --resume run --epochs 0", &["epochs 0"]);
    place.data("other", 8, 61, 20);
    refused("train --resume run --epochs 3 --data other", &["61 + 20 images", "60 + 20"]);
    refused("train --resume run --epochs 3 --data gone", &["gone"]);
    refused("train --resume run --epochs 3 --device nonesuch", &["nonesuch"]);
    assert!(!place.path("run/checkpoints/last.safetensors.tmp").exists());
    for flag in ["--lr 1", "--model mnist-cnn", "--seed 1", "--run-dir x", "--no-shuffle", "--config c", "--log-steps"]
    {
        let done = place.call(&format!("train --resume run {flag}"));
        assert!(done.status == Some(2) && done.err.contains("cannot be used with"), "{flag}: {done:#?}");
    }
    let done = place.call(&format!("{TRAIN} --from-previous"));
    assert!(done.status == Some(2) && done.err.contains("--resume"), "{done:#?}");
    for every in ["0", "5d", "-1", "m"] {
        let done = place.call(&format!("{TRAIN} --checkpoint-every {every}"));
        assert!(done.status == Some(2) && done.err.contains("30s, 5m"), "{done:#?}");
    }
    // Settings that somebody has changed since are no settings of this run.
    let config = String::from_utf8(place.read("run/config.toml")).unwrap();
    place.write("run/config.toml", config.replace("seed = 0", "seed = 1"));
    refused("train --resume run", &["settings", "seed: 1", "seed: 0"]);
    place.write("run/config.toml", config.replace("seed = 0", "seed = zero"));
    refused("train --resume run", &["config.toml", "line"]);
    fs::remove_file(place.path("run/config.toml")).unwrap();
    refused("train --resume run", &["config.toml"]);
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
    assert!(done.err.contains("note: the checkpoint was written on another device"), "{}", done.err);
    assert_eq!(place.lines("run/metrics.jsonl").len(), 2);
    assert!(String::from_utf8(place.read("run/device.json")).unwrap().contains("native CPU"));
    // Its threads change no byte, so they are no other device.
    let done = place.works("train --resume run --epochs 3 --device cpu --threads 1");
    assert!(!done.err.contains("another"), "{}", done.err);
}

/// Ctrl-C finishes the step, writes a checkpoint, and says what to type; so does the system's request to end.
#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let place = Place::new();
    for (n, device) in DEVICES.iter().enumerate() {
        let (uncut, cut) = (format!("uncut-{n}"), format!("cut-{n}"));
        let options = format!("{TRAIN} --epochs 100 --log-steps {device}");
        place.works(&format!("{options} --run-dir {uncut}"));
        let mut commands = vec![format!("{options} --format json --run-dir {cut}")];
        for signal in ["INT", "TERM"] {
            let mut run = place.starts(&commands.pop().unwrap());
            // The start, an epoch, and somewhere in the next one.
            (0..2).for_each(|_| drop(run.line()));
            run.signal(signal);
            let done = run.ends();
            assert_eq!(done.status, Some(130), "{done:#?}");
            let command = format!("wgrad train --resume {cut}");
            assert!(done.err.contains(&format!("go on with: {command}\n")), "{}", done.err);
            let last: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
            assert_eq!((&last["event"], &last["resume"]), (&"stopped".into(), &command.into()));
            assert_eq!(number(&last, "step"), place.lines(&format!("{cut}/steps.jsonl")).len() as f64);
            assert!(!place.path(&format!("{cut}/model.safetensors")).exists());
            commands.push(format!("train --resume {cut} --format json"));
        }
        place.works(&commands[0]);
        is_same(&place, &cut, &uncut);
    }
}

/// A second Ctrl-C stops at once, even a process that hangs in writing.
#[test]
fn a_second_interrupt_stops_at_once() {
    let place = Place::new();
    let mut run = place.starts(&format!("{TRAIN} --epochs 1000000 --device cpu --run-dir run"));
    run.line();
    // Where the next checkpoint is written there is now a pipe that nobody reads: the process waits for ever.
    let pipe = place.path("run/checkpoints/last.safetensors.tmp");
    let made = (0..100_000).find(|_| {
        std::process::Command::new("mkfifo").arg(&pipe).stderr(std::process::Stdio::null()).status().unwrap().success()
    });
    assert!(made.is_some(), "the pipe is made between two checkpoints");
    // Another run is kept out meanwhile.
    let other = place.call("train --resume run");
    assert!(other.status == Some(2) && other.err.contains("another run is going on"), "{other:#?}");
    run.signal("INT");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(run.child.try_wait().unwrap().is_none(), "the first lets the checkpoint be finished");
    run.signal("INT");
    let done = run.ends();
    assert_eq!(done.status, Some(130), "{done:#?}");
    assert!(done.err.contains("once more stops at once") && !done.err.contains("go on with"), "{}", done.err);
    // What was being written is thrown away, and the lock has gone with the process.
    let steps = place.lines("run/metrics.jsonl").len() * 4 + 40;
    place.works(&format!("train --resume run --max-steps {steps} --quiet"));
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
            assert_eq!(cell.parse::<f64>().unwrap(), number(&line, key), "{key}");
        }
    }
}
