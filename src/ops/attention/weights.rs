//! The weights of an attention, which the op itself keeps nowhere: for people to look at.

use crate::ops::attention::attention::Attention;
use crate::ops::attention::heads::Sizes;
use crate::ops::attention::rows::Head;
use crate::ops::prelude::*;

impl Attention {
    /// The softmax of each query over the keys that it sees, zeros beyond them, [B, H, Tq, Tk], before dropout; and the sizes.
    ///
    /// # Errors
    /// What does not fit in the arguments, which are those of the op.
    pub fn weights(&self, x: &[In<f32>]) -> Result<(Sizes, Vec<f32>), String> {
        let given = self.given(x)?;
        let s = self.sizes(given.0.shape, given.1.shape)?;
        let mut weights = vec![0.0; s.batch * self.heads * s.queries * s.keys];
        for (n, head_weights) in weights.chunks_mut(s.queries * s.keys).enumerate() {
            let head = Head::new(self, s, given, n / self.heads, n % self.heads);
            for (i, row) in head_weights.chunks_mut(s.keys).enumerate() {
                let row = &mut row[..head.seen(i)];
                row.iter_mut().enumerate().for_each(|(j, weight)| *weight = head.score(i, j));
                let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                row.iter_mut().for_each(|weight| *weight = (*weight - most).exp());
                let sum: f32 = row.iter().sum();
                row.iter_mut().for_each(|weight| *weight /= sum);
            }
        }
        Ok((s, weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::op::RunReference;
    use crate::ops::attention::attention::{argue, ways};

    /// What the op gives is the mean of the values by these weights.
    #[test]
    fn the_weights_are_those_of_the_op() {
        let mut seen = 0;
        for (op, sizes) in ways().filter(|(op, _)| op.dropout == 0.0) {
            let case = argue(Case::new(op), &op, sizes, 1.0);
            let x: Vec<In<f32>> = case.x.iter().map(|(info, values)| values.arg(0, &info.shape.0)).collect();
            let (s, weights) = op.weights(&x).expect("weights");
            let (wide, size) = (op.heads * s.size, s.size);
            let mut y = vec![0.0; s.batch * s.queries * wide];
            let mut lse = vec![0.0; s.batch * op.heads * s.queries];
            op.reference_f32(&x, &mut [Out::Float(&mut y), Out::Float(&mut lse)]);
            let given = op.given(&x).expect("arguments");
            for (n, map) in weights.chunks(s.queries * s.keys).enumerate() {
                let (b, h) = (n / op.heads, n % op.heads);
                let head = Head::new(&op, s, given, b, h);
                for (i, row) in map.chunks(s.keys).enumerate() {
                    let found = &y[(b * s.queries + i) * wide + h * size..][..size];
                    for (d, found) in found.iter().enumerate() {
                        let terms = || row.iter().enumerate().map(|(j, weight)| weight * head.v.at(j)[d]);
                        let (expected, magnitude) = (terms().sum::<f32>(), terms().map(f32::abs).sum::<f32>());
                        // The weights of both are rounded by some last places, and the sums by one each term.
                        let tolerance = (8.0 + s.keys as f32) * f32::EPSILON * magnitude;
                        assert!((found - expected).abs() <= tolerance, "{op:?}: {found}, {expected}");
                    }
                    seen += usize::from(row.iter().any(|weight| *weight > 0.0));
                }
            }
        }
        assert!(seen > 100, "{seen} rows");
    }
}
