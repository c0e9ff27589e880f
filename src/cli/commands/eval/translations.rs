//! The translations of a test set as files with a line for each pair, as scorers such as sacreBLEU read them.

use crate::data::Split;
use crate::data::schema::{IGNORED, TEXT};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::train::predict::TrainedModel;
use crate::train::translate::Translator;
use std::path::Path;

/// The files: what is translated, the translations of the data, and those of the model.
pub(super) const FILES: [&str; 3] = ["source.txt", "reference.txt", "translation.txt"];

/// Texts that are translated at once.
const BATCH: usize = 64;

/// Translates all pairs and writes the files into a folder, which is made where it is missing.
///
/// # Errors
/// [`Error::Input`] for a folder that cannot be made, and pairs without their lines.
pub(super) fn write(folder: &Path, device: &Device, trained: &TrainedModel, split: &Split, beam: usize) -> Result<()> {
    let column = split.column(TEXT).ok_or_else(|| Error::input("the data has no texts, expected pairs"))?;
    let texts: Vec<Vec<u32>> =
        (0..split.count).map(|at| column.words(at..at + 1).take_while(|token| *token != IGNORED).collect()).collect();
    let mut translator = Translator::new(device, &trained.model, split.count.min(BATCH), beam)?;
    translator.set_weights(&trained.weights)?;
    let found = pollster::block_on(translator.run(&texts))?;
    let mut contents = FILES.map(|_| String::new());
    for (at, found) in found.iter().enumerate() {
        let pair = split.name_of(at).and_then(|line| line.split_once('\t'));
        let (source, reference) = pair.ok_or_else(|| Error::failed(format!("pair {at} has no line")))?;
        // A character that is a line end would begin another line.
        let lines = [source, reference, &found.text].map(|text| text.replace(['\n', '\r'], " "));
        contents.iter_mut().zip(lines).for_each(|(all, line)| *all += &(line + "\n"));
    }
    let shown = folder.display();
    std::fs::create_dir_all(folder).map_err(|e| Error::input(format!("{shown}: cannot be created: {e}")))?;
    FILES.iter().zip(contents).try_for_each(|(name, text)| write_whole(&folder.join(name), text.as_bytes()))
}
