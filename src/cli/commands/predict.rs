//! `wgrad predict`: what a stored model makes of pictures.

use crate::cli::{DeviceArgs, print};
use crate::data::pictures::mask;
use crate::data::pictures::picture::Picture;
use crate::data::pictures::prepare::{Prepared, prepare, whole};
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::model::Model;
use crate::train::predict::{Predictor, TrainedModel};
use clap::Args;
use serde::Serialize;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Say what a stored model sees in pictures
#[derive(Debug, Args)]
#[command(after_help = "\
Pictures may be PNG, JPEG, GIF, BMP, WebP, TIFF, PNM, ICO or QOI, of any size. For a model of one channel each is \
prepared as MNIST's digits are: grey, dark on light turned round, cropped, scaled and centred.

Examples:
  wgrad predict runs/mnist-cnn/1/model.safetensors photo.jpg
  wgrad predict runs/mnist-cnn/1/model.safetensors *.png --json --top 2
  wgrad predict runs/unet-small/1/model.safetensors scene.png --masks masks")]
pub struct PredictArgs {
    /// The weights, as wgrad wrote them
    file: PathBuf,
    /// The pictures
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// How many of the likeliest classes are told
    #[arg(long, default_value_t = 3, value_name = "K", value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Write each picture as the net is given it into this folder, as PNG
    #[arg(long, value_name = "DIR")]
    save_prepared: Option<PathBuf>,
    /// Of a model that tells the class of each pixel: the folder that its masks are written into, as PNG [default: .]
    #[arg(long, value_name = "DIR")]
    masks: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print JSON alone
    #[arg(long)]
    json: bool,
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
}

/// Predicts and prints; pictures that cannot be read are named, the others answered, and the status is 2.
pub fn run(args: PredictArgs) -> Result<()> {
    let trained = Model::load(&args.file)?;
    let by_pixel = trained.model.is_segmentation()?;
    if args.masks.is_some() && !by_pixel {
        return Err(Error::input("--masks: a model that tells the class of each pixel is expected"));
    }
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for path in &args.images {
        match read(path, trained.model.input, by_pixel) {
            Ok(prepared) => good.push((path, prepared)),
            Err(Error::Input(why)) => bad.push(why),
            Err(error) => return Err(error),
        }
    }
    if let Some(folder) = &args.save_prepared {
        save(folder, &good)?;
    }
    let mut answers = Vec::new();
    if by_pixel && !good.is_empty() {
        masks(&args, &trained, &good)?;
        good.clear();
    }
    if !good.is_empty() {
        let (device, _) = args.device.open()?;
        let pixels: Vec<u8> = good.iter().flat_map(|(_, prepared)| &prepared.pixels).copied().collect();
        let all = pollster::block_on(trained.predict_on(&device, &pixels))?;
        for ((path, prepared), probabilities) in good.into_iter().zip(all) {
            let image = path.display().to_string();
            let top = best(&trained.model, &probabilities, usize::from(args.top));
            match top.first().cloned() {
                Some(Guess { label, probability }) if probability.is_finite() => {
                    answers.push(Answer { image, prepared: prepared.how, label, probability, top });
                }
                _ => return Err(Error::failed(format!("{image}: the model's probabilities are no finite numbers"))),
            }
        }
    }
    print(&match args.json {
        _ if by_pixel => String::new(),
        true => serde_json::to_string(&answers).map_err(|e| Error::failed(format!("predict: {e}")))? + "\n",
        false => answers.iter().map(text).collect(),
    })?;
    bad.iter().for_each(|why| eprintln!("error: {why}"));
    match bad.len() {
        0 => Ok(()),
        some => Err(Error::input(format!("{some} of {} pictures could not be used", args.images.len()))),
    }
}

/// Writes the class of each pixel, and says how much of a picture is of which.
fn masks(args: &PredictArgs, trained: &TrainedModel, inputs: &[(&PathBuf, Prepared)]) -> Result<()> {
    let (device, _) = args.device.open()?;
    let model = &trained.model;
    let pixels: Vec<u8> = inputs.iter().flat_map(|(_, prepared)| &prepared.pixels).copied().collect();
    let found = pollster::block_on(Predictor::new(&device, trained, inputs.len().min(32))?.masks(&pixels))?;
    let folder = args.masks.clone().unwrap_or_else(|| ".".into());
    std::fs::create_dir_all(&folder)
        .map_err(|e| Error::input(format!("{}: cannot be created: {e}", folder.display())))?;
    let (mut lines, mut answers) = (String::new(), Vec::new());
    for (((path, _), name), classes) in inputs.iter().zip(names(inputs)).zip(found) {
        let file = folder.join(name + "-mask.png");
        write_whole(&file, &mask::png(&classes, [model.input[0], model.input[1]])?)?;
        let mut counts = [0usize; 256];
        classes.iter().for_each(|class| counts[usize::from(*class)] += 1);
        let share = |class: usize| counts[class] as f64 / classes.len() as f64;
        let present: Vec<usize> = (0..256).filter(|class| counts[*class] > 0).collect();
        let shares =
            present.iter().map(|&class| format!("{} ({:.2} %)", model.class_name(class), 100.0 * share(class)));
        lines += &format!("{}: {}\n", file.display(), shares.collect::<Vec<_>>().join(", "));
        let shares: Vec<_> = present
            .iter()
            .map(|&class| serde_json::json!({ "label": model.class_name(class), "share": share(class) }))
            .collect();
        answers.push(serde_json::json!({ "image": path, "mask": file, "classes": shares }));
    }
    print(&if args.json { format!("{}\n", serde_json::Value::from(answers)) } else { lines })
}

fn read(path: &Path, input: [usize; 3], by_pixel: bool) -> Result<Prepared> {
    let picture = Picture::open(path)?;
    let prepare = if by_pixel { whole } else { prepare };
    prepare(&picture, input).map_err(|e| crate::error::in_context(&path.display().to_string(), e))
}

/// Writes the inputs under the names of their pictures; of those that have the same, all but the first get a number.
fn save(folder: &Path, inputs: &[(&PathBuf, Prepared)]) -> Result<()> {
    let place = folder.display();
    std::fs::create_dir_all(folder).map_err(|e| Error::input(format!("{place}: cannot be created: {e}")))?;
    for ((_, prepared), name) in inputs.iter().zip(names(inputs)) {
        write_whole(&folder.join(name + ".png"), &prepared.to_png()?)?;
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

/// The likeliest classes, the likeliest first.
fn best(model: &Model, probabilities: &[f32], most: usize) -> Vec<Guess> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
    let guess = |class: usize| Guess { label: model.class_name(class), probability: probabilities[class] };
    order.into_iter().take(most).map(guess).collect()
}

fn text(answer: &Answer) -> String {
    let share = |guess: &Guess| format!("{} ({:.2} %)", guess.label, f64::from(guess.probability) * 100.0);
    let Answer { image, prepared, top, .. } = answer;
    let shares: Vec<String> = top.iter().map(share).collect();
    format!("{image}: {}\n  prepared: {prepared}\n", shares.join(", "))
}
