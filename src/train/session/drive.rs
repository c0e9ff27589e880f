//! A run in progress: its steps, the files in its folder, and how it ends.

use super::{Session, with_way_on};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::model::{Model, Task};
use crate::train::epochs::evaluator::Totals;
use crate::train::epochs::top::PLACES;
use crate::train::epochs::trainer::{Event, Trainer};
use crate::train::run::RunFolder;
use crate::train::run::history::End;
use crate::train::settings::config::RunConfig;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// The sheet of masks in a run folder.
pub(super) const SHEET: &str = "segmentation.png";

/// How a run ended, or paused.
#[derive(Clone, Debug)]
pub enum Ended {
    /// All steps are done.
    Finished {
        /// The file of the trained model.
        model: PathBuf,
        /// The test metrics.
        tested: Tested,
    },
    /// The run was stopped; its last checkpoint is of this step.
    Stopped {
        /// Steps that are done.
        step: u64,
    },
}

/// The test metrics at the end of a run.
#[derive(Clone, Debug, Default)]
pub struct Tested {
    /// Loss and accuracy, where every epoch was validated on other data.
    pub totals: Option<Totals>,
    /// The mean IoU of the classes, of a model that tells the class of each pixel, where every epoch was validated on other
    /// data.
    pub mean_iou: Option<f64>,
    /// The share of samples whose true class is among the five most likely, of data with more than five classes; of the test set,
    /// which is also what epochs were validated on where `totals` is none.
    pub top5_accuracy: Option<f64>,
    /// The number of classes, answers or targets.
    pub outputs: usize,
    /// The sheet of picture, truth and prediction, of a model that tells the class of each pixel.
    pub sheet: Option<PathBuf>,
}

impl Session {
    /// Trains to the end of the run, or until `stop` says so, which is called after every few steps. The folder has
    /// the events passed to `observe`; an error of `observe` stops the run and is returned.
    ///
    /// A stopped run continues with another call, or with [`super::Stopped`] in another process.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] if the device or the disk fails; it names the last good checkpoint.
    pub async fn drive(
        &mut self,
        stop: impl Fn() -> bool,
        mut observe: impl FnMut(&Event) -> Result<()>,
    ) -> Result<Ended> {
        let Session { config, model, data, trainer, folder, .. } = self;
        folder.begins(trainer.samples(data), data)?;
        trainer.checkpoints(config.checkpoint_every);
        let mut trouble = None;
        let fitted = trainer
            .fit(|event| {
                if trouble.is_none() {
                    let kept = match event {
                        Event::Steps { first, records, .. } => folder.steps(first, records),
                        Event::Sample { epoch, step, sample } => folder.sample(epoch, step, sample),
                        Event::Epoch(metrics) => folder.epoch(metrics),
                        Event::Checkpoint(checkpoint) => folder.checkpoint(checkpoint),
                    };
                    trouble = kept.and_then(|()| observe(&event)).err();
                }
                match trouble.is_some() || stop() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            })
            .await;
        let (step, finished) = (trainer.progress().step, trainer.progress().finished(trainer.goal()));
        // Whatever follows, the first process does alone. A run that was stopped has no time to take leave: its launcher may kill it
        // soon.
        let fitted = match finished || trouble.is_some() {
            true => fitted.and_then(|metrics| trainer.part().map(|()| metrics)),
            false => fitted,
        };
        let ended = match fitted.and_then(|_| trouble.map_or(Ok(()), Err)) {
            Err(error) => Err(error),
            Ok(()) if finished => leave(config, trainer, folder, model).await.map(Some),
            Ok(()) => Ok(None),
        };
        let good = folder.last_good();
        let good = good.as_ref().map(|(path, step)| (path.as_path(), Some(*step)));
        // The run has begun: also a fault of its data, such as a file that became shorter, is a failure now.
        let ended = ended.map_err(|e| with_way_on(Error::failed(e.to_string()), folder.path(), good));
        let ended = match ended {
            Ok(None) => Ok(Ended::Stopped { step }),
            Ok(Some(file)) => {
                test(trainer, folder, model, data).await.map(|tested| Ended::Finished { model: file, tested })
            }
            Err(error) => Err(error),
        };
        let told = folder.ends(match &ended {
            Ok(Ended::Finished { .. }) => End::Finished,
            Ok(Ended::Stopped { .. }) => End::Stopped,
            Err(_) => End::Failed,
        });
        // Of two faults the first says more.
        ended.and_then(|ended| told.map(|()| ended))
    }
}

/// Writes the weights that the run leaves, those of its last or of its best epoch, which the trainer then has too.
async fn leave(config: &RunConfig, trainer: &mut Trainer, folder: &RunFolder, model: &Model) -> Result<PathBuf> {
    if let Some(best) = folder.kept(config.train.keep, trainer.progress())? {
        trainer.leave(&best)?;
    }
    folder.model(&trainer.weights().await?, model)
}

/// Writes what the test set says at the end: its loss and accuracy, where every epoch was validated on other data, and a
/// sheet of the masks of a model that tells the class of each pixel.
pub(super) async fn test(trainer: &mut Trainer, folder: &RunFolder, model: &Model, data: &Dataset) -> Result<Tested> {
    let mut tested = Tested { outputs: model.classes()?, ..Tested::default() };
    if model.task.is_classify() && !model.is_segmentation()? && model.classes()? > PLACES {
        let (totals, top) = trainer.test_top(&data.test.labels()).await?;
        tested.totals = trainer.validates_apart().then_some(totals);
        tested.top5_accuracy = top.accuracy(model.classes()?);
    } else {
        tested.totals = trainer.test().await?;
    }
    if model.is_segmentation()? {
        let (masks, _, confusion) = trainer.test_masks().await?;
        tested.mean_iou = tested.totals.is_some().then(|| confusion.mean_iou());
        #[cfg(feature = "images")]
        {
            let names: Vec<String> = (0..model.classes()?).map(|class| model.class_name(class)).collect();
            folder.picture(SHEET, &crate::data::pictures::mask::sheet(&data.test, Some(&masks), &names)?)?;
            tested.sheet = Some(folder.path().join(SHEET));
        }
        #[cfg(not(feature = "images"))]
        let _ = masks;
    }
    if let Some(totals) = &tested.totals {
        let perplexity = (model.task == Task::Next).then(|| totals.loss().exp());
        let further =
            [("mean_iou", tested.mean_iou), ("top5_accuracy", tested.top5_accuracy), ("perplexity", perplexity)];
        folder.test(totals, &further)?;
    }
    Ok(tested)
}
