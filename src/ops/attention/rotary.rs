//! Rotary positions: queries and keys are turned by angles that grow with their place.

use crate::ops::prelude::*;

kernels! {
    ROTARY = "attention/rotary",
}

/// Turns the pairs (i, D/2 + i) of each of the first `heads` heads of D numbers by an angle of the row's place, and copies the rest
/// (Su and others, 2021; the pairs are those of Llama). The product of a turned query and a turned key depends on how far
/// apart their places are, not on where they are.
///
/// The arguments are x [B, T, W] and a table [T, D] that has for each place the cosines of D/2 angles and then their sines, or [B, D]
/// where T is 1. The result has the shape of x.
#[derive(Clone, Copy, Debug)]
pub struct Rotary {
    /// Heads that are turned.
    pub heads: usize,
    /// Whether they are turned back, as gradients are.
    pub back: bool,
}

/// The rates at which angles grow from place to place: base^(−2i/D) for i < D/2, where D is the size of a head.
///
/// Pairs that turn less than `low` times within `context` places are `factor` times slower, those that turn more than `high`
/// times as fast as they were, and those between in between, as in Llama 3.1. With a context of 1 all are slower: linear
/// scaling (Chen and others, 2023).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// The base of the wavelengths.
    pub base: f64,
    /// How much slower pairs of long wavelengths are.
    pub factor: f64,
    /// The places that the net knew before.
    pub context: usize,
    /// Pairs with fewer turns are slower by the whole factor.
    pub low: f64,
    /// Pairs with at least as many turns keep their rate.
    pub high: f64,
}

impl Rates {
    /// Rates as they are with this base.
    pub fn new(base: f64) -> Self {
        Rates { base, factor: 1.0, context: 1, low: 1.0, high: 4.0 }
    }

    fn rate(&self, i: usize, size: usize) -> f32 {
        let rate = 1.0 / self.base.powf((2 * i) as f64 / size as f64);
        let turns = self.context as f64 * rate / std::f64::consts::TAU;
        let kept = match turns {
            few if few < self.low => 0.0,
            many if many >= self.high => 1.0,
            _ => (turns - self.low) / (self.high - self.low),
        };
        (rate * (kept + (1.0 - kept) / self.factor)) as f32
    }
}

/// The table of the first `places` places: cosines and sines of place · rate, with D = `size`. Angles are single precision, as
/// Llama's are.
pub fn table(places: usize, size: usize, rates: Rates) -> Vec<f32> {
    let rates: Vec<f32> = (0..size / 2).map(|i| rates.rate(i, size)).collect();
    let row = |place: usize| {
        let angles = rates.iter().map(move |rate| f64::from(place as f32 * rate));
        angles
            .clone()
            .map(|angle| angle.cos() as f32)
            .chain(angles.map(|angle| angle.sin() as f32))
            .collect::<Vec<f32>>()
    };
    (0..places).flat_map(row).collect()
}

impl Rotary {
    /// T · B, the width W, the table's rows and D.
    fn sizes(&self, x: &[usize], table: &[usize]) -> Result<[usize; 4], String> {
        match (x, table) {
            (&[b, t, w], &[rows, size])
                if size.is_multiple_of(2)
                    && b * t * size > 0
                    && self.heads * size <= w
                    && (rows == t || (t == 1 && rows == b)) =>
            {
                Ok([b * t, w, rows, size])
            }
            _ => Err(format!(
                "found x {x:?} and a table {table:?}, expected [B, T, W] and [T, D] with {} heads of an even D in W",
                self.heads
            )),
        }
    }

    /// `y` from what an element and its partner, a cosine and a sine give.
    fn each<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>], of: impl Fn([F; 4]) -> [F; 2] + Sync) {
        let [_, width, rows, size] = checked(self.sizes(x[0].shape, x[1].shape));
        let table = x[1].floats();
        let all = y[0].floats().par_chunks_mut(width).zip(x[0].floats().par_chunks(width)).enumerate();
        all.for_each(|(n, (y, x))| {
            y.copy_from_slice(x);
            let (cosines, sines) = table[n % rows * size..][..size].split_at(size / 2);
            for head in y[..self.heads * size].chunks_mut(size) {
                let (first, second) = head.split_at_mut(size / 2);
                for (((a, b), cosine), sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
                    [*a, *b] = of([*a, *b, *cosine, *sine]);
                }
            }
        });
    }
}

impl Reference for Rotary {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        match self.back {
            false => self.each(x, y, |[a, b, cosine, sine]| [a * cosine - b * sine, b * cosine + a * sine]),
            true => self.each(x, y, |[a, b, cosine, sine]| [a * cosine + b * sine, b * cosine - a * sine]),
        }
    }
}

impl Op for Rotary {
    fn name(&self) -> &'static str {
        "rotary"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x, table] = arguments(x)?;
        self.sizes(&x.shape.0, &table.shape.0)?;
        Ok(vec![TensorInfo::floats("rotary", x.shape.clone())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None; 2]) };
        let dx = graph.apply(Rotary { back: !self.back, ..*self }, &[dy, at.x[1]])?[0];
        Ok(vec![Some(dx), None])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [_, width, rows, size] = self.sizes(&cx.shape(cx.x[0]), &cx.shape(cx.x[1])).map_err(Error::failed)?;
        let count = cx.elements(cx.y[0]);
        let sizes = [("count", count), ("width", width), ("rows", rows), ("size", size)];
        let launch = cx.kernel(ROTARY, &[])?.sizes(&sizes).size("turned", self.heads * size);
        let launch = launch.set("sign", if self.back { 1.0 } else { -1.0 });
        cx.invocations(launch.bind("x", cx.x[0]).bind("table", cx.x[1]).bind("y", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 2, ulps: 0.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.each(x, y, |[a, b, cosine, sine]| {
            let [a, b, cosine, sine] = [a, b, cosine, sine].map(f64::abs);
            [a * cosine + b * sine, b * cosine + a * sine]
        });
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    // One pair, odd sizes, values after the turned heads, and the last places of a step of generation.
    let sizes = [(1, [1, 1, 2, 2]), (2, [2, 3, 15, 6]), (3, [2, 70, 20, 4]), (1, [3, 5, 128, 128])];
    let of = |(heads, [b, t, w, size]): (usize, [usize; 4])| {
        [false, true].map(|back| {
            Case::new(Rotary { heads, back }).random([b, t, w]).floats([t, size], table(t, size, Rates::new(10_000.0)))
        })
    };
    let last =
        Case::new(Rotary { heads: 2, back: false }).random([3, 1, 12]).floats([3, 4], table(3, 4, Rates::new(100.0)));
    sizes.into_iter().flat_map(of).chain([last]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of Llama 3.2's settings, as `transformers` 5 computes them in single precision.
    #[test]
    fn rates_are_scaled_as_llama_scales_them() {
        let llama = Rates { base: 500_000.0, factor: 32.0, context: 8192, low: 1.0, high: 4.0 };
        let found = [0, 8, 14, 15, 16, 18, 20, 31].map(|i| llama.rate(i, 64));
        let expected = [
            1.0,
            0.037_606_03,
            0.003_211_446,
            0.001_290_548,
            0.000_429_556_7,
            1.946_163_9e-5,
            8.570_256e-6,
            9.418_306e-8,
        ];
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() <= 4.0 * f32::EPSILON * expected, "{found}, not {expected}");
        }
        let linear = Rates { factor: 4.0, ..Rates::new(10_000.0) };
        assert_eq!([0, 1].map(|i| linear.rate(i, 4)), [0.25, 0.0025]);
        assert_eq!([0, 1].map(|i| Rates::new(10_000.0).rate(i, 4)), [1.0, 0.01]);
    }
}
