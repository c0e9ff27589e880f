//! Activations on the CPU in whole vectors, and their gradients.

use crate::ir::op::Real;
use crate::ops::exponential::fast_exp;
use crate::ops::pointwise::activation::{Function, GELU_CUBIC, GELU_LINEAR};
use crate::ops::vectors::each;
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

#[inline(always)]
fn gelu_slope(x: f32) -> f32 {
    // 1 / √(2π).
    const DENSITY: f32 = 0.398_942_3;
    normal(x) + x * (DENSITY * fast_exp(-0.5 * x * x))
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    let e = fast_exp(-x.abs());
    (if x >= 0.0 { 1.0 } else { e }) / (1.0 + e)
}

/// x / (1 + e⁻ˣ).
#[inline(always)]
pub(super) fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

#[inline(always)]
pub(super) fn silu_slope(x: f32) -> f32 {
    sigmoid(x) * (1.0 + x * sigmoid(-x))
}

/// The argument of the sigmoid in the tanh form of GELU, and its slope.
#[inline(always)]
fn cubic(t: f32) -> [f32; 2] {
    let linear = GELU_LINEAR as f32;
    [linear * t * (1.0 + GELU_CUBIC as f32 * t * t), linear * (1.0 + 3.0 * GELU_CUBIC as f32 * t * t)]
}

/// Beyond this the tanh form of GELU is 0 or x.
#[inline(always)]
fn bounded(x: f32) -> f32 {
    x.clamp(-20.0, 20.0)
}

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    x * sigmoid(cubic(bounded(x))[0])
}

#[inline(always)]
fn gelu_tanh_slope(x: f32) -> f32 {
    let t = bounded(x);
    let [u, slope] = cubic(t);
    sigmoid(u) * (1.0 + t * slope * sigmoid(-u))
}

/// A function and its slope that have forms in whole vectors.
#[derive(Clone, Copy)]
enum Form {
    Gelu,
    GeluTanh,
    Silu,
}

impl Form {
    fn of(function: Function) -> Option<Form> {
        match function {
            Function::Gelu => Some(Form::Gelu),
            Function::GeluTanh => Some(Form::GeluTanh),
            Function::Silu => Some(Form::Silu),
            _ => None,
        }
    }
}

/// The function of x, in single precision the same bits as [`apply`] gives.
pub(super) fn value<F: Real>(function: Function, x: F, slope: f32) -> F {
    let single = |value: fn(f32) -> f32| F::of(value(x.f64() as f32).into());
    match Form::of(function).filter(|_| size_of::<F>() == size_of::<f32>()) {
        Some(Form::Gelu) => single(gelu),
        Some(Form::GeluTanh) => single(gelu_tanh),
        Some(Form::Silu) => single(silu),
        None => F::of(function.value(x.f64(), slope)),
    }
}

/// A loop over a piece, compiled for the wide vectors.
struct Piece<'a> {
    form: Form,
    y: &'a mut [f32],
    x: &'a [f32],
    dy: Option<&'a [f32]>,
}

impl Piece<'_> {
    #[inline(always)]
    fn run(self, value: impl Fn(f32) -> f32, slope: impl Fn(f32) -> f32) {
        let Piece { y, x, dy, .. } = self;
        match dy {
            None => each!([x] => [y] { (value(x),) }),
            Some(dy) => each!([x, dy] => [y] { (dy * slope(x),) }),
        }
    }
}

impl WithSimd for Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        match self.form {
            Form::Gelu => self.run(gelu, gelu_slope),
            Form::GeluTanh => self.run(gelu_tanh, gelu_tanh_slope),
            Form::Silu => self.run(silu, silu_slope),
        }
    }
}

/// Sets y to the function of x, or with dy to dy times its derivative there; `false` if there is no such form of it.
pub(super) fn apply(function: Function, y: &mut [f32], x: &[f32], dy: Option<&[f32]>) -> bool {
    let Some(form) = Form::of(function) else { return false };
    let arch = Arch::new();
    y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).enumerate().for_each(|(n, (y, x))| {
        let dy = dy.map(|dy| &dy[n * PIECE..][..x.len()]);
        arch.dispatch(Piece { form, y, x, dy });
    });
    true
}
