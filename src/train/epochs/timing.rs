//! The time of a training step per kernel: medians of a few steps.

use crate::error::Result;
use crate::ir::graph::Graph;
use crate::train::epochs::engine::Engine;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Rounds that count, where they are quick.
const ROUNDS: usize = 5;

/// After so long no other round begins.
const ENOUGH: Duration = Duration::from_millis(300);

/// One kernel at work: a dispatch, or on the native CPU an op.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KernelTime {
    /// The kernel in its expansion; on the native CPU the op.
    pub kernel: String,
    /// The op that it works for.
    pub op: String,
    /// The sizes of the op's first result.
    pub shape: Vec<usize>,
    /// Milliseconds in a step: the median.
    pub ms: f64,
}

/// Times the kernels of a step; `None` if the device has no timestamps. The steps are real ones: weights change.
pub async fn kernel_times(engine: &mut Engine, graph: &Graph) -> Result<Option<Vec<KernelTime>>> {
    // The first round warms up.
    if engine.time_step().await?.is_none() {
        return Ok(None);
    }
    let begun = Instant::now();
    let mut rounds = Vec::new();
    while rounds.len() < ROUNDS && (rounds.is_empty() || begun.elapsed() < ENOUGH) {
        rounds.extend(engine.time_step().await?);
    }
    let row = |at: usize, node: usize, kernel: &str| {
        let mut seconds: Vec<f64> =
            rounds.iter().filter_map(|round| round.get(at)).map(|timed| timed.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        KernelTime {
            kernel: kernel.into(),
            op: graph.nodes[node].op.name().into(),
            shape: graph.nodes[node].y.first().map_or(Vec::new(), |&y| graph.shape(y).to_vec()),
            ms: seconds.get(seconds.len() / 2).copied().unwrap_or(0.0) * 1e3,
        }
    };
    let first = rounds.first().map_or(&[][..], |round| round);
    Ok(Some(first.iter().enumerate().map(|(at, timed)| row(at, timed.node, &timed.kernel)).collect()))
}
