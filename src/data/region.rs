//! Pixels that stay in their file: read when they are needed, so that memory does not grow with the data.

use crate::error::{Error, Result};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The images of a split in a file, contiguous, from `start` on.
#[derive(Clone, Debug)]
pub struct Region {
    file: Arc<File>,
    path: PathBuf,
    start: u64,
    /// Height and width of images that lie on their sides in the file.
    turned: Option<[usize; 2]>,
    /// The images that there are, by their numbers in the file, and the bytes of one; all if there is none.
    chosen: Option<(Arc<[usize]>, usize)>,
}

impl PartialEq for Region {
    /// The same place of the same file.
    fn eq(&self, other: &Region) -> bool {
        (&self.path, self.start, self.turned, &self.chosen) == (&other.path, other.start, other.turned, &other.chosen)
    }
}

impl Eq for Region {}

impl Region {
    /// The bytes of an open file from `start` on, whose length has been checked.
    pub(super) fn new(file: File, path: &Path, start: u64) -> Region {
        Region { file: Arc::new(file), path: path.to_owned(), start, turned: None, chosen: None }
    }

    /// Says that rows and columns of each image, [height, width] in the file, are to change places.
    pub(super) fn turn(&mut self, shape: [usize; 2]) {
        self.turned = Some(shape);
    }

    /// Some of the images of `size` bytes, by their numbers in ascending order.
    pub(super) fn chosen(&self, members: &[usize], size: usize) -> Region {
        let of_file = |&at: &usize| self.chosen.as_ref().map_or(at, |(before, _)| before[at]);
        Region { chosen: Some((members.iter().map(of_file).collect(), size)), ..self.clone() }
    }

    /// Fills `images`, whole images, from byte `at` of the region on, which is the start of an image.
    ///
    /// # Errors
    /// [`Error::Input`] if the file can no longer be read, or has become shorter.
    pub(super) fn read(&self, at: u64, images: &mut [u8]) -> Result<()> {
        let filled = match &self.chosen {
            None => read_at(&self.file, self.start + at, images),
            Some((members, size)) => {
                let members = &members[(at / *size as u64) as usize..][..images.len() / size];
                // Neighbours are read together.
                let mut left = &mut images[..];
                members.chunk_by(|a, b| a + 1 == *b).try_for_each(|run| {
                    let (here, rest) = std::mem::take(&mut left).split_at_mut(run.len() * size);
                    left = rest;
                    read_at(&self.file, self.start + run[0] as u64 * *size as u64, here)
                })
            }
        };
        filled.map_err(|e| {
            let shown = self.path.display();
            match e.kind() {
                io::ErrorKind::UnexpectedEof => {
                    Error::input(format!("{shown} changed while it was in use: it has become shorter"))
                }
                _ => Error::input(format!("{shown} cannot be read: {e}")),
            }
        })?;
        if let Some(shape) = self.turned {
            turn(shape, images);
        }
        Ok(())
    }
}

/// Rows of each image [height, width] become columns.
pub(super) fn turn([height, width]: [usize; 2], images: &mut [u8]) {
    let mut turned = vec![0; height * width];
    for image in images.chunks_exact_mut(height * width) {
        for (at, value) in turned.iter_mut().enumerate() {
            *value = image[(at % height) * width + at / height];
        }
        image.copy_from_slice(&turned);
    }
}

/// Fills `bytes` from a place of the file; its own position is of no matter.
#[cfg(unix)]
fn read_at(file: &File, at: u64, bytes: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut at: u64, mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => (bytes, at) = (&mut bytes[count..], at + count as u64),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
fn read_at(mut file: &File, at: u64, bytes: &mut [u8]) -> io::Result<()> {
    use std::io::{Read, Seek};
    file.seek(io::SeekFrom::Start(at))?;
    file.read_exact(bytes)
}
