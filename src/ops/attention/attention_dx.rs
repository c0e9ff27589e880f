//! The gradient of attention.

use crate::ir::values::Values;
use crate::ops::attention::attention::{Attention, argue, exponentials, scores, ways};
use crate::ops::attention::heads::{BLOCK, Sizes};
use crate::ops::attention::rows::{Head, Rows, add, dot, place};
use crate::ops::prelude::*;
use crate::ops::sequence::bounds::bounds;
use crate::sys::{Gemm, gemm};
use pulp::Arch;

kernels! {
    ATTENTION_DX_Q_TILE = "attention/attention_dx_q_tile",
    ATTENTION_DX_Q_LANES = "attention/attention_dx_q_lanes",
    ATTENTION_DX_KV_TILE = "attention/attention_dx_kv_tile",
    ATTENTION_DX_KV_LANES = "attention/attention_dx_kv_lanes",
}

/// The gradients of an [`Attention`]: with `g = dy[i]` and `apart = g·y[i]`, `ds[i, j] = p[i, j]·(g·v[j] - apart) / √D`, and then
/// `dq[i] = Σ_j ds[i, j]·k[j]`, `dk[j] = Σ_i ds[i, j]·q[i]` and `dv[j] = Σ_i p[i, j]·g`, where `p[i, j] = exp(q[i]·k[j] / √D - lse[i])`. With dropout `g·v[j]` and the p of dv are multiplied by
/// what the weight was multiplied by.
///
/// The arguments are dy and y [B, Tq, H·D] and lse [B, H, Tq], and then those of the attention; the results are the gradients of
/// its float arguments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionDx {
    /// The attention.
    pub forward: Attention,
}

/// What a head's gradients are made of besides its queries, keys and values.
struct Back<'a, F> {
    head: Head<'a, F>,
    dy: Rows<'a, F>,
    y: Rows<'a, F>,
    lse: &'a [F],
}

impl<F: Real> Back<'_, F> {
    /// `dy[i]·y[i]`.
    fn apart(&self, i: usize) -> F {
        dot(self.dy.at(i), self.y.at(i))
    }
}

/// The gradients of the heads that share keys and values: of each one's queries, and of the keys and the values.
struct Gradients<F> {
    dq: Vec<Vec<F>>,
    dk: Vec<F>,
    dv: Vec<F>,
}

impl AttentionDx {
    /// Writes the gradients; `add` adds those of one head of queries to dq, dk and dv, which are zeros at first.
    fn heads<'a, F: Real>(&self, x: &[In<'a, F>], dx: &mut [Out<F>], head: impl Fn(Back<'a, F>, [&mut [F]; 3]) + Sync) {
        let op = &self.forward;
        let (pairs, zero) = (op.pairs(), F::of(0.0));
        let given = checked(op.given(&x[3..]));
        let s = checked(op.sizes(given.0.shape, given.1.shape));
        let of = |n: usize| {
            let (b, pair) = (n / pairs, n % pairs);
            let mut found = Gradients {
                dq: vec![vec![zero; s.queries * s.size]; op.sharing],
                dk: vec![zero; s.keys * s.size],
                dv: vec![zero; s.keys * s.size],
            };
            for (member, dq) in found.dq.iter_mut().enumerate() {
                let h = pair * op.sharing + member;
                let [dy, y] = [0, 1].map(|n| Rows::new(x[n].floats(), (b, s.queries), [op.heads, h], s.size));
                let lse = &x[2].floats()[(b * op.heads + h) * s.queries..][..s.queries];
                head(Back { head: Head::new(op, s, given, b, h), dy, y, lse }, [dq, &mut found.dk, &mut found.dv]);
            }
            found
        };
        let parts: Vec<Gradients<F>> = (0..s.batch * pairs).into_par_iter().map(of).collect();
        let ([own, other], [keys, values]) = op.widths();
        let dq = |b: usize, h: usize| &parts[b * pairs + h / op.sharing].dq[h % op.sharing][..];
        place(dx[0].floats(), (s.queries, s.size), [own, 0, op.heads], dq);
        let dkv = dx[usize::from(op.memory)].floats();
        place(dkv, (s.keys, s.size), [other, keys, pairs], |b, pair| &parts[b * pairs + pair].dk[..]);
        place(dkv, (s.keys, s.size), [other, values, pairs], |b, pair| &parts[b * pairs + pair].dv[..]);
    }
}

impl Reference for AttentionDx {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.heads(x, y, |back, [dq, dk, dv]| {
            let (head, size) = (&back.head, back.head.sizes.size);
            let scale = F::of(head.sizes.scale());
            for (i, dq) in dq.chunks_mut(size).enumerate() {
                let (dy, apart) = (back.dy.at(i), back.apart(i));
                for (j, (dk, dv)) in dk.chunks_mut(size).zip(dv.chunks_mut(size)).enumerate().take(head.seen(i)) {
                    let p = (head.score(i, j) - back.lse[i]).exp();
                    let kept = head.kept(i, j);
                    let ds = p * (kept * dot(dy, head.v.at(j)) - apart) * scale;
                    add(dq, ds, head.k.at(j));
                    add(dk, ds, head.q.at(i));
                    add(dv, p * kept, dy);
                }
            }
        });
    }
}

impl Op for AttentionDx {
    fn name(&self) -> &'static str {
        "attention_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy, y, lse, rest @ ..] = x else { return Err(format!("{} arguments, expected four or more", x.len())) };
        let forward = self.forward.outputs(rest)?;
        for (found, expected) in [(dy, &forward[0]), (y, &forward[0]), (lse, &forward[1])] {
            if found.shape != expected.shape {
                return Err(format!("found {} {}, expected {}", found.name, found.shape, expected.shape));
            }
        }
        let of = &rest[..1 + usize::from(self.forward.memory)];
        Ok(of.iter().map(|x| TensorInfo::floats("attention_dx", x.shape.clone())).collect())
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let op = self.forward;
        let [dy, y, lse] = [cx.x[0], cx.x[1], cx.x[2]];
        let given = op.given(&cx.x[3..]).map_err(Error::failed)?;
        let s = op.sizes(&cx.shape(given.0), &cx.shape(given.1)).map_err(Error::failed)?;
        let delta = cx.scratch(s.batch * op.heads * s.queries);
        let (launch, places) = op.launch(cx, [ATTENTION_DX_Q_TILE, ATTENTION_DX_Q_LANES], s, given)?;
        let launch = launch.bind("y", y).bind("dy", dy).bind("lse", lse).bind("delta", delta).bind("dq", cx.y[0]);
        cx.groups(launch, s.batch * op.heads * s.queries.div_ceil(places))?;
        for member in 0..op.sharing {
            let (launch, places) = op.launch(cx, [ATTENTION_DX_KV_TILE, ATTENTION_DX_KV_LANES], s, given)?;
            let launch = launch.size("member", member).bind("dy", dy).bind("lse", lse).bind("delta", delta);
            let launch = launch.bind("dkv", cx.y[usize::from(op.memory)]);
            cx.groups(launch, s.batch * op.pairs() * s.keys.div_ceil(places))?;
        }
        Ok(())
    }

    /// The bounds are in `magnitude`.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 4.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        bounds(self, x, y);
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        let Ok((q, kv, _)) = self.forward.given(&x[3..]) else { return 0 };
        self.forward.sizes(&q.shape.0, &kv.shape.0).map_or(0, |s| s.products(&self.forward, 5))
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let arch = Arch::new();
        self.heads(x, y, |back, [dq, dk, dv]| {
            let Sizes { size, .. } = back.head.sizes;
            let (head, scale) = (&back.head, back.head.sizes.scale());
            let (mut p, mut ds) = (Vec::new(), Vec::new());
            for (block, dq) in dq.chunks_mut(BLOCK * size).enumerate() {
                let (first, rows) = (block * BLOCK, dq.len() / size);
                let keys = head.seen(first + rows - 1);
                if keys == 0 {
                    continue;
                }
                p.resize(rows * keys, 0.0);
                ds.resize(rows * keys, 0.0);
                scores(head, [first, rows, keys], &mut p);
                let (dy, of_v) = ((back.dy.from(first), [back.dy.stride, 1]), (head.v.data, [1, head.v.stride]));
                gemm(Gemm::serial([rows, keys, size]), &mut ds, dy, of_v);
                for (i, (p, ds)) in p.chunks_mut(keys).zip(ds.chunks_mut(keys)).enumerate() {
                    let (apart, seen) = (back.apart(first + i), head.seen(first + i));
                    exponentials(arch, &mut p[..seen], scale, back.lse[first + i]);
                    p[seen..].fill(0.0);
                    head.keep(first + i, |j, kept| ds[j] *= kept);
                    ds.iter_mut().zip(&*p).for_each(|(ds, p)| *ds = p * (*ds - apart) * scale as f32);
                    head.keep(first + i, |j, kept| p[j] *= kept);
                }
                gemm(Gemm::serial([rows, size, keys]), dq, (&ds, [keys, 1]), (head.k.data, [head.k.stride, 1]));
                let onto = Gemm { accumulate: true, ..Gemm::serial([keys, size, rows]) };
                gemm(onto, dk, (&ds, [1, keys]), (head.q.from(first), [head.q.stride, 1]));
                gemm(onto, dv, (&p, [1, keys]), dy);
            }
        });
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |(op, sizes): (Attention, [usize; 4])| {
        let [batch, queries, _, size] = sizes;
        let case = Case::new(AttentionDx { forward: op }).random([batch, queries, op.heads * size]);
        let mut case =
            case.seed(2).random([batch, queries, op.heads * size]).seed(3).random([batch, op.heads, queries]);
        // Above every score, as a logarithm of their exponentials' sum is.
        if let Some((_, Values::Float(lse))) = case.x.last_mut() {
            lse.iter_mut().for_each(|lse| *lse += 4.0);
        }
        argue(case.seed(4), &op, sizes, 1.0)
    };
    ways().map(of).collect()
}
