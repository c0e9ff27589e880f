//! `wgrad data make`: generated data sets, with the same bytes for the same options.

use crate::data::made::repeated;
use crate::data::made::scenes::{self, Scenes};
use crate::data::{BUILT_IN, Dataset};
use crate::error::{Error, Result};
use crate::files::write_whole;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Make a data set
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wgrad data make segmentation --out scenes")]
pub struct MakeArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Segmentation(SegmentationArgs),
    Repeated(RepeatedArgs),
}

/// MNIST digits at random places on a canvas, with a class for each pixel, as NumPy arrays or pictures
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  wgrad data make segmentation --out scenes\n  wgrad train --model unet-small --data scenes"
)]
struct SegmentationArgs {
    /// The folder to write, which must be new or empty
    #[arg(long, value_name = "DIR", default_value = "segmentation")]
    out: PathBuf,
    /// Random seed
    #[arg(long, value_name = "N", default_value_t = Scenes::default().seed)]
    seed: u64,
    /// Training images
    #[arg(long, value_name = "N", default_value_t = Scenes::default().train)]
    train: usize,
    /// Test images
    #[arg(long, value_name = "N", default_value_t = Scenes::default().test)]
    test: usize,
    /// Height and width of an image
    #[arg(long, value_name = "N", default_value_t = Scenes::default().size)]
    size: usize,
    /// Digits per image: a number or a range
    #[arg(long, value_name = "N-M", default_value = "1-4", value_parser = range)]
    digits: [usize; 2],
    /// Write pictures with masks, images/ and masks/ as PNG, instead of NumPy arrays
    #[arg(long)]
    pictures: bool,
}

/// MNIST's training images repeated N times, each copy shifted a little, with the test images once, as IDX files
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wgrad data make repeated --times 10 --out mnist10")]
struct RepeatedArgs {
    /// Copies of each training image
    #[arg(long, value_name = "N")]
    times: u32,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Makes and writes.
pub fn run(args: &MakeArgs) -> Result<()> {
    match &args.what {
        What::Segmentation(args) => segmentation(args),
        What::Repeated(RepeatedArgs { times, out }) => {
            repeated::write(&Dataset::open(BUILT_IN)?, *times, out)?;
            eprintln!("saved {}: the training images {times} times, and the test images", out.display());
            Ok(())
        }
    }
}

fn segmentation(args: &SegmentationArgs) -> Result<()> {
    let out = &args.out;
    let fault = |e: std::io::Error| Error::input(format!("{}: {e}", out.display()));
    match std::fs::read_dir(out).map(|mut entries| entries.next().is_some()) {
        Ok(true) => return Err(Error::input(format!("{}: it is not empty, expected a new folder", out.display()))),
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fault(e)),
        _ => {}
    }
    let [least, most] = args.digits;
    let scenes = Scenes { seed: args.seed, train: args.train, test: args.test, size: args.size, digits: least..=most };
    let files = match args.pictures {
        true => scenes::pictures(&scenes)?,
        false => scenes.files()?.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect(),
    };
    std::fs::create_dir_all(out).map_err(fault)?;
    for (name, bytes) in files {
        let path = out.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(fault)?;
        }
        write_whole(&path, &bytes)?;
    }
    let SegmentationArgs { train, test, size, .. } = args;
    eprintln!("saved {}: {train} images to train on and {test} to test on, of {size}×{size}", out.display());
    Ok(())
}

/// `3`, or `1-4`.
fn range(text: &str) -> Result<[usize; 2], String> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    match (least.parse(), most.parse()) {
        (Ok(least), Ok(most)) if least > 0 && least <= most => Ok([least, most]),
        _ => Err("expected a number of digits, or a range such as 1-4".into()),
    }
}
