//! Defaults of a run, and pictures of more than five classes from training to their mistakes.
#![cfg(feature = "cli")]

use crate::common::{Place, number};
use serde_json::Value;
use std::fs;

/// Seven classes of `count` pictures of 8 × 8 in colour, in the folder `name`.
fn pictures(place: &Place, name: &str, count: u32) {
    for (class, n) in (0..7u32).flat_map(|class| (0..count).map(move |n| (class, n))) {
        let value = |x: u32, y: u32, c: u32| ((class * 37 + n * 11 + x * (class + 3) + y * (c + 5) * 7) % 256) as u8;
        let picture = image::RgbImage::from_fn(8, 8, |x, y| image::Rgb([0, 1, 2].map(|c| value(x, y, c))));
        let path = place.path(&format!("{name}/class {class}/{name}-{n}.png"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture.save(path).unwrap();
    }
}

#[test]
fn model_and_batch_follow_from_the_data_and_mistakes_can_be_looked_at() {
    let place = Place::new();
    pictures(&place, "pics", 4);
    let done = place.works("train --data pics --max-steps 3 --format json --no-report --device cpu --run-dir run");
    for want in [
        "note: model resnet-small, since the images are 8×8 with 3 channels; --model chooses another",
        "note: batch size 4, since there are only 21 training samples; --batch-size overrides it",
    ] {
        assert!(done.err.contains(want), "{want}: {done:#?}");
    }
    let config = String::from_utf8(place.read("run/config.toml")).unwrap();
    assert!(config.contains("model = \"resnet-small\"") && config.contains("batch_size = 4"), "{config}");
    let end: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    let found = place.works("eval run --json --device cpu").out;
    let own: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(number(&end, "val_top5_accuracy"), number(&own, "top5_accuracy"), "the tests of the run's own data");

    // Other pictures of these classes: what `eval` says of the five most likely classes is what `predict` names.
    pictures(&place, "more", 3);
    let found = place.works("eval run --data more --json --save-wrong wrong --device cpu");
    let eval: Value = serde_json::from_str(&found.out).unwrap();
    let answers = place.works("predict run more --json --device cpu").out;
    let answers: Vec<Value> = serde_json::from_str(&answers).unwrap();
    assert_eq!(answers.len(), 21);
    let truth = |answer: &Value| answer["image"].as_str().unwrap().split('/').nth(1).unwrap().to_owned();
    let among = |answer: &&Value| {
        let top = answer["top"].as_array().unwrap();
        assert_eq!(top.len(), 5);
        top.iter().any(|guess| guess["label"] == truth(answer))
    };
    assert_eq!(number(&eval, "top5_accuracy"), answers.iter().filter(among).count() as f64 / 21.0);
    let wrong: Vec<&Value> = answers.iter().filter(|answer| answer["label"] != truth(answer)).collect();
    assert!(wrong.len() > 3, "a net of three steps: {}", wrong.len());
    let said = format!("saved wrong: {} misclassified pictures", wrong.len());
    assert!(found.err.contains(&said), "{}", found.err);
    assert_eq!(fs::read_dir(place.path("wrong")).unwrap().count(), wrong.len());
    for answer in wrong {
        let (path, label) = (answer["image"].as_str().unwrap(), answer["label"].as_str().unwrap());
        let file = format!("wrong/{}-as-{label}_{}", truth(answer), path.rsplit('/').next().unwrap());
        assert_eq!(place.read(&file), place.read(path), "{file}");
    }

    // A folder that is not empty is not changed; a limit is printed, and the most confident mistakes come first.
    let again = place.call("eval run --data more --save-wrong wrong --device cpu");
    assert!(again.status == Some(2) && again.err.contains("wrong: it is not empty"), "{again:?}");
    let few = place.works("eval run --data more --save-wrong few --wrong-limit 2 --device cpu");
    assert!(few.err.contains("saved few: 2 of ") && few.err.contains("--wrong-limit N saves more"), "{few:?}");
    assert!(few.out.contains(" - top-5 accuracy: "), "{few:?}");
    let sureness = |answer: &&Value| number(answer, "probability");
    let kept = |answer: &&Value| {
        let name = answer["image"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let file = format!("few/{}-as-{}_{name}", truth(answer), answer["label"].as_str().unwrap());
        place.path(&file).is_file()
    };
    let all = answers.iter().filter(|answer| answer["label"] != truth(answer));
    let (inside, outside): (Vec<&Value>, Vec<&Value>) = all.partition(kept);
    let least = inside.iter().map(sureness).fold(1.0, f64::min);
    assert!(inside.len() == 2 && outside.iter().all(|answer| sureness(answer) <= least), "{inside:?}");
}

/// Data without files gives PNG by their number; other models than those of classes of pictures are refused.
#[test]
fn mistakes_without_files_are_written_as_png() {
    let place = Place::new();
    place.trains("run", "--max-steps 1 --lr 1 --no-report --device cpu");
    let done = place.works("eval run --save-wrong wrong --json --device cpu");
    let found: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(found.get("top5_accuracy"), None, "of four classes the five most likely say nothing");
    let files = fs::read_dir(place.path("wrong")).unwrap();
    let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let right = (number(&found, "accuracy") * 20.0).round() as usize;
    assert_eq!(names.len(), 20 - right, "{names:?}");
    let pixels = place.read("data/t10k-images-idx3-ubyte");
    for name in names {
        let number: usize = name.rsplit('_').next().unwrap().strip_suffix(".png").unwrap().parse().unwrap();
        assert!(name.starts_with(&format!("{}-as-", number * 7 % 4)), "{name}");
        let seen = image::open(place.path(&format!("wrong/{name}"))).unwrap().to_luma8();
        assert_eq!(seen.as_raw()[..], pixels[16 + number * 64..][..64], "{name}");
    }
    place.write("houses.csv", "size,price\n1,2\n2,4\n3,6\n4,8\n5,10\n6,12\n");
    place.works("train --data houses.csv --target price --max-steps 1 --no-report --device cpu --run-dir table");
    let done = place.call("eval table --save-wrong other --device cpu");
    assert!(done.status == Some(2) && done.err.contains("--save-wrong: expected a model that classifies"), "{done:?}");
}

/// The flag gives what the key of a model file gives, and is stored with the model.
#[test]
fn a_flag_normalises_as_a_model_file_does() {
    let place = Place::new();
    let file = String::from_utf8(place.read("tiny.toml")).unwrap();
    place.write(
        "own.toml",
        file.replace("input = [8, 8, 1]", "input = [8, 8, 1]\nnormalise = { mean = [0.5], std = [0.25] }"),
    );
    let train = |run: &str, more: &str| {
        place.works(&format!(
            "train --data data --batch-size 16 --max-steps 2 --no-report --device cpu --run-dir {run} {more}"
        ));
        wgrad::model::Model::load(place.path(&format!("{run}/model.safetensors"))).expect("a model")
    };
    let plain = train("plain", "--model tiny.toml");
    let of_file = train("file", "--model own.toml");
    let of_flag = train("flag", "--model tiny.toml --normalise 0.5/0.25");
    let without = train("none", "--model own.toml --normalize none");
    assert_eq!((&of_flag.model.normalise, &of_flag.weights), (&of_file.model.normalise, &of_file.weights));
    assert_eq!((&without.model.normalise, &without.weights), (&None, &plain.weights));
    assert!(of_flag.model.normalise.is_some() && of_flag.weights != plain.weights);
    for (more, want) in [
        ("--model tiny.toml --normalise imagenet", "3 means and 3 deviations, expected 1 of each"),
        ("--model tiny.toml --normalise 0.5/0", "deviations above 0"),
        ("--model tiny.toml --normalise half", "expected imagenet, none, or means and deviations"),
        ("--from flag/model.safetensors --normalise none", "normalise none: the net of `from` normalises"),
    ] {
        let done = place.call(&format!("train --data data --max-steps 1 --device cpu {more}"));
        assert!(done.status == Some(2) && done.err.contains(want), "{more}: {done:?}");
    }
}

/// Too few samples give an error that says what was found and what to do; few samples give a note.
#[test]
fn few_pictures_are_answered_with_what_to_do() {
    let place = Place::new();
    let picture = |path: &str| {
        fs::create_dir_all(place.path(path).parent().unwrap()).unwrap();
        image::RgbImage::from_fn(8, 8, |x, y| image::Rgb([x as u8 * 20, y as u8 * 20, 9]))
            .save(place.path(path))
            .unwrap();
    };
    for n in 0..3 {
        picture(&format!("one/cat/{n}.png"));
        picture(&format!("few/cat/{n}.png"));
        picture(&format!("few/dog/{n}.png"));
    }
    ["single/cat/1.png", "single/dog/1.png", "pair/images/1.png", "pair/masks/1.png"].into_iter().for_each(picture);
    for (data, want) in [
        ("one", "found one class, cat, expected a folder for each of 2 to 65536 classes"),
        ("one", "add a folder of other images"),
        (
            "single",
            "each class has one image, expected at least two of a class, to hold one out for testing: add images",
        ),
        ("pair", "found 1 picture with its mask, expected at least 2, to hold one out for testing: add pictures"),
    ] {
        let done = place.call(&format!("train --data {data} --device cpu --run-dir no"));
        assert!(done.status == Some(2) && done.err.contains(want), "{data}: {done:?}");
    }
    let done = place.works("train --data few --max-steps 1 --no-report --device cpu --run-dir run");
    assert!(done.err.contains("note: 4 samples to train on and 2 to test on are few"), "{done:?}");
}
