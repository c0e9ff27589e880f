//! `wgrad data make`: generated data sets, with the same bytes for the same options.

use crate::data::made::repeated;
use crate::data::made::scenes::{self, Scenes};
use crate::data::{BUILT_IN, Dataset};
use crate::error::{Error, Result};
use crate::files::write_whole;
#[cfg(feature = "subwords")]
use crate::{data::formats::text::training_text, text::Tokenizer};
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
    #[cfg(feature = "subwords")]
    Tokenizer(TokenizerArgs),
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

/// A tokenizer.json: a byte-level BPE with GPT-2's pattern, trained on a text
///
/// Of a single file it reads what `wgrad train` trains on, without the last tenth.
#[cfg(feature = "subwords")]
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  wgrad data make tokenizer shakespeare.txt --size 1000\n  wgrad train --model char-rnn --data shakespeare.txt \
--tokenizer tokenizer.json"
)]
struct TokenizerArgs {
    /// A text, or a folder with train.txt
    #[arg(value_name = "FILE.txt|DIR")]
    text: PathBuf,
    /// The maximum number of tokens: 256 bytes, subwords, and one between documents
    #[arg(long, alias = "vocab-size", value_name = "N")]
    size: usize,
    /// The file to write, which must be new
    #[arg(long, value_name = "FILE", default_value = "tokenizer.json")]
    out: PathBuf,
}

/// Makes and writes.
pub fn run(args: &MakeArgs) -> Result<()> {
    match &args.what {
        What::Segmentation(args) => segmentation(args),
        #[cfg(feature = "subwords")]
        What::Tokenizer(args) => tokenizer(args),
        What::Repeated(RepeatedArgs { times, out }) => {
            repeated::write(&Dataset::open(BUILT_IN)?, *times, out)?;
            crate::cli::say(&format!(
                "saved {}: the training images {times} times, and the test images",
                out.display()
            ));
            Ok(())
        }
    }
}

/// Trains a tokenizer, writes it, and tells how well it does on its own text.
#[cfg(feature = "subwords")]
fn tokenizer(TokenizerArgs { text, size, out }: &TokenizerArgs) -> Result<()> {
    if out.symlink_metadata().is_ok() {
        return Err(Error::input(format!("{}: it exists, expected the name of a new file", out.display())));
    }
    let (text, notices) = training_text(text)?;
    notices.iter().for_each(|notice| crate::cli::say(&format!("note: {notice}")));
    write_whole(out, Tokenizer::train(&text, *size)?.as_bytes())?;
    let made = Tokenizer::open(out)?;
    let (found, tokens) = (made.tokens().len(), made.encode(&text).len());
    if found < *size {
        crate::cli::say(&format!("note: found {found} tokens, fewer than {size}: no other pair is twice in the text"));
    }
    let share = tokens as f64 / text.len() as f64;
    let (bytes, out) = (text.len(), out.display());
    crate::cli::say(&format!(
        "saved {out}: {found} tokens; the text's {bytes} bytes are {tokens} tokens, {share:.3} per byte"
    ));
    Ok(())
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
    crate::cli::say(&format!(
        "saved {}: {train} images to train on and {test} to test on, of {size}×{size}",
        out.display()
    ));
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
