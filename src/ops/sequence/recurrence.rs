//! Recurrences over time, a node of the graph each: rnn, gru and lstm.

use crate::ops::exponential::fast_exp;
use crate::ops::matmul::matmul_tn::MatmulTn;
use crate::ops::prelude::*;
use crate::ops::sequence::bounds::bounds;
use crate::ops::sequence::cells::{Cell, Forward, place};
use crate::ops::sequence::front::Front;
use crate::ops::sequence::panels::Panels;
use crate::ops::sequence::recurrence_dx::RecurrenceDx;
use crate::ops::sequence::walk::{Form, Sizes, Walk, by_block, part};
use pulp::{Arch, Simd, WithSimd};

kernels! {
    RECURRENCE_BEGIN = "sequence/recurrence_begin",
    RECURRENCE_END = "sequence/recurrence_end",
    RECURRENCE_TILE = "sequence/recurrence_tile",
    RECURRENCE_LANES = "sequence/recurrence_lanes",
}

/// A [`Cell`] at every step of B rows of up to T places.
///
/// The arguments, in this order:
/// 1. gx [B, T, G·H], the projected inputs `W_ih x + b_ih` of all steps, which one product makes;
/// 2. weight_hh [G·H, H] and bias_hh `[G·H]`;
/// 3. with `initial`: h0 [B, H], and of an LSTM c0 [B, H]; else both are zeros;
/// 4. with `lengths`: how many places of each row are valid, as words `[B]`; else all T are.
///
/// The results:
/// 1. y [B, T, H], the state at each place, and 0 at the places beyond a row's length;
/// 2. h [B, H], and of an LSTM c [B, H]: the state after each row's last valid place, or the initial one if there is none;
/// 3. what the way back needs: states [1 or 2, T + 1, B, H], before and after each step, and of gru and lstm their gates
///    [T, B, 4, H].
///
/// So it is with PyTorch's packed sequences. In `reverse` a row begins at its last valid place. The gradients of y, h and c
/// all flow back, to every float argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurrence {
    /// The computation of a step.
    pub cell: Cell,
    /// Whether rows are walked from their end.
    pub reverse: bool,
    /// Whether the initial states are given.
    pub initial: bool,
    /// Whether rows have lengths.
    pub lengths: bool,
    /// How it is dispatched on an adapter; by its sizes where that is not said. The results do not depend on it.
    pub form: Option<Form>,
}

/// The arguments of a recurrence.
struct Given<'a, F> {
    gx: &'a [F],
    weight: &'a [F],
    bias: &'a [F],
    initial: [Option<&'a [F]>; 2],
    lengths: Option<&'a [u32]>,
}

impl Recurrence {
    /// A cell that walks forward from zero states over rows that are all of T places.
    pub fn new(cell: Cell) -> Self {
        Recurrence { cell, reverse: false, initial: false, lengths: false, form: None }
    }

    /// How many initial states are given.
    fn initials(&self) -> usize {
        if self.initial { self.cell.states() } else { 0 }
    }

    fn sizes(&self, gx: &[usize], weight: &[usize]) -> Result<Sizes, String> {
        let gates = self.cell.gates();
        match (gx, weight) {
            (&[batch, steps, wide], &[rows, units])
                if wide == gates * units && rows == wide && batch * steps * units > 0 =>
            {
                Ok(Sizes { batch, steps, units })
            }
            _ => Err(format!(
                "found gx {gx:?} and weight_hh {weight:?}, expected [B, T, {gates}·H] and [{gates}·H, H], none of them 0"
            )),
        }
    }

    fn given<'a, F: Real>(&self, x: &[In<'a, F>]) -> Given<'a, F> {
        let initial = [0, 1].map(|n| (n < self.initials()).then(|| x[3 + n].floats()));
        let lengths = self.lengths.then(|| x[3 + self.initials()].words());
        Given { gx: x[0].floats(), weight: x[1].floats(), bias: x[2].floats(), initial, lengths }
    }

    /// Walks over all rows, in blocks of `rows`. `product` computes W_hh h + b_hh of a block, and `step` a step of a row.
    fn walk<F: Real>(
        &self,
        rows: usize,
        x: &[In<F>],
        y: &mut [Out<F>],
        product: impl Fn(&[F], &mut [F]) + Sync,
        step: impl Fn(Forward<F>) + Sync,
    ) {
        let given = self.given(x);
        let s = checked(self.sizes(x[0].shape, x[1].shape));
        let (wide, kept) = (self.cell.gates() * s.units, self.cell.kept() * s.units);
        let mut results: Vec<&mut [F]> = y.iter_mut().map(Out::floats).collect();
        let gates: &mut [F] = if kept > 0 { results.pop() } else { None }.unwrap_or_default();
        let states: &mut [F] = results.pop().unwrap_or_default();
        let mut results = results.into_iter();
        let mut next = || results.next().unwrap_or_default();
        let (y, last) = (next(), [next(), next()]);
        let (h, c) = states.split_at_mut((s.steps + 1) * s.state());
        let in_blocks = |memory, width| by_block(memory, [rows, s.batch, width]);
        let [of_h, of_c, gates] = [(&mut *h, s.units), (&mut *c, s.units), (gates, kept)].map(|(m, w)| in_blocks(m, w));
        let blocks = of_h.into_par_iter().zip(of_c).zip(gates).zip(y.par_chunks_mut(rows * s.steps * s.units));
        blocks.enumerate().for_each(|(block, (((mut h, mut c), mut gates), y))| {
            let first = block * rows;
            let count = h[0].len() / s.units;
            for (states, given) in [&mut h, &mut c].into_iter().zip(given.initial) {
                match given {
                    Some(given) => part(states, 0).copy_from_slice(&given[first * s.units..][..count * s.units]),
                    None => part(states, 0).fill(F::of(0.0)),
                }
            }
            let valid: Vec<usize> = (first..first + count).map(|b| s.valid(given.lengths, b)).collect();
            let longest = valid.iter().copied().max().unwrap_or(0);
            let mut hidden = vec![F::of(0.0); count * wide];
            for t in 0..s.steps {
                let middle = c.len().min(t + 1);
                let (of_c, after_c) = c.split_at_mut(middle);
                let (of_h, after_h) = h.split_at_mut(t + 1);
                let (h, c) = (&*part(of_h, t), &*part(of_c, t));
                let (after_h, after_c, gates) = (part(after_h, 0), part(after_c, 0), part(&mut gates, t));
                if t < longest {
                    product(h, &mut hidden);
                }
                for (r, &valid) in valid.iter().enumerate() {
                    let p = place(t, valid, self.reverse);
                    let of = |width: usize| r * width..(r + 1) * width;
                    let c = c.get(of(s.units)).unwrap_or_default();
                    let after_c = after_c.get_mut(of(s.units)).unwrap_or_default();
                    let (after_h, kept) = (&mut after_h[of(s.units)], &mut gates[of(kept)]);
                    let y = &mut y[(r * s.steps + p) * s.units..][..s.units];
                    if t < valid {
                        let gx = &given.gx[((first + r) * s.steps + p) * wide..][..wide];
                        let before = [&h[of(s.units)], c];
                        step(Forward { gx, hidden: &hidden[of(wide)], before, after: [&mut *after_h, after_c], kept });
                        y.copy_from_slice(after_h);
                    } else {
                        after_h.copy_from_slice(&h[of(s.units)]);
                        after_c.copy_from_slice(c);
                        kept.fill(F::of(0.0));
                        y.fill(F::of(0.0));
                    }
                }
            }
        });
        for (last, states) in last.into_iter().zip([h, c]) {
            let at = states.len() - last.len();
            last.copy_from_slice(&states[at..]);
        }
    }
}

/// A step of a row, compiled for the wide vectors.
struct Vectorised<'a>(Forward<'a, f32>, Cell);

impl WithSimd for Vectorised<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.0.run(self.1, fast_exp);
    }
}

impl Reference for Recurrence {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let Given { weight, bias, .. } = self.given(x);
        let product = |h: &[F], sums: &mut [F]| {
            let units = weight.len() / bias.len();
            for (h, sums) in h.chunks(units).zip(sums.chunks_mut(bias.len())) {
                for ((sum, bias), weight) in sums.iter_mut().zip(bias).zip(weight.chunks(units)) {
                    *sum = weight.iter().zip(h).fold(F::of(0.0), |sum, (w, h)| sum + *w * *h) + *bias;
                }
            }
        };
        self.walk(1, x, y, product, |step| step.run(self.cell, F::exp));
    }
}

impl Op for Recurrence {
    fn name(&self) -> &'static str {
        "recurrence"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (found, expected) = (x.len(), 3 + self.initials() + usize::from(self.lengths));
        if found != expected {
            return Err(format!("{found} arguments where {expected} are expected"));
        }
        let s = self.sizes(&x[0].shape.0, &x[1].shape.0)?;
        let wide = self.cell.gates() * s.units;
        if axes(x[2])? != [wide] {
            return Err(format!("found bias_hh {}, expected [{wide}]", x[2].shape));
        }
        for initial in &x[3..3 + self.initials()] {
            if axes(initial)? != [s.batch, s.units] {
                let [b, h] = [s.batch, s.units];
                return Err(format!("found an initial state {}, expected [{b}, {h}]", initial.shape));
            }
        }
        if let Some(lengths) = x.get(3 + self.initials()).filter(|lengths| lengths.elements() != s.batch) {
            return Err(format!("found lengths {}, expected [{}]", lengths.shape, s.batch));
        }
        let state = |name| TensorInfo::floats(name, [s.batch, s.units]);
        let mut y = vec![TensorInfo::floats("recurrence", [s.batch, s.steps, s.units]), state("h")];
        y.extend((self.cell.states() > 1).then(|| state("c")));
        y.push(TensorInfo::floats("states", [self.cell.states(), s.steps + 1, s.batch, s.units]));
        let kept = self.cell.kept();
        y.extend((kept > 0).then(|| TensorInfo::floats("gates", [s.steps, s.batch, kept, s.units])));
        Ok(y)
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let mut grads = vec![None; at.x.len()];
        let ends = self.cell.states();
        let of = [0, 1, 2].map(|n| if n <= ends { at.dy[n] } else { None });
        if of.iter().all(Option::is_none) {
            return Ok(grads);
        }
        let op = RecurrenceDx { of: of.map(|dy| dy.is_some()), forward: *self };
        let mut x: Vec<Tensor> = of.into_iter().flatten().collect();
        x.push(at.x[1]);
        x.extend(&at.y[1 + ends..]);
        x.extend(&at.x[3 + self.initials()..]);
        let y = graph.apply(op, &x)?;
        grads[0] = Some(y[0]);
        for (grad, &initial) in grads[3..].iter_mut().zip(&y[2..]) {
            *grad = Some(initial);
        }
        if at.wants[1] || at.wants[2] {
            // One product over all steps of all rows: of their sums, and the states before them.
            let s = self.sizes(graph.shape(at.x[0]), graph.shape(at.x[1])).map_err(Error::input)?;
            let mut front = |of: Tensor, width: usize| {
                let shape = Shape::from([s.steps, s.batch, width]);
                Ok::<_, Error>(graph.apply(Front { shape }, &[of])?[0])
            };
            let (sums, states) = (front(y[1], self.cell.gates() * s.units)?, front(at.y[1 + ends], s.units)?);
            let of_weights = graph.apply(MatmulTn, &[sums, states])?;
            grads[1..3].iter_mut().zip(of_weights).for_each(|(grad, sum)| *grad = Some(sum));
        }
        Ok(grads)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let sizes = self.sizes(&cx.shape(cx.x[0]), &cx.shape(cx.x[1])).map_err(Error::input)?;
        let (x, y) = (cx.x, cx.y);
        let (weight, ends) = (x[1], self.cell.states());
        let states = y[1 + ends];
        let gates = match y.get(2 + ends) {
            Some(&gates) => gates,
            None => cx.scratch(4),
        };
        let lengths = self.lengths.then(|| x[3 + self.initials()]);
        let places = [0, (sizes.steps + 1) * sizes.state()];
        let walk = Walk { cell: self.cell, sizes, reverse: self.reverse, lengths, form: self.form, places };
        let initial = [0, 1].map(|n| (n < self.initials()).then(|| x[3 + n]));
        let time = walk.begin(cx, states, initial, weight)?;
        let order: Vec<usize> = (0..sizes.steps).collect();
        let sources = [RECURRENCE_TILE, RECURRENCE_LANES];
        walk.steps(cx, sources, (weight, time), (&order, sizes.units), |launch| {
            let launch = launch.bind("gx", x[0]).bind("bias", x[2]).bind("states", states);
            launch.bind("gates", gates).bind("y", y[0])
        })?;
        let last = sizes.steps * sizes.state();
        walk.end(cx, states, places.map(|place| place + last), &y[1..1 + ends])
    }

    /// The bounds are in `magnitude`.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 4.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        bounds(self, x, y);
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        2 * (x[0].elements() * x[1].shape.0[1]) as u64
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let s = checked(self.sizes(x[0].shape, x[1].shape));
        let (Given { weight, bias, .. }, arch) = (self.given(x), Arch::new());
        let wide = bias.len();
        let panels = Panels::new(weight, [s.units, wide], [1, s.units]);
        let product = |h: &[f32], sums: &mut [f32]| {
            sums.chunks_mut(wide).for_each(|sums| sums.copy_from_slice(bias));
            panels.add_product(h, sums);
        };
        self.walk(s.block(self.cell), x, y, product, |step| arch.dispatch(Vectorised(step, self.cell)));
    }
}

/// Every cell in some of the ways to walk, at sizes B, T and H and with lengths of the rows: one of each; odd sizes; no, one,
/// all and more than all places; more rows and units than a workgroup owns; units in vectors and not; with lengths or without,
/// from given states or zeros, from either end, in either form.
pub(super) fn ways() -> impl Iterator<Item = (Recurrence, [usize; 3], &'static [u32])> {
    const NONE: &[u32] = &[];
    const MANY: &[u32] = &[2, 1, 0, 2, 2, 1, 2, 2, 1, 2, 0, 2, 2, 1, 2, 2, 2, 1, 2];
    use {Cell::*, Form::*};
    let ways: [(_, _, _, _, _, &[u32]); 8] = [
        (RnnTanh, [1, 1, 1], false, false, Step, NONE),
        (RnnTanh, [19, 2, 20], true, true, Scan, MANY),
        (RnnRelu, [1, 6, 8], true, false, Step, NONE),
        (Gru, [3, 4, 5], true, true, Step, &[4, 0, 3]),
        (Gru, [5, 3, 12], false, true, Scan, &[3, 1, 0, 2, 9]),
        (Lstm, [3, 4, 5], true, false, Scan, &[4, 0, 3]),
        (Lstm, [19, 2, 20], true, true, Step, MANY),
        (Lstm, [4, 2, 68], false, false, Scan, NONE),
    ];
    ways.into_iter().map(|(cell, sizes, reverse, initial, form, lengths)| {
        (Recurrence { cell, reverse, initial, lengths: !lengths.is_empty(), form: Some(form) }, sizes, lengths)
    })
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(op, [b, t, h], lengths): (Recurrence, [usize; 3], &[u32])| {
        let wide = op.cell.gates() * h;
        let case = Case::new(op).random([b, t, wide]).random([wide, h]).random([wide]);
        let case = (0..op.initials()).fold(case, |case, _| case.random([b, h]));
        if op.lengths { case.words([b], lengths.to_vec()) } else { case }
    };
    // Inputs that drive every gate to its ends.
    let mut extreme = case((Recurrence::new(Cell::Lstm), [2, 3, 4], &[]));
    if let crate::ir::values::Values::Float(gx) = &mut extreme.x[0].1 {
        gx.iter_mut().for_each(|x| *x *= 300.0);
    }
    ways().map(case).chain([extreme]).collect()
}
