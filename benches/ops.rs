//! Every op at its test cases: the CPU's fast form by the wall clock, the adapter's dispatches by its own.
//!
//!     cargo bench --bench ops -- matmul

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;
use wgrad::device::Device;
use wgrad::device::choice::DeviceRequest;
use wgrad::device::gpu::executor::Executor;
use wgrad::device::gpu::{class_of, limits_of};
use wgrad::ir::op::Out;
use wgrad::ir::values::Values;
use wgrad::ops;
use wgrad::plan::lower::{Target, lower};

fn every_op(c: &mut Criterion) {
    let request = DeviceRequest::from_env().expect("a device's name");
    let (device, choice) = pollster::block_on(Device::open(&request, 0)).expect("a device");
    eprintln!("{}", choice.line());
    for entry in ops::ALL.iter().filter(|entry| !entry.kernels.is_empty()) {
        let mut group = c.benchmark_group(entry.name);
        for (n, case) in (entry.cases)().iter().enumerate() {
            let (graph, x, y) = case.graph().expect("a case builds");
            let args: Vec<_> = case.x.iter().map(|(info, values)| values.arg(0, &info.shape.0)).collect();
            let mut results = case.before(&graph, &y);
            group.bench_function(format!("{n} cpu"), |b| {
                let mut results: Vec<Out<f32>> = results.iter_mut().map(Values::result).collect();
                b.iter(|| case.op.fast(&args, &mut results));
            });
            let Device::Gpu(gpu) = &device else { continue };
            let target = Target { class: class_of(gpu), limits: limits_of(gpu), reuse: false };
            let plan = lower(&graph, target).expect("a case lowers");
            let executor = Executor::new(gpu.clone(), plan, None, false).expect("a case is built");
            for (&t, (_, values)) in x.iter().zip(&case.x) {
                executor.write(t, values.bytes()).expect("its arguments are written");
            }
            group.bench_function(format!("{n} shader"), |b| {
                b.iter_custom(|times| {
                    let one = || {
                        pollster::block_on(executor.time_dispatches(executor.clock()))
                            .expect("it runs")
                            .iter()
                            .sum::<f64>()
                    };
                    Duration::from_secs_f64((0..times).map(|_| one()).sum())
                });
            });
        }
    }
}

criterion_group!(all, every_op);
criterion_main!(all);
