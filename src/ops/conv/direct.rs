//! Convolutions with few input channels on the CPU: direct, in vectors of output channels.

use crate::ops::conv::geometry::Geometry;
use crate::ops::pointwise::then::Then;
use crate::ops::prelude::*;
use crate::ops::sums::{RUN, Runs};
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

// One image's work stands in a struct with `with_simd`, and not in a closure: only so is all of it compiled
// for the wide vectors.

/// Whether a convolution is small enough for these forms; others go through a matrix product.
pub fn fits(g: &Geometry) -> bool {
    g.terms() <= 32
}

/// Samples that share one partial sum: a fixed number, so that results do not depend on the threads.
const SHARE: usize = 8;

/// An image with its zeros around it, and where each tap lies, seen from the first pixel of its window.
struct Padded {
    pixels: Vec<f32>,
    width: usize,
    taps: Vec<usize>,
}

impl Padded {
    fn new(g: &Geometry) -> Self {
        let height = ((g.oh - 1) * g.sh + g.kh).max(g.h + g.pt);
        let width = ((g.ow - 1) * g.sw + g.kw).max(g.w + g.pl);
        let tap = |t: usize| ((t / (g.kw * g.c)) * width + t / g.c % g.kw) * g.c + t % g.c;
        Padded { pixels: vec![0.0; height * width * g.c], width, taps: (0..g.terms()).map(tap).collect() }
    }

    fn fill(&mut self, g: &Geometry, image: &[f32]) {
        for (row, pixels) in image.chunks(g.w * g.c).enumerate() {
            let at = ((row + g.pt) * self.width + g.pl) * g.c;
            self.pixels[at..][..pixels.len()].copy_from_slice(pixels);
        }
    }

    /// The first pixels of the windows of four places: side by side from (row, left), or two by two.
    #[inline(always)]
    fn windows(&self, g: &Geometry, row: usize, left: usize, square: bool) -> [usize; 4] {
        let mut at = [0; 4];
        for (p, at) in at.iter_mut().enumerate() {
            let (row, column) = if square { (row + p / 2, left + p % 2) } else { (row, left + p) };
            *at = (row * g.sh * self.width + column.min(g.ow - 1) * g.sw) * g.c;
        }
        at
    }
}

/// Pairs of vectors that hold `channels`.
fn pairs<S: Simd>(channels: usize) -> usize {
    channels.div_ceil(2 * S::F32_LANES)
}

/// The part of a row of channels that vector `v` of a pair covers; less than a vector, or nothing, at the end.
#[inline(always)]
fn part<S: Simd>(channels: usize, pair: usize, v: usize) -> std::ops::Range<usize> {
    let from = ((2 * pair + v) * S::F32_LANES).min(channels);
    from..(from + S::F32_LANES).min(channels)
}

/// Rows of `channels` numbers, each filled up with zeros to whole pairs of vectors.
fn padded_rows<S: Simd>(rows: &[f32], channels: usize) -> Vec<f32> {
    let wide = pairs::<S>(channels) * 2 * S::F32_LANES;
    let mut padded = vec![0.0; rows.len() / channels * wide];
    for (to, from) in padded.chunks_mut(wide).zip(rows.chunks(channels)) {
        to[..channels].copy_from_slice(from);
    }
    padded
}

/// The forward pass; with `argmax` a ReLU and a 2 × 2 pool after it.
pub struct Forward<'a> {
    pub g: &'a Geometry,
    pub x: &'a [f32],
    pub w: &'a [f32],
    pub b: Option<&'a [f32]>,
    pub then: Then,
    pub y: &'a mut [f32],
    pub argmax: Option<&'a mut [u32]>,
}

impl Forward<'_> {
    /// Runs on the widest vectors of this processor.
    pub fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Forward { g, x, w, b, then, y, argmax } = self;
        let zeros = vec![0.0; g.o];
        let (w, b) = (&*padded_rows::<S>(w, g.o), &*padded_rows::<S>(b.unwrap_or(&zeros), g.o));
        let images = x.par_chunks(g.h * g.w * g.c);
        match argmax {
            None => {
                let images = images.zip(y.par_chunks_mut(g.oh * g.ow * g.o));
                let one = |x: &mut Padded, (image, y): (&[f32], &mut [f32])| {
                    x.fill(g, image);
                    simd.vectorize(Plain { g, x, w, b, relu: then == Then::Relu, y });
                    if let Then::Apply(_) = then {
                        then.apply(y);
                    }
                };
                images.for_each_init(|| Padded::new(g), one);
            }
            Some(argmax) => {
                let size = (g.oh / 2) * (g.ow / 2) * g.o;
                let images = images.zip(y.par_chunks_mut(size)).zip(argmax.par_chunks_mut(size));
                let one = |x: &mut Padded, ((image, y), argmax): ((&[f32], &mut [f32]), &mut [u32])| {
                    x.fill(g, image);
                    simd.vectorize(Pooled { g, x, w, b, y, argmax });
                };
                images.for_each_init(|| Padded::new(g), one);
            }
        }
    }
}

/// Four places' sums for one pair of vectors: bias + Σ x · w.
#[inline(always)]
fn four<S: Simd>(simd: S, x: &Padded, at: [usize; 4], w: &[S::f32s], b: &[S::f32s], pairs: usize) -> [[S::f32s; 2]; 4] {
    let mut sums = [[b[0], b[1]]; 4];
    for (tap, w) in x.taps.iter().zip(w.chunks(2 * pairs)) {
        for (sum, at) in sums.iter_mut().zip(at) {
            let pixel = simd.splat_f32s(x.pixels[at + tap]);
            sum[0] = simd.mul_add_f32s(pixel, w[0], sum[0]);
            sum[1] = simd.mul_add_f32s(pixel, w[1], sum[1]);
        }
    }
    sums
}

struct Plain<'a> {
    g: &'a Geometry,
    x: &'a Padded,
    w: &'a [f32],
    b: &'a [f32],
    relu: bool,
    y: &'a mut [f32],
}

impl WithSimd for Plain<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Plain { g, x, w, b, relu, y } = self;
        let (w, b) = (S::as_simd_f32s(w).0, S::as_simd_f32s(b).0);
        let (pairs, zero) = (pairs::<S>(g.o), simd.splat_f32s(0.0));
        for row in 0..g.oh {
            for left in (0..g.ow).step_by(4) {
                let at = x.windows(g, row, left, false);
                for pair in 0..pairs {
                    let sums = four(simd, x, at, &w[2 * pair..], &b[2 * pair..], pairs);
                    for (p, sum) in sums.iter().enumerate().take(g.ow - left) {
                        let y = &mut y[(row * g.ow + left + p) * g.o..][..g.o];
                        for (v, sum) in sum.iter().enumerate() {
                            let sum = if relu { simd.max_f32s(*sum, zero) } else { *sum };
                            simd.partial_store_f32s(&mut y[part::<S>(g.o, pair, v)], sum);
                        }
                    }
                }
            }
        }
    }
}

struct Pooled<'a> {
    g: &'a Geometry,
    x: &'a Padded,
    w: &'a [f32],
    b: &'a [f32],
    y: &'a mut [f32],
    argmax: &'a mut [u32],
}

impl WithSimd for Pooled<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Pooled { g, x, w, b, y, argmax } = self;
        let (w, b) = (S::as_simd_f32s(w).0, S::as_simd_f32s(b).0);
        let (pairs, zero, none) = (pairs::<S>(g.o), simd.splat_f32s(0.0), simd.splat_u32s(4));
        let pw = g.ow / 2;
        for (window, (y, argmax)) in y.chunks_mut(g.o).zip(argmax.chunks_mut(g.o)).enumerate() {
            let at = x.windows(g, window / pw * 2, window % pw * 2, true);
            for pair in 0..pairs {
                let sums = four(simd, x, at, &w[2 * pair..], &b[2 * pair..], pairs);
                for v in 0..2 {
                    let (mut most, mut best) = (sums[0][v], simd.splat_u32s(0));
                    for (p, sum) in sums.iter().enumerate().skip(1) {
                        let larger = simd.greater_than_f32s(sum[v], most);
                        best = simd.select_u32s(larger, simd.splat_u32s(p as u32), best);
                        most = simd.select_f32s(larger, sum[v], most);
                    }
                    let (alive, part) = (simd.greater_than_f32s(most, zero), part::<S>(g.o, pair, v));
                    simd.partial_store_f32s(&mut y[part.clone()], simd.select_f32s(alive, most, zero));
                    simd.partial_store_u32s(&mut argmax[part], simd.select_u32s(alive, best, none));
                }
            }
        }
    }
}

/// The gradients of weights and bias; with `argmax`, of a convolution with ReLU and 2 × 2 pool after it.
pub struct Gradient<'a> {
    pub g: &'a Geometry,
    pub x: &'a [f32],
    pub dy: &'a [f32],
    pub argmax: Option<&'a [u32]>,
    pub dw: &'a mut [f32],
    pub db: &'a mut [f32],
}

impl Gradient<'_> {
    /// Runs on the widest vectors of this processor.
    pub fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Gradient { g, x, dy, argmax, dw, db } = self;
        let (pixels, places) = (g.h * g.w * g.c, dy.len() / g.n);
        let wide = pairs::<S>(g.o) * 2 * S::F32_LANES;
        let share = |x_padded: &mut Padded, share: usize| {
            let mut sums = Runs::new((g.terms() + 1) * wide);
            for n in share * SHARE..((share + 1) * SHARE).min(g.n) {
                x_padded.fill(g, &x[n * pixels..][..pixels]);
                let dy = &dy[n * places..][..places];
                let argmax = argmax.map(|argmax| &argmax[n * places..][..places]);
                let rows = if argmax.is_some() { g.oh / 2 } else { g.oh };
                // As many rows as a run may have, and at least one.
                let step = (RUN / g.ow).max(1).min(rows.max(1));
                for first in (0..rows).step_by(step) {
                    let rows = first..rows.min(first + step);
                    sums.before(rows.len() * g.ow);
                    simd.vectorize(Shared { g, x: x_padded, dy, argmax, rows, sums: &mut sums.now });
                }
            }
            sums.finish()
        };
        let shares = (0..g.n.div_ceil(SHARE)).into_par_iter();
        let partials: Vec<Vec<f32>> = shares.map_init(|| Padded::new(g), share).collect();
        for (t, row) in dw.chunks_mut(g.o).chain([db]).enumerate() {
            for (o, sum) in row.iter_mut().enumerate() {
                *sum = partials.iter().map(|partial| partial[t * wide + o]).sum();
            }
        }
    }
}

struct Shared<'a> {
    g: &'a Geometry,
    x: &'a Padded,
    dy: &'a [f32],
    argmax: Option<&'a [u32]>,
    rows: Range<usize>,
    sums: &'a mut [f32],
}

impl WithSimd for Shared<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Shared { g, x, dy, argmax, rows, sums } = self;
        let (pairs, sums) = (pairs::<S>(g.o), S::as_mut_simd_f32s(sums).0);
        let (columns, step) = match argmax {
            Some(_) => (g.ow / 2, 1),
            None => (g.ow, 4),
        };
        for row in rows {
            for left in (0..columns).step_by(step) {
                let at = match argmax {
                    Some(_) => x.windows(g, 2 * row, 2 * left, true),
                    None => x.windows(g, row, left, false),
                };
                let place = (row * columns + left) * g.o;
                for pair in 0..pairs {
                    let mut four = [[simd.splat_f32s(0.0); 2]; 4];
                    for v in 0..2 {
                        let part = part::<S>(g.o, pair, v);
                        match argmax {
                            Some(argmax) => {
                                let dy = simd.partial_load_f32s(&dy[place..][part.clone()]);
                                let best = simd.partial_load_u32s(&argmax[place..][part]);
                                for (p, four) in four.iter_mut().enumerate() {
                                    let here = simd.equal_u32s(best, simd.splat_u32s(p as u32));
                                    four[v] = simd.select_f32s(here, dy, four[v]);
                                }
                            }
                            None => {
                                for (p, four) in four.iter_mut().enumerate().take(columns - left) {
                                    four[v] = simd.partial_load_f32s(&dy[place + p * g.o..][part.clone()]);
                                }
                            }
                        }
                    }
                    add(simd, x, at, four, &mut sums[2 * pair..], pairs);
                }
            }
        }
    }
}

/// Adds four places' x · dy to the sums of every tap, and their dy to the row after them.
#[inline(always)]
fn add<S: Simd>(simd: S, x: &Padded, at: [usize; 4], dy: [[S::f32s; 2]; 4], sums: &mut [S::f32s], pairs: usize) {
    let mut rows = sums.chunks_mut(2 * pairs);
    for (tap, sum) in x.taps.iter().zip(&mut rows) {
        for (at, dy) in at.iter().zip(&dy) {
            let pixel = simd.splat_f32s(x.pixels[at + tap]);
            sum[0] = simd.mul_add_f32s(pixel, dy[0], sum[0]);
            sum[1] = simd.mul_add_f32s(pixel, dy[1], sum[1]);
        }
    }
    if let Some(sum) = rows.next() {
        for dy in dy {
            sum[0] = simd.add_f32s(sum[0], dy[0]);
            sum[1] = simd.add_f32s(sum[1], dy[1]);
        }
    }
}
