//! The plan: dispatches and buffers of one step for one class of adapter, as pure data.

mod allocate;
pub mod fuse;
mod in_place;
pub mod kernel;
pub(crate) mod lifetime;
pub mod lower;
pub mod recompute;
mod template;

/// Bytes in binary units.
pub use crate::counted::human_bytes;
use crate::error::{Error, Result};
use crate::ir::graph::{Phase, Role, Tensor, TensorInfo};
use crate::ir::launch::KernelClass;
use crate::plan::kernel::{Kernel, Space, TEXELS};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The limits of the adapter that a plan can exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Workgroups along one dimension of a dispatch.
    pub groups: u32,
    /// Bytes of one storage binding.
    pub binding_bytes: u64,
    /// Bytes of one buffer.
    pub buffer_bytes: u64,
    /// Rows and columns of a texture.
    pub texture_size: u32,
}

impl Limits {
    /// WebGPU's default limits.
    pub const PORTABLE: Limits =
        Limits { groups: 65_535, binding_bytes: 128 << 20, buffer_bytes: 256 << 20, texture_size: 8192 };
}

/// A kernel in one expansion: the stem of its file and its template's parameters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelId {
    /// The stem of the shader file.
    pub name: &'static str,
    /// The template's parameters.
    pub params: Vec<(&'static str, i64)>,
}

impl fmt::Display for KernelId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if !self.params.is_empty() {
            let params: Vec<String> = self.params.iter().map(|(k, v)| format!("{k}={v}")).collect();
            write!(f, "<{}>", params.join(","))?;
        }
        Ok(())
    }
}

/// One dispatch of one kernel.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The kernel.
    pub kernel: KernelId,
    /// Its override constants.
    pub constants: BTreeMap<String, f64>,
    /// Its bindings, in the kernel's order.
    pub bindings: Vec<(String, Tensor)>,
    /// Workgroups along x and y; a kernel numbers them x + y · (groups along x).
    pub groups: [u32; 2],
    /// The graph's node that it works for.
    pub node: usize,
    /// Whether it belongs to the gradients or to the update.
    pub phase: Phase,
}

/// A buffer, or a texture, of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The role of its tensors.
    pub role: Role,
    /// Which of the two it is.
    pub space: Space,
    /// Its size; whole rows of a texture.
    pub bytes: u64,
}

/// Where a tensor lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The buffer.
    pub buffer: usize,
    /// The first byte.
    pub offset: u64,
    /// The bytes, rounded up to whole vectors of four words.
    pub bytes: u64,
}

/// Dispatches and buffers of one step.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The class of adapter that it was made for.
    pub class: KernelClass,
    /// The graph's tensors, followed by the scratch tensors of the lowering.
    pub tensors: Vec<TensorInfo>,
    /// The dispatches of a step, which replays this list.
    pub dispatches: Vec<Dispatch>,
    /// The buffers.
    pub buffers: Vec<Buffer>,
    /// Where each tensor lies; `None` for one that no dispatch touches.
    pub places: Vec<Option<Place>>,
    /// The kernels, reflected.
    pub kernels: BTreeMap<KernelId, Arc<Kernel>>,
}

impl Plan {
    /// Where a tensor lies; an error where no dispatch touches it.
    pub fn place(&self, t: Tensor) -> Result<Place> {
        let info = &self.tensors[t.index()];
        self.places[t.index()].ok_or_else(|| Error::failed(format!("{} {t} is in no dispatch", info.name)))
    }

    /// Bytes of all buffers of a role.
    pub fn bytes(&self, role: Role) -> u64 {
        self.buffers.iter().filter(|b| b.role == role).map(|b| b.bytes).sum()
    }

    /// Bytes of all buffers.
    pub fn total_bytes(&self) -> u64 {
        self.buffers.iter().map(|b| b.bytes).sum()
    }

    /// The memory by role, for people.
    pub fn memory(&self) -> String {
        let roles = [
            ("data", Role::Data),
            ("activations", Role::Activation),
            ("parameters", Role::Param),
            ("gradients", Role::Grad),
            ("optimizer state", Role::State),
            ("control", Role::Control),
        ];
        let parts = roles.iter().map(|(name, role)| format!("{name} {}", human_bytes(self.bytes(*role))));
        format!("{} ({})", human_bytes(self.total_bytes()), parts.collect::<Vec<_>>().join(", "))
    }

    /// Holds the plan to the adapter's limits, and each dispatch to the rule that it reads and writes no buffer at once.
    pub(crate) fn check(&self, limits: Limits) -> Result<()> {
        for buffer in &self.buffers {
            let texture_bytes = 16 * TEXELS as u64 * u64::from(limits.texture_size);
            let (what, most) = match buffer.space {
                Space::Buffer => ("buffer", limits.buffer_bytes.min(limits.binding_bytes)),
                Space::Texture => ("texture", texture_bytes),
            };
            if buffer.bytes > most {
                return Err(Error::input(format!(
                    "the plan needs a {what} of {} ({:?}), the adapter allows {} per binding, {} per buffer and {} per \
                     texture; a smaller batch or less data may fit. Its memory: {}",
                    human_bytes(buffer.bytes),
                    buffer.role,
                    human_bytes(limits.binding_bytes),
                    human_bytes(limits.buffer_bytes),
                    human_bytes(texture_bytes),
                    self.memory(),
                )));
            }
        }
        for dispatch in &self.dispatches {
            let kernel = &self.kernels[&dispatch.kernel];
            let used = dispatch.bindings.iter().zip(&kernel.bindings);
            let used: Vec<_> = used.map(|((_, t), b)| Ok((self.place(*t)?.buffer, b))).collect::<Result<_>>()?;
            for (buffer, binding) in used.iter().filter(|(_, b)| b.writes) {
                if let Some((_, reader)) = used.iter().find(|(other, b)| other == buffer && !b.writes) {
                    return Err(Error::failed(format!(
                        "kernel {}: `{}` and `{}` share buffer {buffer}, which it would read and write",
                        dispatch.kernel, reader.name, binding.name
                    )));
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{} dispatches per step, class {}", self.dispatches.len(), self.class)?;
        for (n, d) in self.dispatches.iter().enumerate() {
            let kernel = &self.kernels[&d.kernel];
            writeln!(f, "{n:3} {} [{} × {}]", d.kernel, d.groups[0], d.groups[1])?;
            for ((name, tensor), binding) in d.bindings.iter().zip(&kernel.bindings) {
                let arrow = if binding.writes { "→" } else { "←" };
                let info = &self.tensors[tensor.index()];
                write!(f, "      {name} {arrow} {} {}", info.name, info.shape)?;
                match self.places[tensor.index()] {
                    Some(place) if self.buffers[place.buffer].space == Space::Texture => {
                        writeln!(f, "  t{}", place.buffer)?
                    }
                    Some(place) => writeln!(f, "  b{}+{}", place.buffer, place.offset)?,
                    None => writeln!(f)?,
                }
            }
            let constants: Vec<String> = d.constants.iter().map(|(k, v)| format!("{k}={v}")).collect();
            writeln!(f, "      {}", constants.join(" "))?;
        }
        for (n, b) in self.buffers.iter().enumerate() {
            let letter = if b.space == Space::Texture { 't' } else { 'b' };
            writeln!(f, "{letter}{n} {:?} {}", b.role, human_bytes(b.bytes))?;
        }
        writeln!(f, "memory: {}", self.memory())
    }
}
