//! Injected faults: killed processes, full disks, folders that cannot be written.

use crate::common;
use crate::common::{Done, Place};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use wgrad::train::state::checkpoint::Checkpoint;

const TRAIN: &str = "train --model tiny.toml --data data --batch-size 16 --device cpu";

/// A checkpoint of the run, if there is one; one that is there is whole.
fn checkpoint(place: &Place, name: &str) -> Option<Checkpoint> {
    let path = place.path(&format!("run/checkpoints/{name}.safetensors"));
    path.exists().then(|| Checkpoint::read(&path).unwrap_or_else(|e| panic!("after a kill: {e}")))
}

/// Killed again and again, at any moment, a run ends in the bytes of one that never was. `WGRAD_KILLS` sets how often.
#[test]
fn a_killed_run_loses_no_more_than_an_interval() {
    const INTERVAL: u64 = 3;
    let kills: u32 = std::env::var("WGRAD_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    let place = Place::new();
    let options = format!("{TRAIN} --log-steps --checkpoint-every {INTERVAL}");
    // How long a run takes from its start to its first step, and then a step with its checkpoints.
    let (start, steps) = (Instant::now(), 400);
    place.works(&format!("{options} --epochs 100 --run-dir probe"));
    let per_step = start.elapsed() / steps;
    // Each process should last for a few dozen steps, so that the run is not over before its last kill.
    let epochs = kills * 15 + 15;
    let mut random = u64::from(std::process::id());
    let mut line = format!("{options} --epochs {epochs} --run-dir run");
    let (mut done, mut survived) = (0, 0);
    let mut in_writing = 0;
    for _ in 0..kills {
        let logged = || fs::metadata(place.path("run/steps.jsonl")).map_or(0, |m| m.len());
        let before = logged();
        let mut run = place.starts(&line);
        // From before the folder is there to some fifty steps further on.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let steps = (random >> 33) as u32 % 50;
        if steps > 5 {
            // Until it does steps that no life before it did.
            while logged() <= before && run.child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        std::thread::sleep(per_step * steps);
        run.child.kill().unwrap();
        run.ends();
        in_writing += usize::from(place.path("run/checkpoints/last.safetensors.tmp").exists());
        let logged = fs::read_to_string(place.path("run/steps.jsonl")).unwrap_or_default().matches('\n').count() as u64;
        [checkpoint(&place, "previous"), checkpoint(&place, "best")].into_iter().flatten().for_each(drop);
        let Some(last) = checkpoint(&place, "last") else {
            assert!(logged == 0 && done == 0, "no checkpoint after {logged} steps");
            let _ = fs::remove_dir_all(place.path("run"));
            continue;
        };
        let step = last.state.progress.step;
        assert!(step >= done, "at step {step} after {done} had been reached");
        assert!(logged.saturating_sub(step) <= INTERVAL, "{logged} steps were done, the checkpoint has {step}");
        (done, survived) = (step, survived + 1);
        line = "train --resume run".into();
    }
    println!("{kills} kills, {survived} with a checkpoint, {in_writing} while one was written, {done} steps");
    assert!(kills < 10 || survived > kills / 2, "most kills come after the first checkpoint");
    place.works(&line);
    place.works(&format!("{options} --epochs {epochs} --run-dir uncut"));
    for file in ["model.safetensors", "steps.jsonl", "config.toml"] {
        assert!(place.read(&format!("run/{file}")) == place.read(&format!("uncut/{file}")), "{file}");
    }
}

/// Status 1, the last good checkpoint and the command that resumes from it.
fn failed(done: &Done, wants: &[&str]) {
    let last = done.err.lines().last().unwrap_or_default();
    assert!(done.status == Some(1) && !done.err.contains("panicked"), "{done:#?}");
    let named = ["error: ", "the last good checkpoint is run/checkpoints/last.safetensors", "wgrad train --resume run"];
    assert!(named.iter().chain(wants).all(|want| last.contains(want)), "{wants:?}: {done:#?}");
}

fn shell(place: &Place, program: &[&str], script: &str) -> Done {
    let mut command = Command::new(program[0]);
    common::call(command.args(&program[1..]).arg(script).env("WGRAD", env!("CARGO_BIN_EXE_wgrad")), &place.path(""))
}

/// A limit on the size of files, which every system has, in the place of a full disk.
#[test]
fn a_log_that_cannot_grow_ends_the_run_with_its_last_checkpoint_named() {
    let place = Place::new();
    // One sample per step: the log of steps grows fastest.
    let train = TRAIN.replace("--batch-size 16", "--batch-size 1 --epochs 20 --log-steps");
    place.works(&format!("{train} --run-dir uncut"));
    // 64 blocks of 512 bytes: checkpoints fit, steps.jsonl does not.
    let limited = format!("trap '' XFSZ; ulimit -f 64; exec \"$WGRAD\" {train} --run-dir run");
    let done = shell(&place, &["sh", "-c"], &limited);
    failed(&done, &["run/steps.jsonl", "File too large", "(step "]);
    let step = Checkpoint::read(&place.path("run/checkpoints/last.safetensors")).unwrap().state.progress.step;
    assert!(step > 0 && done.err.contains(&format!("(step {step})")), "step {step}: {}", done.err);
    place.works("train --resume run");
    for file in ["model.safetensors", "steps.jsonl"] {
        assert!(place.read(&format!("run/{file}")) == place.read(&format!("uncut/{file}")), "{file}");
    }
    // Where not even the first checkpoint fits there is none to name.
    let script = format!("trap '' XFSZ; ulimit -f 8; exec \"$WGRAD\" {TRAIN} --run-dir none");
    let done = shell(&place, &["sh", "-c"], &script);
    assert!(
        done.status == Some(1) && done.err.contains("last.safetensors.tmp: cannot be written: File too large"),
        "{done:#?}"
    );
    assert!(!done.err.contains("last good") && !place.path("none/checkpoints/last.safetensors.tmp").exists());
}

/// A small disk of its own for the run, where this system lets a test have one.
#[test]
fn a_full_disk_ends_the_run_with_its_last_checkpoint_named() {
    let unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"];
    let place = Place::with(28, [60, 20]);
    let options = "train --model mnist-cnn --data data --batch-size 16 --device cpu --epochs 4";
    place.works(&format!("{options} --run-dir uncut"));
    // Two checkpoints fit, a third does not; then the disk grows.
    let size = place.read("uncut/checkpoints/last.safetensors").len() * 27 / 10;
    fs::create_dir(place.path("run")).unwrap();
    let mount = format!("mount -t tmpfs -o size={size} none run");
    if shell(&place, &unshare, &mount).status != Some(0) {
        println!("no disk of its own can be had here: the limit on the size of files has to do");
        return;
    }
    let script = format!(
        "{mount} && \"$WGRAD\" {options} --run-dir run; echo status $?; ls run/checkpoints;
        mount -o remount,size=8m none run && \"$WGRAD\" train --resume run && cmp run/model.safetensors uncut/model.safetensors"
    );
    let done = shell(&place, &unshare, &script);
    assert_eq!(done.status, Some(0), "{done:#?}");
    assert!(done.out.contains("status 1\n") && !done.out.contains("tmp"), "{done:#?}");
    for want in ["No space left", "the last good checkpoint is run/checkpoints/last.safetensors (step 4)"] {
        assert!(done.err.contains(want), "{want}: {done:#?}");
    }
}

/// Runs the command as a user whom permissions bind, since root ignores them.
fn as_anybody(place: &Place, line: &str) -> Done {
    let program = place.path("wgrad");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_wgrad"), &program).unwrap();
    }
    let mut command = Command::new(program);
    if is_root() {
        command.uid(65534).gid(65534);
    }
    common::call(command.args(line.split_whitespace()), &place.path(""))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.starts_with(b"0")
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_ends_the_run_with_its_last_checkpoint_named() {
    let place = Place::new();
    allow(&place.path(""), 0o777);
    let done = as_anybody(&place, &format!("{TRAIN} --epochs 2 --run-dir run"));
    assert_eq!(done.status, Some(0), "{done:#?}");
    for (folder, wants) in [("run/checkpoints", "Permission denied"), ("run", "Permission denied")] {
        allow(&place.path(folder), 0o555);
        for name in ["run/metrics.jsonl", "run/.lock"] {
            allow(&place.path(name), 0o444);
        }
        let done = as_anybody(&place, "train --resume run --epochs 3");
        failed(&done, &[wants]);
        let done = as_anybody(&place, "eval run/checkpoints/last.safetensors --data data --device cpu");
        assert_eq!(done.status, Some(0), "reading is another matter: {done:#?}");
        for name in ["run", "run/checkpoints"] {
            allow(&place.path(name), 0o755);
        }
        for name in ["run/metrics.jsonl", "run/.lock"] {
            allow(&place.path(name), 0o644);
        }
    }
    let done = as_anybody(&place, "train --resume run --epochs 3");
    assert_eq!(done.status, Some(0), "{done:#?}");
    // Where there is no run yet, a folder that cannot be written is bad input.
    fs::create_dir(place.path("new")).unwrap();
    allow(&place.path("new"), 0o555);
    let done = as_anybody(&place, &format!("{TRAIN} --epochs 1 --run-dir new"));
    assert!(done.status == Some(2) && done.err.contains("run folder: new"), "{done:#?}");
}
