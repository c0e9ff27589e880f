//! One matrix product of n × n × n on an adapter and in the gemm crate, in turn, every output checked.

use super::{REPETITIONS, median};
use crate::case::Case;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::gpu::executor::Executor;
use crate::gpu::{class_of, limits_of};
use crate::lower::{Target, lower};
use crate::ops::matmul_nn::MatmulNn;
use crate::values::Values;
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
}

/// Times the product; fails where the two disagree beyond rounding.
pub async fn matmul(device: &Device, cpu: &Device, size: usize) -> Result<MatmulReport> {
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
    let (mut on_device, mut on_cpu) = (Vec::new(), Vec::new());
    for round in 0..=REPETITIONS {
        if let Some(executor) = &executor
            && let Some(seconds) = executor.time_dispatches().await?.first().copied()
            && round > 0
        {
            on_device.push(seconds);
        }
        let args: Vec<_> = case.x.iter().map(|(info, values)| values.arg(0, &info.shape.0)).collect();
        let begun = Instant::now();
        let mut run = || case.op.fast(&args, &mut [crate::op::Out::Float(&mut product)]);
        match cpu {
            Device::Cpu(pool) => pool.install(run),
            Device::Gpu(_) => run(),
        }
        (round > 0).then(|| on_cpu.push(begun.elapsed().as_secs_f64()));
    }
    if let Some(executor) = &executor {
        agree(&product, &Values::from_bytes(crate::graph::DType::F32, &executor.read(y[0]).await?), size)?;
    }
    let gflops = |seconds: f64| 2.0 * (size as f64).powi(3) / seconds * 1e-9;
    Ok(MatmulReport {
        size,
        shader_gflops: median(&on_device).map(gflops),
        cpu_gflops: median(&on_cpu).map_or(0.0, gflops),
    })
}

fn agree(cpu: &[f32], shader: &Values, terms: usize) -> Result<()> {
    let Values::Float(shader) = shader else { return Err(Error::failed("the product is not floats")) };
    // Two roundings of sums of so many terms of size below one (see `Rounding`).
    let tolerance = 2.0 * crate::op::Rounding { terms, ulps: 1.0 }.tolerance(terms as f64);
    // Written so that NaN is off.
    let close = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).abs() <= tolerance;
    let off = cpu.iter().zip(shader).position(|pair| !close(pair));
    match off {
        None => Ok(()),
        Some(at) => Err(Error::failed(format!("element {at}: {} in the shader, {} in gemm", shader[at], cpu[at]))),
    }
}
