//! The built-in MNIST: the same data by two readers, and a cache that may be missing, broken, locked or shared.
#![cfg(feature = "mnist-data")]

use std::fs;
use std::path::Path;
use tempfile::TempDir;
use wgrad::data::formats::mnist;
use wgrad::data::{Dataset, Split};
use wgrad::error::Error;

/// The unpacked files, put in a folder of this test's own.
fn cached() -> (TempDir, Dataset) {
    let cache = tempfile::tempdir().unwrap();
    let set = mnist::load_from(Some(cache.path()), Path::new("no/such/folder")).unwrap();
    (cache, set)
}

fn checked(set: &Dataset) {
    assert_eq!((set.name.as_str(), set.classes, set.class_names.len()), ("mnist", 10, 10));
    assert_eq!((set.train.count, set.test.count), (60_000, 10_000));
    assert_eq!((set.train.shape(), set.test.shape()), ([28, 28, 1], [28, 28, 1]));
    assert_eq!(set.train.labels()[..8], [5, 0, 4, 1, 9, 2, 1, 3]);
    assert_eq!(set.test.labels()[..8], [7, 2, 1, 0, 4, 1, 4, 9]);
}

/// Not `assert_eq`, which would print 47 MB.
#[track_caller]
fn same(a: &Split, b: &Split) {
    assert!(a == b, "the splits differ");
}

#[test]
fn own_reader_and_mnist_crate_agree_byte_for_byte() {
    let (cache, set) = cached();
    checked(&set);
    let theirs = ::mnist::MnistBuilder::new().base_path(cache.path().to_str().unwrap()).finalize();
    let split = |pixels, labels| Split::new([28, 28, 1], pixels, labels).unwrap();
    same(&set.train, &split(theirs.trn_img, theirs.trn_lbl));
    same(&set.test, &split(theirs.tst_img, theirs.tst_lbl));
    // The same files, opened as a folder like any other.
    let opened = Dataset::open(cache.path().to_str().unwrap()).unwrap();
    same(&opened.train, &set.train);
    same(&opened.test, &set.test);
    assert_eq!(opened.classes, set.classes);
}

#[test]
fn a_corrupt_cache_is_repaired() {
    let (cache, set) = cached();
    let (images, names) = (cache.path().join("train-images-idx3-ubyte"), cache.path().join("t10k-labels-idx1-ubyte"));
    let right = fs::read(&images).unwrap();
    let mut bad = right.clone();
    bad[40_000_000] ^= 1;
    fs::write(&images, bad).unwrap();
    fs::write(&names, b"short").unwrap();
    fs::remove_file(cache.path().join("train-labels-idx1-ubyte")).unwrap();
    let again = mnist::load_from(Some(cache.path()), Path::new("no/such/folder")).unwrap();
    same(&again.train, &set.train);
    same(&again.test, &set.test);
    assert!(fs::read(&images).unwrap() == right);
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 4);
    assert_eq!(again.notice, None);
}

#[test]
fn a_right_cache_is_left_alone() {
    let (cache, _) = cached();
    let times = || fs::read_dir(cache.path()).unwrap().map(|f| f.unwrap().metadata().unwrap().modified().unwrap());
    let before: Vec<_> = times().collect();
    mnist::load_from(Some(cache.path()), Path::new("no/such/folder")).unwrap();
    assert_eq!(before, times().collect::<Vec<_>>());
}

/// The cache lies below a file, which no permission (root's neither) turns into a folder.
#[test]
fn an_unwritable_cache_falls_back_to_a_temporary_folder() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("file");
    fs::write(&file, b"").unwrap();
    let set = mnist::load_from(Some(&file.join("cache")), temporary.path()).unwrap();
    checked(&set);
    let notice = set.notice.unwrap();
    assert!(notice.contains("file/cache") || notice.contains("file\\cache"), "{notice}");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1, "the temporary folder is gone again");
    checked(&mnist::load_from(None, temporary.path()).unwrap());
    let error = mnist::load_from(Some(&file.join("cache")), &file).unwrap_err();
    assert!(matches!(&error, Error::Failed(why) if why.contains("nowhere")), "{error}");
}

#[test]
fn several_starts_at_once_share_a_cache() {
    let cache = tempfile::tempdir().unwrap();
    let barrier = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                barrier.wait();
                let set = mnist::load_from(Some(cache.path()), Path::new("no/such/folder")).unwrap();
                checked(&set);
            });
        }
    });
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 4);
}
