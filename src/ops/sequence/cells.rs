//! The cells of recurrences, forward and backward, one step of one row at a time: formulas that the references and the fast
//! forms share.

use crate::ops::prelude::*;
use crate::ops::vectors::each;

/// The computation of a recurrent layer from its input and its state. Gates are in PyTorch's order. With the projected
/// input `a = gx` and the hidden part `b = W_hh h + b_hh` of each gate, h' and c' being the states before the step:
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// `h = tanh(a + b)`.
    RnnTanh,
    /// `h = max(a + b, 0)`.
    RnnRelu,
    /// `r = σ(a + b)`, `z = σ(a + b)`, `n = tanh(a + r·b)`, `h = (1 - z)·n + z·h'`.
    Gru,
    /// `i, f, o = σ(a + b)`, `g = tanh(a + b)`, `c = f·c' + i·g`, `h = o·tanh(c)`.
    Lstm,
}

impl Cell {
    /// Every one.
    pub const ALL: [Cell; 4] = [Cell::RnnTanh, Cell::RnnRelu, Cell::Gru, Cell::Lstm];

    /// G, the parts of the weights: 1, 3 or 4.
    pub fn gates(self) -> usize {
        match self {
            Cell::RnnTanh | Cell::RnnRelu => 1,
            Cell::Gru => 3,
            Cell::Lstm => 4,
        }
    }

    /// The states that go from step to step: h, and an LSTM's c.
    pub fn states(self) -> usize {
        if self == Cell::Lstm { 2 } else { 1 }
    }

    /// Values of a step kept for the backward pass: the gates, and for a GRU also the hidden part of n.
    pub fn kept(self) -> usize {
        if self.gates() == 1 { 0 } else { 4 }
    }
}

/// The place of a row that step `s` is at. Beyond its `valid` places nothing happens, so that any order will do there.
pub fn place(s: usize, valid: usize, reverse: bool) -> usize {
    if reverse && s < valid { valid - 1 - s } else { s }
}

/// 1 / (1 + e⁻ˣ), where exp sees no argument above 0.
#[inline(always)]
fn sigmoid<F: Real>(x: F, exp: impl Fn(F) -> F) -> F {
    let one = F::of(1.0);
    let e = exp(if x < F::of(0.0) { x } else { -x });
    (if x < F::of(0.0) { e } else { one }) / (one + e)
}

/// tanh x, in the same way.
#[inline(always)]
fn tanh<F: Real>(x: F, exp: impl Fn(F) -> F) -> F {
    let (one, two) = (F::of(1.0), F::of(2.0));
    let e = exp(two * if x < F::of(0.0) { x } else { -x });
    let t = (one - e) / (one + e);
    if x < F::of(0.0) { -t } else { t }
}

/// The parts of `n` elements each.
#[inline(always)]
fn parts<F, const N: usize>(x: &[F], n: usize) -> [&[F]; N] {
    std::array::from_fn(|g| &x[g * n..][..n])
}

/// The parts of `n` elements each, to be written.
#[inline(always)]
fn parts_mut<F>(x: &mut [F], n: usize) -> [&mut [F]; 4] {
    let (ab, cd) = x.split_at_mut(2 * n);
    let ((a, b), (c, d)) = (ab.split_at_mut(n), cd.split_at_mut(n));
    [a, b, c, &mut d[..n]]
}

/// One step of one row of H units, forward.
pub struct Forward<'a, F> {
    /// The projected input [G, H].
    pub gx: &'a [F],
    /// W_hh h + b_hh [G, H].
    pub hidden: &'a [F],
    /// h and c before.
    pub before: [&'a [F]; 2],
    /// h and c after; c alone where the cell has one.
    pub after: [&'a mut [F]; 2],
    /// The kept values [4, H], if the cell keeps some.
    pub kept: &'a mut [F],
}

impl<F: Real> Forward<'_, F> {
    /// Computes the step, by the given exponential function of arguments up to 0.
    #[inline(always)]
    pub fn run(self, cell: Cell, exp: impl Fn(F) -> F + Copy) {
        let n = self.before[0].len();
        let ([h, c], [old, old_c]) = (self.after, self.before);
        let (zero, one) = (F::of(0.0), F::of(1.0));
        let h = &mut h[..n];
        match cell {
            Cell::RnnTanh => {
                let ([a], [b]) = (parts(self.gx, n), parts(self.hidden, n));
                each!([a, b] => [h] { (tanh(a + b, exp),) });
            }
            Cell::RnnRelu => {
                let ([a], [b]) = (parts(self.gx, n), parts(self.hidden, n));
                each!([a, b] => [h] { (if a + b > zero { a + b } else { zero },) });
            }
            Cell::Gru => {
                let ([ar, az, an], [br, bz, bn]) = (parts(self.gx, n), parts(self.hidden, n));
                let [r, z, new, hidden] = parts_mut(self.kept, n);
                each!([ar, az, an, br, bz, bn, old] => [r, z, new, hidden, h] {
                    let (r, z) = (sigmoid(ar + br, exp), sigmoid(az + bz, exp));
                    let new = tanh(an + r * bn, exp);
                    (r, z, new, bn, (one - z) * new + z * old)
                });
            }
            Cell::Lstm => {
                let ([ai, af, ag, ao], [bi, bf, bg, bo]) = (parts(self.gx, n), parts(self.hidden, n));
                let ([i, f, g, o], c) = (parts_mut(self.kept, n), &mut c[..n]);
                each!([ai, af, ag, ao, bi, bf, bg, bo, old_c] => [i, f, g, o, c, h] {
                    let (i, f, o) = (sigmoid(ai + bi, exp), sigmoid(af + bf, exp), sigmoid(ao + bo, exp));
                    let g = tanh(ag + bg, exp);
                    let c = f * old_c + i * g;
                    (i, f, g, o, c, o * tanh(c, exp))
                });
            }
        }
    }
}

/// One step of one row of H units, backward.
pub struct Backwards<'a, F> {
    /// h and c before the step, and after it.
    pub states: [[&'a [F]; 2]; 2],
    /// The kept values [4, H].
    pub kept: &'a [F],
    /// The gradient of h after the step; that part of the one before it which does not come through the weights takes its
    /// place.
    pub dh: &'a mut [F],
    /// The gradient of c after the step, and then of c before it.
    pub dc: &'a mut [F],
    /// The gradients of the hidden part [G, H], and of the projected input [G, H].
    pub sums: [&'a mut [F]; 2],
}

impl<F: Real> Backwards<'_, F> {
    /// Computes the step, by the given exponential function of arguments up to 0.
    #[inline(always)]
    pub fn run(self, cell: Cell, exp: impl Fn(F) -> F + Copy) {
        let n = self.dh.len();
        let (zero, one) = (F::of(0.0), F::of(1.0));
        let [hidden, gx] = self.sums;
        let [[old, old_c], [h, c]] = self.states;
        let dh = self.dh;
        match cell {
            Cell::RnnTanh => each!([h] => [hidden, dh] { (dh * (one - h * h), zero) }),
            Cell::RnnRelu => each!([h] => [hidden, dh] { (if h > zero { dh } else { zero }, zero) }),
            Cell::Gru => {
                let [r, z, new, kept] = parts(self.kept, n);
                let (dr, rest) = hidden.split_at_mut(n);
                let (dz, dn) = rest.split_at_mut(n);
                let (dn, dx) = (&mut dn[..n], &mut gx[2 * n..][..n]);
                each!([r, z, new, kept, old] => [dr, dz, dn, dx, dh] {
                    let sum = dh * (one - z) * (one - new * new);
                    let (dr, dz) = (sum * kept * r * (one - r), dh * (old - new) * z * (one - z));
                    (dr, dz, sum * r, sum, dh * z)
                });
                gx[..2 * n].copy_from_slice(&hidden[..2 * n]);
                return;
            }
            Cell::Lstm => {
                let [i, f, g, o] = parts(self.kept, n);
                let [di, df, dg, d_o] = parts_mut(hidden, n);
                let dc = &mut self.dc[..n];
                each!([i, f, g, o, c, old_c] => [di, df, dg, d_o, dc, dh] {
                    let t = tanh(c, exp);
                    let sum = dc + dh * o * (one - t * t);
                    let (di, df) = (sum * g * i * (one - i), sum * old_c * f * (one - f));
                    let (dg, d_o) = (sum * i * (one - g * g), dh * t * o * (one - o));
                    (di, df, dg, d_o, sum * f, zero)
                });
            }
        }
        gx.copy_from_slice(hidden);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_walked_once_each() {
        assert_eq!((0..5).map(|s| place(s, 3, true)).collect::<Vec<_>>(), [2, 1, 0, 3, 4]);
        assert_eq!((0..5).map(|s| place(s, 3, false)).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!((0..2).map(|s| place(s, 0, true)).collect::<Vec<_>>(), [0, 1]);
    }
}
