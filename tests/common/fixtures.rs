//! Files of `tests/fixtures`: results of other programs.
// Every test program compiles this module for itself and uses a part of it.
#![allow(dead_code)]

use serde_json::Value;
use std::path::PathBuf;

/// The path of a file.
pub fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", name].iter().collect()
}

/// The contents of a file.
pub fn bytes(name: &str) -> Vec<u8> {
    let path = fixture(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The contents of a file of JSON.
pub fn json(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}
