//! A run folder that wgrad 0.1.0 left is read, gone on with, and begun from.

use crate::common::Place;
use std::fs;
use std::path::Path;
use wgrad::train::run::RunConfig;
use wgrad::train::settings::options::OptimizerName;

/// A place with the folder `run` of `tests/fixtures`: a run of 6 steps on the built-in data, kept as it was written.
fn place() -> Place {
    let place = Place::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/run-0.1");
    fs::create_dir_all(place.path("run/checkpoints")).unwrap();
    for folder in ["", "checkpoints"] {
        for entry in fs::read_dir(from.join(folder)).unwrap().map(Result::unwrap) {
            if entry.path().is_file() {
                let name = entry.file_name().into_string().unwrap();
                place.write(&format!("run/{folder}/{name}"), fs::read(entry.path()).unwrap());
            }
        }
    }
    place
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
