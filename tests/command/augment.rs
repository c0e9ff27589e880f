//! `--augment` through the real command: the draws, the files it writes, and refused values.

use crate::common::{Place, number};

/// The default adapter, and the native CPU.
const DEVICES: [&str; 2] = ["", "--device cpu"];

/// Four steps per epoch, the last of them with fewer samples.
const TRAIN: &str = "train --model tiny.toml --data data --batch-size 16 --no-report --log-steps";

/// Everything at once.
const ALL: &str = "shift=1,rotate=10,scale=0.1,shear=5,hflip,vflip,crop=1,cutout=2,mixup=0.2";

fn losses(place: &Place, run: &str) -> Vec<f64> {
    place.lines(&format!("{run}/steps.jsonl")).iter().map(|step| number(step, "loss")).collect()
}

#[test]
fn a_run_that_was_cut_draws_the_same_images_when_it_goes_on() {
    for device in DEVICES {
        let place = Place::new();
        let line = format!("{TRAIN} --epochs 3 --checkpoint-every 3 --augment {ALL} {device}");
        place.works(&format!("{line} --run-dir uncut"));
        place.works(&format!("{line} --max-steps 6 --run-dir cut"));
        place.works("train --resume cut --epochs 3 --no-report");
        for file in ["model.safetensors", "steps.jsonl", "augmented.png", "config.toml"] {
            assert!(place.read(&format!("cut/{file}")) == place.read(&format!("uncut/{file}")), "{file} {device}");
        }
        assert_eq!(losses(&place, "uncut").len(), 12);
    }
}

/// Same draws, same images, same loss, except for rounding; another seed draws others.
#[test]
fn the_devices_see_the_same_images() {
    let place = Place::new();
    let resized = "random-resized-crop=0.2-0.9,rotate=20,crop=1,fill=90";
    for list in ["hflip,vflip,crop=1", "shift=1,rotate=180,scale=0.3,shear=20", resized, "mixup=0.4", ALL] {
        let run = |more: &str, n: usize| {
            let run = format!("{}-{n}", list.replace([',', '='], "-"));
            place.works(&format!("{TRAIN} --epochs 2 --augment {list} {more} --run-dir {run}"));
            losses(&place, &run)
        };
        let [gpu, cpu] = [run("", 0), run("--device cpu", 1)];
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-4 * b.abs());
        assert!(near(&gpu, &cpu), "{list}: {gpu:?} {cpu:?}");
        // The initial weights follow from the seed too: it is the images that must differ in a run of the same seed.
        let plain = format!("{TRAIN} --epochs 2 --run-dir plain-{}", list.len());
        place.works(&plain);
        assert!(!near(&gpu, &losses(&place, &format!("plain-{}", list.len()))), "{list} changes nothing");
    }
}

/// Validation data is not augmented: if almost nothing is learned, the loss over the test set is that of a
/// plain run.
#[test]
fn what_is_tested_on_is_not_changed() {
    let place = Place::new();
    for (run, more) in [("plain", ""), ("augmented", "--augment crop=4,hflip,mixup=1")] {
        place.works(&format!("{TRAIN} --epochs 1 --lr 1e-30 --run-dir {run} {more}"));
    }
    let value = |run: &str, key: &str| number(&place.lines(&format!("{run}/metrics.jsonl"))[0], key);
    assert_eq!(value("plain", "val_loss"), value("augmented", "val_loss"));
    assert_ne!(value("plain", "loss"), value("augmented", "loss"));
}

#[test]
fn the_run_says_what_was_asked_for_and_shows_it() {
    let place = Place::new();
    place.works(&format!("{TRAIN} --max-steps 1 --augment shift=2,hflip --run-dir one"));
    let config = String::from_utf8(place.read("one/config.toml")).expect("text");
    assert!(config.contains("[train.augment]\nshift = 2.0\nhflip = true\n"), "{config}");
    assert_eq!(&place.read("one/augmented.png")[1..4], b"PNG");
    // So are a part's areas and the fill, which may be its own flag.
    let resized = "train --data data --model tiny.toml --batch-size 16 --max-steps 1 --no-report";
    place.works(&format!("{resized} --augment random-resized-crop=0.3-0.9,crop=1 --fill 77 --run-dir part"));
    place.works(&format!("{resized} --augment random-resized-crop=0.3-0.9,crop=1,fill=77 --run-dir alike"));
    let part = String::from_utf8(place.read("part/config.toml")).expect("text");
    assert!(part.contains("[train.augment]\ncrop = 1\nrandom_resized_crop = [0.3, 0.9]\nfill = 77\n"), "{part}");
    place.works("train --config part/config.toml --run-dir again");
    for file in ["config.toml", "model.safetensors", "augmented.png"] {
        assert!(place.read(&format!("part/{file}")) == place.read(&format!("alike/{file}")), "{file}");
        assert!(place.read(&format!("part/{file}")) == place.read(&format!("again/{file}")), "{file}");
    }
    place.works("data data --contact-sheet part.png --augment random-resized-crop=0.3-0.9,crop=1 --fill 77");
    assert_eq!(place.read("part.png"), place.read("part/augmented.png"));
    // A file's settings hold until a flag goes before them; off is off.
    place.works("train --config one/config.toml --run-dir same");
    assert_eq!(place.read("same/config.toml"), place.read("one/config.toml"));
    place.works("train --config one/config.toml --augment off --run-dir off");
    place.works(&format!("{TRAIN} --max-steps 1 --run-dir plain"));
    assert_eq!(place.read("off/model.safetensors"), place.read("plain/model.safetensors"));
    assert_eq!(place.read("off/config.toml"), place.read("plain/config.toml"));
    assert!(!place.path("off/augmented.png").exists() && !place.path("plain/augmented.png").exists());
    // The same draws as the run's, of the same seed.
    place.works("data data --contact-sheet sheet.png --augment shift=2,hflip");
    assert_eq!(place.read("sheet.png"), place.read("one/augmented.png"));
    place.works("data data --contact-sheet plain.png");
    assert_ne!(place.read("plain.png"), place.read("sheet.png"));
}

#[test]
fn what_cannot_be_meant_is_refused_with_words() {
    let place = Place::new();
    place.works(&format!("{TRAIN} --max-steps 1 --run-dir one"));
    for (line, expected) in [
        (format!("{TRAIN} --augment shfit=2"), "no augmentation 'shfit'; did you mean 'shift'? Expected shift,"),
        (format!("{TRAIN} --augment rotate=200"), "augment rotate 200: degrees from 0 to 180 expected"),
        (format!("{TRAIN} --augment hflip=1"), "hflip '1': it stands alone"),
        (format!("{TRAIN} --augment shift"), "shift: an amount is expected, shift=PIXELS"),
        (format!("{TRAIN} --augment crop=9"), "augment crop 9: at most 8 pixels are expected of images of 8 × 8"),
        (
            format!("{TRAIN} --augment random-resized-crop=2"),
            "augment random-resized-crop 2-1: shares of the area from",
        ),
        (format!("{TRAIN} --augment crop=1 --fill 256"), "fill '256': one value from 0 to 255 is expected, or three"),
        (
            format!("{TRAIN} --augment crop=1 --fill 1,2,3"),
            "augment fill 1,2,3: one value is expected of images with 1",
        ),
        (format!("{TRAIN} --augment crop=1,fill=3 --fill 4"), "fill 4: --augment has fill=3 already; expected one"),
        (
            format!("{TRAIN} --augment hflip --fill 4"),
            "augment fill 4: shift, rotate, scale, shear or crop is expected",
        ),
        (format!("{TRAIN} --fill 4"), "--augment"),
        ("data data --augment hflip".into(), "--augment: expected --contact-sheet FILE.png with it"),
        ("data data --contact-sheet x.png --augment cutout=9".into(), "augment cutout 9: at most 8 pixels"),
        ("train --resume one --augment hflip".into(), "cannot be used with"),
    ] {
        let done = place.call(&line);
        assert!(done.status == Some(2) && done.err.contains(expected), "{line}: {done:#?}");
    }
    place.write("wrong.toml", "[train.augment]\nshfit = 2.0\n");
    let done = place.call("train --config wrong.toml");
    assert!(
        done.err.contains("line 2: unknown field `shfit`") && done.err.contains("did you mean 'shift'?"),
        "{done:#?}"
    );
    assert!(!place.path("x.png").exists() && !place.path("runs").exists());
}
