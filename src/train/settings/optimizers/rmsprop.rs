//! RMSprop (Tieleman and Hinton 2012) in PyTorch's form, not centred; its α is ρ.

use super::{Column, Defaults};
use crate::ops::optim::rmsprop::Rmsprop;
use std::sync::Arc;

/// The column of RMSprop.
pub(super) const COLUMN: Column = Column {
    name: "rmsprop",
    about: "RMSprop in PyTorch's form; weight decay is added to the gradient",
    states: &["square_avg", "velocity"],
    defaults: Defaults { momentum: Some(0.0), epsilon: Some(1e-8), rho: Some(0.99), ..Defaults::new(1e-3, 0.0) },
    corrects_bias: false,
    op: |c| Arc::new(Rmsprop { alpha: c.rho, epsilon: c.epsilon, momentum: c.momentum, l2: c.weight_decay }),
    #[cfg(test)]
    formula: |c, at, p, s| {
        let g = at.gradient + c.weight_decay * p;
        s[0] += (1.0 - c.rho) * (g * g - s[0]);
        s[1] = c.momentum * s[1] + g / (s[0].sqrt() + c.epsilon);
        p - at.rate * s[1]
    },
};
