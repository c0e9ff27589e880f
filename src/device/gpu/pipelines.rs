//! Compute pipelines for the kernels of a plan, with bindings as naga reflects them.

use crate::device::gpu::open::Opened;
use crate::error::{Error, Result};
use crate::plan::kernel::{Binding, Kernel, Space};
use crate::plan::{Dispatch, KernelId, Plan};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A pipeline and the layout of its one bind group.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The pipeline.
    pub pipeline: wgpu::ComputePipeline,
    /// The layout of group 0.
    pub layout: wgpu::BindGroupLayout,
}

/// The key of a pipeline: the kernel and the bits of its constants.
pub type Key = (KernelId, Vec<(String, u64)>);

/// The key of a dispatch's pipeline.
pub fn key(dispatch: &Dispatch) -> Key {
    let constants = dispatch.constants.iter().map(|(name, value)| (name.clone(), value.to_bits()));
    (dispatch.kernel.clone(), constants.collect())
}

/// Builds every pipeline of a plan, on all cores. `checked` keeps naga's bounds checks in the shaders.
pub fn build(gpu: &Opened, plan: &Plan, checked: bool) -> Result<BTreeMap<Key, Pipeline>> {
    let keys: BTreeSet<Key> = plan.dispatches.iter().map(key).collect();
    let built = keys.into_par_iter().map(|key| {
        let pipeline = build_one(gpu, &plan.kernels[&key.0], &key, checked)?;
        Ok((key, pipeline))
    });
    built.collect()
}

fn binding_type(binding: &Binding) -> wgpu::BindingType {
    match binding.space {
        Space::Buffer => wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only: !binding.writes },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        Space::Texture => wgpu::BindingType::StorageTexture {
            access: match binding.writes {
                true => wgpu::StorageTextureAccess::WriteOnly,
                false => wgpu::StorageTextureAccess::ReadOnly,
            },
            format: wgpu::TextureFormat::Rgba32Float,
            view_dimension: wgpu::TextureViewDimension::D2,
        },
    }
}

fn build_one(gpu: &Opened, kernel: &Kernel, (id, constants): &Key, checked: bool) -> Result<Pipeline> {
    let device = &gpu.device;
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let label = id.to_string();
    let module = match checked {
        true => device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&label),
            source: wgpu::ShaderSource::Wgsl(kernel.text.as_str().into()),
        }),
        false => crate::sys::trusted_module(device, &label, &kernel.text),
    };
    let entries: Vec<wgpu::BindGroupLayoutEntry> = kernel
        .bindings
        .iter()
        .map(|b| wgpu::BindGroupLayoutEntry {
            binding: b.number,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: binding_type(b),
            count: None,
        })
        .collect();
    let descriptor = wgpu::BindGroupLayoutDescriptor { label: Some(&label), entries: &entries };
    let layout = device.create_bind_group_layout(&descriptor);
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(&label),
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let constants: Vec<(&str, f64)> = constants.iter().map(|(n, bits)| (n.as_str(), f64::from_bits(*bits))).collect();
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(&label),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &constants,
            zero_initialize_workgroup_memory: false,
        },
        cache: gpu.cache.as_ref().map(|cache| cache.inner()),
    });
    match pollster::block_on(scope.pop()) {
        None => Ok(Pipeline { pipeline, layout }),
        Some(error) => Err(Error::failed(format!("kernel {id} cannot be built on {}: {error}", gpu.info.name))),
    }
}
