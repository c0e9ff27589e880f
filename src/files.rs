//! Atomic file writes: a file is written under another name, flushed to the disk, then renamed.

use crate::error::{Error, Result};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Writes a file atomically, replacing an older one of that name.
///
/// Other threads and processes may write the same file: the last one to finish wins. A process that is killed leaves
/// the older file as it was, and beside it at most one file whose name ends in `.tmp`.
///
/// # Errors
/// [`Error::Input`] if no file can be created there, or where it would replace a device or a pipe;
/// [`Error::Failed`] if it cannot be completed. The older file is still there, and whole.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    Unfinished::beside(path, bytes)?.replace(path)
}

/// Refuses to replace a file of another kind, which the option was hardly meant for: an existing one whose name does not end in
/// `.ENDING`.
///
/// # Errors
/// [`Error::Input`] that names the file.
pub fn check_output(path: &Path, ending: &str) -> Result<()> {
    let fits = path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
    if path.is_file() && !fits {
        let shown = path.display();
        return Err(Error::input(format!(
            "{shown}: found a file that is no .{ending}, which would be overwritten; expected a new file, or a .{ending} file"
        )));
    }
    Ok(())
}

/// The fixed name under which the sole writer of a file writes it before it is whole.
pub fn beside(path: &Path) -> PathBuf {
    with_suffix(path, ".tmp")
}

/// A file that is on the disk, but not yet under its own name. It is removed where it never gets that name.
#[derive(Debug)]
pub struct Unfinished {
    at: PathBuf,
    placed: bool,
}

impl Unfinished {
    /// Writes a file for `path`, under a name that no other writer has.
    ///
    /// # Errors
    /// As [`write_whole`].
    pub fn beside(path: &Path, bytes: &[u8]) -> Result<Unfinished> {
        static WRITES: AtomicU32 = AtomicU32::new(0);
        if fs::metadata(path).is_ok_and(|known| !known.is_file() && !known.is_dir()) {
            return Err(Error::input(format!("{}: found a device or a pipe, expected a file", path.display())));
        }
        loop {
            let suffix = format!(".{}-{}.tmp", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed));
            let at = with_suffix(path, &suffix);
            match File::options().write(true).create_new(true).open(&at) {
                // A killed process of the same number left it.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(not_created(path, &error)),
                Ok(file) => return Unfinished { at, placed: false }.fill(file, path, bytes),
            }
        }
    }

    /// Writes a file of that very name, for a writer that knows itself to be the only one: the file that a killed
    /// process left under this name is overwritten.
    ///
    /// # Errors
    /// [`Error::Input`] if it cannot be created, [`Error::Failed`] if it cannot be completed.
    pub fn at(at: &Path, bytes: &[u8]) -> Result<Unfinished> {
        let file = File::create(at).map_err(|error| not_created(at, &error))?;
        Unfinished { at: at.into(), placed: false }.fill(file, at, bytes)
    }

    /// Gives the file its own name, whatever file had that name before.
    ///
    /// # Errors
    /// [`Error::Failed`] if the name cannot be given.
    pub fn replace(mut self, path: &Path) -> Result<()> {
        fs::rename(&self.at, path).map_err(|error| not_written(path, &error))?;
        self.placed = true;
        Ok(())
    }

    fn fill(self, mut file: File, named: &Path, bytes: &[u8]) -> Result<Unfinished> {
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.map(|()| self).map_err(|error| not_written(named, &error))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.placed {
            // Half a file is of no use and takes space; that it stays is no further error.
            let _ = fs::remove_file(&self.at);
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn not_created(path: &Path, error: &io::Error) -> Error {
    Error::input(format!("{}: cannot be created: {error}", path.display()))
}

fn not_written(path: &Path, error: &io::Error) -> Error {
    Error::failed(format!("{}: cannot be written: {error}", path.display()))
}
