//! Convolutions with many channels on the CPU: an image's patches as a matrix, and the gemm crate.

use crate::ops::conv::geometry::Geometry;
use crate::ops::prelude::*;
use crate::ops::sums::{RUN, Runs, columns};
use crate::sys::{Gemm, gemm};

/// Samples that share one partial sum: a fixed number, so that results do not depend on the threads.
const SHARE: usize = 8;

/// The runs of pixels that patches are made of: (offset in the image, offset in the matrix, length).
fn runs(g: &Geometry) -> Vec<[usize; 3]> {
    let mut runs = Vec::new();
    for place in 0..g.oh * g.ow {
        for i in 0..g.kh {
            let row = (place / g.ow * g.sh + i).wrapping_sub(g.pt);
            let left = place % g.ow * g.sw;
            // The columns of the window that are inside the image.
            let first = g.pl.saturating_sub(left).min(g.kw);
            let last = (g.w + g.pl).saturating_sub(left).min(g.kw);
            if row < g.h && first < last {
                let pixel = row * g.w + left + first - g.pl;
                let at = (place * g.kh + i) * g.kw + first;
                runs.push([pixel * g.c, at * g.c, (last - first) * g.c]);
            }
        }
    }
    runs
}

/// The patches of one image, [places, terms]; what is outside the image stays as it is: zero.
fn patches(runs: &[[usize; 3]], image: &[f32], matrix: &mut [f32]) {
    for &[pixel, at, length] in runs {
        matrix[at..at + length].copy_from_slice(&image[pixel..pixel + length]);
    }
}

/// The forward pass before bias and ReLU.
pub fn forward(g: &Geometry, x: &[f32], w: &[f32], y: &mut [f32]) {
    let (runs, sizes) = (runs(g), [g.oh * g.ow, g.o, g.terms()]);
    let images = x.par_chunks(g.h * g.w * g.c).zip(y.par_chunks_mut(sizes[0] * g.o));
    images.for_each_init(
        || vec![0.0; sizes[0] * g.terms()],
        |matrix, (x, y)| {
            patches(&runs, x, matrix);
            gemm(Gemm::serial(sizes), y, (matrix, [g.terms(), 1]), (w, [g.o, 1]));
        },
    );
}

/// The forward pass with bias, ReLU and a 2 × 2 pool after it.
pub fn forward_pooled(g: &Geometry, x: &[f32], w: &[f32], b: Option<&[f32]>, y: &mut [f32], argmax: &mut [u32]) {
    let (runs, sizes) = (runs(g), [g.oh * g.ow, g.o, g.terms()]);
    let (ph, pw) = (g.oh / 2, g.ow / 2);
    let size = ph * pw * g.o;
    let images = x.par_chunks(g.h * g.w * g.c).zip(y.par_chunks_mut(size).zip(argmax.par_chunks_mut(size)));
    images.for_each_init(
        || (vec![0.0; sizes[0] * g.terms()], vec![0.0; sizes[0] * g.o]),
        |(matrix, z), (x, (y, argmax))| {
            patches(&runs, x, matrix);
            gemm(Gemm::serial(sizes), z, (matrix, [g.terms(), 1]), (w, [g.o, 1]));
            for (window, (y, argmax)) in y.chunks_mut(g.o).zip(argmax.chunks_mut(g.o)).enumerate() {
                let place = |p: usize| ((window / pw * 2 + p / 2) * g.ow + window % pw * 2 + p % 2) * g.o;
                let rows = [0, 1, 2, 3].map(|p| &z[place(p)..][..g.o]);
                for o in 0..g.o {
                    let best = (1..4).fold(0, |best, p| if rows[p][o] > rows[best][o] { p } else { best });
                    let most = rows[best][o] + b.map_or(0.0, |b| b[o]);
                    (y[o], argmax[o]) = if most > 0.0 { (most, best as u32) } else { (0.0, 4) };
                }
            }
        },
    );
}

/// The gradient of one image's places; where a 2 × 2 pool follows it is spread out from its windows into `space`.
fn of_places<'a>(g: &Geometry, n: usize, dy: &'a [f32], argmax: Option<&[u32]>, space: &'a mut Vec<f32>) -> &'a [f32] {
    let (ph, pw) = (g.oh / 2, g.ow / 2);
    let Some(argmax) = argmax else { return &dy[n * g.oh * g.ow * g.o..][..g.oh * g.ow * g.o] };
    let (dy, argmax) = (&dy[n * ph * pw * g.o..], &argmax[n * ph * pw * g.o..]);
    space.clear();
    space.resize(g.oh * g.ow * g.o, 0.0);
    for window in 0..ph * pw {
        let place = |p: usize| ((window / pw * 2 + p / 2) * g.ow + window % pw * 2 + p % 2) * g.o;
        let at = window * g.o;
        for p in 0..4 {
            let rows = dy[at..at + g.o].iter().zip(&argmax[at..at + g.o]);
            for (z, (dy, best)) in space[place(p)..][..g.o].iter_mut().zip(rows) {
                *z = if *best == p as u32 { *dy } else { 0.0 };
            }
        }
    }
    space
}

/// The gradient of the input; dy is that of a 2 × 2 pool after the convolution if there is an argmax.
pub fn input_gradient(g: &Geometry, dy: &[f32], argmax: Option<&[u32]>, w: &[f32], dx: &mut [f32]) {
    let (runs, places) = (runs(g), g.oh * g.ow);
    let images = dx.par_chunks_mut(g.h * g.w * g.c).enumerate();
    images.for_each_init(
        || (vec![0.0; places * g.terms()], Vec::new()),
        |(matrix, space), (n, dx)| {
            let dy = of_places(g, n, dy, argmax, space);
            gemm(Gemm::serial([places, g.terms(), g.o]), matrix, (dy, [g.o, 1]), (w, [1, g.o]));
            dx.fill(0.0);
            for &[pixel, at, length] in &runs {
                let from = &matrix[at..at + length];
                dx[pixel..pixel + length].iter_mut().zip(from).for_each(|(dx, d)| *dx += d);
            }
        },
    );
}

/// The gradients of weights and bias; dy is that of a 2 × 2 pool after the convolution if there is an argmax.
pub fn weight_gradient(g: &Geometry, x: &[f32], dy: &[f32], argmax: Option<&[u32]>, dw: &mut [f32], db: &mut [f32]) {
    let (runs, places, pixels) = (runs(g), g.oh * g.ow, g.h * g.w * g.c);
    let weights = g.terms() * g.o;
    let partials: Vec<Vec<f32>> = (0..g.n.div_ceil(SHARE))
        .into_par_iter()
        .map_init(
            || (vec![0.0; places * g.terms()], Vec::new()),
            |(matrix, space), share| {
                let mut sums = Runs::new(weights + g.o);
                for n in share * SHARE..((share + 1) * SHARE).min(g.n) {
                    let dy = of_places(g, n, dy, argmax, space);
                    patches(&runs, &x[n * pixels..][..pixels], matrix);
                    // The product has runs of its own.
                    sums.before(places);
                    let (dw, db) = sums.now.split_at_mut(weights);
                    let sizes = Gemm { accumulate: true, ..Gemm::serial([g.terms(), g.o, places]) };
                    gemm(sizes, dw, (matrix, [1, g.terms()]), (dy, [g.o, 1]));
                    match places > RUN {
                        true => {
                            let mut of_image = vec![0.0; g.o];
                            columns(dy, &mut of_image);
                            db.copy_from_slice(&of_image);
                        }
                        false => dy.chunks(g.o).for_each(|row| db.iter_mut().zip(row).for_each(|(db, dy)| *db += dy)),
                    }
                }
                sums.finish()
            },
        )
        .collect();
    dw.fill(0.0);
    db.fill(0.0);
    for partial in partials {
        dw.iter_mut().chain(db.iter_mut()).zip(partial).for_each(|(sum, part)| *sum += part);
    }
}
