//! Kernels that do not come back in time, lost devices, unexpected errors: each is an error with a name.

use crate::device::gpu::adapter::{NEEDED, usable_adapters};
use crate::device::gpu::careful::*;
use crate::device::gpu::open::{OpenOptions, Opened, open};
use crate::device::gpu::{class_of, limits_of};
use crate::ir::graph::{Graph, Tensor, TensorInfo};
use crate::ir::launch::{Lower, Source};
use crate::ir::op::{Backward, In, Op, Out, Real, Reference, Rounding};
use crate::ops::pointwise::relu::Relu;
use crate::plan::lower::{Target, lower};
use std::sync::Arc;

/// Enough invocations to keep a device busy for milliseconds, each with `rounds` iterations.
const LONG: Source = Source {
    path: "long",
    name: "long",
    text: "
@group(0) @binding(0) var<storage, read> rounds: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    var x = id.x;
    for (var i = 0u; i < rounds[0]; i += 1u) {
        x = x * 747796405u + rounds[x % 4u];
    }
    y[id.x % 16u] = x;
}",
};

#[derive(Clone, Copy, Debug)]
struct Long;

impl Reference for Long {
    fn reference<F: Real>(&self, _: &[In<F>], _: &mut [Out<F>]) {}
}

impl Op for Long {
    fn name(&self) -> &'static str {
        "long"
    }

    fn outputs(&self, _: &[&TensorInfo]) -> std::result::Result<Vec<TensorInfo>, String> {
        Ok(vec![TensorInfo::words("turned", [16])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }

    fn lower(&self, cx: &mut Lower) -> Result<()> {
        let launch = cx.kernel(LONG, &[])?.bind("rounds", cx.x[0]).bind("y", cx.y[0]);
        cx.groups(launch, 2048)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

/// Every adapter that can be used; none at all is a failure, not a skip.
fn each_opened(options: OpenOptions) -> Vec<Opened> {
    let usable = usable_adapters().into_iter();
    usable.map(|(_, adapter)| pollster::block_on(open(&adapter, options.clone())).expect("a device")).collect()
}

/// Those that work while the host waits: Mesa's OpenGL has computed when the submit returns.
fn each_that_can_hang(options: OpenOptions) -> Vec<Opened> {
    let mut all = each_opened(options);
    all.retain(|gpu| gpu.info.backend != wgpu::Backend::Gl);
    // None is left only if OpenGL alone was requested.
    assert!(!all.is_empty() || std::env::var_os("WGPU_BACKEND").is_some(), "{NEEDED}; found OpenGL's alone");
    all
}

/// The long kernel, then a ReLU; reads the ReLU's result back.
fn executor(gpu: Opened) -> (Executor, [Tensor; 2]) {
    let mut graph = Graph::new();
    let rounds = graph.tensor(TensorInfo::words("rounds", [4]));
    let x = graph.tensor(TensorInfo::floats("x", [64]));
    graph.apply(Long, &[rounds]).expect("a node");
    let y = graph.apply(Relu, &[x]).expect("a node")[0];
    let plan = lower(&graph, Target { class: class_of(&gpu), limits: limits_of(&gpu), reuse: false }).expect("a plan");
    let executor = Executor::new(Arc::new(gpu), plan, Some(y), true).expect("an executor");
    executor.write(x, bytemuck::cast_slice(&[1.5f32; 64])).expect("written");
    (executor, [rounds, y])
}

fn set(executor: &Executor, rounds: Tensor, count: u32) {
    executor.write(rounds, bytemuck::cast_slice(&[count; 4])).expect("written");
}

/// So many turns that no device has them done within `IMPATIENT`: each waits for memory. (Mesa's software adapters end a
/// loop after 65,535.)
const MANY: u32 = 2_000;

/// Less than the work takes, by far.
const IMPATIENT: Duration = Duration::from_micros(100);

fn failed<T>(what: &str, result: Result<T>) -> String {
    match result {
        Err(Error::Failed(text)) => text,
        Err(other) => panic!("{what}: {other}"),
        Ok(_) => panic!("{what}: a failure is expected"),
    }
}

#[test]
fn a_kernel_that_does_not_come_back_is_named() {
    let patience = Some(IMPATIENT);
    for gpu in each_that_can_hang(OpenOptions { patience, ..OpenOptions::default() }) {
        let (mut executor, [rounds, _]) = executor(gpu);
        set(&executor, rounds, MANY);
        let text = failed("submit", executor.submit(1));
        for want in ["no answer within 0.0001 s", "kernel long was running, dispatch 1 of 2 in the step, for turned"] {
            assert!(text.contains(want), "{want}: {text}");
        }
    }
}

#[test]
fn a_submit_that_does_not_come_back_says_what_was_in_it() {
    for gpu in each_that_can_hang(OpenOptions::default()) {
        let (mut executor, [rounds, _]) = executor(gpu);
        set(&executor, rounds, 1);
        executor.submit(1).expect("quick");
        pollster::block_on(executor.collect()).expect("quick");
        executor.careful = false;
        Arc::get_mut(&mut executor.gpu).expect("no other owner").patience = IMPATIENT;
        set(&executor, rounds, MANY);
        executor.submit(1).expect("no wait yet");
        let text = failed("collect", pollster::block_on(executor.collect()));
        for want in ["no answer within 0.0001 s", "1 step was running, each of 2 dispatches (long, relu)", ONE_BY_ONE] {
            assert!(text.contains(want), "{want}: {text}");
        }
    }
}

/// A slow step is followed by one that is not given to the device in one submit, a quick one is not.
#[test]
fn slow_steps_go_dispatch_by_dispatch() {
    for gpu in each_opened(OpenOptions::default()) {
        let (mut executor, [rounds, _]) = executor(gpu);
        set(&executor, rounds, 1);
        assert!(executor.careful, "the first step is not known to be quick");
        for (slow, careful) in [(Duration::MAX, false), (Duration::ZERO, true), (Duration::MAX, false)] {
            executor.step_one_by_one(slow).expect("a step");
            assert_eq!(executor.careful, careful);
        }
        executor.one_by_one();
        assert!(executor.careful);
    }
}

#[test]
fn one_by_one_is_for_every_step_and_gives_the_same_numbers() {
    for one_by_one in [false, true] {
        for gpu in each_opened(OpenOptions { one_by_one, ..OpenOptions::default() }) {
            let (mut executor, [rounds, y]) = executor(gpu);
            set(&executor, rounds, 1);
            for _ in 0..20 {
                executor.submit(2).expect("two steps");
                pollster::block_on(executor.collect()).expect("a log");
            }
            assert!(executor.careful || !one_by_one);
            let read = pollster::block_on(executor.read(y)).expect("read");
            assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&read), [1.5; 64]);
        }
    }
}

/// Every request to a lost device fails with an error that says so.
#[test]
fn a_lost_device_is_an_error_of_every_call() {
    type Call = fn(&mut Executor, Tensor) -> Result<()>;
    let calls: [(&str, Call); 7] = [
        // A loss may become known only once the work before it is done.
        ("write", |executor, y| {
            executor.write(y, &[0; 16])?;
            pollster::block_on(executor.read(y)).map(drop)
        }),
        ("read", |executor, y| pollster::block_on(executor.read(y)).map(drop)),
        ("submit", |executor, _| {
            executor.submit(1)?;
            pollster::block_on(executor.collect()).map(drop)
        }),
        ("submit of more", |executor, _| {
            executor.careful = false;
            executor.submit(3)?;
            pollster::block_on(executor.collect()).map(drop)
        }),
        ("collect", |executor, _| pollster::block_on(executor.collect()).map(drop)),
        ("time", |executor, _| pollster::block_on(executor.time_dispatches(executor.clock())).map(drop)),
        ("build", |executor, y| {
            let built = Executor::new(executor.gpu.clone(), executor.plan().clone(), Some(y), true)?;
            pollster::block_on(built.read(y)).map(drop)
        }),
    ];
    for (name, call) in calls {
        for gpu in each_opened(OpenOptions::default()) {
            let (mut executor, [rounds, y]) = executor(gpu);
            set(&executor, rounds, 1);
            executor.submit(1).expect("a step");
            executor.gpu.device.destroy();
            let text = failed(name, call(&mut executor, y));
            assert!(text.contains("the device was lost"), "{name}: {text}");
        }
    }
}

/// An error that belongs to no call stops the next one.
#[test]
fn an_unexpected_error_stops_the_run() {
    for gpu in each_opened(OpenOptions::default()) {
        let (mut executor, [rounds, _]) = executor(gpu);
        set(&executor, rounds, 1);
        executor.submit(1).expect("a step");
        let _ = executor.gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("too-large"),
            size: 1 << 40,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        let text = failed("collect", pollster::block_on(executor.collect()));
        assert!(text.contains("the device reports") && text.contains("too-large"), "{text}");
    }
}
