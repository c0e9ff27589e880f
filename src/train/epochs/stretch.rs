//! A stretch of steps: up to the end of the epoch, the next checkpoint, or the observer's break.

use crate::error::Result;
use crate::train::epochs::engine::{Pace, Record};
use crate::train::epochs::trainer::{Checkpoints, Event, Trainer};
use crate::train::settings::interval::Interval;
use std::ops::ControlFlow;
use std::time::Instant;

impl Trainer {
    /// Steps up to the end of the epoch, the next checkpoint, or the observer's break; none are in flight then.
    pub(super) async fn stretch(
        &mut self,
        pace: &mut Option<Pace>,
        observe: &mut impl FnMut(Event) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let (end, due) = self.until();
        let mut submitted = self.progress.step;
        let (begun, before) = (Instant::now(), self.progress.seconds);
        let mut collected = begun;
        let mut flow = ControlFlow::Continue(());
        let mut going = true;
        while self.engine.in_flight() > 0 || (going && submitted < end) {
            // The very first step goes alone: it compiles the shaders.
            let most = if pace.is_none() { 1 } else { 2 };
            while going && submitted < end && self.engine.in_flight() < most {
                let steps = pace.unwrap_or_default().of((end - submitted) as usize);
                submitted += self.submit(submitted, steps)?;
            }
            let records = self.engine.collect().await?;
            let took = collected.elapsed().as_secs_f64();
            collected = Instant::now();
            match pace {
                Some(pace) => {
                    pace.measured(records.len(), took);
                    if pace.is_slow() {
                        self.engine.one_by_one();
                    }
                }
                None => *pace = Some(Pace::default()),
            }
            if self.take(&records, before + begun.elapsed().as_secs_f64(), observe).await?.is_break() {
                flow = ControlFlow::Break(());
            }
            going = flow.is_continue() && due.is_none_or(|due| Instant::now() < due);
        }
        Ok(flow)
    }

    /// The last step before the end of the epoch or the next checkpoint, and when one is due by the clock.
    pub(in crate::train) fn until(&self) -> (u64, Option<Instant>) {
        let epoch_end = self.progress.epoch_end(self.goal);
        match self.checkpoints {
            Some(Checkpoints { every: Some(Interval::Steps(n)), .. }) => {
                (epoch_end.min((self.progress.step / n).saturating_add(1).saturating_mul(n)), None)
            }
            Some(Checkpoints { every: Some(Interval::Time(time)), last }) => (epoch_end, last.checked_add(time)),
            _ => (epoch_end, None),
        }
    }

    /// Takes in the records of the next steps, and tells the observer; `seconds` of training are in this epoch.
    pub(in crate::train) async fn take(
        &mut self,
        records: &[Record],
        seconds: f64,
        observe: &mut impl FnMut(Event) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let first = self.progress.step + 1;
        if let Some(at) = records.iter().position(|record| record.fault != 0 || !record.loss.is_finite()) {
            return Err(self.diverged(first + at as u64, &records[at]).await);
        }
        records.iter().for_each(|record| self.progress.totals.add(record));
        self.progress.step += records.len() as u64;
        self.progress.seconds = seconds;
        let (start, end) = (self.progress.epoch_start(), self.progress.epoch_end(self.goal));
        let flow = observe(Event::Steps {
            epoch: self.progress.epoch(),
            first,
            records,
            done: (self.progress.step - start) as usize,
            of: (end - start) as usize,
            totals: &self.progress.totals,
            seconds,
        });
        self.lay_out(false).await?;
        Ok(flow)
    }
}
