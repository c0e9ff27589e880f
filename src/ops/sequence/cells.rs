//! The cells of recurrences, forward and backward, one step of one row at a time: formulas that the references and the fast
//! forms share.

use crate::ops::prelude::*;

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

/// Elements that a formula is computed for at once: whole vectors on every processor.
const AT_ONCE: usize = 16;

/// Computes a formula for every element of the slices that are named: `each!([a, b] => [y, z] { … (y, z) })`. In the formula
/// the names are elements, those of the results as they were before. It goes through copies, since several elements are
/// computed at once only where the compiler knows that no result overlaps an argument; and it is a macro, since a closure may
/// not be inlined into code for wide vectors.
macro_rules! each {
    ([$($x:ident),+] => [$($y:ident),+] $formula:block) => {{
        let mut to = [$(&mut *$y),+];
        for start in (0..to[0].len()).step_by(AT_ONCE) {
            let found = {
                let [$($y),+] = &to;
                let ($($x,)+) = ($(loaded(&$x[start..]),)+);
                let ($(mut $y,)+) = ($(loaded(&$y[start..]),)+);
                for k in 0..AT_ONCE {
                    ($($y[k],)+) = {
                        let ($($x,)+) = ($($x[k],)+);
                        #[allow(unused_variables)]
                        let ($($y,)+) = ($($y[k],)+);
                        $formula
                    };
                }
                [$($y),+]
            };
            for (to, found) in to.iter_mut().zip(&found) {
                stored(&mut to[start..], found);
            }
        }
    }};
}

/// Elements, with zeros where there are fewer.
#[inline(always)]
fn loaded<F: Real>(x: &[F]) -> [F; AT_ONCE] {
    match x.first_chunk() {
        Some(x) => *x,
        None => {
            let mut padded = [F::of(0.0); AT_ONCE];
            padded[..x.len()].copy_from_slice(x);
            padded
        }
    }
}

/// Puts elements where there is room for them.
#[inline(always)]
fn stored<F: Real>(y: &mut [F], found: &[F; AT_ONCE]) {
    let room = y.len().min(AT_ONCE);
    match y.first_chunk_mut() {
        Some(y) => *y = *found,
        None => y.copy_from_slice(&found[..room]),
    }
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

/// e to the power of x, for x up to 0, within two units of the last place: what loops over a row are vectorised with. It is 0
/// where it leaves the range of floats.
#[inline(always)]
pub fn fast_exp(x: f32) -> f32 {
    // Adding it rounds to a whole number, which stands in the last bits.
    const ROUND: f32 = 12_582_912.0;
    const LEAST: f32 = -87.336;
    let bounded = if x < LEAST { LEAST } else { x };
    let shifted = bounded * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    // ln 2 in two parts, the first of few digits (Cephes' expf, Moshier).
    let r = bounded - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let p = ((((1.987_569_1e-4 * r + 1.398_199_9e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r + 0.166_666_65) * r
        + 0.5;
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    let value = (p * r * r + r + 1.0) * f32::from_bits(power);
    if x < LEAST { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_exponential_is_right_to_two_units() {
        for i in 0..=87_200 {
            let x = -(i as f32) * 1e-3;
            let (got, want) = (f64::from(fast_exp(x)), f64::from(x).exp());
            assert!((got - want).abs() <= 2.0 * f64::from(f32::EPSILON) * want, "{x}: {got}, not {want}");
        }
        assert_eq!([fast_exp(-1e30), fast_exp(f32::NEG_INFINITY), fast_exp(0.0)], [0.0, 0.0, 1.0]);
        assert!(fast_exp(f32::NAN).is_nan());
    }

    #[test]
    fn places_are_walked_once_each() {
        assert_eq!((0..5).map(|s| place(s, 3, true)).collect::<Vec<_>>(), [2, 1, 0, 3, 4]);
        assert_eq!((0..5).map(|s| place(s, 3, false)).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!((0..2).map(|s| place(s, 0, true)).collect::<Vec<_>>(), [0, 1]);
    }
}
