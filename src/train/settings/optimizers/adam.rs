//! Adam (Kingma and Ba 2015).

use super::{Column, Defaults};
use crate::ops::optim::adam::Adam;
use std::sync::Arc;

/// The column of Adam.
pub(super) const COLUMN: Column = Column {
    name: "adam",
    about: "Adam; weight decay is added to the gradient",
    states: &["m", "v"],
    defaults: Defaults { betas: Some([0.9, 0.999]), epsilon: Some(1e-7), ..Defaults::new(1e-3, 0.0) },
    corrects_bias: true,
    op: |c| Arc::new(Adam { betas: c.betas, epsilon: c.epsilon, l2: c.weight_decay, decay: 0.0 }),
    #[cfg(test)]
    formula: |c, at, p, s| {
        let g = at.gradient + c.weight_decay * p;
        super::adamw::moments(c, at, g, s);
        p - at.rate * super::adamw::direction(c, at, s)
    },
};
