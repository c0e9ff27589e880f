//! Sizes beyond the device or the machine are refused from their numbers, before anything is allocated for them.

mod common;

use common::{Place, TINY};

/// Trains a variation of the tiny model and expects a refusal with every word of `wants`.
fn too_large(change: [&str; 2], flags: &str, wants: &[&str]) {
    let place = Place::new();
    place.write("large.toml", TINY.replace(change[0], change[1]));
    let line = format!("train --model large.toml --data data --batch-size 16 --max-steps 1 {flags}");
    let done = place.limited(&line);
    assert_eq!(done.status, Some(2), "{line} with {change:?}: {done:#?}");
    let last = done.err.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: ") && wants.iter().all(|want| last.contains(want)), "{last}\nwanted {wants:?}");
    assert!(!done.err.contains("panicked") && !place.path("runs").exists(), "{done:#?}");
}

#[test]
fn a_small_model_trains_within_the_limit_of_these_tests() {
    let place = Place::new();
    for device in ["", "--device cpu"] {
        let done =
            place.limited(&format!("train --model tiny.toml --data data --batch-size 16 --max-steps 1 {device}"));
        assert_eq!(done.status, Some(0), "{done:#?}");
    }
}

#[test]
fn more_parameters_than_any_model_may_have() {
    for device in ["", "--device cpu"] {
        too_large(["units = 4", "units = 100000000"], device, &["layer 4", "100000000", "expected at most"]);
        too_large(["units = 4", "units = 99999999999999999999"], device, &["large.toml", "line"]);
        too_large(["filters = 4", "filters = 1000000000"], device, &["expected at most"]);
    }
}

/// 36 × 50,000,000 weights are 6.7 GiB: a model may have them, an adapter's binding may not.
#[test]
fn more_memory_than_the_adapter_has() {
    too_large(["units = 4", "units = 50000000"], "", &["the plan needs a buffer of", "the adapter allows"]);
}

/// Few parameters and large results, more than 1.5 TiB of them: no single tensor is too large, all together are.
#[test]
fn more_memory_than_the_machine_has() {
    let layer = |filters: usize| format!("[[layers]]\ntype = \"conv2d\"\nfilters = {filters}\nkernel = 1\n");
    let layers = format!("{}[[layers]]\ntype = \"flatten\"", (layer(2_000_000) + &layer(1)).repeat(100));
    let flatten = "[[layers]]\ntype = \"flatten\"";
    too_large([flatten, &layers], "--device cpu", &["the step needs", "of memory", "available"]);
}

impl Place {
    /// Calls the command with no more than 6 GB of address space, where a shell can set that limit.
    fn limited(&self, line: &str) -> common::Done {
        let mut command = common::on_adapter("sh");
        let script = format!("ulimit -v 6000000 2>/dev/null; exec '{}' {line}", env!("CARGO_BIN_EXE_wgrad"));
        match cfg!(target_os = "linux") {
            true => common::call(command.args(["-c", &script]), &self.path("")),
            false => self.call(line),
        }
    }
}
