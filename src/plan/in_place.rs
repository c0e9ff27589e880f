//! Sums in place: an addition whose one side nothing reads any more is done in that side's memory, so that a gradient
//! with several sources takes no third tensor. The order of the additions, and so every bit, stays.

use crate::ir::graph::{Graph, Role, Tensor, View};
use crate::ops::pointwise::add::Add;
use crate::ops::pointwise::add_to::AddTo;
use std::any::Any;
use std::sync::Arc;

/// Does every sum in place that can be. Results within the step that were read by a sum hold other values afterwards: this
/// is for plans that share memory anyway.
pub(in crate::plan) fn sum_in_place(graph: &mut Graph) {
    // The nodes that read or write the memory of each tensor that owns its memory.
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); graph.tensors.len()];
    for (n, node) in graph.nodes.iter().enumerate() {
        node.x.iter().chain(&node.y).for_each(|&t| users[graph.root(t).0.index()].push(n));
    }
    for n in 0..graph.nodes.len() {
        let op: &dyn Any = &*graph.nodes[n].op;
        let (&[a, b], &[y]) = (&graph.nodes[n].x[..], &graph.nodes[n].y[..]) else { continue };
        let own = graph.info(y).view.is_none() && graph.info(y).role == Role::Activation;
        if !op.is::<Add>() || !own || graph.root(a).0 == graph.root(b).0 {
            continue;
        }
        let Some((kept, other)) = [(a, b), (b, a)].into_iter().find(|&(t, _)| dies(graph, &users, t, n)) else {
            continue;
        };
        // What uses the sum uses that memory from now on.
        let later = std::mem::take(&mut users[y.index()]);
        users[graph.root(kept).0.index()].extend(later);
        graph.tensors[y.index()].view = Some(View { of: kept, offset: 0 });
        let node = &mut graph.nodes[n];
        (node.op, node.x, node.y) = (Arc::new(AddTo), vec![other], vec![y]);
    }
}

/// Whether `t` is a result of this step, of one whole memory, that no node after `n` uses.
fn dies(graph: &Graph, users: &[Vec<usize>], t: Tensor, n: usize) -> bool {
    let (owner, _) = graph.root(t);
    let info = graph.info(owner);
    let users = &users[owner.index()];
    let made = users.iter().min().is_some_and(|&first| graph.nodes[first].y.iter().any(|&y| graph.root(y).0 == owner));
    let whole = info.elements() == graph.info(t).elements();
    info.role == Role::Activation && made && whole && users.iter().all(|&user| user <= n)
}
