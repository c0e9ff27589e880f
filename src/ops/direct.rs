//! Convolutions with few input channels on the CPU: direct, in vectors of output channels.

use super::geometry::Geometry;
use super::prelude::*;
use pulp::{Arch, Simd, WithSimd};

/// Whether a convolution is small enough for these forms; others go through a matrix product.
pub fn fits(g: &Geometry) -> bool {
    g.terms() <= 32
}

/// An image with its zeros around it, and where a place's window and each tap lie in it.
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

    fn place(&self, g: &Geometry, row: usize, column: usize) -> usize {
        (row * g.sh * self.width + column * g.sw) * g.c
    }
}

/// Vectors that hold `channels`, in pairs.
fn pairs<S: Simd>(channels: usize) -> usize {
    channels.div_ceil(2 * S::F32_LANES)
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

/// Four places' sums for one pair of vectors: bias + Σ x · w.
#[inline(always)]
fn four<S: Simd>(
    simd: S,
    x: &Padded,
    at: [usize; 4],
    w: &[S::f32s],
    b: [S::f32s; 2],
    step: usize,
) -> [[S::f32s; 2]; 4] {
    let mut sums = [b; 4];
    for (tap, w) in x.taps.iter().zip(w.chunks(step)) {
        for (sum, at) in sums.iter_mut().zip(at) {
            let pixel = simd.splat_f32s(x.pixels[at + tap]);
            sum[0] = simd.mul_add_f32s(pixel, w[0], sum[0]);
            sum[1] = simd.mul_add_f32s(pixel, w[1], sum[1]);
        }
    }
    sums
}

/// Writes a pair of vectors to the part of `row` that begins at `channel`.
#[inline(always)]
fn store<S: Simd>(simd: S, row: &mut [f32], channel: usize, pair: [S::f32s; 2]) {
    for (v, vector) in pair.into_iter().enumerate() {
        let from = (channel + v * S::F32_LANES).min(row.len());
        let to = (from + S::F32_LANES).min(row.len());
        simd.partial_store_f32s(&mut row[from..to], vector);
    }
}

/// Reads a pair of vectors from the part of `row` that begins at `channel`.
#[inline(always)]
fn load<S: Simd>(simd: S, row: &[f32], channel: usize) -> [S::f32s; 2] {
    [0, 1].map(|v| {
        let from = (channel + v * S::F32_LANES).min(row.len());
        let to = (from + S::F32_LANES).min(row.len());
        simd.partial_load_f32s(&row[from..to])
    })
}

/// The forward pass; with `argmax` behind it a ReLU and a 2 × 2 pool.
pub struct Forward<'a> {
    pub g: &'a Geometry,
    pub x: &'a [f32],
    pub w: &'a [f32],
    pub b: &'a [f32],
    pub relu: bool,
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
        let Forward { g, x, w, b, relu, y, argmax } = self;
        let (w, b) = (padded_rows::<S>(w, g.o), padded_rows::<S>(b, g.o));
        let (w, b) = (S::as_simd_f32s(&w).0, S::as_simd_f32s(&b).0);
        let images = x.par_chunks(g.h * g.w * g.c);
        match argmax {
            None => {
                let images = images.zip(y.par_chunks_mut(g.oh * g.ow * g.o));
                images.for_each_init(
                    || Padded::new(g),
                    |padded, (x, y)| {
                        padded.fill(g, x);
                        simd.vectorize(|| plain(simd, g, padded, w, b, relu, y));
                    },
                );
            }
            Some(argmax) => {
                let size = (g.oh / 2) * (g.ow / 2) * g.o;
                let images = images.zip(y.par_chunks_mut(size).zip(argmax.par_chunks_mut(size)));
                images.for_each_init(
                    || Padded::new(g),
                    |padded, (x, (y, argmax))| {
                        padded.fill(g, x);
                        simd.vectorize(|| pooled(simd, g, padded, w, b, y, argmax));
                    },
                );
            }
        }
    }
}

#[inline(always)]
fn plain<S: Simd>(simd: S, g: &Geometry, x: &Padded, w: &[S::f32s], b: &[S::f32s], relu: bool, y: &mut [f32]) {
    let (pairs, zero) = (pairs::<S>(g.o), simd.splat_f32s(0.0));
    for row in 0..g.oh {
        for left in (0..g.ow).step_by(4) {
            let at = [0, 1, 2, 3].map(|p| x.place(g, row, (left + p).min(g.ow - 1)));
            for pair in 0..pairs {
                let bias = [b[2 * pair], b[2 * pair + 1]];
                let sums = four(simd, x, at, &w[2 * pair..], bias, 2 * pairs);
                for (p, sum) in sums.into_iter().enumerate().take(g.ow - left) {
                    let sum = if relu { sum.map(|v| simd.max_f32s(v, zero)) } else { sum };
                    let place = (row * g.ow + left + p) * g.o;
                    store(simd, &mut y[place..][..g.o], pair * 2 * S::F32_LANES, sum);
                }
            }
        }
    }
}

#[inline(always)]
fn pooled<S: Simd>(simd: S, g: &Geometry, x: &Padded, w: &[S::f32s], b: &[S::f32s], y: &mut [f32], argmax: &mut [u32]) {
    let (pairs, zero, none) = (pairs::<S>(g.o), simd.splat_f32s(0.0), simd.splat_u32s(4));
    let (ph, pw) = (g.oh / 2, g.ow / 2);
    for window in 0..ph * pw {
        let at = [0, 1, 2, 3].map(|p| x.place(g, window / pw * 2 + p / 2, window % pw * 2 + p % 2));
        let (y, argmax) = (&mut y[window * g.o..][..g.o], &mut argmax[window * g.o..][..g.o]);
        for pair in 0..pairs {
            let bias = [b[2 * pair], b[2 * pair + 1]];
            let sums = four(simd, x, at, &w[2 * pair..], bias, 2 * pairs);
            for v in 0..2 {
                let (mut most, mut best) = (sums[0][v], simd.splat_u32s(0));
                for (p, sum) in sums.iter().enumerate().skip(1) {
                    let larger = simd.greater_than_f32s(sum[v], most);
                    best = simd.select_u32s(larger, simd.splat_u32s(p as u32), best);
                    most = simd.select_f32s(larger, sum[v], most);
                }
                let alive = simd.greater_than_f32s(most, zero);
                let from = ((2 * pair + v) * S::F32_LANES).min(g.o);
                let to = (from + S::F32_LANES).min(g.o);
                simd.partial_store_f32s(&mut y[from..to], simd.select_f32s(alive, most, zero));
                simd.partial_store_u32s(&mut argmax[from..to], simd.select_u32s(alive, best, none));
            }
        }
    }
}

/// Samples that share one partial sum: a fixed number, so that results do not depend on the threads.
const SHARE: usize = 8;

/// The gradients of weights and bias; with `argmax`, of a convolution with ReLU and 2 × 2 pool behind it.
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
        let partials: Vec<Vec<f32>> = (0..g.n.div_ceil(SHARE))
            .into_par_iter()
            .map_init(
                || Padded::new(g),
                |padded, share| {
                    let mut sums = vec![0.0; (g.terms() + 1) * pairs::<S>(g.o) * 2 * S::F32_LANES];
                    for n in share * SHARE..((share + 1) * SHARE).min(g.n) {
                        padded.fill(g, &x[n * pixels..][..pixels]);
                        let dy = &dy[n * places..][..places];
                        let argmax = argmax.map(|argmax| &argmax[n * places..][..places]);
                        simd.vectorize(|| gradient(simd, g, padded, dy, argmax, &mut sums));
                    }
                    sums
                },
            )
            .collect();
        let wide = pairs::<S>(g.o) * 2 * S::F32_LANES;
        for (t, row) in dw.chunks_mut(g.o).chain([db]).enumerate() {
            for (o, sum) in row.iter_mut().enumerate() {
                *sum = partials.iter().map(|partial| partial[t * wide + o]).sum();
            }
        }
    }
}

#[inline(always)]
fn gradient<S: Simd>(simd: S, g: &Geometry, x: &Padded, dy: &[f32], argmax: Option<&[u32]>, sums: &mut [f32]) {
    let pairs = pairs::<S>(g.o);
    let sums = S::as_mut_simd_f32s(sums).0;
    let columns = if argmax.is_some() { g.ow / 2 * 2 } else { g.ow };
    let rows = if argmax.is_some() { g.oh / 2 } else { g.oh };
    for row in 0..rows {
        for left in (0..columns).step_by(if argmax.is_some() { 2 } else { 4 }) {
            let at = [0, 1, 2, 3].map(|p| match argmax {
                Some(_) => x.place(g, row * 2 + p / 2, left + p % 2),
                None => x.place(g, row, (left + p).min(g.ow - 1)),
            });
            for pair in 0..pairs {
                let channel = pair * 2 * S::F32_LANES;
                let dy: [[S::f32s; 2]; 4] = match argmax {
                    Some(argmax) => {
                        let place = (row * (g.ow / 2) + left / 2) * g.o;
                        let (whole, argmax) = (load(simd, &dy[place..][..g.o], channel), &argmax[place..][..g.o]);
                        [0, 1, 2, 3].map(|p| {
                            [0, 1].map(|v| {
                                let from = (channel + v * S::F32_LANES).min(g.o);
                                let to = (from + S::F32_LANES).min(g.o);
                                let here = simd.partial_load_u32s(&argmax[from..to]);
                                let here = simd.equal_u32s(here, simd.splat_u32s(p));
                                simd.select_f32s(here, whole[v], simd.splat_f32s(0.0))
                            })
                        })
                    }
                    None => [0, 1, 2, 3].map(|p| match left + p < g.ow {
                        true => load(simd, &dy[(row * g.ow + left + p) * g.o..][..g.o], channel),
                        false => [simd.splat_f32s(0.0); 2],
                    }),
                };
                let mut rows = sums.chunks_mut(2 * pairs);
                for (tap, sum) in x.taps.iter().zip(&mut rows) {
                    let sum = &mut sum[2 * pair..][..2];
                    for (at, dy) in at.iter().zip(&dy) {
                        let pixel = simd.splat_f32s(x.pixels[at + tap]);
                        sum[0] = simd.mul_add_f32s(pixel, dy[0], sum[0]);
                        sum[1] = simd.mul_add_f32s(pixel, dy[1], sum[1]);
                    }
                }
                if let Some(sum) = rows.next() {
                    for dy in dy {
                        sum[2 * pair] = simd.add_f32s(sum[2 * pair], dy[0]);
                        sum[2 * pair + 1] = simd.add_f32s(sum[2 * pair + 1], dy[1]);
                    }
                }
            }
        }
    }
}
