//! The files of a run folder, and the lock that keeps two runs out of one folder.

use crate::error::{Error, Result};
use crate::files::{Unfinished, beside};
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The file that is locked while a run is on; the system lets go of it whenever the process ends, killed or not.
pub const LOCK: &str = ".lock";

/// The most bytes that are read of a file with one JSON object, such as `device.json`.
pub const LARGEST_JSON_BYTES: u64 = 1 << 20;

/// The most bytes that are read of a log, such as `metrics.jsonl`: those of a million epochs.
pub const LARGEST_LOG_BYTES: u64 = 1 << 30;

/// The error of a file in a run folder.
pub fn fault(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::failed(format!("{}: {why}", path.display()))
}

/// Writes a file of a run folder under another name and flushes it to the disk. The lock makes this run the folder's
/// only writer.
///
/// # Errors
/// [`Error::Failed`], also where it cannot be created: the run has begun.
pub fn unfinished(path: &Path, bytes: &[u8]) -> Result<Unfinished> {
    Unfinished::at(&beside(path), bytes).map_err(|error| Error::failed(error.to_string()))
}

/// Writes a file of a run folder, whole or not at all.
///
/// # Errors
/// [`Error::Failed`]; an older file of that name is still there, and whole.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    unfinished(path, bytes)?.replace(path)
}

/// Gives the contents of `from` the name `to` as well, whatever had that name before.
///
/// # Errors
/// [`Error::Failed`] if neither a link nor a copy can be made.
pub fn link(from: &Path, to: &Path) -> Result<()> {
    let beside = beside(to);
    remove(&beside)?;
    // Some file systems have no links; a copy is the same to every reader.
    if fs::hard_link(from, &beside).is_err() {
        return write_whole(to, &crate::files::read(from, u64::MAX).map_err(|e| fault(from, &e))?);
    }
    fs::rename(&beside, to).map_err(|e| fault(to, &e))?;
    // Renaming one name of a file to another of the same file does nothing, by POSIX.
    remove(&beside)
}

/// Removes a file that may not be there.
///
/// # Errors
/// [`Error::Failed`] if it stays.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(fault(path, &e)),
        _ => Ok(()),
    }
}

/// Sees to it that the names in a folder are on the disk, where the system has such a thing.
///
/// # Errors
/// [`Error::Failed`] if the disk fails.
pub fn sync_folder(path: &Path) -> Result<()> {
    match cfg!(unix) {
        true => File::open(path).and_then(|folder| folder.sync_all()).map_err(|e| fault(path, &e)),
        false => Ok(()),
    }
}

/// Opens a file to add to its end, and creates it where it is missing.
///
/// # Errors
/// [`Error::Failed`] if it cannot be opened.
pub fn append(path: &Path) -> Result<File> {
    regular(path)?;
    File::options().append(true).create(true).open(path).map_err(|e| fault(path, &e))
}

/// Refuses what is there and is no regular file: to open a pipe is to wait for its other end.
pub(in crate::train) fn regular(path: &Path) -> Result<()> {
    let expected = "expected a regular file";
    match path.metadata() {
        Ok(found) if !found.is_file() => Err(fault(path, &format!("found a folder, a pipe or a device, {expected}"))),
        Err(_) if path.is_symlink() => Err(fault(path, &format!("found a link that leads nowhere, {expected}"))),
        _ => Ok(()),
    }
}

/// How long the lock of a process that was just killed may take to go.
const DYING: Duration = Duration::from_secs(2);

/// Locks a folder for this process, until the file is dropped. Where another process has it, it may be one that was just killed:
/// it is waited for a moment.
///
/// # Errors
/// [`Error::Input`] if another run has it, or the lock is no regular file; [`Error::Failed`] if it cannot be locked.
pub fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    regular(&path).map_err(|e| Error::input(e.to_string()))?;
    let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(|e| fault(&path, &e))?;
    let begun = Instant::now();
    let locked = loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < DYING => sleep(Duration::from_millis(20)),
            tried => break tried,
        }
    };
    match locked {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::input(format!("run folder {}: another process is training in it", folder.display())))
        }
        Err(TryLockError::Error(e)) => Err(fault(&path, &e)),
    }
}

/// Whether a run is going on in a folder: its lock is held by some process.
pub fn is_locked(folder: &Path) -> bool {
    let path = folder.join(LOCK);
    let shared = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    crate::files::open(&path).is_ok_and(shared)
}

/// Brings a file to these contents, whole, unless it has them.
///
/// # Errors
/// [`Error::Failed`] if it cannot be written.
pub fn bring_to(path: &Path, bytes: &[u8]) -> Result<bool> {
    let same = |found: io::Result<Vec<u8>>| found.is_ok_and(|found| found == bytes);
    if same(crate::files::read(path, bytes.len() as u64)) {
        return Ok(false);
    }
    write_whole(path, bytes).map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_replaces_what_had_the_name_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a"), "one").unwrap();
        fs::write(path("b"), "two").unwrap();
        fs::write(path("b.tmp"), "left by a run that was killed").unwrap();
        // The second time both are names of one file.
        for _ in 0..2 {
            link(&path("a"), &path("b")).unwrap();
            assert_eq!(fs::read(path("b")).unwrap(), b"one");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        }
        write_whole(&path("a"), b"three").unwrap();
        assert_eq!(fs::read(path("b")).unwrap(), b"one", "the old contents live on under the other name");
        assert!(link(&path("nothing"), &path("b")).is_err());
        assert_eq!(fs::read(path("b")).unwrap(), b"one");
    }

    #[test]
    fn the_lock_of_a_process_that_is_just_ending_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        let ending = std::thread::spawn(move || {
            sleep(Duration::from_millis(200));
            drop(first);
        });
        lock(folder.path()).unwrap();
        ending.join().unwrap();
    }

    #[test]
    fn a_folder_is_locked_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        assert!(matches!(lock(folder.path()), Err(Error::Input(_))) && is_locked(folder.path()));
        drop(first);
        assert!(!is_locked(folder.path()));
        lock(folder.path()).unwrap();
    }
}
