//! One matrix product of n × n × n on an adapter and in the gemm crate, in turn, every output checked.

use crate::bench::figures::{Both, Range};
use crate::bench::{REPETITIONS, threads};
use crate::device::Device;
use crate::device::gpu::executor::Executor;
use crate::device::gpu::timing::Clock;
use crate::device::gpu::{class_of, limits_of};
use crate::error::{Error, Result};
use crate::ir::case::Case;
use crate::ir::values::Values;
use crate::ops::matmul::matmul_nn::MatmulNn;
use crate::plan::lower::{Target, lower};
use serde::Serialize;
use std::time::Instant;

/// What was found.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MatmulReport {
    /// Rows, columns and terms.
    pub size: usize,
    /// Thousand million operations a second in the shader, buffers to buffer; `None` on the native CPU.
    pub shader_gflops: Option<f64>,
    /// The same in the gemm crate, on all threads of the native CPU.
    pub cpu_gflops: f64,
    /// The slowest and the fastest repetition.
    pub shader_gflops_range: Option<Range>,
    /// The slowest and the fastest repetition.
    pub cpu_gflops_range: Option<Range>,
    /// Threads of the native CPU.
    pub cpu_threads: usize,
    /// What the shader was timed by.
    pub clock: Option<Clock>,
}

/// Times the product, by the device's clock where it has one and `clock` does not name another; fails where the two
/// disagree beyond rounding.
pub async fn matmul(device: &Device, cpu: &Device, size: usize, clock: Option<Clock>) -> Result<MatmulReport> {
    if !(1..=8192).contains(&size) {
        return Err(Error::input(format!("size {size}: 1 to 8192 is expected")));
    }
    let case = Case::new(MatmulNn::default()).random([size, size]).random([size, size]);
    let (graph, x, y) = case.graph()?;
    let executor = match device {
        Device::Cpu(_) => None,
        Device::Gpu(gpu) => {
            let plan = lower(&graph, Target { class: class_of(gpu), limits: limits_of(gpu), reuse: true })?;
            let executor = Executor::new(gpu.clone(), plan, None, false)?;
            for (&t, (_, values)) in x.iter().zip(&case.x) {
                executor.write(t, values.bytes())?;
            }
            Some(executor)
        }
    };
    let mut product = vec![0.0; size * size];
    let clock = executor.as_ref().map(|executor| clock.unwrap_or(executor.clock()));
    let gflops = |seconds: f64| 2.0 * (size as f64).powi(3) / seconds * 1e-9;
    let mut rates = Both::default();
    for round in 0..=REPETITIONS {
        if let (Some(executor), Some(clock)) = (&executor, clock) {
            // Its reading and transposing of operands, where there is any, is part of it.
            let seconds: f64 = executor.time_dispatches(clock).await?.iter().sum();
            (round > 0).then(|| rates.shader.push(gflops(seconds)));
        }
        let args: Vec<_> = case.x.iter().map(|(info, values)| values.arg(0, &info.shape.0)).collect();
        let begun = Instant::now();
        let mut run = || case.op.fast(&args, &mut [crate::ir::op::Out::Float(&mut product)]);
        match cpu {
            Device::Cpu(pool) => pool.install(run),
            Device::Gpu(_) => run(),
        }
        (round > 0).then(|| rates.cpu.push(gflops(begun.elapsed().as_secs_f64())));
    }
    if let Some(executor) = &executor {
        agree(&product, &Values::from_bytes(crate::ir::graph::DType::F32, &executor.read(y[0]).await?), size)?;
    }
    let (middle, range) = (rates.median(), rates.range());
    Ok(MatmulReport {
        size,
        shader_gflops: middle.shader,
        cpu_gflops: middle.cpu.unwrap_or(0.0),
        shader_gflops_range: range.shader,
        cpu_gflops_range: range.cpu,
        cpu_threads: threads(cpu),
        clock,
    })
}

fn agree(cpu: &[f32], shader: &Values, terms: usize) -> Result<()> {
    let Values::Float(shader) = shader else { return Err(Error::failed("the product is not floats")) };
    // Two roundings of sums of so many terms of size below one (see `Rounding`).
    let tolerance = 2.0 * crate::ir::op::Rounding { terms, ulps: 1.0 }.tolerance(terms as f64);
    // Written so that NaN is off.
    let close = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).abs() <= tolerance;
    let off = cpu.iter().zip(shader).position(|pair| !close(pair));
    match off {
        None => Ok(()),
        Some(at) => Err(Error::failed(format!("element {at}: {} in the shader, {} in gemm", shader[at], cpu[at]))),
    }
}
