//! The ways to run a graph: the oracle, the native CPU, and each adapter in each class of plan.

use crate::adapter;
use std::fmt;
use std::sync::{Arc, OnceLock};
use wgrad::device::choice;
use wgrad::device::cpu;
use wgrad::device::gpu::executor::Executor;
use wgrad::device::gpu::open::{OpenOptions, Opened, open};
use wgrad::device::gpu::{class_of, limits_of};
use wgrad::ir::graph::{Graph, Tensor};
use wgrad::ir::launch::KernelClass;
use wgrad::ir::op::Real;
use wgrad::ir::values::Values;
use wgrad::plan::lower::{Target, lower};
use wgrad::verify::classes;

/// Steps between two waits: a software adapter takes a second for one step of the deep net.
const STEPS_A_SUBMIT: usize = 10;

/// A way to run a graph.
pub enum Form {
    /// The reference in double precision.
    Oracle,
    /// The fast forms of the native CPU.
    Cpu(rayon::ThreadPool),
    /// An adapter with plans of one class; `training` where a run would choose both.
    Gpu { gpu: Arc<Opened>, class: KernelClass, label: String, training: bool },
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Form::Oracle => write!(f, "oracle"),
            Form::Cpu(_) => write!(f, "native CPU"),
            Form::Gpu { class, label, .. } => write!(f, "{label}, {class}"),
        }
    }
}

/// Every form there is; no adapter is a failure, not a skip.
pub fn all() -> &'static [Form] {
    static ALL: OnceLock<Vec<Form>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut forms = vec![Form::Oracle, Form::Cpu(rayon::ThreadPoolBuilder::new().build().unwrap())];
        let chosen = adapter::chosen().1.target;
        for (candidate, adapter) in &adapter::usable() {
            let gpu = Arc::new(pollster::block_on(open(adapter, OpenOptions::default())).expect("the adapter opens"));
            let training = |class| chosen == choice::Target::Adapter(candidate.index) && class == class_of(&gpu);
            let label = candidate.label();
            let form = |class| Form::Gpu { gpu: gpu.clone(), class, label: label.clone(), training: training(class) };
            forms.extend(classes(&gpu).into_iter().map(form));
        }
        forms
    })
}

impl Form {
    /// Whether training would take this form: the native CPU, or the adapter that is chosen, in its own class.
    pub fn trains(&self) -> bool {
        matches!(self, Form::Cpu(_) | Form::Gpu { training: true, .. })
    }

    /// Whether shaders run on the CPU.
    pub fn is_software(&self) -> bool {
        matches!(self, Form::Gpu { gpu, .. } if gpu.info.device_type == wgpu::DeviceType::Cpu)
    }

    /// The elements of `wanted` after so many steps from `contents`. With `reuse`, results within a step share
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
            Form::Oracle => on_cpu::<f64>(graph, contents, wanted, steps, false),
            Form::Cpu(pool) => pool.install(|| on_cpu::<f32>(graph, contents, wanted, steps, true)),
            Form::Gpu { gpu, class, .. } => {
                let target = Target { class: *class, limits: limits_of(gpu), reuse };
                let mut executor = Executor::new(gpu.clone(), lower(graph, target).unwrap(), None, false).unwrap();
                contents.iter().for_each(|(t, values)| executor.write(*t, values.bytes()).unwrap());
                let read = |executor: &Executor, t| pollster::block_on(executor.read(t)).unwrap();
                for first in (0..steps).step_by(STEPS_A_SUBMIT) {
                    executor.submit(STEPS_A_SUBMIT.min(steps - first) as u32).unwrap();
                    read(&executor, wanted[0]);
                }
                let values = |&t: &Tensor| Values::from_bytes(graph.info(t).dtype, &read(&executor, t)).convert();
                wanted.iter().map(values).collect()
            }
        }
    }
}

fn on_cpu<F: Real>(
    graph: &Graph,
    contents: &[(Tensor, Values)],
    wanted: &[Tensor],
    steps: usize,
    fast: bool,
) -> Vec<Values<f64>> {
    let mut executor = cpu::Executor::<F>::new(graph.clone(), fast).unwrap();
    contents.iter().for_each(|(t, values)| executor.set(*t, values.convert()).unwrap());
    (0..steps).for_each(|_| executor.step());
    wanted.iter().map(|&t| executor.get(t).convert()).collect()
}
