//! Lion (Chen et al. 2023).

use super::{Column, Defaults};
use crate::ops::optim::lion::Lion;
use std::sync::Arc;

/// The column of Lion.
pub(super) const COLUMN: Column = Column {
    name: "lion",
    about: "Lion; decoupled weight decay; lr 0.0001 by default",
    states: &["m"],
    defaults: Defaults { betas: Some([0.9, 0.99]), ..Defaults::new(1e-4, 0.0) },
    corrects_bias: false,
    op: |c| Arc::new(Lion { betas: c.betas, decay: c.weight_decay }),
    #[cfg(test)]
    formula: |c, at, p, s| {
        let direction = (s[0] + (1.0 - c.betas[0]) * (at.gradient - s[0])).signum();
        s[0] += (1.0 - c.betas[1]) * (at.gradient - s[0]);
        p - at.rate * (direction + c.weight_decay * p)
    },
};
