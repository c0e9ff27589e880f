//! Right gradients on this adapter, or a clear stop: every kernel, at awkward shapes, against the oracle.

pub mod compare;
pub mod models;
pub mod report;
pub mod trace;

use crate::device::Device;
use crate::device::gpu::executor::Executor;
use crate::device::gpu::open::Opened;
use crate::device::gpu::{class_of, limits_of};
use crate::error::Result;
use crate::ir::case::Case;
use crate::ir::launch::KernelClass;
use crate::ir::op::{In, Out};
use crate::ir::values::Values;
use crate::ops::Entry;
use crate::plan::lower::{Target, lower};
use compare::{Deviation, against_oracle};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was found of one kernel.
#[derive(Clone, Debug, Serialize)]
pub struct KernelReport {
    /// The kernel.
    pub kernel: String,
    /// How many cases it ran in.
    pub cases: usize,
    /// The absolute error of the element that used up most of its tolerance.
    pub worst_error: f64,
    /// The tolerance of that element.
    pub tolerance: f64,
    /// `pass` or `fail`.
    pub verdict: &'static str,
    /// The first case that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_case: Option<String>,
    /// Every case that failed, with its shapes and its error against its tolerance.
    #[serde(skip)]
    pub failures: Vec<String>,
}

/// Of one kernel: its cases, the worst of them, and those that failed.
type Row = (usize, Deviation, Vec<(String, Deviation)>);

/// The classes of plan that an adapter can run: its own, and tiles, which all can.
pub fn classes(gpu: &Opened) -> Vec<KernelClass> {
    match class_of(gpu) {
        KernelClass::Tile => vec![KernelClass::Tile],
        lanes => vec![KernelClass::Tile, lanes],
    }
}

/// Runs one case in one class on a device and holds it to the oracle; says which kernels ran.
pub fn run_case(gpu: &Arc<Opened>, case: &Case, class: KernelClass, checked: bool) -> Result<(Vec<String>, Deviation)> {
    let (graph, x, y) = case.graph()?;
    let plan = lower(&graph, Target { class, limits: limits_of(gpu), reuse: false })?;
    let kernels = plan.dispatches.iter().map(|d| d.kernel.name.to_string()).collect();
    let before = case.before(&graph, &y);
    let mut executor = Executor::new(gpu.clone(), plan, None, checked)?;
    for (&t, (_, values)) in x.iter().zip(&case.x) {
        executor.write(t, values.bytes())?;
    }
    for (&t, values) in y.iter().zip(&before) {
        executor.write(t, values.bytes())?;
    }
    executor.submit(1)?;
    let mut got = Vec::new();
    for &t in &y {
        got.push(Values::from_bytes(graph.info(t).dtype, &pollster::block_on(executor.read(t))?));
    }
    let args: Vec<Values> = case.x.iter().map(|(_, values)| values.clone()).collect();
    Ok((kernels, against_oracle(&graph, &graph.nodes[0], &args, &before, &got)))
}

/// Runs one case's fast form for the native CPU and holds it to the oracle.
pub fn run_case_on_cpu(pool: &rayon::ThreadPool, case: &Case) -> Result<Deviation> {
    let (graph, _, y) = case.graph()?;
    let before = case.before(&graph, &y);
    let mut got = before.clone();
    let args: Vec<Values> = case.x.iter().map(|(_, values)| values.clone()).collect();
    let x: Vec<In<f32>> = args.iter().zip(&case.x).map(|(x, (info, _))| x.arg(0, &info.shape.0)).collect();
    pool.install(|| case.op.fast(&x, &mut got.iter_mut().map(Values::result).collect::<Vec<Out<f32>>>()));
    Ok(against_oracle(&graph, &graph.nodes[0], &args, &before, &got))
}

/// Runs every case of the given ops: on an adapter in every class that it can run, on the native CPU in
/// the fast forms, each under its op's name.
pub fn kernels(device: &Device, entries: &[Entry], checked: bool) -> Result<Vec<KernelReport>> {
    let mut found: BTreeMap<String, Row> = BTreeMap::new();
    let mut note = |kernel: String, deviation: Deviation, case: &Case, form: &str| {
        let row = found.entry(kernel).or_insert((0, Deviation::NONE, Vec::new()));
        row.0 += 1;
        row.1 = row.1.worse(deviation);
        if !deviation.passed {
            row.2.push((format!("{} ({form})", case.label()), deviation));
        }
    };
    for entry in entries {
        for case in (entry.cases)() {
            match device {
                Device::Cpu(pool) => note(entry.name.into(), run_case_on_cpu(pool, &case)?, &case, "native CPU"),
                Device::Gpu(_) if case.op.is_view() => {}
                Device::Gpu(gpu) => {
                    for class in classes(gpu) {
                        let (kernels, deviation) = run_case(gpu, &case, class, checked)?;
                        kernels.into_iter().for_each(|kernel| note(kernel, deviation, &case, &class.to_string()));
                    }
                }
            }
        }
    }
    let report = |(kernel, (cases, worst, failed)): (String, Row)| KernelReport {
        kernel,
        cases,
        worst_error: worst.error,
        tolerance: worst.tolerance,
        verdict: if worst.passed { "pass" } else { "fail" },
        failed_case: failed.first().map(|(case, _)| case.clone()),
        failures: (failed.iter())
            .map(|(case, d)| format!("{case}: error {:.3e}, tolerance {:.3e}", d.error, d.tolerance))
            .collect(),
    };
    Ok(found.into_iter().map(report).collect())
}
