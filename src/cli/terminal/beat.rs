//! Progress without a bar: a plain line on stderr after the first step, and at least every half minute of an epoch.

use crate::cli::terminal::lines::{Live, clock};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest time of an epoch without a line.
const EVERY: Duration = Duration::from_secs(30);

/// The state of the current epoch, and when a line was written last. It has no clock of its own.
#[derive(Debug, Default)]
struct Told {
    /// The epoch's number, the number of epochs, its steps, and when the last of them was done.
    now: Option<(usize, usize, Live, Instant)>,
    last: Option<Instant>,
}

impl Told {
    /// Notes that steps are done; returns a line where one is due.
    fn steps(&mut self, epoch: usize, epochs: usize, live: Live, at: Instant) -> Option<String> {
        self.now = Some((epoch, epochs, live, at));
        self.overdue(at)
    }

    /// The line that is due at a time, if one is; it counts as written.
    fn overdue(&mut self, at: Instant) -> Option<String> {
        let (epoch, epochs, live, since) = self.now?;
        if self.last.is_some_and(|last| at.saturating_duration_since(last) < EVERY) {
            return None;
        }
        self.last = Some(at);
        let waited = at.saturating_duration_since(since);
        let waits = match waited >= EVERY {
            true if live.done >= live.of => format!(" - validating for {}", clock(waited.as_secs_f64())),
            true => format!(" - at the next step for {}", clock(waited.as_secs_f64())),
            false => String::new(),
        };
        Some(line(&live, epoch, epochs) + &waits)
    }

    /// How long from a time until a line can be due.
    fn wait(&self, at: Instant) -> Duration {
        self.last.map_or(EVERY, |last| EVERY.saturating_sub(at.saturating_duration_since(last)))
    }
}

/// The lines, and the thread that writes those that are due while nothing comes from the training loop.
#[derive(Default)]
pub(in crate::cli) struct Beat {
    told: Arc<Mutex<Told>>,
    // The thread ends when this is gone.
    thread: Option<Sender<()>>,
}

impl Beat {
    /// Steps are done.
    pub(in crate::cli) fn steps(&mut self, epoch: usize, epochs: usize, live: Live) {
        let line = self.told.lock().unwrap_or_else(PoisonError::into_inner).steps(epoch, epochs, live, Instant::now());
        line.iter().for_each(|line| crate::cli::say(line));
        if self.thread.is_none() {
            self.thread = watch(self.told.clone());
        }
    }

    /// No epoch is under way; `line` where one has just been written of it.
    pub(in crate::cli) fn ends(&self, line: bool) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.now = None;
        if line {
            told.last = Some(Instant::now());
        }
    }
}

/// Starts the thread; without it there are only the lines of steps.
fn watch(told: Arc<Mutex<Told>>) -> Option<Sender<()>> {
    let (sender, ended) = channel();
    let mut wait = EVERY;
    let run = move || {
        while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            told.overdue(now).iter().for_each(|line| crate::cli::say(line));
            // Where no epoch is under way the next look may be late by a moment, but not in a loop.
            wait = told.wait(now).max(Duration::from_millis(100));
        }
    };
    std::thread::Builder::new().name("progress".into()).spawn(run).ok().map(|_| sender)
}

/// An epoch under way in one plain line.
fn line(live: &Live, epoch: usize, epochs: usize) -> String {
    let Live { done, of, seconds, loss, samples, things: (things, each), .. } = *live;
    let left = clock(seconds / done.max(1) as f64 * (of - done.min(of)) as f64);
    let rate = samples as f64 * each as f64 / seconds.max(f64::MIN_POSITIVE);
    let run = live.run_left.map_or(String::new(), |left| format!(", {} in the run", clock(left)));
    format!(
        "step {done}/{of} of epoch {epoch}/{epochs} - loss: {loss:.4} - {rate:.0} {things}/s - {left} left in the epoch{run}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 128 samples per step, 3.75 seconds each.
    fn live(done: usize) -> Live {
        let (seconds, samples) = (done as f64 * 3.75, done as u64 * 128);
        Live { done, of: 469, seconds, loss: 0.3424, accuracy: 0.9066, samples, things: ("images", 1), run_left: None }
    }

    #[test]
    fn an_epoch_under_way_is_one_plain_line() {
        let first = "step 1/469 of epoch 2/10 - loss: 0.3424 - 34 images/s - 29:15 left in the epoch";
        assert_eq!(line(&live(1), 2, 10), first);
        let run = Live { run_left: Some(3725.0), ..live(1) };
        assert_eq!(line(&run, 2, 10), format!("{first}, 1:02:05 in the run"));
        let last = "step 469/469 of epoch 2/10 - loss: 0.3424 - 34 images/s - 0s left in the epoch";
        assert_eq!(line(&live(469), 2, 10), last);
    }

    #[test]
    fn a_line_is_due_after_the_first_step_and_after_half_a_minute_without_one() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut told = Told::default();
        assert_eq!(told.overdue(start), None, "no step is done yet");
        let found = (0..100).filter(|&s| told.steps(1, 10, live(1 + s as usize), start + s * second).is_some());
        assert_eq!(found.collect::<Vec<u32>>(), [0, 30, 60, 90]);
        assert_eq!(told.wait(start + 100 * second), 20 * second);
        // The line of an epoch counts as well.
        told.last = Some(start + 110 * second);
        assert!(told.steps(2, 10, live(1), start + 139 * second).is_none());
        assert!(told.steps(2, 10, live(2), start + 140 * second).is_some());
    }

    /// A step or a validation that takes minutes is not mute either.
    #[test]
    fn a_line_is_due_where_no_step_ends() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut told = Told::default();
        assert!(told.steps(1, 10, live(5), start).is_some_and(|line| !line.contains("for ")));
        assert_eq!(told.overdue(start + 29 * second), None);
        assert!(told.overdue(start + 30 * second).is_some_and(|line| line.ends_with(" - at the next step for 30s")));
        assert_eq!(told.overdue(start + 59 * second), None);
        assert!(told.steps(1, 10, live(469), start + 61 * second).is_some());
        assert!(told.overdue(start + 125 * second).is_some_and(|line| line.ends_with(" - validating for 1:04")));
        told.now = None;
        assert_eq!(told.overdue(start + 500 * second), None, "the epoch has ended");
    }
}
