//! The ways to run a graph: the oracle, the native CPU, and each adapter in each class of plan.

use crate::adapter;
use std::fmt;
use std::sync::{Arc, OnceLock};
use wgrad::device::executor::Build;
use wgrad::device::gpu::open::{OpenOptions, open};
use wgrad::device::gpu::{class_of, classes_of};
use wgrad::device::{Device, choice, cpu};
use wgrad::ir::graph::{Graph, Tensor};
use wgrad::ir::launch::KernelClass;
use wgrad::ir::values::Values;

/// Steps between two waits: a software adapter takes a second for one step of the deep net.
const STEPS_A_SUBMIT: usize = 10;

/// A way to run a graph.
pub enum Form {
    /// The reference in double precision.
    Oracle,
    /// A device: the native CPU, or an adapter with plans of one class; `training` where a run would choose both.
    On { device: Device, class: Option<KernelClass>, label: String, training: bool },
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Form::Oracle => write!(f, "oracle"),
            Form::On { class: None, label, .. } => write!(f, "{label}"),
            Form::On { class: Some(class), label, .. } => write!(f, "{label}, {class}"),
        }
    }
}

/// Every form there is; no adapter is a failure, not a skip.
pub fn all() -> &'static [Form] {
    static ALL: OnceLock<Vec<Form>> = OnceLock::new();
    ALL.get_or_init(|| {
        let native = Device::cpu(0).expect("threads");
        let native = Form::On { device: native, class: None, label: "native CPU".into(), training: true };
        let mut forms = vec![Form::Oracle, native];
        let chosen = adapter::chosen().1.target;
        for (candidate, adapter) in &adapter::usable() {
            let gpu = Arc::new(pollster::block_on(open(adapter, OpenOptions::default())).expect("the adapter opens"));
            let training = |class| chosen == choice::Target::Adapter(candidate.index) && class == class_of(&gpu);
            let form = |class| {
                let (device, label) = (Device::Gpu(gpu.clone()), candidate.label());
                Form::On { device, class: Some(class), label, training: training(class) }
            };
            forms.extend(classes_of(&gpu).into_iter().map(form));
        }
        forms
    })
}

/// The forms that ops and layers are compared with PyTorch in: all but those that a software adapter would not train
/// in. It compiles each shape for a second and more, and `tests/library/kernels.rs` holds every kernel to the oracle in
/// every class.
pub fn usual() -> impl Iterator<Item = &'static Form> {
    all().iter().filter(|form| form.trains() || !form.is_software())
}

impl Form {
    /// Whether training would take this form: the native CPU, or the adapter that is chosen, in its own class.
    pub fn trains(&self) -> bool {
        matches!(self, Form::On { training: true, .. })
    }

    /// Whether it is the native CPU.
    pub fn is_native(&self) -> bool {
        matches!(self, Form::On { device: Device::Cpu(_), .. })
    }

    /// Whether shaders run on the CPU.
    pub fn is_software(&self) -> bool {
        let on = |device: &Device| matches!(device, Device::Gpu(gpu) if gpu.info.device_type == wgpu::DeviceType::Cpu);
        matches!(self, Form::On { device, .. } if on(device))
    }

    /// The elements of `wanted` after this many steps from `contents`. With `reuse`, results within a step share
    /// memory, as they do in training; then only what outlives the step can be wanted.
    pub fn run(
        &self,
        graph: &Graph,
        contents: &[(Tensor, Values)],
        wanted: &[Tensor],
        steps: usize,
        reuse: bool,
    ) -> Vec<Values<f64>> {
        match self {
            Form::Oracle => {
                let mut executor = cpu::Executor::<f64>::new(graph.clone(), false).unwrap();
                contents.iter().for_each(|(t, values)| executor.set(*t, values.convert()).unwrap());
                (0..steps).for_each(|_| executor.step());
                wanted.iter().map(|&t| executor.get(t)).collect()
            }
            Form::On { device, class, .. } => {
                let build = Build { reuse, class: *class, ..Build::default() };
                let mut executor = device.executor(graph, build).unwrap();
                contents.iter().for_each(|(t, values)| executor.write(*t, values).unwrap());
                for first in (0..steps).step_by(STEPS_A_SUBMIT) {
                    executor.submit(STEPS_A_SUBMIT.min(steps - first) as u32).unwrap();
                    pollster::block_on(executor.read(wanted[0])).unwrap();
                }
                wanted.iter().map(|&t| pollster::block_on(executor.read(t)).unwrap().convert()).collect()
            }
        }
    }
}
