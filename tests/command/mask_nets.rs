//! Nets that are trained on pictures and masks.
#![cfg(all(feature = "cli", feature = "images"))]

use crate::cli_report::page_data;
use crate::common::{Place, number};
use crate::masks::{class, pairs, palette, picture, save};
use image::{GrayImage, Luma, RgbImage};
use wgrad::data::pictures::index::Mask;

/// From pictures and masks to a net, by the command: pixels are counted, ignored ones are not, and the same values mean the
/// same classes where the model is evaluated.
#[test]
fn a_net_is_trained_on_pictures_and_masks() {
    let place = Place::new();
    pairs(&place, "set", ["images", "masks"], 10);
    place.write("set/classes.txt", "ground\nleft\nright\n");
    for n in 0..10 {
        place.write(&format!("set/masks/s{n:02}.png"), palette(|x, y| if x == 7 { 255 } else { class(x, y) }));
    }
    place.write(
        "net.toml",
        "input = [6, 8, 3]\n[[layers]]\ntype = \"conv2d\"\nfilters = 3\nkernel = 3\npadding = \"same\"\n",
    );
    let refused = place.call("data set");
    assert!(refused.status == Some(2) && refused.err.contains("--ignore-label 255 leaves 255 out"), "{refused:#?}");
    let told = place.works("data set --ignore-label 255").out;
    let counts = |name: &str| {
        let words = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.into_iter().find(|words| words.first() == Some(&name)).map(|words| words[1..3].join(" "))
    };
    for (name, expected) in [("ground", "168 42"), ("left", "96 24"), ("right", "72 18"), ("ignored", "48 12")] {
        assert_eq!(counts(name).as_deref(), Some(expected), "{told}");
    }
    let train = "train --model net.toml --data set --ignore-label 255 --batch-size 4 --lr 0.05 --epochs 8 --device cpu";
    place.works(&format!("{train} --run-dir run --no-report"));
    let last = place.lines("run/metrics.jsonl").pop().unwrap();
    assert!(number(&last, "val_mean_iou") > 0.8, "{last}");
    let eval = place.works("eval run/model.safetensors --data set --ignore-label 255 --json --device cpu").out;
    let found: serde_json::Value = serde_json::from_str(&eval).unwrap();
    assert_eq!(number(&found, "mean_iou"), number(&last, "val_mean_iou"));
    let pixels: u64 = found["confusion"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(pixels, 2 * 42, "pixels of no class are not counted");
    // Masks are indices at the picture's own size; an overlay has a legend below it.
    save(&place, "large.png", image::imageops::resize(&picture(3), 80, 60, image::imageops::FilterType::Nearest));
    let predict =
        "predict run/model.safetensors large.png set/images/s01.png --masks m --overlay o --json --device cpu";
    let answers: serde_json::Value = serde_json::from_str(&place.works(predict).out).unwrap();
    assert_eq!(answers[0]["mask"], "m/large-mask.png");
    assert_eq!(answers[1]["overlay"], "o/s01-overlay.png");
    let mask = Mask::decode(&place.read("m/large-mask.png")).unwrap();
    assert_eq!((mask.width, mask.height), (80, 60));
    let right = (0..4800).filter(|at| {
        let (x, y) = ((at % 80) as u32, (at / 80) as u32);
        mask.values[*at] == u32::from(class(x / 10, y / 10))
    });
    assert!(right.count() > 4000);
    let share = mask.values.iter().filter(|class| **class == 1).count() as f64 / 4800.0;
    let told = answers[0]["classes"].as_array().unwrap().iter().find(|one| one["label"] == "left").unwrap();
    assert!((number(told, "share") - share).abs() < 1e-12, "{answers}");
    let overlay = image::open(place.path("o/large-overlay.png")).unwrap();
    assert!(overlay.width() == 320 && overlay.height() > 240, "four times as large, and a legend");
    assert_eq!(image::open(place.path("m/s01-mask.png")).unwrap().width(), 8);
    let refused = place.call("predict net.toml large.png --overlay o");
    assert_eq!(refused.status, Some(2));
}

/// Pixels that a rotation brings in from outside count as little in the accuracy as in the loss, whatever the loss.
#[test]
fn the_accuracy_in_training_counts_what_is_inside_alone() {
    let place = Place::new();
    place.write("set/classes.txt", "ground\nsky\n");
    for n in 0..8 {
        save(&place, &format!("set/images/{n}.png"), RgbImage::from_pixel(8, 6, image::Rgb([200, 90, 30])));
        // A pixel of another class in one picture, so that there are two.
        let mask = GrayImage::from_fn(8, 6, |x, y| Luma([u8::from(n > 0 || x + y > 0)]));
        save(&place, &format!("set/masks/{n}.png"), mask);
    }
    let layer = "[[layers]]\ntype = \"conv2d\"\nfilters = 2\nkernel = 1\n";
    place.write("net.toml", format!("input = [6, 8, 3]\n{layer}"));
    let train = "train --model net.toml --data set --augment rotate=40 --lr 0.3 --epochs 4 --batch-size 4 --no-report";
    for (n, by) in
        ["--class-weights 1,3", "--class-weights 2,2", "--loss dice", "--loss ce-dice", ""].iter().enumerate()
    {
        place.works(&format!("{train} {by} --run-dir {n}"));
        let last = place.lines(&format!("{n}/metrics.jsonl")).pop().expect("an epoch");
        let accuracy = number(&last, "accuracy");
        assert!((0.99..=1.0).contains(&accuracy), "{by}: {accuracy}");
    }
}

/// The page has what the run's files have: figures of validation from `metrics.jsonl`, of the test set from `test.json`, and what
/// follows from the counts of the test set's pixels.
fn figures_are_those_of_their_sets(place: &Place, run: &str, test: &serde_json::Value) {
    let page = page_data(place, &format!("{run}/report.html"));
    let record = &page["runs"][0];
    assert_eq!((&record["test"], &record["validated_apart"]), (test, &true.into()));
    assert_eq!(record["epochs"], serde_json::Value::Array(place.lines(&format!("{run}/metrics.jsonl"))));
    let found = &page["findings"]["confusion"];
    let counts: Vec<Vec<f64>> = serde_json::from_value(found["counts"].clone()).unwrap();
    let all: f64 = counts.iter().flatten().sum();
    assert_eq!(all, 48.0 * number(test, "samples"), "pixels of the test set");
    let right: f64 = (0..3).map(|class| counts[class][class]).sum();
    assert!((right / all - number(test, "accuracy")).abs() < 1e-12);
    let ious = (0..3).map(|class| {
        let sums: f64 = (0..3).map(|other| counts[class][other] + counts[other][class]).sum();
        counts[class][class] / (sums - counts[class][class])
    });
    for (iou, told) in ious.clone().zip(found["ious"].as_array().unwrap()) {
        assert!((iou - told.as_f64().unwrap()).abs() < 1e-12, "{told}");
    }
    assert_eq!(found["mean_iou"], test["mean_iou"]);
    assert!((ious.sum::<f64>() / 3.0 - number(test, "mean_iou")).abs() < 1e-12);
    let samples = page["findings"]["masks"]["samples"].as_array().unwrap();
    assert_eq!((samples.len(), samples[0]["name"].as_str()), (3, Some("images/s04.png")), "the first of the test set");
}

/// Masks move with their pictures: a net learns from both as well as from still ones, which it does not where a mask stays
/// behind; and the losses of masks train.
#[test]
fn augmented_masks_and_their_losses_train() {
    let place = Place::new();
    pairs(&place, "set", ["images", "masks"], 15);
    place.write("net.toml", "input = [6, 8, 3]\n[[layers]]\ntype = \"conv2d\"\nfilters = 3\nkernel = 1\n");
    let train = "train --model net.toml --data set --batch-size 4 --epochs 12 --validation-split 0.25";
    for (run, more) in [
        ("moved", "--lr 0.1 --augment hflip,vflip,shift=1,rotate=30 --device cpu"),
        ("dice", "--lr 0.1 --loss dice --augment hflip,crop=1 --device software"),
        ("both", "--lr 0.1 --loss ce-dice --device cpu"),
    ] {
        let done = place.works(&format!("{train} {more} --run-dir {run}"));
        assert!(done.err.contains("test_mean_iou: "), "{done:#?}");
        let test: serde_json::Value = serde_json::from_slice(&place.read(&format!("{run}/test.json"))).unwrap();
        assert!(number(&test, "mean_iou") > 0.9, "{run}: {test}");
        let last = place.lines(&format!("{run}/metrics.jsonl")).pop().unwrap();
        assert!(number(&last, "val_mean_iou") > 0.9 && number(&last, "accuracy") <= 1.0, "{run}: {last}");
        figures_are_those_of_their_sets(&place, run, &test);
    }
    let refused = |more: &str, words: &str| {
        let done = place.call(&format!("{train} {more} --device cpu"));
        assert!(done.status == Some(2) && done.err.contains(words), "{done:#?}");
    };
    refused("--augment mixup=0.2", "mixup 0.2: expected none with a model for segmentation");
    refused("--loss dice --class-weights 1,2,3", "none but with --loss softmax");
    let digits = place.call("train --model tiny.toml --data data --loss dice --device cpu");
    assert!(digits.err.contains("loss dice: expected a model for segmentation"), "{digits:#?}");
}
