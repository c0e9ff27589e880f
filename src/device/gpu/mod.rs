//! Adapters, devices and the executor that replays a plan on one.

pub mod adapter;
pub mod cache;
pub mod careful;
pub mod class;
pub mod executor;
pub mod open;
pub mod patience;
pub mod pipelines;
mod shared;
pub mod timing;

use crate::ir::launch::KernelClass;
use crate::plan::Limits;

/// The class of plan that steps are lowered for on an open device.
pub fn class_of(gpu: &open::Opened) -> KernelClass {
    gpu.class
}

/// The classes of plan that an open device can run: tiles, which all can, and its own.
pub fn classes_of(gpu: &open::Opened) -> Vec<KernelClass> {
    match class_of(gpu) {
        KernelClass::Tile => vec![KernelClass::Tile],
        lanes => vec![KernelClass::Tile, lanes],
    }
}

/// The limits of an open device that a plan can break.
pub fn limits_of(gpu: &open::Opened) -> Limits {
    Limits {
        groups: gpu.limits.max_compute_workgroups_per_dimension,
        binding_bytes: gpu.limits.max_storage_buffer_binding_size,
        buffer_bytes: gpu.limits.max_buffer_size,
        texture_size: gpu.limits.max_texture_dimension_2d,
    }
}
