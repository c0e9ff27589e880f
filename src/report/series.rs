//! A curve of bounded length: as points come in, neighbours are averaged.

use serde::{Serialize, Serializer};

/// The most points that a curve keeps; more than a chart has columns of pixels.
const MOST: usize = 1200;

/// Points (x, y) in the order they came, each the mean of as many as there had to be.
#[derive(Clone, Debug)]
pub struct Series {
    points: Vec<[f64; 2]>,
    /// How many raw points one kept point stands for.
    bucket: u32,
    sum: [f64; 2],
    count: u32,
}

impl Default for Series {
    fn default() -> Self {
        Series { points: Vec::new(), bucket: 1, sum: [0.0; 2], count: 0 }
    }
}

impl Series {
    /// Adds a point.
    pub fn push(&mut self, x: f64, y: f64) {
        self.sum = [self.sum[0] + x, self.sum[1] + y];
        self.count += 1;
        if self.count == self.bucket {
            self.points.push(self.sum.map(|sum| sum / f64::from(self.bucket)));
            (self.sum, self.count) = ([0.0; 2], 0);
        }
        if self.points.len() > MOST {
            let pairs = self.points.chunks_exact(2);
            // The odd one out begins the next bucket.
            if let [[x, y]] = pairs.remainder() {
                let weight = f64::from(self.bucket);
                self.sum = [self.sum[0] + x * weight, self.sum[1] + y * weight];
                self.count += self.bucket;
            }
            self.points = pairs.map(|pair| [0, 1].map(|axis| (pair[0][axis] + pair[1][axis]) / 2.0)).collect();
            self.bucket *= 2;
        }
    }

    /// Divides every x by a number.
    pub fn divide(&mut self, by: f64) {
        self.points.iter_mut().for_each(|point| point[0] /= by);
        self.sum[0] /= by;
    }

    /// The kept points.
    pub fn points(&self) -> &[[f64; 2]] {
        &self.points
    }
}

impl Serialize for Series {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Six digits are more than a chart shows.
        let rounded = |x: f64| if x.is_finite() { format!("{x:.5e}").parse().unwrap_or(x) } else { x };
        serializer.collect_seq(self.points.iter().map(|point| point.map(rounded)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_is_thinned_and_keeps_its_shape() {
        let mut series = Series::default();
        for i in 0..100_001 {
            series.push(f64::from(i), 3.0 * f64::from(i) - 1.0);
            assert!(series.points().len() <= MOST);
        }
        assert!(series.points().len() > MOST / 2 - 1, "{}", series.points().len());
        // The mean of points on a line lies on it.
        assert!(series.points().iter().all(|[x, y]| (y - (3.0 * x - 1.0)).abs() < 1e-6 * (1.0 + y.abs())));
        assert!(series.points().is_sorted_by(|a, b| a[0] < b[0]));
        let mass: f64 = series.points().len() as f64 * f64::from(series.bucket) + f64::from(series.count);
        assert_eq!(mass, 100_001.0, "no point is lost");
    }

    #[test]
    fn a_short_curve_is_kept_as_it_is() {
        let mut series = Series::default();
        series.push(0.0, 2.5);
        series.push(1.0, f64::NAN);
        assert_eq!(series.points()[0], [0.0, 2.5]);
        assert_eq!(serde_json::to_string(&series).expect("JSON"), "[[0.0,2.5],[1.0,null]]");
    }
}
