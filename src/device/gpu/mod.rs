//! Adapters, devices and the executor that replays a plan on one.

pub mod adapter;
pub mod cache;
pub mod careful;
pub mod executor;
pub mod open;
pub mod pipelines;
pub mod timing;

use crate::plan::{Class, Limits};

/// The class of plan that an adapter is best served with: lanes for software adapters whose subgroups
/// have one size, tiles for all others.
pub fn class_of(gpu: &open::Opened) -> Class {
    let info = &gpu.info;
    let fixed = info.subgroup_min_size == info.subgroup_max_size && gpu.features.contains(wgpu::Features::SUBGROUP);
    match info.device_type == wgpu::DeviceType::Cpu && fixed && matches!(info.subgroup_min_size, 4 | 8 | 16) {
        true => Class::Lanes(info.subgroup_min_size),
        false => Class::Tile,
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
