//! Refusals of `--resume`: no checkpoint, a damaged one, other settings, other data.

use crate::common::Place;
use crate::{TRAIN, is_same};
use std::fs;

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
    refused("train --resume run --epochs 3 --data other", &["61 + 20 samples", "60 + 20"]);
    refused("train --resume run --epochs 3 --data gone", &["gone"]);
    let done = place.call("train --resume run --epochs 3 --device nonesuch");
    assert!(done.status == Some(2) && done.err.contains("nonesuch"), "{done:#?}");
    assert!(!place.path("run/checkpoints/last.safetensors.tmp").exists());
    for flag in ["--ema 0.9", "--accumulate 2", "--optimizer lion", "--validation-split 0.1", "--init-method he-normal"]
    {
        let done = place.call(&format!("train --resume run {flag}"));
        assert!(done.status == Some(2) && done.err.contains("cannot be used with"), "{flag}: {done:#?}");
    }
    for flag in ["--lr 1", "--model mnist-cnn", "--seed 1", "--run-dir x", "--no-shuffle", "--config c", "--log-steps"]
    {
        let done = place.call(&format!("train --resume run {flag}"));
        assert!(done.status == Some(2) && done.err.contains("cannot be used with"), "{flag}: {done:#?}");
    }
    let done = place.call("train --resume run --lr 1 --epochs 9 --no-shuffle --ema 0.9");
    let want = "--lr, --ema, --no-shuffle: cannot be used with --resume: they belong to the run";
    assert!(done.status == Some(2) && done.err.contains(want), "{done:#?}");
    // The way that the message names is one.
    assert!(done.err.contains("start a new run from its weights: --from RUN/checkpoints/last"), "{done:#?}");
    let from =
        "train --from run/checkpoints/last.safetensors --lr 1e-4 --data data --batch-size 16 --max-steps 1 --no-report";
    place.works(&format!("{from} --device cpu --run-dir other-rate"));
    let done = place.call("train --resume run --lr 1 --model mnist-cnn");
    assert!(done.status == Some(2) && !done.err.contains("--from"), "{done:#?}");
    let done = place.call(&format!("{TRAIN} --from-previous"));
    assert!(done.status == Some(2) && done.err.contains("--resume"), "{done:#?}");
    for every in ["0", "5d", "-1", "m"] {
        let done = place.call(&format!("{TRAIN} --checkpoint-every {every}"));
        assert!(done.status == Some(2) && done.err.contains("30s, 5m"), "{done:#?}");
    }
    // Settings that were changed since are not settings of this run.
    let config = String::from_utf8(place.read("run/config.toml")).unwrap();
    place.write("run/config.toml", config.replace("seed = 0", "seed = 1"));
    refused("train --resume run", &["settings", "seed: 1", "seed: 0"]);
    place.write("run/config.toml", config.replace("seed = 0", "seed = zero"));
    refused("train --resume run", &["config.toml", "line"]);
    fs::remove_file(place.path("run/config.toml")).unwrap();
    refused("train --resume run", &["config.toml"]);
}
