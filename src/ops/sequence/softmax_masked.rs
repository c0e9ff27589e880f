//! The softmax of scores over those keys that a query may see.

use crate::ops::prelude::*;
use crate::ops::sequence::lengths;
use crate::ops::sequence::softmax_masked_dx::SoftmaxMaskedDx;

kernels! {
    SOFTMAX_MASKED = "sequence/softmax_masked",
}

/// `y[b, …, q, k] = exp(scale·x[b, …, q, k]) / Σ exp(scale·x[b, …, q, ·])` over the keys k below `lengths[b]` and, where `causal`,
/// up to q; 0 at all others, and everywhere in a row without a key. The arguments are x [B, …, Tq, Tk] and, if rows have
/// lengths, lengths `[B]` as words; without them all Tk keys are valid. The result is of x's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftmaxMasked {
    /// The factor for the scores: 1, or 1 / √C for scores that are sums of C products.
    pub scale: f32,
    /// Whether a query sees no key after its own place.
    pub causal: bool,
}

/// B, the queries of each of its rows in all heads, those of a head, and the keys.
fn sizes(x: &[usize]) -> Result<[usize; 4], String> {
    match *x {
        [batch, .., queries, keys] if x.len() > 2 && !x.contains(&0) => {
            Ok([batch, x.iter().product::<usize>() / (batch * keys), queries, keys])
        }
        _ => Err(format!("found scores {x:?}, expected [B, …, Tq, Tk], none of them 0")),
    }
}

impl SoftmaxMasked {
    /// Calls `f` with the seen part of x and all of y, row by row.
    fn rows<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>], f: impl Fn(&[F], &mut [F]) + Sync) {
        let (x, lengths) = checked(lengths::split(x));
        let [_, each, queries, keys] = checked(sizes(x.shape));
        let lengths = lengths.map(|lengths| lengths.words());
        let rows = y[0].floats().par_chunks_mut(keys).zip(x.floats().par_chunks(keys)).enumerate();
        rows.for_each(|(r, (y, x))| {
            let length = lengths::of_row(lengths, r / each, keys);
            let seen = if self.causal { length.min(r % queries + 1) } else { length };
            y[seen..].fill(F::of(0.0));
            f(&x[..seen], y);
        });
    }

    /// The softmax of a row, and its largest score.
    fn softmax<F: Real>(&self, x: &[F], y: &mut [F]) -> F {
        let scale = F::of(self.scale.into());
        let first = x.first().map_or(F::of(0.0), |x| *x * scale);
        let most = x.iter().map(|x| *x * scale).fold(first, |most, x| if x > most { x } else { most });
        y.iter_mut().zip(x).for_each(|(y, x)| *y = (*x * scale - most).exp());
        let sum = y[..x.len()].iter().fold(F::of(0.0), |sum, y| sum + *y);
        y[..x.len()].iter_mut().for_each(|y| *y = *y / sum);
        most
    }
}

impl Reference for SoftmaxMasked {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.rows(x, y, |x, y| {
            self.softmax(x, y);
        });
    }
}

impl Op for SoftmaxMasked {
    fn name(&self) -> &'static str {
        "softmax_masked"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (x, lengths) = lengths::split(x)?;
        let [batch, ..] = sizes(&x.shape.0)?;
        lengths::check(lengths, batch)?;
        Ok(vec![TensorInfo::floats("softmax_masked", x.shape.clone())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let mut grads = vec![None; at.x.len()];
        if let Some(dy) = at.dy[0] {
            grads[0] = Some(graph.apply(SoftmaxMaskedDx { scale: self.scale }, &[dy, at.y[0]])?[0]);
        }
        Ok(grads)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (x, lengths) = lengths::split(cx.x).map_err(Error::failed)?;
        let [batch, each, queries, keys] = sizes(&cx.shape(x)).map_err(Error::failed)?;
        let launch = cx.kernel(SOFTMAX_MASKED, &[])?.sizes(&[("batch", batch), ("each", each), ("queries", queries)]);
        let launch =
            launch.size("times", keys).size("channels", keys).set("scale", self.scale).set("causal", self.causal);
        let launch = lengths::bind(launch, lengths, x).bind("x", x).bind("y", cx.y[0]);
        cx.groups(launch, (batch * each).div_ceil(8))
    }

    /// exp is good to 3 + 2|x| ULP, a division to 2.5; the rest grows with the scores, see the magnitude.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[0].shape.0.last().copied().unwrap_or(1), ulps: 20.0 }
    }

    /// A score's rounding is a share of its exponential; those of all others reach a result through their sum, by their weights.
    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.rows(x, y, |x, y| {
            let most = self.softmax(x, y).abs();
            let sizes: Vec<f64> = x.iter().map(|x| 1.0 + (x * f64::from(self.scale)).abs() + most).collect();
            let others: f64 = sizes.iter().zip(&*y).map(|(size, y)| size * y).sum();
            y.iter_mut().zip(sizes).for_each(|(y, size)| *y *= size + others);
        });
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(shape, scale, causal): (&[usize], f32, bool)| {
        let case = Case::new(SoftmaxMasked { scale, causal }).random(Shape(shape.to_vec()));
        lengths::with_lengths(case, shape[0], shape[shape.len() - 1])
    };
    let shapes: [(&[usize], f32, bool); 4] =
        [(&[1, 1, 1], 1.0, false), (&[7, 3, 11], 0.5, false), (&[6, 2, 9, 9], 1.0, true), (&[2, 5, 300], 3.0, false)];
    let large = vec![1e4, -1e4, 9_999.0, -3e4, -3e4, -3e4];
    let large = Case::new(SoftmaxMasked { scale: 1.0, causal: false }).floats([1, 2, 3], large);
    shapes.into_iter().map(case).chain([large]).collect()
}
