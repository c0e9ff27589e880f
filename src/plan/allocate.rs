//! Memory of tensors: results within a step share buffers by lifetime; every other tensor has its own buffer.

use crate::error::{Error, Result};
use crate::ir::graph::{DType, Role, Tensor, TensorInfo, root};
use crate::plan::kernel::{Kernel, Space, TEXELS};
use crate::plan::lifetime::{Claim, lifetimes, share};
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
    let touched = dispatches.iter().map(|dispatch| {
        let bound = dispatch.bindings.iter().zip(&kernels[&dispatch.kernel].bindings);
        bound.map(|((_, tensor), binding)| (*tensor, binding.writes))
    });
    let claims: Vec<Claim<(Role, Space)>> = lifetimes(tensors, touched)
        .into_iter()
        .map(|(tensor, life)| {
            let info = &tensors[tensor.index()];
            let space = spaces.get(&tensor).copied().unwrap_or(Space::Buffer);
            let size = match space {
                Space::Buffer => bytes_of(info),
                Space::Texture => bytes_of(info).next_multiple_of(16 * TEXELS as u64),
            };
            Claim { tensor, kind: (info.role, space), size, shares: reuse && info.role == Role::Activation, life }
        })
        .collect();
    let (homes, shared) = share(&claims);
    let buffers = shared.into_iter().map(|((role, space), bytes)| Buffer { role, space, bytes }).collect();
    let home: BTreeMap<Tensor, usize> = claims.iter().map(|claim| claim.tensor).zip(homes).collect();
    let places = (0..tensors.len()).map(|t| {
        let (owner, offset) = root(tensors, Tensor(t as u32));
        let bytes = bytes_of(&tensors[t]);
        home.get(&owner).map(|&buffer| Place { buffer, offset: offset as u64 * 4, bytes })
    });
    let places = places.collect();
    Ok((buffers, places))
}
