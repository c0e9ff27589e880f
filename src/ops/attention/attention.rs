//! Scaled dot-product attention.

use crate::ir::values::Values;
use crate::ops::attention::attention_dx::AttentionDx;
use crate::ops::attention::heads::{BLOCK, Sizes};
use crate::ops::attention::rows::{Head, add, place};
use crate::ops::exponential::fast_exp;
use crate::ops::prelude::*;
use crate::ops::sequence::bounds::bounds;
use crate::ops::sequence::lengths;
use crate::sys::{Gemm, gemm};
use pulp::{Arch, Simd, WithSimd};

kernels! {
    ATTENTION_TILE = "attention/attention_tile",
    ATTENTION_LANES = "attention/attention_lanes",
}

/// `y[i] = Σ_j p[i, j]·v[j]` with `p[i, ·]` the softmax of `q[i]·k[j] / √D` over the keys j that query i sees (Vaswani and others,
/// 2017); zeros where it sees none. H heads of queries have D numbers each, and so have K heads of keys and of values, of which each
/// serves H / K heads of queries (Ainslie and others, 2023).
///
/// The arguments, in this order:
/// 1. queries, keys and values [B, T, (H + 2·K)·D], as one product makes them; or with `memory` the queries [B, Tq, H·D] and
///    the keys and values [B, Tk, 2·K·D];
/// 2. with `lengths`: how many keys of each row are valid, as words `[B]`; with dropout there are as many, and after them the key of
///    its random numbers, as [`Limits`](crate::ops::attention::limits::Limits) gives them.
///
/// The results are y [B, Tq, H·D] and lse [B, H, Tq], the logarithm of each softmax's denominator, which the way back needs; 0
/// where a query sees no key. No matrix of queries and keys is kept (Dao and others, 2022).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// H, the heads of queries.
    pub heads: usize,
    /// H / K, the heads of queries that share one of keys and values.
    pub sharing: usize,
    /// Whether a query sees no key after its own place.
    pub causal: bool,
    /// Whether keys and values are of another sequence.
    pub memory: bool,
    /// Whether rows have lengths.
    pub lengths: bool,
    /// The share of weights p[i, j] that becomes zero, at least 0 and below 1; the others are divided by the rest (Srivastava and
    /// others, 2014). Nothing is stored for the gradient: the random numbers are drawn again.
    pub dropout: f32,
}

impl Attention {
    /// Attention of a sequence to itself.
    pub fn new(heads: usize, causal: bool) -> Self {
        Attention { heads, sharing: 1, causal, memory: false, lengths: false, dropout: 0.0 }
    }

    /// Writes y and lse, which `head` computes for a head of a row.
    fn heads<'a, F: Real>(
        &self,
        x: &[In<'a, F>],
        y: &mut [Out<F>],
        head: impl Fn(Head<'a, F>) -> (Vec<F>, Vec<F>) + Sync,
    ) {
        let given = checked(self.given(x));
        let s = checked(self.sizes(given.0.shape, given.1.shape));
        let [y, lse] = results(y);
        let of = |n: usize| head(Head::new(self, s, given, n / self.heads, n % self.heads));
        let parts: Vec<(Vec<F>, Vec<F>)> = (0..s.batch * self.heads).into_par_iter().map(of).collect();
        let found = |b: usize, h: usize| &parts[b * self.heads + h].0[..];
        place(y.floats(), (s.queries, s.size), [self.heads, 0, self.heads], found);
        lse.floats().chunks_mut(s.queries).zip(&parts).for_each(|(lse, (_, part))| lse.copy_from_slice(part));
    }
}

/// Takes exponentials of a row's scores, compiled for the wide vectors.
struct Exponentials<'a> {
    scores: &'a mut [f32],
    scale: f32,
    /// What is subtracted from a scaled score.
    from: f32,
}

impl WithSimd for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for score in self.scores {
            *score = fast_exp((*score * self.scale - self.from).min(0.0));
        }
    }
}

/// Scores of the queries of a block, rows of `keys` each, as products of their vectors.
pub(super) fn scores(head: &Head<f32>, [first, rows, keys]: [usize; 3], scores: &mut [f32]) {
    let sizes = [rows, keys, head.sizes.size];
    gemm(Gemm::serial(sizes), scores, (head.q.from(first), [head.q.stride, 1]), (head.k.data, [1, head.k.stride]));
}

/// `exp(scale·score - from)` of a row's scores, which is at most 1.
pub(super) fn exponentials(arch: Arch, scores: &mut [f32], scale: f64, from: f32) {
    arch.dispatch(Exponentials { scores, scale: scale as f32, from });
}

impl Reference for Attention {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.heads(x, y, |head| {
            let Sizes { queries, size, .. } = head.sizes;
            let (mut y, mut lse) = (vec![F::of(0.0); queries * size], vec![F::of(0.0); queries]);
            for (i, (y, lse)) in y.chunks_mut(size).zip(&mut lse).enumerate() {
                let scores: Vec<F> = (0..head.seen(i)).map(|j| head.score(i, j)).collect();
                let Some(most) = scores.iter().copied().reduce(|a, b| if b > a { b } else { a }) else { continue };
                let weights: Vec<F> = scores.iter().map(|score| (*score - most).exp()).collect();
                let sum = weights.iter().fold(F::of(0.0), |sum, weight| sum + *weight);
                weights
                    .iter()
                    .enumerate()
                    .for_each(|(j, weight)| add(y, *weight / sum * head.kept(i, j), head.v.at(j)));
                *lse = most + sum.ln();
            }
            (y, lse)
        });
    }
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (q, kv, valid) = self.given(x)?;
        let s = self.sizes(&q.shape.0, &kv.shape.0)?;
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(format!("a dropout of {} where 0 to below 1 is expected", self.dropout));
        }
        lengths::check(valid, s.batch + usize::from(self.dropout > 0.0))?;
        let y = TensorInfo::floats("attention", [s.batch, s.queries, self.heads * s.size]);
        Ok(vec![y, TensorInfo::floats("lse", [s.batch, self.heads, s.queries])])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let mut grads = vec![None; at.x.len()];
        if let Some(dy) = at.dy[0] {
            let y = graph.apply(AttentionDx { forward: *self }, &[&[dy, at.y[0], at.y[1]], at.x].concat())?;
            grads.iter_mut().zip(y).for_each(|(grad, dx)| *grad = Some(dx));
        }
        Ok(grads)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let given = self.given(cx.x).map_err(Error::failed)?;
        let s = self.sizes(&cx.shape(given.0), &cx.shape(given.1)).map_err(Error::failed)?;
        let (launch, places) = self.launch(cx, [ATTENTION_TILE, ATTENTION_LANES], s, given)?;
        let launch = launch.bind("y", cx.y[0]).bind("lse", cx.y[1]);
        cx.groups(launch, s.batch * self.heads * s.queries.div_ceil(places))
    }

    /// The bounds are in `magnitude`.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 4.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        bounds(self, x, y);
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        let Ok((q, kv, _)) = self.given(x) else { return 0 };
        self.sizes(&q.shape.0, &kv.shape.0).map_or(0, |s| s.products(self, 2))
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let arch = Arch::new();
        self.heads(x, y, |head| {
            let Sizes { queries, size, .. } = head.sizes;
            let scale = head.sizes.scale();
            let (mut y, mut lse) = (vec![0.0; queries * size], vec![0.0; queries]);
            let mut weights = Vec::new();
            for (block, (y, lse)) in y.chunks_mut(BLOCK * size).zip(lse.chunks_mut(BLOCK)).enumerate() {
                let (first, rows) = (block * BLOCK, lse.len());
                let keys = head.seen(first + rows - 1);
                if keys == 0 {
                    continue;
                }
                weights.resize(rows * keys, 0.0);
                scores(&head, [first, rows, keys], &mut weights);
                for ((i, weights), lse) in weights.chunks_mut(keys).enumerate().zip(lse.iter_mut()) {
                    let (seen, hidden) = weights.split_at_mut(head.seen(first + i));
                    let most = scale as f32 * seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    exponentials(arch, seen, scale, most);
                    hidden.fill(0.0);
                    let sum = sums::total(seen.iter().copied());
                    seen.iter_mut().for_each(|weight| *weight /= sum);
                    head.keep(first + i, |j, kept| seen[j] *= kept);
                    *lse = most + sum.ln();
                }
                gemm(Gemm::serial([rows, size, keys]), y, (&weights, [keys, 1]), (head.v.data, [head.v.stride, 1]));
            }
            (y, lse)
        });
    }
}

/// Every way to attend, at sizes B, Tq, Tk, H and D: one of each; odd sizes; more queries than a workgroup owns and more keys than it
/// loads at once; heads that share keys; another sequence's keys; rows of all, no, one and more keys than there are.
pub(super) fn ways() -> impl Iterator<Item = (Attention, [usize; 4])> {
    let ways = [
        (1, 1, false, false, false, [1, 1, 1, 1]),
        (2, 1, true, false, false, [2, 5, 5, 3]),
        (3, 1, true, false, true, [6, 7, 7, 4]),
        (2, 1, true, false, false, [1, 131, 131, 16]),
        (4, 2, false, false, true, [3, 6, 6, 8]),
        (6, 3, true, false, false, [1, 67, 67, 5]),
        (2, 1, false, true, true, [6, 3, 11, 6]),
        (4, 4, false, true, false, [2, 9, 37, 32]),
        (1, 1, true, false, false, [1, 9, 9, 128]),
        (4, 2, true, true, true, [6, 13, 70, 32]),
    ];
    let plain = ways.into_iter().map(|(heads, sharing, causal, memory, lengths, sizes)| {
        (Attention { heads, sharing, causal, memory, lengths, dropout: 0.0 }, sizes)
    });
    // With dropout, in both forms; with shared keys of another sequence.
    let dropped =
        [(2, 1, true, false, [2, 70, 70, 32]), (4, 2, false, true, [3, 7, 37, 5]), (1, 1, false, false, [2, 9, 9, 64])];
    plain.chain(dropped.into_iter().map(|(heads, sharing, causal, memory, sizes)| {
        (Attention { heads, sharing, causal, memory, lengths: true, dropout: 0.3 }, sizes)
    }))
}

/// The arguments of a way, with values times `factor`.
pub(super) fn argue(case: Case, op: &Attention, [batch, queries, keys, size]: [usize; 4], factor: f32) -> Case {
    let ([own, other], _) = op.widths();
    let first = case.x.len();
    let mut case = case.random([batch, queries, own * size]);
    if op.memory {
        case = case.random([batch, keys, other * size]);
    }
    for (_, values) in &mut case.x[first..] {
        if let Values::Float(values) = values {
            values.iter_mut().for_each(|value| *value *= factor);
        }
    }
    match (op.lengths, op.dropout > 0.0) {
        (false, _) => case,
        (true, false) => lengths::with_lengths(case, batch, keys),
        // All keys, and the key of the random numbers.
        (true, true) => case.words([batch + 1], [vec![keys as u32; batch], vec![0x9e37_79b9]].concat()),
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |(op, sizes): (Attention, _)| argue(Case::new(op), &op, sizes, 1.0);
    // Scores of some thousands: no exponential overflows.
    let large = argue(Case::new(Attention::new(2, true)), &Attention::new(2, true), [1, 9, 9, 4], 100.0);
    ways().map(of).chain([large]).collect()
}
