//! Training, evaluation and listings on a small data set, through the real binary.

use crate::common::{Place, keys, number};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The default adapter, and the native CPU.
const DEVICES: [&str; 2] = ["", "--device cpu"];

/// The keys of `metrics.jsonl`, in their order.
const KEYS: [&str; 10] = [
    "epoch",
    "step",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "seconds",
    "images_per_second",
    "lr",
    "weights_sha256",
];

#[test]
fn a_run_leaves_its_files_and_runs_again_from_its_configuration() {
    for device in DEVICES {
        let place = Place::new();
        place.trains("one", &format!("--log-steps {device}"));
        let names = |folder: &str| {
            let names = place.path(folder).read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.collect();
            names.sort();
            names
        };
        let mut found = names("one");
        found.retain(|name| !name.starts_with("events.out.tfevents."));
        assert_eq!(found.len() + 1, names("one").len(), "one event file");
        let logs = ["metrics.csv", "metrics.jsonl", "model.safetensors", "report.html", "run.json", "steps.jsonl"];
        assert_eq!(found, [&[".lock", "checkpoints", "config.toml", "device.json"], &logs[..]].concat());
        assert_eq!(names("one/checkpoints"), ["best.safetensors", "last.safetensors", "previous.safetensors"]);

        let metrics = place.lines("one/metrics.jsonl");
        assert_eq!(metrics.len(), 2);
        for (epoch, line) in (1..).zip(&metrics) {
            let mut expected = KEYS;
            expected.sort();
            assert_eq!(keys(line), expected);
            assert_eq!((number(line, "epoch"), number(line, "step")), (f64::from(epoch), f64::from(epoch * 4)));
            assert!(number(line, "loss") > 0.0 && number(line, "val_loss") > 0.0, "{line}");
            assert!((0.0..=1.0).contains(&number(line, "accuracy")), "{line}");
            let rate = 60.0 / number(line, "seconds");
            assert!((number(line, "images_per_second") / rate - 1.0).abs() < 1e-9, "{line}");
        }

        let csv = String::from_utf8(place.read("one/metrics.csv")).unwrap();
        assert_eq!(csv.lines().next(), Some(&*KEYS.join(",")));
        let model = place.read("one/model.safetensors");
        let header = u64::from_le_bytes(model[..8].try_into().unwrap()) as usize;
        let digest = Sha256::digest(&model[8 + header..]).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(metrics[1]["weights_sha256"], digest, "that of the weights that were saved");
        assert_ne!(metrics[0]["weights_sha256"], digest);
        assert!(csv.trim_end().ends_with(&digest), "{csv}");

        // 60 samples in batches of 16: the last step of an epoch has 12, and counts for no more.
        let steps = place.lines("one/steps.jsonl");
        let numbers: Vec<f64> = steps.iter().map(|line| number(line, "step")).collect();
        assert_eq!(numbers, (1..=8).map(f64::from).collect::<Vec<_>>());
        assert!(steps.iter().all(|line| keys(line) == ["loss", "step"]));
        for (steps, line) in steps.chunks(4).zip(&metrics) {
            let weighted: f64 = steps.iter().zip([16.0, 16.0, 16.0, 12.0]).map(|(s, n)| number(s, "loss") * n).sum();
            assert!((weighted / 60.0 - number(line, "loss")).abs() < 1e-12, "{weighted} of 60, {line}");
        }

        let device: Value = serde_json::from_slice(&place.read("one/device.json")).unwrap();
        assert!(device.is_object(), "{device}");

        place.works("train --config one/config.toml --run-dir two");
        for file in ["config.toml", "model.safetensors", "steps.jsonl"] {
            assert!(
                place.read(&format!("one/{file}")) == place.read(&format!("two/{file}")),
                "{file} of the second run"
            );
        }
    }
}

#[test]
fn a_model_file_is_pytorchs_with_one_key_more() {
    let place = Place::new();
    place.trains("run", "");
    let bytes = place.read("run/model.safetensors");
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..][..length]).unwrap();
    assert_eq!(keys(&header), ["0.bias", "0.weight", "4.bias", "4.weight", "__metadata__"]);
    for (name, shape) in [
        ("0.weight", json!([4, 1, 3, 3])),
        ("0.bias", json!([4])),
        ("4.weight", json!([4, 36])),
        ("4.bias", json!([4])),
    ] {
        assert_eq!((&header[name]["shape"], &header[name]["dtype"]), (&shape, &json!("F32")), "{name}");
    }
    assert_eq!(keys(&header["__metadata__"]), ["wgrad"]);
    let about: Value = serde_json::from_str(header["__metadata__"]["wgrad"].as_str().unwrap()).unwrap();
    assert_eq!(about["name"], "tiny");
    assert!(!place.path("run/steps.jsonl").exists(), "the steps were not requested");
    // Its own weights start another run, and fit.
    place.trains("more", "--init run/model.safetensors");
    let losses = ["run", "more"].map(|run| number(&place.lines(&format!("{run}/metrics.jsonl"))[0], "loss"));
    assert!(losses[1] < losses[0], "{losses:?}");
}

#[test]
fn one_seed_gives_the_same_bytes_and_another_gives_others() {
    let place = Place::new();
    for (n, device) in DEVICES.iter().enumerate() {
        let model = |run: &str, seed: u64| {
            let run = format!("{run}-{n}");
            place.trains(&run, &format!("--seed {seed} {device}"));
            place.read(&format!("{run}/model.safetensors"))
        };
        let first = model("first", 3);
        assert!(first == model("second", 3), "seed 3 twice {device}");
        assert!(first != model("third", 4), "seed 4 {device}");
        assert!(first != model("fourth", 3 + (1 << 32)), "a seed that differs above 32 bits {device}");
    }
}

/// Every kind of layer, two of a kind in a row, and dense layers wide enough to be shared out among threads.
const WIDE: &str = r#"input = [28, 28, 1]
[[layers]]
type = "conv2d"
filters = 6
kernel = 3
stride = 2
[[layers]]
type = "relu"
[[layers]]
type = "conv2d"
filters = 8
kernel = 3
padding = "same"
[[layers]]
type = "relu"
[[layers]]
type = "max_pool2d"
size = 3
stride = 2
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = 128
[[layers]]
type = "relu"
[[layers]]
type = "dense"
units = 10
"#;

/// Sums are cut by sizes and never by the number of threads.
#[test]
fn threads_of_the_cpu_change_no_byte() {
    let place = Place::with(28, [40, 20]);
    place.write("wide.toml", WIDE);
    let model = |run: &str, threads: usize, model: &str| {
        let options = "--data data --batch-size 24 --max-steps 3 --device cpu";
        place.works(&format!("train --model {model} {options} --threads {threads} --run-dir {run}"));
        place.read(&format!("{run}/model.safetensors"))
    };
    for (name, spec) in [("cnn", "mnist-cnn"), ("deep", "mnist-deep"), ("wide", "wide.toml")] {
        let one = model(&format!("{name}-1"), 1, spec);
        for threads in [2, 3] {
            assert!(one == model(&format!("{name}-{threads}"), threads, spec), "{name}: 1 and {threads} threads");
        }
    }
}

#[test]
fn max_steps_end_a_run_as_its_last_epoch_would() {
    for device in DEVICES {
        let place = Place::new();
        place.trains("six", &format!("--max-steps 6 --log-steps {device}"));
        let metrics = place.lines("six/metrics.jsonl");
        assert_eq!(metrics.iter().map(|line| number(line, "step")).collect::<Vec<_>>(), [4.0, 6.0]);
        assert!(number(&metrics[1], "val_loss") > 0.0);
        assert_eq!(place.lines("six/steps.jsonl").len(), 6);
        assert!(place.path("six/model.safetensors").exists());
        // Fewer than an epoch has, and more than the run has.
        place.trains("one", &format!("--max-steps 1 {device}"));
        assert_eq!(number(&place.lines("one/metrics.jsonl")[0], "step"), 1.0);
        place.trains("all", &format!("--max-steps 100 {device}"));
        assert_eq!(place.lines("all/metrics.jsonl").len(), 2);
    }
}

#[test]
fn without_shuffling_batches_come_in_file_order() {
    let place = Place::new();
    for (n, device) in DEVICES.iter().enumerate() {
        let first_loss = |run: &str, more: &str| {
            place.trains(&format!("{run}-{n}"), &format!("--max-steps 1 --log-steps {more} {device}"));
            number(&place.lines(&format!("{run}-{n}/steps.jsonl"))[0], "loss")
        };
        let ordered = first_loss("ordered", "--no-shuffle");
        assert_eq!(ordered, first_loss("first", "--no-shuffle --train-limit 16"), "{device}");
        assert_ne!(ordered, first_loss("shuffled", ""), "{device}");
    }
}

#[test]
fn eval_agrees_with_the_last_line_of_the_metrics() {
    let place = Place::new();
    for (n, device) in DEVICES.iter().enumerate() {
        place.trains(&format!("run-{n}"), device);
        let file = format!("run-{n}/model.safetensors");
        let metrics = place.lines(&format!("run-{n}/metrics.jsonl"));
        let done = place.works(&format!("eval {file} --data data --json {device}"));
        let found: Value = serde_json::from_str(&done.out).expect("JSON alone");
        assert_eq!(keys(&found), ["accuracy", "classes", "confusion", "data", "loss", "per_class", "samples", "set"]);
        assert_eq!(found["samples"], 20);
        assert_eq!(number(&found, "accuracy"), number(&metrics[1], "val_accuracy"));
        let (loss, expected) = (number(&found, "loss"), number(&metrics[1], "val_loss"));
        assert!((loss - expected).abs() <= 1e-6 * expected, "{loss}, in the metrics {expected}");
        let text = place.works(&format!("eval {file} --data data --model tiny.toml {device}")).out;
        assert!(text.starts_with(&format!("loss: {loss:.4} - accuracy: ")), "{text}");

        // The matrix again, from the probabilities of `predict`.
        let trained = wgrad::model::Model::load(place.path(&file)).unwrap();
        let test = wgrad::data::Dataset::open(place.path("data").to_str().unwrap()).unwrap().test;
        let mut counts = [[0u64; 4]; 4];
        for (label, probabilities) in test.labels().iter().zip(trained.predict(test.pixels()).unwrap()) {
            let best = (0..4).fold(0, |best, c| if probabilities[c] > probabilities[best] { c } else { best });
            counts[*label as usize][best] += 1;
        }
        assert_eq!(found["confusion"], json!(counts));
        assert_eq!(found["classes"], json!(["0", "1", "2", "3"]));
        let right: u64 = (0..4).map(|class| counts[class][class]).sum();
        assert_eq!(number(&found, "accuracy"), right as f64 / 20.0);
        for (class, score) in found["per_class"].as_array().expect("a list").iter().enumerate() {
            let taken: u64 = counts.iter().map(|row| row[class]).sum();
            let right = counts[class][class];
            let share =
                |part: u64, whole: u64| if whole == 0 { json!(null) } else { json!(part as f64 / whole as f64) };
            let samples = counts[class].iter().sum();
            let want = json!({
                "samples": samples, "predicted": taken, "precision": share(right, taken),
                "recall": share(right, samples), "f1": share(2 * right, samples + taken),
            });
            assert_eq!(score, &want, "class {class}");
        }
        assert_eq!(text.lines().count(), 8, "{text}");
    }
}

#[test]
fn epochs_go_to_stdout_and_all_else_to_stderr() {
    for device in DEVICES {
        let place = Place::new();
        let done = place.trains("run", device);
        let lines: Vec<&str> = done.out.lines().collect();
        assert!(lines.len() == 2 && lines[0].starts_with("epoch 1/2 ") && lines[1].starts_with("epoch 2/2 "));
        assert!(lines.iter().all(|line| ["loss: ", "accuracy: ", "val_loss: "].iter().all(|w| line.contains(w))));
        assert!(done.err.contains("device: ") && !done.err.contains(" - val_loss"), "{}", done.err);
        assert!(done.err.lines().any(|line| line.starts_with("done: 2 epochs, 8 steps in ")), "{}", done.err);
        assert!(!format!("{}{}", done.out, done.err).contains('\x1b'), "escape codes without a terminal: {done:?}");
        let quiet = place.trains("quiet", &format!("--quiet {device}"));
        assert_eq!(quiet.out, "");
        assert!(quiet.err.contains("device: "), "the device is never silent: {}", quiet.err);
    }
}

#[test]
fn runs_are_numbered_where_no_folder_is_given() {
    let place = Place::new();
    for number in 1..=2 {
        place.works("train --model tiny.toml --data data --batch-size 16 --max-steps 1");
        assert!(place.path(&format!("runs/tiny/{number}/model.safetensors")).exists());
    }
    // An empty folder is as good as none.
    std::fs::create_dir(place.path("empty")).unwrap();
    place.trains("empty", "--max-steps 1");
}

#[test]
fn listings_print_what_they_promise() {
    let place = Place::new();
    for (model, total) in [("mnist-cnn", "54,410"), ("mnist-deep", "1,199,882"), ("tiny.toml", "188")] {
        let summary = place.works(&format!("summary {model}"));
        assert!(summary.out.contains(total) && summary.out.contains("Memory of a training step"), "{}", summary.out);
        for device in DEVICES {
            let plan = place.works(&format!("plan {model} --batch-size 5 {device}"));
            assert!(plan.out.to_lowercase().replace('_', "").contains("softmaxce"), "{}", plan.out);
        }
    }
    assert!(place.works("plan mnist-cnn --wgsl adam").out.contains("fn main"));
    let devices: Value = serde_json::from_str(&place.works("devices --json").out).expect("JSON alone");
    let text = devices.to_string();
    for word in ["\"type\"", "\"backend\"", "\"driver\"", "\"limits\"", "\"features\""] {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert!(place.works("devices").out.contains("native CPU"));
    assert!(place.works("--help").out.contains("verify"));
}

/// A recipe replaces the defaults: explicit flags override it, and the folder's settings run it again.
#[test]
fn a_recipe_is_resolved_into_settings() {
    let place = Place::new();
    place.trains("one", "--device cpu --recipe best --lr 0.002 --augment shift=1");
    let config = String::from_utf8(place.read("one/config.toml")).unwrap();
    for line in ["optimizer = \"adamw\"", "schedule = \"one-cycle\"", "ema = 0.999", "lr = 0.002", "shift = 1.0"] {
        assert!(config.contains(line), "{line} is missing:\n{config}");
    }
    assert!(!config.contains("rotate") && !config.contains("recipe"), "{config}");
    place.works("train --config one/config.toml --run-dir two");
    assert!(place.read("one/model.safetensors") == place.read("two/model.safetensors"));
    place.trains("plain", "--device cpu");
    place.trains("named", "--device cpu --recipe plain");
    assert!(place.read("plain/config.toml") == place.read("named/config.toml"));
    let done = place.call("train --recipe best --config one/config.toml");
    assert!(done.status == Some(2) && done.err.contains("--config"), "{done:#?}");
}
