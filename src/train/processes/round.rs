//! A round: every process computes a batch, and all of them take in all batches, in their order.
//!
//! The batches of an update go to the processes in turn. What a batch leaves (losses, counts, statistics of norms) goes to all
//! processes; its gradients go in slices, one to each process, which sums its slice over the batches; after an update's last
//! batch the slices are gathered. Then every process runs the update phase once for each batch of the round, as one process
//! runs it after each of its steps: so states, records and weights are those of one process, to the bit.

use crate::error::{Error, Result};
use crate::ir::graph::Phase;
use crate::ir::values::Values;
use crate::processes::Communicator;
use crate::step::control::Control;
use crate::step::nonfinite;
use crate::train::epochs::engine::Record;
use crate::train::epochs::trainer::{Event, Trainer};
use crate::train::processes::Together;
use std::ops::ControlFlow;
use std::time::Instant;

/// Bytes before the results of a batch: whether the process wants a halt, and whether its gradients are not all finite.
const HEAD: usize = 2;

/// Words of the control block that say which batch it is, from the second word on: step, epoch, first and valid.
const PLACE: std::ops::Range<usize> = 1..5;

impl Together {
    fn place(&self) -> [usize; 2] {
        [self.others.rank(), self.others.size()]
    }
}

impl Trainer {
    /// Steps up to the end of the epoch, the next checkpoint, or the break of any process's observer; all processes stop at the
    /// same step.
    pub(in crate::train) async fn stretch_together(
        &mut self,
        observe: &mut impl FnMut(Event) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let (end, due) = self.until();
        let (begun, before, is_first) = (Instant::now(), self.progress.seconds, self.is_first());
        let mut flow = ControlFlow::Continue(());
        self.with_together(async |trainer, together| together.summing.take_sum(&trainer.engine).await).await?;
        let mut halted = false;
        while !halted && self.progress.step < end {
            // The wish to stop is sent with the next round, which all processes complete.
            let wants = flow.is_break() || is_first && due.is_some_and(|due| Instant::now() >= due);
            let (records, any) = self.with_together(async |t, together| t.round(together, end, wants).await).await?;
            halted = any;
            let seconds = before + begun.elapsed().as_secs_f64();
            if self.take(&records, seconds, observe).await?.is_break() {
                flow = ControlFlow::Break(());
            }
        }
        let gather = async |trainer: &mut Trainer, together: &mut Together| {
            let sum = together.summing.sum().await?;
            let slices = trainer.exchange(together.others(), |others| others.all_gather(sum.bytes()))?;
            together.summing.give_sum(&mut trainer.engine, &slices)
        };
        self.with_together(gather).await?;
        self.agree(flow)
    }

    /// An exchange, whose time is counted.
    fn exchange<T>(
        &mut self,
        others: &dyn Communicator,
        call: impl FnOnce(&dyn Communicator) -> Result<T>,
    ) -> Result<T> {
        let begun = Instant::now();
        let result = call(others);
        self.exchange += begun.elapsed();
        result
    }

    /// The processes, beside the trainer.
    async fn with_together<T>(&mut self, run: impl AsyncFnOnce(&mut Trainer, &mut Together) -> Result<T>) -> Result<T> {
        let mut together = self.together.take().ok_or_else(|| Error::failed("this process is alone"))?;
        let result = run(self, &mut together).await;
        self.together = Some(together);
        result
    }

    /// A batch for each process, as far as the update and the step `end` let it: their records, and whether any process wants a
    /// halt.
    async fn round(&mut self, together: &mut Together, end: u64, wants: bool) -> Result<(Vec<Record>, bool)> {
        let (at, [rank, size]) = (self.progress.step, together.place());
        let last = self.last_of_update(at);
        let count = (end.min(last + 1) - at).min(size as u64) as usize;
        let (message, grads) = match rank < count {
            true => self.compute(together, at + rank as u64, wants).await?,
            false => self.idle(together, wants),
        };
        let messages = self.exchange(together.others(), |others| others.all_gather(&message))?;
        let slices = together.summing.slices(grads);
        let slices = self.exchange(together.others(), |others| others.all_to_all(bytemuck::cast_slice(&slices)))?;
        self.move_to(at)?;
        let batches = messages.chunks_exact(message.len()).zip(slices.chunks_exact(slices.len() / size));
        for (batch, (message, slice)) in batches.take(count).enumerate() {
            let (head, mut results) = message.split_at(HEAD);
            for &t in &together.crossing {
                let info = self.step.graph.info(t);
                let (values, rest) = results.split_at(4 * info.elements());
                self.engine.write(t, Values::from_bytes(info.dtype, values))?;
                results = rest;
            }
            if head[1] != 0 {
                self.engine.write(self.step.fault, Values::Word(vec![nonfinite::GRADIENT]))?;
            }
            together.summing.add(&mut self.engine, slice)?;
            if at + batch as u64 == last {
                let mean = together.summing.mean().await?;
                let slices = self.exchange(together.others(), |others| others.all_gather(mean.bytes()))?;
                together.summing.give_mean(&mut self.engine, &slices)?;
            }
            self.engine.submit_phase(Phase::Update)?;
        }
        let capacity = self.step.graph.shape(self.step.log)[0];
        let log = self.engine.read(self.step.log).await?;
        let records = self.engine.records(Some(log), (at % capacity as u64) as usize, count)?;
        let any = messages.chunks_exact(message.len()).any(|message| message[0] != 0);
        Ok((records, any))
    }

    /// Computes the batch of step `at` (from 0): what it leaves, and its gradients.
    async fn compute(&mut self, together: &Together, at: u64, wants: bool) -> Result<(Vec<u8>, Vec<f32>)> {
        self.ready(at)?;
        self.move_to(at)?;
        self.engine.submit_phase(Phase::Compute)?;
        let Values::Float(grads) = self.engine.read(together.summing.grads()).await? else {
            return Err(Error::failed("gradients are not floats"));
        };
        let mut message = vec![wants.into(), u8::from(!grads.iter().all(|g| g.is_finite()))];
        for &t in &together.crossing {
            message.extend_from_slice(self.engine.read(t).await?.bytes());
        }
        Ok((message, grads))
    }

    /// What a process sends that has no batch in a round: as much as the others.
    fn idle(&self, together: &Together, wants: bool) -> (Vec<u8>, Vec<f32>) {
        let bytes: usize = together.crossing.iter().map(|&t| 4 * self.step.graph.info(t).elements()).sum();
        let mut message = vec![0; HEAD + bytes];
        message[0] = wants.into();
        (message, Vec::new())
    }

    /// The last step of the update that step `at` is of, both from 0.
    fn last_of_update(&self, at: u64) -> u64 {
        let (per_epoch, every) = (self.goal().per_epoch, u64::from(self.options.accumulate));
        let within = at % per_epoch;
        at - within + ((within / every + 1) * every).min(per_epoch) - 1
    }

    /// Makes the device's control block that of step `at` (from 0); rates and corrections stay.
    fn move_to(&mut self, at: u64) -> Result<()> {
        let samples = self.step.samples as u32;
        let words = Control { samples, ..Control::default() }.at(at, self.step.batch).words();
        self.engine.write_rows(self.step.control, PLACE.start, &Values::Word(words[PLACE].to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_place_are_those_of_the_batch() {
        let block = Control { samples: 10, ..Control::default() };
        assert_eq!(block.at(6, 4).words()[PLACE], [6, 2, 0, 4]);
        assert_eq!(block.at(5, 4).words()[PLACE], [5, 1, 8, 2]);
    }
}
