//! Activations on the CPU in whole vectors, and their gradients.

use crate::ir::op::Real;
use crate::ops::pointwise::activation::Function;
use crate::ops::sequence::cells::fast_exp;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Elements of a piece that one thread takes.
const PIECE: usize = 4096;

/// erf, as the shaders have it: N. Juffa's erff (stackoverflow.com/a/35148199), within 2⁻²³.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let t = x.abs().min(4.0);
    let s = t * t;
    let mut r = (-1.728_534_7e-5 * t + 3.831_972_6e-4) * s + (-3.883_963_8e-3 * t + 2.425_462_2e-2);
    r = ((r * t - 1.067_778_8e-1) * t - 6.348_469e-1) * t - 1.287_175_1e-1;
    let far = 1.0 - fast_exp((r * t - t).min(0.0));
    let near =
        (((((-5.967_617e-4 * s + 4.991_194_2e-3) * s - 2.676_813_5e-2) * s + 1.128_199_3e-1) * s - 3.761_253_4e-1) * s
            + 1.283_791_7e-1)
            * t
            + t;
    (if t > 0.927_734_4 { far } else { near }).copysign(x)
}

/// Φ, the normal distribution.
#[inline(always)]
fn normal(x: f32) -> f32 {
    0.5 + 0.5 * erf(x * std::f32::consts::FRAC_1_SQRT_2)
}

/// x · Φ(x).
#[inline(always)]
fn gelu(x: f32) -> f32 {
    x * normal(x)
}

/// The function of x, in single precision the same bits as [`apply`] gives.
pub(super) fn value<F: Real>(function: Function, x: F, slope: f32) -> F {
    if function == Function::Gelu && size_of::<F>() == size_of::<f32>() {
        return F::of(gelu(x.f64() as f32).into());
    }
    F::of(function.value(x.f64(), slope))
}

/// A loop over a piece, compiled for the wide vectors.
struct Piece<'a> {
    y: &'a mut [f32],
    x: &'a [f32],
    dy: Option<&'a [f32]>,
}

impl WithSimd for Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        // 1 / √(2π).
        const DENSITY: f32 = 0.398_942_3;
        match self.dy {
            None => self.y.iter_mut().zip(self.x).for_each(|(y, &x)| *y = gelu(x)),
            Some(dy) => self.y.iter_mut().zip(self.x).zip(dy).for_each(|((dx, &x), &dy)| {
                *dx = dy * (normal(x) + x * (DENSITY * fast_exp(-0.5 * x * x)));
            }),
        }
    }
}

/// Sets y to the function of x, or with dy to dy times its derivative there; `false` if there is no such form of it.
pub(super) fn apply(function: Function, y: &mut [f32], x: &[f32], dy: Option<&[f32]>) -> bool {
    if function != Function::Gelu {
        return false;
    }
    let arch = Arch::new();
    y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).enumerate().for_each(|(n, (y, x))| {
        let dy = dy.map(|dy| &dy[n * PIECE..][..x.len()]);
        arch.dispatch(Piece { y, x, dy });
    });
    true
}
