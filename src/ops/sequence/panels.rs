//! Weights of a recurrence on the host, in the order in which each of its steps reads them.

use crate::sys::{Gemm, gemm};
use rayon::prelude::*;

/// Columns of a panel: a multiple of those that a product computes at once (64 with AVX-512, 16 with AVX2 and NEON).
const COLUMNS: usize = 192;

/// A matrix [k, n] in panels of columns, each of them row-major by itself.
///
/// A product of few rows reads the matrix as it lies. Where the rows of that are long, each is on a page of its own, and all
/// fall on the same few lines of a cache.
#[derive(Debug)]
pub struct Panels {
    sizes: [usize; 2],
    elements: Vec<f32>,
}

impl Panels {
    /// Of a matrix with these distances from one row and from one column to the next.
    pub fn new(matrix: &[f32], [k, n]: [usize; 2], [row, column]: [usize; 2]) -> Self {
        let mut elements = vec![0.0; k * n];
        elements.par_chunks_mut(COLUMNS * k).enumerate().for_each(|(panel, to)| {
            let columns = to.len() / k;
            for (at, to) in to.chunks_mut(columns).enumerate() {
                let first = at * row + panel * COLUMNS * column;
                to.iter_mut().enumerate().for_each(|(at, to)| *to = matrix[first + at * column]);
            }
        });
        Panels { sizes: [k, n], elements }
    }

    /// `y += x · matrix`, with x [rows, k] and y [rows, n].
    pub fn add_product(&self, x: &[f32], y: &mut [f32]) {
        let [k, n] = self.sizes;
        for (panel, columns) in self.elements.chunks(COLUMNS * k).enumerate() {
            let width = columns.len() / k;
            let part = Gemm { accumulate: true, y_row: n, ..Gemm::serial([x.len() / k, width, k]) };
            gemm(part, &mut y[panel * COLUMNS..], (x, [k, 1]), (columns, [width, 1]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole numbers, so that the order of a sum does not show.
    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| (i * 7 % 11) as f32 - 5.0).collect()
    }

    #[test]
    fn a_product_by_panels_is_that_of_the_matrix() {
        for [rows, k, n] in [[1, 1, 1], [3, 5, COLUMNS], [2, 3, COLUMNS + 1], [7, 4, 2 * COLUMNS + 64]] {
            let (x, w) = (numbers(rows * k), numbers(k * n));
            // Both as it stands and as its transpose, [n, k].
            let transposed: Vec<f32> = (0..n * k).map(|i| w[i % k * n + i / k]).collect();
            for panels in [Panels::new(&w, [k, n], [n, 1]), Panels::new(&transposed, [k, n], [1, k])] {
                let mut y = vec![0.5; rows * n];
                panels.add_product(&x, &mut y);
                for (i, y) in y.iter().enumerate() {
                    let sum: f32 = (0..k).map(|t| x[i / n * k + t] * w[t * n + i % n]).sum();
                    assert_eq!(*y, sum + 0.5, "{rows}, {k}, {n}: element {i}");
                }
            }
        }
    }
}
