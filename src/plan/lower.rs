//! The lowering: from a graph to the dispatches and buffers of a plan.

use crate::error::{Error, Result};
use crate::ir::graph::{DType, Graph, Phase, Role, Tensor, TensorInfo, root};
use crate::plan::kernel::{Kernel, Source, Space, TEXELS};
use crate::plan::{Buffer, Dispatch, KernelClass, KernelId, Limits, Place, Plan};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How to lower.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The class of adapter.
    pub class: KernelClass,
    /// What the adapter allows.
    pub limits: Limits,
    /// Whether results may share memory when their lifetimes allow; off where all are to be read back.
    pub reuse: bool,
}

/// What an op's `lower` works with.
pub struct Lower<'a> {
    /// The class of adapter.
    pub class: KernelClass,
    /// The op's arguments.
    pub x: &'a [Tensor],
    /// The op's results.
    pub y: &'a [Tensor],
    tensors: &'a mut Vec<TensorInfo>,
    dispatches: &'a mut Vec<Dispatch>,
    kernels: &'a mut BTreeMap<KernelId, Arc<Kernel>>,
    derived: &'a mut BTreeMap<(Tensor, &'static str), Tensor>,
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

    /// The tensor that owns the memory of `t`, and the element of it where `t` begins.
    pub fn root(&self, t: Tensor) -> (Tensor, usize) {
        root(self.tensors, t)
    }

    /// A float tensor for this op alone, of `elements` elements.
    pub fn scratch(&mut self, elements: usize) -> Tensor {
        self.tensors.push(TensorInfo::floats("scratch", [elements]));
        Tensor((self.tensors.len() - 1) as u32)
    }

    /// What `make` derives from `t`, such as a copy in a texture: made by the first op that asks for it under this
    /// name, and shared by those behind it until `t` is updated.
    pub fn derived(
        &mut self,
        t: Tensor,
        name: &'static str,
        make: impl FnOnce(&mut Self) -> Result<Tensor>,
    ) -> Result<Tensor> {
        if let Some(&made) = self.derived.get(&(t, name)) {
            return Ok(made);
        }
        let made = make(self)?;
        self.derived.insert((t, name), made);
        Ok(made)
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
        let Launch { id, kernel, constants, mut bindings } = launch.size("texels", TEXELS);
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
    let (mut dispatches, mut kernels, mut derived) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for (n, node) in graph.nodes.iter().enumerate() {
        node.op.lower(&mut Lower {
            class: target.class,
            x: &node.x,
            y: &node.y,
            tensors: &mut tensors,
            dispatches: &mut dispatches,
            kernels: &mut kernels,
            derived: &mut derived,
            limits: target.limits,
            node: n,
            phase: node.phase,
        })?;
        let updated = |t: Tensor| node.y.iter().any(|&y| root(&tensors, y).0 == root(&tensors, t).0);
        derived.retain(|&(t, _), _| !updated(t));
    }
    let (buffers, places) = allocate(&tensors, &dispatches, &kernels, target.reuse)?;
    let plan = Plan { class: target.class, tensors, dispatches, buffers, places, kernels };
    plan.check(target.limits)?;
    Ok(plan)
}

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
/// lifetime, everything else has a buffer of its own.
fn allocate(
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
