//! The closing line of a run: how long it took, why it ended, its last and best values.

use crate::cli::terminal::lines::{clock, six_digits};
use crate::counted::counted;
use crate::train::epochs::progress::{Goal, Progress};
use crate::train::settings::goal::Keep;
use serde_json::{Value, json};

/// How a run ended.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Closing<'a> {
    /// How far it came.
    pub(in crate::cli) progress: &'a Progress,
    /// Where it was to end.
    pub(in crate::cli) goal: Goal,
    /// The requested number of epochs.
    pub(in crate::cli) epochs: usize,
    /// The loss of its first step; for a resumed run, the mean of its first epoch.
    pub(in crate::cli) first_loss: Option<f64>,
    /// Which epoch's weights the run leaves.
    pub(in crate::cli) keep: Keep,
    /// Seconds since the command began.
    pub(in crate::cli) seconds: f64,
}

impl Closing<'_> {
    /// Why the run ended.
    fn reason(&self) -> &'static str {
        let Closing { progress, goal, epochs, .. } = self;
        if progress.step < goal.last {
            "patience"
        } else if progress.metrics.len() < *epochs || !progress.step.is_multiple_of(goal.per_epoch.max(1)) {
            "max_steps"
        } else {
            "epochs"
        }
    }

    /// Whether the loss rose, or is not a number. The loss of a single batch lies above or below the mean by chance: so an
    /// epoch has to end clearly above both the first batch and the first epoch, or far above the first batch.
    fn diverged(&self) -> Option<[f64; 2]> {
        const CLEARLY: f64 = 1.05;
        const FAR: f64 = 2.0;
        let metrics = &self.progress.metrics;
        let (first, epoch, last) = (self.first_loss?, metrics.first()?.loss, metrics.last()?.loss);
        let rose = metrics.len() > 1 && last > CLEARLY * first.max(epoch);
        (last.is_nan() || rose || last > FAR * first).then_some([first, last])
    }

    /// The line for people; a second one where the loss diverged.
    pub(in crate::cli) fn text(&self) -> String {
        let Progress { step, metrics, best, .. } = self.progress;
        let epochs = counted(metrics.len(), "epoch");
        let why = match (self.reason(), best) {
            ("patience", Some(best)) => format!("stopped early, no smaller val_loss since epoch {}", best.epoch),
            ("patience", None) => "stopped early, no val_loss that is a number".into(),
            ("max_steps", _) => "ended by --max-steps".into(),
            _ => "done".into(),
        };
        let mut text = format!("{why}: {epochs}, {} in {}", counted(step, "step"), clock(self.seconds));
        if let Some(last) = metrics.last() {
            text += &format!("; val_loss {}", six_digits(last.val_loss));
        }
        match best {
            Some(best) if best.epoch == metrics.len() => text += ", the best",
            Some(best) => {
                let (epoch, loss) = (best.epoch, six_digits(best.val_loss));
                text += &format!(", the best {loss} in epoch {epoch} ");
                text += match self.keep {
                    Keep::Last => "(checkpoints/best.safetensors; --keep best puts it into model.safetensors)",
                    Keep::Best => "(kept in model.safetensors)",
                };
            }
            None => {}
        }
        if let Some([first, last]) = self.diverged() {
            let (first, last) = (six_digits(first), six_digits(last));
            text += &format!(
                "\nwarning: the run diverged: the loss began at {first} and ended at {last}; a smaller --lr may help"
            );
        }
        text
    }

    /// Adds the same to the last line of JSON.
    pub(in crate::cli) fn add_to(&self, end: &mut Value) {
        end["seconds"] = json!(self.seconds);
        end["reason"] = json!(self.reason());
        end["diverged"] = json!(self.diverged().is_some());
        if let Some(last) = self.progress.metrics.last() {
            (end["loss"], end["val_loss"]) = (json!(last.loss), json!(last.val_loss));
            end["epochs"] = json!(last.epoch);
            if !last.val_accuracy.is_nan() {
                end["val_accuracy"] = json!(last.val_accuracy);
            }
        }
        let last = self.progress.metrics.len();
        end["model_epoch"] = match (self.keep, self.progress.best) {
            (Keep::Best, Some(best)) => json!(best.epoch),
            _ => json!(last),
        };
        if let Some(best) = self.progress.best {
            let file = "checkpoints/best.safetensors";
            end["best"] = json!({ "epoch": best.epoch, "val_loss": best.val_loss, "file": file });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(losses: &[f64]) -> Progress {
        let line = |(at, loss): (usize, &f64)| {
            let text = json!({
                "epoch": at + 1, "step": 4 * (at + 1), "loss": loss, "accuracy": 0.5, "val_loss": loss, "val_accuracy": 0.5,
                "seconds": 1.0, "images_per_second": 1.0,
            });
            serde_json::from_value(text).unwrap()
        };
        let metrics: Vec<crate::train::epochs::progress::Metrics> = losses.iter().enumerate().map(line).collect();
        let best = metrics.iter().copied().min_by(|a, b| a.val_loss.total_cmp(&b.val_loss)).map(|best| {
            crate::train::epochs::progress::Best { epoch: best.epoch, step: best.step, val_loss: best.val_loss }
        });
        Progress { step: 4 * losses.len() as u64, metrics, best, ..Progress::default() }
    }

    #[test]
    fn every_end_is_told() {
        let goal = |last| Goal { per_epoch: 4, last, patience: Some(2) };
        let text = |losses: &[f64], last, epochs, first| {
            let progress = progress(losses);
            let keep = Keep::Last;
            Closing { progress: &progress, goal: goal(last), epochs, first_loss: Some(first), keep, seconds: 65.0 }
                .text()
        };
        assert_eq!(text(&[2.0, 1.0], 8, 2, 3.0), "done: 2 epochs, 8 steps in 1:05; val_loss 1.00000, the best");
        assert_eq!(
            text(&[1.0, 2.0, 1.5], 40, 10, 3.0),
            "stopped early, no smaller val_loss since epoch 1: 3 epochs, 12 steps in 1:05; val_loss 1.50000, the best 1.00000 in \
             epoch 1 (checkpoints/best.safetensors; --keep best puts it into model.safetensors)"
        );
        let progress = progress(&[1.0, 2.0]);
        let kept =
            Closing { progress: &progress, goal: goal(8), epochs: 2, first_loss: None, keep: Keep::Best, seconds: 1.0 };
        assert!(kept.text().ends_with("the best 1.00000 in epoch 1 (kept in model.safetensors)"), "{}", kept.text());
        let mut end = json!({});
        kept.add_to(&mut end);
        assert_eq!((&end["model_epoch"], &end["epochs"]), (&json!(1), &json!(2)));
        assert!(text(&[1.0], 4, 3, 3.0).starts_with("ended by --max-steps: 1 epoch, 4 steps"));
        let diverged = text(&[2.0, 2.4e20], 8, 2, 2.3);
        assert!(
            diverged.ends_with("the loss began at 2.30000 and ended at 2.40000e20; a smaller --lr may help"),
            "{diverged}"
        );
    }
}
