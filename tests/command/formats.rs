//! CIFAR-10, NumPy, CSV and EMNIST: valid files in every allowed form, and malformed ones that give one clear message.
#![cfg(feature = "cli")]

use crate::common::Place;
use wgrad::data::Dataset;
use wgrad::data::ReadOptions;
use wgrad::data::formats::Format;
use wgrad::data::formats::{cifar, idx, npy};
use wgrad::error::Error;

fn put(place: &Place, name: &str, contents: impl AsRef<[u8]>) {
    let path = place.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, contents).unwrap();
}

fn open(place: &Place, name: &str) -> wgrad::Result<Dataset> {
    Dataset::open(place.path(name).to_str().unwrap())
}

fn open_sized(place: &Place, name: &str, size: [usize; 2]) -> wgrad::Result<Dataset> {
    let options = ReadOptions { size: Some(size), ..ReadOptions::default() };
    Dataset::open_with(place.path(name).to_str().unwrap(), &options)
}

/// Bad input, told in one line that holds all of `parts`.
#[track_caller]
fn refused(found: wgrad::Result<Dataset>, parts: &[&str]) {
    match found {
        Err(Error::Input(message)) => {
            assert!(!message.contains('\n'), "one sentence: {message}");
            parts.iter().for_each(|part| assert!(message.contains(part), "expected {part:?} in: {message}"));
        }
        other => panic!("expected bad input with {parts:?}, found {other:?}"),
    }
}

/// A record of CIFAR-10: its planes hold `label`, `label` + 100 and the column.
fn record(label: u8) -> Vec<u8> {
    let plane = |value: fn(u8, usize) -> u8| (0..1024).map(move |at| value(label, at));
    let red_green = plane(|label, _| label).chain(plane(|label, _| label + 100));
    std::iter::once(label).chain(red_green).chain(plane(|_, at| (at % 32) as u8)).collect()
}

fn cifar_set(place: &Place, root: &str) {
    for (n, name) in cifar::FILES.iter().enumerate() {
        put(place, &format!("{root}/{name}"), [record(n as u8), record(9)].concat());
    }
}

#[test]
fn cifar_is_read_with_its_names() {
    let place = Place::new();
    cifar_set(&place, "plain");
    cifar_set(&place, "whole/cifar-10-batches-bin");
    put(&place, "whole/cifar-10-batches-bin/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\ntruck\n\n");
    for (name, last) in [("plain", "9"), ("whole", "truck")] {
        let data = open(&place, name).unwrap();
        assert_eq!((data.train.shape(), data.train.count, data.test.count), ([32, 32, 3], 10, 2));
        assert_eq!(data.train.labels(), [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]);
        assert_eq!((data.classes, &*data.class_names[9], &*data.name), (10, last, name));
        assert_eq!(data.test.pixels()[33 * 3..34 * 3], [5, 105, 1], "red, green and blue of row 1, column 1");
        assert!(data.notice.unwrap().contains("test_batch.bin holds 2 images, where CIFAR-10's files hold 10000"));
    }
}

#[test]
fn malformed_cifar() {
    let cases: [(&str, Vec<u8>, &[&str]); 5] = [
        ("data_batch_2.bin", vec![], &["0 bytes", "records of 3073"]),
        ("data_batch_2.bin", record(1)[..3000].to_vec(), &["3000 bytes", "records of 3073"]),
        ("test_batch.bin", [record(1), vec![0]].concat(), &["3074 bytes", "records of 3073"]),
        ("data_batch_5.bin", [record(1), record(10)].concat(), &["image 1: found label 10", "expected 0 to 9"]),
        ("batches.meta.txt", b"a\nb\n".to_vec(), &["found 2 names", "expected 10"]),
    ];
    for (name, contents, parts) in cases {
        let place = Place::new();
        cifar_set(&place, "set");
        put(&place, &format!("set/{name}"), contents);
        refused(open(&place, "set"), &[&[name], parts].concat());
    }
    let place = Place::new();
    cifar_set(&place, "set");
    std::fs::remove_file(place.path("set/data_batch_3.bin")).unwrap();
    refused(open(&place, "set"), &["data_batch_3.bin cannot be read"]);
}

/// A .npy file of version 1 with this header.
fn array(header: &str, body: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), body].concat()
}

fn typed(descr: &str, shape: &str, body: &[u8]) -> Vec<u8> {
    array(&format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"), body)
}

/// Three training and two test images of 2×3.
fn arrays(place: &Place) {
    let pixels: Vec<u8> = (0..18).collect();
    put(place, "x_train.npy", typed("|u1", "(3, 2, 3)", &pixels));
    put(place, "y_train.npy", typed("<i2", "(3, 1)", &[0, 0, 1, 0, 3, 0]));
    put(place, "x_test.npy", typed("|u1", "(2, 2, 3)", &pixels[6..]));
    put(place, "y_test.npy", typed(">i8", "(2,)", &[0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]));
}

#[test]
fn arrays_are_read() {
    let place = Place::new();
    arrays(&place);
    let data = open(&place, "").unwrap();
    assert_eq!((data.train.shape(), data.train.count, data.classes), ([2, 3, 1], 3, 4));
    assert_eq!((data.train.labels(), data.test.labels()), (vec![0, 1, 3], vec![2, 0]));
    let range = |from, to| (from..to).collect::<Vec<u8>>();
    assert_eq!((data.train.pixels(), data.test.pixels()), (&*range(0, 18), &*range(6, 18)));
    // Versions 2 and 3 have longer lengths; four dimensions end in channels.
    for version in [2, 3] {
        let header = "{\"shape\": (1, 1, 2, 3), 'descr':'<u1','fortran_order':False}";
        let length = (header.len() as u32).to_le_bytes();
        put(&place, "a.npy", [&b"\x93NUMPY"[..], &[version, 0], &length, header.as_bytes(), &[5; 6]].concat());
        assert_eq!(npy::read_images(&place.path("a.npy")).unwrap(), (1, [1, 2, 3], vec![5; 6]));
    }
}

#[test]
fn malformed_arrays() {
    let terabytes = typed("|u1", "(4000000000, 1000, 1000)", &[0; 9]);
    let wrapping = typed("|u1", "(4294967296, 4294967296, 4294967296)", &[]);
    let fortran = array("{'descr': '|u1', 'fortran_order': True, 'shape': (3, 2, 3)}", &[0; 18]);
    let long = [&b"\x93NUMPY\x02\x00"[..], &u32::MAX.to_le_bytes()].concat();
    let cases: [(&str, Vec<u8>, &[&str]); 23] = [
        ("x_train.npy", vec![], &["NumPy's magic number"]),
        ("x_train.npy", b"\x93NUMPZ\x01\x00".to_vec(), &["NumPy's magic number"]),
        ("x_train.npy", b"\x93NUMPY\x04\x00\x00\x00".to_vec(), &["version 4.0", "1, 2 or 3"]),
        ("x_train.npy", b"\x93NUMPY\x01\x00\x50\x00{".to_vec(), &["within its header"]),
        ("x_train.npy", long, &["header of 4294967295 bytes", "at most 65536"]),
        ("x_train.npy", typed("|u1", "(3, 2, 3)", &[0; 17]), &["truncated", "17 bytes", "expected 18 bytes"]),
        ("x_train.npy", typed("|u1", "(3, 2, 3)", &[0; 19]), &["oversized", "19 bytes", "expected 18 bytes"]),
        ("x_train.npy", terabytes, &["truncated", "4000000000000000 bytes"]),
        ("x_train.npy", wrapping, &["truncated", "79228162514264337593543950336 bytes"]),
        ("x_train.npy", typed("|u1", "(0, 2, 3)", &[]), &["no size of zero"]),
        ("x_train.npy", typed("|u1", "(18,)", &[0; 18]), &["[18]", "[count, height, width]"]),
        ("x_train.npy", typed("|u1", "(1, 3, 6, 6)", &[0; 108]), &["channels before rows"]),
        ("x_train.npy", typed("<f4", "(3, 2, 3)", &[0; 72]), &["<f4", "|u1", "np.round(x * 255)"]),
        ("x_train.npy", typed("<u2", "(3, 2, 3)", &[0; 36]), &["<u2", "|u1"]),
        ("x_train.npy", fortran, &["Fortran order", "np.ascontiguousarray"]),
        ("x_train.npy", array("{'descr': '|u1', 'shape': (1, 1, 1)}", &[0]), &["too few keys"]),
        ("x_train.npy", array("{'descr': '|u1', 'descr': '|u1'}", &[0]), &["'descr' twice"]),
        ("x_train.npy", array("{'colour': '|u1'}", &[0]), &["the key 'colour'"]),
        ("x_train.npy", typed("|u1", "(-1, 2, 3)", &[]), &["malformed", "expected a size"]),
        ("y_train.npy", typed("<f8", "(3,)", &[0; 24]), &["labels of type <f8", "integers"]),
        ("y_train.npy", typed("<i4", "(2,)", &[0; 8]), &["2 labels", "3 images"]),
        ("y_train.npy", typed("<i2", "(3,)", &[0, 0, 255, 255, 0, 0]), &["label 1: found -1", "0 to 65535"]),
        (
            "y_train.npy",
            typed("<i4", "(3,)", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]),
            &["label 2: found 65536", "0 to 65535"],
        ),
    ];
    for (name, contents, parts) in cases {
        let place = Place::new();
        arrays(&place);
        put(&place, name, contents);
        refused(open(&place, ""), &[&[name], parts].concat());
    }
    let place = Place::new();
    arrays(&place);
    std::fs::remove_file(place.path("y_test.npy")).unwrap();
    refused(open(&place, ""), &["y_test.npy cannot be read"]);
}

#[test]
fn csv_is_read() {
    let place = Place::new();
    put(&place, "set/my_train.csv", "label,pixel0,pixel1,pixel2,pixel3\n1,0,1,2,255\r\n2, 9,8,7,6\n");
    put(&place, "set/my_TEST.CSV", "0,1,2,3,4\n");
    let data = open(&place, "set").unwrap();
    assert_eq!((data.train.shape(), data.train.labels(), data.test.labels()), ([2, 2, 1], vec![1, 2], vec![0]));
    assert_eq!((data.train.pixels(), data.classes), (&[0, 1, 2, 255, 9, 8, 7, 6][..], 3));
    // A file by itself: of eleven samples per class two are held out, and the same pixels never lie in both parts.
    let lines: String = (0..22).map(|n| format!("{},{n},0,0,0,0,0\n", n % 2)).collect();
    put(&place, "one.csv", lines);
    for (size, shape) in [([2, 3], [2, 3, 1]), ([1, 2], [1, 2, 3])] {
        let data = open_sized(&place, "one.csv", size).unwrap();
        assert_eq!((data.train.shape(), data.train.count, data.test.count), (shape, 18, 4));
        assert!(data.notice.unwrap().contains("one sample in 5"));
        let mut all: Vec<u8> =
            [&data.train, &data.test].iter().flat_map(|s| s.pixels().iter().step_by(6)).copied().collect();
        all.sort();
        assert_eq!(all, (0..22).collect::<Vec<u8>>());
    }
}

#[test]
fn malformed_csv() {
    for (text, parts) in [
        ("", &["found no samples"][..]),
        ("label,a\n", &["found no samples"]),
        ("1\n", &["found 0 pixels"]),
        ("1,2,3\n", &["found 2 pixels", "--image-size"]),
        ("1,2\n1,2,3\n", &["line 2: found 3 columns, expected 2"]),
        ("1,256\n", &["line 1, column 2", "'256'", "0 to 255"]),
        ("1,2\n-1,2\n", &["line 2, column 1", "'-1'", "label"]),
        ("1,0.5\n", &["'0.5'", "pixel"]),
        ("1,\n", &["''", "pixel"]),
        ("1,2\nlabel,pixel\n", &["line 2, column 2", "'pixel'"]),
        ("1,2\nlabel,3\n", &["found the labels 1 and 'label'"]),
        ("pixel0,pixel1\n1,2\n", &["pixels in column 1"]),
        ("a,b,label\n1,2,3\n", &["found 2 pixels"]),
        ("1,2\n", &["found 1 sample"]),
        ("1,\u{fffd}\n", &["pixel"]),
    ] {
        let place = Place::new();
        put(&place, "x.csv", text);
        refused(open(&place, "x.csv"), &[&["x.csv"], parts].concat());
    }
    let place = Place::new();
    put(&place, "set/train.csv", "1,2\n");
    refused(open(&place, "set"), &["no file named like *test*.csv"]);
    put(&place, "set/test.csv", "1,2\n");
    put(&place, "set/train2.csv", "1,2\n");
    refused(open(&place, "set"), &["several files named like *train*.csv (train.csv, train2.csv)"]);
    refused(open_sized(&place, "set/train.csv", [usize::MAX, 3]), &["found 1 pixels", "three times"]);
}

fn idx_file(magic: u32, sizes: &[u32], body: &[u8]) -> Vec<u8> {
    let header = std::iter::once(&magic).chain(sizes).flat_map(|word| word.to_be_bytes());
    header.chain(body.iter().copied()).collect()
}

/// EMNIST's split `split` with images of 2×3 that count up, and these labels.
fn emnist(place: &Place, split: &str, labels: [[u8; 2]; 2]) {
    for (part, labels) in ["train", "test"].into_iter().zip(labels) {
        let pixels: Vec<u8> = (0..12).collect();
        put(place, &format!("{split}-{part}-images-idx3-ubyte"), idx_file(idx::IMAGES_MAGIC, &[2, 2, 3], &pixels));
        put(place, &format!("{split}-{part}-labels-idx1-ubyte"), idx_file(idx::LABELS_MAGIC, &[2], &labels));
    }
}

#[test]
fn emnist_is_turned_and_its_letters_counted_from_zero() {
    let place = Place::new();
    emnist(&place, "emnist-letters", [[1, 26], [2, 3]]);
    let data = open(&place, "").unwrap();
    assert_eq!((data.train.shape(), &data.train.pixels()[..6]), ([3, 2, 1], &[0, 3, 1, 4, 2, 5][..]));
    assert_eq!((data.train.labels(), data.test.labels(), data.classes), (vec![0, 25], vec![1, 2], 26));
    assert_eq!((&*data.class_names[0], &*data.class_names[25]), ("A", "Z"));
    let notice = data.notice.unwrap();
    assert!(notice.contains("rows and columns were swapped") && notice.contains("A is class 0"), "{notice}");

    put(&place, "emnist-letters-mapping.txt", "1 97 65\n2 98 66\n3 99 67\n");
    refused(open(&place, ""), &["emnist-letters-mapping.txt", "no line for label 4"]);
    for (text, part) in [("1 x\n", "'1 x'"), ("1 65\n1 66\n", "line 2"), ("1 300\n", "'1 300'"), ("1 7\n", "'1 7'")] {
        put(&place, "emnist-letters-mapping.txt", text);
        refused(open(&place, ""), &["emnist-letters-mapping.txt", part]);
    }

    let place = Place::new();
    emnist(&place, "emnist-balanced", [[0, 1], [2, 0]]);
    put(&place, "emnist-balanced-mapping.txt", "0 48\n1 65\n2 97\n");
    let data = open(&place, "").unwrap();
    assert_eq!((data.class_names.join(""), data.train.labels()), ("0Aa".into(), vec![0, 1]));

    // Under other names the same files are MNIST's kind.
    let place = Place::new();
    emnist(&place, "letters", [[1, 26], [2, 3]]);
    let data = open(&place, "").unwrap();
    assert_eq!((data.train.shape(), data.classes, data.notice), ([2, 3, 1], 27, None));
}

#[test]
fn what_a_folder_holds_is_recognised_in_one_order() {
    let place = Place::new();
    let kind = |place: &Place| Format::of(&place.path("set")).map(|format| format.name);
    put(&place, "set/notes.md", "");
    let error = kind(&place).unwrap_err().to_string();
    for part in
        ["notes.md", "`mnist`", "data_batch_1.bin", "x_train.npy", "four IDX files", "one per class", "*train*.csv"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    put(&place, "set/train_labels.csv", "");
    assert_eq!(kind(&place), Ok("CSV"));
    put(&place, "set/cat/1.png", "");
    assert_eq!(kind(&place), Ok("folders of images"));
    put(&place, "set/Train-Images.gz", "");
    assert_eq!(kind(&place), Ok("IDX"));
    put(&place, "set/x_test.npy", "");
    assert_eq!(kind(&place), Ok("NumPy arrays"));
    std::fs::create_dir(place.path("set/cifar-10-batches-bin")).unwrap();
    assert_eq!(kind(&place), Ok("CIFAR-10 binary"));
    put(&place, "file.dat", "");
    refused(open(&place, "file.dat"), &["file.dat is a file", "FILE.csv"]);
}

/// `wgrad data` counts, says so as text and as JSON, and draws a sheet of the size that its images ask for.
#[test]
fn the_command_tells_what_is_there() {
    let place = Place::new();
    put(&place, "set/train.csv", "0,9,9,9,9\n1,8,8,8,8\n1,9,9,9,9\n");
    put(&place, "set/test.csv", "1,8,8,8,8\n");
    let text = place.works("data set --contact-sheet sheet.png").out;
    for part in ["set (CSV)", "3 to train on, 1 to test on", "2×2×1", "imbalance  2.00", "train 0 is 0, train 2 is 1"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() < 80), "{text}");
    let sheet = wgrad::data::pictures::picture::Picture::open(&place.path("sheet.png")).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (12 * 52 + 4, 2 * 52 + 4));
    let json: serde_json::Value = serde_json::from_str(&place.works("data set --json").out).unwrap();
    assert_eq!(
        (&json["kind"], &json["duplicates"]["across"], &json["shape"]),
        (&"CSV".into(), &1.into(), &[2, 2, 1].as_slice().into())
    );
    let mean = json["mean"][0].as_f64().unwrap();
    assert!((mean - 26.0 / 3.0 / 255.0).abs() < 1e-12, "{mean}");
    let gone = place.call("data set --contact-sheet no/such/sheet.png");
    assert!(gone.status == Some(2) && gone.err.contains("no/such/sheet.png: cannot be created"), "{gone:?}");
    let none = place.call("data nowhere");
    assert!(none.status == Some(2) && none.err.contains("found no such file or folder"), "{none:?}");
}
