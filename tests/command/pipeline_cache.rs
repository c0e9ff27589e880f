//! The command with a pipeline cache that is missing, wrong or refused: the run is correct, and the status is 0.
//!
//! Where the cache lies is a matter of variables on Linux alone.
#![cfg(target_os = "linux")]

use crate::common::{Done, Place, call, wgrad};
use std::path::PathBuf;

/// Trains with `cache` as the user's cache folder, into `run`.
fn train(place: &Place, cache: &str, run: &str) -> Done {
    let line = format!("train --model tiny.toml --data data --batch-size 16 --epochs 1 --run-dir {run}");
    let mut command = wgrad();
    let command = command.env("XDG_CACHE_HOME", place.path(cache)).args(line.split_whitespace());
    let done = call(command, &place.path(""));
    assert_eq!(done.status, Some(0), "{done:#?}");
    done
}

/// The one file in a cache folder; `None` if the backend has no pipeline cache.
fn file(place: &Place, cache: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(place.path(cache).join("wgrad/pipelines")).into_iter().flatten();
    let files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    assert!(files.len() <= 1, "{files:?}");
    files.into_iter().next()
}

#[test]
fn a_run_is_the_same_whatever_the_cache_holds() {
    let place = Place::new();
    train(&place, "cache", "first");
    let expected = place.read("first/model.safetensors");
    let Some(path) = file(&place, "cache") else { return };
    let good = std::fs::read(&path).expect("the file that was written");
    println!("{}: {} bytes", path.display(), good.len());
    let flipped: Vec<u8> = good.iter().map(|byte| byte ^ 0x55).collect();
    for (what, bytes) in
        [("good", &good[..]), ("flipped", &flipped), ("short", &good[..good.len() / 2]), ("empty", &[])]
    {
        std::fs::write(&path, bytes).expect("the file is written");
        let done = train(&place, "cache", what);
        assert!(!done.err.contains("note: compiled"), "{what}: {done:#?}");
        assert!(place.read(&format!("{what}/model.safetensors")) == expected, "{what}");
        let now = std::fs::read(&path).expect("a file");
        // SwiftShader's grows with every process that has read it.
        assert!(now.len() >= good.len() && (what == "good" || now != bytes), "{what}: it is put right");
    }
}

#[test]
fn a_cache_folder_that_cannot_be_made_is_told_once() {
    let place = Place::new();
    train(&place, "cache", "first");
    if file(&place, "cache").is_none() {
        return;
    }
    // A file where the folder should be: refused to every user, the administrator included.
    place.write("refused/wgrad", "");
    let done = train(&place, "refused", "second");
    assert_eq!(done.err.matches("note: compiled pipelines cannot be kept in").count(), 1, "{done:#?}");
    assert!(place.read("first/model.safetensors") == place.read("second/model.safetensors"));
}
