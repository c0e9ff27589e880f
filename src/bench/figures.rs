//! Repetitions of a measurement on the adapter and on the native CPU: their medians and their spread.

use serde::Serialize;

/// A figure of the shaders and the same of the native CPU; `None` if it was not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Pair<T = f64> {
    /// On the adapter.
    pub shader: Option<T>,
    /// On the native CPU.
    pub cpu: Option<T>,
}

/// The smallest and the largest of several figures.
pub type Range = [f64; 2];

/// Every repetition of one measurement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Both {
    /// On the adapter.
    pub shader: Vec<f64>,
    /// On the native CPU.
    pub cpu: Vec<f64>,
}

impl Both {
    /// The medians.
    pub fn median(&self) -> Pair {
        Pair { shader: median(&self.shader), cpu: median(&self.cpu) }
    }

    /// The spreads.
    pub fn range(&self) -> Pair<Range> {
        Pair { shader: range(&self.shader), cpu: range(&self.cpu) }
    }
}

/// The middle one of an odd number of figures, the upper middle one of an even number.
pub fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// The smallest and the largest.
pub fn range(figures: &[f64]) -> Option<Range> {
    let least = figures.iter().copied().reduce(f64::min)?;
    Some([least, figures.iter().copied().fold(least, f64::max)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ranges() {
        for (figures, middle, ends) in [
            (&[][..], None, None),
            (&[3.0], Some(3.0), Some([3.0, 3.0])),
            (&[9.0, 1.0, 4.0], Some(4.0), Some([1.0, 9.0])),
        ] {
            assert_eq!((median(figures), range(figures)), (middle, ends));
        }
    }
}
