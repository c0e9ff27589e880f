//! The text output of `wgrad bench`.

use crate::bench::REPETITIONS;
use crate::bench::figures::Range;
use crate::bench::matmul::MatmulReport;
use crate::bench::ops::OpReport;
use crate::bench::processes::ProcessesReport;
use crate::bench::scale::{ScaleReport, ScaleRow};
use crate::cli::commands::bench::Found;
use crate::device::gpu::timing::{Clock, REPEATED};
use crate::plan::human_bytes;

const CPU_IS_FASTER: &str = "the CPU is faster here";

/// A matrix product.
pub fn product(found: &MatmulReport) -> String {
    let what = format!("matmul {0} × {0} × {0}:", found.size);
    let told = |gflops: f64, range: Option<Range>| {
        let range = range.map_or(String::new(), |[least, most]| format!(" ({least:.1} to {most:.1})"));
        format!("{gflops:.1} GFLOP/s{range}")
    };
    let cpu = told(found.cpu_gflops, found.cpu_gflops_range);
    let cpu = format!("gemm crate on {} threads {cpu}", found.cpu_threads);
    let Some(gflops) = found.shader_gflops else { return format!("{what} {cpu}\n") };
    let shader = told(gflops, found.shader_gflops_range);
    let ratio = gflops / found.cpu_gflops;
    let verdict = if ratio < 1.0 { format!("; {CPU_IS_FASTER}") } else { String::new() };
    let by = match found.clock {
        Some(Clock::Wall) => ", by the wall clock (this adapter has no timestamps)",
        _ => "",
    };
    format!("{what} shader {shader}{by}, {cpu}, ratio {ratio:.2}{verdict}\n")
}

/// A training step.
pub fn step(Found { report: r, start }: &Found) -> String {
    let side =
        |what: &str, step: Option<f64>, steps: Option<Range>, rate: Option<f64>, rates: Option<Range>, images| {
            let (Some(step), Some([least, most]), Some(rate), Some([slow, fast])) = (step, steps, rate, rates) else {
                return String::new();
            };
            let images: usize = Option::unwrap_or_default(images);
            format!(
                "{what}: {step:.2} ms per step ({least:.2} to {most:.2}), \
             {rate:.0} samples/s ({slow:.0} to {fast:.0}) over epochs of {images} samples\n"
            )
        };
    let (ranges, rates, spans, images) =
        (r.step_ms_range, r.images_per_second, r.images_per_second_range, r.epoch_images);
    let mut text = format!("{} at batch {}\n", r.model, r.batch_size);
    let shaders = format!("shaders on {}", r.device);
    text += &side(&shaders, r.step_ms.shader, ranges.shader, rates.shader, spans.shader, images.shader);
    let native = format!("native CPU, {} threads", r.cpu_threads);
    text += &side(&native, r.step_ms.cpu, ranges.cpu, rates.cpu, spans.cpu, images.cpu);
    if let (Some(shader), Some(cpu)) = (r.step_ms.shader, r.step_ms.cpu) {
        text += &match cpu < shader {
            true => format!("{CPU_IS_FASTER}, by {:.1}×\n", shader / cpu),
            false => format!("the shaders are faster, by {:.1}×\n", cpu / shader),
        };
    }
    let [least, most] = start.first_step_seconds_range;
    text += &format!("first step {:.2} s after the process starts ({least:.2} to {most:.2})", start.first_step_seconds);
    text += &match (start.first_step_cold_seconds, start.first_step_cold_seconds_range) {
        (Some(cold), Some([least, most])) => {
            format!(", {cold:.2} s with empty shader caches ({least:.2} to {most:.2})\n")
        }
        _ => "; not measured with empty shader caches, which cannot be redirected on this system\n".into(),
    };
    if let (Some(submit), Some(read_back)) = (r.submit_ms, r.read_back_ms) {
        text += &format!("a submit takes {submit:.3} ms on the host, reading the log back {read_back:.3} ms\n");
    }
    text += &format!("memory: buffers {}", human_bytes(r.memory_bytes));
    text += &start.peak_resident_bytes.map_or("\n\n".into(), |b| format!(", process at most {}\n\n", human_bytes(b)));
    text + &ops(&r.ops, r.cpu_threads, r.op_clock, r.step_ms.shader)
}

fn ops(ops: &[OpReport], threads: usize, clock: Option<Clock>, step_ms: Option<f64>) -> String {
    let cpu = format!("cpu ms, {threads} thr.");
    let mut text = format!(
        "{:20} {:>10} {:>9} {:>8} {cpu:>15} {:>8} {:>8} {:>8} {:>7} {:>6}\n",
        "op", "dispatches", "shader ms", "spread", "spread", "ratio", "GFLOP/s", "GB/s", "share"
    );
    for op in ops {
        let ratio = op.shader_ms.map(|shader| op.cpu_ms / shader);
        let line = format!(
            "{:20} {:10} {:>9} {:>8} {:15.3} {:>8} {:>8} {:>8} {:>7} {:>6}  {}",
            op.op,
            op.dispatches,
            number(op.shader_ms, 3),
            spread(op.shader_ms, op.shader_ms_range),
            op.cpu_ms,
            spread(Some(op.cpu_ms), Some(op.cpu_ms_range)),
            number(ratio, 2),
            number(op.gflops, 1),
            number(op.gbytes_per_second, 1),
            op.share.map_or("–".into(), |share| format!("{:.0} %", share * 100.0)),
            if ratio.is_some_and(|ratio| ratio < 1.0) { CPU_IS_FASTER } else { "" }
        );
        text += line.trim_end();
        text += "\n";
    }
    let sum: f64 = ops.iter().filter_map(|op| op.shader_ms).sum();
    if let (Some(clock), Some(step)) = (clock, step_ms) {
        text += &format!("all dispatches: {sum:.2} ms; a step among many in a submit takes {step:.2} ms\n");
        text += &match clock {
            Clock::Device => {
                "shader times are the device's timestamps, from the end of one dispatch to the end of the next\n".into()
            }
            Clock::Wall => format!(
                "this adapter has no timestamps: shader times are wall-clock times of {REPEATED} runs of a dispatch in a \
                 submit\n"
            ),
        };
    }
    text + &footer("; ratio is the CPU's time by the shader's")
}

/// Images a second by batch size.
pub fn scale(found: &ScaleReport) -> String {
    let cpu = format!("cpu samples/s, {} thr.", found.cpu_threads);
    let mut text = format!(
        "{} on {}\n{:>8} {:>11} {:>16} {:>8} {:>22} {:>8} {:>10}\n",
        found.model, found.device, "batch", "ms a step", "shader samples/s", "spread", cpu, "spread", "buffers"
    );
    for row in &found.rows {
        text += scale_row(row).trim_end();
        text += "\n";
    }
    text + &footer("")
}

fn scale_row(row: &ScaleRow) -> String {
    let (step, range, rate) = (row.step_ms, row.step_ms_range, row.images_per_second);
    let mut text = format!(
        "{:8} {:>11} {:>16} {:>8} {:>22} {:>8} {:>10}",
        row.batch_size,
        number(step.shader.or(step.cpu), 2),
        number(rate.shader, 0),
        spread(step.shader, range.shader),
        number(rate.cpu, 0),
        spread(step.cpu, range.cpu),
        row.memory_bytes.shader.or(row.memory_bytes.cpu).map_or("–".into(), human_bytes),
    );
    if let (Some(shader), Some(cpu)) = (step.shader, step.cpu)
        && cpu < shader
    {
        text += &format!("  {CPU_IS_FASTER}");
    }
    for (who, limit) in [("shader", &row.limit.shader), ("cpu", &row.limit.cpu)] {
        text += &limit.as_ref().map_or(String::new(), |limit| format!("  {who}: {limit}"));
    }
    text
}

/// Samples a second of several processes.
pub fn processes(found: &ProcessesReport) -> String {
    let mut text = format!(
        "{}, {} processes, the first on {}; each sends {} for an update\n{:>8} {:>16} {:>8} {:>19} {:>8} {:>10} {:>11} {:>10}\n",
        found.model,
        found.processes,
        found.device,
        human_bytes(found.update_bytes as u64),
        "batch",
        "alone samples/s",
        "spread",
        "together samples/s",
        "spread",
        "ms/update",
        "exchange ms",
        "efficiency"
    );
    for row in &found.rows {
        let spread = |median: f64, range| spread(Some(median), Some(range));
        text += &format!(
            "{:8} {:>16.0} {:>8} {:>19.0} {:>8} {:>10.2} {:>11.2} {:>8.0} %\n",
            row.batch_size,
            row.alone_per_second,
            spread(row.alone_per_second, row.alone_range),
            row.together_per_second,
            spread(row.together_per_second, row.together_range),
            row.update_ms,
            row.exchange_ms,
            100.0 * row.efficiency
        );
    }
    text + &footer("; alone: all processes at once, each by itself")
}

fn footer(more: &str) -> String {
    format!("medians of {REPETITIONS} interleaved repetitions; spread: (most - least) / median{more}\n")
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".into(), |value| format!("{value:.digits$}"))
}

/// How far apart the fastest and the slowest repetition are, of the median.
fn spread(median: Option<f64>, range: Option<Range>) -> String {
    match (median, range) {
        (Some(median), Some([least, most])) if median > 0.0 => format!("{:.0} %", (most - least) / median * 100.0),
        _ => "–".into(),
    }
}
