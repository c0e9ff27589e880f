//! Folders of images: files that are read, held out for testing or left out, and a net trained on a folder with one
//! command.
#![cfg(all(feature = "cli", feature = "images"))]

use crate::common::Place;
use image::{DynamicImage, Rgb, RgbImage};
use std::ops::ControlFlow;
use wgrad::data::column::crc32;
use wgrad::data::{Dataset, ReadOptions};
use wgrad::device::Device;
use wgrad::model::Sequential;
use wgrad::train::epochs::trainer::Trainer;
use wgrad::train::settings::options::TrainOptions;

/// An image of one colour with a little of another, so that no two are alike.
fn picture([height, width]: [u32; 2], colour: [u8; 3], n: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| match x + width * y == n % (width * height) {
        true => Rgb([7, 8, 9]),
        false => Rgb(colour.map(|value| value.saturating_add((n % 16) as u8))),
    })
}

fn save(place: &Place, name: &str, image: impl Into<DynamicImage>) {
    let path = place.path(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    image.into().save(path).expect("an image");
}

/// Classes in a folder each, `count` images per class.
fn classes(place: &Place, root: &str, count: u32) {
    for (class, colour) in [("blue", [0, 0, 200]), ("green", [0, 200, 0]), ("red", [200, 0, 0])] {
        for n in 0..count {
            save(place, &format!("{root}/{class}/{n:03}.png"), picture([6, 5], colour, n));
        }
    }
}

fn open(place: &Place, name: &str, options: &ReadOptions) -> wgrad::Result<Dataset> {
    Dataset::open_with(place.path(name).to_str().expect("a path"), options)
}

#[test]
fn a_fifth_of_each_class_is_kept_for_tests() {
    let place = Place::new();
    classes(&place, "all", 11);
    place.write("all/blue/.hidden", "nothing");
    place.write("all/.git/x", "nothing");
    let data = open(&place, "all", &ReadOptions::default()).expect("a data set");
    assert_eq!(
        (&*data.name, &*data.class_names, data.classes),
        ("all", &["blue", "green", "red"].map(String::from)[..], 3)
    );
    assert_eq!((data.train.shape(), data.train.count, data.test.count), ([6, 5, 3], 27, 6));
    assert!(data.notice.expect("it is said").contains("one image in 5 of each class is held out for testing"));
    for split in [&data.train, &data.test] {
        for (pixels, label) in split.pixels().chunks(90).zip(split.labels()) {
            let strongest = [2, 1, 0][label as usize];
            assert!(pixels[87 + strongest] >= 200 || pixels[strongest] >= 200, "{label}");
        }
    }
    // No image is in both, and none is lost.
    let mut all: Vec<&[u8]> = data.train.pixels().chunks(90).chain(data.test.pixels().chunks(90)).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 33);
    // What is added moves little of the rest: at most the images that the larger fifth takes in or gives away.
    classes(&place, "all", 12);
    let again = open(&place, "all", &ReadOptions::default()).expect("a data set");
    let was: Vec<&[u8]> = data.test.pixels().chunks(90).collect();
    assert!(again.test.pixels().chunks(90).filter(|image| was.contains(image)).count() >= 3);
    assert_eq!((again.train.count, again.test.count), (30, 6));
}

#[test]
fn train_and_test_folders_are_taken_as_they_are() {
    let place = Place::new();
    for (root, count) in [("both/Train", 4), ("both/val", 2), ("three/train", 4), ("three/val", 2), ("three/test", 1)] {
        classes(&place, root, count);
    }
    save(&place, "both/Train/red/deeper/9.jpg", picture([6, 5], [200, 0, 0], 3));
    for (name, train, test) in [("both", 13, 6), ("three", 12, 3)] {
        let data = open(&place, name, &ReadOptions::default()).expect("a data set");
        assert_eq!((data.train.count, data.test.count), (train, test), "{name}");
        let validation = data.validation.map(|validation| validation.count);
        assert_eq!((validation, data.notice.is_some()), if name == "three" { (Some(6), true) } else { (None, false) });
    }
}

#[test]
fn sizes_and_kinds_become_one() {
    let place = Place::new();
    classes(&place, "all", 5);
    let grey = DynamicImage::from(picture([12, 10], [0, 0, 200], 0)).to_luma8();
    save(&place, "all/blue/grey.jpg", grey);
    let error = open(&place, "all", &ReadOptions::default()).unwrap_err().to_string();
    assert!(
        error.contains("found images of 5×6 to 10×12, expected one size") && error.contains("--image-size"),
        "{error}"
    );
    let options = ReadOptions { size: Some([4, 7]), strict: true, ..ReadOptions::default() };
    let data = open(&place, "all", &options).expect("a data set");
    assert_eq!((data.train.shape(), data.train.count + data.test.count), ([4, 7, 3], 16));
}

/// Folders of grey pictures have one channel, unless three are requested; colours become grey on demand.
#[test]
fn grey_pictures_have_one_channel() {
    let place = Place::new();
    for (class, value) in [("a", 10), ("b", 200)] {
        (0..5).for_each(|n| {
            save(
                &place,
                &format!("grey/{class}/{n}.png"),
                DynamicImage::from(picture([6, 5], [value; 3], n)).to_luma8(),
            )
        });
    }
    classes(&place, "colour", 5);
    for (name, channels, wants) in
        [("grey", None, 1), ("grey", Some(3), 3), ("colour", None, 3), ("colour", Some(1), 1)]
    {
        let data = open(&place, name, &ReadOptions { channels, ..ReadOptions::default() }).expect("a data set");
        assert_eq!((data.train.shape(), data.test.shape()), ([6, 5, wants], [6, 5, wants]), "{name}");
    }
    let grey = open(&place, "grey", &ReadOptions::default()).expect("a data set");
    assert_eq!(grey.test.pixels().iter().filter(|&&value| value >= 200).count(), 29, "one of 30 pixels is another");
    let blue =
        open(&place, "colour", &ReadOptions { channels: Some(1), ..ReadOptions::default() }).expect("a data set");
    assert!(blue.train.pixels().contains(&23), "the luma of 0, 0, 200 is 22.8");
    save(&place, "grey/a/colour.png", picture([6, 5], [1, 2, 3], 0));
    assert_eq!(open(&place, "grey", &ReadOptions::default()).expect("a data set").train.shape()[2], 3);
    assert!(open(&place, "grey", &ReadOptions { channels: Some(2), ..ReadOptions::default() }).is_err());
}

#[test]
fn what_is_no_image_is_left_out_and_named() {
    let place = Place::new();
    classes(&place, "all", 10);
    for name in ["a.png", "b.txt", "c.jpg", "d.gif"] {
        place.write(&format!("all/green/{name}"), "no image");
    }
    let seen = std::sync::Mutex::new(Vec::new());
    let progress = |done, of| seen.lock().unwrap().push((done, of));
    let options = ReadOptions { progress: Some(&progress), ..ReadOptions::default() };
    let data = open(&place, "all", &options).expect("a data set");
    assert_eq!(data.train.count + data.test.count, 30);
    let notice = data.notice.expect("it is said");
    assert!(
        notice.contains("4 of 34 files cannot be used and are left out: ") && notice.contains("; and 1 more"),
        "{notice}"
    );
    assert!(notice.contains("green") && notice.contains("found no known kind of picture"), "{notice}");
    let seen = seen.lock().unwrap().clone();
    assert!(seen.len() == 34 && seen.contains(&(34, 34)), "{seen:?}");
    let strict = open(&place, "all", &ReadOptions { strict: true, ..ReadOptions::default() }).unwrap_err().to_string();
    assert!(strict.contains("green") && strict.contains("(4 of 34 files cannot be used)"), "{strict}");
}

#[test]
fn folders_that_do_not_fit_are_refused() {
    let place = Place::new();
    save(&place, "one/red/1.png", picture([4, 4], [200, 0, 0], 1));
    classes(&place, "extra/train", 2);
    classes(&place, "extra/test", 2);
    save(&place, "extra/test/yellow/1.png", picture([4, 4], [200, 200, 0], 1));
    classes(&place, "lonely/test", 2);
    classes(&place, "empty", 2);
    std::fs::create_dir(place.path("empty/yellow")).unwrap();
    place.write("text/a/1.png", "no image");
    place.write("text/b/1.png", "no image");
    place.write("text/a/2.png", "no image");
    place.write("text/b/2.png", "no image");
    classes(&place, "huge", 2);
    for (name, size, wants) in [
        ("one", None, &["found one class, red", "2 to 65536 classes"][..]),
        ("extra", None, &["yellow", "expected blue, green, red"]),
        ("lonely", None, &["found test, expected train"]),
        ("empty", None, &["class yellow has no images"]),
        ("text", None, &["found no readable image"]),
        ("text", Some([4, 4]), &["train", "is empty"]),
        ("huge", Some([1 << 30, 1 << 30]), &["of memory", "smaller image"]),
    ] {
        let error = open(&place, name, &ReadOptions { size, ..ReadOptions::default() }).unwrap_err().to_string();
        assert!(wants.iter().all(|want| error.contains(want)), "{name}: {error}");
    }
}

/// One command trains on a folder, and what it leaves knows the classes by name.
#[test]
fn a_folder_trains_from_one_command() {
    let place = Place::new();
    classes(&place, "photos", 20);
    place.write("photos/red/broken.jpg", "no image");
    save(&place, "photos/red/large.jpg", picture([60, 50], [200, 0, 0], 1));
    let net = "input = [8, 8, 3]\n[[layers]]\ntype = \"conv2d\"\nfilters = 4\nkernel = 3\n[[layers]]\ntype = \"relu\"\n\
               [[layers]]\ntype = \"flatten\"\n[[layers]]\ntype = \"dense\"\nunits = 3\n";
    place.write("net.toml", net);
    let flags = "--data photos --image-size 8 --batch-size 8 --epochs 15 --lr 0.01 --device cpu";
    let done = place.works(&format!("train --model net.toml {flags} --run-dir run"));
    assert!(done.err.contains("note: 1 of 62 files cannot be used") && done.err.contains("broken.jpg"), "{}", done.err);
    let metrics = place.lines("run/metrics.jsonl");
    let accuracy = metrics[14]["val_accuracy"].as_f64().expect("a figure");
    assert!(accuracy > 0.9, "three colours are easily told apart: {accuracy}");
    let config = String::from_utf8(place.read("run/config.toml")).unwrap();
    assert!(config.contains("image_size = [8, 8]") || config.contains("image_size = [\n    8"), "{config}");
    let found = place.works("predict run/model.safetensors photos/red/large.jpg --device cpu").out;
    assert!(found.starts_with("photos/red/large.jpg: red ("), "{found}");
    let evaluated = place.works("eval run/model.safetensors --data photos --device cpu").out;
    assert!(evaluated.contains("\n blue") || evaluated.contains("\nblue"), "{evaluated}");
    // The run is resumed, and its report is made again, with the same images.
    place.works("train --resume run --epochs 16");
    place.works("report run");

    let strict = place.call(&format!("train --model net.toml {flags} --strict-data --run-dir other"));
    assert!(strict.status == Some(2) && strict.err.contains("broken.jpg"), "{strict:?}");
    assert!(!place.path("other").exists());
    for (line, want) in [
        ("train --data photos --image-size 0", "48x64"),
        ("train --data photos --image-size 8x", "48x64"),
        ("train --data photos", "found images of 5×6 to 50×60"),
    ] {
        let done = place.call(line);
        assert!(done.status == Some(2) && done.err.contains(want), "{line}: {done:?}");
    }
    // The same number of classes under other names is another task.
    std::fs::rename(place.path("photos/blue"), place.path("photos/azure")).unwrap();
    let other = place.call("eval run/model.safetensors --data photos --device cpu");
    assert!(
        other.status == Some(2) && other.err.contains("class 0 is azure") && other.err.contains("blue"),
        "{other:?}"
    );
}

/// Pictures that stay in their files: the same samples, check sums and weights as those that are held, and one that is gone or
/// has become another is named.
#[test]
fn pictures_that_stay_in_their_files_are_those_that_would_be_held() {
    let place = Place::new();
    classes(&place, "all", 11);
    let few = Some(1000);
    for channels in [None, Some(1)] {
        let held = ReadOptions { channels, ..ReadOptions::default() };
        let [held, filed] =
            [held, ReadOptions { hold_pictures: few, ..held }].map(|o| open(&place, "all", &o).unwrap());
        assert!(!held.train.is_in_file() && filed.train.is_in_file() && filed.train.pixels().is_empty());
        assert!(
            filed.notice.as_ref().is_some_and(|said| said.contains("33 images of 5×6 take 2.9 KiB, more than 1000 B"))
        );
        for (held, filed) in [(&held.train, &filed.train), (&held.test, &filed.test)] {
            assert_eq!(held.rows(0..held.count).unwrap(), filed.rows(0..held.count).unwrap());
            assert_eq!((held.labels(), held.schema()), (filed.labels(), filed.schema()));
            assert_eq!(crc32(held.columns()).unwrap(), crc32(filed.columns()).unwrap());
        }
        // Some of them, in batches through a window that is smaller than an epoch.
        let [mut held, mut filed] = [held, filed];
        [&mut held, &mut filed].into_iter().for_each(|data| assert!(data.train.limit(10, 1).unwrap()));
        let model = Sequential::new(held.train.shape()).flatten().dense(3).build().unwrap();
        let stride = held.train.image_bytes().next_multiple_of(4) as u64;
        let options =
            TrainOptions { batch_size: 4, epochs: 3, device_data_limit: Some(8 * stride), ..TrainOptions::default() };
        let trained = |data: &Dataset| {
            let mut trainer = Trainer::new(&Device::cpu(1).unwrap(), &model, data, &options, None).unwrap();
            pollster::block_on(trainer.fit(|_| ControlFlow::Continue(()))).unwrap();
            assert!(trainer.reading_seconds().is_some());
            pollster::block_on(trainer.weights()).unwrap()
        };
        assert_eq!(trained(&held), trained(&filed), "{channels:?}");
    }
    let options = ReadOptions { hold_pictures: few, ..ReadOptions::default() };
    let data = open(&place, "all", &options).unwrap();
    let first = place.path("all").join(data.train.name_of(0).unwrap());
    let error = || data.train.rows(0..3).unwrap_err().to_string();
    save(&place, first.to_str().unwrap(), picture([6, 5], [9, 9, 9], 1));
    assert!(error().contains(&format!("{}: changed while it was in use", first.display())), "{}", error());
    std::fs::remove_file(&first).unwrap();
    assert!(error().contains(&format!("{}: cannot be read", first.display())), "{}", error());
    assert!(open(&place, "all", &ReadOptions { channels: Some(2), ..options }).is_err());
}
