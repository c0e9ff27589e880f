//! Products of matrices.

use super::Entry;
use crate::sys::{Gemm, gemm};
use rayon::prelude::*;

pub(crate) mod bias;
pub mod matmul_batched;
pub mod matmul_nn;
pub mod matmul_nt;
pub mod matmul_tn;
pub(crate) mod splits;
pub mod tiles;

/// The ops of this family.
pub(super) const OPS: &[Entry] = &[entry!(matmul_batched), entry!(matmul_nn), entry!(matmul_nt), entry!(matmul_tn)];

/// Rows that a thread of the native CPU takes are a multiple of this: of what a product computes at once (6 with AVX-512, 4
/// with AVX2, 8 with NEON).
const ROWS: usize = 24;

/// `y = a · b` on the native CPU, with sizes [m, n, k] and the distances from one row and from one column to the next of a and
/// b. The sums are made of parts of `terms` terms.
///
/// Where there are enough rows each thread has some of its own: about those that it has in the ops before and after, and so in
/// its cache. The sums do not depend on the number of threads.
fn by_rows(
    [m, n, k]: [usize; 3],
    terms: usize,
    y: &mut [f32],
    (a, [a_row, a_column]): (&[f32], [usize; 2]),
    (b, [b_row, b_column]): (&[f32], [usize; 2]),
) {
    let whole = Gemm::parallel([m, n, k]);
    let (threads, few) = (rayon::current_num_threads(), m < n / 4);
    let rows = if whole.parallel && !few { m.div_ceil(threads).next_multiple_of(ROWS) } else { m };
    y.par_chunks_mut(rows * n).enumerate().for_each(|(block, y)| {
        for first in (0..k).step_by(terms) {
            let sizes = [y.len() / n, n, terms.min(k - first)];
            let part = Gemm { sizes, accumulate: first > 0, parallel: whole.parallel && few, y_row: n };
            let a = &a[first * a_column + block * rows * a_row..];
            gemm(part, y, (a, [a_row, a_column]), (&b[first * b_row..], [b_row, b_column]));
        }
    });
}
