//! Reading a folder of IDX files: valid ones in every allowed form, and malformed ones that give one clear message.

use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::Write;
use tempfile::TempDir;
use wgrad::data::Dataset;
use wgrad::data::formats::idx;
use wgrad::error::Error;

/// An IDX file with this magic number and these sizes in its header, and this body.
fn idx_file(magic: u32, sizes: &[u32], body: &[u8]) -> Vec<u8> {
    let header = std::iter::once(&magic).chain(sizes).flat_map(|word| word.to_be_bytes());
    header.chain(body.iter().copied()).collect()
}

fn images(sizes: [u32; 3], body_bytes: usize) -> Vec<u8> {
    let body: Vec<u8> = (0..body_bytes).map(|i| (i * 7) as u8).collect();
    idx_file(idx::IMAGES_MAGIC, &sizes, &body)
}

fn labels(classes: &[u8]) -> Vec<u8> {
    idx_file(idx::LABELS_MAGIC, &[classes.len() as u32], classes)
}

fn gz(contents: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(contents).unwrap();
    encoder.finish().unwrap()
}

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

/// A folder with a right data set: three training and two test images of 2×3, four classes.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, TRAIN_IMAGES, &images([3, 2, 3], 18));
    put(&folder, TRAIN_LABELS, &labels(&[0, 1, 3]));
    put(&folder, TEST_IMAGES, &images([2, 2, 3], 12));
    put(&folder, TEST_LABELS, &labels(&[2, 0]));
    folder
}

fn put(folder: &TempDir, name: &str, contents: &[u8]) {
    fs::write(folder.path().join(name), contents).unwrap();
}

fn remove(folder: &TempDir, name: &str) {
    fs::remove_file(folder.path().join(name)).unwrap();
}

fn open(folder: &TempDir) -> Result<Dataset, Error> {
    Dataset::open(folder.path().to_str().unwrap())
}

/// Opening fails as bad input, in one line that holds all of `parts`.
#[track_caller]
fn refused(folder: &TempDir, parts: &[&str]) {
    match open(folder) {
        Err(Error::Input(message)) => {
            assert!(!message.contains('\n'), "one sentence: {message}");
            for part in parts {
                assert!(message.contains(part), "expected {part:?} in: {message}");
            }
        }
        other => panic!("expected bad input with {parts:?}, found {other:?}"),
    }
}

#[test]
fn a_folder_of_four_files_is_read() {
    let folder = folder();
    let set = open(&folder).unwrap();
    assert_eq!(set.name, folder.path().file_name().unwrap().to_string_lossy());
    assert_eq!((set.classes, set.class_names.join(" ")), (4, "0 1 2 3".into()));
    assert_eq!((set.train.count, set.train.shape()), (3, [2, 3, 1]));
    assert_eq!(*set.train.pixels(), images([3, 2, 3], 18)[16..]);
    assert_eq!((set.train.labels(), set.test.labels()), (vec![0, 1, 3], vec![2, 0]));
    assert_eq!((set.test.count, set.test.pixels().len(), set.notice), (2, 12, None));
}

#[test]
fn names_may_be_upper_case_compressed_and_otherwise_decorated() {
    let folder = folder();
    let plain = open(&folder).unwrap();
    for (old, new) in [
        (TRAIN_IMAGES, "My-TRAIN_Images.GZ"),
        (TRAIN_LABELS, "emnist-train-labels.gz"),
        (TEST_IMAGES, "Test.Images.gz"),
        (TEST_LABELS, "a-t10k-labels-b.gz"),
    ] {
        let contents = fs::read(folder.path().join(old)).unwrap();
        remove(&folder, old);
        put(&folder, new, &gz(&contents));
    }
    let packed = open(&folder).unwrap();
    assert_eq!((plain.train, plain.test), (packed.train, packed.test));
}

#[test]
fn of_twins_the_plain_file_is_read() {
    let folder = folder();
    put(&folder, "train-images-idx3-ubyte.gz", b"not even gzip");
    assert_eq!(open(&folder).unwrap().train.count, 3);
}

#[test]
fn missing_and_ambiguous_names() {
    let nowhere = Dataset::open("no/such/folder").unwrap_err().to_string();
    assert!(nowhere.contains("no/such/folder") && nowhere.contains("found no such file or folder"), "{nowhere}");
    for (name, pattern) in [
        (TRAIN_IMAGES, "*train*images*"),
        (TRAIN_LABELS, "*train*labels*"),
        (TEST_IMAGES, "*t10k*images* or *test*images*"),
        (TEST_LABELS, "*t10k*labels* or *test*labels*"),
    ] {
        let folder = folder();
        remove(&folder, name);
        refused(&folder, &["no file named like", pattern]);
        // A folder of that name is not a file.
        fs::create_dir(folder.path().join(name)).unwrap();
        refused(&folder, &["no file named like", pattern]);
    }
    let twice = folder();
    put(&twice, "test-images.gz", &gz(&images([2, 2, 3], 12)));
    refused(&twice, &["several files", "*test*images*", TEST_IMAGES, "test-images.gz", "expected one"]);
    let both = folder();
    remove(&both, TRAIN_LABELS);
    remove(&both, TEST_LABELS);
    put(&both, "train-and-test-labels", &labels(&[0, 1]));
    refused(&both, &["train-and-test-labels", "like a training and like a test file"]);
}

/// Each malformed file of training images, plain and compressed, with what its message must say.
#[test]
fn malformed_images() {
    let huge = idx_file(idx::IMAGES_MAGIC, &[u32::MAX; 3], &[0; 100]);
    let cases: [(&str, Vec<u8>, &[&str]); 12] = [
        ("empty", vec![], &["truncated"]),
        ("truncated magic", vec![0, 0, 8], &["truncated", "3 bytes", "16 bytes"]),
        ("truncated header", images([3, 2, 3], 0)[..15].to_vec(), &["truncated", "15 bytes", "16 bytes"]),
        ("no body", images([3, 2, 3], 0), &["truncated", "3×2×3", "18 bytes"]),
        ("truncated body", images([3, 2, 3], 17), &["truncated", "17 bytes", "3×2×3", "18 bytes"]),
        ("oversized", images([3, 2, 3], 19), &["oversized", "3×2×3", "18 bytes"]),
        ("labels", labels(&[0, 1, 3]), &["0x00000801", "0x00000803"]),
        ("four dimensions", idx_file(0x804, &[3, 2, 3, 1], &[0; 18]), &["0x00000804", "0x00000803"]),
        ("zero images", images([0, 2, 3], 0), &["0×2×3", "no size of zero"]),
        ("zero width", images([3, 2, 0], 0), &["3×2×0", "no size of zero"]),
        ("huge", huge, &["4294967295×4294967295×4294967295", "79228162458924105385300197375 bytes"]),
        ("product wraps to 0 in u64", images([1 << 31, 1 << 31, 4], 0), &["18446744073709551616 bytes"]),
    ];
    for (what, contents, parts) in cases {
        println!("{what}");
        let folder = folder();
        put(&folder, TRAIN_IMAGES, &contents);
        refused(&folder, &[&[TRAIN_IMAGES], parts].concat());
        remove(&folder, TRAIN_IMAGES);
        put(&folder, &format!("{TRAIN_IMAGES}.gz"), &gz(&contents));
        // Of a compressed file the length is known only as far as it was unpacked.
        let told = parts.iter().filter(|part| !["17 bytes"].contains(part));
        refused(&folder, &told.copied().chain([TRAIN_IMAGES]).collect::<Vec<_>>());
    }
}

#[test]
fn malformed_labels() {
    for (contents, parts) in [
        (labels(&[0, 1]), ["2 labels", "3 images"]),
        (labels(&[0, 1, 2, 3]), ["4 labels", "3 images"]),
        (labels(&[]), ["0 labels", "no size of zero"]),
        (labels(&[0, 1, 2])[..10].to_vec(), ["truncated", "3 bytes"]),
        (images([3, 2, 3], 18), ["0x00000803", "0x00000801"]),
        (idx_file(idx::LABELS_MAGIC, &[u32::MAX], &[0; 9]), ["truncated", "4294967295"]),
    ] {
        let folder = folder();
        put(&folder, TRAIN_LABELS, &contents);
        refused(&folder, &[&[TRAIN_LABELS], &parts[..]].concat());
    }
    let folder = folder();
    put(&folder, TEST_IMAGES, &images([2, 3, 2], 12));
    refused(&folder, &["2×3×1", "3×2×1"]);
}

#[test]
fn malformed_gzip() {
    let name = &format!("{TRAIN_IMAGES}.gz");
    let right = gz(&images([300, 20, 30], 180_000));
    let mut bad_sum = right.clone();
    let at = bad_sum.len() - 8;
    bad_sum[at] ^= 1;
    let twice = [gz(&images([3, 2, 3], 18)), gz(b"more")].concat();
    let cases: [(&str, Vec<u8>, &[&str]); 6] = [
        ("plain under a .gz name", images([3, 2, 3], 18), &["not a valid gzip"]),
        ("empty", vec![], &["truncated"]),
        ("truncated stream", right[..right.len() / 2].to_vec(), &["truncated"]),
        ("truncated sum", right[..right.len() - 3].to_vec(), &["truncated"]),
        ("wrong sum", bad_sum, &["not a valid gzip"]),
        ("a second member", twice, &["oversized", "18 bytes"]),
    ];
    for (what, contents, parts) in cases {
        println!("{what}");
        let folder = folder();
        remove(&folder, TRAIN_IMAGES);
        put(&folder, name, &contents);
        refused(&folder, &[&[&name[..]], parts].concat());
    }
    let folder = folder();
    put(&folder, TRAIN_IMAGES, &gz(&images([3, 2, 3], 18)));
    refused(&folder, &[TRAIN_IMAGES, "it is gzip: name it .gz"]);
}
