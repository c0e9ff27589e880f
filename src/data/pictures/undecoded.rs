//! Pictures that stay in their files: decoded when they are needed, so that memory does not grow with their number.

use crate::data::Fit;
use crate::data::formats::pictures::{CHANNELS, grey};
use crate::data::pictures::picture::Picture;
use crate::data::pictures::prepare::fitted;
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file, and the CRC-32 of its pixels as they were first decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    path: PathBuf,
    crc: u32,
}

/// Pictures of one size in files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecoded {
    files: Arc<[File]>,
    shape: [usize; 3],
    fit: Fit,
}

/// What was found of a picture as it was decoded for the first time; its pixels are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) struct Seen {
    /// The CRC-32 of its colours, and of what becomes of them in grey.
    crc: [u32; 2],
    /// Whether it is grey throughout.
    pub(in crate::data) is_grey: bool,
    /// The largest value, where a channel has 16 bits.
    pub(in crate::data) deep: Option<u16>,
}

/// A picture as RGB, [height, width, 3], and the largest value, where a channel has 16 bits.
///
/// # Errors
/// [`Error::Input`] that names the file.
pub(in crate::data) fn open(path: &Path, [height, width]: [usize; 2], fit: Fit) -> Result<(Vec<u8>, Option<u16>)> {
    let picture = Picture::open(path)?;
    Ok((fitted(&picture, [height, width, CHANNELS], fit)?.pixels, picture.deep()))
}

/// Decodes a picture to see what it is.
///
/// # Errors
/// As [`open`].
pub(in crate::data) fn look(path: &Path, size: [usize; 2], fit: Fit) -> Result<Seen> {
    let (mut pixels, deep) = open(path, size, fit)?;
    let is_grey = pixels.chunks_exact(CHANNELS).all(|p| p[0] == p[1] && p[1] == p[2]);
    let of_colours = crc32fast::hash(&pixels);
    grey(&mut pixels);
    Ok(Seen { crc: [of_colours, crc32fast::hash(&pixels)], is_grey, deep })
}

impl Undecoded {
    /// Pictures that were seen, as images of `shape`, of one channel or three.
    pub(in crate::data) fn new(seen: Vec<(PathBuf, Seen)>, shape: [usize; 3], fit: Fit) -> Undecoded {
        let file = |(path, seen): (PathBuf, Seen)| File { path, crc: seen.crc[usize::from(shape[2] == 1)] };
        Undecoded { files: seen.into_iter().map(file).collect(), shape, fit }
    }

    /// Bytes of an image.
    fn bytes(&self) -> usize {
        self.shape.iter().product()
    }

    /// The pixels of some images, on all cores.
    ///
    /// # Errors
    /// [`Error::Input`] that names a file that is gone, or has another picture than it had.
    pub(in crate::data) fn read(&self, images: &[usize]) -> Result<Vec<u8>> {
        let (mut all, each) = (vec![0; images.len() * self.bytes()], self.bytes().max(1));
        let read = |(place, at): (&mut [u8], &usize)| {
            place.copy_from_slice(&self.one(*at)?);
            Ok(())
        };
        all.par_chunks_mut(each).zip(images).try_for_each(read)?;
        Ok(all)
    }

    fn one(&self, at: usize) -> Result<Vec<u8>> {
        let [height, width, channels] = self.shape;
        let File { path, crc } = &self.files[at];
        let (mut pixels, _) = open(path, [height, width], self.fit)?;
        if channels == 1 {
            grey(&mut pixels);
        }
        match crc32fast::hash(&pixels) == *crc {
            true => Ok(pixels),
            false => {
                Err(Error::input(format!("{}: changed while it was in use: found another picture", path.display())))
            }
        }
    }

    /// Some of the images, by their numbers.
    pub(in crate::data) fn chosen(&self, members: &[usize]) -> Undecoded {
        Undecoded { files: members.iter().map(|&at| self.files[at].clone()).collect(), ..self.clone() }
    }

    /// Adds the pixels of the first images to a CRC-32; nothing is decoded.
    pub(in crate::data) fn add_to(&self, crc: &mut crc32fast::Hasher, count: usize) {
        for File { crc: of_image, .. } in &self.files[..count] {
            crc.combine(&crc32fast::Hasher::new_with_initial_len(*of_image, self.bytes() as u64));
        }
    }
}
