//! AdamW (Loshchilov and Hutter 2019): Adam's op, with decoupled weight decay.

use super::{Column, Defaults};
use crate::ops::optim::adam::Adam;
use std::sync::Arc;

/// The column of AdamW.
pub(super) const COLUMN: Column = Column {
    name: "adamw",
    about: "AdamW; decoupled weight decay, 0.01 by default",
    states: &["m", "v"],
    defaults: Defaults { betas: Some([0.9, 0.999]), epsilon: Some(1e-7), ..Defaults::new(1e-3, 0.01) },
    corrects_bias: true,
    op: |c| Arc::new(Adam { betas: c.betas, epsilon: c.epsilon, l2: 0.0, decay: c.weight_decay }),
    #[cfg(test)]
    formula: |c, at, p, s| {
        moments(c, at, at.gradient, s);
        p * (1.0 - at.rate * c.weight_decay) - at.rate * direction(c, at, s)
    },
};

/// Brings both moments to the gradient `g`.
#[cfg(test)]
pub(super) fn moments(c: &super::Constants, _: &super::tests::At, g: f64, s: &mut [f64]) {
    s[0] += (1.0 - c.betas[0]) * (g - s[0]);
    s[1] += (1.0 - c.betas[1]) * (g * g - s[1]);
}

/// m̂ / (√v̂ + ε).
#[cfg(test)]
pub(super) fn direction(c: &super::Constants, at: &super::tests::At, s: &[f64]) -> f64 {
    let [m, v] = [0, 1].map(|k| s[k] / (1.0 - c.betas[k].powi(at.step)));
    m / (v.sqrt() + c.epsilon)
}
