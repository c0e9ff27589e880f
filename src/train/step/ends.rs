//! The ends of a step's graph: the loss and its counts, the update's control block, the record of the step.

use super::{LOG_CAPACITY, Start, Step};
use crate::error::Result;
use crate::ir::graph::{Role, Tensor, TensorInfo};
use crate::ops::loss::argmax::Argmax;
use crate::ops::loss::sample_sum::SampleSum;
use crate::ops::optim::accumulate::Accumulate;
use crate::ops::optim::step_end::{RECORD, StepEnd, Weighing};
use crate::step::control::Control;
use crate::step::schedule::Rates;
use crate::train::settings::loss::{Applied, Criterion};
use crate::train::settings::options::TrainOptions;

impl Start {
    pub(super) fn loss(&mut self, criterion: &Criterion) -> Result<Vec<Tensor>> {
        let from = [self.control, self.logits, self.labels];
        let target = self.columns.last();
        let ignored = self.outside || target.is_some_and(|target| target.field.may_be_ignored());
        let Applied { results, weighing, weight } =
            criterion.apply(&mut self.graph, &self.task, from, self.mixed, ignored)?;
        (self.weighing, self.weight) = (weighing, weight);
        Ok(results)
    }

    /// Loss and correct counts, one of each a sample.
    pub(super) fn by_sample(&mut self, loss: Vec<Tensor>) -> Result<Vec<Tensor>> {
        if self.graph.shape(loss[0]).len() == 1 { Ok(loss) } else { self.graph.apply(SampleSum, &loss[..2]) }
    }

    /// Adds the class of each pixel, where the model tells them, in memory of its own: it is read after the step.
    pub(super) fn mask(&mut self) -> Result<()> {
        if self.graph.shape(self.logits).len() > 3 {
            let mask = self.graph.apply(Argmax, &[self.logits])?[0];
            self.graph.tensors[mask.index()].role = Role::Control;
            self.mask = Some(mask);
        }
        Ok(())
    }

    pub(super) fn fault(&mut self) -> Tensor {
        self.graph.tensor(TensorInfo::words("fault", [1]).role(Role::Control))
    }

    /// The control block that updates go by. Where gradients are accumulated it is one of its own, and `grads` become
    /// those of the update.
    pub(super) fn update_of(&mut self, grads: Tensor, fault: Tensor, options: &TrainOptions) -> Result<Tensor> {
        if options.accumulate == 1 {
            return Ok(self.control);
        }
        let graph = &mut self.graph;
        let elements = graph.info(grads).elements();
        let sum = graph.tensor(TensorInfo::floats("accumulated", [elements]).role(Role::State));
        let of_update = TensorInfo::words("control of the update", [Control::WORDS]).role(Role::Control);
        let of_update = graph.tensor(of_update);
        let op = Accumulate {
            elements,
            batch: self.batch,
            every: options.accumulate as usize,
            weighted: self.weighing == Weighing::Weights,
        };
        let weight = self.weight.filter(|_| op.weighted);
        let from: Vec<Tensor> = [self.control].into_iter().chain(weight).collect();
        graph.reduce(op, &from, &[sum, grads, of_update, fault])?;
        Ok(of_update)
    }

    pub(super) fn finish(
        mut self,
        loss: Vec<Tensor>,
        fault: Tensor,
        params: Tensor,
        betas: [f64; 2],
        rates: Rates,
        accumulate: u32,
    ) -> Result<Step> {
        self.graph.carry_states(self.control)?;
        let log = self.graph.tensor(TensorInfo::floats("log", [LOG_CAPACITY, RECORD]).role(Role::Control));
        let weighing = self.weighing;
        let end = StepEnd { batch: self.batch, capacity: LOG_CAPACITY, betas, rates, accumulate, weighing };
        let from: Vec<Tensor> = [loss[0], loss[1], fault].into_iter().chain(self.weight).collect();
        self.graph.update(end, &from, &[self.control, log])?;
        Ok(Step {
            graph: self.graph,
            columns: self.columns,
            control: self.control,
            log,
            fault,
            logits: self.logits,
            weighing: self.weighing,
            mask: self.mask,
            positions: self.positions,
            params,
            ema: None,
            batch: self.batch,
            samples: self.samples,
            window: self.window,
        })
    }
}
