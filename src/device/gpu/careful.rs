//! Steps run dispatch by dispatch, waiting for each: so a kernel that hangs, or in which the device is lost, can be
//! named, and no submit is longer than one kernel.

use crate::device::gpu::executor::Executor;
use crate::device::gpu::patience::ONE_BY_ONE;
use crate::error::{Error, Result};
use std::time::{Duration, Instant};

impl Executor {
    /// Runs one dispatch of the step by itself, and waits for it.
    ///
    /// # Errors
    /// [`Error::Failed`] that names the kernel and the op where the device reports an error, is lost, or does not come
    /// back.
    pub fn run_dispatch(&self, n: usize) -> Result<()> {
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        self.steps[n].record(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()));
        let submission = self.gpu.queue.submit([encoder.finish()]);
        self.wait(submission, || {
            let (dispatch, of) = (&self.plan().dispatches[n], self.steps.len());
            let results = dispatch.bindings.iter().zip(&self.plan().kernels[&dispatch.kernel].bindings);
            let results = results.filter(|(_, binding)| binding.writes);
            let results: Vec<&str> = results.map(|((_, t), _)| self.plan().tensors[t.index()].name.as_str()).collect();
            let (n, results) = (n + 1, results.join(", "));
            format!("kernel {} was running, dispatch {n} of {of} in the step, for {results}", dispatch.kernel)
        })
    }

    /// Runs a step dispatch by dispatch. The next one is run so too where this one took longer than `slow`, or all are to
    /// be.
    pub(in crate::device::gpu) fn step_one_by_one(&mut self, slow: Duration) -> Result<()> {
        self.run_one_by_one(&(0..self.steps.len()).collect::<Vec<_>>(), slow)
    }

    /// `step_one_by_one` for some dispatches of a step.
    pub(in crate::device::gpu) fn run_one_by_one(&mut self, dispatches: &[usize], slow: Duration) -> Result<()> {
        let begun = Instant::now();
        dispatches.iter().try_for_each(|&n| self.run_dispatch(n))?;
        self.careful = self.gpu.one_by_one || begun.elapsed() > slow;
        Ok(())
    }

    /// Asks for the next step to be run dispatch by dispatch.
    pub fn one_by_one(&mut self) {
        self.careful = true;
    }

    /// The content of a submit of this many steps, for errors.
    pub(in crate::device::gpu) fn in_submit(&self, steps: u32) -> String {
        let kernels: Vec<&str> = self.plan().dispatches.iter().map(|d| d.kernel.name).collect();
        format!(
            "{} running, each of {} dispatches ({}); {ONE_BY_ONE}=1 runs them one by one and names the one \
             that fails",
            if steps == 1 { "1 step was".to_owned() } else { format!("{steps} steps were") },
            kernels.len(),
            kernels.join(", ")
        )
    }

    /// Waits for a submit; an error says what was `running`.
    ///
    /// # Errors
    /// [`Error::Failed`] if the device reports an error, is lost, or does not come back.
    pub(in crate::device::gpu) fn wait(
        &self,
        submission: wgpu::SubmissionIndex,
        running: impl Fn() -> String,
    ) -> Result<()> {
        let patience = self.gpu.patience;
        let waited =
            self.gpu.device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(patience) });
        let with = |why: &dyn std::fmt::Display| Error::failed(format!("{why}; {}", running()));
        self.gpu.check().map_err(|e| with(&e))?;
        waited.map(drop).map_err(|e| {
            let name = &self.gpu.info.name;
            if !matches!(e, wgpu::PollError::Timeout) {
                return with(&format!("{name}: the device does not take the work: {e}"));
            }
            // A queue that is dropped waits for its work, which may never end: the error would not be heard.
            std::mem::forget(self.gpu.clone());
            with(&format!("{name}: no answer within {} s", patience.as_secs_f64()))
        })
    }
}

#[cfg(test)]
mod tests;
