//! Stochastic gradient descent with momentum, Nesterov's too (Sutskever et al. 2013), in PyTorch's form.

use super::{Column, Defaults};
use crate::ops::optim::sgd::Sgd;
use std::sync::Arc;

/// The column of SGD.
pub(super) const COLUMN: Column = Column {
    name: "sgd",
    about: "Stochastic gradient descent; lr 0.01 by default",
    states: &["velocity"],
    defaults: Defaults { momentum: Some(0.0), nesterov: Some(false), ..Defaults::new(1e-2, 0.0) },
    corrects_bias: false,
    op: |c| Arc::new(Sgd { momentum: c.momentum, l2: c.weight_decay, nesterov: c.nesterov }),
    #[cfg(test)]
    formula: |c, at, p, s| {
        let g = at.gradient + c.weight_decay * p;
        s[0] = c.momentum * s[0] + g;
        p - at.rate * if c.nesterov { g + c.momentum * s[0] } else { s[0] }
    },
};
