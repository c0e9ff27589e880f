//! The gradient of additive scores.

use crate::ops::prelude::*;
use crate::ops::sequence::additive_scores::{SIZES, sizes, tanh};

kernels! {
    ADDITIVE_SCORES_DX = "sequence/additive_scores_dx",
    ADDITIVE_SCORES_DX_V = "sequence/additive_scores_dx_v",
}

/// With `t = tanh(q[b, i, a] + k[b, j, a])`: `dq[b, i, a] = v[a]·Σ_j dy[b, i, j]·(1 - t²)`, `dk[b, j, a] = v[a]·Σ_i dy[b, i, j]·(1 - t²)`
/// and `dv[a] = Σ dy[b, i, j]·t`. The arguments are dy [B, Tq, Tk], q [B, Tq, A], k [B, Tk, A] and v of A elements; the results
/// are of the shapes of q, k and v.
#[derive(Clone, Copy, Debug)]
pub struct AdditiveScoresDx;

impl AdditiveScoresDx {
    /// The results; `each` gives what dy adds to the sums of dq and dk, and to that of dv; `of` is the factor v.
    fn run<F: Real>(
        &self,
        x: &[In<F>],
        y: &mut [Out<F>],
        of: impl Fn(F) -> F,
        each: impl Fn(F, F, F) -> [F; 2] + Sync,
    ) {
        let (dy, q, k, v) = (x[0].floats(), x[1].floats(), x[2].floats(), x[3].floats());
        let [batch, queries, keys, channels] = checked(sizes(x[1].shape, x[2].shape, v.len()));
        let [dq, dk, dv] = results(y);
        let (dq, dk, dv) = (dq.floats(), dk.floats(), dv.floats());
        [&mut *dq, &mut *dk, &mut *dv].into_iter().for_each(|sums| sums.fill(F::of(0.0)));
        for b in 0..batch {
            for i in 0..queries {
                for j in 0..keys {
                    let dy = dy[(b * queries + i) * keys + j];
                    let (row, column) = ((b * queries + i) * channels, (b * keys + j) * channels);
                    for a in 0..channels {
                        let [slope, value] = each(dy, q[row + a], k[column + a]);
                        dq[row + a] += slope;
                        dk[column + a] += slope;
                        dv[a] += value;
                    }
                }
            }
        }
        let scaled =
            |sums: &mut [F]| sums.iter_mut().enumerate().for_each(|(n, sum)| *sum = of(v[n % channels]) * *sum);
        scaled(dq);
        scaled(dk);
    }
}

impl Reference for AdditiveScoresDx {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let each = |dy: F, q: F, k: F| {
            let t = tanh(q + k);
            [dy * (F::of(1.0) - t * t), dy * t]
        };
        self.run(x, y, |v| v, each);
    }
}

impl Op for AdditiveScoresDx {
    fn name(&self) -> &'static str {
        "additive_scores_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy, q, k, v] = arguments(x)?;
        let [batch, queries, keys, _] = sizes(&q.shape.0, &k.shape.0, v.elements())?;
        if dy.shape.0 != [batch, queries, keys] {
            return Err(format!("found dy {}, expected [{batch}, {queries}, {keys}]", dy.shape));
        }
        let of = |name, like: &TensorInfo| TensorInfo::floats(name, like.shape.clone());
        Ok(vec![of("dq", q), of("dk", k), of("dv", v)])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [dy, q, k, v] = [cx.x[0], cx.x[1], cx.x[2], cx.x[3]];
        let [batch, queries, keys, channels] =
            sizes(&cx.shape(q), &cx.shape(k), cx.elements(v)).map_err(Error::failed)?;
        for (own, other, rows, terms, dx) in [(q, k, queries, keys, cx.y[0]), (k, q, keys, queries, cx.y[1])] {
            let count = batch * rows * channels;
            let sizes = [("count", count), ("rows", rows), ("terms", terms), ("channels", channels)];
            let launch = cx.kernel(ADDITIVE_SCORES_DX, &[])?.sizes(&sizes).set("turned", dx == cx.y[1]);
            let launch = launch.bind("own", own).bind("other", other).bind("v", v).bind("dy", dy);
            cx.invocations(launch.bind("dx", dx), count)?;
        }
        let count = batch * queries * keys;
        let sizes = [("count", count), ("queries", queries), ("keys", keys), ("channels", channels)];
        let launch = cx.kernel(ADDITIVE_SCORES_DX_V, &[])?.sizes(&sizes).bind("q", q).bind("k", k).bind("dy", dy);
        cx.groups(launch.bind("dv", cx.y[2]), channels)
    }

    /// As the scores.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[0].elements(), ulps: 40.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.run(x, y, f64::abs, |dy, q, k| [dy.abs() * (1.0 + q.abs() + k.abs()); 2]);
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |[batch, queries, keys, channels]: [usize; 4]| {
        let case = Case::new(AdditiveScoresDx).random([batch, queries, keys]).random([batch, queries, channels]);
        case.random([batch, keys, channels]).random([channels])
    };
    SIZES.into_iter().map(case).collect()
}
