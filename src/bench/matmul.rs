//! One matrix product of n × n × n on an adapter and in the gemm crate, in turn, every output checked.

use crate::bench::figures::{Both, Range};
use crate::bench::{REPETITIONS, threads};
use crate::device::Device;
use crate::device::executor::{Build, Executor};
use crate::device::gpu::timing::Clock;
use crate::error::{Error, Result};
use crate::ir::case::Case;
use crate::ir::values::Values;
use crate::ops::matmul::matmul_nn::MatmulNn;
use serde::Serialize;

/// The results.
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
    /// The clock of the shader's time.
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
    let start = |device: &Device| -> Result<Box<dyn Executor>> {
        let mut executor = device.executor(&graph, Build { reuse: true, ..Build::default() })?;
        for (&t, (_, values)) in x.iter().zip(&case.x) {
            executor.write(t, values)?;
        }
        Ok(executor)
    };
    let mut shader = match device {
        Device::Cpu(_) => None,
        Device::Gpu(_) => Some(start(device)?),
    };
    let mut native = start(cpu)?;
    let clock = shader.as_ref().map(|executor| clock.unwrap_or(executor.clock()));
    let gflops = |seconds: Vec<f64>| 2.0 * (size as f64).powi(3) / seconds.iter().sum::<f64>() * 1e-9;
    let mut rates = Both::default();
    for round in 0..=REPETITIONS {
        if let (Some(executor), Some(clock)) = (&mut shader, clock) {
            // Its reading and transposing of operands, where there is any, is part of it.
            let seconds = executor.time_parts_by(clock).await?;
            (round > 0).then(|| rates.shader.push(gflops(seconds)));
        }
        let seconds = native.time_parts_by(native.clock()).await?;
        (round > 0).then(|| rates.cpu.push(gflops(seconds)));
    }
    if let Some(executor) = &shader {
        agree(&native.read(y[0]).await?, &executor.read(y[0]).await?, size)?;
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

fn agree(cpu: &Values, shader: &Values, terms: usize) -> Result<()> {
    let (Values::Float(cpu), Values::Float(shader)) = (cpu, shader) else {
        return Err(Error::failed("found a product of words, expected floats"));
    };
    // Two roundings of sums of that number of terms, each below one (see `Rounding`).
    let tolerance = 2.0 * crate::ir::op::Rounding { terms, ulps: 1.0 }.tolerance(terms as f64);
    // Written so that NaN is off.
    let close = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).abs() <= tolerance;
    let off = cpu.iter().zip(shader).position(|pair| !close(pair));
    match off {
        None => Ok(()),
        Some(at) => Err(Error::failed(format!("element {at}: {} in the shader, {} in gemm", shader[at], cpu[at]))),
    }
}
