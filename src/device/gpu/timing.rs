//! Times each dispatch of a plan, by the device's clock or, if it has none, by the wall clock.

use crate::device::gpu::executor::{Executor, Prepared};
use crate::error::{Error, Result};
use serde::Serialize;
use std::time::Instant;

/// The timer of dispatches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Timestamps that the device writes.
    Device,
    /// The host's clock around a submit of one dispatch, [`REPEATED`] times over, and the wait for it.
    Wall,
}

/// How often a dispatch is repeated in a submit that the wall's clock times, so that the submit's own cost counts little.
pub const REPEATED: u32 = 16;

impl Executor {
    /// The device's clock where it has one.
    pub fn clock(&self) -> Clock {
        match self.gpu.features.contains(wgpu::Features::TIMESTAMP_QUERY) {
            true => Clock::Device,
            false => Clock::Wall,
        }
    }

    /// Seconds of each dispatch of a step; the tensors hold other values afterwards.
    pub async fn time_dispatches(&self, clock: Clock) -> Result<Vec<f64>> {
        match clock {
            Clock::Device => self.time_by_timestamps().await,
            Clock::Wall => self.steps.iter().map(|dispatch| self.time_by_wall(dispatch)).collect(),
        }
    }

    /// Runs two steps, the second with every dispatch in its own pass. The time of a dispatch runs from the end of
    /// the one before it to its own end: its launch and the barrier before it count, and all times add up to the step.
    ///
    /// A software adapter gets a submit a pass: Mesa's lavapipe, once it has cleared a texture, takes no stamp before the
    /// end of the submit. On a GPU the gaps between that many submits would be counted.
    async fn time_by_timestamps(&self) -> Result<Vec<f64>> {
        let name = &self.gpu.info.name;
        if self.clock() != Clock::Device {
            return Err(Error::failed(format!("{name} has no timestamps")));
        }
        let device = &self.gpu.device;
        let count = 2 * (self.steps.len() as u32 + 1);
        let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("timestamps"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        let bytes = u64::from(count) * 8;
        let buffer = |usage| {
            let descriptor =
                wgpu::BufferDescriptor { label: Some("timestamps"), size: bytes, usage, mapped_at_creation: false };
            device.create_buffer(&descriptor)
        };
        let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
        let staging = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let mut passes: Vec<wgpu::CommandBuffer> = Vec::new();
        let mut pass = |dispatches: &[Prepared], n: u32| {
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &queries,
                    beginning_of_pass_write_index: Some(2 * n),
                    end_of_pass_write_index: Some(2 * n + 1),
                }),
            });
            dispatches.iter().for_each(|dispatch| dispatch.record(&mut pass));
            drop(pass);
            passes.push(encoder.finish());
        };
        pass(&self.steps, 0);
        for (n, dispatch) in (1..).zip(&self.steps) {
            pass(std::slice::from_ref(dispatch), n);
        }
        let per_submit = if self.gpu.info.device_type == wgpu::DeviceType::Cpu { 1 } else { passes.len() };
        while !passes.is_empty() {
            self.gpu.queue.submit(passes.drain(..per_submit));
        }
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, bytes);
        let bytes = self.mapped(self.send(encoder, staging, 2)).await?;
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&bytes);
        let ticks: Vec<u64> = ticks.into_iter().skip(1).step_by(2).collect();
        let period = f64::from(self.gpu.queue.get_timestamp_period()) * 1e-9;
        seconds(&ticks, period).ok_or_else(|| {
            Error::failed(format!("{name}: its timestamps {ticks:?} do not run forwards; another run may do better"))
        })
    }

    fn time_by_wall(&self, dispatch: &Prepared) -> Result<f64> {
        let device = &self.gpu.device;
        let begun = Instant::now();
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            (0..REPEATED).for_each(|_| dispatch.record(&mut pass));
        }
        let submission = self.gpu.queue.submit([encoder.finish()]);
        self.wait(submission, || format!("a dispatch was timed, {REPEATED} times over"))?;
        Ok(begun.elapsed().as_secs_f64() / f64::from(REPEATED))
    }
}

/// From one stamp to the next; `None` if one is before the last, or all are the same.
fn seconds(ticks: &[u64], period: f64) -> Option<Vec<f64>> {
    let spans: Option<Vec<u64>> = ticks.windows(2).map(|pair| pair[1].checked_sub(pair[0])).collect();
    let spans = spans.filter(|spans| spans.iter().any(|&span| span > 0))?;
    Some(spans.into_iter().map(|span| span as f64 * period).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_that_cannot_be_right_are_no_times() {
        assert_eq!(seconds(&[10, 12, 12, 20], 0.5), Some(vec![1.0, 0.0, 4.0]));
        for wrong in [&[10, 9, 20][..], &[7, 7, 7], &[0, 0], &[5]] {
            assert_eq!(seconds(wrong, 0.5), None, "{wrong:?}");
        }
    }
}
