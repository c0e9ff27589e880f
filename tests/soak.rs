//! Training for any length of time, stopped, evaluated, reported and resumed at random: memory, file handles and CPU
//! time per step stay flat, and every run ends with the same bytes. `tests/soak MINUTES` is the long form.
// The figures are those that Linux keeps of a process.
#![cfg(target_os = "linux")]

#[path = "common/adapter.rs"]
mod adapter;
#[path = "common/noise.rs"]
mod noise;

use noise::noise;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::fs;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use wgrad::data::Dataset;
use wgrad::model::{Model, Sequential};
use wgrad::report::folder::RunRecord;
use wgrad::report::{ReportData, gather, page};
use wgrad::train::epochs::trainer::{Event, Trainer};
use wgrad::train::run::RunConfig;
use wgrad::train::run::checkpoints::{Checkpoints, Which};
use wgrad::train::settings::interval::Interval;
use wgrad::train::settings::options::TrainOptions;
use wgrad::train::state::checkpoint::Checkpoint;
use wgrad::train::state::digest::Digest;

/// Blocks that the measured stretch is cut into.
const BLOCKS: usize = 20;

/// Growth in bytes that is none: what an allocator keeps or gives back as it likes.
const SLACK_BYTES: f64 = 8.0 * 1024.0 * 1024.0;

/// One cycle: some steps, and what came after them.
#[derive(Clone, Copy, Debug)]
struct Sample {
    resident_bytes: f64,
    handles: f64,
    // Seconds of all threads for one step: other processes of the machine have less say in it than in the time passed.
    step_seconds: f64,
}

#[derive(Debug, Default)]
struct Counts {
    steps: u64,
    runs: u64,
    resumed: u64,
    evaluated: u64,
    reported: u64,
}

fn setting() -> (Model, Dataset, TrainOptions) {
    let net = Sequential::new([16, 16, 1]).name("net").conv2d(16, 3).relu().max_pool2d(2).flatten().dense(64).relu();
    let options = TrainOptions { epochs: 6, batch_size: 32, ..TrainOptions::default() };
    (net.dense(5).build().expect("a model"), noise([16, 16, 1], 5, [600, 70]), options)
}

/// Resident memory in bytes, open handles and the processor's seconds of this process so far.
fn figures() -> [f64; 3] {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let status = read("/proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    let handles = fs::read_dir("/proc/self/fd").expect("/proc/self/fd").count() as f64;
    // Nanoseconds on a processor, of each thread; those of threads that have ended are not needed between two readings.
    let tasks = fs::read_dir("/proc/self/task").expect("/proc/self/task").flatten();
    let on = tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
    let nanoseconds = on.filter_map(|text| text.split(' ').next()?.parse::<f64>().ok());
    [kib * 1024.0, handles, nanoseconds.sum::<f64>() * 1e-9]
}

/// The middle one of each block: a single odd sample is no trend.
fn medians(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> Vec<f64> {
    let blocks = samples.chunks(samples.len().div_ceil(BLOCKS)).map(|block| {
        let mut block: Vec<f64> = block.iter().map(&of).collect();
        block.sort_by(f64::total_cmp);
        block[block.len() / 2]
    });
    blocks.collect()
}

/// By how much `of` grows over the samples, where it does beyond four standard errors of the slope; else 0.
fn growth(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let y = medians(samples, of);
    let n = y.len() as f64;
    let (middle, mean) = ((n - 1.0) / 2.0, y.iter().sum::<f64>() / n);
    let x = |i: usize| i as f64 - middle;
    let squares: f64 = (0..y.len()).map(|i| x(i) * x(i)).sum();
    let slope = y.iter().enumerate().map(|(i, y)| x(i) * (y - mean)).sum::<f64>() / squares;
    let rest: f64 = y.iter().enumerate().map(|(i, y)| (y - mean - slope * x(i)).powi(2)).sum();
    let error = (rest / (n - 2.0) / squares).sqrt();
    if slope > 4.0 * error { slope * (n - 1.0) } else { 0.0 }
}

#[test]
fn growth_is_seen_and_noise_is_not() {
    let noise = |i: usize| (i * 2_654_435_761 % 1000) as f64;
    let samples = |each: f64| -> Vec<Sample> {
        let one = |i| Sample { resident_bytes: noise(i) + each * i as f64, handles: 7.0, step_seconds: 0.0 };
        (0..400).map(one).collect()
    };
    assert_eq!(growth(&samples(0.0), |s| s.resident_bytes), 0.0);
    let found = growth(&samples(5.0), |s| s.resident_bytes);
    assert!((1500.0..2300.0).contains(&found), "{found} of about 1,900");
    assert_eq!(growth(&samples(0.0), |s| s.handles), 0.0);
}

/// Data that was written to a buffer and never submitted is memory, too.
#[test]
fn a_trainer_that_takes_no_step_gives_its_memory_back() {
    let (_, data, options) = setting();
    let model = Sequential::new([16, 16, 1]).flatten().dense(4096).relu().dense(5).build().expect("a model");
    let device = adapter::device();
    let resident = || {
        drop(Trainer::new(&device, &model, &data, &options, None).expect("a trainer"));
        figures()[0]
    };
    let weights_bytes = 4.0 * 256.0 * 4096.0;
    let found: Vec<f64> = (0..40).map(|_| resident()).collect();
    // The allocator's own ups and downs are as large as several trainers' weights: the middle of eight is compared.
    let middle = |some: &[f64]| {
        let mut some = some.to_vec();
        some.sort_by(f64::total_cmp);
        some[some.len() / 2]
    };
    let grown = middle(&found[32..]) - middle(&found[..8]);
    // Half of what the 32 between would leave if each left its weights alone.
    let limit = 32.0 * weights_bytes / 2.0;
    assert!(grown < limit, "32 trainers of {weights_bytes} bytes of weights each left {grown}: {found:?}");
}

/// `WGRAD_SOAK_MINUTES` sets how long; without it seconds have to do, and the time of a step is not judged.
#[test]
fn nothing_grows_however_long_it_trains() {
    let minutes: Option<f64> = std::env::var("WGRAD_SOAK_MINUTES").ok().map(|m| m.parse().expect("minutes"));
    let long = Duration::from_secs_f64(minutes.map_or(8.0, |m| m * 60.0));
    let (model, data, options) = setting();
    let device = adapter::device();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = Checkpoints::of(folder.path());
    kept.create().expect("a folder");
    let begin = || {
        let mut trainer = Trainer::new(&device, &model, &data, &options, None).expect("a trainer");
        trainer.checkpoints(Some(Interval::Steps(16)));
        trainer
    };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut counts, mut samples, mut digest) = (Counts::default(), Vec::new(), None);
    let mut trainer = begin();
    let begun = Instant::now();
    while begun.elapsed() < long || samples.len() < 2 * BLOCKS {
        // Some steps, with the checkpoints that fall due on the way, until it is cut.
        let (from, cut) = (trainer.progress().step, 1 + u64::from(rng.next_u32() % 60));
        let [_, _, before] = figures();
        let fitted = pollster::block_on(trainer.fit(|event| match event {
            Event::Checkpoint(checkpoint) => {
                kept.write(checkpoint).expect("a checkpoint");
                ControlFlow::Continue(())
            }
            Event::Steps { first, records, .. } if first + records.len() as u64 > from + cut => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }));
        fitted.expect("a run");
        let [.., after] = figures();
        let steps = trainer.progress().step - from;
        counts.steps += steps;
        if steps > 0 && trainer.progress().finished(trainer.goal()) {
            let found = Digest::of(&pollster::block_on(trainer.weights()).expect("weights"));
            assert_eq!(*digest.get_or_insert(found), found, "run {} ended in other bytes", counts.runs);
            counts.runs += 1;
        }
        if trainer.progress().finished(trainer.goal()) {
            drop(trainer);
            trainer = begin();
        }
        let chance = rng.next_u32() % 8;
        if chance < 2 {
            counts.evaluated += 1;
            pollster::block_on(trainer.test_logits()).expect("logits");
        }
        if chance == 0 {
            counts.reported += 1;
            let weights = pollster::block_on(trainer.weights()).expect("weights");
            // The report is the last use of a trainer.
            let findings = gather(&mut trainer, "lavapipe", options.batch_size, &model, &weights, &data);
            let findings = pollster::block_on(findings).expect("findings");
            let text = page::html(&ReportData::of(record(), findings)).expect("a page");
            fs::write(folder.path().join("report.html"), text).expect("it is written");
        }
        if chance == 0 || chance > 5 {
            counts.resumed += 1;
            drop(trainer);
            let checkpoint: Checkpoint = kept.read(Which::Last).expect("a checkpoint");
            trainer = begin();
            trainer.restore(&checkpoint).expect("restored");
        }
        let [resident_bytes, handles, _] = figures();
        samples.push(Sample { resident_bytes, handles, step_seconds: (after - before) / steps.max(1) as f64 });
    }
    // What is built on first use, and what an allocator keeps, has come by now.
    let steady = &samples[samples.len() / 4..];
    let ends = |of: fn(&Sample) -> f64, scale: f64| {
        let medians = medians(steady, of);
        format!("{:.2} … {:.2}", medians[0] * scale, medians[medians.len() - 1] * scale)
    };
    eprintln!(
        "{counts:?}, {} cycles; medians of the first and the last of {BLOCKS} blocks: resident {} MB, handles {}, step {} ms of all \
         threads",
        samples.len(),
        ends(|s| s.resident_bytes, 1e-6),
        ends(|s| s.handles, 1.0),
        ends(|s| s.step_seconds, 1e3),
    );
    let grown = growth(steady, |s| s.resident_bytes);
    assert!(grown <= SLACK_BYTES, "memory grew by {grown:.0} bytes over {} cycles", steady.len());
    // A handle of the GPU's file system may come or go; one a cycle, or a run, may not.
    let handles = growth(steady, |s| s.handles);
    assert!(handles < 4.0, "{handles:.1} more file handles over {} cycles", steady.len());
    if minutes.is_some() {
        let mean = steady.iter().map(|s| s.step_seconds).sum::<f64>() / steady.len() as f64;
        let slower = growth(steady, |s| s.step_seconds);
        assert!(slower <= 0.1 * mean, "a step took {slower} s more of {mean} s at the end");
    }
}

fn record() -> RunRecord {
    RunRecord::begun(std::path::Path::new("soak"), &RunConfig::default(), r#"{"device":{"name":"soak"}}"#)
        .expect("a run")
}
