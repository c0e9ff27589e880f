//! Finds this machine's adapters and describes them as plain data.

use wgpu::{DeviceType, DownlevelFlags, Features};

use crate::device::choice::candidate::{Api, Candidate, KeyLimits, Kind};
use crate::device::choice::{Choice, DeviceRequest, Target, decide};
use crate::error::{Error, Result};
use crate::memory::available_bytes;

/// The features that change what wgrad can do, and the names it shows for them.
const FEATURES: [(Features, &str); 5] = [
    (Features::SUBGROUP, "subgroup"),
    (Features::TIMESTAMP_QUERY, "timestamp-query"),
    (Features::SHADER_F16, "shader-f16"),
    (Features::PIPELINE_CACHE, "pipeline-cache"),
    (Features::EXPERIMENTAL_COOPERATIVE_MATRIX, "cooperative-matrix"),
];

/// Parts of the names of drivers that compute on the processor.
///
/// Passed through a virtual machine or OpenGL they may declare another type than they are.
const SOFTWARE_NAMES: [&str; 6] = ["llvmpipe", "lavapipe", "softpipe", "swrast", "swiftshader", "basic render driver"];

/// With less memory than this, OpenGL is not looked at.
const OPENGL_BYTES: u64 = 1 << 30;

/// Every adapter that wgpu finds; WGPU_BACKEND and its kin narrow the search.
pub async fn list_adapters() -> Vec<(Candidate, wgpu::Adapter)> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    // Mesa's OpenGL ends the process by a signal where it gets no memory (swrast_dri, in eglCreateContext of Mesa 22.3.6 under
    // `ulimit -v` of 300 MB); its Vulkan does not.
    if available_bytes().is_some_and(|bytes| bytes < OPENGL_BYTES) {
        descriptor.backends.remove(wgpu::Backends::GL);
    }
    let adapters = wgpu::Instance::new(descriptor).enumerate_adapters(wgpu::Backends::all()).await;
    adapters.into_iter().enumerate().map(|(i, a)| (describe(i, &a), a)).collect()
}

/// The adapters and, as the last row, the native CPU: the list that `wgrad devices` shows.
pub fn with_native_cpu(adapters: &[(Candidate, wgpu::Adapter)], threads: usize) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = adapters.iter().map(|(c, _)| c.clone()).collect();
    candidates.push(Candidate::native_cpu(candidates.len(), threads));
    candidates
}

/// Lists the devices, decides, and returns the adapter if one was chosen.
pub async fn choose(request: &DeviceRequest, threads: usize) -> Result<(Choice, Option<wgpu::Adapter>)> {
    let mut adapters = list_adapters().await;
    let choice = decide(&with_native_cpu(&adapters, threads), request)?;
    let adapter = match choice.target {
        Target::NativeCpu => None,
        Target::Adapter(index) if index < adapters.len() => Some(adapters.swap_remove(index).1),
        Target::Adapter(index) => {
            return Err(Error::failed(format!("adapter {index} is not in the list")));
        }
    };
    Ok((choice, adapter))
}

/// The adapters that the unit tests run on; none at all is a failure, not a skip.
#[cfg(test)]
pub(crate) fn usable_adapters() -> Vec<(Candidate, wgpu::Adapter)> {
    let all = pollster::block_on(list_adapters()).into_iter();
    let usable: Vec<_> = all.filter(|(candidate, _)| candidate.unusable.is_none()).collect();
    assert!(!usable.is_empty(), "{NEEDED}");
    usable
}

/// The message of a test that does not find the adapter that it needs.
#[cfg(test)]
pub(crate) const NEEDED: &str =
    "this test needs a Vulkan adapter with subgroups: tests/run installs lavapipe, Mesa's software adapter";

/// Describes one adapter.
fn describe(index: usize, adapter: &wgpu::Adapter) -> Candidate {
    let info = adapter.get_info();
    let offered = adapter.features();
    let limits = key_limits(&adapter.limits());
    let flags = adapter.get_downlevel_capabilities().flags;
    let api = api(info.backend);
    let unusable = match api {
        Api::Noop => Some("it computes nothing".to_string()),
        Api::Gl if let Some(why) = too_old(&info.driver_info) => Some(why),
        _ => limits.shortfall(flags.contains(DownlevelFlags::COMPUTE_SHADERS)),
    };
    Candidate {
        index,
        kind: kind(info.device_type, &info.name),
        api,
        name: info.name,
        driver: info.driver,
        driver_info: info.driver_info,
        vendor_id: info.vendor,
        device_id: info.device,
        // Without the feature the sizes are only WGSL's bounds.
        subgroup_sizes: offered
            .contains(Features::SUBGROUP)
            .then_some((info.subgroup_min_size, info.subgroup_max_size)),
        limits: Some(limits),
        features: FEATURES.iter().filter(|(f, _)| offered.contains(*f)).map(|(_, n)| *n).collect(),
        threads: None,
        unusable,
    }
}

/// The reason why an OpenGL with the version string `version` cannot compile compute shaders, if any. NVIDIA's driver
/// gives a context of 3.3, with compute shaders as an extension to it: wgpu takes it for one that computes, and naga
/// writes no compute shader in the language of 3.3, whereupon the device does not open. OpenGL ES has a string of
/// another form.
fn too_old(version: &str) -> Option<String> {
    let number = version.split_whitespace().next()?;
    let (major, rest) = number.split_once('.')?;
    let minor = rest.split('.').next()?;
    let found: (u8, u8) = (major.parse().ok()?, minor.parse().ok()?);
    (found < (4, 3)).then(|| format!("it has OpenGL {major}.{minor}, and compute shaders came with 4.3"))
}

fn key_limits(limits: &wgpu::Limits) -> KeyLimits {
    KeyLimits {
        max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
        max_buffer_size: limits.max_buffer_size,
        max_storage_buffers_per_shader_stage: limits.max_storage_buffers_per_shader_stage,
        max_compute_invocations_per_workgroup: limits.max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x: limits.max_compute_workgroup_size_x,
        max_compute_workgroup_storage_size: limits.max_compute_workgroup_storage_size,
        max_compute_workgroups_per_dimension: limits.max_compute_workgroups_per_dimension,
    }
}

fn kind(declared: DeviceType, name: &str) -> Kind {
    let name = name.to_lowercase();
    if SOFTWARE_NAMES.iter().any(|part| name.contains(part)) {
        return Kind::Software;
    }
    match declared {
        DeviceType::DiscreteGpu => Kind::Discrete,
        DeviceType::IntegratedGpu => Kind::Integrated,
        DeviceType::VirtualGpu => Kind::Virtual,
        DeviceType::Other => Kind::Other,
        DeviceType::Cpu => Kind::Software,
    }
}

fn api(backend: wgpu::Backend) -> Api {
    match backend {
        wgpu::Backend::Vulkan => Api::Vulkan,
        wgpu::Backend::Metal => Api::Metal,
        wgpu::Backend::Dx12 => Api::Dx12,
        wgpu::Backend::Gl => Api::Gl,
        wgpu::Backend::BrowserWebGpu => Api::WebGpu,
        wgpu::Backend::Noop => Api::Noop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_software_driver_is_known_by_name_whatever_it_declares() {
        for (declared, name, expected) in [
            (DeviceType::Cpu, "anything", Kind::Software),
            (DeviceType::Other, "D3D12 (Microsoft Basic Render Driver)", Kind::Software),
            (DeviceType::VirtualGpu, "Virtio-GPU Venus (llvmpipe (LLVM 17))", Kind::Software),
            (DeviceType::Other, "NVIDIA H100", Kind::Other),
            (DeviceType::DiscreteGpu, "NVIDIA H100", Kind::Discrete),
            (DeviceType::IntegratedGpu, "Intel Iris Xe", Kind::Integrated),
            (DeviceType::VirtualGpu, "GRID", Kind::Virtual),
        ] {
            assert_eq!(kind(declared, name), expected, "{declared:?} {name}");
        }
    }

    #[test]
    fn an_opengl_too_old_for_compute_shaders_is_told_by_its_version() {
        let lacks = |version: &str| too_old(version).is_some();
        assert!(lacks("3.3.0 NVIDIA 580.159.04") && lacks("4.1 Metal - 88"));
        for version in
            ["4.5 (Core Profile) Mesa 22.3.6", "4.3.0", "OpenGL ES 3.2 Mesa 22.3.6", "OpenGL ES 3.1 V@0502.0", ""]
        {
            assert!(!lacks(version), "{version}");
        }
    }

    #[test]
    fn the_portable_floor_is_webgpus_default() {
        assert_eq!(key_limits(&wgpu::Limits::defaults()), KeyLimits::PORTABLE);
    }

    #[test]
    fn a_shortfall_names_everything_that_is_missing() {
        let floor = KeyLimits::PORTABLE;
        assert_eq!(floor.shortfall(true), None);
        assert_eq!(floor.shortfall(false).as_deref(), Some("it lacks compute shaders"));
        let weak =
            KeyLimits { max_storage_buffers_per_shader_stage: 4, max_compute_invocations_per_workgroup: 128, ..floor };
        let expected = "it lacks 8 storage buffers per shader stage (it has 4), \
                        256 invocations per workgroup (it has 128)";
        assert_eq!(weak.shortfall(true).as_deref(), Some(expected));
    }

    #[test]
    fn this_machine_has_an_adapter_and_its_row_is_the_adapters() {
        let adapters = pollster::block_on(list_adapters());
        assert!(!adapters.is_empty(), "{NEEDED}");
        for (i, (c, adapter)) in adapters.iter().enumerate() {
            assert_eq!((c.index, &c.name), (i, &adapter.get_info().name));
            let offered = adapter.features().contains(Features::SUBGROUP);
            assert_eq!(c.subgroup_sizes.is_some(), offered, "{}", c.label());
            assert_eq!(c.features.contains(&"subgroup"), offered, "{}", c.label());
        }
        let rows = with_native_cpu(&adapters, 2);
        assert_eq!(rows.len(), adapters.len() + 1);
        assert_eq!(rows.last().map(|c| (c.index, c.kind)), Some((adapters.len(), Kind::NativeCpu)));
    }
}
