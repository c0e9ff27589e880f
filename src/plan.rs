//! The plan: a graph lowered to dispatches and buffers for one class of adapter, as pure data.

use crate::error::{Error, Result};
use crate::graph::{DType, Graph, Phase, Role, Tensor, TensorInfo, root};
use crate::kernel::{Kernel, Source};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The class of adapter that a plan is made for: it decides the form of the heavy kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// GPUs: tiles in workgroup memory.
    Tile,
    /// Software adapters with a fixed subgroup size: no workgroup memory, operands handed round by shuffles.
    Lanes(u32),
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Class::Tile => write!(f, "tile"),
            Class::Lanes(n) => write!(f, "lanes({n})"),
        }
    }
}

/// What the adapter allows, as far as a plan can break it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Workgroups along one dimension of a dispatch.
    pub groups: u32,
    /// Bytes of one storage binding.
    pub binding_bytes: u64,
    /// Bytes of one buffer.
    pub buffer_bytes: u64,
}

impl Limits {
    /// WebGPU's default limits.
    pub const PORTABLE: Limits = Limits { groups: 65_535, binding_bytes: 128 << 20, buffer_bytes: 256 << 20 };
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

/// A buffer of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// What its tensors are for.
    pub role: Role,
    /// Its size.
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
    pub class: Class,
    /// The graph's tensors, and the scratch of the lowering behind them.
    pub tensors: Vec<TensorInfo>,
    /// What a step is: this list, replayed.
    pub dispatches: Vec<Dispatch>,
    /// The buffers.
    pub buffers: Vec<Buffer>,
    /// Where each tensor lies; `None` for one that no dispatch touches.
    pub places: Vec<Option<Place>>,
    /// The kernels, reflected.
    pub kernels: BTreeMap<KernelId, Arc<Kernel>>,
}

/// How to lower.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The class of adapter.
    pub class: Class,
    /// What the adapter allows.
    pub limits: Limits,
    /// Whether results may share memory when their lifetimes allow; off where all are to be read back.
    pub reuse: bool,
}

/// What an op's `lower` works with.
pub struct Lower<'a> {
    /// The class of adapter.
    pub class: Class,
    /// The op's arguments.
    pub x: &'a [Tensor],
    /// The op's results.
    pub y: &'a [Tensor],
    tensors: &'a mut Vec<TensorInfo>,
    dispatches: &'a mut Vec<Dispatch>,
    kernels: &'a mut BTreeMap<KernelId, Arc<Kernel>>,
    limits: Limits,
    node: usize,
    phase: Phase,
}

impl Lower<'_> {
    /// The sizes of a tensor.
    pub fn shape(&self, t: Tensor) -> Vec<usize> {
        self.tensors[t.index()].shape.0.clone()
    }

    /// The sizes of a tensor that the op has declared with `N` axes.
    pub fn axes<const N: usize>(&self, t: Tensor) -> Result<[usize; N]> {
        let info = &self.tensors[t.index()];
        let axes = info.shape.0.as_slice().try_into();
        axes.map_err(|_| Error::failed(format!("{} {}: {N} axes are expected", info.name, info.shape)))
    }

    /// The number of elements of a tensor.
    pub fn elements(&self, t: Tensor) -> usize {
        self.tensors[t.index()].elements()
    }

    /// A float tensor for this op alone, of `elements` elements.
    pub fn scratch(&mut self, elements: usize) -> Tensor {
        self.tensors.push(TensorInfo::floats("scratch", [elements]));
        Tensor((self.tensors.len() - 1) as u32)
    }

    /// Begins a dispatch of `source`, expanded with `params` where it is a template.
    pub fn kernel(&mut self, source: Source, params: &[(&'static str, i64)]) -> Result<Launch> {
        let id = KernelId { name: source.name, params: params.to_vec() };
        if !self.kernels.contains_key(&id) {
            self.kernels.insert(id.clone(), Arc::new(source.reflect(params)?));
        }
        let kernel = self.kernels[&id].clone();
        Ok(Launch { id, kernel, constants: BTreeMap::new(), bindings: Vec::new() })
    }

    /// Launches one invocation for each of `count` elements.
    pub fn invocations(&mut self, launch: Launch, count: usize) -> Result<()> {
        let groups = count.div_ceil(launch.kernel.workgroup as usize);
        self.groups(launch, groups)
    }

    /// Launches `count` workgroups, folded into two dimensions where one does not hold them.
    pub fn groups(&mut self, launch: Launch, count: usize) -> Result<()> {
        let Launch { id, kernel, constants, mut bindings } = launch;
        let fault = |why: String| Error::failed(format!("kernel {id}: {why}"));
        let most = self.limits.groups as usize;
        let x = count.clamp(1, most);
        let y = count.max(1).div_ceil(x);
        if y > most {
            return Err(Error::input(format!("kernel {id}: {count} workgroups, more than {most} × {most}")));
        }
        for (name, default) in &kernel.overrides {
            if !default && !constants.contains_key(name) {
                return Err(fault(format!("constant `{name}` is not set")));
            }
        }
        let mut ordered = Vec::new();
        for want in &kernel.bindings {
            let at = bindings.iter().position(|(name, _)| *name == want.name);
            let at = at.ok_or_else(|| fault(format!("nothing is bound to `{}`", want.name)))?;
            ordered.push(bindings.swap_remove(at));
        }
        if let Some((name, _)) = bindings.first() {
            return Err(fault(format!("it has no binding `{name}`")));
        }
        self.dispatches.push(Dispatch {
            kernel: id,
            constants,
            bindings: ordered,
            groups: [x as u32, y as u32],
            node: self.node,
            phase: self.phase,
        });
        Ok(())
    }
}

/// A dispatch in the making.
#[derive(Debug)]
pub struct Launch {
    id: KernelId,
    kernel: Arc<Kernel>,
    constants: BTreeMap<String, f64>,
    bindings: Vec<(String, Tensor)>,
}

impl Launch {
    /// Binds a tensor to the kernel's variable `name`.
    pub fn bind(mut self, name: &str, tensor: Tensor) -> Self {
        self.bindings.push((name.into(), tensor));
        self
    }

    /// Sets the override constant `name`, if the kernel declares it: shapes are handed over whole.
    pub fn set(mut self, name: &str, value: impl Into<f64>) -> Self {
        if self.kernel.overrides.contains_key(name) {
            self.constants.insert(name.into(), value.into());
        }
        self
    }

    /// `set` for a size.
    pub fn size(self, name: &str, value: usize) -> Self {
        self.set(name, value as f64)
    }

    /// `size` for several.
    pub fn sizes(self, values: &[(&str, usize)]) -> Self {
        values.iter().fold(self, |launch, (name, value)| launch.size(name, *value))
    }
}

/// Lowers a graph for a class of adapter.
pub fn lower(graph: &Graph, target: Target) -> Result<Plan> {
    let mut tensors = graph.tensors.clone();
    let (mut dispatches, mut kernels) = (Vec::new(), BTreeMap::new());
    for (n, node) in graph.nodes.iter().enumerate() {
        node.op.lower(&mut Lower {
            class: target.class,
            x: &node.x,
            y: &node.y,
            tensors: &mut tensors,
            dispatches: &mut dispatches,
            kernels: &mut kernels,
            limits: target.limits,
            node: n,
            phase: node.phase,
        })?;
    }
    let (buffers, places) = allocate(&tensors, &dispatches, target.reuse);
    let plan = Plan { class: target.class, tensors, dispatches, buffers, places, kernels };
    plan.check(target.limits)?;
    Ok(plan)
}

/// Bytes of a tensor, in whole vectors of four words.
fn bytes_of(info: &TensorInfo) -> u64 {
    let word = if info.dtype == DType::U8 { 1 } else { 4 };
    (info.elements() as u64 * word).next_multiple_of(16).max(16)
}

/// Gives every tensor that a dispatch touches its place: results within the step share buffers by
/// lifetime, everything else has a buffer of its own.
fn allocate(tensors: &[TensorInfo], dispatches: &[Dispatch], reuse: bool) -> (Vec<Buffer>, Vec<Option<Place>>) {
    let mut lifetime: BTreeMap<Tensor, (usize, usize)> = BTreeMap::new();
    for (at, dispatch) in dispatches.iter().enumerate() {
        for (_, tensor) in &dispatch.bindings {
            lifetime.entry(root(tensors, *tensor).0).and_modify(|life| life.1 = at).or_insert((at, at));
        }
    }
    let mut by_birth: Vec<(Tensor, (usize, usize))> = lifetime.into_iter().collect();
    by_birth.sort_by_key(|&(tensor, (first, _))| (first, tensor));
    let mut buffers: Vec<Buffer> = Vec::new();
    let mut busy_until: Vec<usize> = Vec::new();
    let mut home: BTreeMap<Tensor, usize> = BTreeMap::new();
    for (tensor, (first, last)) in by_birth {
        let info = &tensors[tensor.index()];
        let bytes = bytes_of(info);
        let shared = reuse && info.role == Role::Activation;
        // The free buffer that fits with the least waste, or else the one that has to grow least.
        let free = (0..buffers.len())
            .filter(|&b| shared && buffers[b].role == Role::Activation && busy_until[b] < first)
            .min_by_key(|&b| (buffers[b].bytes < bytes, buffers[b].bytes.abs_diff(bytes)));
        let buffer = free.unwrap_or_else(|| {
            buffers.push(Buffer { role: info.role, bytes: 0 });
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
    (buffers, places)
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

    fn check(&self, limits: Limits) -> Result<()> {
        for buffer in &self.buffers {
            if buffer.bytes > limits.buffer_bytes.min(limits.binding_bytes) {
                return Err(Error::input(format!(
                    "the plan needs a buffer of {} ({:?}), the adapter allows {} a binding and {} a buffer; \
                     a smaller batch or less data may fit. Its memory: {}",
                    human_bytes(buffer.bytes),
                    buffer.role,
                    human_bytes(limits.binding_bytes),
                    human_bytes(limits.buffer_bytes),
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

/// Bytes in binary units, to three digits or so.
pub fn human_bytes(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{} dispatches a step, class {}", self.dispatches.len(), self.class)?;
        for (n, d) in self.dispatches.iter().enumerate() {
            let kernel = &self.kernels[&d.kernel];
            writeln!(f, "{n:3} {} [{} × {}]", d.kernel, d.groups[0], d.groups[1])?;
            for ((name, tensor), binding) in d.bindings.iter().zip(&kernel.bindings) {
                let arrow = if binding.writes { "→" } else { "←" };
                let info = &self.tensors[tensor.index()];
                write!(f, "      {name} {arrow} {} {}", info.name, info.shape)?;
                match self.places[tensor.index()] {
                    Some(place) => writeln!(f, "  b{}+{}", place.buffer, place.offset)?,
                    None => writeln!(f)?,
                }
            }
            let constants: Vec<String> = d.constants.iter().map(|(k, v)| format!("{k}={v}")).collect();
            writeln!(f, "      {}", constants.join(" "))?;
        }
        for (n, b) in self.buffers.iter().enumerate() {
            writeln!(f, "b{n} {:?} {}", b.role, human_bytes(b.bytes))?;
        }
        writeln!(f, "memory: {}", self.memory())
    }
}
