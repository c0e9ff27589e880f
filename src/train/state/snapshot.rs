//! The weights of a run in progress, for observers: taken now and then, and only on request.

use crate::model::formats::weights::Weights;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a question counts: a page that is open asks more often.
const ASKED: Duration = Duration::from_secs(5);

/// The latest weights that a trainer has laid out, and whether anybody wants newer ones.
#[derive(Debug)]
pub struct Snapshot {
    every: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    latest: Option<(u64, Arc<Weights>)>,
    taken: Option<Instant>,
    asked: Option<Instant>,
}

impl Default for Snapshot {
    /// Newer weights once a second.
    fn default() -> Self {
        Snapshot::every(Duration::from_secs(1))
    }
}

impl Snapshot {
    /// Nothing yet; the trainer takes newer weights no more often than `every` so long.
    pub fn every(every: Duration) -> Self {
        Snapshot { every, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is one assignment: it is complete even after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The step after which the weights were taken, and the weights. Calling this makes the trainer take newer ones.
    pub fn latest(&self) -> Option<(u64, Arc<Weights>)> {
        let mut state = self.state();
        state.asked = Some(Instant::now());
        state.latest.clone()
    }

    /// Lays out weights.
    pub fn put(&self, step: u64, weights: Weights) {
        let mut state = self.state();
        state.latest = Some((step, Arc::new(weights)));
        state.taken = Some(Instant::now());
    }

    /// Whether the trainer should lay out its weights now.
    pub(in crate::train) fn is_due(&self) -> bool {
        let state = self.state();
        let since = |then: Option<Instant>| then.map(|then| then.elapsed());
        since(state.asked).is_some_and(|time| time < ASKED) && since(state.taken).is_none_or(|time| time >= self.every)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_due_once_they_were_asked_for() {
        let snapshot = Snapshot::default();
        assert!(!snapshot.is_due(), "no request was made");
        assert!(snapshot.latest().is_none());
        assert!(snapshot.is_due());
        snapshot.put(7, Weights::new(Vec::new()));
        assert!(!snapshot.is_due(), "there are new ones");
        assert_eq!(snapshot.latest().map(|(step, _)| step), Some(7));
    }
}
