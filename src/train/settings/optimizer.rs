//! From gradients to weights: the effective settings of the chosen optimizer, and checks of invalid ones.

use crate::error::Result;
use crate::train::settings::optimizers::help::only_with;
use crate::train::settings::optimizers::{Constants, Optimizer};
use crate::train::settings::options::{TrainOptions, wrong};

/// Whether a number is above 0 in single precision too.
fn is_positive(x: f64) -> bool {
    x.is_finite() && x as f32 > 0.0 && (x as f32).is_finite()
}

/// Whether a number is a share that may be all but the whole.
fn is_share(x: f64) -> bool {
    (0.0..1.0).contains(&x)
}

impl TrainOptions {
    /// The optimizer with its settings in force.
    pub fn optimizer(&self) -> Optimizer {
        let column = self.optimizer.column();
        let has = &column.defaults;
        let constants = Constants {
            weight_decay: self.decay(),
            momentum: self.momentum,
            nesterov: self.nesterov,
            betas: self.betas.or(has.betas).unwrap_or_default(),
            epsilon: self.epsilon.or(has.epsilon).unwrap_or_default(),
            rho: self.rho.or(has.rho).unwrap_or_default(),
        };
        Optimizer { column, constants }
    }

    /// Refuses invalid settings between gradients and weights.
    pub(in crate::train) fn check_update(&self) -> Result<()> {
        let has = self.optimizer.defaults();
        if !is_share(self.momentum) {
            return wrong("momentum", &self.momentum, "a number from 0 up to, but not including, 1");
        }
        if self.momentum != 0.0 && has.momentum.is_none() {
            return wrong("momentum", &self.momentum, &only_with(|has| has.momentum));
        }
        if self.nesterov && (has.nesterov.is_none() || self.momentum == 0.0) {
            let expected = format!("{} and a momentum above 0", only_with(|has| has.nesterov));
            return wrong("nesterov", &self.nesterov, &expected);
        }
        if let Some([beta1, beta2]) = self.betas {
            let found = format!("{beta1},{beta2}");
            if has.betas.is_none() {
                return wrong("betas", &found, &only_with(|has| has.betas));
            }
            if !(is_share(beta1) && is_share(beta2)) {
                return wrong("betas", &found, "two numbers from 0 up to, but not including, 1");
            }
        }
        if let Some(epsilon) = self.epsilon {
            if has.epsilon.is_none() {
                return wrong("epsilon", &epsilon, &only_with(|has| has.epsilon));
            }
            if !is_positive(epsilon) {
                return wrong("epsilon", &epsilon, "a finite number above 0");
            }
        }
        if let Some(rho) = self.rho {
            if has.rho.is_none() {
                return wrong("rho", &rho, &only_with(|has| has.rho));
            }
            if !is_share(rho) {
                return wrong("rho", &rho, "a number from 0 up to, but not including, 1");
            }
        }
        for (what, limit) in [("clip norm", self.clip_norm), ("clip value", self.clip_value)] {
            if let Some(limit) = limit.filter(|limit| !is_positive(*limit)) {
                return wrong(what, &limit, "a finite number above 0");
            }
        }
        if let (Some(_), Some(limit)) = (self.clip_norm, self.clip_value) {
            return wrong("clip value", &limit, "either that or a clip norm");
        }
        if self.accumulate == 0 {
            return wrong("accumulate", &0, "at least 1 batch");
        }
        if !(self.decay() >= 0.0 && (self.decay() as f32).is_finite()) {
            return wrong("weight decay", &self.decay(), "a finite number, 0 or above");
        }
        if let Some(ema) = self.ema.filter(|ema| !is_share(*ema)) {
            return wrong("ema", &ema, "a number from 0 up to, but not including, 1");
        }
        Ok(())
    }
}
