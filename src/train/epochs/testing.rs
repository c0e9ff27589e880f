//! Evaluation of the test set with a trainer's current weights: for the report, and for the end of a run.

use crate::data::{Dataset, Split};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::train::epochs::confusion::Confusion;
use crate::train::epochs::evaluator::{Evaluator, Totals};
use crate::train::epochs::scores::Numbers;
use crate::train::epochs::top::TopCount;
use crate::train::epochs::trainer::Trainer;
use crate::train::run::history::Samples;

impl Trainer {
    /// The logits of the test set with the weights as they are now, in its order, [samples, classes].
    pub async fn test_logits(&mut self) -> Result<Vec<f32>> {
        let mut own = self.tester()?;
        let evaluator = own.as_mut().unwrap_or(&mut self.evaluator);
        evaluator.copy_weights(&self.step, &self.engine)?;
        evaluator.logits().await
    }

    /// Whether epochs are validated on other samples than the test set's.
    pub fn validates_apart(&self) -> bool {
        self.test.is_some()
    }

    /// How many samples the run has of each set; `data` is what the trainer was made for.
    pub fn samples(&self, data: &Dataset) -> Samples {
        let [train, validated] = self.data.samples;
        match data.untested && !self.validates_apart() {
            true => Samples { train, validation: Some(validated), test: 0 },
            false => Samples { train, validation: self.validates_apart().then_some(validated), test: data.test.count },
        }
    }

    /// The numbers of the test set beside their targets, with the weights as they are now.
    ///
    /// # Errors
    /// [`Error::Input`] for data whose targets are no numbers, and those of the device.
    pub async fn test_numbers(&mut self) -> Result<Numbers> {
        let mut own = self.tester()?;
        let evaluator = own.as_mut().unwrap_or(&mut self.evaluator);
        evaluator.copy_weights(&self.step, &self.engine)?;
        evaluator.run_numbers().await.map(|(_, numbers)| numbers)
    }

    /// Loss and accuracy over the test set with the weights as they are now; `None` if it is what every epoch was
    /// validated on.
    pub async fn test(&self) -> Result<Option<Totals>> {
        let Some(mut evaluator) = self.tester()? else { return Ok(None) };
        evaluator.copy_weights(&self.step, &self.engine)?;
        evaluator.run().await.map(Some)
    }

    /// Loss and accuracy over the test set with the weights as they are now, and how often the true class is among the most likely;
    /// `labels` are the test set's.
    ///
    /// # Errors
    /// Those of the device.
    pub async fn test_top(&mut self, labels: &[u32]) -> Result<(Totals, TopCount)> {
        let mut own = self.tester()?;
        let evaluator = own.as_mut().unwrap_or(&mut self.evaluator);
        evaluator.copy_weights(&self.step, &self.engine)?;
        let (mut top, mut labels) = (TopCount::default(), labels.iter());
        let totals = evaluator.run_each(|logits| {
            labels.next().into_iter().for_each(|label| top.add(logits, *label));
            Ok(())
        });
        let totals = totals.await?;
        Ok((totals, top))
    }

    /// An evaluator of the test set, where validation is of something else: built when it is wanted.
    fn tester(&self) -> Result<Option<Evaluator>> {
        let (batch, limit) = (self.options.batch_size, self.options.device_data_limit);
        let new = |(device, split): &(Device, Split)| {
            Evaluator::by(&self.criterion, device, &self.model, split, batch, limit)
        };
        self.test.as_ref().map(new).transpose()
    }

    /// The class of each pixel of the test set with the weights as they are now, [samples, height, width], the mean loss
    /// of it, and the confusion matrix.
    ///
    /// # Errors
    /// [`Error::Input`] for a model that tells no classes of pixels, and those of the device.
    pub async fn test_masks(&mut self) -> Result<(Vec<u32>, f64, Confusion)> {
        let mut own = self.tester()?;
        let evaluator = own.as_mut().unwrap_or(&mut self.evaluator);
        evaluator.copy_weights(&self.step, &self.engine)?;
        let mut masks = Vec::new();
        let totals = evaluator.run_masks(|mask| {
            masks.extend_from_slice(mask);
            Ok(())
        });
        let loss = totals.await?.loss();
        let confusion = evaluator.confusion().cloned();
        Ok((masks, loss, confusion.ok_or_else(|| Error::failed("nothing was counted"))?))
    }
}
