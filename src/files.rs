//! Files: reads of regular files only, and atomic writes under another name, flushed to the disk, then renamed.

use crate::error::{Error, Result};
use std::borrow::Cow;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Opens a regular file to read.
///
/// # Errors
/// Where it cannot be opened, and for what is no regular file: to open a pipe is to wait for its writer, and a device may have
/// no end.
pub fn open(path: &Path) -> io::Result<File> {
    // Asked before it is opened, since opening may wait already.
    let found = fs::metadata(path)?;
    match (found.is_file(), found.is_dir()) {
        (true, _) => File::open(path),
        (false, true) => Err(io::Error::other("found a folder, expected a file")),
        (false, false) => Err(io::Error::other("found a pipe or a device, expected a regular file")),
    }
}

/// The bytes of a regular file that has at most `most`.
///
/// # Errors
/// As [`open`], and for a larger file.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // The bound holds for what is read, since a file may grow.
    open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(io::Error::other(format!("found more than {most} bytes, expected at most {most}"))),
        false => Ok(bytes),
    }
}

/// The text of a regular file that has at most `most` bytes.
///
/// # Errors
/// As [`read`], and for bytes that are not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?).map_err(|e| io::Error::other(e.utf8_error()))
}

/// Writes a file atomically, replacing an older one of that name.
///
/// Other threads and processes may write the same file: the last one to finish wins. A process that is killed leaves
/// the older file as it was, and beside it at most one file whose name ends in `.tmp`.
///
/// # Errors
/// [`Error::Input`] if no file can be created there, or where it would replace a device or a pipe;
/// [`Error::Failed`] if it cannot be completed. The older file is still there, and whole.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let target = followed(path)?;
    Unfinished::beside(&target, bytes)?.replace(&target)
}

/// The file that a link leads to, which is written in place of the link.
fn followed(path: &Path) -> Result<Cow<'_, Path>> {
    match fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        false => Ok(path.into()),
        true => match fs::canonicalize(path) {
            Ok(target) => Ok(Cow::Owned(target)),
            // A link of the system to an open pipe.
            Err(_) if path.exists() => Ok(path.into()),
            Err(error) => Err(Error::input(format!("{}: found a link that leads nowhere: {error}", path.display()))),
        },
    }
}

/// Refuses to replace a file of another kind, which the option was hardly meant for: an existing one whose name does not end in
/// `.ENDING`.
///
/// # Errors
/// [`Error::Input`] that names the file.
pub fn check_output(path: &Path, ending: &str) -> Result<()> {
    // What a link leads to is what would be replaced.
    let target = path.canonicalize().unwrap_or_else(|_| path.into());
    let fits = target.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
    if target.is_file() && !fits {
        let shown = path.display();
        return Err(Error::input(format!(
            "{shown}: found a file that is no .{ending}, which would be overwritten; expected a new file, or a .{ending} file"
        )));
    }
    Ok(())
}

/// Files that a command reads, which no output of it may replace.
#[derive(Debug)]
pub struct Inputs(HashSet<PathBuf>);

impl Inputs {
    /// These files, under whatever names they are called.
    pub fn of<'a>(files: impl IntoIterator<Item = &'a Path>) -> Inputs {
        Inputs(files.into_iter().filter_map(|file| file.canonicalize().ok()).collect())
    }

    /// Refuses to write to one of them.
    ///
    /// # Errors
    /// [`Error::Input`] that names it.
    pub fn spare(&self, output: &Path) -> Result<()> {
        match output.canonicalize().is_ok_and(|output| self.0.contains(&output)) {
            false => Ok(()),
            true => Err(Error::input(format!(
                "{}: found a file that this command reads, which would be overwritten; expected another name",
                output.display()
            ))),
        }
    }
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
        let (unfinished, file) = Unfinished::begun(path)?;
        unfinished.fill(file, path, bytes)
    }

    /// An empty file for `path`, open to be written, under a name that no other writer has.
    ///
    /// # Errors
    /// As [`write_whole`].
    pub fn begun(path: &Path) -> Result<(Unfinished, File)> {
        static WRITES: AtomicU32 = AtomicU32::new(0);
        if fs::metadata(path).is_ok_and(|known| !known.is_file() && !known.is_dir()) {
            let expected = "expected a file, or - for standard output where the option takes it";
            return Err(Error::input(format!("{}: found a device or a pipe, {expected}", path.display())));
        }
        loop {
            let suffix = format!(".{}-{}.tmp", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed));
            let at = with_suffix(path, &suffix);
            match File::options().write(true).create_new(true).open(&at) {
                // A killed process of the same number left it.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(not_created(path, &error)),
                Ok(file) => {
                    let unfinished = Unfinished { at, placed: false };
                    // Who may read the old file may read the new one, and no one else.
                    if let Ok(old) = fs::metadata(path) {
                        file.set_permissions(old.permissions()).map_err(|error| not_created(path, &error))?;
                    }
                    return Ok((unfinished, file));
                }
            }
        }
    }

    /// Writes a file of that very name, for a writer that knows itself to be the only one: the file that a killed
    /// process left under this name is replaced.
    ///
    /// # Errors
    /// [`Error::Input`] if it cannot be created, [`Error::Failed`] if it cannot be completed.
    pub fn at(at: &Path, bytes: &[u8]) -> Result<Unfinished> {
        // Removed and not opened: it may be a link to another file.
        match fs::remove_file(at) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(not_created(at, &error)),
            _ => {}
        }
        let file = File::create_new(at).map_err(|error| not_created(at, &error))?;
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
