//! Headers are not trusted: files that claim or unpack to too much data are refused before memory is allocated.
//!
//! The one test of this file has a process to itself, because it reads the peak memory of the process.

#[path = "common/memory.rs"]
mod memory;

use flate2::{Compression, write::GzEncoder};
use memory::peak_memory_bytes;
use std::fs;
use std::io::Write;
use std::time::Instant;
use wgrad::data::formats::idx;
use wgrad::error::Error;

/// An IDX header of images with these sizes.
fn header(sizes: [u32; 3]) -> Vec<u8> {
    let words = [&[idx::IMAGES_MAGIC], &sizes[..]].concat();
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// The header followed by 1 GiB of zeros, as gzip: about 5 MB.
fn bomb(header: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(header).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..1024 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn no_header_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let plenty = [u32::MAX; 3];
    // 4.3 TB: small enough that reserving it without using it succeeds.
    let much = [u32::MAX, 10, 100];
    let cases = [
        ("images", [header(plenty), vec![0; 100]].concat(), "truncated"),
        ("images", [header(much), vec![0; 100]].concat(), "truncated"),
        ("images.gz", bomb(&header([3, 2, 3])), "oversized"),
        ("images.gz", bomb(&header(plenty)), "truncated"),
        ("images.gz", bomb(&header(much)), "truncated"),
    ];
    for (name, contents, expected) in cases {
        let path = folder.path().join(name);
        fs::write(&path, contents).unwrap();
        let (before, start) = (peak_memory_bytes(), Instant::now());
        let result = idx::read_images(&path);
        let (grown, took) = (peak_memory_bytes() - before, start.elapsed());
        let Err(Error::Input(message)) = result else {
            panic!("{name}: expected bad input");
        };
        assert!(message.contains(name) && message.contains(expected), "{message}");
        assert!(grown < 64 << 20, "{grown} bytes more memory: {message}");
        assert!(took.as_secs() < 5, "{took:?}: {message}");
    }
}
