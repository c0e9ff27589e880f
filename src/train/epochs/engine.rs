//! A step on a device: the same few calls whether shaders run it or the native CPU does.

pub mod parts;

use crate::device::Device;
use crate::device::executor::{Build, Executor, Part};
use crate::device::gpu::patience::SLOW;
use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Phase, Tensor};
use crate::ir::values::Values;
use crate::ops::optim::step_end::RECORD;
use std::collections::VecDeque;

/// The record of a step in the log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// The mean loss of the batch, before its update.
    pub loss: f32,
    /// Samples whose largest logit was their label's.
    pub correct: u32,
    /// Samples of the batch.
    pub samples: u32,
    /// The weight of the mean loss in a mean over batches: its samples, or the sum of the weights of its losses.
    pub weight: f32,
    /// Targets that count, where some may be ignored; else 0.
    pub targets: u32,
    /// Where a NaN or an infinity was met, as [`crate::step::nonfinite`] has it; 0 in all health.
    pub fault: u32,
}

impl Record {
    /// The record as the words that processes exchange.
    pub(in crate::train) fn words(&self) -> [u32; RECORD] {
        let Record { loss, correct, samples, weight, targets, fault } = *self;
        [loss.to_bits(), correct, samples, weight.to_bits(), targets, fault]
    }

    /// The record of such words.
    pub(in crate::train) fn of_words([loss, correct, samples, weight, targets, fault]: [u32; RECORD]) -> Record {
        let [loss, weight] = [loss, weight].map(f32::from_bits);
        Record { loss, correct, samples, weight, targets, fault }
    }
}

/// A dispatch of a step, or on the native CPU an op, timed by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// The graph's node that it works for.
    pub node: usize,
    /// The kernel in its expansion; on the native CPU the op.
    pub kernel: String,
    /// Its duration.
    pub seconds: f64,
}

/// The target duration of a submit: long enough to hide its overhead, short enough that no system considers the device
/// hung (Windows resets one after two seconds).
const SUBMIT_SECONDS: f64 = 0.06;

/// How many steps a submit has, from how long steps took.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    steps: usize,
    slow: bool,
}

impl Default for Pace {
    /// One step: nothing has been measured.
    fn default() -> Self {
        Pace { steps: 1, slow: false }
    }
}

impl Pace {
    /// Steps of the next submit, of `left`.
    pub fn of(&self, left: usize) -> usize {
        self.steps.min(left)
    }

    /// Records that a submit of `steps` returned after this many seconds. The next ones at most double in size: a
    /// submit that was finished long before it was polled seems to have taken no time.
    pub fn measured(&mut self, steps: usize, seconds: f64) {
        let each = seconds / steps as f64;
        let most = ((SUBMIT_SECONDS / each) as usize).min(2 * self.steps.max(steps));
        self.steps = most.clamp(1, crate::train::step::LOG_CAPACITY / 2);
        self.slow = each > SLOW.as_secs_f64();
    }

    /// Whether a step takes so long that it should not go in one submit.
    pub fn is_slow(&self) -> bool {
        self.slow
    }
}

/// A step's graph, built on a device.
#[derive(Debug)]
pub struct Engine {
    executor: Box<dyn Executor>,
    graph: Graph,
    capacity: usize,
    // Steps submitted since the log was last at its start, and the sizes of the submits in flight.
    submitted: usize,
    sizes: VecDeque<(usize, u32)>,
}

impl Engine {
    /// Builds everything that `graph` needs on the device; `log` is its log of steps.
    pub fn new(device: &Device, graph: Graph, log: Tensor) -> Result<Self> {
        // Results share memory here: nothing is read back but what outlives a step.
        let executor = device.executor(&graph, Build { readback: Some(log), reuse: true, ..Build::default() })?;
        // Only here: the odd shapes of `wgrad verify` would fill the cache with what no run needs again.
        device.save_pipelines();
        let capacity = graph.shape(log)[0];
        Ok(Engine { executor, graph, capacity, submitted: 0, sizes: VecDeque::new() })
    }

    /// The step's graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The memory of all buffers, in bytes.
    pub fn bytes(&self) -> u64 {
        self.executor.bytes()
    }

    /// Objects created on the device since the start; a step adds none.
    pub fn created(&self) -> usize {
        self.executor.created()
    }

    /// Replaces a tensor's elements.
    pub fn write(&mut self, t: Tensor, values: Values) -> Result<()> {
        self.executor.write(t, &values)
    }

    /// Replaces some rows of a tensor, from row `row` on.
    pub fn write_rows(&mut self, t: Tensor, row: usize, values: &Values) -> Result<()> {
        let shape = self.graph.shape(t);
        let at = row * shape[1..].iter().product::<usize>();
        self.executor.write_at(t, at, values)
    }

    /// Waits until the device has what was written to it.
    pub fn flush(&self) -> Result<()> {
        self.executor.flush()
    }

    /// Replaces the elements of several tensors.
    pub fn write_all(&mut self, contents: impl IntoIterator<Item = (Tensor, Values)>) -> Result<()> {
        contents.into_iter().try_for_each(|(t, values)| self.write(t, values))
    }

    /// A tensor's elements.
    pub async fn read(&self, t: Tensor) -> Result<Values> {
        self.executor.read(t).await
    }

    /// Copies `from` of another engine on the same device to `to` here.
    pub fn copy_from(&mut self, to: Tensor, other: &Engine, from: Tensor) -> Result<()> {
        self.copy_from_executor(to, &*other.executor, from)
    }

    /// Copies `from` of an executor on the same device to `to` here.
    pub(in crate::train) fn copy_from_executor(
        &mut self,
        to: Tensor,
        other: &dyn Executor,
        from: Tensor,
    ) -> Result<()> {
        self.executor.copy_from(to, other, from)
    }

    /// What runs the graph.
    pub(in crate::train) fn executor(&self) -> &dyn Executor {
        &*self.executor
    }

    /// Records that the control block was rewritten, with its step at 0.
    pub fn restart(&mut self) {
        self.submitted = 0;
    }

    /// Records that the control block was rewritten, with its step at `step`.
    pub fn restart_at(&mut self, step: u64) {
        self.submitted = (step % self.capacity as u64) as usize;
    }

    /// Starts `steps` steps, at most as many as the log holds.
    pub fn submit(&mut self, steps: u32) -> Result<()> {
        self.executor.submit(steps)?;
        self.sizes.push_back((self.submitted, steps));
        self.submitted += steps as usize;
        Ok(())
    }

    /// Starts the part of a step that belongs to a phase.
    pub(in crate::train) fn submit_phase(&mut self, phase: Phase) -> Result<()> {
        self.executor.submit_phase(phase)
    }

    /// Runs one step whose parts are timed one by one; `None` if the device has no timestamps.
    pub async fn time_step(&mut self) -> Result<Option<Vec<Timed>>> {
        let Some(seconds) = self.executor.time_parts().await? else { return Ok(None) };
        let timed = self.executor.parts().into_iter().zip(seconds).map(|(Part { node, kernel, .. }, seconds)| {
            let kernel = kernel.unwrap_or_else(|| self.graph.nodes[node].op.name().into());
            Timed { node, kernel, seconds }
        });
        Ok(Some(timed.collect()))
    }

    /// Asks for the next step to be handed over in parts, where the device takes steps whole.
    pub fn one_by_one(&mut self) {
        self.executor.one_by_one();
    }

    /// How many submits have not been collected yet.
    pub fn in_flight(&self) -> usize {
        self.sizes.len()
    }

    /// Waits for the oldest submit and returns its records, one per step; empty if none is in flight.
    pub async fn collect(&mut self) -> Result<Vec<Record>> {
        let Some((first, steps)) = self.sizes.pop_front() else { return Ok(Vec::new()) };
        let log = self.executor.collect().await?;
        self.records(log, first, steps as usize)
    }

    /// The records of `count` steps after the first `at`, in a log that was read back.
    pub(in crate::train) fn records(&self, log: Option<Values>, at: usize, count: usize) -> Result<Vec<Record>> {
        let log = match log {
            Some(Values::Float(log)) => log,
            _ => Vec::new(),
        };
        let record = |step: usize| match log.get(step % self.capacity * RECORD..)?.get(..RECORD)? {
            &[loss, correct, samples, fault, weight, targets] => {
                let [correct, samples, fault, targets] = [correct, samples, fault, targets].map(|count| count as u32);
                Some(Record { loss, correct, samples, weight, targets, fault })
            }
            _ => None,
        };
        let records: Option<Vec<Record>> = (at..at + count).map(record).collect();
        records.ok_or_else(|| Error::failed("the log of steps was not read back whole"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submits_grow_with_speed_and_stay_within_the_log() {
        let mut pace = Pace::default();
        assert_eq!(pace.of(100), 1);
        for (steps, seconds, next) in
            [(1, 0.02, 2), (2, 0.02, 4), (4, 0.024, 8), (8, 0.048, 10), (10, 0.12, 5), (5, 1.2, 1), (1, 1e-9, 2)]
        {
            pace.measured(steps, seconds);
            assert_eq!(pace.of(100), next, "{steps} in {seconds} s");
            assert_eq!(pace.of(1), 1);
            assert!(!pace.is_slow());
        }
        (0..9).for_each(|_| pace.measured(1, 0.0));
        assert_eq!(pace.of(100), 32, "no more than the log holds beside those in flight");
        pace.measured(32, 9.6);
        assert!(pace.is_slow() && pace.of(100) == 1);
    }

    /// A device that takes a tenth of a second a step is never given what a system resets it for, whatever the clock
    /// says of submits that finished before they were polled.
    #[test]
    fn a_submit_that_seems_to_take_no_time_does_not_let_the_next_be_long() {
        let mut pace = Pace::default();
        let (mut longest, mut submits) = (0, 0);
        while submits < 1000 {
            let steps = pace.of(1000);
            longest = longest.max(steps);
            // Two are in flight; of every second pair both are found done.
            pace.measured(steps, if submits % 4 < 2 { 0.0 } else { 0.1 * steps as f64 });
            submits += 1;
        }
        assert!(longest as f64 * 0.1 < 1.0, "{longest} steps of 0.1 s in a submit");
    }
}
