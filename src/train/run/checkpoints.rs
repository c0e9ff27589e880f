//! The checkpoints of a run folder: `last`, the `previous` one, and the `best` by the validation loss.

use crate::error::{Error, Result, in_context};
use crate::files::beside;
use crate::model::formats::weights::Weights;
use crate::train::epochs::progress::Best;
use crate::train::run::files::{fault, link, remove, sync_folder, unfinished};
use crate::train::state::checkpoint::Checkpoint;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder `checkpoints` of a run.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
}

/// Which checkpoint to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest.
    Last,
    /// The one before it.
    Previous,
}

impl Checkpoints {
    /// Those of a run.
    pub fn of(run: &Path) -> Self {
        Checkpoints { folder: run.join("checkpoints") }
    }

    /// Creates the folder.
    ///
    /// # Errors
    /// [`Error::Failed`] if it cannot be created.
    pub fn create(&self) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(|e| fault(&self.folder, &e))
    }

    /// The file of a checkpoint.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.safetensors"))
    }

    /// Whether the folder holds anything besides the unfinished files of a run that was killed.
    pub fn any(&self) -> bool {
        let unfinished = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".tmp");
        let mut entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.any(|entry| !unfinished(&entry.file_name()))
    }

    /// Writes a checkpoint: whatever happens meanwhile, `last` and `previous` are whole ones.
    ///
    /// # Errors
    /// [`Error::Failed`] if the disk is full or cannot be written.
    pub fn write(&self, checkpoint: &Checkpoint) -> Result<()> {
        let [last, previous] = ["last", "previous"].map(|name| self.path(name));
        let unfinished = unfinished(&last, &checkpoint.to_bytes()?)?;
        if last.exists() {
            link(&last, &previous)?;
        }
        unfinished.replace(&last)?;
        sync_folder(&self.folder)?;
        self.best(checkpoint)
    }

    /// Makes `last`, which is this checkpoint, the best as well if it is.
    fn best(&self, checkpoint: &Checkpoint) -> Result<()> {
        let progress = &checkpoint.state.progress;
        let ended = progress.metrics.last().is_some_and(|m| m.step == progress.step);
        if ended && progress.best.is_some_and(|best| best.step == progress.step) {
            link(&self.path("last"), &self.path("best"))?;
            sync_folder(&self.folder)?;
        }
        Ok(())
    }

    /// The weights of the best epoch.
    ///
    /// # Errors
    /// [`Error::Input`] if its checkpoint is damaged, or of another epoch.
    pub fn best_weights(&self, best: Best) -> Result<Weights> {
        let path = self.path("best");
        let checkpoint = Checkpoint::read(&path)?;
        let (found, expected) = (checkpoint.state.progress.step, best.step);
        match found == expected {
            true => Ok(checkpoint.final_weights().clone()),
            false => Err(Error::input(format!("{}: found step {found}, expected step {expected}", path.display()))),
        }
    }

    /// The file of a checkpoint that is there.
    ///
    /// # Errors
    /// [`Error::Input`] if it is not.
    pub fn find(&self, which: Which) -> Result<PathBuf> {
        let path = self.path(if which == Which::Last { "last" } else { "previous" });
        if path.exists() {
            return Ok(path);
        }
        let run = self.folder.parent().unwrap_or(Path::new(".")).display();
        Err(Error::input(match which {
            Which::Last if self.path("previous").exists() => {
                format!("{}: there is no such checkpoint; --from-previous takes the one before", path.display())
            }
            Which::Last => format!("run folder {run}: found no checkpoint, expected one to go on from"),
            Which::Previous => format!("run folder {run}: it has no checkpoint before the last"),
        }))
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// [`Error::Input`] if there is none, or where it is damaged; then it says whether there is another.
    pub fn read(&self, which: Which) -> Result<Checkpoint> {
        Checkpoint::read(&self.find(which)?).map_err(|error| {
            let further = match which {
                Which::Last if Checkpoint::read(&self.path("previous")).is_ok() => {
                    "; --from-previous takes the one before, which is whole"
                }
                Which::Last => "; there is no whole one before it",
                Which::Previous => "",
            };
            Error::input(format!("{error}{further}"))
        })
    }

    /// Makes the folder what it was when this checkpoint had been written: it is the last, and nothing half done is
    /// left. The previous one stays.
    ///
    /// # Errors
    /// [`Error::Failed`] if the folder cannot be written.
    pub fn settle(&self, which: Which, checkpoint: &Checkpoint) -> Result<()> {
        for name in ["last", "previous", "best"] {
            remove(&beside(&self.path(name)))?;
        }
        if which == Which::Previous {
            link(&self.path("previous"), &self.path("last"))?;
        }
        let settled = self.best(checkpoint);
        settled.map_err(|e| in_context("the best checkpoint cannot be kept", e))
    }
}
