//! How far a run has come: its metrics, the current epoch, and the best so far.

use crate::train::epochs::confusion::Confusion;
use crate::train::epochs::evaluator::Totals;
use crate::train::epochs::scores::NumberScore;
pub use crate::train::settings::goal::Goal;
use crate::train::state::digest::Digest;
use serde::{Deserialize, Deserializer, Serialize};

/// One line of `metrics.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps since the start of the run.
    pub step: u64,
    /// Mean loss over the epoch's samples, each batch's before its update.
    #[serde(deserialize_with = "or_nan")]
    pub loss: f64,
    /// Share of the epoch's samples that were classified correctly; NaN, and left out, for numeric targets.
    #[serde(default = "nan", deserialize_with = "or_nan", skip_serializing_if = "is_nan")]
    pub accuracy: f64,
    /// Mean loss over the test set, or the validation split.
    #[serde(deserialize_with = "or_nan")]
    pub val_loss: f64,
    /// Share of it that was right; not a number, and left out, where targets are numbers.
    #[serde(default = "nan", deserialize_with = "or_nan", skip_serializing_if = "is_nan")]
    pub val_accuracy: f64,
    /// Mean intersection over union of the classes of the test set's pixels; only of a model that tells those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_mean_iou: Option<f64>,
    /// Mean absolute error over the test set, in the target's own units; only where a single target is a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_mae: Option<f64>,
    /// Coefficient of determination over the test set, the mean of all targets; only where they are numbers that vary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_r2: Option<f64>,
    /// e to the power of `val_loss`, of a model that continues a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_perplexity: Option<f64>,
    /// Seconds of training, validation and checkpoints apart.
    #[serde(deserialize_with = "or_nan")]
    pub seconds: f64,
    /// Training samples by those seconds.
    #[serde(deserialize_with = "or_nan")]
    pub images_per_second: f64,
    /// The learning rate of the epoch's last step; none by an older wgrad.
    #[serde(default)]
    pub lr: Option<f64>,
    /// The SHA-256 of the weights as they were then; none if no checkpoints were requested, or in runs of an older
    /// wgrad.
    #[serde(default)]
    pub weights_sha256: Option<Digest>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_nan(value: &f64) -> bool {
    value.is_nan()
}

fn nan() -> f64 {
    f64::NAN
}

impl Metrics {
    /// Adds what validation found beyond loss and accuracy: of the pixels' classes, or of numbers.
    pub fn score(&mut self, pixels: Option<&Confusion>, numbers: Option<&[NumberScore]>) {
        self.val_mean_iou = pixels.map(Confusion::mean_iou);
        let numbers = numbers.unwrap_or_default();
        self.val_mae = if let [one] = numbers { Some(one.mae) } else { None };
        let r2: Vec<f64> = numbers.iter().filter_map(|score| score.r2).collect();
        self.val_r2 = (!r2.is_empty()).then(|| r2.iter().sum::<f64>() / r2.len() as f64);
    }
}

/// JSON has no NaN and no infinity: they are written as `null`.
fn or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// The epoch with the smallest `val_loss`, the first of them where several have it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps since the start of the run.
    pub step: u64,
    /// Its loss over what was validated on.
    pub val_loss: f64,
}

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Steps that are done.
    pub step: u64,
    /// The epochs that have ended.
    pub metrics: Vec<Metrics>,
    /// The sums of the epoch under way.
    pub totals: Totals,
    /// Seconds of training in the epoch under way.
    pub seconds: f64,
    /// The best epoch so far.
    pub best: Option<Best>,
}

impl Progress {
    /// The validation losses of the epochs that have ended.
    pub fn val_losses(&self) -> impl Iterator<Item = f64> + '_ {
        self.metrics.iter().map(|metrics| metrics.val_loss)
    }

    /// The number of the epoch under way, from 1.
    pub fn epoch(&self) -> usize {
        self.metrics.len() + 1
    }

    /// The step before the first of the epoch under way.
    pub fn epoch_start(&self) -> u64 {
        self.metrics.last().map_or(0, |m| m.step)
    }

    /// The last step of the epoch under way.
    pub fn epoch_end(&self, goal: Goal) -> u64 {
        self.epoch_start().saturating_add(goal.per_epoch).min(goal.last)
    }

    /// Whether all steps are done, or patience is at its end, and the last epoch has been validated.
    pub fn finished(&self, goal: Goal) -> bool {
        let over = self.step >= goal.last || self.patience_ended(goal);
        over && self.metrics.last().is_some_and(|m| m.step == self.step)
    }

    /// Whether as many epochs have gone by without a new best as patience allows; where there is no best (every loss was
    /// NaN), all of them count.
    fn patience_ended(&self, goal: Goal) -> bool {
        let best = self.best.map_or(0, |best| best.epoch);
        goal.patience.is_some_and(|patience| self.metrics.len().saturating_sub(best) >= patience)
    }

    /// Opens an epoch again that ended before its time because the run was to be shorter.
    pub fn reopen(&mut self, goal: Goal) {
        let whole = self.step.is_multiple_of(goal.per_epoch.max(1));
        if self.step < goal.last && !whole && self.epoch_start() == self.step {
            self.metrics.pop();
        }
    }

    /// Ends the epoch under way with what validation found, the last step's learning rate, and the digest of the weights where they were read.
    pub fn close(&mut self, validation: &Totals, lr: f64, weights_sha256: Option<Digest>, goal: Goal) -> Metrics {
        let metrics = Metrics {
            epoch: self.epoch(),
            step: self.step,
            loss: self.totals.loss(),
            accuracy: self.totals.accuracy(),
            val_loss: validation.loss(),
            val_accuracy: validation.accuracy(),
            val_mean_iou: None,
            val_mae: None,
            val_r2: None,
            val_perplexity: None,
            seconds: self.seconds,
            images_per_second: self.totals.samples() as f64 / self.seconds,
            lr: Some(lr),
            weights_sha256,
        };
        let Metrics { epoch, step, val_loss, .. } = metrics;
        if val_loss.is_finite() && self.best.is_none_or(|best| val_loss < best.val_loss) {
            self.best = Some(Best { epoch, step, val_loss });
        }
        self.metrics.push(metrics);
        // The sums of an epoch that ended before its time stay, should it be opened again.
        if self.step.is_multiple_of(goal.per_epoch.max(1)) {
            (self.totals, self.seconds) = (self.totals.cleared(), 0.0);
        }
        metrics
    }

    /// Whether the metrics are those of consecutive epochs of `per_epoch` steps, up to `step`.
    pub fn is_sound(&self, per_epoch: u64) -> bool {
        let starts = std::iter::once(0).chain(self.metrics.iter().map(|m| m.step));
        let epochs = self.metrics.iter().zip(starts).enumerate();
        let mut sound = epochs.map(|(at, (m, start))| {
            // Numbers of a file, which may be anything.
            let end = start.saturating_add(per_epoch);
            let whole = m.step == end;
            let last = at + 1 == self.metrics.len() && m.step > start && m.step < end;
            m.epoch == at + 1 && (whole || last && m.step == self.step)
        });
        let open = self.step.checked_sub(self.epoch_start());
        let best = self.best.is_none_or(|best| best.step <= self.step && best.val_loss.is_finite());
        sound.all(|sound| sound) && best && open.is_some_and(|steps| steps <= per_epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::epochs::engine::Record;

    fn whole(per_epoch: u64, last: u64) -> Goal {
        Goal { per_epoch, last, patience: None }
    }

    fn validation(loss: f32) -> Totals {
        let mut totals = Totals::default();
        totals.add(&Record { loss, correct: 1, samples: 2, fault: 0, weight: 2.0, targets: 0 });
        totals
    }

    #[test]
    fn the_best_epoch_has_the_first_smallest_loss() {
        let goal = whole(2, 100);
        let mut progress = Progress::default();
        for (loss, best) in [(f32::NAN, None), (0.5, Some(2)), (0.75, Some(2)), (0.25, Some(4)), (0.25, Some(4))] {
            progress.step += 2;
            progress.close(&validation(loss), 1e-3, None, goal);
            assert_eq!(progress.best.map(|best| best.epoch), best, "{loss}");
        }
        assert!(progress.is_sound(2) && !progress.is_sound(3));
    }

    #[test]
    fn an_epoch_that_ended_before_its_time_goes_on_in_a_longer_run() {
        let short = whole(4, 6);
        let mut progress = Progress { step: 4, ..Progress::default() };
        progress.close(&validation(0.5), 1e-3, None, short);
        progress.step = 6;
        progress.totals = validation(0.25);
        progress.close(&validation(0.5), 1e-3, None, short);
        assert!(progress.finished(short) && progress.is_sound(4));
        let mut longer = progress.clone();
        longer.reopen(whole(4, 8));
        assert_eq!((longer.epoch(), longer.epoch_start(), longer.totals), (2, 4, validation(0.25)));
        progress.reopen(short);
        assert!(progress.finished(short), "nothing to go on with");
    }

    #[test]
    fn patience_counts_epochs_since_the_best() {
        let goal = Goal { patience: Some(2), ..whole(2, 100) };
        let mut progress = Progress::default();
        for (loss, ends) in [(0.5, false), (0.75, false), (0.25, false), (0.25, false), (0.5, true)] {
            progress.step += 2;
            assert!(!progress.finished(goal), "within an epoch");
            progress.close(&validation(loss), 1e-3, None, goal);
            assert_eq!(progress.finished(goal), ends, "epoch {}", progress.metrics.len());
            assert!(!progress.finished(whole(2, 100)));
        }
        assert_eq!(progress.best.map(|best| best.epoch), Some(3));
    }

    #[test]
    fn what_json_cannot_say_comes_back_as_nan() {
        let mut progress = Progress { step: 1, seconds: 0.1 + 0.2, ..Progress::default() };
        progress.close(&validation(f32::INFINITY), 1e-3, None, whole(9, 1));
        let text = serde_json::to_string(&progress).unwrap();
        let again: Progress = serde_json::from_str(&text).unwrap();
        assert!(again.metrics[0].val_loss.is_nan() && again.seconds == progress.seconds, "{text}");
    }
}
