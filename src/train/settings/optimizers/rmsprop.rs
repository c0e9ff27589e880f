//! RMSprop (Tieleman and Hinton 2012) in PyTorch's form, not centred, with α = 0.99.

use super::{Column, Defaults};
use crate::ops::optim::rmsprop::Rmsprop;
use std::sync::Arc;

/// How much of the average of squared gradients stays.
const ALPHA: f64 = 0.99;

/// The column of RMSprop.
pub(super) const COLUMN: Column = Column {
    name: "rmsprop",
    about: "RMSprop in PyTorch's form; weight decay is added to the gradient",
    states: &["square_avg", "velocity"],
    defaults: Defaults { momentum: Some(0.0), epsilon: Some(1e-8), ..Defaults::new(1e-3, 0.0) },
    corrects_bias: false,
    op: |c| Arc::new(Rmsprop { alpha: ALPHA, epsilon: c.epsilon, momentum: c.momentum, l2: c.weight_decay }),
    #[cfg(test)]
    formula: |c, at, p, s| {
        let g = at.gradient + c.weight_decay * p;
        s[0] += (1.0 - ALPHA) * (g * g - s[0]);
        s[1] = c.momentum * s[1] + g / (s[0].sqrt() + c.epsilon);
        p - at.rate * s[1]
    },
};
