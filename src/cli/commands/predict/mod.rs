//! `wgrad predict`: the predictions of a stored model for pictures or the rows of a table.

mod inputs;
mod masks;
mod rows;
mod sheet;
#[cfg(feature = "csv")]
mod table;
mod texts;

use crate::cli::{DeviceArgs, print};
use crate::counted::counted;
use crate::data::pictures::picture::Picture;
use crate::data::pictures::prepare::Prepared;
use crate::data::{Fit, Prepare};
use crate::error::{Error, Result};
use crate::files::{Inputs, check_output, write_whole};
use crate::model::{Model, Task};
use clap::Args;
use serde::Serialize;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Predict the classes, masks or values of pictures, texts or the rows of a table
#[derive(Debug, Args)]
#[command(after_help = "\
Pictures may be PNG, JPEG, GIF, BMP, WebP, TIFF, PNM, ICO or QOI, of any size. A folder stands for all files in it and its \
subfolders, in the order of their paths. Each picture is prepared as the training images were: as a digit if the model was trained on digits such as MNIST's (grey, light on dark, cropped, scaled and centred), otherwise resized, cropped or padded as `wgrad train --fit` said. A table needs the model's columns, which are found by name.

Examples:
  wgrad predict runs/mnist-cnn/1/model.safetensors photo.jpg
  wgrad predict runs/mnist-cnn/1/model.safetensors *.png --json --top 2
  wgrad predict runs/resnet-small/1 holiday-photos --csv answers.csv
  wgrad predict runs/unet-small/1/model.safetensors scene.png --masks masks --overlay overlays
  wgrad predict runs/mlp/1/model.safetensors new-houses.csv
  wgrad predict runs/translator/1 \"In the beginning\" --beam 5")]
pub struct PredictArgs {
    /// A model file that wgrad wrote, or the folder of a run
    file: PathBuf,
    /// Pictures or folders of pictures; CSV files for a model of a table; text files (or - for standard input), or a text
    /// in quotes, for a model of texts
    #[arg(required = true, value_name = "IMAGE|DIR|FILE|TEXT")]
    images: Vec<PathBuf>,
    /// Show the K most likely classes; of yes-or-no answers, all that are yes are shown
    /// [default: 5]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(1..))]
    top: Option<u16>,
    /// How pictures are prepared [default: as in training]
    #[arg(long, value_enum, value_name = "HOW")]
    prepare: Option<Preparation>,
    /// Save each picture as the net sees it to this folder, as PNG, and contact-sheet.png with all of them, their names
    /// and classes
    #[arg(long, value_name = "DIR")]
    save_prepared: Option<PathBuf>,
    /// For segmentation: the folder for the masks, as PNG with class numbers, in the picture's own size [default:
    /// .]
    #[arg(long, value_name = "DIR")]
    masks: Option<PathBuf>,
    /// For segmentation: the folder for pictures with the classes in colours over them, and a legend
    #[arg(long, value_name = "DIR")]
    overlay: Option<PathBuf>,
    /// For translation: the width of the beam search; 1 takes the most likely token each time [default: 1]
    #[arg(long, value_name = "N")]
    beam: Option<usize>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write the answers as CSV to this file, or to stdout for -, instead of printing them: file, class, probability,
    /// and the next classes up to --top
    #[arg(long, value_name = "FILE|-", conflicts_with = "json")]
    csv: Option<PathBuf>,
}

/// How pictures become a model's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Preparation {
    /// As MNIST digits: light on dark, cropped to the ink, scaled and centred.
    Digits,
    /// Resized as a whole.
    Resize,
    /// Resized, and cropped to the middle.
    Crop,
    /// Resized to fit, and padded with black (letterbox).
    Pad,
    /// Unchanged; they must have the size of the input.
    None,
}

impl Preparation {
    /// How a picture is brought to the model's size.
    fn fit(self) -> Fit {
        match self {
            Preparation::Digits | Preparation::Resize | Preparation::None => Fit::Stretch,
            Preparation::Crop => Fit::Crop,
            Preparation::Pad => Fit::Pad,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct Guess {
    label: String,
    probability: f32,
}

#[derive(Debug, Serialize)]
struct Answer {
    image: String,
    prepared: String,
    label: String,
    probability: f32,
    top: Vec<Guess>,
    /// The answers that are yes, of a model of yes-or-no answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    yes: Option<Vec<String>>,
    /// All of them in their own order, of such a model.
    #[serde(skip)]
    all: Vec<Guess>,
}

impl PredictArgs {
    /// How many classes are shown.
    fn top(&self) -> usize {
        self.top.map_or(5, usize::from)
    }

    /// Refuses options that only mean something for pictures.
    fn refuse_those_of_pictures(&self, model: &Model) -> Result<()> {
        let given = [
            ("--prepare", self.prepare.is_some()),
            ("--save-prepared", self.save_prepared.is_some()),
            ("--masks", self.masks.is_some()),
            ("--overlay", self.overlay.is_some()),
            ("--top", self.top.is_some() && (model.reads_table() || model.translates())),
            ("--csv", self.csv.is_some() && model.translates()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((flag @ ("--top" | "--csv"), _)) => {
                Err(Error::input(format!("{flag}: expected a model that classifies pictures or texts")))
            }
            Some((flag, _)) => Err(Error::input(format!("{flag}: expected a model of pictures"))),
        }
    }
}

/// Predicts and prints; pictures that cannot be read are named, the others answered, and the status is 2.
pub fn run(args: PredictArgs) -> Result<()> {
    let trained = Model::load(&args.file)?;
    if args.beam.is_some() && !trained.model.translates() {
        return Err(Error::input("--beam: a model that translates is expected"));
    }
    if let Some(path) = args.csv.as_ref().filter(|path| path.as_os_str() != "-") {
        check_output(path, "csv")?;
        Inputs::of(args.images.iter().map(PathBuf::as_path)).spare(path)?;
    }
    if trained.model.image().is_err() {
        args.refuse_those_of_pictures(&trained.model)?;
    }
    #[cfg(feature = "csv")]
    if trained.model.reads_table() {
        return table::run(&args, &trained);
    }
    if trained.model.text.is_some() {
        return texts::run(&args, &trained);
    }
    let input = trained.model.image()?;
    let by_pixel = trained.model.is_segmentation()?;
    for (flag, folder) in [("--masks", &args.masks), ("--overlay", &args.overlay)] {
        if folder.is_some() && !by_pixel {
            return Err(Error::input(format!("{flag}: expected a model for segmentation")));
        }
    }
    if by_pixel && args.csv.is_some() {
        return Err(Error::input("--csv: expected a model that classifies pictures; for masks use --json"));
    }
    let how = args.prepare.unwrap_or(match trained.model.preparation() {
        Prepare::Digits if !by_pixel => Preparation::Digits,
        Prepare::Digits | Prepare::Resize => Preparation::Resize,
        Prepare::Crop => Preparation::Crop,
        Prepare::Pad => Preparation::Pad,
    });
    if args.prepare.is_none() && trained.model.prepare.is_none() && !by_pixel {
        let (file, how) = (args.file.display(), if how == Preparation::Digits { "as digits" } else { "by resizing" });
        crate::cli::say(&format!(
            "note: {file} does not say how its training images were prepared; pictures are prepared {how} (--prepare)"
        ));
    }
    let paths = inputs::expanded(&args.images)?;
    let (mut good, bad) = inputs::read_all(&paths, input, how)?;
    if let Some(folder) = &args.save_prepared {
        let given = Inputs::of(paths.iter().map(PathBuf::as_path));
        given.spare(&folder.join(sheet::SHEET))?;
        save(folder, &good, &given)?;
    }
    let mut answers = Vec::new();
    if by_pixel && !good.is_empty() {
        masks::run(&args, &trained, &good, how.fit())?;
        good.clear();
    }
    if !good.is_empty() {
        let (device, _) = args.device.open()?;
        let pixels: Vec<u8> = good.iter().flat_map(|(_, prepared)| &prepared.pixels).copied().collect();
        let all = pollster::block_on(trained.predict_on(&device, &pixels))?;
        for ((path, prepared), probabilities) in good.into_iter().zip(all) {
            let image = path.display().to_string();
            let yes = yes(&trained.model, &probabilities)?;
            let all = if yes.is_some() { guesses(&trained.model, &probabilities) } else { Vec::new() };
            let most = yes.iter().map(Vec::len).fold(args.top(), usize::max);
            let top = best(&trained.model, &probabilities, most);
            match top.first().cloned() {
                Some(Guess { label, probability }) if probability.is_finite() => {
                    answers.push(Answer { image, prepared: prepared.how, label, probability, top, yes, all });
                }
                _ => return Err(Error::failed(format!("{image}: the model's probabilities are not finite"))),
            }
        }
        if let Some(folder) = &args.save_prepared {
            let sheet = sheet::write(folder, &trained.model, &pixels, &answers)?;
            crate::cli::say(&format!("saved {}", sheet.display()));
        }
    }
    match &args.csv {
        _ if by_pixel => {}
        Some(path) => rows::put(path, &rows::of_pictures(&answers)?, answers.len())?,
        None if args.json => {
            print(&(serde_json::to_string(&answers).map_err(|e| Error::failed(format!("predict: {e}")))? + "\n"))?;
        }
        None => print(&answers.iter().map(text).collect::<String>())?,
    }
    bad.iter().for_each(|why| crate::cli::say(&format!("error: {why}")));
    match bad.len() {
        0 => Ok(()),
        some => Err(Error::input(format!("{some} of {} could not be used", counted(paths.len(), "picture")))),
    }
}

/// Writes the inputs under the names of their pictures; of those that have the same, all but the first get a number.
///
/// # Errors
/// [`Error::Input`] before anything is written, for a picture that would be overwritten and is not one that was prepared so.
fn save(folder: &Path, inputs: &[(&PathBuf, Prepared)], given: &Inputs) -> Result<()> {
    let place = folder.display();
    std::fs::create_dir_all(folder).map_err(|e| Error::input(format!("{place}: cannot be created: {e}")))?;
    let files: Vec<PathBuf> = names(inputs).into_iter().map(|name| folder.join(name + ".png")).collect();
    for (file, (_, prepared)) in files.iter().zip(inputs) {
        given.spare(file)?;
        if let Some([height, width]) = Picture::size(file).ok().filter(|size| *size != prepared.shape[..2]) {
            let found = format!("found a picture of {width}×{height}, which would be overwritten");
            return Err(Error::input(format!("{}: {found}; expected another folder", file.display())));
        }
    }
    for (file, (_, prepared)) in files.iter().zip(inputs) {
        write_whole(file, &prepared.to_png()?)?;
    }
    Ok(())
}

/// A name for each picture, of its own.
fn names(inputs: &[(&PathBuf, Prepared)]) -> Vec<String> {
    let mut taken = HashSet::new();
    let name = |(path, _): &(&PathBuf, Prepared)| {
        let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let mut names = std::iter::once(stem.clone()).chain((2..).map(|n| format!("{stem}-{n}")));
        names.find(|name| taken.insert(name.clone())).unwrap_or(stem)
    };
    inputs.iter().map(name).collect()
}

/// The answers that are yes, of a model that gives several.
fn yes(model: &Model, probabilities: &[f32]) -> Result<Option<Vec<String>>> {
    if model.task != Task::Answers || probabilities.len() > model.classes()? {
        return Ok(None);
    }
    let yes = probabilities.iter().enumerate().filter(|(_, probability)| **probability > 0.5);
    Ok(Some(yes.map(|(answer, _)| model.answer_name(answer)).collect()))
}

/// Every class, or every answer, with its probability, in their own order.
fn guesses(model: &Model, probabilities: &[f32]) -> Vec<Guess> {
    let name = |class| if probabilities.len() == 1 { model.answer_name(class) } else { model.class_name(class) };
    probabilities
        .iter()
        .enumerate()
        .map(|(n, probability)| Guess { label: name(n), probability: *probability })
        .collect()
}

/// The most likely classes, the most likely first.
fn best(model: &Model, probabilities: &[f32], most: usize) -> Vec<Guess> {
    let mut order = guesses(model, probabilities);
    order.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    order.truncate(most);
    order
}

fn text(answer: &Answer) -> String {
    let share = |guess: &Guess| format!("{} ({:.2} %)", guess.label, f64::from(guess.probability) * 100.0);
    let Answer { image, prepared, top, yes, .. } = answer;
    let shares: Vec<String> = top.iter().map(share).collect();
    let yes = yes.as_ref().map_or(String::new(), |yes| match &yes[..] {
        [] => "  yes: none\n".into(),
        yes => format!("  yes: {}\n", yes.join(", ")),
    });
    format!("{image}: {}\n{yes}  prepared: {prepared}\n", shares.join(", "))
}
