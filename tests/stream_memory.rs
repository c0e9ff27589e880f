//! Memory stays flat with larger data: neither host nor device holds more of it than configured.
//!
//! The one test of this file has a process to itself, because it reads the peak memory of the process.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use wgrad::data::Dataset;
use wgrad::data::ReadOptions;
use wgrad::device::Device;
use wgrad::model::Sequential;
use wgrad::train::epochs::trainer::Trainer;
use wgrad::train::settings::options::TrainOptions;

/// As many images as ten times MNIST: 470 MB.
const IMAGES: usize = 600_000;
/// How many of them the device may hold.
const LIMIT: u64 = 32 << 20;

/// The most memory that this process has had at once.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).expect("a peak") * 1024
}

#[test]
fn memory_does_not_grow_with_the_data() {
    let place = tempfile::tempdir().expect("a temporary folder");
    for (part, count) in [("train", IMAGES), ("t10k", 1000)] {
        let path = |kind: &str| place.path().join(format!("{part}-{kind}"));
        let mut images = fs::File::create(path("images-idx3-ubyte")).expect("a file");
        images.write_all(&common::idx(2051, &[count, 28, 28], &[])).expect("a header");
        // Nothing but a length: the system keeps no zeros.
        images.set_len(16 + (count * 784) as u64).expect("a length");
        let labels: Vec<u8> = (0..count).map(|n| (n % 10) as u8).collect();
        fs::write(path("labels-idx1-ubyte"), common::idx(2049, &[count], &labels)).expect("labels");
    }
    let options = ReadOptions { hold_bytes: Some(LIMIT), ..ReadOptions::default() };
    let model = Sequential::new([28, 28, 1]).flatten().dense(10).build().expect("a model");
    let adapter = common::adapter::device();
    for device in [Device::cpu(1).expect("a thread"), adapter] {
        let before = peak_bytes();
        let data = Dataset::open_with(place.path().to_str().expect("a path"), &options).expect("a data set");
        assert!(data.train.is_in_file() && data.train.pixels().is_empty());
        // More than two chunks of 21,376 samples.
        let train = TrainOptions { max_steps: Some(400), device_data_limit: Some(LIMIT), ..TrainOptions::default() };
        let mut trainer = Trainer::new(&device, &model, &data, &train, None).expect("a trainer");
        let created = trainer.created();
        let metrics = pollster::block_on(trainer.fit(|_| ControlFlow::Continue(()))).expect("a run");
        assert_eq!((metrics.len(), metrics[0].step, trainer.created()), (1, 400, created));
        let grown = peak_bytes() - before;
        assert!(grown < 3 * LIMIT, "{}: {grown} bytes more", device.name());
    }
}
