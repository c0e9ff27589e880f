//! Errors say what was found, what was expected and what to do: the wrong path, the wrong model, the wrong value.
#![cfg(all(feature = "cli", feature = "images", feature = "csv"))]

use crate::common::Place;

fn refused(place: &Place, line: &str, words: &str) {
    let done = place.call(line);
    assert_eq!(done.status, Some(2), "{line}: {}", done.err);
    assert!(done.err.contains(words), "{line}: {}", done.err);
}

#[test]
fn a_path_without_what_is_wanted_is_named() {
    let place = Place::new();
    refused(&place, "train --data nowhere", "data nowhere: found no such file or folder");
    place.write("notes/a.txt", "nothing");
    refused(&place, "train --run-dir notes", "notes: it is not empty; it holds no run; expected a new folder");
    refused(&place, "eval notes", "notes: found a folder without model.safetensors");
}

#[test]
fn a_model_that_does_not_go_with_the_text_is_refused_with_the_one_that_does() {
    let place = Place::new();
    place.write("a.txt", "to be or not to be, that is the question\n".repeat(10));
    place.write("a.tsv", "good\tI like it\nbad\tI hate it\n".repeat(10));
    for (line, words) in [
        (
            "--data a.txt --model mnist-cnn",
            "expected char-rnn, gpt-mini, gpt-char or a model file, since the data is a text",
        ),
        (
            "--data a.txt --model text-classifier",
            "expected char-rnn, gpt-mini, gpt-char or a model file, since the data is a text",
        ),
        (
            "--data a.tsv --model char-rnn",
            "expected text-classifier or a model file, since the data has texts with labels",
        ),
        ("--data a.txt --length 0", "length 0: expected one token or more"),
    ] {
        refused(&place, &format!("train {line}"), words);
    }
}

/// The line is the one that an editor shows, whatever ends the lines.
#[test]
fn a_line_of_a_table_has_the_number_that_an_editor_shows() {
    let place = Place::new();
    let rows = ["size,price", "1,2", "", "3,4", "5,oops"];
    for (end, name) in [("\n", "unix"), ("\r\n", "windows"), ("\r", "mac")] {
        place.write(&format!("{name}.csv"), rows.join(end) + end);
        let line = format!("train --data {name}.csv --target price");
        refused(&place, &line, &format!("{name}.csv, line 5, column price: found 'oops'"));
    }
    place.write("ragged.csv", "size,price\r\n1,2\r\n3\r\n");
    refused(
        &place,
        "train --data ragged.csv --target price",
        "line 3: found 1 column, expected 2 as in the first line",
    );
}

/// A value of a mask is written as the message about masks writes it.
#[test]
fn a_colour_of_masks_can_be_ignored() {
    let place = Place::new();
    let colours = [[0, 0, 0], [255, 0, 0], [0, 255, 0]];
    for n in 0..8usize {
        let image = image::RgbImage::from_fn(6, 6, |x, _| image::Rgb([n as u8, 9, x as u8]));
        let mask = image::RgbImage::from_fn(6, 6, |x, _| image::Rgb(colours[(n + x as usize) % 3]));
        for (folder, image) in [("set/images", image), ("set/masks", mask)] {
            std::fs::create_dir_all(place.path(folder)).unwrap();
            image.save(place.path(&format!("{folder}/{n}.png"))).unwrap();
        }
    }
    let told = place.works("data set --ignore-label #000000").out;
    assert!(told.contains("#ff0000") && !told.contains("#000000"), "{told}");
    refused(&place, "data set --ignore-label red", "expected a whole number, such as 255, or a colour");
    refused(
        &place,
        "train --data set --model unet-small",
        "must be multiples of all pool sizes multiplied: --image-size sets them",
    );
}
