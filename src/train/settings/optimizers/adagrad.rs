//! Adagrad (Duchi, Hazan and Singer 2011) in PyTorch's form; schedules replace its `lr_decay`.

use super::{Column, Defaults};
use crate::ops::optim::adagrad::Adagrad;
use std::sync::Arc;

/// The column of Adagrad.
pub(super) const COLUMN: Column = Column {
    name: "adagrad",
    about: "Adagrad in PyTorch's form; weight decay is added to the gradient, lr 0.01 by default",
    states: &["sum"],
    defaults: Defaults { epsilon: Some(1e-10), ..Defaults::new(1e-2, 0.0) },
    corrects_bias: false,
    op: |c| Arc::new(Adagrad { epsilon: c.epsilon, l2: c.weight_decay }),
    #[cfg(test)]
    formula: |c, at, p, s| {
        let g = at.gradient + c.weight_decay * p;
        s[0] += g * g;
        p - at.rate * g / (s[0].sqrt() + c.epsilon)
    },
};
