//! How well queries and keys fit by a small net: the scores of an additive attention.

use crate::ops::prelude::*;
use crate::ops::sequence::additive_scores_dx::AdditiveScoresDx;

kernels! {
    ADDITIVE_SCORES = "sequence/additive_scores",
}

/// `y[b, i, j] = Σ_a v[a]·tanh(q[b, i, a] + k[b, j, a])` (Bahdanau, Cho and Bengio, 2014). The arguments are q [B, Tq, A],
/// k [B, Tk, A] and v of A elements; the result is [B, Tq, Tk].
#[derive(Clone, Copy, Debug)]
pub struct AdditiveScores;

/// B, Tq, Tk and A.
pub(super) fn sizes(q: &[usize], k: &[usize], v: usize) -> Result<[usize; 4], String> {
    match (q, k) {
        (&[batch, queries, channels], &[other, keys, width])
            if batch == other && channels == width && channels == v && batch * queries * keys * channels > 0 =>
        {
            Ok([batch, queries, keys, channels])
        }
        _ => Err(format!("found q {q:?}, k {k:?} and v of {v}, expected [B, Tq, A], [B, Tk, A] and A, none of them 0")),
    }
}

/// tanh, where exp sees no argument above 0.
pub(super) fn tanh<F: Real>(x: F) -> F {
    let (zero, one) = (F::of(0.0), F::of(1.0));
    let e = (F::of(-2.0) * if x < zero { -x } else { x }).exp();
    let t = (one - e) / (one + e);
    if x < zero { -t } else { t }
}

impl AdditiveScores {
    /// The result; `each` is the term of an element of v and the sum of q and k that it goes with.
    fn run<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>], each: impl Fn(F, F, F) -> F + Sync) {
        let (q, k, v) = (x[0].floats(), x[1].floats(), x[2].floats());
        let [_, queries, keys, channels] = checked(sizes(x[0].shape, x[1].shape, v.len()));
        y[0].floats().par_chunks_mut(keys).zip(q.par_chunks(channels)).enumerate().for_each(|(row, (y, q))| {
            let of_row = &k[row / queries * keys * channels..][..keys * channels];
            for (y, k) in y.iter_mut().zip(of_row.chunks(channels)) {
                let terms = q.iter().zip(k).zip(v).map(|((q, k), v)| each(*v, *q, *k));
                *y = terms.fold(F::of(0.0), |sum, term| sum + term);
            }
        });
    }
}

impl Reference for AdditiveScores {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.run(x, y, |v, q, k| v * tanh(q + k));
    }
}

impl Op for AdditiveScores {
    fn name(&self) -> &'static str {
        "additive_scores"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [q, k, v] = arguments(x)?;
        let [batch, queries, keys, _] = sizes(&q.shape.0, &k.shape.0, v.elements())?;
        Ok(vec![TensorInfo::floats("additive_scores", [batch, queries, keys])])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None; 3]) };
        let grads = graph.apply(AdditiveScoresDx, &[dy, at.x[0], at.x[1], at.x[2]])?;
        Ok(grads.into_iter().map(Some).collect())
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [q, k, v] = [cx.x[0], cx.x[1], cx.x[2]];
        let [batch, queries, keys, channels] =
            sizes(&cx.shape(q), &cx.shape(k), cx.elements(v)).map_err(Error::failed)?;
        let count = batch * queries * keys;
        let sizes = [("count", count), ("queries", queries), ("keys", keys), ("channels", channels)];
        let launch = cx.kernel(ADDITIVE_SCORES, &[])?.sizes(&sizes).bind("q", q).bind("k", k).bind("v", v);
        cx.invocations(launch.bind("y", cx.y[0]), count)
    }

    /// exp is good to 3 + 2|x| ULP, a division to 2.5.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[2].elements(), ulps: 20.0 }
    }

    /// tanh is within a unit of 1, and moves no more than its argument does.
    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.run(x, y, |v, q, k| v.abs() * (1.0 + q.abs() + k.abs()));
    }
}

/// Sizes of cases: one of each, odd ones, more channels and keys than a workgroup has, one query.
pub(super) const SIZES: [[usize; 4]; 4] = [[1, 1, 1, 1], [3, 4, 5, 7], [2, 3, 70, 130], [5, 1, 9, 16]];

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |[batch, queries, keys, channels]: [usize; 4]| {
        let case = Case::new(AdditiveScores).random([batch, queries, channels]).random([batch, keys, channels]);
        case.random([1, channels])
    };
    let large = vec![50.0, -50.0, 90.0, -0.5];
    let large = Case::new(AdditiveScores).floats([1, 2, 2], large).floats([1, 1, 2], vec![40.0, 50.0]);
    SIZES.into_iter().map(case).chain([large.floats([2], vec![1.0, -2.0])]).collect()
}
