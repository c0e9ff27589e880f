//! Opens a device on an adapter and keeps what its driver reports, so that no error is lost.

use crate::ir::launch::KernelClass;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wgpu::{Features, Limits};

use crate::device::gpu::cache;
use crate::device::gpu::cache::PipelineCache;
use crate::device::gpu::class::{Form, class_for};
use crate::device::gpu::patience::{HUNG, ONE_BY_ONE};
use crate::error::{Error, Result};

/// The features that are used wherever they are offered.
const WELCOME: Features = Features::SUBGROUP
    .union(Features::TIMESTAMP_QUERY)
    .union(Features::TIMESTAMP_QUERY_INSIDE_ENCODERS)
    .union(Features::TIMESTAMP_QUERY_INSIDE_PASSES)
    .union(Features::PIPELINE_CACHE);

/// How to open a device.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Keep to WebGPU's default limits, as a browser would, whatever the adapter offers.
    pub portable_limits: bool,
    /// Further features to ask for where offered; experimental ones are not for this call.
    pub also: Features,
    /// The folder that compiled pipelines are kept in; without one they are compiled at every start.
    pub pipelines: Option<PathBuf>,
    /// How long a submit may take before it counts as hung; two minutes where not given.
    pub patience: Option<Duration>,
    /// Run every step dispatch by dispatch, each waited for: slow, but what fails has a name.
    pub one_by_one: bool,
    /// The form of the heavy kernels; without one, the form that suits the adapter.
    pub kernel_class: Option<Form>,
}

impl OpenOptions {
    /// The default with the user's folder of pipelines, `portable_limits` where WGRAD_PORTABLE_LIMITS is set to `1`,
    /// `one_by_one` where WGRAD_ONE_BY_ONE is, and the form of the heavy kernels that WGRAD_KERNELS names.
    ///
    /// # Errors
    /// [`Error::Input`] if WGRAD_KERNELS names no form.
    pub fn from_env() -> Result<Self> {
        let set = |name| std::env::var_os(name).is_some_and(|v| v == "1");
        let (portable_limits, one_by_one) = (set("WGRAD_PORTABLE_LIMITS"), set(ONE_BY_ONE));
        let kernel_class = Form::from_env()?;
        Ok(Self { portable_limits, one_by_one, kernel_class, pipelines: cache::user_folder(), ..Self::default() })
    }
}

/// An open device.
#[derive(Debug)]
pub struct Opened {
    /// The device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    /// The information of the adapter.
    pub info: wgpu::AdapterInfo,
    /// The features that are on.
    pub features: Features,
    /// The limits that hold.
    pub limits: Limits,
    /// The pipeline cache, where a folder was named and the backend has one.
    pub cache: Option<PipelineCache>,
    /// How long a submit may take before it counts as hung.
    pub patience: Duration,
    /// Whether every step is run dispatch by dispatch.
    pub one_by_one: bool,
    /// The class of plan that steps are lowered for.
    pub class: KernelClass,
    /// Errors that the driver has reported since.
    pub state: Arc<DeviceState>,
}

impl Opened {
    /// Fails with the driver's own words if it has reported an error or the loss of the device.
    pub fn check(&self) -> Result<()> {
        // The loss of a device is reported while it is polled; the result of the poll itself is for the waiting caller.
        let _ = self.device.poll(wgpu::PollType::Poll);
        if self.state.check().is_err() {
            // And only once its work is done: an error may be the echo of a loss that is not known yet.
            let timeout = Some(self.patience);
            let _ = self.device.poll(wgpu::PollType::Wait { submission_index: None, timeout });
        }
        self.state.check()
    }
}

impl Opened {
    /// Writes what the driver has compiled to the pipeline cache's file, if there is one.
    pub fn save_pipelines(&self) {
        if let Some(cache) = &self.cache {
            cache.save();
        }
    }
}

/// Reports of a driver outside any call: its first error, and whether the device is gone.
#[derive(Debug, Default)]
pub struct DeviceState {
    name: String,
    error: OnceLock<String>,
    lost: OnceLock<String>,
}

impl DeviceState {
    /// Fails with the driver's own words if it has reported an error or the loss of the device.
    pub fn check(&self) -> Result<()> {
        // A loss comes first: errors that follow it are only its echo.
        if let Some(why) = self.lost.get() {
            return Err(Error::failed(format!("{}: the device was lost: {why}", self.name)));
        }
        match self.error.get() {
            Some(what) => Err(Error::failed(format!("{}: the device reports: {what}", self.name))),
            None => Ok(()),
        }
    }
}

/// Opens a device with the adapter's own limits where a kernel or a buffer may need them.
pub async fn open(adapter: &wgpu::Adapter, options: OpenOptions) -> Result<Opened> {
    let info = adapter.get_info();
    let name = format!("{} ({})", info.name, info.backend);
    let stable = (WELCOME | options.also).difference(Features::all_experimental_mask());
    let (device, queue) = adapter
        .request_device(&wgpu::DeviceDescriptor {
            label: Some("wgrad"),
            required_features: stable & adapter.features(),
            required_limits: limits_for(&adapter.limits(), options.portable_limits),
            ..Default::default()
        })
        .await
        .map_err(|e| Error::failed(format!("{name}: the device cannot be opened: {e}")))?;

    let state = Arc::new(DeviceState { name, ..DeviceState::default() });
    // Only the first report is kept: it is the cause, and later ones follow from it.
    let seen = Arc::clone(&state);
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        let _ = seen.error.set(describe(&error));
    }));
    let seen = Arc::clone(&state);
    device.set_device_lost_callback(move |reason, message| {
        let message = message.trim();
        let words = match (reason, message.is_empty()) {
            (_, false) => message.to_string(),
            (wgpu::DeviceLostReason::Destroyed, true) => "it was destroyed".to_string(),
            (wgpu::DeviceLostReason::Unknown, true) => "the driver gives no reason".to_string(),
        };
        let _ = seen.lost.set(words);
    });
    let (features, limits) = (device.features(), device.limits());
    let class = class_for(&info, features, options.kernel_class)?;
    let cache = options.pipelines.and_then(|folder| PipelineCache::new(&device, &info, &folder));
    let (patience, one_by_one) = (options.patience.unwrap_or(HUNG), options.one_by_one);
    Ok(Opened { device, queue, info, features, limits, cache, patience, one_by_one, class, state })
}

/// The limits to ask for: WebGPU's defaults, raised to the adapter's own where that helps, and never
/// above what the adapter has (OpenGL may fall short in things that no kernel here touches).
fn limits_for(own: &Limits, portable: bool) -> Limits {
    let mut asked = Limits::defaults();
    if !portable {
        asked = Limits {
            max_buffer_size: own.max_buffer_size,
            max_storage_buffer_binding_size: own.max_storage_buffer_binding_size,
            max_storage_buffers_per_shader_stage: own.max_storage_buffers_per_shader_stage,
            max_storage_textures_per_shader_stage: own.max_storage_textures_per_shader_stage,
            max_texture_dimension_2d: own.max_texture_dimension_2d,
            max_compute_invocations_per_workgroup: own.max_compute_invocations_per_workgroup,
            max_compute_workgroup_size_x: own.max_compute_workgroup_size_x,
            max_compute_workgroup_size_y: own.max_compute_workgroup_size_y,
            max_compute_workgroup_storage_size: own.max_compute_workgroup_storage_size,
            max_compute_workgroups_per_dimension: own.max_compute_workgroups_per_dimension,
            min_storage_buffer_offset_alignment: own.min_storage_buffer_offset_alignment,
            ..asked
        };
    }
    asked.or_worse_values_from(own)
}

/// An error with its causes, since the outer words alone may be as bare as "Out of Memory".
fn describe(error: &wgpu::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text += &format!(": {words}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::gpu::adapter::usable_adapters;

    /// Opens every adapter that can be used; none at all is a failure, not a skip.
    fn each_opened(options: OpenOptions) -> Result<Vec<(wgpu::Adapter, Opened)>> {
        let mut all = Vec::new();
        for (_, adapter) in usable_adapters() {
            let opened = pollster::block_on(open(&adapter, options.clone()))?;
            all.push((adapter, opened));
        }
        Ok(all)
    }

    fn message(result: Result<()>) -> String {
        match result {
            Err(Error::Failed(text)) => text,
            other => format!("unexpected: {other:?}"),
        }
    }

    #[test]
    fn limits_are_the_adapters_own_or_webgpus() -> Result<()> {
        for (adapter, opened) in each_opened(OpenOptions::default())? {
            assert_eq!(opened.limits.max_buffer_size, adapter.limits().max_buffer_size);
            assert_eq!(opened.features, adapter.features() & WELCOME);
            opened.state.check()?;
        }
        let portable = OpenOptions { portable_limits: true, ..OpenOptions::default() };
        for (_, opened) in each_opened(portable)? {
            let (got, floor) = (&opened.limits, Limits::defaults());
            assert_eq!(got.max_buffer_size, floor.max_buffer_size);
            assert_eq!(got.max_compute_invocations_per_workgroup, 256);
            assert_eq!(got.max_storage_buffers_per_shader_stage, 8);
        }
        Ok(())
    }

    #[test]
    fn an_uncaptured_error_is_kept_and_the_first_wins() -> Result<()> {
        for (_, opened) in each_opened(OpenOptions::default())? {
            for label in ["first-buffer", "second-buffer"] {
                let _ = opened.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some(label),
                    size: 1 << 40,
                    usage: wgpu::BufferUsages::STORAGE,
                    mapped_at_creation: false,
                });
            }
            let text = message(opened.state.check());
            assert!(text.contains("first-buffer") && !text.contains("second-buffer"), "{text}");
            assert!(text.contains(&opened.info.name), "{text}");
        }
        Ok(())
    }

    #[test]
    fn a_lost_device_is_said_to_be_lost() -> Result<()> {
        for (_, opened) in each_opened(OpenOptions::default())? {
            opened.device.destroy();
            let _ = opened.device.poll(wgpu::PollType::Wait {
                submission_index: None,
                timeout: Some(std::time::Duration::from_secs(10)),
            });
            let text = message(opened.state.check());
            assert!(text.contains("was lost"), "{text}");
        }
        Ok(())
    }
}
