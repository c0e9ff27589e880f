//! The contact sheet of prepared pictures: each with its name and predicted class below.

use super::Answer;
use crate::data::pictures::contact::{Cell, LETTERS, named};
use crate::error::Result;
use crate::files::write_whole;
use crate::model::Model;
use std::path::{Path, PathBuf};

/// The sheet's name in the folder of prepared pictures.
pub(super) const SHEET: &str = "contact-sheet.png";

/// A name of at most the letters that a line holds; its beginning says most.
fn cut(name: &str) -> String {
    match name.chars().count() {
        0..=LETTERS => name.to_owned(),
        _ => name.chars().take(LETTERS - 1).chain(['~']).collect(),
    }
}

/// Writes the sheet into `folder` and returns its path; `pixels` are those of all pictures, [pictures, height, width, channels].
/// Of a picture in a folder that is named as a class, such as those of a test set, the true class stands before the
/// predicted one.
pub(super) fn write(folder: &Path, model: &Model, pixels: &[u8], answers: &[Answer]) -> Result<PathBuf> {
    let shape = model.image()?;
    let classes: Vec<String> = (0..model.classes()?).map(|class| model.class_name(class)).collect();
    let lines = |answer: &Answer| {
        let path = Path::new(&answer.image);
        let name = path.file_name().map_or_else(|| answer.image.clone(), |name| name.to_string_lossy().into_owned());
        let truth = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let label = &answer.label;
        let classes = match truth.filter(|name| classes.contains(name)) {
            None => vec![cut(label)],
            Some(truth) if truth.chars().count() + 4 + label.chars().count() <= LETTERS => {
                vec![format!("{truth} -> {label}")]
            }
            // One above the other where there is no room beside.
            Some(truth) => vec![cut(&truth), cut(&format!("-> {label}"))],
        };
        let share = format!("{:.1} %", answer.probability * 100.0);
        std::iter::once(name).chain(classes).chain([share]).collect()
    };
    let images = pixels.chunks(shape.iter().product::<usize>().max(1));
    let cells: Vec<Cell> = images.zip(answers).map(|(pixels, answer)| Cell { pixels, lines: lines(answer) }).collect();
    let path = folder.join(SHEET);
    write_whole(&path, &named(shape, &cells)?)?;
    Ok(path)
}
