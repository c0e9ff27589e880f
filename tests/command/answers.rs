//! Several yes-or-no answers to a picture, one answer for two classes, and more than 256 classes.
#![cfg(all(feature = "cli", feature = "images", feature = "onnx"))]

use crate::common::{Place, number};
use serde_json::Value;
use wgrad::data::formats::npy;

/// Colour pictures of 8 × 8 whose left half, upper half and middle are light or dark, and which of the three are light, as `[count, 3]`.
fn halves(count: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut pixels, mut answers) = (Vec::new(), Vec::new());
    for n in 0..count {
        let light = [n % 2 == 0, n / 2 % 2 == 0, n / 4 % 2 == 0];
        for (y, x) in (0..8).flat_map(|y| (0..8).map(move |x| (y, x))) {
            let inside = [x < 3, y < 3, (3..6).contains(&x) && (3..6).contains(&y)];
            let lit = inside.iter().zip(light).any(|(inside, light)| *inside && light);
            let value = |c: usize| (if lit { 180 } else { 20 }) + ((n * 31 + x * 7 + y * 13 + c * 5) % 40) as u8;
            pixels.extend([0, 1, 2].map(value));
        }
        answers.extend(light.map(u8::from));
    }
    (pixels, answers)
}

/// An array of 32-bit floats as a file.
fn floats(shape: &[usize], values: &[u8]) -> Vec<u8> {
    let whole = npy::bytes(shape, values).unwrap();
    let header = whole.len() - values.len();
    let head = String::from_utf8_lossy(&whole[10..header]).replace("|u1", "<f4");
    let floats = values.iter().flat_map(|value| f32::from(*value).to_le_bytes());
    whole[..10].iter().copied().chain(head.into_bytes()).chain(floats).collect()
}

const NET: &str = r#"input = [8, 8, 3]
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = UNITS
"#;

fn net(place: &Place, units: usize) {
    place.write("net.toml", NET.replace("UNITS", &units.to_string()));
}

#[test]
fn answers_are_learnt_told_and_taken_away() {
    let place = Place::new();
    for (part, count) in [("train", 240), ("test", 40)] {
        let (pixels, answers) = halves(count);
        place.write(&format!("set/x_{part}.npy"), npy::bytes(&[count, 8, 8, 3], &pixels).unwrap());
        place.write(&format!("set/y_{part}.npy"), floats(&[count, 3], &answers));
    }
    place.write("set/classes.txt", "left\nupper\nmiddle\n");
    net(&place, 3);
    let train = "train --data set --model net.toml --batch-size 16 --epochs 30 --lr 0.01 --device cpu";
    let told = place.works("data set").out;
    assert!(told.contains("left") && told.contains("120"), "a yes for every second picture: {told}");
    let done = place.works(&format!("{train} --run-dir run"));
    assert!(done.out.lines().last().unwrap().contains("val_accuracy: 1.0000"), "{}", done.out);

    let found = place.works("eval run/model.safetensors --data set --device cpu --json").out;
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!((number(&found, "accuracy"), found["answers"][1].as_str()), (1.0, Some("upper")));
    assert_eq!(found["per_answer"][0]["samples"], 20);

    // Left and middle, not upper.
    let picture: Vec<u8> = halves(3).0[2 * 192..].to_vec();
    place.write("two.ppm", [b"P6 8 8 255\n", &picture[..]].concat());
    let found = place.works("predict run/model.safetensors two.ppm --device cpu --json --top 1").out;
    let found: Value = serde_json::from_str(&found).unwrap();
    let text = place.works("predict run/model.safetensors two.ppm --device cpu").out;
    let mut yes: Vec<&str> = found[0]["yes"].as_array().unwrap().iter().map(|yes| yes.as_str().unwrap()).collect();
    yes.sort_unstable();
    assert_eq!((yes, found[0]["top"].as_array().unwrap().len()), (vec!["left", "middle"], 2), "{found}");
    assert!(text.contains("  yes: "), "{text}");

    place.works("export run/model.safetensors --onnx net.onnx");
    let onnx = std::fs::read(place.path("net.onnx")).unwrap();
    assert!(onnx.windows(7).any(|bytes| bytes == b"Sigmoid") && !onnx.windows(7).any(|bytes| bytes == b"Softmax"));

    let wrong = |more: &str, words: &str| {
        let done = place.call(&format!("{train} {more} --run-dir no"));
        assert!(done.status == Some(2) && done.err.contains(words), "expected {words:?}: {done:#?}");
    };
    wrong("--loss softmax", "loss softmax: expected bce for yes-or-no answers");
    wrong("--label-smoothing 0.1", "label smoothing");
    wrong("--augment mixup=0.2", "expected none where a model gives answers");
    net(&place, 4);
    wrong("", "3 answers, the model net gives 4");
    place.write("set/y_test.npy", npy::bytes(&[40, 3], &[2; 120]).unwrap());
    wrong("", "sample 0, answer 0: found another number, expected 0 or 1");
}

#[test]
fn one_answer_stands_for_two_classes() {
    let place = Place::new();
    for (part, count) in [("train", 120), ("test", 24)] {
        let (pixels, answers) = halves(count);
        place.write(&format!("set/x_{part}.npy"), npy::bytes(&[count, 8, 8, 3], &pixels).unwrap());
        let labels: Vec<u8> = answers.iter().step_by(3).copied().collect();
        place.write(&format!("set/y_{part}.npy"), npy::bytes(&[count], &labels).unwrap());
    }
    place.write("set/classes.txt", "dark\nlight\n");
    net(&place, 1);
    let train = "train --data set --model net.toml --batch-size 16 --epochs 30 --lr 0.01 --device cpu --run-dir run";
    let done = place.call(train);
    assert!(
        done.status == Some(2) && done.err.contains("with --loss bce its one output is a yes-or-no answer"),
        "{done:#?}"
    );
    let done = place.works(&format!("{train} --loss bce"));
    assert!(done.out.lines().last().unwrap().contains("val_accuracy: 1.0000"), "{}", done.out);
    let found = place.works("eval run/model.safetensors --data set --device cpu --json").out;
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!((number(&found, "accuracy"), found["answers"][0].as_str()), (1.0, Some("light")));
    place.write("one.ppm", [b"P6 8 8 255\n", &halves(1).0[..]].concat());
    let found = place.works("predict run/model.safetensors one.ppm --device cpu --json").out;
    let found: Value = serde_json::from_str(&found).unwrap();
    let top: Vec<&str> =
        found[0]["top"].as_array().unwrap().iter().map(|guess| guess["label"].as_str().unwrap()).collect();
    assert_eq!(top.len(), 2, "both classes: {found}");
    let shares = number(&found[0]["top"][0], "probability") + number(&found[0]["top"][1], "probability");
    assert!((shares - 1.0).abs() < 1e-6, "{found}");
    let page = std::fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(page.contains(r#""answers":[["light""#), "the page names the answer");
}

/// A thousand classes, each a picture of its own with a little noise.
#[test]
fn a_thousand_classes_are_told_apart() {
    let place = Place::new();
    let picture = |class: usize, salt: usize| {
        let bit = move |at: usize| if at < 10 { class >> at & 1 } else { (at * 37 + salt * 11) % 2 };
        (0..16).map(move |at| (bit(at) * 200 + (salt * 7 + at * 3) % 30) as u8).collect::<Vec<u8>>()
    };
    for (part, each) in [("train", 6), ("test", 1)] {
        let count = 1000 * each;
        let pixels: Vec<u8> = (0..count).flat_map(|n| picture(n % 1000, n / 1000 + 9 * each)).collect();
        let labels: Vec<u8> = (0..count).flat_map(|n| ((n % 1000) as u16).to_le_bytes()).collect();
        place.write(&format!("set/x_{part}.npy"), npy::bytes(&[count, 4, 4], &pixels).unwrap());
        let bytes = npy::bytes(&[count * 2], &labels).unwrap();
        let header = bytes.len() - labels.len();
        let text = String::from_utf8_lossy(&bytes[10..header]).replace("|u1", "<u2");
        let text = text.replace(&format!("({},)", count * 2), &format!("({count},)"));
        // As long as it was.
        let text = format!("{:<width$}\n", text.trim_end(), width = header - 11);
        place.write(&format!("set/y_{part}.npy"), [&bytes[..10], text.as_bytes(), &labels].concat());
    }
    place.write("net.toml", "input = [4, 4, 1]\n[[layers]]\ntype = \"flatten\"\n[[layers]]\ntype = \"dense\"\nunits = 64\n[[layers]]\ntype = \"relu\"\n[[layers]]\ntype = \"dense\"\nunits = 1000\n");
    let done = place
        .works("train --data set --model net.toml --batch-size 64 --epochs 12 --lr 0.01 --device cpu --run-dir run");
    let last = done.out.lines().last().unwrap();
    let accuracy: f64 = last.split("val_accuracy: ").nth(1).unwrap().parse().unwrap();
    assert!(accuracy > 0.9, "{last}");
    let found = place.works("eval run/model.safetensors --data set --device cpu --json").out;
    let found: Value = serde_json::from_str(&found).unwrap();
    assert!((number(&found, "accuracy") - accuracy).abs() < 1e-4 && found["confusion"][999].is_array(), "accuracy");
    place.works("report run");
}
