//! Rewrites of a forward graph, before its gradients are added: ops that have a common form become one,
//! and the order that `flatten` defines moves into the weights after it.

use crate::ir::graph::{Graph, Layout, Tensor, View};
use crate::ir::op::Op;
use crate::ops::conv::conv2d::Conv2d;
use crate::ops::conv::conv2d_dx::Conv2dDx;
use crate::ops::conv::conv2d_grouped::Conv2dGrouped;
use crate::ops::conv::conv2d_relu_pool::{Conv2dReluPool, POOL};
use crate::ops::conv::conv2d_relu_pool_dx::Conv2dReluPoolDx;
use crate::ops::matmul::matmul_nn::MatmulNn;
use crate::ops::matmul::matmul_nt::MatmulNt;
use crate::ops::norm::batch_norm::BatchNorm;
use crate::ops::pointwise::add_bias::AddBias;
use crate::ops::pointwise::relu_dx::ReluDx;
use crate::ops::pointwise::then::Then;
use crate::ops::pool::max_pool2d::MaxPool2d;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::transpose::Transpose;
use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

/// When a graph is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Gradients are still to be added: an activation joins the op before it only where its gradient can be computed from
    /// its result, since what is between the two is not kept. The others (gelu, silu …) stay ops of their own.
    Forward,
    /// All ops are there: what no gradient reads need not be kept either.
    Whole,
}

/// Applies every rewrite that fits. `kept` are tensors that are wanted for themselves.
pub fn fuse(graph: &mut Graph, kept: &[Tensor], stage: Stage) {
    fold_flatten(graph, kept);
    join_neighbours(graph, kept, stage);
}

/// One op that does the work of two neighbours, where they fit together.
type Join = fn(&dyn Any, &dyn Any, Stage) -> Option<Arc<dyn Op>>;

/// Two neighbours that have a common form.
pub struct Pattern {
    /// The pattern that it matches, for listings and tests.
    pub name: &'static str,
    /// The op that does what the first and then the second would, where the two match. Its arguments are those of the
    /// first and then those of the second without the first's result; its results are those of the second and then those
    /// of the first without the one that the second reads, which is the first's first.
    pub join: Join,
}

/// Every pattern. What an op can end with is a line here; every activation is one.
///
/// A batch_norm by given statistics is computed after the convolution's sums by the formula that it has as an op of its own.
/// Folded into the weights it would round otherwise, and other numbers would come out. By the batch's statistics it needs
/// all sums first.
pub const PATTERNS: &[Pattern] = &[
    Pattern {
        name: "dense + activation",
        join: |first, next, stage| {
            let MatmulNt { then: Then::Nothing } = first.downcast_ref()? else { return None };
            Some(op(MatmulNt { then: activation(next, stage)? }))
        },
    },
    Pattern {
        name: "conv2d + activation",
        join: |first, next, stage| {
            let conv = first.downcast_ref::<Conv2d>().filter(|op| op.then == Then::Nothing)?;
            Some(op(Conv2d { then: activation(next, stage)?, ..*conv }))
        },
    },
    Pattern {
        name: "conv2d + batch_norm by given statistics",
        join: |first, next, stage| {
            let conv = first.downcast_ref::<Conv2d>().filter(|op| **op == op.plain() && stage == Stage::Whole)?;
            let norm = next.downcast_ref::<BatchNorm>().filter(|norm| !norm.training)?;
            Some(op(Conv2d { norm: Some(norm.epsilon), then: norm.then, ..*conv }))
        },
    },
    Pattern {
        name: "batch_norm + activation",
        join: |first, next, stage| {
            let norm = first.downcast_ref::<BatchNorm>().filter(|op| op.then == Then::Nothing)?;
            Some(op(BatchNorm { then: activation(next, stage)?, ..*norm }))
        },
    },
    Pattern {
        name: "conv2d + relu + max_pool2d of 2 × 2",
        join: |first, next, _| {
            let conv = first.downcast_ref::<Conv2d>().filter(|op| **op == Conv2d { then: Then::Relu, ..op.plain() })?;
            let pool = next.downcast_ref::<MaxPool2d>()?;
            (*pool == POOL).then(|| op(Conv2dReluPool { conv: *conv }))
        },
    },
    Pattern {
        name: "conv2d_grouped + activation",
        join: |first, next, stage| {
            let conv = first.downcast_ref::<Conv2dGrouped>().filter(|op| op.then == Then::Nothing)?;
            Some(op(Conv2dGrouped { then: activation(next, stage)?, ..*conv }))
        },
    },
    Pattern {
        name: "add_bias + activation",
        join: |first, next, stage| {
            let AddBias { then: Then::Nothing } = first.downcast_ref()? else { return None };
            Some(op(AddBias { then: activation(next, stage)? }))
        },
    },
    Pattern {
        name: "matmul_nn + relu_dx",
        join: |first, next, _| {
            let MatmulNn { masked: false } = first.downcast_ref()? else { return None };
            next.is::<ReluDx>().then(|| op(MatmulNn { masked: true }))
        },
    },
    Pattern {
        name: "conv2d_dx + relu_dx",
        join: |first, next, _| {
            let dx = first.downcast_ref::<Conv2dDx>().filter(|op| !op.masked)?;
            next.is::<ReluDx>().then(|| op(Conv2dDx { masked: true, ..*dx }))
        },
    },
    Pattern {
        name: "conv2d_relu_pool_dx + relu_dx",
        join: |first, next, _| {
            let dx = first.downcast_ref::<Conv2dReluPoolDx>().filter(|op| !op.masked)?;
            next.is::<ReluDx>().then(|| op(Conv2dReluPoolDx { masked: true, ..*dx }))
        },
    },
];

fn op(op: impl Op) -> Arc<dyn Op> {
    Arc::new(op)
}

/// The activation that an op is, where it may join the one before it.
fn activation(op: &dyn Any, stage: Stage) -> Option<Then> {
    Then::of(op).filter(|then| stage == Stage::Whole || then.by_result())
}

/// Joins an op with the only consumer of its first result by the patterns, again and again. It looks at each op once and at
/// each join, however many ops there are.
pub fn join_neighbours(graph: &mut Graph, kept: &[Tensor], stage: Stage) {
    let mut neighbours = Neighbours::of(graph);
    for n in 0..graph.nodes.len() {
        while let Some((next, op)) = neighbours.next_to_join(graph, n, kept, stage) {
            // The joined op takes the arguments of both, those of the second without the result of the first.
            let joined = std::mem::take(&mut graph.nodes[next].x);
            let results = std::mem::take(&mut graph.nodes[next].y);
            neighbours.moves([next, n], &joined[1..], &results);
            graph.nodes[n].x.extend(&joined[1..]);
            graph.nodes[n].y.splice(..1, results);
            graph.nodes[n].op = op;
        }
    }
    let mut gone = neighbours.gone.into_iter();
    graph.nodes.retain(|_| gone.next() != Some(true));
}

/// Who reads and who makes each tensor, while ops are joined. Places are those before the first join.
struct Neighbours {
    readers: Vec<Vec<usize>>,
    makers: Vec<Vec<usize>>,
    gone: Vec<bool>,
}

impl Neighbours {
    fn of(graph: &Graph) -> Neighbours {
        // Several, where one makes it and others update it in place.
        let mut makers = vec![Vec::new(); graph.tensors.len()];
        for (n, node) in graph.nodes.iter().enumerate() {
            node.y.iter().for_each(|y| makers[y.index()].push(n));
        }
        Neighbours { readers: graph.consumers(), makers, gone: vec![false; graph.nodes.len()] }
    }

    /// The op at the first place becomes a part of that at the second.
    fn moves(&mut self, [from, to]: [usize; 2], arguments: &[Tensor], results: &[Tensor]) {
        let move_to = |places: &mut Vec<usize>| places.iter_mut().filter(|n| **n == from).for_each(|n| *n = to);
        arguments.iter().for_each(|t| move_to(&mut self.readers[t.index()]));
        results.iter().for_each(|t| move_to(&mut self.makers[t.index()]));
        self.gone[from] = true;
    }

    fn next_to_join(&self, graph: &Graph, n: usize, kept: &[Tensor], stage: Stage) -> Option<(usize, Arc<dyn Op>)> {
        let &y = graph.nodes[n].y.first()?;
        let [next] = self.readers[y.index()][..] else { return None };
        // What else the consumer reads must be there already: no op between the two makes it.
        let there = |t: &Tensor| !self.makers[t.index()].iter().any(|maker| (n..next).contains(maker));
        let [first, others @ ..] = &graph.nodes[next].x[..] else { return None };
        let fits = *first == y && others.iter().all(there) && !kept.contains(&y);
        let (this, that): (&dyn Any, &dyn Any) = (&*graph.nodes[n].op, &*graph.nodes[next].op);
        let op = fits.then(|| PATTERNS.iter().find_map(|pattern| (pattern.join)(this, that, stage)))??;
        Some((next, op))
    }
}

/// Where all that follows a flatten is dense layers, with element-wise ops between, the flatten becomes a
/// view and the layers' weights are stored with their inputs in H, W, C order.
fn fold_flatten(graph: &mut Graph, kept: &[Tensor]) {
    // Views and layouts alone are changed.
    let consumers = graph.consumers();
    for n in 0..graph.nodes.len() {
        let op: &dyn Any = &*graph.nodes[n].op;
        let Some(Transpose { rows, columns, shape, .. }) = op.downcast_ref::<Transpose>().cloned() else { continue };
        // Of a sequence whose places and features are swapped a dense layer reads the last axis alone.
        if shape.0.len() != 2 {
            continue;
        }
        let (x, y) = (graph.nodes[n].x[0], graph.nodes[n].y[0]);
        let Some(weights) = only_dense_after(graph, &consumers, y, kept) else { continue };
        for &w in &weights {
            let Some(param) = graph.params.iter_mut().find(|p| p.tensor == w) else { continue };
            let units = param.file_shape.0[0];
            param.layout = Layout { file_shape: vec![units, columns, rows], perm: vec![0, 2, 1] };
        }
        graph.nodes[n].op = Arc::new(Reshape { shape });
        graph.tensors[y.index()].view = Some(View { of: x, offset: 0 });
    }
}

/// The weights of the dense layers in which every path from `t` ends, over element-wise ops; `None` if one ends elsewhere,
/// or if a weight is not a parameter that nothing else reads and that is stored as its file is.
fn only_dense_after(graph: &Graph, consumers: &[Vec<usize>], t: Tensor, kept: &[Tensor]) -> Option<Vec<Tensor>> {
    let own = |w: Tensor| {
        let param = graph.params.iter().find(|p| p.tensor == w);
        param.is_some_and(|p| p.layout.perm.is_sorted()) && consumers[w.index()].len() == 1
    };
    // A list and no recursion: a net may have thousands of such ops in a row, and paths that part and meet again.
    let (mut weights, mut open, mut seen) = (Vec::new(), vec![t], BTreeSet::from([t]));
    while let Some(t) = open.pop() {
        if kept.contains(&t) {
            return None;
        }
        for node in consumers[t.index()].iter().map(|&n| &graph.nodes[n]) {
            if node.op.is_elementwise() {
                open.extend(seen.insert(node.y[0]).then_some(node.y[0]));
                continue;
            }
            let op: &dyn Any = &*node.op;
            if !(op.is::<MatmulNt>() && node.x[0] == t && own(node.x[1])) {
                return None;
            }
            weights.push(node.x[1]);
        }
    }
    Some(weights)
}
