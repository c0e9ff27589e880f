//! The learning rate over a run: the schedules by name, the check of their settings, and the rate of every update.

use crate::error::{Error, Result};
use crate::step::schedule::{Rates, Schedule};
use crate::train::settings::goal::Goal;
use crate::train::settings::options::{TrainOptions, wrong};
use serde::{Deserialize, Serialize};

/// The schedules by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum ScheduleName {
    /// The same rate for the whole run.
    #[default]
    Constant,
    /// Multiplied by gamma after every --step-every epochs.
    Step,
    /// Lowered to 0, or --min-lr, at the end of the run, along half a cosine wave.
    Cosine,
    /// Lowered when the validation loss has not improved for some epochs (PyTorch's
    /// ReduceLROnPlateau).
    Plateau,
    /// Raised to --lr over the first 30 % of the run, then lowered almost to 0 (PyTorch's OneCycleLR).
    OneCycle,
}

/// PyTorch's `ReduceLROnPlateau` of a loss, with a relative threshold and no cooldown. Its state follows from the losses
/// alone, which checkpoints have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plateau {
    /// The rate of the first epoch.
    pub base: f64,
    /// The factor for the rate.
    pub factor: f64,
    /// Epochs in a row without a smaller loss that leave the rate as it is.
    pub patience: u32,
    /// The share by which a loss is to be smaller than the smallest so far.
    pub threshold: f64,
    /// The least rate.
    pub least: f64,
}

/// A change of the rate that is smaller than this is none, as in PyTorch.
const LEAST_CHANGE: f64 = 1e-8;

impl Plateau {
    /// The rate after epochs of these validation losses; one that is not a number is not smaller than any.
    pub fn rate(&self, losses: impl IntoIterator<Item = f64>) -> f64 {
        let (mut rate, mut best, mut bad) = (self.base, f64::INFINITY, 0);
        for loss in losses {
            if loss < best * (1.0 - self.threshold) {
                (best, bad) = (loss, 0);
            } else {
                bad += 1;
            }
            if bad > self.patience {
                let lower = (rate * self.factor).max(self.least);
                rate = if rate - lower > LEAST_CHANGE { lower } else { rate };
                bad = 0;
            }
        }
        rate
    }
}

impl TrainOptions {
    /// The rates of a run over this many training samples, as far as they follow from the number of the update: with
    /// [`ScheduleName::Plateau`] the first.
    pub fn rates(&self, samples: usize) -> Rates {
        let Goal { per_epoch, last, .. } = Goal::new(samples, self);
        let narrow = |steps: u64| u32::try_from(steps).unwrap_or(u32::MAX);
        let per_epoch = per_epoch.div_ceil(self.accumulate.max(1).into());
        let every = narrow(per_epoch.saturating_mul(self.step_every.unwrap_or(1).into()));
        let schedule = match self.schedule {
            // The host writes another rate where one is due.
            ScheduleName::Constant | ScheduleName::Plateau => Schedule::Constant,
            ScheduleName::Step => Schedule::Step { every, gamma: self.gamma.unwrap_or(0.1) },
            ScheduleName::Cosine => Schedule::Cosine { least: self.min_lr.unwrap_or(0.0) },
            ScheduleName::OneCycle => Schedule::one_cycle([self.pct_start, self.div_factor, self.final_div_factor]),
        };
        Rates { base: self.rate(), schedule, warmup: self.warmup_steps, total: narrow(self.updates(samples, last)) }
    }

    /// The number of updates in `steps` steps over `samples` training samples: one per step, or one per accumulated
    /// group, and one at the end of every epoch.
    pub fn updates(&self, samples: usize, steps: u64) -> u64 {
        let (per_epoch, every) = (Goal::new(samples, self).per_epoch.max(1), u64::from(self.accumulate.max(1)));
        (steps / per_epoch).saturating_mul(per_epoch.div_ceil(every)) + steps % per_epoch / every
    }

    /// The rate of the update after this many steps, or of the update that they belong to; `losses` are the validation
    /// losses of the epochs before it.
    pub fn rate_at(&self, samples: usize, steps: u64, losses: impl IntoIterator<Item = f64>) -> f64 {
        match self.plateau() {
            Some(plateau) => plateau.rate(losses),
            None => self.rates(samples).at(self.updates(samples, steps).try_into().unwrap_or(u32::MAX)),
        }
    }

    /// The settings of [`ScheduleName::Plateau`], where that is the schedule.
    pub fn plateau(&self) -> Option<Plateau> {
        (self.schedule == ScheduleName::Plateau).then(|| Plateau {
            base: self.rate(),
            factor: self.plateau_factor.unwrap_or(0.1),
            patience: self.plateau_patience.unwrap_or(10),
            threshold: self.plateau_threshold.unwrap_or(1e-4),
            least: self.min_lr.unwrap_or(0.0),
        })
    }

    /// Refuses invalid settings of the schedule.
    pub(super) fn check_schedule(&self) -> Result<()> {
        let [is_step, is_plateau] = [ScheduleName::Step, ScheduleName::Plateau].map(|name| self.schedule == name);
        if let Some(gamma) = self.gamma.filter(|gamma| !(is_step && *gamma > 0.0 && *gamma <= 1.0)) {
            return wrong("gamma", &gamma, "a number above 0, up to 1, with --schedule step");
        }
        if let Some(every) = self.step_every.filter(|every| !(is_step && *every > 0)) {
            return wrong("step every", &every, "at least 1 epoch, with --schedule step");
        }
        if let Some(factor) = self.plateau_factor.filter(|factor| !(is_plateau && *factor > 0.0 && *factor < 1.0)) {
            return wrong("plateau factor", &factor, "a number between 0 and 1, with --schedule plateau");
        }
        if let Some(patience) = self.plateau_patience.filter(|_| !is_plateau) {
            return wrong("plateau patience", &patience, "none but with --schedule plateau");
        }
        if let Some(share) = self.plateau_threshold.filter(|share| !(is_plateau && (0.0..1.0).contains(share))) {
            return wrong(
                "plateau threshold",
                &share,
                "a number from 0 up to, but not including, 1, with --schedule plateau",
            );
        }
        let is_cycle = self.schedule == ScheduleName::OneCycle;
        if let Some(share) = self.pct_start.filter(|share| !(is_cycle && (0.0..=1.0).contains(share))) {
            return wrong("pct start", &share, "a share from 0 to 1, with --schedule one-cycle");
        }
        for (what, divisor) in [("div factor", self.div_factor), ("final div factor", self.final_div_factor)] {
            if let Some(divisor) = divisor.filter(|by| !(is_cycle && *by >= 1.0 && (*by as f32).is_finite())) {
                return wrong(what, &divisor, "a finite number from 1 on, with --schedule one-cycle");
            }
        }
        let has_least = is_plateau || self.schedule == ScheduleName::Cosine;
        if let Some(least) = self.min_lr.filter(|least| !(has_least && (0.0..=self.rate()).contains(least))) {
            return wrong("min lr", &least, "a number from 0 to the learning rate, with --schedule cosine or plateau");
        }
        let own = match self.schedule {
            ScheduleName::OneCycle => "none with --schedule one-cycle, which warms up by itself",
            ScheduleName::Plateau => "none with --schedule plateau",
            _ => return Ok(()),
        };
        match self.warmup_steps {
            0 => Ok(()),
            steps => Err(Error::input(format!("warm-up steps {steps}: {own}, is expected"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLATEAU: Plateau = Plateau { base: 0.1, factor: 0.5, patience: 1, threshold: 1e-2, least: 0.02 };

    /// Rates of `torch.optim.lr_scheduler.ReduceLROnPlateau` 1.13 with the same settings after each of these losses.
    #[test]
    fn a_plateau_is_pytorchs() {
        let losses = TORCH.map(|(loss, _)| loss);
        for (at, (_, expected)) in TORCH.into_iter().enumerate() {
            let found = PLATEAU.rate(losses[..=at].iter().copied());
            assert!((found - expected).abs() <= 1e-12, "after {} losses: {found}, PyTorch {expected}", at + 1);
        }
        assert_eq!(PLATEAU.rate([]), 0.1);
    }

    const TORCH: [(f64, f64); 17] = [
        (1.0, 0.1),
        (0.995, 0.1),
        (0.985, 0.1),
        (0.98, 0.1),
        (0.97, 0.1),
        (0.9, 0.1),
        (0.9, 0.1),
        (0.91, 0.05),
        (0.899, 0.05),
        (f64::NAN, 0.025),
        (0.5, 0.025),
        (0.6, 0.025),
        (0.6, 0.02),
        (0.7, 0.02),
        (0.7, 0.02),
        (0.7, 0.02),
        (0.7, 0.02),
    ];
}
