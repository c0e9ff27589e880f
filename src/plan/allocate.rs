//! Memory of tensors: results within a step share buffers by lifetime; every other tensor has its own buffer.

use crate::error::{Error, Result};
use crate::ir::graph::{DType, Role, Tensor, TensorInfo, root};
use crate::plan::kernel::{Kernel, Space, TEXELS};
use crate::plan::{Buffer, Dispatch, KernelId, Place};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of a tensor, in whole vectors of four words.
fn bytes_of(info: &TensorInfo) -> u64 {
    let word = if info.dtype == DType::U8 { 1 } else { 4 };
    (info.elements() as u64 * word).next_multiple_of(16).max(16)
}

/// Whether each tensor that a dispatch touches is a buffer or a texture, as the kernels declare it.
fn spaces(dispatches: &[Dispatch], kernels: &BTreeMap<KernelId, Arc<Kernel>>) -> Result<BTreeMap<Tensor, Space>> {
    let mut spaces = BTreeMap::new();
    for dispatch in dispatches {
        for ((name, tensor), binding) in dispatch.bindings.iter().zip(&kernels[&dispatch.kernel].bindings) {
            if *spaces.entry(*tensor).or_insert(binding.space) != binding.space {
                let kernel = &dispatch.kernel;
                return Err(Error::failed(format!(
                    "kernel {kernel}: {tensor}, bound to `{name}`, is no {:?}",
                    binding.space
                )));
            }
        }
    }
    Ok(spaces)
}

/// Gives every tensor that a dispatch touches its place: results within the step share buffers by
/// lifetime, everything else has its own buffer.
pub(in crate::plan) fn allocate(
    tensors: &[TensorInfo],
    dispatches: &[Dispatch],
    kernels: &BTreeMap<KernelId, Arc<Kernel>>,
    reuse: bool,
) -> Result<(Vec<Buffer>, Vec<Option<Place>>)> {
    let spaces = spaces(dispatches, kernels)?;
    let mut lifetime: BTreeMap<Tensor, (usize, usize)> = BTreeMap::new();
    for (at, dispatch) in dispatches.iter().enumerate() {
        for ((_, tensor), binding) in dispatch.bindings.iter().zip(&kernels[&dispatch.kernel].bindings) {
            // What is read before anything writes it is given from outside, and kept for the next step.
            let born = if binding.writes { (at, at) } else { (0, usize::MAX) };
            let life = lifetime.entry(root(tensors, *tensor).0).or_insert(born);
            life.1 = life.1.max(at);
        }
    }
    let mut by_birth: Vec<(Tensor, (usize, usize))> = lifetime.into_iter().collect();
    by_birth.sort_by_key(|&(tensor, (first, _))| (first, tensor));
    let mut buffers: Vec<Buffer> = Vec::new();
    let mut busy_until: Vec<usize> = Vec::new();
    let mut home: BTreeMap<Tensor, usize> = BTreeMap::new();
    for (tensor, (first, last)) in by_birth {
        let info = &tensors[tensor.index()];
        let space = spaces.get(&tensor).copied().unwrap_or(Space::Buffer);
        let bytes = match space {
            Space::Buffer => bytes_of(info),
            Space::Texture => bytes_of(info).next_multiple_of(16 * TEXELS as u64),
        };
        let shared = reuse && info.role == Role::Activation;
        // The free buffer that fits with the least waste, or else the one that has to grow least.
        let free = (0..buffers.len())
            .filter(|&b| {
                shared && (buffers[b].role, buffers[b].space) == (Role::Activation, space) && busy_until[b] < first
            })
            .min_by_key(|&b| (buffers[b].bytes < bytes, buffers[b].bytes.abs_diff(bytes)));
        let buffer = free.unwrap_or_else(|| {
            buffers.push(Buffer { role: info.role, space, bytes: 0 });
            busy_until.push(0);
            buffers.len() - 1
        });
        buffers[buffer].bytes = buffers[buffer].bytes.max(bytes);
        busy_until[buffer] = last;
        home.insert(tensor, buffer);
    }
    let places = (0..tensors.len()).map(|t| {
        let (owner, offset) = root(tensors, Tensor(t as u32));
        let bytes = bytes_of(&tensors[t]);
        home.get(&owner).map(|&buffer| Place { buffer, offset: offset as u64 * 4, bytes })
    });
    let places = places.collect();
    Ok((buffers, places))
}
