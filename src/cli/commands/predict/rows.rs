//! Answers as CSV (RFC 4180): to a file or to stdout.

use super::Answer;
use crate::cli::print_exactly;
use crate::counted::counted;
use crate::error::{Error, Result};
use crate::files::write_whole;
use std::path::Path;

/// The place that stands for stdout.
const STDOUT: &str = "-";

/// A head and rows as CSV; cells with commas, quotes or line breaks are quoted.
///
/// # Errors
/// [`Error::Failed`] for rows of another length than the head's.
pub(super) fn csv<R>(head: &[String], rows: impl IntoIterator<Item = R>) -> Result<String>
where
    R: IntoIterator<Item = String>,
{
    let failed = |e: &dyn std::fmt::Display| Error::failed(format!("predict: {e}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    if !head.is_empty() {
        writer.write_record(head).map_err(|e| failed(&e))?;
    }
    for row in rows {
        writer.write_record(row).map_err(|e| failed(&e))?;
    }
    let bytes = writer.into_inner().map_err(|e| failed(&e))?;
    String::from_utf8(bytes).map_err(|e| failed(&e))
}

/// The answers for pictures: file, class and probability, then the next classes with theirs. Of yes-or-no answers: file, those
/// that are yes, with semicolons between them, and the probability of each.
pub(super) fn of_pictures(answers: &[Answer]) -> Result<String> {
    let first = answers.first();
    let probability = |probability: f32| probability.to_string();
    if first.is_some_and(|answer| answer.yes.is_some()) {
        let names = first.iter().flat_map(|answer| &answer.all).map(|guess| guess.label.clone());
        let head: Vec<String> = ["file", "yes"].map(String::from).into_iter().chain(names).collect();
        let row = |answer: &Answer| {
            let yes = answer.yes.iter().flatten().cloned().collect::<Vec<_>>().join(";");
            let all = answer.all.iter().map(|guess| probability(guess.probability));
            [answer.image.clone(), yes].into_iter().chain(all).collect::<Vec<_>>()
        };
        return csv(&head, answers.iter().map(row));
    }
    let places = first.map_or(1, |answer| answer.top.len());
    let head = head("file", places);
    let row = |answer: &Answer| {
        let top = answer.top.iter().flat_map(|guess| [guess.label.clone(), probability(guess.probability)]);
        std::iter::once(answer.image.clone()).chain(top).collect::<Vec<_>>()
    };
    csv(&head, answers.iter().map(row))
}

/// The head of answers for samples called `what`, with `places` classes each.
pub(super) fn head(what: &str, places: usize) -> Vec<String> {
    let further = (2..=places).flat_map(|n| [format!("class_{n}"), format!("probability_{n}")]);
    [what, "class", "probability"].map(String::from).into_iter().chain(further).collect()
}

/// Writes CSV of `count` answers into a file, and says so, or to stdout, for which `-` stands.
pub(super) fn put(path: &Path, text: &str, count: usize) -> Result<()> {
    if path == Path::new(STDOUT) {
        return print_exactly(text);
    }
    write_whole(path, text.as_bytes())?;
    crate::cli::say(&format!("saved {}: {}", path.display(), counted(count, "answer")));
    Ok(())
}
