//! Segmentation through the command: generated data, a small net trained on it, masks, and mismatches.
#![cfg(all(feature = "cli", feature = "mnist-data"))]

use crate::common::{Place, number};
use wgrad::data::formats::npy;

/// A model file for images of 8 × 8 whose pixels are in 3 classes, with a skip.
const TINY_MASKS: &str = r#"input = [8, 8, 1]
[[layers]]
type = "conv2d"
filters = 8
kernel = 3
padding = "same"
name = "edges"
[[layers]]
type = "relu"
[[layers]]
type = "max_pool2d"
size = 2
[[layers]]
type = "conv2d"
filters = 8
kernel = 3
padding = "same"
[[layers]]
type = "relu"
[[layers]]
type = "upsample2d"
factor = 2
[[layers]]
type = "concat"
from = "edges"
[[layers]]
type = "conv2d"
filters = 3
kernel = 1
"#;

/// 8 × 8 images with a bright half and a dark one, their border at its own place: classes 1 and 2, and 0 for a row.
fn masks(place: &Place, name: &str, counts: [usize; 2]) {
    for (count, files) in counts.into_iter().zip(npy::FILES.chunks(2)) {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for i in 0..count {
            for (y, x) in (0..8).flat_map(|y| (0..8).map(move |x| (y, x))) {
                let noise = (((i * 31 + y * 17 + x * 13) * 2_654_435_761) >> 16) % 30;
                let class = if y == 0 {
                    0
                } else if x < 2 + i % 5 {
                    1
                } else {
                    2
                };
                labels.push(class as u8);
                pixels.push((noise + [0, 220, 100][class]) as u8);
            }
        }
        place.write(&format!("{name}/{}", files[0]), npy::bytes(&[count, 8, 8], &pixels).unwrap());
        place.write(&format!("{name}/{}", files[1]), npy::bytes(&[count, 8, 8], &labels).unwrap());
    }
}

fn place() -> Place {
    let place = Place::new();
    place.write("masks.toml", TINY_MASKS);
    masks(&place, "halves", [60, 20]);
    place.write("halves/classes.txt", "edge\nbright\ndark\n");
    place
}

const TRAIN: &str = "train --model masks.toml --data halves --batch-size 16 --lr 0.02";

#[test]
fn a_net_of_masks_learns_and_leaves_its_pictures() {
    let place = place();
    for device in ["", "--device cpu"] {
        let run = if device.is_empty() { "one" } else { "two" };
        let done = place.works(&format!("{TRAIN} --epochs 12 --run-dir {run} {device}"));
        assert!(done.out.contains("val_mean_iou: "), "{done:#?}");
        let metrics = place.lines(&format!("{run}/metrics.jsonl"));
        let last = metrics.last().unwrap();
        assert!(number(last, "val_mean_iou") > 0.9, "{last}");
        assert!(number(last, "val_accuracy") > 0.95 && number(last, "val_accuracy") <= 1.0, "{last}");
        assert!(number(last, "accuracy") > 0.9 && number(last, "accuracy") <= 1.0, "{last}");
        let csv = String::from_utf8(place.read(&format!("{run}/metrics.csv"))).unwrap();
        assert!(csv.starts_with("epoch,step,loss,accuracy,val_loss,val_accuracy,val_mean_iou,seconds"), "{csv}");
        let png = place.read(&format!("{run}/segmentation.png"));
        assert_eq!(&png[..4], b"\x89PNG");
        let page = String::from_utf8(place.read(&format!("{run}/report.html"))).unwrap();
        assert!(page.contains("\"masks\":{\"colours\":[[0,0,0],[230,25,75],[60,180,75]]"), "pictures with their masks");
        let eval = place.works(&format!("eval {run}/model.safetensors --data halves --json {device}"));
        let found: serde_json::Value = serde_json::from_str(&eval.out).unwrap();
        assert_eq!(number(&found, "mean_iou"), number(last, "val_mean_iou"), "{found}");
        let ious: Vec<f64> = found["iou"].as_array().unwrap().iter().map(|iou| iou.as_f64().unwrap()).collect();
        assert!((ious.iter().sum::<f64>() / 3.0 - number(&found, "mean_iou")).abs() < 1e-12, "{found}");
        assert_eq!(found["classes"], serde_json::json!(["edge", "bright", "dark"]));
        let text = place.works(&format!("eval {run}/model.safetensors --data halves {device}")).out;
        assert!(text.contains("mean IoU") && text.contains("bright"), "{text}");
        let masks = format!("predict {run}/model.safetensors {run}/segmentation.png --masks {run}-masks {device}");
        assert!(place.works(&masks).out.contains(" %)"));
        assert_eq!(&place.read(&format!("{run}-masks/segmentation-mask.png"))[..4], b"\x89PNG");
        place.works(&format!("report {run} {device}"));
    }
    place.works("data halves --contact-sheet sheet.png");
}

/// 60 images of 64 bytes and as many of labels, of which the device holds two chunks of 8; the test set's 20 as well.
#[test]
fn masks_come_through_a_window_with_their_images() {
    let place = place();
    for device in ["", "--device cpu"] {
        let run = if device.is_empty() { "one" } else { "two" };
        let line = TRAIN.replace("--batch-size 16", "--batch-size 8 --device-data-limit 2KiB");
        place.works(&format!("{line} --epochs 8 --run-dir {run} {device}"));
        let metrics = place.lines(&format!("{run}/metrics.jsonl"));
        let last = metrics.last().unwrap();
        assert_eq!(number(last, "step"), 64.0, "as many steps as of data that is there whole");
        assert!(number(last, "accuracy") > 0.9 && number(last, "val_mean_iou") > 0.9, "{last}");
        let eval = place.works(&format!("eval {run}/model.safetensors --data halves --json {device}"));
        let found: serde_json::Value = serde_json::from_str(&eval.out).unwrap();
        assert_eq!(number(&found, "mean_iou"), number(last, "val_mean_iou"), "of a test set that is there whole");
        // Some of the images that stay in their file can be held out.
        let split = format!("{line} --validation-split 0.25 --epochs 1 --run-dir {run}-split {device} --no-report");
        let json = place.works(&format!("{split} --format json")).out;
        assert!(json.contains("test_accuracy"), "{json}");
        assert_eq!(number(&place.lines(&format!("{run}-split/metrics.jsonl"))[0], "step"), 6.0, "45 images");
    }
}

#[test]
fn a_run_of_masks_goes_on_in_the_same_bytes() {
    let place = place();
    let more = "--class-weights 3,1,1 --label-smoothing 0.05 --no-report";
    place.works(&format!("{TRAIN} {more} --epochs 3 --run-dir whole"));
    place.works(&format!("{TRAIN} {more} --epochs 3 --max-steps 6 --run-dir cut"));
    place.works("train --resume cut --max-steps 12 --no-report");
    assert_eq!(place.read("whole/model.safetensors"), place.read("cut/model.safetensors"));
    let [whole, cut] = ["whole", "cut"].map(|run| place.lines(&format!("{run}/metrics.jsonl")));
    for (a, b) in whole.iter().zip(&cut) {
        for key in ["loss", "accuracy", "val_loss", "val_mean_iou"] {
            assert_eq!(a[key], b[key], "{key}");
        }
    }
}

#[test]
fn what_does_not_fit_is_said() {
    let place = place();
    let refused = |line: &str, parts: &[&str]| {
        let done = place.call(line);
        assert_eq!(done.status, Some(2), "{line}: {done:#?}");
        parts.iter().for_each(|part| assert!(done.err.contains(part), "expected {part:?} in: {}", done.err));
    };
    refused(
        "train --model tiny.toml --data halves --epochs 1",
        &["a label for each pixel", "expects a label for each image"],
    );
    refused(
        "train --model masks.toml --data data --epochs 1",
        &["a label for each image", "expects a label for each pixel"],
    );
    let done = place.works(&format!("{TRAIN} --class-weights balanced --max-steps 1 --run-dir balanced --no-report"));
    assert!(
        done.err.contains("class weights (and pixels): edge 2.6667 (480), bright 0.7619 (1680), dark 0.7619"),
        "{}",
        done.err
    );
    refused(&format!("{TRAIN} --class-weights 1,2"), &["2 class weights, expected 3"]);
    refused(&format!("{TRAIN} --loss bce --label-smoothing 0.1"), &["label smoothing", "softmax"]);
    let pixels = vec![7; 2 * 64];
    for (name, shape, count, parts) in [
        ("small", vec![2, 8, 7], 112, &["y_train.npy", "one label per pixel"][..]),
        ("few", vec![1, 8, 8], 64, &["y_train.npy", "one label per pixel"]),
        ("deep", vec![2, 8, 4, 2], 128, &["labels of shape"]),
        ("empty", vec![2, 0, 8], 0, &["no size of zero"]),
    ] {
        masks(&place, name, [2, 2]);
        place.write(&format!("{name}/x_train.npy"), npy::bytes(&[2, 8, 8], &pixels).unwrap());
        place.write(&format!("{name}/y_train.npy"), npy::bytes(&shape, &vec![1; count]).unwrap());
        refused(&format!("data {name}"), parts);
    }
    masks(&place, "mixed", [2, 2]);
    place.write("mixed/y_test.npy", npy::bytes(&[2], &[0, 1]).unwrap());
    refused("data mixed", &["a test image has 1 labels, but a training image has 64"]);
    masks(&place, "named", [2, 2]);
    place.write("named/classes.txt", "one\ntwo\n");
    refused("data named", &["found the mask values 0, 1, 2 and 2 names of classes, expected values from 0 to 1"]);
    let mut cut = npy::bytes(&[2, 8, 8], &[1; 128]).unwrap();
    cut.pop();
    place.write("named/classes.txt", "a\nb\nc\n");
    place.write("named/y_train.npy", cut);
    refused("data named", &["truncated"]);
}

#[test]
fn the_made_set_is_the_same_from_the_same_seed() {
    let place = Place::new();
    let make = |out: &str, more: &str| {
        place.works(&format!("data make segmentation --train 6 --test 3 --size 40 --digits 1-2 --out {out} {more}"))
    };
    make("a", "--seed 5");
    make("b", "--seed 5");
    make("c", "--seed 6");
    for name in npy::FILES {
        assert_eq!(place.read(&format!("a/{name}")), place.read(&format!("b/{name}")));
        assert_ne!(place.read(&format!("a/{name}")), place.read(&format!("c/{name}")));
    }
    let again = place.call("data make segmentation --train 6 --test 3 --size 40 --out a");
    assert!(again.status == Some(2) && again.err.contains("not empty"), "{again:#?}");
    let told = place.works("data a").out;
    assert!(told.contains("background") && told.contains("40×40"), "{told}");
}
