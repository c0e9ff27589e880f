//! Classification and translation of texts: each line of a file, of standard input, or of an argument.

#[cfg(feature = "csv")]
use super::rows;
use super::{PredictArgs, best};
use crate::cli::{print, print_exactly};
use crate::counted::counted;
use crate::data::tokens::LARGEST_BYTES;
use crate::error::{Error, Result};
use crate::model::{Model, Task};
use crate::train::predict::{Predictor, TrainedModel};
use crate::train::translate::{Translation, Translator};
use std::io::Read;
use std::path::Path;

/// Texts of a batch.
const BATCH: usize = 64;

/// Answers for every line that is not empty.
pub(super) fn run(args: &PredictArgs, trained: &TrainedModel) -> Result<()> {
    let mut lines = Vec::new();
    for path in &args.images {
        let text = read(path)?;
        let text = sides(path, text.strip_prefix('\u{feff}').unwrap_or(&text), trained.model.translates())?;
        let (all, before) = (text.len(), lines.len());
        lines.extend(text.into_iter().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()));
        let empty = all - (lines.len() - before);
        if empty > 0 {
            crate::cli::say(&format!("note: {}: {} left out", path.display(), counted(empty, "empty line")));
        }
    }
    if lines.is_empty() {
        return Err(Error::input("found no texts, expected one for each line"));
    }
    if trained.model.translates() {
        return translations(args, trained, &lines);
    }
    let (device, _) = args.device.open()?;
    let mut predictor = Predictor::new(&device, trained, lines.len().min(BATCH))?;
    crate::cli::note(&device);
    let texts: Vec<&str> = lines.iter().map(String::as_str).collect();
    if matches!(trained.model.task, Task::Regress { .. }) {
        return numbers(args, &trained.model, &mut predictor, &texts);
    }
    let (all, cut) = pollster::block_on(predictor.texts(&texts))?;
    say_cut(&trained.model, cut, texts.len())?;
    let (mut text, mut found, mut rows) = (String::new(), Vec::new(), Vec::new());
    for (line, probabilities) in texts.iter().zip(&all) {
        let top = best(&trained.model, probabilities, args.top());
        let shares: Vec<String> = top
            .iter()
            .map(|guess| format!("{} ({:.2} %)", guess.label, f64::from(guess.probability) * 100.0))
            .collect();
        text += &format!("{line}: {}\n", shares.join(", "));
        let cells = top.iter().flat_map(|guess| [guess.label.clone(), guess.probability.to_string()]);
        rows.push(std::iter::once((*line).to_owned()).chain(cells).collect::<Vec<_>>());
        let first = top.first();
        found.push(serde_json::json!({
            "text": line, "label": first.map(|guess| &guess.label), "probability": first.map(|guess| guess.probability),
            "top": top,
        }));
    }
    #[cfg(feature = "csv")]
    if let Some(path) = &args.csv {
        let places = rows.first().map_or(1, |row| row.len() / 2);
        return rows::put(path, &rows::csv(&rows::head("text", places), rows.clone())?, rows.len());
    }
    if args.json { print(&format!("{}\n", serde_json::Value::from(found))) } else { print(&text) }
}

/// The numbers that a model gives for each text: all of them as JSON or CSV, the first ones in a line.
fn numbers(args: &PredictArgs, model: &Model, predictor: &mut Predictor, texts: &[&str]) -> Result<()> {
    /// Numbers in a line.
    const SHOWN: usize = 8;
    let (all, cut) = pollster::block_on(predictor.numbers_of_texts(texts))?;
    say_cut(model, cut, texts.len())?;
    #[cfg(feature = "csv")]
    if let Some(path) = &args.csv {
        let names = model.task.targets().iter().map(|target| target.name.clone());
        let head: Vec<String> = std::iter::once("text".to_owned()).chain(names).collect();
        let row = |(text, numbers): (&&str, &Vec<f32>)| {
            std::iter::once((*text).to_owned()).chain(numbers.iter().map(f32::to_string)).collect::<Vec<String>>()
        };
        return rows::put(path, &rows::csv(&head, texts.iter().zip(&all).map(row))?, texts.len());
    }
    if args.json {
        let one = |(text, numbers): (&&str, &Vec<f32>)| serde_json::json!({ "text": text, "numbers": numbers });
        let found: Vec<serde_json::Value> = texts.iter().zip(&all).map(one).collect();
        return print(&format!("{}\n", serde_json::Value::from(found)));
    }
    let line = |(text, numbers): (&&str, &Vec<f32>)| {
        let first: Vec<String> = numbers.iter().take(SHOWN).map(|number| format!("{number:.4}")).collect();
        let more = if numbers.len() > SHOWN { format!(" … ({} numbers)", numbers.len()) } else { String::new() };
        format!("{text}: {}{more}\n", first.join(" "))
    };
    print(&texts.iter().zip(&all).map(line).collect::<String>())
}

/// The lines of a text; of a `.tsv` file of labels and texts the texts, or of pairs the sources, which is said.
fn sides<'a>(path: &Path, text: &'a str, pairs: bool) -> Result<Vec<&'a str>> {
    let ends =
        |ending: &str| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending)) && path.is_file();
    if ends("csv") {
        let why = "found a CSV file, expected texts with a line for each, or label<TAB>text (.tsv)";
        return Err(Error::input(format!("{}: {why}", path.display())));
    }
    let lines: Vec<&str> = text.lines().collect();
    let columns = ends("tsv") && lines.iter().all(|line| line.contains('\t') || line.trim().is_empty());
    if !columns {
        return Ok(lines);
    }
    let (kept, left) = if pairs { ("first", "translations") } else { ("second", "labels") };
    crate::cli::say(&format!("note: {}: the {kept} column is read; the {left} are left out", path.display()));
    let side = |line: &'a str| match line.split_once('\t') {
        Some((first, second)) => {
            if pairs {
                first
            } else {
                second
            }
        }
        None => "",
    };
    Ok(lines.into_iter().map(side).collect())
}

/// Says how many texts were cut.
fn say_cut(model: &Model, cut: usize, count: usize) -> Result<()> {
    if cut > 0 {
        let (length, plural) = (model.input[0], model.tokenizer()?.unit().plural());
        crate::cli::say(&format!("note: {cut} of {count} texts are cut after {length} {plural}"));
    }
    Ok(())
}

/// The translation of each text, a line each.
fn translations(args: &PredictArgs, trained: &TrainedModel, lines: &[String]) -> Result<()> {
    let (device, _) = args.device.open()?;
    let (beam, batch) = (args.beam.unwrap_or(1), lines.len().min(BATCH));
    let mut translator = Translator::new(&device, &trained.model, batch, beam)?;
    crate::cli::note(&device);
    translator.set_weights(&trained.weights)?;
    let texts: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (found, cut) = pollster::block_on(translator.texts(&texts))?;
    say_cut(&trained.model, cut, texts.len())?;
    if args.json {
        let one = |(text, found): (&&str, &Translation)| {
            let mut line = serde_json::json!({ "text": text, "translation": found.text, "tokens": found.tokens });
            found.score.iter().for_each(|score| line["score"] = serde_json::json!(score));
            line
        };
        let found: Vec<serde_json::Value> = texts.iter().zip(&found).map(one).collect();
        return print(&format!("{}\n", serde_json::Value::from(found)));
    }
    print_exactly(&found.iter().map(|found| format!("{}\n", found.text)).collect::<String>())
}

/// The text of a file, of standard input where it is called -, or the argument itself where it has spaces or could be no file.
fn read(path: &Path) -> Result<String> {
    let argument = path.to_string_lossy();
    let is_text = argument.contains(char::is_whitespace) || !argument.contains(['/', '\\', '.']);
    if path != Path::new("-") && !path.exists() && is_text {
        return Ok(argument.into_owned());
    }
    let fault = |e: std::io::Error| Error::input(format!("{}: cannot be read: {e}", path.display()));
    let mut bytes = Vec::new();
    match path == Path::new("-") {
        true => std::io::stdin().take(LARGEST_BYTES + 1).read_to_end(&mut bytes).map_err(fault)?,
        false => {
            crate::files::open(path).map_err(fault)?.take(LARGEST_BYTES + 1).read_to_end(&mut bytes).map_err(fault)?
        }
    };
    if bytes.len() as u64 > LARGEST_BYTES {
        return Err(Error::input(format!("{}: expected at most {LARGEST_BYTES} bytes of text", path.display())));
    }
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Error::input(format!(
            "{}: found byte {at} to be invalid UTF-8, expected a text with a line for each",
            path.display()
        ))
    })
}
