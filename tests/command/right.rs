//! Cases in which answers on users' own data could be silently wrong: each is right, or reported.
#![cfg(all(feature = "cli", feature = "images"))]

use crate::common::{Place, number};
use serde_json::Value;

/// A grey picture of 16 × 16, lighter to one side.
fn slope(right: bool, salt: usize) -> Vec<u8> {
    let pixel = |at: usize| {
        let (x, y) = (at % 16, at / 16);
        (if right { x } else { 15 - x } * 12 + (y * salt) % 17 + 30) as u8
    };
    [b"P5 16 16 255\n", &(0..256).map(pixel).collect::<Vec<u8>>()[..]].concat()
}

const NET: &str = "input = [16, 16, 1]\n[[layers]]\ntype = \"flatten\"\n[[layers]]\ntype = \"dense\"\nunits = 2\n";
const TRAIN: &str = "train --model net.toml --data grey --epochs 8 --batch-size 16 --lr 0.01 --device cpu --no-report";
const BARE: &str = "train --model net.toml --data grey --batch-size 16 --device cpu --no-report";

fn grey(place: &Place, parts: &[(&str, usize)]) {
    for (part, count) in parts {
        for (class, right) in [("left", false), ("right", true)] {
            for n in 0..*count {
                place.write(&format!("grey/{part}/{class}/{n:03}.pgm"), slope(right, n * 7 + part.len()));
            }
        }
    }
    place.write("net.toml", NET);
}

/// A folder of grey pictures is no set of digits: `predict` sees what `eval` sees.
#[test]
fn pictures_are_prepared_as_those_of_training() {
    let place = Place::new();
    grey(&place, &[("train", 24), ("test", 10)]);
    place.works(&format!("{TRAIN} --run-dir run"));
    let found: Value =
        serde_json::from_str(&place.works("eval run/model.safetensors --data grey --device cpu --json").out).unwrap();
    assert_eq!(number(&found, "accuracy"), 1.0);
    for class in ["left", "right"] {
        let files: Vec<String> = (0..10).map(|n| format!("grey/test/{class}/{n:03}.pgm")).collect();
        let found = place.works(&format!("predict run/model.safetensors {} --device cpu --json", files.join(" "))).out;
        let answers: Vec<Value> = serde_json::from_str(&found).unwrap();
        assert!(answers.iter().all(|answer| answer["label"] == class), "{class}: {answers:?}");
    }
    let one = "predict run/model.safetensors grey/test/left/000.pgm --device cpu";
    assert!(place.works(one).out.contains("prepared: 16×16, colour, grey"));
    let digits = place.works(&format!("{one} --prepare digits"));
    assert!(digits.out.contains("centred by its mass"), "{digits:?}");
    place.works(&format!("{one} --prepare none"));
    place.write("large.pgm", [b"P5 4 4 255\n".to_vec(), vec![9; 16]].concat());
    let done = place.call("predict run/model.safetensors large.pgm --prepare none --device cpu");
    assert!(done.status == Some(2) && done.err.contains("found a picture of 4×4, expected 16×16"), "{done:#?}");
}

/// `train`, `val` and `test`: every epoch is validated on `val`, and the test folder is used once.
#[test]
fn three_folders_are_three_parts() {
    let place = Place::new();
    grey(&place, &[("train", 24), ("val", 6), ("test", 10)]);
    let done = place.works(&format!("{} --run-dir run", TRAIN.replace(" --no-report", "")));
    assert!(
        done.err.contains("the test folder is used once") && done.err.contains("test_accuracy: 1.0000"),
        "{}",
        done.err
    );
    let tested: Value = serde_json::from_slice(&place.read("run/test.json")).unwrap();
    assert_eq!((tested["samples"].as_u64(), number(&tested, "accuracy")), (Some(20), 1.0));
    let page = String::from_utf8(place.read("run/report.html")).unwrap();
    assert!(page.contains(r#""validated_apart":true"#), "the page knows");
    let done = place.call(&format!("{TRAIN} --validation-split 0.1 --run-dir no"));
    assert!(done.status == Some(2) && done.err.contains("has a part to validate on"), "{done:#?}");
}

/// Grey areas filled in by a decoder are not a picture.
#[test]
fn truncated_photographs_are_left_out() {
    let place = Place::new();
    let digit = vec![200; 784];
    let whole = crate::photo::photo(&digit, 3);
    for class in ["a", "b"] {
        for n in 0..6 {
            place.write(&format!("set/{class}/{n}.jpg"), &whole);
        }
    }
    let scan = whole.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    place.write("set/a/0.jpg", &whole[..scan + 14]);
    place.write("set/b/1.jpg", &whole[..whole.len() / 2]);
    place.write("net.toml", NET);
    let train = "train --data set --model net.toml --image-size 16 --image-channels 1 --batch-size 4 --epochs 1 --device cpu --no-report";
    let done = place.works(&format!("{train} --run-dir run"));
    assert!(done.err.contains("2 of 12 files cannot be used") && done.err.contains("truncated"), "{}", done.err);
    let done = place.call(&format!("{train} --strict-data --run-dir no"));
    assert!(done.status == Some(2) && done.err.contains("truncated"), "{done:#?}");
    let done = place.call("predict run/model.safetensors set/b/1.jpg --device cpu");
    assert!(done.status == Some(2) && done.err.contains("truncated"), "{done:#?}");
}

/// A folder lies class by class: its first images are of one.
#[test]
fn few_samples_are_of_every_class() {
    let place = Place::new();
    grey(&place, &[("train", 24), ("test", 10)]);
    let done = place.works(&format!("{TRAIN} --train-limit 20 --test-limit 6 --run-dir run"));
    assert!(done.err.contains("the first train and test samples do not contain every class"), "{}", done.err);
    let found: Value =
        serde_json::from_str(&place.works("eval run/model.safetensors --data grey --device cpu --json").out).unwrap();
    assert_eq!(number(&found, "accuracy"), 1.0);
}

/// A smaller batch is offered where memory is what lacks, and nowhere else; and every run says how it ended.
#[test]
fn a_run_says_why_it_ended() {
    let place = Place::new();
    grey(&place, &[("train", 24), ("test", 10)]);
    let done = place.works(&format!("{BARE} --patience 2 --lr 1 --epochs 60 --run-dir run --format json"));
    let end: Value = done.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).next_back().unwrap();
    assert_eq!((end["event"].as_str(), end["reason"].as_str()), (Some("end"), Some("patience")), "{end}");
    assert!(number(&end["best"], "epoch") + 2.0 == number(&end, "epochs") && number(&end, "seconds") > 0.0, "{end}");
    let done = place.works(&format!("{TRAIN} --run-dir two"));
    assert!(done.err.contains("done: 8 epochs, 24 steps in "), "{}", done.err);
    // Pictures in both classes cannot be told apart, and rates this large end far from where they began.
    for n in 0..24 {
        place.write(&format!("grey/train/left/9{n:02}.pgm"), slope(true, n * 7 + 5));
    }
    let done = place.works(&format!("{BARE} --optimizer sgd --lr 1e6 --epochs 2 --run-dir three"));
    assert!(done.err.contains("warning: the run diverged"), "{}", done.err);
    place.write("net.toml", NET.replace("16, 16", "8, 8"));
    let done = place.call(&format!("{TRAIN} --run-dir no"));
    assert!(done.status == Some(2) && !done.err.contains("would fit"), "{done:#?}");
}

/// A wide picture of 32 × 16, of which only the outer quarters tell the class; the middle is the same in both.
fn wide(right: bool, salt: usize) -> Vec<u8> {
    let pixel = |at: usize| {
        let (x, y) = (at % 32, at / 32);
        let outer = !(8..24).contains(&x);
        let light = if outer { (x >= 16) == right } else { (y * salt).is_multiple_of(3) };
        if light { 200 } else { 40 }
    };
    [b"P5 32 16 255\n", &(0..512).map(pixel).collect::<Vec<u8>>()[..]].concat()
}

/// How pictures of other proportions are brought to a size is stored, and `eval`, `predict` and ONNX go by it.
#[test]
fn pictures_are_fitted_as_those_of_training() {
    let place = Place::new();
    for (part, count) in [("train", 24), ("test", 10)] {
        for (class, right) in [("left", false), ("right", true)] {
            let name = |n: usize| format!("wide/{part}/{class}/{n:03}.pgm");
            (0..count).for_each(|n| place.write(&name(n), wide(right, n * 7 + part.len())));
        }
    }
    place.write("net.toml", NET);
    let train = "train --model net.toml --data wide --image-size 16 --epochs 8 --batch-size 16 --lr 0.01 --device cpu --no-report";
    for (fit, accuracy, how) in [
        ("stretch", 1.0, "32×16, colour, resized to 16×16, grey"),
        ("crop", 0.5, "32×16, colour, cropped to 16×16 in the middle, grey"),
        ("pad", 1.0, "32×16, colour, resized to 16×8, padded with black to 16×16, grey"),
    ] {
        place.works(&format!("{train} --fit {fit} --run-dir {fit}"));
        let file = format!("{fit}/model.safetensors");
        let found: Value =
            serde_json::from_str(&place.works(&format!("eval {file} --data wide --device cpu --json")).out).unwrap();
        assert_eq!(number(&found, "accuracy"), accuracy, "{fit}");
        let last = place.lines(&format!("{fit}/metrics.jsonl")).pop().unwrap();
        assert_eq!(number(&last, "val_accuracy"), accuracy, "{fit}");
        let told = place.works(&format!("predict {file} wide/test/left/000.pgm --device cpu")).out;
        assert!(told.contains(&format!("prepared: {how}")), "{told}");
        place.works(&format!("export {file} --onnx {fit}.onnx"));
    }
    let onnx = place.read("pad.onnx");
    let words = b"resized to fit into the sides, its proportion kept, and padded with black";
    assert!(onnx.windows(words.len()).any(|part| part == words));
    assert!(String::from_utf8(place.read("crop/config.toml")).unwrap().contains("fit = \"crop\""));
    assert!(!String::from_utf8(place.read("stretch/config.toml")).unwrap().contains("fit ="), "as before");
    place.works("train --resume crop --epochs 9 --no-report");
    let done = place.call("train --data mnist --fit crop --train-limit 20 --epochs 1 --device cpu --run-dir no");
    assert!(
        done.status == Some(2)
            && done.err.contains("fit crop: expected pictures, in a folder for each class or with masks"),
        "{done:#?}"
    );
}
