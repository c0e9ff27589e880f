//! A run folder that wgrad 0.1.0 left is read, resumed, and used as a start.

use crate::common::{Place, number};
use serde_json::Value;
use std::fs;
use std::path::Path;
use wgrad::train::run::RunConfig;
use wgrad::train::settings::options::OptimizerName;

/// A place with the folder `run` of `tests/fixtures`: a run of 6 steps on the built-in data, kept as it was written.
fn place() -> Place {
    let place = Place::new();
    copy(&place, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/run-0.1"), "run");
    place
}

/// Puts a folder and all below it into a place.
fn copy(place: &Place, from: &Path, to: &str) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = format!("{to}/{}", entry.file_name().into_string().unwrap());
        match entry.path().is_dir() {
            true => copy(place, &entry.path(), &name),
            false => place.write(&name, fs::read(entry.path()).unwrap()),
        }
    }
}

/// A run on data of its own, of which 7 of 15 steps are done: it ends as it would have, and its net predicts.
#[test]
fn a_run_on_own_data_goes_on_and_is_asked() {
    let place = Place::new();
    copy(&place, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/own-data-0.1"), ".");
    let model = "run/model.safetensors";
    let found: Value =
        serde_json::from_str(&place.works(&format!("eval {model} --data data --device cpu --json")).out).unwrap();
    assert!(
        (number(&found, "loss") - 0.940_346_843_666_500_6).abs() < 1e-6 && number(&found, "accuracy") == 6.0 / 9.0,
        "{found}"
    );
    assert_eq!(found["classes"], serde_json::json!(["rows", "columns", "diagonals"]));
    place.works(&format!("predict {model} first.pgm --device cpu"));
    place.works(&format!("export {model} --onnx net.onnx"));
    place.works("report run");

    // Its data was elsewhere.
    let done = place.works("train --resume run --data data --max-steps 15 --no-report");
    let last = place.lines("run/metrics.jsonl").pop().unwrap();
    assert!((number(&last, "val_loss") - 0.794_657_283_359_103_7).abs() < 1e-5, "{last}");
    // The same bytes on the same kind of processor.
    if !done.err.contains("does not end in the same bytes") {
        assert_eq!(last["weights_sha256"], "836833b924527d5c7faae8a9ead7c5dac8a02c1806192b03bf030e6c16cf4217");
    }
}

#[test]
fn it_goes_on() {
    let place = place();
    let before = place.lines("run/steps.jsonl");
    assert_eq!(before.len(), 6);
    // The settings and the state are those of the file; only the length is another.
    place.works("train --resume run --max-steps 12 --no-report");
    let steps = place.lines("run/steps.jsonl");
    assert_eq!((steps.len(), &steps[..6]), (12, &before[..]));
    let done = place.works("train --resume run --no-report");
    assert!(done.err.contains("the run is finished, 3 epochs and 12 steps"), "{done:#?}");
}

#[test]
fn its_settings_begin_another_run() {
    let place = place();
    let old = RunConfig::read(&place.path("run/config.toml")).unwrap();
    place.write("small.toml", "input = [28, 28, 1]\nlayers = [\n{ type = \"max_pool2d\", size = 4 },\n{ type = \"flatten\" },\n{ type = \"dense\", units = 10 },\n]\n");
    place.works("train --config run/config.toml --run-dir same --max-steps 2 --no-report");
    let same = RunConfig::read(&place.path("same/config.toml")).unwrap();
    let mut expected = old.clone();
    expected.train.max_steps = Some(2);
    assert_eq!(same, expected);
    // Another optimizer takes none of the last one's settings; what is given goes before the file.
    place.works("train --config run/config.toml --optimizer adagrad --ema 0.5 --augment off --run-dir other --max-steps 2 --no-report");
    let other = RunConfig::read(&place.path("other/config.toml")).unwrap().train;
    assert_eq!((other.optimizer, other.lr, other.momentum), (OptimizerName::Adagrad, Some(0.01), 0.0));
    assert_eq!((other.epsilon, other.ema, other.clip_norm), (None, Some(0.5), Some(1.0)));
    assert!(other.augment.is_off());
    let config = String::from_utf8(place.read("run/config.toml")).unwrap();
    place.write("wrong.toml", config.replace("batch_size", "batch_sise"));
    let done = place.call("train --config wrong.toml");
    for want in ["wrong.toml: line 13: unknown field `batch_sise`", "did you mean 'batch_size'?"] {
        assert!(done.status == Some(2) && done.err.contains(want), "{want}: {done:#?}");
    }
}
