//! CSV that lists picture files and their classes.
#![cfg(all(feature = "cli", feature = "images", feature = "csv"))]

use crate::common::Place;
use wgrad::data::{Dataset, ReadOptions};

/// Six pictures in a folder, the first three dark.
fn pictures(place: &Place, folder: &str, end: &str) {
    std::fs::create_dir_all(place.path(folder)).expect("a folder");
    for n in 0..6u8 {
        let path = place.path(&format!("{folder}/p{n}{end}"));
        image::RgbImage::from_fn(5, 4, |x, _| image::Rgb([n / 3 * 200, n, x as u8])).save(path).expect("a picture");
    }
}

fn open(place: &Place, name: &str, options: &ReadOptions) -> wgrad::Result<Dataset> {
    Dataset::open_with(&place.path(name).display().to_string(), options)
}

/// A line for each of the six, by what a file is called.
fn lines(head: &str, row: impl Fn(usize, &str) -> String) -> String {
    head.to_owned() + &(0..6).map(|n| row(n, ["day", "night"][usize::from(n < 3)]) + "\n").collect::<String>()
}

#[test]
fn the_files_of_a_list_are_read_wherever_they_are() {
    let place = Place::new();
    pictures(&place, "set/images", ".png");
    pictures(&place, "set", ".jpg");
    pictures(&place, "kaggle/train", ".jpg");
    pictures(&place, "two/train", ".png");
    pictures(&place, "two/test", ".png");
    place.write("set/a.csv", lines("filename,label\n", |n, label| format!("p{n}.png,{label}")));
    place.write("set/b.csv", lines("class;Image Path\n", |n, label| format!("{label};images/p{n}.png")));
    place.write("set/c.csv", lines("", |n, label| format!("images/p{n}.png,{label}")));
    place.write("set/d.csv", lines("\u{feff}image_id,age,dx\n", |n, label| format!("p{n},{n},{label}")));
    place.write("kaggle/labels.csv", lines("id,breed\n", |n, label| format!("p{n},{label}")));
    place.write("two/train.csv", lines("file,y\n", |n, label| format!("p{n}.png,{label}")));
    place.write("two/test.csv", lines("file,y\n", |n, label| format!("p{n}.png,{label}")));
    place.write(
        "set/parts.csv",
        lines("path,class,split\n", |n, label| format!("p{n}.jpg,{label},{}", ["train", "val", "test"][n % 3])),
    );
    let dx = ["dx".to_owned()];
    for (name, targets, expected) in [
        ("set/a.csv", &[][..], [4, 0, 2]),
        ("set/b.csv", &[], [4, 0, 2]),
        ("set/c.csv", &[], [4, 0, 2]),
        ("set/d.csv", &dx, [4, 0, 2]),
        ("kaggle/labels.csv", &[], [4, 0, 2]),
        ("two", &[], [6, 0, 6]),
        ("set/parts.csv", &[], [2, 2, 2]),
    ] {
        let options = ReadOptions { targets, ..ReadOptions::default() };
        let data = open(&place, name, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
        let validation = data.validation.as_ref().map_or(0, |split| split.count);
        assert_eq!([data.train.count, validation, data.test.count], expected, "{name}");
        assert_eq!((data.class_names.join(" "), data.train.shape()), ("day night".into(), [4, 5, 3]), "{name}");
        for split in [Some(&data.train), data.validation.as_ref(), Some(&data.test)].into_iter().flatten() {
            let reds = split.pixels().chunks(60).map(|pixels| u32::from(pixels[0] < 100));
            assert!(reds.eq(split.labels()), "{name}");
            assert!(split.name_of(0).is_some_and(|name| name.contains("p") && !name.starts_with('/')));
        }
    }
    let size = ReadOptions { size: Some([2, 2]), tests_alone: true, ..ReadOptions::default() };
    let data = open(&place, "set/a.csv", &size).expect("a data set");
    assert_eq!((data.test.count, data.test.shape()), (6, [2, 2, 3]));
}

#[test]
fn what_a_list_lacks_is_named() {
    let place = Place::new();
    pictures(&place, "set", ".png");
    let list = |more: &str| lines("image,label\n", |n, label| format!("p{n}.png,{label}")) + more;
    place.write("set/some.csv", list("gone.png,day\np0.png,day\np1.png,night\np2.png,\n"));
    place.write("set/none.csv", "id,breed\na,day\nb,night\n");
    place.write("set/hot.csv", lines("image,day,night\n", |n, _| format!("p{n}.png,{},{}", n / 3, 1 - n / 3)));
    place.write("set/one.csv", lines("image,label\n", |n, _| format!("p{n}.png,day")));
    place.write("set/part.csv", "image,label,split\np0.png,day,train\np5.png,night,other\n");
    let data = open(&place, "set/some.csv", &ReadOptions::default()).expect("a data set");
    let notice = data.notice.expect("it is said");
    for words in
        ["3 of 9 files", "line 8: found no file gone.png", "line 9: found p0.png again", "line 11: found no label"]
    {
        assert!(notice.contains(words), "{words}: {notice}");
    }
    assert!(notice.contains("1 repeated line left out"), "{notice}");
    let strict = ReadOptions { strict: true, ..ReadOptions::default() };
    for (name, options, words) in [
        ("set/some.csv", &strict, "line 8: found no file gone.png (3 of"),
        ("set/none.csv", &ReadOptions::default(), "line 2: found no file a"),
        ("set/hot.csv", &ReadOptions::default(), "idxmax(axis=1)"),
        ("set/one.csv", &ReadOptions::default(), "found the label day on every line"),
        ("set/part.csv", &ReadOptions::default(), "found the part 'other', expected train, val or test"),
        ("set", &ReadOptions::default(), "expected"),
    ] {
        let error = open(&place, name, options).expect_err(name).to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
}

/// From a list to a net that classifies its own pictures, by the command.
#[test]
fn a_list_trains_from_one_command() {
    let place = Place::new();
    pictures(&place, "set/images", ".png");
    place.write("set/labels.csv", lines("image,kind,age\n", |n, label| format!("p{n}.png,{label},{n}")));
    place.write(
        "net.toml",
        "input = [4, 5, 3]\n[[layers]]\ntype = \"flatten\"\n[[layers]]\ntype = \"dense\"\nunits = 2\n",
    );
    let refused = place.call("data set");
    assert!(refused.err.contains("set/labels.csv reads a list of files"), "{}", refused.err);
    let refused = place.call("data set/labels.csv");
    assert!(refused.err.contains("--target COLUMN names another"), "{}", refused.err);
    let line = "train --data set/labels.csv --target kind --model net.toml --batch-size 4 --epochs 1 --device cpu --run-dir run";
    place.works(line);
    let found = place.works("eval run --json --device cpu").out;
    assert!(found.contains("\"samples\":2"), "{found}");
    // Mistakes are the list's own files: where the labels are swapped, all is wrong that is right where they are not.
    let list = |is_other: fn(bool) -> bool| {
        lines("image,kind\n", |n, label| {
            format!("p{n}.png,{}", ["day", "night"][usize::from(is_other(label == "night"))])
        })
    };
    place.write("set/same.csv", list(|night| night));
    place.write("set/swapped.csv", list(|night| !night));
    let saved = |list: &str| {
        let line = format!("eval run --data set/{list}.csv --target kind --save-wrong {list} --json --device cpu");
        place.works(&line);
        std::fs::read_dir(place.path(list)).map_or(0, |files| {
            files.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().ends_with("png")).count()
        })
    };
    assert_eq!(saved("same") + saved("swapped"), 6);
    let copied =
        std::fs::read_dir(place.path("swapped")).into_iter().chain(std::fs::read_dir(place.path("same"))).flatten();
    for file in copied.map(|file| file.unwrap().path()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let own = name.rsplit('_').next().unwrap().to_owned();
        assert_eq!(
            std::fs::read(&file).unwrap(),
            std::fs::read(place.path(&format!("set/images/{own}"))).unwrap(),
            "{name}"
        );
    }
    place.works("report run");
}
