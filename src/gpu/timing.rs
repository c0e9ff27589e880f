//! Times each dispatch of a plan on the device, by timestamps around passes of its own.

use super::executor::Executor;
use crate::error::{Error, Result};

impl Executor {
    /// Whether the device has timestamps.
    pub fn has_timestamps(&self) -> bool {
        self.gpu.features.contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// Runs one step with every dispatch in a submit of its own; seconds of each, by the wall clock.
    pub async fn time_dispatches(&self) -> Result<Vec<f64>> {
        let mut all = Vec::new();
        for step in &self.steps {
            let start = std::time::Instant::now();
            let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                pass.set_pipeline(&step.pipeline);
                pass.set_bind_group(0, &step.group, &[]);
                pass.dispatch_workgroups(step.size[0], step.size[1], 1);
            }
            let index = self.gpu.queue.submit([encoder.finish()]);
            let wait = wgpu::PollType::Wait {
                submission_index: Some(index),
                timeout: Some(std::time::Duration::from_secs(20)),
            };
            self.gpu.device.poll(wait).map_err(|e| Error::failed(e.to_string()))?;
            all.push(start.elapsed().as_secs_f64());
        }
        Ok(all)
    }
}
