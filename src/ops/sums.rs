//! Long sums: if numbers are similar, a sum in single precision loses more with every term (2 % for two million equal
//! ones), so none of more than [`RUN`] terms is made term by term.

use crate::ir::op::Real;
use rayon::prelude::*;

/// Terms that are summed one by one; the sums of runs are added in double precision. 8,192 equal terms lose 7e-5 at most.
pub const RUN: usize = 8192;

/// The terms of a test case that a sum term by term fails.
pub const LONG: usize = 300_007;

/// The sum of `terms`, in their order.
pub fn total<F: Real>(terms: impl IntoIterator<Item = F>) -> F {
    let (mut whole, mut run, mut length) = (0.0, F::of(0.0), 0);
    for term in terms {
        run += term;
        length += 1;
        if length == RUN {
            whole += run.f64();
            (run, length) = (F::of(0.0), 0);
        }
    }
    F::of(whole + run.f64())
}

/// Sums that go on from run to run.
#[derive(Clone, Debug)]
pub struct Runs<F> {
    /// The sums of the run under way.
    pub now: Vec<F>,
    whole: Option<Vec<f64>>,
    length: usize,
}

impl<F: Real> Runs<F> {
    /// `count` sums, all 0.
    pub fn new(count: usize) -> Self {
        Runs { now: vec![F::of(0.0); count], whole: None, length: 0 }
    }

    /// Says that up to `terms` are to be added to each of the sums: ends the run before them where it would become too long.
    pub fn before(&mut self, terms: usize) {
        if self.length > 0 && self.length + terms > RUN {
            self.end();
        }
        self.length += terms;
    }

    fn end(&mut self) {
        let whole = self.whole.get_or_insert_with(|| vec![0.0; self.now.len()]);
        for (whole, now) in whole.iter_mut().zip(&mut self.now) {
            *whole += now.f64();
            *now = F::of(0.0);
        }
        self.length = 0;
    }

    /// The sums.
    pub fn finish(mut self) -> Vec<F> {
        if self.whole.is_some() {
            self.end();
        }
        self.whole.map_or(self.now, |whole| whole.into_iter().map(F::of).collect())
    }
}

/// The sums of the columns of `rows` [.., sums], into `sums`.
pub fn columns<F: Real>(rows: &[F], sums: &mut [F]) {
    /// Columns of a block.
    const BLOCK: usize = 64;
    /// Terms that are worth a thread.
    const WORTH: usize = 1 << 14;
    let width = sums.len().max(1);
    let blocks = WORTH / (rows.len() / width * BLOCK).max(1);
    sums.par_chunks_mut(BLOCK).enumerate().with_min_len(blocks).for_each(|(block, sums)| {
        let mut runs = Runs::new(sums.len());
        for rows in rows.chunks(RUN * width) {
            runs.before(rows.len() / width);
            for row in rows.chunks(width) {
                runs.now.iter_mut().zip(&row[block * BLOCK..]).for_each(|(sum, x)| *sum += *x);
            }
        }
        sums.copy_from_slice(&runs.finish());
    });
}

/// The contribution of a sum of this many terms to an op's rounding, if none of its runs is longer than about [`RUN`].
/// It does not grow with them: the sum of a run strays most where its terms are equal, by less than RUN / 4 units in
/// the last place (measured: 0.13 RUN), and as far as 6·√terms goes for (RUN / 24)² terms.
pub fn terms(count: usize) -> usize {
    const EQUAL: usize = (RUN / 24) * (RUN / 24);
    count.min(EQUAL + count.div_ceil(RUN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::op::Rounding;

    #[test]
    fn long_sums_of_equal_numbers_are_right() {
        let count = 2_100_003;
        let exact = f64::from(0.1f32) * count as f64;
        let tolerance = Rounding { terms: terms(count), ulps: 1.0 }.tolerance(exact);
        let close = |sum: f32| (f64::from(sum) - exact).abs() <= tolerance;
        assert!(!close((0..count).fold(0.0, |sum, _| sum + 0.1f32)), "one by one");
        assert!(close(total((0..count).map(|_| 0.1f32))));
        let mut sums = [0.0f32; 3];
        columns(&vec![0.1f32; 3 * count], &mut sums);
        assert!(sums.into_iter().all(close), "{sums:?}");
    }

    #[test]
    fn a_short_sum_is_made_in_its_order() {
        let terms: Vec<f32> = (0..RUN).map(|i| (i as f32).sin()).collect();
        assert_eq!(total(terms.iter().copied()), terms.iter().fold(0.0, |sum, x| sum + x));
        let mut sum = [0.0];
        columns(&terms, &mut sum);
        assert_eq!(sum[0], terms.iter().fold(0.0, |sum, x| sum + x));
    }
}
