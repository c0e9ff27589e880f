//! `wgrad data`: describes a data set before training.

use crate::cli::terminal::lines::{six_digits, wrapped};
use crate::cli::terminal::table::{Table, short};
use crate::cli::{columns, print, print_fitted};
use crate::data::formats::Format;
use crate::data::pictures::{contact, mask};
use crate::data::survey::{Class, Duplicates, Survey, survey};
use crate::data::table::{self, TableSurvey};
use crate::data::tokens::{self, TextSurvey};
use crate::data::{BUILT_IN, Dataset};
use crate::data::{Fit, PICTURE_BYTES, ReadOptions, TextOptions};
use crate::error::{Error, Result};
use crate::files::check_output;
use crate::plan::human_bytes;
use crate::step::augment::{Augment, Fill};
use crate::text::Tokenizer;
use crate::text::choice::TokenizerChoice;
use crate::train::augmented;
use clap::Args;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Columns of a line, at most.
const WIDTH: usize = 79;
/// The columns of the bars, at most.
const BAR: usize = 24;
/// The widest name of a class that is printed whole.
const NAME: usize = 40;
/// The most bytes of a split's pixels that are held in memory.
const HOLD_BYTES: u64 = 1 << 30;

/// Describe a data set: counts, classes or columns, mean and deviation, duplicates
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  wgrad data mnist\n  wgrad data my-photos --image-size 64 --contact-sheet sheet.png\n  \
wgrad data mnist --contact-sheet sheet.png --augment shift=2,rotate=10,cutout=8\n  \
wgrad data make segmentation --out scenes\n  wgrad data make repeated --times 10 --out mnist10\n  \
wgrad data make tokenizer shakespeare.txt --size 1000"
)]
pub struct DataArgs {
    #[cfg(feature = "mnist-data")]
    #[command(subcommand)]
    command: Option<DataCommand>,
    /// The data, as in `wgrad train`: mnist, a folder, or a file (CSV, .npz, text)
    #[arg(required = true, value_name = "mnist|DIR|FILE")]
    data: Option<String>,
    /// Height and width: a folder's images are resized to it, images in a CSV file have it; 64 or 48x64
    #[arg(long, value_name = "N|HxW", value_parser = crate::train::settings::flags::image_size)]
    image_size: Option<[usize; 2]>,
    /// How pictures of other proportions are fitted to --image-size
    #[arg(long, value_enum, default_value_t = Fit::Stretch, value_name = "HOW")]
    fit: Fit,
    /// For a CSV table: the columns to predict, as in `wgrad train`
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    target: Vec<String>,
    /// For a CSV table: columns to leave out
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    ignore: Vec<String>,
    /// For text: the kind of token or a tokenizer.json, as in `wgrad train`
    #[arg(long, value_name = "UNIT|FILE")]
    tokenizer: Option<TokenizerChoice>,
    /// For text: the maximum size of the vocabulary
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    vocabulary: usize,
    /// For text: tokens per sample
    #[arg(long, value_name = "N")]
    length: Option<usize>,
    /// For text: each line is a document, as in `wgrad train`
    #[arg(long)]
    documents: bool,
    /// For a CSV file: the column of texts
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
    /// For masks: a value to ignore, as in `wgrad train`
    #[arg(long, value_name = "VALUE", value_parser = crate::train::settings::flags::mask_value)]
    ignore_label: Option<u32>,
    /// Write a sheet of sample images, one row per class; for masks, images beside their masks with a legend
    #[arg(long, value_name = "FILE.png")]
    contact_sheet: Option<PathBuf>,
    /// With --contact-sheet: show one image per class as it is, and then as `wgrad train --augment LIST` would change
    /// it
    #[arg(long, value_name = "LIST")]
    augment: Option<Augment>,
    /// With --augment: the value of pixels from outside the image, as in `wgrad train`
    #[arg(long, value_name = "N|R,G,B", requires = "augment")]
    fill: Option<Fill>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The subcommands of `wgrad data`.
#[cfg(feature = "mnist-data")]
#[derive(Debug, clap::Subcommand)]
enum DataCommand {
    Make(crate::cli::commands::make::MakeArgs),
}

/// Reads, counts and prints.
pub fn run(args: DataArgs) -> Result<()> {
    #[cfg(feature = "mnist-data")]
    if let Some(DataCommand::Make(make)) = args.command {
        return crate::cli::commands::make::run(&make);
    }
    // clap does not ask for the one where the other is there.
    if args.augment.is_some() && args.contact_sheet.is_none() {
        return Err(Error::input("--augment: expected --contact-sheet FILE.png with it"));
    }
    let spec = args.data.ok_or_else(|| Error::input("a data set is expected"))?;
    if let Some(sheet) = &args.contact_sheet {
        check_output(sheet, "png")?;
        let place = |path: &Path| path.canonicalize().ok();
        let inside = place(sheet).zip(place(Path::new(&spec))).is_some_and(|(sheet, data)| sheet.starts_with(data));
        if inside {
            let shown = sheet.display();
            let why = "found a picture of the data set, which would be overwritten; expected a new file";
            return Err(Error::input(format!("--contact-sheet {shown}: {why}")));
        }
    }
    let (targets, ignored) = (&args.target[..], &args.ignore[..]);
    let (size, fit, ignore_label) = (args.image_size, args.fit, args.ignore_label);
    let hold_bytes = Some(HOLD_BYTES);
    let unit = args.tokenizer.as_ref().and_then(TokenizerChoice::unit);
    let given = args.tokenizer.as_ref().map(TokenizerChoice::open).transpose()?.flatten();
    let given_target = given.clone().map(Tokenizer::with_ends);
    let tokens_of = TextOptions {
        unit,
        vocabulary: args.vocabulary,
        length: args.length,
        column: args.text.as_deref(),
        known: if args.documents { given_target.as_ref() } else { given.as_ref() },
        documents: args.documents,
        shrinks: args.length.is_none(),
        known_target: given_target.as_ref(),
        ..TextOptions::default()
    };
    let options = ReadOptions {
        text: tokens_of,
        size,
        fit,
        hold_bytes,
        hold_pictures: Some(PICTURE_BYTES),
        targets,
        ignored,
        ignore_label,
        ..ReadOptions::default()
    };
    let data = Dataset::open_with(&spec, &options)?;
    if args.documents && !data.has_documents() {
        let name = &data.name;
        return Err(Error::input(format!("--documents: expected a text with a document on each line, found {name}")));
    }
    let kind = if spec == BUILT_IN { "built in" } else { Format::of(Path::new(&spec))?.name };
    if let Some(notice) = &data.notice {
        crate::cli::say(&format!("note: {notice}"));
    }
    if let Some(found) = table::survey(&data)? {
        if args.contact_sheet.is_some() {
            return Err(Error::input("--contact-sheet: expected a data set of images"));
        }
        return match args.json {
            true => print(&format!("{}\n", serde_json::json!(found))),
            false => print_fitted(&of_table(&found, columns().min(WIDTH))),
        };
    }
    if let Some(found) = tokens::survey(&data)? {
        if args.contact_sheet.is_some() {
            return Err(Error::input("--contact-sheet: expected a data set of images"));
        }
        return match args.json {
            true => print(&format!("{}\n", serde_json::json!(found))),
            false => print_fitted(&of_text(&found, columns().min(WIDTH))),
        };
    }
    let found = survey(&data)?;
    if let Some(path) = &args.contact_sheet {
        let sheet = match &args.augment {
            // Of masks: pictures and their masks beside each other.
            None if found.pixels => mask::sheet(&data.train, None, &data.class_names)?,
            None => contact::sheet(&data)?,
            Some(augment) => {
                let augment = args.fill.map_or(Ok(*augment), |fill| augment.filled(fill))?;
                augmented::sheet(&data, &augment, 0)?
            }
        };
        crate::cli::save(path, &sheet)?;
    }
    if args.json {
        let mut json = serde_json::to_value(&found).map_err(|e| Error::failed(format!("JSON: {e}")))?;
        json["kind"] = kind.into();
        return print(&format!("{json}\n"));
    }
    print_fitted(&text(&found, kind, columns().min(WIDTH)))
}

/// The survey of a text.
fn of_text(found: &TextSurvey, width: usize) -> String {
    let TextSurvey { name, is_stream, has_documents, target, .. } = found;
    let (kind, things) = match target {
        Some(_) => ("pairs of texts", "sources"),
        None if *is_stream => ("a text", "windows"),
        None if *has_documents => ("documents", "documents"),
        None => ("texts", "texts"),
    };
    let mut text = format!("{name} ({kind})\n");
    match target {
        None => text += &of_tokens(found, things, width),
        Some(target) => {
            text += &format!("\n{}\n{}", of_tokens(found, things, width), of_tokens(target, "targets", width));
        }
    }
    text
}

/// The tokens of texts, called `texts`.
fn of_tokens(found: &TextSurvey, texts: &str, width: usize) -> String {
    let TextSurvey { unit, vocabulary, is_stream, parts, commonest, unused, .. } = found;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  vocabulary  {vocabulary} {unit}");
    let (things, lengths, padding) =
        if *is_stream { ("windows", "", "") } else { (texts, "shortest, middle, longest", "padding") };
    let mut table = Table::new(["part", things, unit, "unknown", lengths, padding]);
    for part in parts {
        let lengths = part.lengths.map_or(String::new(), |[a, b, c]| format!("{a}, {b}, {c}"));
        table.row([
            part.name.into(),
            part.samples.to_string(),
            part.tokens.to_string(),
            part.unknown.to_string(),
            lengths,
            part.padding.map_or(String::new(), |share| format!("{:.0} %", 100.0 * share)),
        ]);
    }
    text += "\n";
    text += &table.text(width);
    let shown: Vec<String> = commonest.iter().map(|(token, count)| format!("{token:?} {count}")).collect();
    let _ = writeln!(text, "\n{}", wrapped(&format!("commonest: {}", shown.join(", ")), width));
    if *unused > 0 {
        let _ = writeln!(text, "{unused} of the vocabulary are not in the part to train on");
    }
    text
}

/// How many samples the parts have.
fn parts(train: usize, validation: Option<usize>, test: usize) -> String {
    let validation = validation.map_or(String::new(), |count| format!(", {count} to validate on"));
    let test = if test > 0 { format!(", {test} to test on") } else { String::new() };
    format!("{train} to train on{validation}{test}")
}

/// The survey of a table, a line for each column.
fn of_table(found: &TableSurvey, width: usize) -> String {
    let mut lines = vec![
        format!("{} (a table)", short(&found.name, 50)),
        format!("  samples    {}", parts(found.train, found.validation, found.test)),
        String::new(),
    ];
    let mut table = Table::new(["column", "mean", "deviation", "least", "most", ""]).left();
    for column in &found.columns {
        let [mean, deviation, least, most] = [column.mean, column.deviation, column.least, column.most].map(six_digits);
        let target = if column.target { "target" } else { "" };
        table.row([short(&column.name, NAME), mean, deviation, least, most, target.into()]);
    }
    lines.extend(table.text(width - 2).lines().map(|line| format!("  {line}")));
    if !found.classes.is_empty() {
        lines.push(String::new());
        let mut table = Table::new(["target", "train"]).left();
        found.classes.iter().for_each(|(class, count)| table.row([short(class, NAME), count.to_string()]));
        lines.extend(table.text(width - 2).lines().map(|line| format!("  {line}")));
    }
    lines.join("\n") + "\n"
}

/// The survey as lines; those that are no row of the table may be wider than `room`.
fn text(found: &Survey, kind: &str, room: usize) -> String {
    let [height, width, channels] = found.shape;
    let colours = match channels {
        1 => "grey".into(),
        3 => "RGB".into(),
        count => format!("{count} channels"),
    };
    let numbers = |values: &[f64]| values.iter().map(|value| format!("{value:.4}")).collect::<Vec<_>>().join(" ");
    let mut lines = vec![
        format!("{} ({kind})", short(&found.name, 50)),
        format!("  images     {}", parts(found.train, found.validation, found.test)),
        format!("  shape      {height}×{width}×{channels} (height×width×channels), {colours}"),
        format!("  mean       {}", numbers(&found.mean)),
        format!("  deviation  {}   (of 0 to 1, training images)", numbers(&found.deviation)),
        String::new(),
    ];
    let largest = found.classes.iter().map(|class| class.train.max(class.test)).max().unwrap_or(0);
    // Where there is no room, counts stand closer.
    let count = if room < WIDTH { largest.to_string().len().max(5) } else { 9 };
    // A bar of ten columns has room beside names, where that leaves as much for them.
    let beside = room.saturating_sub(2 + 2 * (1 + count));
    let widest = NAME.min(if beside >= 2 * 12 { beside - 12 } else { beside });
    let longest = found.classes.iter().map(|class| short(&class.name, widest).chars().count()).max().unwrap_or(0);
    let name = longest.max(if found.pixels { "ignored".len() } else { "class".len() });
    let share = if found.pixels { 8 } else { 0 };
    let bar = BAR.min(room.saturating_sub(2 + name + 2 * (1 + count) + 2 + share));
    let most = found.classes.iter().map(|class| class.train).max().unwrap_or(0);
    // Of masks these are pixels, and their share of all that are of a class.
    let unit = if found.pixels { ", pixels" } else { "" };
    let total: usize = found.classes.iter().map(|class| class.train).sum();
    lines.push(format!("  {:name$} {:>count$} {:>count$}{unit}", "class", "train", "test"));
    for Class { name: class, train, test } in &found.classes {
        let full = (train * bar).div_ceil(most.max(1));
        let share = if found.pixels { format!("{:>5.1}%  ", percent(*train, total)) } else { String::new() };
        let line =
            format!("  {:name$} {train:>count$} {test:>count$}  {share}{}", short(class, widest), "━".repeat(full));
        lines.push(line.trim_end().to_owned());
    }
    let [train, test] = found.ignored;
    if train + test > 0 {
        lines.push(format!("  {:name$} {train:>count$} {test:>count$}  of no class", "ignored"));
    }
    let what = if found.pixels { "pixels" } else { "images" };
    lines.push(match found.imbalance {
        Some(times) => format!("  imbalance  {times:.2}: the largest class to the smallest"),
        None => format!("  imbalance  a class has no {what} to train on"),
    });
    lines.push(String::new());
    let none = Duplicates::default();
    let d = found.duplicates.as_ref().unwrap_or(&none);
    let (counts, title) = match &found.duplicates {
        Some(_) => (4, "  duplicates (identical pixels)".into()),
        None => (0, format!("  duplicates were not looked for in more than {}", human_bytes(HOLD_BYTES))),
    };
    lines.push(title);
    for (count, what) in [
        (d.across, "test images are among the training images"),
        (d.within_train, "training images repeat another"),
        (d.within_test, "test images repeat another"),
        (d.conflicts, "pictures have more than one label"),
    ]
    .into_iter()
    .take(counts)
    {
        lines.push(format!("  {count:>9}  {what}"));
    }
    for conflict in &d.examples {
        let side = |(place, class): &(String, String)| format!("{place} is {}", short(class, 16));
        lines.push(format!("             {}, {}", side(&conflict.first), side(&conflict.then)));
    }
    lines.into_iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    })
}

/// A share of 100.
fn percent(part: usize, all: usize) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Split;

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let split = Split::new([1, 1, 3], vec![1; 6], vec![0u8, 1]).unwrap();
        let mut data = Dataset::new("n".repeat(90), split.clone(), split).unwrap();
        data.class_names = vec!["a\u{1b}[31m".repeat(9), "b".repeat(99)];
        let text = text(&survey(&data).unwrap(), "folders of images", WIDTH);
        assert!(text.lines().all(|line| line.chars().count() < 80 && !line.contains('\u{1b}')), "{text}");
        let narrow = super::text(&survey(&data).unwrap(), "folders of images", 40);
        let rows: Vec<&str> = narrow.lines().skip_while(|line| !line.contains("class ")).take(3).collect();
        assert!(rows.iter().all(|line| line.chars().count() <= 40) && rows[1].contains('━'), "{rows:?}");
        assert!(text.contains("        2  test images are among") && text.contains("train 0 is a[31m"), "{text}");
    }
}
