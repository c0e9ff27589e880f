//! The loss of a run: its kind, label smoothing and class weights.

use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Tensor, TensorInfo};
use crate::ir::values::Values;
use crate::model::Task;
use crate::ops::loss::class_scale::ClassScale;
use crate::ops::loss::dice::Dice;
use crate::ops::loss::dice_sums::DiceSums;
use crate::ops::loss::each::Each;
use crate::ops::loss::log_sum_exp::LogSumExp;
use crate::ops::loss::one_hot_loss::OneHotLoss;
use crate::ops::loss::softmax_ce::SoftmaxCe;
use crate::ops::loss::target_loss::TargetLoss;
use crate::ops::optim::step_end::Weighing;
use crate::train::settings::class_weights::ClassWeights;
use serde::{Deserialize, Serialize};

/// The losses by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum LossName {
    /// Cross-entropy of the softmax over the classes.
    Softmax,
    /// Binary cross-entropy of each answer or class, with a sigmoid.
    Bce,
    /// Squared difference from the target: a number, or the one-hot form of a label.
    Mse,
    /// Half the squared difference up to 1, linear beyond.
    Huber,
    /// For masks: soft Dice loss, the mean over the classes of 1 - 2·Σ p·t / Σ (p + t), per image.
    Dice,
    /// For masks: the sum of softmax cross-entropy and soft Dice loss, per image.
    #[serde(rename = "ce-dice")]
    CeDice,
}

impl LossName {
    /// Its name on the command line and in files.
    fn name(self) -> &'static str {
        match self {
            LossName::Softmax => "softmax",
            LossName::Bce => "bce",
            LossName::Mse => "mse",
            LossName::Huber => "huber",
            LossName::Dice => "dice",
            LossName::CeDice => "ce-dice",
        }
    }
}

/// A loss with all its settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Criterion {
    /// Which one; without, that of the model's task.
    pub loss: Option<LossName>,
    /// The part of the target that is spread over all classes.
    pub smoothing: f64,
    /// The weight of each class.
    pub weights: ClassWeights,
}

/// The results of a loss in the graph.
pub(in crate::train) struct Applied {
    /// Loss, correct counts and delta.
    pub(in crate::train) results: Vec<Tensor>,
    /// The weight of the batch's mean loss.
    pub(in crate::train) weighing: Weighing,
    /// The sum of the weights of the batch's targets and their number, `[2]`, where they have weights or some are ignored.
    pub(in crate::train) weight: Option<Tensor>,
}

impl Applied {
    /// A loss whose targets have equal weights.
    fn plain(results: Vec<Tensor>) -> Applied {
        Applied { results, weighing: Weighing::Samples, weight: None }
    }
}

impl Task {
    /// The loss where none is named.
    pub fn loss(&self) -> LossName {
        match self {
            Task::Classify | Task::Next => LossName::Softmax,
            Task::Answers => LossName::Bce,
            Task::Regress { .. } => LossName::Mse,
        }
    }
}

impl Criterion {
    /// Refuses invalid settings; the number of weights is checked against the classes when the step is built.
    ///
    /// # Errors
    /// [`Error::Input`] that names the option.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str, found: String, expected: &str| {
            Err(Error::input(format!("{what} {found}: {expected} is expected")))
        };
        let softmax = self.is_softmax();
        if !(0.0..1.0).contains(&self.smoothing) {
            return wrong("label smoothing", self.smoothing.to_string(), "a number from 0 up to, but not including, 1");
        }
        if self.smoothing > 0.0 && !softmax {
            return wrong("label smoothing", self.smoothing.to_string(), "none but with --loss softmax");
        }
        let given: &[f64] = if let ClassWeights::Given(weights) = &self.weights { weights } else { &[] };
        if let Some(weight) = given.iter().find(|weight| !((**weight as f32).is_finite() && **weight >= 0.0)) {
            return wrong("class weight", weight.to_string(), "a finite number, 0 or above,");
        }
        if self.weights != ClassWeights::Equal && !softmax {
            return wrong("class weights", self.weights.to_string(), "none but with --loss softmax");
        }
        if !given.is_empty() && given.iter().all(|weight| *weight as f32 == 0.0) {
            return wrong("class weights", self.weights.to_string(), "one above 0");
        }
        Ok(())
    }

    /// Whether the loss is softmax cross-entropy where the model tells classes.
    pub fn is_softmax(&self) -> bool {
        self.loss.is_none_or(|loss| loss == LossName::Softmax)
    }

    /// The loss in force for a task.
    ///
    /// # Errors
    /// [`Error::Input`] for a loss that the task has no use for.
    pub fn loss_of(&self, task: &Task) -> Result<LossName> {
        let loss = self.loss.unwrap_or(task.loss());
        let expected = match (task, loss) {
            (Task::Next, LossName::Softmax) => return Ok(loss),
            (Task::Next, _) => "softmax for the next token",
            (_, LossName::Mse | LossName::Huber) if !matches!(task, Task::Answers) => return Ok(loss),
            (Task::Regress { .. }, _) => "mse or huber for targets that are numbers",
            (Task::Answers, LossName::Bce) | (Task::Classify, _) => return Ok(loss),
            (Task::Answers, _) => "bce for yes-or-no answers",
        };
        let name = loss.name();
        Err(Error::input(format!("loss {name}: expected {expected}")))
    }

    /// Adds the loss of `logits` to the graph; `mixed` are the labels and shares of mixup. Where labels may be `ignored`, the
    /// mean is over the others.
    ///
    /// # Errors
    /// [`Error::Input`] if there are not as many weights as classes, and for mixup of labels that may be ignored.
    pub(in crate::train) fn apply(
        &self,
        graph: &mut Graph,
        task: &Task,
        [control, logits, labels]: [Tensor; 3],
        mixed: Option<[Tensor; 2]>,
        ignored: bool,
    ) -> Result<Applied> {
        let classes = graph.shape(logits).last().copied().unwrap_or(0);
        if ignored && mixed.is_some() {
            return Err(Error::input("mixup: labels of which none is ignored are expected"));
        }
        let each = match self.loss_of(task)? {
            LossName::Softmax => None,
            LossName::Bce => Some(Each::Bce),
            LossName::Mse => Some(Each::Mse),
            LossName::Huber => Some(Each::Huber),
            LossName::Dice | LossName::CeDice if graph.shape(logits).len() < 3 => {
                let name = self.loss_of(task)?.name();
                return Err(Error::input(format!("loss {name}: expected a model for segmentation")));
            }
            cross @ (LossName::Dice | LossName::CeDice) => {
                let whole = graph.apply(LogSumExp, &[logits])?[0];
                let sums = graph.apply(DiceSums, &[logits, labels, whole])?[0];
                let op = Dice { cross: cross == LossName::CeDice };
                let results = graph.apply(op, &[control, logits, labels, whole, sums])?;
                if !ignored {
                    return Ok(Applied::plain(results));
                }
                let [_, weight] = scale(graph, control, labels, vec![1.0; classes])?;
                return Ok(Applied { results, weighing: Weighing::Counted, weight: Some(weight) });
            }
        };
        if !task.is_softmax() {
            let plain = self.smoothing == 0.0 && self.weights == ClassWeights::Equal && !ignored;
            let (Some(each), true) = (each, plain) else {
                let outputs = task.outputs();
                return Err(Error::input(format!(
                    "label smoothing, class weights and ignored labels: expected none where a model gives {outputs}"
                )));
            };
            return Ok(Applied::plain(graph.apply(TargetLoss(each), &[control, logits, labels])?));
        }
        if let Some(each) = each {
            let op = OneHotLoss { each, counted: ignored };
            if !ignored {
                return Ok(Applied::plain(graph.apply(op, &[control, logits, labels])?));
            }
            let [scale, weight] = scale(graph, control, labels, vec![1.0; classes])?;
            let results = graph.apply(op, &[control, logits, labels, scale])?;
            return Ok(Applied { results, weighing: Weighing::Weights, weight: Some(weight) });
        }
        let plain = SoftmaxCe { smoothing: self.smoothing as f32, mixed: mixed.is_some(), ..SoftmaxCe::default() };
        if self.weights == ClassWeights::Equal && !ignored {
            let from: Vec<Tensor> = [control, logits, labels].into_iter().chain(mixed.into_iter().flatten()).collect();
            return Ok(Applied::plain(graph.apply(plain, &from)?));
        }
        let weights: Vec<f32> = match &self.weights {
            ClassWeights::Equal => vec![1.0; classes],
            ClassWeights::Given(weights) => weights.iter().map(|weight| *weight as f32).collect(),
            ClassWeights::Balanced => {
                return Err(Error::input(
                    "class weights balanced: expected numbers, which a trainer counts from its labels",
                ));
            }
        };
        if weights.len() != classes {
            let found = weights.len();
            return Err(Error::input(format!("{found} class weights, expected {classes}, one for each class")));
        }
        let [scale, weight] = scale(graph, control, labels, weights)?;
        let results = graph.apply(SoftmaxCe { weighted: true, ..plain }, &[control, logits, labels, scale])?;
        Ok(Applied { results, weighing: Weighing::Weights, weight: Some(weight) })
    }
}

/// Weights of classes over their sum over the batch's labels, and that sum.
fn scale(graph: &mut Graph, control: Tensor, labels: Tensor, values: Vec<f32>) -> Result<[Tensor; 2]> {
    let weights = TensorInfo::floats("class weights", [values.len()]);
    let weights = graph.constant(weights, || Values::Float(values));
    let scaled = graph.apply(ClassScale, &[control, labels, weights])?;
    Ok([scaled[0], scaled[1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let base = Criterion::default;
        let cases = [
            (Criterion { smoothing: 1.0, ..base() }, "label smoothing 1"),
            (Criterion { smoothing: f64::NAN, ..base() }, "label smoothing NaN"),
            (Criterion { smoothing: 0.1, loss: Some(LossName::Bce), ..base() }, "label smoothing 0.1"),
            (Criterion { weights: vec![1.0, -1.0].into(), ..base() }, "class weight -1"),
            (Criterion { weights: vec![f64::INFINITY].into(), ..base() }, "class weight inf"),
            (Criterion { weights: vec![0.0, 0.0].into(), ..base() }, "class weights"),
            (Criterion { weights: vec![1.0].into(), loss: Some(LossName::Mse), ..base() }, "class weights"),
        ];
        for (criterion, start) in cases {
            let error = criterion.check().expect_err(start).to_string();
            assert!(error.starts_with(start), "{error}");
        }
        assert_eq!(Criterion { smoothing: 0.1, weights: vec![0.0, 2.0].into(), ..base() }.check(), Ok(()));
    }
}
