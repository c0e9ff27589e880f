//! Where a NaN or an infinity began: the steps since the last good state run again, the last of them part by part.

use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Role, Tensor};
use crate::ir::values::Values;
use crate::model::formats::weights::EMA;
use crate::step::nonfinite;
use crate::train::epochs::engine::{Pace, Record};
use crate::train::epochs::trainer::Trainer;
use crate::train::state::checkpoint::Checkpoint;
use std::time::{Duration, Instant};

/// How long the steps since the last good state may have taken, and so how long they take again.
const REPLAY: Duration = Duration::from_secs(120);

/// The last good state, and how far back to run for the op where a fault began.
#[derive(Debug)]
pub(in crate::train) struct Watchdog {
    good: Option<(Checkpoint, Instant)>,
    within: Duration,
}

impl Default for Watchdog {
    fn default() -> Self {
        Watchdog { good: None, within: REPLAY }
    }
}

impl Watchdog {
    /// Keeps a state that nothing is wrong with.
    pub(in crate::train) fn keep(&mut self, checkpoint: Checkpoint) {
        self.good = Some((checkpoint, Instant::now()));
    }

    /// The step of the last good state.
    pub(in crate::train) fn step(&self) -> Option<u64> {
        self.good.as_ref().map(|(checkpoint, _)| checkpoint.state.progress.step)
    }
}

/// NaN and infinities among the elements of a tensor.
#[derive(Debug, PartialEq, Eq)]
struct Wild {
    nan: usize,
    infinite: usize,
    first: usize,
    of: usize,
}

impl Wild {
    fn find(values: &Values) -> Option<Wild> {
        let Values::Float(values) = values else { return None };
        let nan = values.iter().filter(|x| x.is_nan()).count();
        let first = values.iter().position(|x| !x.is_finite())?;
        let infinite = values.iter().filter(|x| x.is_infinite()).count();
        Some(Wild { nan, infinite, first, of: values.len() })
    }

    /// The tensor's name and shape with what is wrong in it; of an arena, or a part of one, also the parameter.
    fn words(&self, graph: &Graph, t: Tensor, name: &str, shape: &[usize]) -> String {
        let Wild { nan, infinite, first, of } = self;
        // Tensors after the graph's own ones are scratch memory of a kernel.
        let known = graph.tensors.get(t.index()).map(|info| (info.role, graph.root(t).1));
        let (role, offset) = known.unwrap_or((Role::Activation, 0));
        let first = first + offset;
        let what = match (nan, infinite) {
            (_, 0) => format!("NaN in {nan}"),
            (0, _) => format!("infinity in {infinite}"),
            _ => format!("NaN in {nan}, infinity in {infinite}"),
        };
        let members: Vec<_> = match role {
            // The average of the weights is laid out as they are.
            Role::State if graph.is_carried(t) => Vec::new(),
            Role::State if name != EMA => graph.trained_params().collect(),
            Role::Param | Role::State => graph.params.iter().map(|p| (p, graph.root(p.tensor).1)).collect(),
            Role::Grad => graph.trained_params().collect(),
            _ => Vec::new(),
        };
        let inside = members.iter().find(|(p, at)| (*at..at + graph.info(p.tensor).elements()).contains(&first));
        let part = inside.filter(|(p, _)| graph.info(p.tensor).elements() != *of).map(|(p, at)| {
            let first = first - at;
            format!(", the first in {} {:?} at {first}", p.name, graph.shape(p.tensor))
        });
        format!("{name} {shape:?} ({what} of {of} elements{})", part.unwrap_or_default())
    }
}

impl Trainer {
    /// How long looking for the op where a NaN or an infinity began may take; two minutes, unless this says otherwise.
    /// Zero asks for the step alone.
    pub fn replay_within(&mut self, most: Duration) {
        self.watchdog.within = most;
    }

    /// The error of a step that met a NaN or an infinity. The trainer is brought back to its last good state.
    pub(in crate::train) async fn diverged(&mut self, step: u64, record: &Record) -> Error {
        self.share_error();
        let mut places = nonfinite::words(record.fault & !nonfinite::LOSS);
        if !record.loss.is_finite() {
            let others = places.map_or(String::new(), |places| format!(", and {places} hold NaN or infinity"));
            places = Some(format!("the loss is {}{others}", record.loss));
        } else {
            places = places.map(|places| format!("{places} hold NaN or infinity"));
        }
        let places = places.unwrap_or_default();
        let began = match self.begin(step).await {
            Ok(began) => began,
            Err(e) => format!("where it began was not found: {e}"),
        };
        let restored = match self.watchdog.good.take() {
            Some((checkpoint, _)) => self.restore(&checkpoint).err(),
            None => None,
        };
        let restored =
            restored.map_or(String::new(), |e| format!(" (the last good state cannot be brought back: {e})"));
        Error::failed(format!("step {step}: {places}; {began}; a smaller learning rate may help{restored}"))
    }

    /// The error of weights that have become NaN or infinite since the last checkpoint, though no step met such a number. The
    /// trainer is brought back to its last good state.
    pub(in crate::train) fn wild(&mut self, wild: &str) -> Error {
        self.share_error();
        let step = self.progress().step;
        let restored = self.watchdog.good.take().and_then(|(good, _)| self.restore(&good).err());
        let restored =
            restored.map_or(String::new(), |e| format!(" (the last good state cannot be brought back: {e})"));
        Error::failed(format!("step {step}: found {wild}; a smaller learning rate may help{restored}"))
    }

    /// Runs the steps from the last good state up to `step` again, that one part by part, and says where it began.
    async fn begin(&mut self, step: u64) -> Result<String> {
        if self.together.is_some() {
            return Ok(
                "the op where it began is found by one process that resumes the run from its last checkpoint".into()
            );
        }
        while self.engine.in_flight() > 0 {
            self.engine.collect().await?;
        }
        let Some((good, taken)) = &self.watchdog.good else {
            return Ok("where it began is not known: there is no earlier state to run again from".into());
        };
        let (since, from) = (taken.elapsed(), good.state.progress.step);
        if since > self.watchdog.within {
            return Ok(format!(
                "the op where it began is not known: the last good state is that of step {from}, {:.0} s before, and at \
                 most {} s are run again; write checkpoints more often to find it",
                since.as_secs_f64(),
                self.watchdog.within.as_secs()
            ));
        }
        let good = good.clone();
        self.restore(&good)?;
        let mut at = from;
        let mut pace = Pace::default();
        while at < step - 1 {
            let begun = Instant::now();
            let steps = self.submit(at, pace.of((step - 1 - at) as usize))?;
            self.engine.collect().await?;
            pace.measured(steps as usize, begun.elapsed().as_secs_f64());
            at += steps;
        }
        self.ready(at)?;
        let graph = self.step.graph.clone();
        for (n, info) in graph.tensors.iter().enumerate() {
            let kept = matches!(info.role, Role::Param | Role::State) && info.view.is_none();
            if !kept {
                continue;
            }
            let t = Tensor(n as u32);
            if let Some(wild) = Wild::find(&self.engine.read(t).await?) {
                let place = wild.words(&graph, t, &info.name, &info.shape.0);
                return Ok(format!("it was present before the step, in {place}"));
            }
        }
        for (n, part) in self.engine.parts().iter().enumerate() {
            self.engine.run_part(n)?;
            for &t in &part.results {
                let (name, shape, values) = self.engine.read_result(t).await?;
                if let Some(wild) = Wild::find(&values) {
                    let place = wild.words(&graph, t, &name, &shape);
                    let op = graph.nodes[part.node].op.name();
                    let kernel = part.kernel.as_ref().map_or(String::new(), |kernel| format!(" (kernel {kernel})"));
                    return Ok(format!("it began in op {op}{kernel}, from finite arguments, with {place}"));
                }
            }
        }
        Ok(format!(
            "in a second run from step {from} it did not occur: this device does not give the same result twice; \
             wgrad verify may show why"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wild_is_counted_and_named() {
        let graph = Graph::new();
        let words = |x: &[f32]| {
            let wild = Wild::find(&Values::Float(x.to_vec()));
            wild.map(|wild| wild.words(&graph, Tensor(0), "d 0.bias", &[x.len()]))
        };
        assert_eq!(words(&[0.0, f32::MAX, -1e-45]), None);
        assert_eq!(words(&[0.0, f32::NAN]).unwrap(), "d 0.bias [2] (NaN in 1 of 2 elements)");
        let both = words(&[f32::INFINITY, f32::NAN, f32::NEG_INFINITY]).unwrap();
        assert_eq!(both, "d 0.bias [3] (NaN in 1, infinity in 2 of 3 elements)");
        assert_eq!(Wild::find(&Values::Word(vec![u32::MAX])), None, "words are no numbers");
    }
}
