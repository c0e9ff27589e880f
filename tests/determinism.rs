//! Same seed, same adapter, same bytes: over any number of the adapter's threads, and in repeated runs.
//!
//! That checked and unchecked shaders give the same bytes is in `training.rs`.

mod common;

use common::{Place, call, wgrad};
use serde_json::Value;

/// Trains two epochs into `run`; the digest of the weights of each, and the bytes of the model.
fn train(place: &Place, run: &str, options: &str, threads: Option<usize>) -> (Vec<Value>, Vec<u8>) {
    let line = format!("train --data data --batch-size 16 --epochs 2 --seed 5 --no-report --run-dir {run} {options}");
    let mut command = wgrad();
    command.args(line.split_whitespace());
    if let Some(threads) = threads {
        // Mesa's; other drivers do not know it, and have their own threads.
        command.env("LP_NUM_THREADS", threads.to_string());
    }
    let done = call(&mut command, &place.path(""));
    assert_eq!(done.status, Some(0), "{done:#?}");
    let digests: Vec<Value> = place.lines(&format!("{run}/metrics.jsonl")).iter_mut().map(take).collect();
    assert!(digests.iter().all(|digest| digest.as_str().is_some_and(|text| text.len() == 64)), "{digests:?}");
    assert_ne!(digests[0], digests[1], "the second epoch has learned something");
    (digests, place.read(&format!("{run}/model.safetensors")))
}

fn take(line: &mut Value) -> Value {
    line["weights_sha256"].take()
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let place = Place::with(28, [112, 20]);
    // Dense layers after both kinds of convolution, so that every sum over the batch is among them.
    for (model, device) in [("mnist-cnn", ""), ("mnist-deep", ""), ("mnist-cnn", "--device cpu")] {
        let runs: Vec<_> = [1, 3]
            .map(|threads| {
                let own = if device.is_empty() { String::new() } else { format!("--threads {threads}") };
                let run = format!("{model}{}-{threads}", device.len());
                train(&place, &run, &format!("--model {model} {device} {own}"), Some(threads))
            })
            .into();
        assert!(runs[1..].iter().all(|run| *run == runs[0]), "{model} {device}: 1 and 3 threads");
    }
}

/// `WGRAD_REPETITIONS` sets how often.
#[test]
fn twenty_runs_give_the_same_bytes() {
    let repetitions = std::env::var("WGRAD_REPETITIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let place = Place::new();
    let first = train(&place, "first", "--model tiny.toml", None);
    for n in 1..repetitions {
        assert!(train(&place, &format!("{n}"), "--model tiny.toml", None) == first, "run {n}");
    }
    println!("{repetitions} runs ended in {}", first.0[1]);
}
