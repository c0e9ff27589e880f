//! The example programs run to their end and print the expected output.
#![cfg(all(feature = "cli", feature = "mnist-data"))]

use crate::common::{Place, adapter, call};
use std::process::Command;

/// Runs an example as the tests were built, and expects status 0.
fn example(place: &Place, name: &str, arguments: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--offline", "--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo.args(["--example", name, "--"]).args(arguments);
    let done = call(&mut cargo, &place.path("."));
    assert_eq!(done.status, Some(0), "{name}: {done:#?}");
    done.out
}

#[test]
fn training_on_own_data_learns_it() {
    let out = example(&Place::new(), "own_data", &[]);
    let last = out.lines().find(|line| line.starts_with("epoch 6: ")).unwrap_or_else(|| panic!("{out}"));
    let accuracy: f64 = last.rsplit(' ').next().and_then(|text| text.parse().ok()).unwrap_or_default();
    assert!(accuracy > 0.9 && out.contains("stripes across") && out.contains("Confusion matrix"), "{out}");
}

#[test]
fn what_the_mnist_crate_reads_becomes_fields() {
    let place = Place::new();
    let files = place.path("mnist");
    wgrad::data::formats::mnist::load_from(Some(&files), std::path::Path::new("no/such/folder")).unwrap();
    let out = example(&place, "mnist_crate", &[files.to_str().unwrap()]);
    let last = out.lines().find(|line| line.starts_with("epoch 2: ")).unwrap_or_else(|| panic!("{out}"));
    let accuracy: f64 = last.rsplit(' ').next().and_then(|text| text.parse().ok()).unwrap_or_default();
    assert!(accuracy > 0.85 && out.contains("the first test image is a "), "{out}");
}

#[test]
fn a_custom_op_passes_verification_and_trains() {
    for device in ["cpu", adapter::name()] {
        let out = example(&Place::new(), "custom_op", &[device, "256"]);
        assert!(out.contains("silu: pass") && out.contains("silu_dx: pass") && out.contains("3 (dense_silu)"), "{out}");
        assert!(out.contains("epoch 2: loss "), "{out}");
    }
}

#[test]
fn a_run_of_the_library_goes_on_to_the_same_bytes() {
    let place = Place::new();
    let folder = place.path("runs");
    let out = example(&place, "resume", &["cpu", folder.to_str().unwrap()]);
    let stopped = out.lines().find_map(|line| line.strip_prefix("stopped at step ")).unwrap_or_else(|| panic!("{out}"));
    let step: u64 = stopped.parse().unwrap();
    assert!((20..52).contains(&step) && out.contains(&format!("going on at step {step} of 52")), "{out}");
    assert_eq!(out.lines().last(), Some("the same bytes"), "{out}");
}

#[test]
fn inference_agrees_with_the_library() {
    let place = Place::new();
    place.works("train --train-limit 256 --test-limit 10 --max-steps 2 --device cpu --run-dir run");
    let file = place.path("run/model.safetensors");
    let out = example(&place, "inference", &[file.to_str().unwrap(), "5"]);
    let test = wgrad::data::Dataset::open("mnist").unwrap().test;
    let found = wgrad::model::Model::load(&file).unwrap().predict(&test.pixels()[..5 * 784]).unwrap();
    assert_eq!(out.lines().count(), 5);
    for ((number, line), (wanted, label)) in out.lines().enumerate().zip(found.iter().zip(&test.labels())) {
        let rest = line.strip_prefix(&format!("image {number}, a {label}: ")).unwrap_or_else(|| panic!("{line}"));
        let shares: Vec<f64> = rest.split(' ').map(|share| share.parse().unwrap()).collect();
        assert!(shares.iter().zip(wanted).all(|(a, b)| (a - f64::from(*b)).abs() <= 1e-6), "{line}: {wanted:?}");
    }
}
