//! A data set repeated many times, each copy changed a little: data of any size for experiments.

use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::files::Unfinished;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Images are shifted by up to this many pixels in each direction.
const MOST: isize = 3;
/// Different moves.
const MOVES: usize = (2 * MOST as usize + 1).pow(2);
/// After this many rounds of shifts, the copies repeat.
const ROUNDS: usize = 16;

/// Writes four IDX files into `folder`: `times` copies of the training images one after the other, the first as they
/// are, and the test images once. Copy by copy, so that memory does not grow with their number.
///
/// # Errors
/// [`Error::Input`] for images of several channels, a number that IDX cannot hold, and a folder that has such files or
/// cannot be written.
pub fn write(data: &Dataset, times: u32, folder: &Path) -> Result<()> {
    let (train, test) = (&data.train, &data.test);
    let count = u32::try_from(train.count).ok().and_then(|count| count.checked_mul(times)).filter(|count| *count > 0);
    let count = count.ok_or_else(|| {
        Error::input(format!("{times} times {} images: 1 to {} are expected in all", train.count, u32::MAX))
    })?;
    if train.shape()[2] != 1 {
        return Err(Error::input(format!("images of {} channels: 1 is expected in IDX files", train.shape()[2])));
    }
    if train.positions() > 1 || data.classes > 256 {
        return Err(Error::input("a class of 0 to 255 for each image is expected in IDX files"));
    }
    fs::create_dir_all(folder).map_err(|e| Error::input(format!("{}: {e}", folder.display())))?;
    images(&folder.join("train-images-idx3-ubyte"), train, count, times)?;
    labels(&folder.join("train-labels-idx1-ubyte"), train, count, times)?;
    images(&folder.join("t10k-images-idx3-ubyte"), test, test.count as u32, 1)?;
    labels(&folder.join("t10k-labels-idx1-ubyte"), test, test.count as u32, 1)
}

fn images(path: &Path, split: &Split, count: u32, times: u32) -> Result<()> {
    let [height, width, _] = split.shape();
    let sizes = [count, height as u32, width as u32];
    file(path, 0x803, &sizes, |out| {
        for copy in 0..times as usize {
            for part in split.parts() {
                let (_, mut pixels) = part?;
                if copy > 0 {
                    pixels = pixels.chunks(split.image_bytes()).flat_map(|image| changed(split, image, copy)).collect();
                }
                out(&pixels)?;
            }
        }
        Ok(())
    })
}

fn labels(path: &Path, split: &Split, count: u32, times: u32) -> Result<()> {
    file(path, 0x801, &[count], |out| {
        let labels: Vec<u8> = split.each_label().map(|label| label as u8).collect();
        (0..times).try_for_each(|_| out(&labels))
    })
}

/// An image of the copy of that number, from 1: moved, and paler in every round of moves.
fn changed(split: &Split, image: &[u8], copy: usize) -> Vec<u8> {
    let [height, width, _] = split.shape().map(|side| side as isize);
    // The middle one of the moves is none.
    let (at, side) = ((copy + MOVES / 2) % MOVES, 2 * MOST + 1);
    let (down, right) = (at as isize / side - MOST, at as isize % side - MOST);
    let paler = copy / MOVES % ROUNDS;
    let pixel = |place: isize| {
        let (y, x) = (place / width - down, place % width - right);
        let inside = (0..height).contains(&y) && (0..width).contains(&x);
        let value = if inside { usize::from(image[(y * width + x) as usize]) } else { 0 };
        (value - value * paler / (2 * ROUNDS)) as u8
    };
    (0..height * width).map(pixel).collect()
}

/// A new file with an IDX header, and what `fill` puts out.
fn file(
    path: &Path,
    magic: u32,
    sizes: &[u32],
    fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
) -> Result<()> {
    let fault = |e: std::io::Error| Error::input(format!("{} cannot be written: {e}", path.display()));
    if path.symlink_metadata().is_ok() {
        return Err(Error::input(format!("{}: it exists, expected a folder without such files", path.display())));
    }
    let (unfinished, file) = Unfinished::begun(path)?;
    let mut out = BufWriter::new(file);
    for word in [&[magic], sizes].concat() {
        out.write_all(&word.to_be_bytes()).map_err(fault)?;
    }
    fill(&mut |bytes| out.write_all(bytes).map_err(fault))?;
    out.flush().map_err(fault)?;
    out.get_ref().sync_all().map_err(fault)?;
    unfinished.replace(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_follow_one_another_each_changed_in_its_way() {
        let split = Split::new([4, 5, 1], (0..60).collect(), vec![2u8, 0, 1]).unwrap();
        let place = tempfile::tempdir().unwrap();
        let data = Dataset::new("s", split.clone(), split.clone()).unwrap();
        write(&data, 60, place.path()).unwrap();
        let found = Dataset::open(place.path().to_str().unwrap()).unwrap();
        assert_eq!((found.train.count, &found.test), (180, &split));
        assert_eq!(found.train.labels(), [2, 0, 1].repeat(60));
        let copies: Vec<&[u8]> = found.train.pixels().chunks(60).collect();
        assert_eq!(copies[0], split.pixels());
        // A move to the right by one, then all moves again but paler.
        assert_eq!(copies[1][..6], [0, 0, 1, 2, 3, 0]);
        assert_eq!(copies[49][59], 59 - 59 / 32);
        let apart: std::collections::HashSet<&[u8]> = copies.iter().copied().collect();
        assert_eq!(apart.len(), 60);
        assert!(
            write(&data, 2, place.path()).unwrap_err().to_string().contains("train-images"),
            "nothing is overwritten"
        );
        assert!(write(&data, 0, place.path()).is_err() && write(&data, u32::MAX, place.path()).is_err());
    }
}
