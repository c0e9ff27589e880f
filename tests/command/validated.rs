//! Validation on other data: `--val`.
#![cfg(all(feature = "cli", feature = "images", feature = "csv"))]

use crate::common::Place;
use wgrad::data::{Dataset, ReadOptions};

/// Grey pictures of 6 × 6 in a folder each for these classes, which differ in brightness.
fn classes(place: &Place, root: &str, of: &[(&str, u8)], count: u8) {
    for (class, value) in of {
        for n in 0..count {
            let path = place.path(&format!("{root}/{class}/{n}.png"));
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            image::GrayImage::from_fn(6, 6, |x, _| image::Luma([value + n + x as u8])).save(path).expect("a picture");
        }
    }
}

const ALL: &[(&str, u8)] = &[("dark", 10), ("grey", 110), ("light", 210)];

fn open(place: &Place, data: &str, val: &str, options: &ReadOptions) -> wgrad::Result<Dataset> {
    let [data, val] = [data, val].map(|name| place.path(name).display().to_string());
    Dataset::open_validated(&data, &val, options)
}

#[test]
fn all_is_trained_on_and_classes_are_told_by_name() {
    let place = Place::new();
    classes(&place, "photos", ALL, 5);
    classes(&place, "parts/train", ALL, 5);
    classes(&place, "parts/test", ALL, 2);
    classes(&place, "three/train", ALL, 2);
    classes(&place, "three/val", ALL, 1);
    classes(&place, "three/test", ALL, 1);
    classes(&place, "other", &ALL[1..], 3);
    classes(&place, "unknown", &[("dark", 10), ("loud", 90)], 3);
    place.write("label.csv", "label,p,q,r,s\ncat,1,2,3,4\ndog,9,8,7,6\nelk,5,5,5,5\n");
    place.write("more.csv", "label,p,q,r,s\nelk,1,2,3,5\ndog,9,8,7,7\n");
    place.write("price.csv", "x,y,price\n1,2,10\n2,9,20\n3,5,30\n4,1,40\n");
    place.write("sold.csv", "y,x,price\n3,1,12\n4,2,22\n");
    let options = ReadOptions::default();
    let counts =
        |data: &Dataset| (data.train.count, data.validation.as_ref().map(|split| split.count), data.test.count);
    for (data, val, expected, label) in [
        ("photos", "other", (15, None, 6), 1),
        ("parts", "other", (15, Some(6), 6), 1),
        ("parts", "three", (15, Some(3), 6), 0),
        ("label.csv", "more.csv", (3, None, 2), 2),
    ] {
        let found = open(&place, data, val, &options).unwrap_or_else(|e| panic!("{data} {val}: {e}"));
        assert_eq!(counts(&found), expected, "{data} {val}");
        let first = found.validation.as_ref().unwrap_or(&found.test).labels_of(0);
        assert_eq!((first, found.classes), (vec![label], 3), "{data} {val}");
        let notice = found.notice.expect("it is said");
        assert!(notice.contains("every epoch is validated on") && !notice.contains("in 5"), "{notice}");
    }
    let targets = ["price".to_owned()];
    let options = ReadOptions { targets: &targets, ..options };
    let table = open(&place, "price.csv", "sold.csv", &options).expect("a table");
    assert_eq!(counts(&table), (4, None, 2));
    // By the mean and the deviation of all four prices: 25 and the root of 125.
    let scales = table.train.schema().target().expect("a target").scales.clone();
    assert!((scales[0].mean - 25.0).abs() < 1e-9 && (scales[0].deviation - 125f64.sqrt()).abs() < 1e-9, "{scales:?}");
    assert_eq!(table.test.schema(), table.train.schema());
    for (data, val, words) in [
        ("photos", "photos", "found the data that is trained on"),
        ("three", "other", "has a part to validate on"),
        ("photos", "unknown", "loud"),
        ("photos", "label.csv", "found CSV, expected folders of images"),
        ("photos", "gone", "gone"),
    ] {
        let error = open(&place, data, val, &ReadOptions::default()).expect_err(val).to_string();
        assert!(error.contains(words), "{data} {val}: {error}");
    }
}

/// The run keeps where its validation data is; what evaluates or resumes it later uses the same samples.
#[test]
fn a_run_is_validated_on_other_data() {
    let place = Place::new();
    classes(&place, "photos", ALL, 8);
    classes(&place, "held", ALL, 3);
    classes(&place, "parts/train", ALL, 8);
    classes(&place, "parts/test", ALL, 1);
    place.write(
        "net.toml",
        "input = [6, 6, 1]\n[[layers]]\ntype = \"flatten\"\n[[layers]]\ntype = \"dense\"\nunits = 3\n",
    );
    let flags = "--model net.toml --batch-size 8 --epochs 2 --device cpu";
    let said = place.works(&format!("train {flags} --data photos --val held --run-dir run")).err;
    assert!(said.contains("photos has no tests: all of it is trained on"), "{said}");
    let samples = |run: &str| {
        let text = place.read(&format!("{run}/run.json"));
        serde_json::from_slice::<serde_json::Value>(&text).expect("JSON")["samples"].clone()
    };
    assert_eq!(samples("run")["train"], 24);
    let config = String::from_utf8(place.read("run/config.toml")).expect("text");
    assert!(config.lines().any(|line| line.starts_with("val = ") && line.ends_with("held\"") && line.len() > 14));
    let val_loss = |run: &str, epoch: usize| place.lines(&format!("{run}/metrics.jsonl"))[epoch]["val_loss"].as_f64();
    let found: serde_json::Value =
        serde_json::from_str(&place.works("eval run --json --device cpu").out).expect("JSON");
    assert_eq!(found["samples"], 9, "not the samples that it was trained on");
    let (loss, logged) = (found["loss"].as_f64().expect("a loss"), val_loss("run", 1).expect("a loss"));
    assert!((loss - logged).abs() <= 1e-6 * logged.abs().max(1.0), "{loss} {logged}");
    place.works("train --resume run --epochs 3");
    place.works("report run");

    place.works(&format!("train {flags} --data parts --val held --run-dir apart"));
    let samples = samples("apart");
    assert_eq!((&samples["validation"], &samples["test"]), (&9.into(), &3.into()), "{samples}");
    let tested = place.read("apart/test.json");
    std::fs::remove_file(place.path("apart/test.json")).expect("it was there");
    place.works("train --resume apart");
    assert_eq!(place.read("apart/test.json"), tested, "what a finished run lacks is made");
    // The tests are the data's own: what epochs were validated on may be gone.
    std::fs::rename(place.path("held"), place.path("moved")).expect("a name");
    let found = place.works("eval apart --json --device cpu").out;
    assert!(found.contains("\"samples\":3"), "{found}");
    std::fs::rename(place.path("moved"), place.path("held")).expect("a name");
    let both = place.call(&format!("train {flags} --data parts --val held --validation-split 0.2"));
    assert!(both.status == Some(2) && both.err.contains("--validation-split"), "{both:?}");
}
