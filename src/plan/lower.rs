//! The lowering: from a graph to the dispatches and buffers of a plan.

use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Phase, Tensor, root};
use crate::ir::launch::{Count, Derived, KernelClass, Launch, Lower};
use crate::plan::allocate::allocate;
use crate::plan::in_place::sum_in_place;
use crate::plan::kernel::{Kernel, TEXELS};
use crate::plan::{Dispatch, KernelId, Limits, Plan};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How to lower.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The class of adapter.
    pub class: KernelClass,
    /// The limits of the adapter.
    pub limits: Limits,
    /// Whether results may share memory when their lifetimes allow; off where all are to be read back.
    pub reuse: bool,
}

/// Lowers a graph for a class of adapter.
pub fn lower(graph: &Graph, target: Target) -> Result<Plan> {
    let mut graph = graph.clone();
    if target.reuse {
        sum_in_place(&mut graph);
    }
    let mut tensors = graph.tensors.clone();
    let (mut dispatches, mut kernels, mut derived) = (Vec::new(), BTreeMap::new(), Derived::new());
    for (n, node) in graph.nodes.iter().enumerate() {
        let mut cx = Lower::new(target.class, node, &mut tensors, &mut derived);
        node.op.lower(&mut cx)?;
        for launch in cx.into_launches() {
            dispatches.push(dispatch(launch, (n, node.phase), target.limits, &mut kernels)?);
        }
        let updated = |t: Tensor| node.y.iter().any(|&y| root(&tensors, y).0 == root(&tensors, t).0);
        derived.retain(|&(t, _), _| !updated(t));
    }
    let (buffers, places) = allocate(&tensors, &dispatches, &kernels, target.reuse)?;
    let plan = Plan { class: target.class, tensors, dispatches, buffers, places, kernels };
    plan.check(target.limits)?;
    Ok(plan)
}

/// A launch checked against its kernel's declarations: constants and bindings by name, workgroups within the limits.
fn dispatch(
    launch: Launch,
    (node, phase): (usize, Phase),
    limits: Limits,
    kernels: &mut BTreeMap<KernelId, Arc<Kernel>>,
) -> Result<Dispatch> {
    let Launch { source, params, mut constants, mut bindings, count } = launch.size("texels", TEXELS);
    let id = KernelId { name: source.name, params };
    if !kernels.contains_key(&id) {
        kernels.insert(id.clone(), Arc::new(source.reflect(&id.params)?));
    }
    let kernel = &kernels[&id];
    let fault = |why: String| Error::failed(format!("kernel {id}: {why}"));
    let count = match count {
        Count::Invocations(count) => count.div_ceil(kernel.workgroup as usize),
        Count::Groups(count) => count,
    };
    let most = limits.groups as usize;
    let x = count.clamp(1, most);
    let y = count.max(1).div_ceil(x);
    if y > most {
        return Err(Error::input(format!("kernel {id}: {count} workgroups, more than {most} × {most}")));
    }
    constants.retain(|name, _| kernel.overrides.contains_key(name));
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
    Ok(Dispatch { kernel: id, constants, bindings: ordered, groups: [x as u32, y as u32], node, phase })
}
