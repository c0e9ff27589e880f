//! The gradients of a recurrence: of its projected inputs, of the sums that its weights take part in, and of its first states.

use crate::ops::exponential::fast_exp;
use crate::ops::prelude::*;
use crate::ops::sequence::bounds::bounds;
use crate::ops::sequence::cells::{Backwards, Cell, place};
use crate::ops::sequence::panels::Panels;
use crate::ops::sequence::recurrence::{Recurrence, ways};
use crate::ops::sequence::walk::{Sizes, Walk, by_block, part};
use pulp::{Arch, Simd, WithSimd};

kernels! {
    RECURRENCE_DX_TILE = "sequence/recurrence_dx_tile",
    RECURRENCE_DX_LANES = "sequence/recurrence_dx_lanes",
}

/// The steps of a [`Recurrence`] backward.
///
/// The arguments are the gradients of y, h and c, as many as there are; weight_hh; states and gates, as the recurrence kept
/// them; and lengths, where it has them. The results are dgx [B, T, G·H]; work, whose first elements are the gradients of
/// `W_hh h + b_hh` [T, B, G·H] of each step, and whose last those of the first h, and of the first c; with `initial` these also
/// as results of their own, [B, H].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecurrenceDx {
    /// Whether y, h and c have gradients.
    pub of: [bool; 3],
    /// The recurrence.
    pub forward: Recurrence,
}

/// The arguments by their names.
struct Given<T> {
    of: [Option<T>; 3],
    weight: T,
    states: T,
    gates: Option<T>,
    lengths: Option<T>,
}

impl RecurrenceDx {
    fn given<T: Copy>(&self, x: &[T]) -> Option<Given<T>> {
        let mut rest = x.iter().copied();
        let mut of = [None; 3];
        for (of, there) in of.iter_mut().zip(self.of) {
            *of = if there { Some(rest.next()?) } else { None };
        }
        let (weight, states) = (rest.next()?, rest.next()?);
        let gates = if self.forward.cell.kept() > 0 { Some(rest.next()?) } else { None };
        let lengths = if self.forward.lengths { Some(rest.next()?) } else { None };
        rest.next().is_none().then_some(Given { of, weight, states, gates, lengths })
    }

    fn sizes(&self, weight: &[usize], states: &[usize]) -> Result<Sizes, String> {
        let cell = self.forward.cell;
        match (weight, states) {
            (&[rows, units], &[count, steps, batch, of])
                if rows == cell.gates() * units && of == units && count == cell.states() && steps > 1 =>
            {
                Ok(Sizes { batch, steps: steps - 1, units })
            }
            _ => Err(format!("found weight_hh {weight:?} and states {states:?}, expected those of a recurrence")),
        }
    }

    /// Where the gradients of h and c lie in `work`.
    fn places(&self, s: Sizes) -> [usize; 2] {
        let first = s.steps * self.forward.cell.gates() * s.state();
        [first, first + s.state()]
    }

    /// Walks over all rows, in blocks of `rows`. `product` adds to the gradient of a block's states that of the sums after
    /// them, through the weights; `step` computes a step of a row.
    fn walk<F: Real>(
        &self,
        rows: usize,
        x: &[In<F>],
        y: &mut [Out<F>],
        product: impl Fn(&[F], &mut [F]) + Sync,
        step: impl Fn(Backwards<F>) + Sync,
    ) {
        let (s, Given { of: [dy, dh, dc], states, gates, lengths, .. }) = self.known(x);
        let (cell, units) = (self.forward.cell, s.units);
        let wide = cell.gates() * units;
        let [dgx, work, ends @ ..] = y else { unreachable!("recurrence_dx declares two results and more") };
        let [first, second] = self.places(s);
        let (sums, carried) = work.floats().split_at_mut(first);
        let (carried, carried_c) = carried.split_at_mut(second - first);
        for (carried, of) in [&mut *carried, &mut *carried_c].into_iter().zip([dh, dc]) {
            match of {
                Some(of) if !carried.is_empty() => carried.copy_from_slice(of.floats()),
                _ => carried.fill(F::of(0.0)),
            }
        }
        let (states, gates) = (states.floats(), gates.map_or(&[][..], |gates| gates.floats()));
        let (states, cells) = states.split_at((s.steps + 1) * s.state());
        let lengths = lengths.map(|lengths| lengths.words());
        let [of_sums, of_c] =
            [(sums, wide), (&mut *carried_c, units)].map(|(memory, width)| by_block(memory, [rows, s.batch, width]));
        // Where there is no c, each block still has its (empty) part.
        let blocks = of_sums.into_par_iter().zip(of_c).zip(carried.par_chunks_mut(rows * units));
        let blocks = blocks.zip(dgx.floats().par_chunks_mut(rows * s.steps * wide));
        blocks.enumerate().for_each(|(block, (((mut sums, mut dc), dh), dgx))| {
            let first = block * rows;
            for t in (0..s.steps).rev() {
                let (sums, after) = sums.split_at_mut(t + 1);
                let sums = part(sums, t);
                if t + 1 < s.steps {
                    product(part(after, 0), dh);
                }
                for (r, dh) in dh.chunks_mut(units).enumerate() {
                    let b = first + r;
                    let valid = s.valid(lengths, b);
                    let p = place(t, valid, self.forward.reverse);
                    let sums = &mut sums[r * wide..][..wide];
                    let gx = &mut dgx[(r * s.steps + p) * wide..][..wide];
                    if t >= valid {
                        sums.fill(F::of(0.0));
                        gx.fill(F::of(0.0));
                        continue;
                    }
                    if let Some(dy) = dy {
                        let dy = &dy.floats()[(b * s.steps + p) * units..][..units];
                        dh.iter_mut().zip(dy).for_each(|(dh, dy)| *dh += *dy);
                    }
                    let row = |t: usize| {
                        let at = (t * s.batch + b) * units;
                        [states, cells].map(|memory| memory.get(at..at + units).unwrap_or_default())
                    };
                    let kept = gates.get((t * s.batch + b) * 4 * units..).unwrap_or_default();
                    let dc = part(&mut dc, 0).get_mut(r * units..(r + 1) * units).unwrap_or_default();
                    step(Backwards { states: [row(t), row(t + 1)], kept, dh, dc, sums: [sums, gx] });
                }
            }
            product(part(&mut sums, 0), dh);
        });
        for (end, carried) in ends.iter_mut().zip([carried, carried_c]) {
            end.floats().copy_from_slice(carried);
        }
    }

    /// The sizes and arguments of an op that runs.
    fn known<'a, F: Real>(&self, x: &[In<'a, F>]) -> (Sizes, Given<In<'a, F>>) {
        let given = checked(self.given(x).ok_or_else(|| "other arguments".to_string()));
        (checked(self.sizes(given.weight.shape, given.states.shape)), given)
    }
}

/// A step of a row, compiled for the wide vectors.
struct Vectorised<'a>(Backwards<'a, f32>, Cell);

impl WithSimd for Vectorised<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.0.run(self.1, fast_exp);
    }
}

impl Reference for RecurrenceDx {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (Sizes { units, .. }, Given { weight, .. }) = self.known(x);
        let weight = weight.floats();
        let product = |sums: &[F], dh: &mut [F]| {
            for (sums, dh) in sums.chunks(weight.len() / units).zip(dh.chunks_mut(units)) {
                for (j, dh) in dh.iter_mut().enumerate() {
                    *dh += sums.iter().enumerate().fold(F::of(0.0), |sum, (q, d)| sum + *d * weight[q * units + j]);
                }
            }
        };
        self.walk(1, x, y, product, |step| step.run(self.forward.cell, F::exp));
    }
}

impl Op for RecurrenceDx {
    fn name(&self) -> &'static str {
        "recurrence_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let found = x.len();
        let given = self.given(x).ok_or_else(|| format!("{found} arguments, expected those of {self:?}"))?;
        let s = self.sizes(&given.weight.shape.0, &given.states.shape.0)?;
        let wide = self.forward.cell.gates() * s.units;
        let sizes = [s.steps * s.state(), s.state(), s.state()];
        let named =
            given.of.into_iter().zip(sizes).chain([(given.gates, 4 * s.steps * s.state()), (given.lengths, s.batch)]);
        for (info, elements) in named {
            if let Some(info) = info.filter(|info| info.elements() != elements) {
                return Err(format!("found {} {} with states {}", info.name, info.shape, given.states.shape));
            }
        }
        let states = self.forward.cell.states();
        let state = |name| TensorInfo::floats(name, [s.batch, s.units]);
        let mut y = vec![TensorInfo::floats("recurrence_dx", [s.batch, s.steps, wide])];
        y.push(TensorInfo::floats("work", [self.places(s)[0] + states * s.state()]));
        y.extend(["d h0", "d c0"].into_iter().take(if self.forward.initial { states } else { 0 }).map(state));
        Ok(y)
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let given = self.given(cx.x).ok_or_else(|| Error::failed(format!("{self:?}: other arguments")))?;
        let sizes = self.sizes(&cx.shape(given.weight), &cx.shape(given.states)).map_err(Error::input)?;
        let Recurrence { cell, reverse, form, .. } = self.forward;
        let places = self.places(sizes);
        let walk = Walk { cell, sizes, reverse, lengths: given.lengths, form, places };
        let (dgx, work, ends) = (cx.y[0], cx.y[1], &cx.y[2..]);
        let [dy, dh, dc] = given.of;
        let time = walk.begin(cx, work, [dh, dc], given.weight)?;
        // From after the last step to before the first.
        let order: Vec<usize> = (0..=sizes.steps).rev().collect();
        let sources = [RECURRENCE_DX_TILE, RECURRENCE_DX_LANES];
        walk.steps(cx, sources, (given.weight, time), (&order, cell.gates() * sizes.units), |launch| {
            let launch = launch.bind("states", given.states).bind("gates", given.gates.unwrap_or(given.states));
            let launch = launch.set("of_y", dy.is_some()).bind("dy", dy.unwrap_or(given.states));
            launch.bind("work", work).bind("dgx", dgx)
        })?;
        if ends.is_empty() { Ok(()) } else { walk.end(cx, work, places, ends) }
    }

    /// The bounds are in `magnitude`.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 4.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        bounds(self, x, y);
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        let known = self.given(x).and_then(|given| self.sizes(&given.weight.shape.0, &given.states.shape.0).ok());
        known.map_or(0, |s| 2 * (s.steps * s.batch * self.forward.cell.gates() * s.units * s.units) as u64)
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let ((s, Given { weight, .. }), arch) = (self.known(x), Arch::new());
        let (weight, cell) = (weight.floats(), self.forward.cell);
        let wide = cell.gates() * s.units;
        let panels = Panels::new(weight, [wide, s.units], [s.units, 1]);
        let product = |sums: &[f32], dh: &mut [f32]| panels.add_product(sums, dh);
        self.walk(s.block(cell), x, y, product, |step| arch.dispatch(Vectorised(step, cell)));
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(n, (forward, [b, t, h], lengths)): (usize, (Recurrence, [usize; 3], &[u32]))| {
        // Of y alone, of the last states alone, of all.
        let lstm = forward.cell == Cell::Lstm;
        let of = [[true, false, false], [false, true, lstm], [true, true, false], [true, true, lstm]][n % 4];
        let case = Case::new(RecurrenceDx { of, forward });
        let shapes = [vec![b, t, h], vec![b, h], vec![b, h]];
        let given = shapes.into_iter().zip(of).filter(|(_, there)| *there);
        let case = given.fold(case, |case, (shape, _)| case.random(Shape(shape)));
        let case = case.random([forward.cell.gates() * h, h]).random([forward.cell.states(), t + 1, b, h]);
        let case = if forward.cell.kept() > 0 { case.random([t, b, 4, h]) } else { case };
        if forward.lengths { case.words([b], lengths.to_vec()) } else { case }
    };
    ways().enumerate().map(case).collect()
}
