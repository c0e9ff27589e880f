//! `wgrad predict`: photographed digits are recognised, and unreadable files are named while the others are answered.
#![cfg(all(feature = "cli", feature = "mnist-data"))]

use crate::common::{Place, keys, number};
use crate::photo;
use serde_json::Value;
use wgrad::data::pictures::picture::Picture;
use wgrad::data::pictures::prepare::{Prepared, prepare};
use wgrad::data::{Dataset, Prepare};
use wgrad::model::init::glorot_uniform;
use wgrad::model::{Model, Sequential};

const TRAIN: &str = "train --train-limit 4000 --test-limit 100 --epochs 3 --device cpu --run-dir run";

#[test]
fn photographs_of_digits_are_recognised() {
    let place = Place::new();
    place.works(TRAIN);
    let test = Dataset::open("mnist").unwrap().test;
    let count = 40;
    for (seed, digit) in (0..count).zip(test.pixels().chunks(784)) {
        place.write(&format!("photos/{seed}.jpg"), photo::photo(digit, seed));
    }
    let names: Vec<String> = (0..count).map(|seed| format!("photos/{seed}.jpg")).collect();
    let list = |more: &str| format!("predict run/model.safetensors {} {more}", names.join(" "));
    let done = place.works(&list("--json --top 2 --device cpu"));
    let answers: Vec<Value> = serde_json::from_str(&done.out).expect("JSON alone");
    assert_eq!(answers.len(), names.len());
    let mut right = 0;
    for ((answer, name), label) in answers.iter().zip(&names).zip(&test.labels()) {
        assert_eq!(keys(answer), ["image", "label", "prepared", "probability", "top"]);
        assert_eq!(answer["image"], *name);
        assert!(answer["prepared"].as_str().unwrap().starts_with("640×480, grey, inverted"), "{answer}");
        let top = answer["top"].as_array().unwrap();
        assert_eq!((top.len(), &top[0]["label"]), (2, &answer["label"]));
        let shares = [&top[0], &top[1]].map(|guess| number(guess, "probability"));
        assert!(shares[0] >= shares[1] && shares[0] <= 1.0 && shares[0] == number(answer, "probability"), "{answer}");
        right += u32::from(answer["label"].as_str() == Some(label.to_string().as_str()));
    }
    // The net gets about one in twenty of the digits themselves wrong.
    assert!(right * 10 >= count * 8, "{right} of {count} photographs");

    // The default device says the same as the native CPU, in text too.
    let text = place.works(&list("")).out;
    for (answer, line) in answers.iter().zip(text.lines().step_by(2)) {
        let start = format!("{}: {} (", answer["image"].as_str().unwrap(), answer["label"].as_str().unwrap());
        assert!(line.starts_with(&start), "{line}, not {start}");
    }
    assert!(text.lines().skip(1).step_by(2).all(|line| line.starts_with("  prepared: 640×480, grey")), "{text}");
}

/// `--save-prepared` writes the input of the net, one file per picture.
#[test]
fn inputs_can_be_looked_at() {
    let place = Place::new();
    let flags = "--train-limit 200 --test-limit 10 --epochs 1 --no-report --device cpu";
    place.works(&format!("train {flags} --run-dir run"));
    let digit = Dataset::open("mnist").unwrap().test.pixels()[..784].to_vec();
    place.write("a/one.jpg", photo::photo(&digit, 1));
    place.write("b/one.png", photo::photo(&digit, 2));
    place.works("predict run/model.safetensors a/one.jpg b/one.png a/one.jpg --device cpu --save-prepared seen/here");
    for (file, photo) in [("one", "a/one.jpg"), ("one-2", "b/one.png"), ("one-3", "a/one.jpg")] {
        let seen = image::open(place.path(&format!("seen/here/{file}.png"))).expect("a picture").to_luma8();
        let expected =
            prepare(&Picture::open(&place.path(photo)).unwrap(), [28, 28, 1], Prepare::Digits).unwrap().pixels;
        assert!((seen.dimensions(), seen.as_raw()) == ((28, 28), &expected), "{file}");
    }
    for (shape, bytes) in [([1, 2, 3], 6), ([2, 1, 4], 8)] {
        let input = Prepared { pixels: (0..bytes).collect(), shape, how: String::new() };
        let file = image::load_from_memory(&input.to_png().unwrap()).expect("a picture");
        assert_eq!((file.as_bytes(), usize::from(file.color().channel_count())), (&input.pixels[..], shape[2]));
    }
    assert!(Prepared { pixels: vec![0; 5], shape: [1, 2, 3], how: String::new() }.to_png().is_err());
    place.write("file", "in the way");
    let done = place.call("predict run/model.safetensors a/one.jpg --device cpu --save-prepared file");
    assert!(done.status == Some(2) && done.err.contains("error: file: cannot be created"), "{done:?}");
}

/// The picture of the tutorial.
#[test]
fn the_drawn_two_is_a_two() {
    let place = Place::new();
    place.works(TRAIN);
    let picture = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digit.jpg");
    let found = place.works(&format!("predict run/model.safetensors {picture} --device cpu")).out;
    assert!(found.starts_with(&format!("{picture}: 2 (")), "{found}");
}

#[test]
fn class_names_come_from_the_file() {
    let place = Place::new();
    let mut model = Sequential::new([8, 8, 3]).name("colours").flatten().dense(3).build().unwrap();
    let save = |model: &Model, name: &str| {
        glorot_uniform(model, 1).unwrap().save(&place.path(name), model).unwrap();
    };
    save(&model, "numbers");
    model.class_names = vec!["ash".into(), "birch".into()];
    save(&model, "names");
    let picture = image::RgbImage::from_fn(30, 20, |x, y| image::Rgb([x as u8 * 8, y as u8 * 8, 77]));
    picture.save(place.path("leaf.png")).unwrap();
    let labels = |file: &str| {
        let done = place.works(&format!("predict {file} leaf.png --json --top 9 --device cpu"));
        let answers: Vec<Value> = serde_json::from_str(&done.out).unwrap();
        assert_eq!(answers[0]["prepared"], "30×20, colour, resized to 8×8");
        let top = answers[0]["top"].as_array().unwrap().clone();
        let sum: f64 = top.iter().map(|guess| number(guess, "probability")).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        let mut labels: Vec<String> = top.iter().map(|guess| guess["label"].as_str().unwrap().into()).collect();
        labels.sort();
        labels
    };
    assert_eq!(labels("numbers"), ["0", "1", "2"]);
    assert_eq!(labels("names"), ["2", "ash", "birch"]);
}

#[test]
fn bad_pictures_are_named_and_the_others_answered() {
    let place = Place::new();
    place.trains("run", "--max-steps 1 --device cpu");
    let bar = image::GrayImage::from_fn(50, 60, |x, _| image::Luma([if (20..25).contains(&x) { 0 } else { 255 }]));
    bar.save(place.path("bar.png")).unwrap();
    image::GrayImage::from_pixel(9, 9, image::Luma([255])).save(place.path("blank.png")).unwrap();
    place.write("text.png", "a digit");
    let done = place
        .call("predict run/model.safetensors text.png bar.png none.jpg blank.png --prepare digits --device cpu --json");
    assert_eq!(done.status, Some(2), "{done:?}");
    let answers: Vec<Value> = serde_json::from_str(&done.out).expect("JSON alone");
    assert_eq!((answers.len(), &answers[0]["image"]), (1, &Value::from("bar.png")));
    for want in [
        "error: text.png: found no known kind of picture",
        "error: none.jpg: cannot be read",
        "error: blank.png: nothing stands out",
        "error: 3 of 4 pictures could not be used",
    ] {
        assert!(done.err.contains(want), "{want} in {}", done.err);
    }
    // Nothing to answer: no device is opened.
    let none = place.call("predict run/model.safetensors text.png --json");
    assert_eq!((none.status, none.out.trim(), none.err.contains("device")), (Some(2), "[]", false), "{none:?}");
    for (line, want) in [
        ("predict run/model.safetensors", "<IMAGE|DIR|FILE|TEXT>"),
        ("predict nothing bar.png", "nothing: cannot be read"),
        ("predict bar.png bar.png", "bar.png: found"),
        ("predict run/model.safetensors bar.png --top 0", "--top"),
        ("predict run/model.safetensors bar.png --device nonesuch", "matches no device"),
    ] {
        let done = place.call(line);
        assert!(done.status == Some(2) && done.err.contains(want) && done.out.is_empty(), "{line}: {done:?}");
    }
}

/// All pictures under a folder, in the order of their paths; what is none is named and counted. As CSV a name with a comma and
/// quotes comes back.
#[test]
fn folders_are_predicted_whole_and_answers_are_csv() {
    let place = Place::new();
    let mut model = Sequential::new([8, 8, 3]).name("colours").flatten().dense(7).build().unwrap();
    model.class_names = ["ash, common", "birch", "cedar", "dogwood", "elm", "fir", "gorse"].map(String::from).to_vec();
    model.prepare = Some(Prepare::Resize);
    glorot_uniform(&model, 1).unwrap().save(&place.path("net"), &model).unwrap();
    let names = ["z.png", "inner/deep/a.png", "a \"b\", c.png", "k.png"];
    std::fs::create_dir_all(place.path("trees/inner/deep")).unwrap();
    for (n, name) in names.into_iter().enumerate() {
        let value = |x: u32, y: u32| ((x + 3 * y) * (n as u32 + 1) * 5 % 256) as u8;
        let picture = image::RgbImage::from_fn(9, 8, |x, y| image::Rgb([value(x, y), value(y, x), n as u8 * 60]));
        picture.save(place.path(&format!("trees/{name}"))).unwrap();
    }
    place.write("trees/notes.txt", "elms");
    place.write("trees/.hidden.png", "not looked at");
    let sorted = ["trees/a \"b\", c.png", "trees/inner/deep/a.png", "trees/k.png", "trees/z.png"];

    let done = place.call("predict net trees --json --device cpu");
    let counted = "error: 1 of 5 pictures could not be used";
    assert!(done.status == Some(2) && done.err.contains("error: trees/notes.txt: ") && done.err.contains(counted));
    let answers: Vec<Value> = serde_json::from_str(&done.out).unwrap();
    assert_eq!(answers.iter().map(|answer| answer["image"].as_str().unwrap()).collect::<Vec<_>>(), sorted);
    assert!(answers.iter().all(|answer| answer["top"].as_array().unwrap().len() == 5), "{answers:?}");

    std::fs::remove_file(place.path("trees/notes.txt")).unwrap();
    let read = |text: &[u8]| -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text);
        reader.records().map(|row| row.unwrap().iter().map(String::from).collect()).collect()
    };
    let shown = place.works("predict net trees --csv - --top 2 --device cpu").out;
    let rows = read(shown.as_bytes());
    assert_eq!(rows[0], ["file", "class", "probability", "class_2", "probability_2"]);
    assert_eq!(rows.len(), 5);
    for (row, answer) in rows[1..].iter().zip(&answers) {
        let guess = |n: usize| [answer["top"][n]["label"].as_str().unwrap().to_owned(), row[2 + 2 * n].clone()];
        let cells: Vec<String> =
            std::iter::once(answer["image"].as_str().unwrap().to_owned()).chain(guess(0)).chain(guess(1)).collect();
        assert_eq!(row, &cells);
        let probability: f64 = row[2].parse().unwrap();
        assert!((probability - number(answer, "probability")).abs() <= 1e-6, "{row:?}");
    }
    let saved = place.works("predict net trees --csv answers.csv --top 2 --device cpu");
    assert!(saved.out.is_empty() && saved.err.contains("saved answers.csv: 4 answers"), "{saved:?}");
    assert_eq!(place.read("answers.csv"), shown.as_bytes());

    std::fs::create_dir(place.path("nothing")).unwrap();
    for (line, want) in [
        ("predict net nothing", "nothing: found no files in this folder, expected pictures"),
        ("predict net trees --csv x.csv --json", "cannot be used with"),
    ] {
        let done = place.call(line);
        assert!(done.status == Some(2) && done.err.contains(want), "{line}: {done:?}");
    }
}
