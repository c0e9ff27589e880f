//! Checks this adapter: every kernel, at awkward shapes, against the oracle.

pub mod compare;
pub mod models;
pub mod report;
pub mod trace;

use crate::device::Device;
use crate::device::executor::Build;
use crate::device::gpu::classes_of;
use crate::error::Result;
use crate::ir::case::Case;
use crate::ir::launch::KernelClass;
use crate::ir::values::Values;
use crate::ops::Entry;
use compare::{Deviation, Oracle};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The result for one kernel.
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

/// Runs one case on a device, in classes of kernels where it is an adapter, and holds it to the oracle; says for each which
/// kernels ran.
fn run_case(
    device: &Device,
    case: &Case,
    classes: &[Option<KernelClass>],
    checked: bool,
) -> Result<Vec<(Vec<String>, Deviation)>> {
    let (graph, x, y) = case.graph()?;
    let before = case.before(&graph, &y);
    let args: Vec<Values> = case.x.iter().map(|(_, values)| values.clone()).collect();
    let oracle = Oracle::of(&graph, &graph.nodes[0], &args, &before);
    let in_class = |&class: &Option<KernelClass>| {
        let mut executor = device.executor(&graph, Build { class, checked, ..Build::default() })?;
        let kernels = executor.parts().into_iter().filter_map(|part| stem(&part.kernel?)).collect();
        for (&t, values) in x.iter().zip(&args).chain(y.iter().zip(&before)) {
            executor.write(t, values)?;
        }
        executor.submit(1)?;
        let got: Vec<Values> = y.iter().map(|&t| pollster::block_on(executor.read(t))).collect::<Result<_>>()?;
        Ok((kernels, oracle.judge(&got)))
    };
    classes.iter().map(in_class).collect()
}

/// The stem of a kernel, without what it is expanded with.
pub(crate) fn stem(kernel: &str) -> Option<String> {
    kernel.split('<').next().map(String::from)
}

/// Runs every case of the given ops, several at a time: on an adapter in every class that it can run, on the native CPU in the
/// fast forms, each under its op's name.
pub fn kernels(device: &Device, entries: &[Entry], checked: bool) -> Result<Vec<KernelReport>> {
    some_kernels(device, entries, checked, (usize::MAX, &|_, _| ()))
}

/// [`kernels`], of at most this many cases of each op, spread over all of them. What is given besides hears how many cases are done, and
/// of how many.
pub fn some_kernels(
    device: &Device,
    entries: &[Entry],
    checked: bool,
    (most, progress): (usize, &(dyn Fn(usize, usize) + Sync)),
) -> Result<Vec<KernelReport>> {
    let mut found: BTreeMap<String, Row> = BTreeMap::new();
    let mut note = |kernel: String, deviation: Deviation, case: &Case, form: &str| {
        let row = found.entry(kernel).or_insert((0, Deviation::NONE, Vec::new()));
        row.0 += 1;
        row.1 = row.1.worse(deviation);
        if !deviation.passed {
            row.2.push((format!("{} ({form})", case.label()), deviation));
        }
    };
    let classes: Vec<Option<KernelClass>> = match device {
        Device::Cpu(_) => vec![None],
        Device::Gpu(gpu) => classes_of(gpu).into_iter().map(Some).collect(),
    };
    // A view has no work.
    let of_entry = |entry: &Entry| {
        let all: Vec<Case> = (entry.cases)().into_iter().filter(|case| !case.op.is_view()).collect();
        let each = all.len().div_ceil(most).max(1);
        all.into_iter().step_by(each).map(|case| (entry.name, case)).collect::<Vec<_>>()
    };
    let cases: Vec<(&str, Case)> = entries.iter().flat_map(of_entry).collect();
    let done = AtomicUsize::new(0);
    let run = |(_, case): &(&str, Case)| {
        let found = run_case(device, case, &classes, checked);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, cases.len());
        found
    };
    let results: Vec<_> = cases.par_iter().map(run).collect::<Result<_>>()?;
    for ((op, case), of_classes) in cases.iter().zip(results) {
        for (class, (kernels, deviation)) in classes.iter().zip(of_classes) {
            match class {
                Some(class) => kernels.into_iter().for_each(|k| note(k, deviation, case, &class.to_string())),
                None => note((*op).into(), deviation, case, "native CPU"),
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
