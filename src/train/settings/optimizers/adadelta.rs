//! Adadelta (Zeiler 2012) in PyTorch's form.

use super::{Column, Defaults};
use crate::ops::optim::adadelta::Adadelta;
use std::sync::Arc;

/// The column of Adadelta.
pub(super) const COLUMN: Column = Column {
    name: "adadelta",
    about: "Adadelta in PyTorch's form; weight decay is added to the gradient, lr 1 by default",
    states: &["square_avg", "acc_delta"],
    defaults: Defaults { epsilon: Some(1e-6), rho: Some(0.9), ..Defaults::new(1.0, 0.0) },
    corrects_bias: false,
    op: |c| Arc::new(Adadelta { rho: c.rho, epsilon: c.epsilon, l2: c.weight_decay }),
    #[cfg(test)]
    formula: |c, at, p, s| {
        let g = at.gradient + c.weight_decay * p;
        s[0] += (1.0 - c.rho) * (g * g - s[0]);
        let d = g * ((s[1] + c.epsilon) / (s[0] + c.epsilon)).sqrt();
        s[1] += (1.0 - c.rho) * (d * d - s[1]);
        p - at.rate * d
    },
};
