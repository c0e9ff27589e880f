//! The properties of a device before it is chosen: plain data, no wgpu objects.

use serde::Serialize;

/// The class of a device. The order of the variants is the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU lent by a host to a virtual machine.
    Virtual,
    /// A GPU whose driver does not say what it is (OpenGL mostly does not).
    Other,
    /// A graphics driver that computes on the processor: lavapipe, llvmpipe, WARP, SwiftShader.
    Software,
    /// No graphics driver at all: wgrad's own code on the processor.
    NativeCpu,
}

impl Kind {
    /// The word for it in JSON.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Other => "other",
            Self::Software => "software",
            Self::NativeCpu => "cpu",
        }
    }

    /// The words for it, with their article.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Discrete => "a discrete GPU",
            Self::Integrated => "an integrated GPU",
            Self::Virtual => "a virtual GPU",
            Self::Other => "a GPU of unstated type",
            Self::Software => "a software adapter",
            Self::NativeCpu => "the native CPU",
        }
    }

    /// The words for it, without the article.
    pub fn words(self) -> &'static str {
        self.phrase().split_once(' ').map_or("", |(_, words)| words)
    }

    /// Whether it is real graphics hardware.
    pub fn is_gpu(self) -> bool {
        !matches!(self, Self::Software | Self::NativeCpu)
    }
}

/// The interface through which a device is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Vulkan.
    Vulkan,
    /// Metal.
    Metal,
    /// Direct3D 12.
    Dx12,
    /// WebGPU of a browser.
    WebGpu,
    /// OpenGL or OpenGL ES.
    Gl,
    /// wgpu's dummy, which computes nothing.
    Noop,
    /// wgrad's own code.
    Native,
}

impl Api {
    /// The word for it in JSON.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Dx12 => "dx12",
            Self::WebGpu => "webgpu",
            Self::Gl => "gl",
            Self::Noop => "noop",
            Self::Native => "native",
        }
    }

    /// The name of it in a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Self::Vulkan => "Vulkan",
            Self::Metal => "Metal",
            Self::Dx12 => "DX12",
            Self::WebGpu => "WebGPU",
            Self::Gl => "OpenGL",
            Self::Noop => "dummy",
            Self::Native => "native",
        }
    }
}

/// The adapter's limits that decide what runs on it, under wgpu's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct KeyLimits {
    pub max_storage_buffer_binding_size: u64,
    pub max_buffer_size: u64,
    pub max_storage_buffers_per_shader_stage: u32,
    pub max_compute_invocations_per_workgroup: u32,
    pub max_compute_workgroup_size_x: u32,
    pub max_compute_workgroup_storage_size: u32,
    pub max_compute_workgroups_per_dimension: u32,
}

impl KeyLimits {
    /// WebGPU's default limits, which every portable kernel keeps to.
    pub const PORTABLE: Self = Self {
        max_storage_buffer_binding_size: 128 << 20,
        max_buffer_size: 256 << 20,
        max_storage_buffers_per_shader_stage: 8,
        max_compute_invocations_per_workgroup: 256,
        max_compute_workgroup_size_x: 256,
        max_compute_workgroup_storage_size: 16 << 10,
        max_compute_workgroups_per_dimension: 65_535,
    };

    /// The limit that is too small to run the portable kernels, or `None`.
    ///
    /// Buffer sizes are left out: whether a model fits is for its plan to say.
    pub fn shortfall(&self, computes: bool) -> Option<String> {
        let floor = Self::PORTABLE;
        let mut lacks = Vec::new();
        if !computes {
            lacks.push("compute shaders".to_string());
        }
        for (what, has, needs) in [
            (
                "storage buffers per shader stage",
                self.max_storage_buffers_per_shader_stage,
                floor.max_storage_buffers_per_shader_stage,
            ),
            (
                "invocations per workgroup",
                self.max_compute_invocations_per_workgroup,
                floor.max_compute_invocations_per_workgroup,
            ),
            (
                "invocations along a workgroup's x",
                self.max_compute_workgroup_size_x,
                floor.max_compute_workgroup_size_x,
            ),
            (
                "bytes of workgroup memory",
                self.max_compute_workgroup_storage_size,
                floor.max_compute_workgroup_storage_size,
            ),
            (
                "workgroups per dimension",
                self.max_compute_workgroups_per_dimension,
                floor.max_compute_workgroups_per_dimension,
            ),
        ] {
            if has < needs {
                lacks.push(format!("{needs} {what} (it has {has})"));
            }
        }
        (!lacks.is_empty()).then(|| format!("it lacks {}", lacks.join(", ")))
    }
}

/// One device that could be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its place in the list, as `--device INDEX` takes it.
    pub index: usize,
    /// The name that the driver gives it.
    pub name: String,
    /// Its class.
    pub kind: Kind,
    /// How it is reached.
    pub api: Api,
    /// The driver's name; some drivers leave it empty.
    pub driver: String,
    /// The driver's version, in its own words.
    pub driver_info: String,
    /// The vendor's number (a PCI number, mostly).
    pub vendor_id: u32,
    /// The device's number.
    pub device_id: u32,
    /// Smallest and largest subgroup, where subgroups are offered.
    pub subgroup_sizes: Option<(u32, u32)>,
    /// The limits that matter; none for the native CPU.
    pub limits: Option<KeyLimits>,
    /// The features that matter and that it offers.
    pub features: Vec<&'static str>,
    /// Threads of the native CPU; none for an adapter.
    pub threads: Option<usize>,
    /// Why it can never be chosen, as a clause; `None` if it can.
    pub unusable: Option<String>,
}

impl Candidate {
    /// The last row of every list: wgrad's own code on this machine's processor.
    pub fn native_cpu(index: usize, threads: usize) -> Self {
        let plural = if threads == 1 { "" } else { "s" };
        Self {
            index,
            name: "native CPU".to_string(),
            kind: Kind::NativeCpu,
            api: Api::Native,
            driver: String::new(),
            driver_info: format!("{threads} thread{plural}"),
            vendor_id: 0,
            device_id: 0,
            subgroup_sizes: None,
            limits: None,
            features: Vec::new(),
            threads: Some(threads),
            unusable: None,
        }
    }

    /// Name, class, interface and index in one line: two rows may share a name.
    pub fn label(&self) -> String {
        match self.kind {
            Kind::NativeCpu => format!("[{}] {}, {}", self.index, self.name, self.driver_info),
            kind => {
                let api = self.api.words();
                format!("[{}] {} ({}, {api})", self.index, self.name, kind.words())
            }
        }
    }

    /// The key that sorts by preference: the class first, then OpenGL last within a class.
    pub(super) fn rank(&self) -> (Kind, bool) {
        (self.kind, self.api == Api::Gl)
    }
}
