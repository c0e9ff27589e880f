//! Replays a plan: builds everything once, then a step is nothing but the same dispatches again.

use crate::device::executor::Lent;
use crate::device::gpu::open::Opened;
use crate::device::gpu::patience::SLOW;
use crate::device::gpu::{pipelines, shared};
use crate::error::{Error, Result};
use crate::ir::graph::{Phase, Tensor};
use crate::plan::kernel::{Space, TEXELS};
use crate::plan::{Place, Plan};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

/// Staging buffers for a tensor that is read back after every submit, one for each submit in flight.
const IN_FLIGHT: usize = 3;

/// A plan with its buffers, pipelines and bind groups on a device.
#[derive(Debug)]
pub struct Executor {
    pub(in crate::device::gpu) gpu: Arc<Opened>,
    plan: Plan,
    memory: Vec<Memory>,
    pub(in crate::device::gpu) steps: Vec<Prepared>,
    readback: Option<Readback>,
    pending: VecDeque<Pending>,
    created: usize,
    // Whether the next step is run dispatch by dispatch: the first is, and what is slow.
    pub(in crate::device::gpu) careful: bool,
}

/// A buffer or a texture of the plan.
#[derive(Debug)]
enum Memory {
    Buffer(wgpu::Buffer),
    Texture(wgpu::TextureView),
}

#[derive(Debug)]
pub(in crate::device::gpu) struct Prepared {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    size: [u32; 2],
}

impl Prepared {
    /// Puts the dispatch into a pass.
    pub(in crate::device::gpu) fn record(&self, pass: &mut wgpu::ComputePass) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(self.size[0], self.size[1], 1);
    }
}

#[derive(Debug)]
struct Readback {
    tensor: Tensor,
    place: Place,
    staging: Vec<wgpu::Buffer>,
    next: usize,
}

#[derive(Debug)]
pub(in crate::device::gpu) struct Pending {
    submission: wgpu::SubmissionIndex,
    steps: u32,
    staging: wgpu::Buffer,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
}

/// A texture of whole rows that hold `bytes`.
fn texture(device: &wgpu::Device, bytes: u64) -> wgpu::TextureView {
    let rows = bytes / (16 * TEXELS as u64);
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("texture"),
        size: wgpu::Extent3d { width: TEXELS as u32, height: rows as u32, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba32Float,
        usage: wgpu::TextureUsages::STORAGE_BINDING,
        view_formats: &[],
    });
    texture.create_view(&wgpu::TextureViewDescriptor::default())
}

impl Drop for Executor {
    /// Unsubmitted writes would keep the buffers, and so their memory, until the next submit.
    fn drop(&mut self) {
        self.gpu.queue.submit([]);
    }
}

impl Executor {
    /// Builds buffers, pipelines and bind groups. `readback` is the tensor that every submit reads back;
    /// `checked` keeps naga's bounds checks in the shaders.
    pub fn new(gpu: Arc<Opened>, plan: Plan, readback: Option<Tensor>, checked: bool) -> Result<Self> {
        Self::with(gpu, plan, readback, checked, None)
    }

    /// The same, with the memory of one tensor from another executor on the device.
    pub(in crate::device) fn with(
        gpu: Arc<Opened>,
        plan: Plan,
        readback: Option<Tensor>,
        checked: bool,
        lent: Option<Lent>,
    ) -> Result<Self> {
        let lent = lent.map(|lent| Self::lent(&plan, lent)).transpose()?;
        let device = &gpu.device;
        let scope = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let buffer = |label: &str, size, usage| {
            device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
        };
        let memory = plan.buffers.iter().enumerate().map(|(n, b)| match (b.space, &lent) {
            (Space::Buffer, Some((at, lent))) if *at == n => Memory::Buffer(lent.clone()),
            (Space::Buffer, _) => Memory::Buffer(buffer(&format!("{:?}", b.role), b.bytes, usage)),
            (Space::Texture, _) => Memory::Texture(texture(device, b.bytes)),
        });
        let memory: Vec<Memory> = memory.collect();
        let readback = match readback {
            None => None,
            Some(tensor) => {
                let place = plan.place(tensor)?;
                let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
                let staging = (0..IN_FLIGHT).map(|_| buffer("readback", place.bytes, usage)).collect();
                Some(Readback { tensor, place, staging, next: 0 })
            }
        };
        if let Some(error) = pollster::block_on(scope.pop()) {
            return Err(Error::input(format!(
                "{}: no memory for {}: {error}; a smaller batch may fit",
                gpu.info.name,
                plan.memory()
            )));
        }
        let built = pipelines::build(&gpu, &plan, checked)?;
        let mut steps = Vec::new();
        for dispatch in &plan.dispatches {
            let kernel = &plan.kernels[&dispatch.kernel];
            let pipeline = &built[&pipelines::key(dispatch)];
            let bound = dispatch.bindings.iter().zip(&kernel.bindings).map(|((_, tensor), binding)| {
                let place = plan.place(*tensor)?;
                let resource = match &memory[place.buffer] {
                    Memory::Texture(view) => wgpu::BindingResource::TextureView(view),
                    Memory::Buffer(buffer) => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                        buffer,
                        offset: place.offset,
                        size: std::num::NonZeroU64::new(place.bytes),
                    }),
                };
                Ok(wgpu::BindGroupEntry { binding: binding.number, resource })
            });
            let entries: Vec<_> = bound.collect::<Result<_>>()?;
            let label = dispatch.kernel.to_string();
            let descriptor =
                wgpu::BindGroupDescriptor { label: Some(&label), layout: &pipeline.layout, entries: &entries };
            let group = device.create_bind_group(&descriptor);
            steps.push(Prepared { pipeline: pipeline.pipeline.clone(), group, size: dispatch.groups });
        }
        let created = memory.len() + steps.len() + built.len();
        let executor =
            Executor { gpu, plan, memory, steps, readback, pending: VecDeque::new(), created, careful: true };
        executor.gpu.check()?;
        Ok(executor)
    }

    /// Which buffer of a plan is lent, and the buffer.
    fn lent(plan: &Plan, Lent { by, from, to }: Lent) -> Result<(usize, wgpu::Buffer)> {
        let (other, to) = (shared::of(by)?, plan.place(to)?);
        let buffer = other.buffer(other.plan.place(from)?)?;
        match buffer.size() == plan.buffers[to.buffer].bytes {
            true => Ok((to.buffer, buffer.clone())),
            false => Err(Error::failed("a buffer of another size is lent")),
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The tensor that every submit reads back.
    pub(in crate::device::gpu) fn readback(&self) -> Option<Tensor> {
        self.readback.as_ref().map(|readback| readback.tensor)
    }

    /// Buffers, pipelines and bind groups created since the start; a step adds none.
    pub fn created(&self) -> usize {
        self.created
    }

    fn buffer(&self, place: Place) -> Result<&wgpu::Buffer> {
        match &self.memory[place.buffer] {
            Memory::Buffer(buffer) => Ok(buffer),
            Memory::Texture(_) => Err(Error::failed(format!("t{} is a texture, no buffer", place.buffer))),
        }
    }

    /// Writes the start of a tensor's memory.
    pub fn write(&self, t: Tensor, bytes: &[u8]) -> Result<()> {
        self.write_at(t, 0, bytes)
    }

    /// Writes a part of a tensor's memory, from byte `at` on, the start of a word.
    pub fn write_at(&self, t: Tensor, at: u64, bytes: &[u8]) -> Result<()> {
        let place = self.plan.place(t)?;
        if at.saturating_add(bytes.len() as u64) > place.bytes || !at.is_multiple_of(4) {
            let (name, count) = (&self.plan.tensors[t.index()].name, bytes.len());
            return Err(Error::failed(format!("{name} {t}: {count} bytes at {at} of a place of {}", place.bytes)));
        }
        let place = Place { offset: place.offset + at, ..place };
        let (buffer, whole) = (self.buffer(place)?, bytes.len() / 4 * 4);
        self.gpu.queue.write_buffer(buffer, place.offset, &bytes[..whole]);
        if whole < bytes.len() {
            // Copies are in whole words: the last one is filled up.
            let mut last = [0; 4];
            last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            self.gpu.queue.write_buffer(buffer, place.offset + whole as u64, &last);
        }
        self.gpu.check()
    }

    /// Hands over what was written, and waits until the device has it: what is written lies in memory until then.
    pub fn flush(&self) -> Result<()> {
        let submission = self.gpu.queue.submit([]);
        self.wait(submission, || self.in_submit(0))
    }

    /// Copies a tensor's memory from another executor on the same device.
    pub fn copy_from(&self, to: Tensor, other: &Executor, from: Tensor) -> Result<()> {
        let (to, from) = (self.plan.place(to)?, other.plan.place(from)?);
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let (source, sink) = (other.buffer(from)?, self.buffer(to)?);
        encoder.copy_buffer_to_buffer(source, from.offset, sink, to.offset, to.bytes.min(from.bytes));
        self.gpu.queue.submit([encoder.finish()]);
        self.gpu.check()
    }

    /// Reads a tensor's memory.
    pub async fn read(&self, t: Tensor) -> Result<Vec<u8>> {
        let place = self.plan.place(t)?;
        let info = &self.plan.tensors[t.index()];
        let word = if info.dtype == crate::ir::graph::DType::U8 { 1 } else { 4 };
        let staging = self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read"),
            size: place.bytes,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(self.buffer(place)?, place.offset, &staging, 0, place.bytes);
        let mut bytes = self.mapped(self.send(encoder, staging, 0)).await?;
        bytes.truncate(info.elements() * word);
        Ok(bytes)
    }

    /// Submits `steps` steps, and the copy of the read-back tensor after them. The very first step, and each step after
    /// one that was slow, is run dispatch by dispatch and waited for.
    pub fn submit(&mut self, mut steps: u32) -> Result<()> {
        while self.careful && steps > 0 {
            self.step_one_by_one(SLOW)?;
            steps -= 1;
        }
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for _ in 0..steps {
                self.steps.iter().for_each(|dispatch| dispatch.record(&mut pass));
            }
        }
        let staged = self.readback.as_mut().map(|readback| {
            let staging = readback.staging[readback.next].clone();
            readback.next = (readback.next + 1) % IN_FLIGHT;
            (readback.place, staging)
        });
        match staged {
            None => {
                self.gpu.queue.submit([encoder.finish()]);
            }
            Some((place, staging)) if self.pending.len() < IN_FLIGHT => {
                encoder.copy_buffer_to_buffer(self.buffer(place)?, place.offset, &staging, 0, place.bytes);
                let pending = self.send(encoder, staging, steps);
                self.pending.push_back(pending);
            }
            Some(_) => return Err(Error::failed(format!("more than {IN_FLIGHT} submits in flight"))),
        }
        self.gpu.check()
    }

    /// Submits the dispatches of a step that belong to a phase; dispatch by dispatch where steps are run so.
    pub fn submit_phase(&mut self, phase: Phase) -> Result<()> {
        let dispatches = self.plan.dispatches.iter().enumerate().filter(|(_, dispatch)| dispatch.phase == phase);
        let dispatches: Vec<usize> = dispatches.map(|(n, _)| n).collect();
        if self.careful {
            return self.run_one_by_one(&dispatches, SLOW);
        }
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            dispatches.iter().for_each(|&n| self.steps[n].record(&mut pass));
        }
        self.gpu.queue.submit([encoder.finish()]);
        self.gpu.check()
    }

    /// How many submits have not been collected yet.
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// Waits for the oldest submit and returns what it read back; `None` if none is in flight.
    pub async fn collect(&mut self) -> Result<Option<Vec<u8>>> {
        match self.pending.pop_front() {
            None => Ok(None),
            Some(pending) => Ok(Some(self.mapped(pending).await?)),
        }
    }

    pub(in crate::device::gpu) fn send(
        &self,
        encoder: wgpu::CommandEncoder,
        staging: wgpu::Buffer,
        steps: u32,
    ) -> Pending {
        let submission = self.gpu.queue.submit([encoder.finish()]);
        let (tell, mapped) = channel();
        // The receiver may be gone when the executor is dropped in between; then there is no receiver.
        staging.map_async(wgpu::MapMode::Read, .., move |result| drop(tell.send(result)));
        Pending { submission, steps, staging, mapped }
    }

    pub(in crate::device::gpu) async fn mapped(&self, pending: Pending) -> Result<Vec<u8>> {
        let Pending { submission, steps, staging, mapped } = pending;
        self.wait(submission, || self.in_submit(steps))?;
        let name = &self.gpu.info.name;
        let fault = |e: &dyn std::fmt::Display| Error::failed(format!("{name}: memory cannot be read back: {e}"));
        mapped.recv().map_err(|e| fault(&e))?.map_err(|e| fault(&e))?;
        let bytes = staging.get_mapped_range(..).map_err(|e| fault(&e))?.to_vec();
        staging.unmap();
        Ok(bytes)
    }
}
