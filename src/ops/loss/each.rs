//! Losses of a logit by itself: binary cross-entropy, squares, Huber's.
//!
//! One more is an entry of the table here and a `case` of its number in shaders/lib/each_loss.wgsl.

use crate::ir::op::Real;

/// The loss of a logit. Its number is the kernel's `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Each {
    /// Cross-entropy of a yes or no whose probability is the logit's sigmoid; PyTorch's `BCEWithLogitsLoss`.
    Bce,
    /// The square of the difference; PyTorch's `MSELoss`.
    Mse,
    /// Half the square of the difference up to 1, linear beyond; PyTorch's `HuberLoss`.
    Huber,
}

impl Each {
    /// Every one, in the order of their numbers.
    pub const ALL: [Each; 3] = [Each::Bce, Each::Mse, Each::Huber];

    /// The loss of x against the target t, and its derivative.
    pub(super) fn at<F: Real>(self, x: F, t: F) -> [F; 2] {
        let [zero, half, one, two] = [0.0, 0.5, 1.0, 2.0].map(F::of);
        let abs = |x: F| if x < zero { -x } else { x };
        let d = x - t;
        match self {
            Each::Bce => {
                let e = (-abs(x)).exp();
                let p = if x >= zero { one } else { e } / (one + e);
                let positive = if x > zero { x } else { zero };
                [positive - x * t + (one + e).ln(), p - t]
            }
            Each::Mse => [d * d, two * d],
            Each::Huber if abs(d) <= one => [half * d * d, d],
            Each::Huber => [abs(d) - half, if d > zero { one } else { -one }],
        }
    }

    /// What the roundings of both scale with.
    pub(super) fn sizes(self, x: f64) -> [f64; 2] {
        let most = x.abs() + 1.0;
        match self {
            Each::Bce => [most, 1.0],
            Each::Mse => [most * most, 2.0 * most],
            Each::Huber => [most * most.min(2.0), most.min(2.0)],
        }
    }
}
