//! Signals: Ctrl-C once and twice, the system's request to end, a terminal that is closed.

use crate::common;
use crate::common::{Place, number};
use crate::{DEVICES, TRAIN, is_same};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

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

/// If the terminal is closed, a run stops as with Ctrl-C, but under `nohup` it continues.
#[test]
fn a_hangup_counts_unless_it_is_ignored() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_wgrad");
    for (trap, run, status) in [("", "stopped", 130), ("trap '' HUP;", "ended", 0)] {
        let script = format!(
            "{trap} {program} {TRAIN} --epochs 300 --device cpu --run-dir {run} & pid=$!
            until [ -s {run}/metrics.jsonl ]; do sleep 0.01; done
            kill -HUP $pid; wait $pid"
        );
        let done = common::call(Command::new("sh").arg("-c").arg(script), &place.path(""));
        assert_eq!(done.status, Some(status), "{run}: {}", done.err);
        assert_eq!(place.path(&format!("{run}/model.safetensors")).exists(), status == 0);
    }
}

/// A second Ctrl-C stops at once, even a process that hangs in writing.
#[test]
fn a_second_interrupt_stops_at_once() {
    let place = Place::new();
    let mut run = place.starts(&format!("{TRAIN} --epochs 1000000 --device cpu --run-dir run"));
    run.line();
    // From now on its lines are not read: once the pipe is full the process waits forever.
    let length = || place.read("run/metrics.jsonl").len();
    let stands = |_| {
        let before = length();
        std::thread::sleep(Duration::from_secs(1));
        length() == before
    };
    assert!((0..120).any(stands), "the pipe is full at some time");
    // Another run is kept out meanwhile.
    let mut other = place.starts("train --resume run");
    // One that is let in must not keep the test.
    let is_out = |_| {
        std::thread::sleep(Duration::from_millis(100));
        other.child.try_wait().unwrap().is_some()
    };
    if !(0..1200).any(is_out) {
        other.signal("KILL");
    }
    let other = other.ends();
    assert!(other.status == Some(2) && other.err.contains("another process is training"), "{other:#?}");
    run.signal("INT");
    std::thread::sleep(Duration::from_millis(300));
    assert!(run.child.try_wait().unwrap().is_none(), "the first lets the step be finished");
    run.signal("INT");
    let done = run.ends();
    assert_eq!(done.status, Some(130), "{done:#?}");
    assert!(done.err.contains("again stops at once") && !done.err.contains("go on with"), "{}", done.err);
    // The lock has gone with the process.
    let steps = place.lines("run/metrics.jsonl").len() * 4 + 40;
    place.works(&format!("train --resume run --max-steps {steps} --quiet"));
}
