//! `wgrad eval --save-wrong`: the misclassified pictures, as files.

use crate::counted::counted;
use crate::data::Split;
use crate::data::pictures::picture::LARGEST_FILE_BYTES;
use crate::data::pictures::prepare::Prepared;
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::train::epochs::confusion::argmax;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// A misclassified sample.
#[derive(Clone, Copy, Debug)]
struct Mistake {
    sample: usize,
    truth: usize,
    answer: usize,
    // ln of the answer's probability.
    sureness: f64,
}

/// The mistakes of a pass over a test set, and the folder that is to have them.
#[derive(Debug)]
pub(super) struct Wrong {
    folder: PathBuf,
    most: usize,
    mistakes: Vec<Mistake>,
}

impl Wrong {
    /// None yet; `most` of them are to be written into `folder`.
    ///
    /// # Errors
    /// [`Error::Input`] for a folder that holds something, and for a path that is not a folder.
    pub(super) fn new(folder: &Path, most: usize) -> Result<Wrong> {
        let shown = folder.display();
        let is_empty = match std::fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => true,
            Err(e) => return Err(Error::input(format!("--save-wrong {shown}: {e}"))),
        };
        if !is_empty {
            let why = "it is not empty, expected a new folder or an empty one";
            return Err(Error::input(format!("--save-wrong {shown}: {why}")));
        }
        Ok(Wrong { folder: folder.into(), most, mistakes: Vec::new() })
    }

    /// Notes a sample's logits beside its label, where they say another class.
    pub(super) fn note(&mut self, sample: usize, logits: &[f32], label: u32) {
        let (truth, answer) = (label as usize, argmax(logits));
        if truth == answer || truth >= logits.len() {
            return;
        }
        let most = f64::from(logits[answer]);
        let sureness = -logits.iter().map(|&x| (f64::from(x) - most).exp()).sum::<f64>().ln();
        self.mistakes.push(Mistake { sample, truth, answer, sureness });
    }

    /// Writes them, those first where the net was most confident: the files of `root` that the samples came from, or the images as PNG
    /// where there are no such files. Returns the notice about them.
    ///
    /// # Errors
    /// [`Error::Input`] if the folder cannot be made or an image cannot be read any more, [`Error::Failed`] if a file cannot
    /// be written.
    pub(super) fn write(mut self, split: &Split, root: &Path, name: impl Fn(usize) -> String) -> Result<String> {
        let shown = self.folder.display().to_string();
        // The sort is stable: equals stay in the order of the data.
        self.mistakes.sort_by(|a, b| b.sureness.total_cmp(&a.sureness));
        let (all, kept) = (self.mistakes.len(), self.mistakes.len().min(self.most));
        if all == 0 {
            return Ok(format!("{shown}: nothing was misclassified, so nothing is written"));
        }
        std::fs::create_dir_all(&self.folder)
            .map_err(|e| Error::input(format!("--save-wrong {shown}: cannot be created: {e}")))?;
        let digits = split.count.saturating_sub(1).to_string().len();
        let mut taken = HashSet::new();
        for Mistake { sample, truth, answer, .. } in &self.mistakes[..kept] {
            let begin = format!("{}-as-{}", safe(&name(*truth)), safe(&name(*answer)));
            let file = split.name_of(*sample).map(|name| root.join(name)).filter(|file| file.is_file());
            let (original, bytes) = match &file {
                Some(file) => {
                    let bytes = crate::files::read(file, LARGEST_FILE_BYTES)
                        .map_err(|e| Error::input(format!("{}: {e}", file.display())))?;
                    (file.file_name().map_or_else(String::new, |name| safe(&name.to_string_lossy())), bytes)
                }
                None => {
                    let image = split.image(*sample)?.into_owned();
                    let png = Prepared { pixels: image, shape: split.shape(), how: String::new() }.to_png()?;
                    (format!("{sample:0digits$}.png"), png)
                }
            };
            let first = format!("{begin}_{original}");
            let mut names = std::iter::once(first.clone()).chain((2..).map(|n| format!("{begin}-{n}_{original}")));
            let file = names.find(|name| taken.insert(name.clone())).unwrap_or(first);
            write_whole(&self.folder.join(file), &bytes)?;
        }
        Ok(match kept == all {
            true => format!("saved {shown}: {}", counted(all, "misclassified picture")),
            false => format!(
                "saved {shown}: {kept} of {all} misclassified pictures, those with the highest confidence; --wrong-limit N \
                 saves more"
            ),
        })
    }
}

/// A name that every file system takes.
fn safe(name: &str) -> String {
    let odd = |c: char| c.is_control() || "/\\:*?\"<>|".contains(c);
    name.chars().map(|c| if odd(c) { '_' } else { c }).collect()
}
