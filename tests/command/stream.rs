//! Data larger than the device's limit: runs through a window end with the same bytes, whatever interrupts them.

use crate::common::{Place, number};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;

/// The default adapter, and the native CPU.
const DEVICES: [&str; 2] = ["", "--device cpu"];

/// 203 images of 64 bytes, of which the device holds two chunks of 32: seven chunks, 26 steps per epoch.
const TRAIN: &str = "train --model tiny.toml --data data --batch-size 8 --lr 0.01 --no-report";
const LIMIT: &str = "--device-data-limit 4KiB";

fn place() -> Place {
    Place::with(8, [203, 100])
}

#[test]
fn a_run_through_a_window_learns_and_tests_as_any_other() {
    let place = place();
    for device in DEVICES {
        let (window, whole) = (format!("window{device}").replace(' ', ""), format!("whole{device}").replace(' ', ""));
        place.works(&format!("{TRAIN} {LIMIT} --epochs 6 {device} --run-dir {window}"));
        place.works(&format!("{TRAIN} --epochs 6 {device} --run-dir {whole}"));
        let [a, b] = [&window, &whole].map(|run| place.lines(&format!("{run}/metrics.jsonl")));
        assert_eq!((a.len(), number(&a[5], "step")), (6, 156.0), "as many steps as of data that is there whole");
        assert_eq!(number(&b[5], "step"), 156.0);
        let loss = |epoch: usize| number(&a[epoch], "loss");
        assert!(loss(5) < 0.5 * loss(0) && number(&a[5], "accuracy") > 0.9, "{a:?}");
        let model = format!("{window}/model.safetensors");
        assert!(place.read(&model) != place.read(&format!("{whole}/model.safetensors")), "another order of samples");
        // The test set came through a window as well: its 100 images are more than 4 KiB.
        let json = place.works(&format!("eval {model} --data data --json --device cpu")).out;
        let eval: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(number(&eval, "accuracy"), number(&a[5], "val_accuracy"));
        assert!((number(&eval, "loss") - number(&a[5], "val_loss")).abs() < 1e-4, "{eval}, {:?}", a[5]);
    }
}

/// Images of a file that are read as they are needed, and images of a packed one, which are held.
#[test]
fn a_file_and_memory_give_the_same_bytes() {
    let place = place();
    for entry in fs::read_dir(place.path("data")).unwrap() {
        let entry = entry.unwrap();
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&fs::read(entry.path()).unwrap()).unwrap();
        place.write(&format!("packed/{}.gz", entry.file_name().to_str().unwrap()), packed.finish().unwrap());
    }
    for device in DEVICES {
        let model = |data: &str| {
            let run = format!("{data}{device}").replace(' ', "");
            let line = format!("{TRAIN} {LIMIT} --epochs 2 {device} --run-dir run-{run}");
            place.works(&line.replace("--data data", &format!("--data {data}")));
            place.read(&format!("run-{run}/model.safetensors"))
        };
        assert!(model("data") == model("packed"), "{device}");
    }
}

/// Cut within a chunk (step 45 is the 20th of its epoch, in the middle of chunk 4), at its end, and killed.
#[test]
fn a_run_that_was_cut_within_a_chunk_ends_in_the_same_bytes() {
    for device in DEVICES {
        let place = place();
        let line = format!("{TRAIN} {LIMIT} --epochs 3 --log-steps --checkpoint-every 5 {device}");
        place.works(&format!("{line} --run-dir uncut"));
        let same = |run: &str| {
            for file in ["model.safetensors", "steps.jsonl", "config.toml"] {
                let [found, expected] = [run, "uncut"].map(|run| place.read(&format!("{run}/{file}")));
                assert!(found == expected, "{file} of {run} {device}");
            }
        };
        for steps in [45, 52, 1] {
            place.works(&format!("{line} --max-steps {steps} --run-dir cut{steps}"));
            place.works(&format!("train --resume cut{steps} --epochs 3 --no-report"));
            same(&format!("cut{steps}"));
        }
        let mut running = place.starts(&format!("{line} --run-dir killed"));
        assert!(running.line().starts_with("epoch 1/3"));
        running.child.kill().unwrap();
        running.ends();
        place.works("train --resume killed --no-report");
        same("killed");
    }
}

const NET: &str = r#"input = { tokens = 8 }
[[layers]]
type = "embedding"
size = 8
[[layers]]
type = "gru"
units = 12
[[layers]]
type = "dense"
units = "vocabulary"
"#;

/// 563 windows of 8 characters, 4,500 bytes, of which the device holds two chunks of 32: 18 chunks, 71 steps per epoch.
const TEXT: &str = "train --data text --model net.toml --batch-size 8 --lr 0.02 --no-report";

fn text() -> Place {
    let place = Place::new();
    place.write("text/train.txt", "abcd efgh ".repeat(450));
    place.write("text/val.txt", "efgh abcd ".repeat(430));
    place.write("net.toml", NET);
    place
}

/// What is read in order is the same text, however it comes to the device; that to validate on takes a window as well.
#[test]
fn a_text_through_a_window_is_read_as_one_that_is_there_whole() {
    for device in DEVICES {
        let place = text();
        for order in ["--carry", "--no-shuffle", ""] {
            let [window, whole] = [("window", LIMIT), ("whole", "")].map(|(kind, limit)| {
                let run = format!("{kind}{order}{device}").replace(' ', "");
                place.works(&format!("{TEXT} --epochs 2 {order} {limit} {device} --run-dir {run}"));
                (place.read(&format!("{run}/model.safetensors")), place.lines(&format!("{run}/metrics.jsonl")))
            });
            assert_eq!((number(&window.1[1], "step"), number(&whole.1[1], "step")), (142.0, 142.0), "{order} {device}");
            let [loss, expected] = [&window, &whole].map(|run| number(&run.1[1], "val_loss"));
            match order {
                "" => assert!(window.0 != whole.0 && loss < 0.5, "{device}: {loss}"),
                _ => assert!(window.0 == whole.0 && loss == expected, "{order} {device}: {loss}, whole {expected}"),
            }
        }
        let line = format!("{TEXT} {LIMIT} --epochs 3 --log-steps --checkpoint-every 5 {device}");
        place.works(&format!("{line} --run-dir uncut"));
        for steps in [97, 71] {
            place.works(&format!("{line} --max-steps {steps} --run-dir cut{steps}"));
            place.works(&format!("train --resume cut{steps} --epochs 3 --no-report"));
            let [cut, uncut] = [&*format!("cut{steps}"), "uncut"].map(|run| place.read(&format!("{run}/steps.jsonl")));
            assert!(cut == uncut, "{steps} {device}");
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let place = place();
    let refused = |line: &str, wants: &[&str]| {
        let done = place.call(line);
        assert_eq!(done.status, Some(2), "{line}: {done:#?}");
        assert!(wants.iter().all(|want| done.err.contains(want)), "{line}: {}", done.err);
    };
    let least = "device data limit 1000: at least 1024 bytes are expected, two chunks of 8 samples";
    refused(&format!("{TRAIN} --device-data-limit 1000 --device cpu"), &[least, "--batch-size 4 would fit"]);
    refused(&format!("{TRAIN} --device-data-limit 0"), &["a number of bytes from 1 on"]);
    refused(&format!("{TRAIN} --device-data-limit 1TiB"), &["a number of bytes from 1 on"]);
    // Another window is another order.
    place.works(&format!("{TRAIN} {LIMIT} --max-steps 3 --device cpu --run-dir run"));
    refused("train --resume run --device-data-limit 8KiB", &["cannot be used with"]);
    let config = String::from_utf8(place.read("run/config.toml")).unwrap();
    assert!(config.contains("device_data_limit = 4096"), "{config}");
    place.write("run/config.toml", config.replace("= 4096", "= 8192"));
    refused("train --resume run --max-steps 4", &["the settings differ", "device_data_limit: Some(8192)"]);
    // A file that goes while it is in use is no success: what is short says so.
    place.write("run/config.toml", config);
    let images = place.path("data/train-images-idx3-ubyte");
    fs::OpenOptions::new().write(true).open(images).unwrap().set_len(5000).unwrap();
    refused("train --resume run --max-steps 4", &["truncated"]);
}
