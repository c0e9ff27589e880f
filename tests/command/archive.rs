//! NumPy archives (.npz): common names of arrays, and refused archives.
#![cfg(feature = "cli")]

use crate::common::Place;
use std::io::{Cursor, Write};
use wgrad::data::formats::npy;
use wgrad::data::{Dataset, ReadOptions};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// An archive of these arrays, packed as `np.savez_compressed` does or plain.
fn archive(arrays: &[(&str, Vec<u8>)], packed: bool) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let method = if packed { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    for (name, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default().compression_method(method)).expect("a file");
        zip.write_all(bytes).expect("its bytes");
    }
    zip.finish().expect("an archive").into_inner()
}

/// Images of 2 × 3, and their labels, of which there are three.
fn images(count: usize) -> Vec<u8> {
    let pixels: Vec<u8> = (0..count * 6).map(|n| (n * 7 % 251) as u8).collect();
    npy::bytes(&[count, 2, 3], &pixels).expect("an array")
}

fn labels(shape: &[usize]) -> Vec<u8> {
    let values: Vec<u8> = (0..shape.iter().product()).map(|n| (n % 3) as u8).collect();
    npy::bytes(shape, &values).expect("an array")
}

fn open(place: &Place, name: &str, options: &ReadOptions) -> wgrad::Result<Dataset> {
    Dataset::open_with(&place.path(name).display().to_string(), options)
}

#[test]
fn archives_are_read_by_the_names_of_their_arrays() {
    let place = Place::new();
    for (names, parts, expected) in [
        (&[["x_train", "y_train"], ["x_test", "y_test"]][..], &[6, 4][..], [6, 0, 4]),
        (
            &[["train_images", "train_labels"], ["val_images", "val_labels"], ["test_images", "test_labels"]],
            &[6, 5, 4],
            [6, 5, 4],
        ),
        (&[["x_train", "y_train"], ["x_val", "y_val"]], &[6, 5], [6, 0, 5]),
        (&[["x", "y"]], &[15], [12, 0, 3]),
        (&[["images", "labels"]], &[15], [12, 0, 3]),
        (&[["arr_0", "arr_1"]], &[15], [12, 0, 3]),
    ] {
        for packed in [true, false] {
            let arrays: Vec<(&str, Vec<u8>)> = names
                .iter()
                .zip(parts)
                .flat_map(|([images_of, labels_of], count)| {
                    [(*images_of, images(*count)), (*labels_of, labels(&[*count, 1]))]
                })
                .collect();
            place.write("set.npz", archive(&arrays, packed));
            let data = open(&place, "set.npz", &ReadOptions::default()).unwrap_or_else(|e| panic!("{names:?}: {e}"));
            let validation = data.validation.as_ref().map_or(0, |split| split.count);
            assert_eq!([data.train.count, validation, data.test.count], expected, "{names:?}");
            assert_eq!((data.train.shape(), data.classes, data.held_out), ([2, 3, 1], 3, parts.len() == 1));
            let all =
                [&data.train, &data.test].map(|split| split.pixels().chunks(6).zip(split.labels()).collect::<Vec<_>>());
            let made: Vec<u8> = (0..90).map(|n| (n * 7 % 251) as u8).collect();
            for (pixels, label) in all.concat() {
                let at = made.chunks(6).position(|image| image == pixels).expect("one of the images");
                assert_eq!(label as usize, at % 3, "{names:?}");
            }
        }
    }
    let alone = ReadOptions { tests_alone: true, ..ReadOptions::default() };
    assert_eq!(open(&place, "set.npz", &alone).expect("tests").test.count, 15);
    let found = place.works("data set.npz").out;
    assert!(found.starts_with("set.npz (NumPy archive)"), "{found}");
}

#[test]
fn archives_that_hold_something_else_are_refused() {
    let place = Place::new();
    let whole = archive(&[("x", images(15)), ("y", labels(&[15]))], true);
    let mut broken = archive(&[("x", images(15)), ("y", labels(&[15]))], false);
    let at = broken.windows(6).position(|bytes| bytes == b"\x93NUMPY").expect("an array") + 130;
    broken[at] ^= 1;
    for (name, bytes, words) in [
        ("text.npz", b"no archive".to_vec(), "no archive of arrays"),
        ("cut.npz", whole[..whole.len() - 9].to_vec(), "no archive of arrays"),
        ("crc.npz", broken, "cannot be read"),
        ("empty.npz", archive(&[], true), "found nothing, expected x_train and y_train"),
        ("other.npz", archive(&[("weights", images(1))], true), "found weights.npy, expected x_train"),
        ("alone.npz", archive(&[("x_train", images(3))], true), "found the array x_train, expected y_train beside it"),
        ("few.npz", archive(&[("x", images(15)), ("y", labels(&[14]))], true), "14 labels"),
        (
            "array.npz",
            archive(&[("x", b"no array".to_vec()), ("y", labels(&[14]))], true),
            "array.npz: x does not begin",
        ),
        ("one.npz", archive(&[("x", images(1)), ("y", labels(&[1]))], true), "found 1 sample"),
    ] {
        place.write(name, bytes);
        let error = open(&place, name, &ReadOptions::default()).expect_err(name).to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
}
