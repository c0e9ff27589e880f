//! The optimizers, and the settings of what lies between gradients and weights.

use crate::error::Result;
use crate::train::settings::options::{TrainOptions, wrong};
use serde::{Deserialize, Serialize};

/// The optimizer and its constants.
#[derive(Clone, Debug, PartialEq)]
pub enum Optimizer {
    /// Adam with decay added to the gradient (`l2`), or AdamW with decay of its own (`decay`).
    Adam {
        /// β₁ and β₂.
        betas: [f64; 2],
        /// ε, added to √v̂.
        epsilon: f64,
        /// Decay added to the gradient.
        l2: f64,
        /// Decay apart from the gradient.
        decay: f64,
    },
    /// Stochastic gradient descent.
    Sgd {
        /// How much of the last velocity stays.
        momentum: f64,
        /// Decay added to the gradient.
        l2: f64,
        /// Whether it is Nesterov's momentum.
        nesterov: bool,
    },
    /// RMSprop.
    Rmsprop {
        /// How much of the average of squared gradients stays.
        alpha: f64,
        /// ε, added to the root of that average.
        epsilon: f64,
        /// How much of the last velocity stays.
        momentum: f64,
        /// Decay added to the gradient.
        l2: f64,
    },
    /// Lion.
    Lion {
        /// β₁ of the direction, β₂ of the momentum that is kept.
        betas: [f64; 2],
        /// Decay apart from the gradient.
        decay: f64,
    },
}

impl Optimizer {
    /// Adam's β₁ and β₂, for the bias corrections; 0 where there are none.
    pub fn betas(&self) -> [f64; 2] {
        match self {
            Optimizer::Adam { betas, .. } => *betas,
            _ => [0.0; 2],
        }
    }
}

/// The optimizers by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum OptimizerName {
    /// Adam; weight decay is added to the gradient.
    #[default]
    Adam,
    /// AdamW; weight decay apart from the gradient, 0.01 where not given.
    Adamw,
    /// Stochastic gradient descent; lr 0.01 where not given.
    Sgd,
    /// RMSprop in PyTorch's form; weight decay is added to the gradient.
    Rmsprop,
    /// Lion; weight decay apart from the gradient, lr 0.0001 where not given.
    Lion,
}

impl TrainOptions {
    /// The optimizer with its constants.
    pub fn optimizer(&self) -> Optimizer {
        let (betas, epsilon) = (self.betas.unwrap_or([0.9, 0.999]), self.epsilon.unwrap_or(1e-7));
        let (momentum, decay) = (self.momentum, self.decay());
        match self.optimizer {
            OptimizerName::Adam => Optimizer::Adam { betas, epsilon, l2: decay, decay: 0.0 },
            OptimizerName::Adamw => Optimizer::Adam { betas, epsilon, l2: 0.0, decay },
            OptimizerName::Sgd => Optimizer::Sgd { momentum, l2: decay, nesterov: self.nesterov },
            OptimizerName::Rmsprop => {
                let epsilon = self.epsilon.unwrap_or(1e-8);
                Optimizer::Rmsprop { alpha: 0.99, epsilon, momentum, l2: decay }
            }
            OptimizerName::Lion => Optimizer::Lion { betas: self.betas.unwrap_or([0.9, 0.99]), decay },
        }
    }

    /// Refuses what cannot be meant of what lies between gradients and weights.
    pub(in crate::train) fn check_update(&self) -> Result<()> {
        use OptimizerName::{Adam, Adamw, Lion, Rmsprop, Sgd};
        if !(0.0..1.0).contains(&self.momentum) {
            return wrong("momentum", &self.momentum, "a number from 0 up to, but not including, 1");
        }
        if self.momentum != 0.0 && !matches!(self.optimizer, Sgd | Rmsprop) {
            return wrong("momentum", &self.momentum, "no momentum but with --optimizer sgd or rmsprop");
        }
        if self.nesterov && (self.optimizer != Sgd || self.momentum == 0.0) {
            return wrong("nesterov", &self.nesterov, "--optimizer sgd with a momentum above 0");
        }
        if let Some([beta1, beta2]) = self.betas {
            let found = format!("{beta1},{beta2}");
            if !matches!(self.optimizer, Adam | Adamw | Lion) {
                return wrong("betas", &found, "none but with --optimizer adam, adamw or lion");
            }
            if ![beta1, beta2].iter().all(|beta| (0.0..1.0).contains(beta)) {
                return wrong("betas", &found, "two numbers from 0 up to, but not including, 1");
            }
        }
        let is_positive = |x: &f64| x.is_finite() && *x as f32 > 0.0 && (*x as f32).is_finite();
        if let Some(epsilon) = self.epsilon {
            if !matches!(self.optimizer, Adam | Adamw | Rmsprop) {
                return wrong("epsilon", &epsilon, "none but with --optimizer adam, adamw or rmsprop");
            }
            if !is_positive(&epsilon) {
                return wrong("epsilon", &epsilon, "a finite number above 0");
            }
        }
        for (what, limit) in [("clip norm", self.clip_norm), ("clip value", self.clip_value)] {
            if let Some(limit) = limit.filter(|limit| !is_positive(limit)) {
                return wrong(what, &limit, "a finite number above 0");
            }
        }
        if let (Some(_), Some(limit)) = (self.clip_norm, self.clip_value) {
            return wrong("clip value", &limit, "either that or a clip norm");
        }
        if self.accumulate == 0 {
            return wrong("accumulate", &0, "at least 1 batch");
        }
        if !(self.decay().is_finite() && self.decay() >= 0.0) {
            return wrong("weight decay", &self.decay(), "a finite number, 0 or above");
        }
        if let Some(ema) = self.ema.filter(|ema| !(0.0..1.0).contains(ema)) {
            return wrong("ema", &ema, "a number from 0 up to, but not including, 1");
        }
        Ok(())
    }
}
