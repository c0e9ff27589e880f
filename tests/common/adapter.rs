//! The adapter that the tests of shaders run on: what WGRAD_DEVICE names, else a GPU, else a software adapter.
// Every test file compiles this module for itself and uses a part of it.
#![allow(dead_code)]

use std::sync::{Arc, OnceLock};
use wgrad::device::Device;
use wgrad::device::choice::candidate::Candidate;
use wgrad::device::choice::{Choice, DeviceRequest, VARIABLE};
use wgrad::device::gpu::adapter::list_adapters;
use wgrad::device::gpu::open::Opened;

/// The message of a test that finds no adapter: that is a failure, not a skip.
pub const NEEDED: &str =
    "this test needs a Vulkan adapter with subgroups: tests/run installs lavapipe, Mesa's software adapter";

/// The adapters of this machine that can be used.
pub fn usable() -> Vec<(Candidate, wgpu::Adapter)> {
    let all = pollster::block_on(list_adapters()).into_iter();
    let usable: Vec<_> = all.filter(|(candidate, _)| candidate.unusable.is_none()).collect();
    assert!(!usable.is_empty(), "{NEEDED}");
    usable
}

/// The value of `--device` for the adapter of the tests.
pub fn name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| match std::env::var(VARIABLE) {
        Ok(device) if !device.is_empty() => device,
        _ if usable().iter().any(|(candidate, _)| candidate.kind.is_gpu()) => "gpu".into(),
        _ => "software".into(),
    })
}

/// The request for the adapter of the tests.
pub fn request() -> DeviceRequest {
    name().parse().expect("a device's name")
}

/// The adapter, opened, and why it was chosen.
pub fn chosen() -> (Device, Choice) {
    let (device, choice) = pollster::block_on(Device::open(&request(), 0)).unwrap_or_else(|e| panic!("{NEEDED}; {e}"));
    assert!(matches!(device, Device::Gpu(_)), "{NEEDED}; found {}", device.name());
    (device, choice)
}

/// The adapter, opened.
pub fn device() -> Device {
    chosen().0
}

/// The adapter, opened, as the parts of the library below [`Device`] take it.
pub fn gpu() -> Arc<Opened> {
    match device() {
        Device::Gpu(gpu) => gpu,
        Device::Cpu(_) => panic!("{NEEDED}"),
    }
}
