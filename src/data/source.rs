//! Files that a data set is read from: their names, and their bytes from front to back.

use crate::data::region::Region;
use crate::error::{Error, Result};
use crate::files;
use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::{Path, PathBuf};

/// The last part of a path.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Files that operating systems create, and that users do not see.
pub(super) fn is_hidden(path: &Path) -> bool {
    let name = file_name(path);
    name.starts_with('.') || ["thumbs.db", "desktop.ini", "__macosx"].contains(&&*name.to_lowercase())
}

/// A file that is read from front to back, of known length.
pub(super) struct Source {
    from: From,
    path: PathBuf,
    /// Bytes that the file has.
    pub(super) bytes: u64,
}

/// Where bytes come from.
enum From {
    File(File),
    /// Those of a file in an archive.
    Memory(Cursor<Vec<u8>>),
}

impl From {
    fn reader(&mut self) -> &mut dyn Read {
        match self {
            From::File(file) => file,
            From::Memory(bytes) => bytes,
        }
    }
}

impl Source {
    /// Opens an ordinary file; a pipe or a device has no length to check.
    pub(super) fn open(path: &Path) -> Result<Source> {
        let fault = |e: std::io::Error| Error::input(format!("{} cannot be read: {e}", path.display()));
        let file = files::open(path).map_err(fault)?;
        let bytes = file.metadata().map_err(fault)?.len();
        Ok(Source { from: From::File(file), path: path.to_owned(), bytes })
    }

    /// Bytes that are in memory; `path` is what errors call them.
    pub(super) fn of(bytes: Vec<u8>, path: PathBuf) -> Source {
        Source { bytes: bytes.len() as u64, from: From::Memory(Cursor::new(bytes)), path }
    }

    /// Its name in errors.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The next bytes, at most `most`; fewer where the file ends.
    pub(super) fn take(&mut self, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let fault = |e: std::io::Error| Error::input(format!("{} cannot be read: {e}", self.path.display()));
        self.from.reader().take(most).read_to_end(&mut bytes).map_err(fault)?;
        Ok(bytes)
    }

    /// The next bytes, to be read later.
    pub(super) fn region(self) -> Result<Region> {
        let fault =
            |why: &dyn std::fmt::Display| Error::input(format!("{} cannot be read: {why}", self.path.display()));
        match self.from {
            From::File(mut file) => {
                let start = file.stream_position().map_err(|e| fault(&e))?;
                Ok(Region::new(file, &self.path, start))
            }
            From::Memory(_) => Err(fault(&"it is in memory, expected a file")),
        }
    }

    /// The next `count` bytes, which are the file's last: its length was checked, so another one has changed since.
    pub(super) fn rest(&mut self, count: u64) -> Result<Vec<u8>> {
        let shown = self.path.display();
        let room = crate::plan::human_bytes(count);
        let full = || Error::input(format!("{shown}: its {room} are more than this machine's memory"));
        crate::memory::check_free(count, &format!("{shown}: its contents take"), "fewer samples may fit")?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(usize::try_from(count).map_err(|_| full())?).map_err(|_| full())?;
        let fault = |e: std::io::Error| Error::input(format!("{shown} cannot be read: {e}"));
        self.from.reader().take(count).read_to_end(&mut bytes).map_err(fault)?;
        if bytes.len() as u64 != count {
            return Err(Error::input(format!(
                "{shown} changed while it was read: found {} of {count} bytes",
                bytes.len()
            )));
        }
        Ok(bytes)
    }
}
