//! Validation by several processes: each makes a part of the pass, and all have what one would find.

use crate::error::Result;
use crate::processes::{Communicator, gather_all};
use crate::train::epochs::engine::Record;
use crate::train::epochs::evaluator::{Evaluator, Totals};

impl Evaluator {
    /// One pass over the data, of which each process makes a part: what it finds is that of [`Evaluator::run`], to the bit.
    pub(in crate::train) async fn run_with(&mut self, others: &dyn Communicator) -> Result<Totals> {
        let (steps, rank, size) = (self.step.steps_per_epoch() as u64, others.rank() as u64, others.size() as u64);
        let steps = steps * rank / size..steps * (rank + 1) / size;
        let mine = if self.step.mask.is_some() {
            let (records, confusion) = self.masks(steps, |_| Ok(())).await?;
            self.confusion = Some(confusion.sum_over(others)?);
            records
        } else if self.targets.is_some() {
            let mut outputs = Vec::new();
            let records = self.rows(steps, |row| {
                outputs.extend_from_slice(row);
                Ok(())
            });
            let records = records.await?;
            let outputs = gather_all(others, bytemuck::cast_slice(&outputs))?.concat();
            self.score(&bytemuck::pod_collect_to_vec(&outputs))?;
            records
        } else {
            self.records(steps).await?
        };
        let mine: Vec<u32> = mine.iter().flat_map(Record::words).collect();
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&gather_all(others, bytemuck::cast_slice(&mine))?.concat());
        let (records, _) = words.as_chunks();
        let records: Vec<Record> = records.iter().map(|record| Record::of_words(*record)).collect();
        Ok(self.total(&records))
    }
}
