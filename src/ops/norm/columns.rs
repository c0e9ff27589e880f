//! Sums down the columns of [rows, channels], in chunks of rows: how normalisations come to the sums of a channel.

use crate::ops::prelude::*;

/// Rows of a chunk on the host, whatever the threads.
const HOST_ROWS: usize = 256;

/// How rows are split over workgroups. The chunks of a channel are summed sequentially, so there are few.
#[derive(Clone, Copy, Debug)]
pub struct Chunks {
    /// Eights of vectors.
    pub blocks: usize,
    /// Chunks of rows.
    pub chunks: usize,
    /// Rows of a chunk.
    pub per: usize,
}

impl Chunks {
    /// The chunks of this many rows of vectors.
    pub fn of(rows: usize, vectors: usize) -> Chunks {
        let per = rows.div_ceil((rows / 64).clamp(1, 128));
        Chunks { blocks: vectors.div_ceil(8), chunks: rows.div_ceil(per), per }
    }

    /// Workgroups: one for each eight vectors of a chunk.
    pub fn groups(&self) -> usize {
        self.blocks * self.chunks
    }

    /// The sizes by the names that the kernels use.
    pub fn sizes(&self) -> [(&'static str, usize); 3] {
        [("blocks", self.blocks), ("chunks", self.chunks), ("per", self.per)]
    }
}

/// Channels of a vector: four, where they come out even.
pub fn width(channels: usize) -> usize {
    if channels.is_multiple_of(4) { 4 } else { 1 }
}

/// Σ `term(r, c)` over the rows, for each channel; the order does not depend on the number of threads.
pub fn sums<F: Real>(rows: usize, channels: usize, term: impl Fn(usize, usize) -> F + Sync) -> Vec<F> {
    let chunk = |k: usize| {
        let mut sums = vec![F::of(0.0); channels];
        for r in k * HOST_ROWS..rows.min((k + 1) * HOST_ROWS) {
            sums.iter_mut().enumerate().for_each(|(c, sum)| *sum += term(r, c));
        }
        sums
    };
    let partials: Vec<Vec<F>> = (0..rows.div_ceil(HOST_ROWS)).into_par_iter().map(chunk).collect();
    let mut sums = vec![F::of(0.0); channels];
    sums::columns(&partials.concat(), &mut sums);
    sums
}

/// Σ dy·(x - mean)·scale and Σ dy over the rows, for each channel; mean and scale are those of the row. The order is that of [`sums`].
pub fn pairs(channels: usize, [dy, x]: [&[f32]; 2], [mean, scale]: [&[f32]; 2]) -> [Vec<f32>; 2] {
    let chunk = HOST_ROWS * channels;
    let chunks = dy.par_chunks(chunk).zip(x.par_chunks(chunk));
    let chunks = chunks.zip(mean.par_chunks(HOST_ROWS).zip(scale.par_chunks(HOST_ROWS)));
    let partials: Vec<[Vec<f32>; 2]> = chunks
        .map(|((dy, x), (mean, scale))| {
            let [mut with_x, mut alone] = [vec![0.0; channels], vec![0.0; channels]];
            let rows = dy.chunks(channels).zip(x.chunks(channels)).zip(mean.iter().zip(scale));
            for ((dy, x), (&mean, &scale)) in rows {
                let sums = with_x.iter_mut().zip(alone.iter_mut());
                for (((a, b), dy), x) in sums.zip(dy).zip(x) {
                    *a += dy * ((x - mean) * scale);
                    *b += dy;
                }
            }
            [with_x, alone]
        })
        .collect();
    [0, 1].map(|at| {
        let mut found = vec![0.0; channels];
        let all: Vec<f32> = partials.iter().flat_map(|part| part[at].iter().copied()).collect();
        sums::columns(&all, &mut found);
        found
    })
}

/// Σ `term(a, b)` over two rows, in eight sums side by side: what a processor adds in one vector.
pub fn across(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a.remainder().iter().zip(b.remainder()).fold(0.0, |sum, (a, b)| sum + term(*a, *b));
    for (a, b) in a.zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += term(*a, *b);
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Sets `y[r, c]` to `value(r, c)`, for every row.
pub fn fill<F: Real>(y: &mut [F], channels: usize, value: impl Fn(usize, usize) -> F + Sync) {
    y.par_chunks_mut(channels * HOST_ROWS).enumerate().for_each(|(k, y)| {
        for (r, y) in y.chunks_mut(channels).enumerate() {
            y.iter_mut().enumerate().for_each(|(c, y)| *y = value(k * HOST_ROWS + r, c));
        }
    });
}

/// Sets each element to `value(element, channel)`.
pub fn map<F: Real>(y: &mut [F], channels: usize, value: impl Fn(F, usize) -> F + Sync) {
    y.par_chunks_mut(channels * HOST_ROWS).for_each(|y| {
        for y in y.chunks_mut(channels) {
            y.iter_mut().enumerate().for_each(|(c, y)| *y = value(*y, c));
        }
    });
}

/// Samples, rows of each and channels of x [N, …, C].
pub fn split(x: &TensorInfo) -> Result<[usize; 3], String> {
    match x.shape.0.len() >= 2 && !x.shape.0.contains(&0) {
        true => Ok(rows_and_channels(&x.shape.0)),
        false => Err(format!("x [N, …, C] is expected, not {}", x.shape)),
    }
}

/// `split` of sizes that `outputs` has seen.
pub fn rows_and_channels(shape: &[usize]) -> [usize; 3] {
    let (n, c) = (shape.first().copied().unwrap_or(1), shape.last().copied().unwrap_or(1));
    [n, shape.iter().product::<usize>() / (n * c).max(1), c]
}

/// Checks that arguments have one value per channel.
pub fn per_channel(c: usize, infos: &[&TensorInfo]) -> Result<(), String> {
    match infos.iter().find(|info| info.elements() != c) {
        Some(info) => Err(format!("{} {}: {c} values, one per channel, are expected", info.name, info.shape)),
        None => Ok(()),
    }
}
