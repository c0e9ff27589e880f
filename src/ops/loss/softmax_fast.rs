//! Softmax cross-entropy of a row with one label on the native CPU, vectorised.

use crate::ops::exponential::fast_exp;
use crate::ops::vectors::{AT_ONCE, dot, each, sum};
use pulp::{Simd, WithSimd};

/// A row of logits whose label is `truth`. The target of class c is `own·[c = truth] + spread·scale[c]`, where all scales are 1
/// if there are none.
pub struct Row<'a> {
    pub logits: &'a [f32],
    pub truth: usize,
    pub own: f32,
    pub spread: f32,
    pub scale: Option<&'a [f32]>,
    /// The sum of all targets.
    pub all: f64,
    /// What the gradient is multiplied by.
    pub share: f32,
    /// The gradient.
    pub delta: &'a mut [f32],
}

/// The largest of x. A NaN among them is passed over, unless it is the first.
#[inline(always)]
fn most(x: &[f32]) -> f32 {
    let (vectors, rest) = x.as_chunks::<AT_ONCE>();
    let mut most = [x[0]; AT_ONCE];
    for vector in vectors {
        for (most, x) in most.iter_mut().zip(vector) {
            *most = if *x > *most { *x } else { *most };
        }
    }
    let mut all = x[0];
    for x in most.iter().chain(rest) {
        all = if *x > all { *x } else { all };
    }
    all
}

/// The loss, and whether the label is the first of the largest logits.
impl WithSimd for Row<'_> {
    type Output = (f32, bool);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (f32, bool) {
        let Row { logits, truth, own, spread, scale, all, share, delta } = self;
        let most = most(logits);
        each!([logits] => [delta] { (fast_exp(logits - most),) });
        let total = sum(delta);
        let factor = (all / total) as f32;
        match scale {
            Some(scale) if spread > 0.0 => each!([scale] => [delta] { ((factor * delta - spread * scale) * share,) }),
            _ => each!([logits] => [delta] { ((factor * delta - spread) * share,) }),
        }
        delta[truth] -= own * share;
        // What is spread over all classes: Σ spread·scale·(x - most).
        let spread = f64::from(spread);
        let near =
            if spread == 0.0 { 0.0 } else { spread * dot(logits, scale) - (all - f64::from(own)) * f64::from(most) };
        // A target of 0 counts for nothing, also where its logit is infinite.
        let meant = if own == 0.0 { 0.0 } else { f64::from(own) * f64::from(logits[truth] - most) };
        let loss = all * total.ln() - near - meant;
        let right = logits[truth] == most && !logits[..truth].contains(&most);
        (loss as f32, right)
    }
}
