//! Rewrites of a forward graph, before its gradients are added: ops that have a common form become one,
//! and the order that `flatten` defines moves into the weights behind it.

use crate::ir::graph::{Graph, Layout, Tensor, View};
use crate::ir::op::Op;
use crate::ops::conv::conv2d::Conv2d;
use crate::ops::conv::conv2d_dx::Conv2dDx;
use crate::ops::conv::conv2d_grouped::Conv2dGrouped;
use crate::ops::conv::conv2d_relu_pool::Conv2dReluPool;
use crate::ops::conv::conv2d_relu_pool_dx::Conv2dReluPoolDx;
use crate::ops::matmul::matmul_nn::MatmulNn;
use crate::ops::matmul::matmul_nt::MatmulNt;
use crate::ops::pointwise::add_bias::AddBias;
use crate::ops::pointwise::relu::Relu;
use crate::ops::pointwise::relu_dx::ReluDx;
use crate::ops::pool::max_pool2d::MaxPool2d;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::transpose::Transpose;
use std::any::Any;
use std::sync::Arc;

/// Applies every rewrite that fits. `kept` are tensors that are wanted for themselves.
pub fn fuse(graph: &mut Graph, kept: &[Tensor]) {
    fold_flatten(graph, kept);
    join_neighbours(graph, kept);
}

/// One op that does the work of two neighbours, where they fit together.
type Join = fn(&dyn Any, &dyn Any) -> Option<Arc<dyn Op>>;

/// Two neighbours that have a common form.
pub struct Pattern {
    /// What it matches, for listings and tests.
    pub name: &'static str,
    /// The op that does what the first and then the second would, where the two match. Its arguments are those of the
    /// first and then those of the second without the first's result; its results are those of the second.
    pub join: Join,
}

/// Every pattern. An epilogue that an op gains (another activation, say) is a line here.
///
/// Batch_norm is in none: its statistics folded into a convolution's weights would round otherwise, and other numbers
/// would come out.
pub const PATTERNS: &[Pattern] = &[
    Pattern {
        name: "dense + relu",
        join: |first, next| {
            let MatmulNt { relu: false } = first.downcast_ref()? else { return None };
            next.is::<Relu>().then(|| op(MatmulNt { relu: true }))
        },
    },
    Pattern {
        name: "conv2d + relu",
        join: |first, next| {
            let conv = first.downcast_ref::<Conv2d>().filter(|op| !op.relu)?;
            next.is::<Relu>().then(|| op(Conv2d { relu: true, ..*conv }))
        },
    },
    Pattern {
        name: "conv2d + relu + max_pool2d of 2 × 2",
        join: |first, next| {
            let conv = first.downcast_ref::<Conv2d>().filter(|op| op.relu)?;
            let pool = next.downcast_ref::<MaxPool2d>()?;
            (pool.size == [2, 2] && pool.stride == [2, 2]).then(|| op(Conv2dReluPool { conv: *conv }))
        },
    },
    Pattern {
        name: "conv2d_grouped + relu",
        join: |first, next| {
            let conv = first.downcast_ref::<Conv2dGrouped>().filter(|op| !op.relu)?;
            next.is::<Relu>().then(|| op(Conv2dGrouped { relu: true, ..*conv }))
        },
    },
    Pattern {
        name: "add_bias + relu",
        join: |first, next| {
            let AddBias { relu: false } = first.downcast_ref()? else { return None };
            next.is::<Relu>().then(|| op(AddBias { relu: true }))
        },
    },
    Pattern {
        name: "matmul_nn + relu_dx",
        join: |first, next| {
            let MatmulNn { masked: false } = first.downcast_ref()? else { return None };
            next.is::<ReluDx>().then(|| op(MatmulNn { masked: true }))
        },
    },
    Pattern {
        name: "conv2d_dx + relu_dx",
        join: |first, next| {
            let dx = first.downcast_ref::<Conv2dDx>().filter(|op| !op.masked)?;
            next.is::<ReluDx>().then(|| op(Conv2dDx { masked: true, ..*dx }))
        },
    },
    Pattern {
        name: "conv2d_relu_pool_dx + relu_dx",
        join: |first, next| {
            let dx = first.downcast_ref::<Conv2dReluPoolDx>().filter(|op| !op.masked)?;
            next.is::<ReluDx>().then(|| op(Conv2dReluPoolDx { masked: true, ..*dx }))
        },
    },
];

fn op(op: impl Op) -> Arc<dyn Op> {
    Arc::new(op)
}

/// Joins an op with the only consumer of its only result by the patterns, again and again.
pub fn join_neighbours(graph: &mut Graph, kept: &[Tensor]) {
    // The joined op takes the arguments of both, those of the second without the result of the first.
    let mut n = 0;
    while n < graph.nodes.len() {
        match next_to_join(graph, n, kept) {
            Some((next, op)) => {
                let joined = graph.nodes.remove(next);
                graph.nodes[n].x.extend(&joined.x[1..]);
                (graph.nodes[n].op, graph.nodes[n].y) = (op, joined.y);
            }
            None => n += 1,
        }
    }
}

fn next_to_join(graph: &Graph, n: usize, kept: &[Tensor]) -> Option<(usize, Arc<dyn Op>)> {
    let [y] = graph.nodes[n].y[..] else { return None };
    let [next] = graph.consumers()[y.index()][..] else { return None };
    // What else the consumer reads must be there already: no op between the two makes it.
    let between = &graph.nodes[n..next];
    let there = |t: &Tensor| !between.iter().any(|node| node.y.contains(t));
    let [first, others @ ..] = &graph.nodes[next].x[..] else { return None };
    let fits = *first == y && others.iter().all(there) && !kept.contains(&y);
    let (this, that): (&dyn Any, &dyn Any) = (&*graph.nodes[n].op, &*graph.nodes[next].op);
    let op = fits.then(|| PATTERNS.iter().find_map(|pattern| (pattern.join)(this, that)))??;
    Some((next, op))
}

/// Where all that follows a flatten is dense layers, with element-wise ops between, the flatten becomes a
/// view and the layers' weights are stored with their inputs in H, W, C order.
fn fold_flatten(graph: &mut Graph, kept: &[Tensor]) {
    for n in 0..graph.nodes.len() {
        let op: &dyn Any = &*graph.nodes[n].op;
        let Some(Transpose { rows, columns, shape, .. }) = op.downcast_ref::<Transpose>().cloned() else { continue };
        let (x, y) = (graph.nodes[n].x[0], graph.nodes[n].y[0]);
        let mut weights = Vec::new();
        if !only_dense_behind(graph, y, kept, &mut weights) {
            continue;
        }
        for &w in &weights {
            let Some(param) = graph.params.iter_mut().find(|p| p.tensor == w) else { continue };
            let units = param.file_shape.0[0];
            param.layout = Layout { file_shape: vec![units, columns, rows], perm: vec![0, 2, 1] };
        }
        graph.nodes[n].op = Arc::new(Reshape { shape });
        graph.tensors[y.index()].view = Some(View { of: x, offset: 0 });
    }
}

/// Whether every path from `t` ends, over element-wise ops, as the input of a dense layer whose weights
/// are a parameter that nothing else reads and that is stored as its file is; collects those weights.
fn only_dense_behind(graph: &Graph, t: Tensor, kept: &[Tensor], weights: &mut Vec<Tensor>) -> bool {
    let consumers = graph.consumers();
    !kept.contains(&t)
        && consumers[t.index()].iter().all(|&n| {
            let node = &graph.nodes[n];
            if node.op.is_elementwise() {
                return only_dense_behind(graph, node.y[0], kept, weights);
            }
            let op: &dyn Any = &*node.op;
            let own = |w: Tensor| {
                let param = graph.params.iter().find(|p| p.tensor == w);
                param.is_some_and(|p| p.layout.perm.is_sorted()) && consumers[w.index()].len() == 1
            };
            let fits = op.is::<MatmulNt>() && node.x[0] == t && own(node.x[1]);
            if fits {
                weights.push(node.x[1]);
            }
            fits
        })
}
