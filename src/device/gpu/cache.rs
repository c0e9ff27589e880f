//! The pipeline cache: the driver's compiled pipelines, kept from run to run if the backend supports it (Vulkan).
//!
//! Nothing here can stop a run. A file that is missing, stale, cut short or altered is passed over, the pipelines are
//! compiled as if there were none, and a right one takes its place; a folder that cannot be written is reported in
//! [`PipelineCache::notice`]. Some drivers keep a cache of their own besides (Mesa, NVIDIA) and have little to add.

use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::sys::kept::{Kept, pack, sum_of};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The largest file that is read or written. A cache only ever grows; a larger one is replaced.
const MOST_BYTES: u64 = 64 << 20;

/// The folder of this user's pipelines, `wgrad/pipelines` in the cache folder; `None` if there is no such folder
/// or this build lacks the feature `pipeline-cache`.
pub fn user_folder() -> Option<PathBuf> {
    #[cfg(feature = "pipeline-cache")]
    let folder = directories::ProjectDirs::from("", "", "wgrad").map(|p| p.cache_dir().join("pipelines"));
    #[cfg(not(feature = "pipeline-cache"))]
    let folder = None;
    folder
}

/// A device's cache and its file.
#[derive(Debug)]
pub struct PipelineCache {
    cache: wgpu::PipelineCache,
    file: PathBuf,
    key: String,
    read_bytes: usize,
    // Length and check sum of what the file is known to hold.
    stored: Mutex<Option<(usize, u32)>>,
    notice: OnceLock<String>,
}

impl PipelineCache {
    /// The cache of a device, begun with what `folder` holds for its adapter and driver; `None` if the backend has
    /// no such thing.
    pub(in crate::device::gpu) fn new(device: &wgpu::Device, info: &wgpu::AdapterInfo, folder: &Path) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let (name, key) = name_and_key(info)?;
        let file = folder.join(name);
        let bytes = read(&file).unwrap_or_default();
        let kept = Kept::unpack(&bytes, &key);
        let scopes = [wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation];
        let scopes = scopes.map(|filter| device.push_error_scope(filter));
        let cache = crate::sys::pipeline_cache(device, kept.as_ref());
        // Scopes end in the reverse order of their start; either error means that there is no cache.
        let errors = scopes.into_iter().rev().filter_map(|scope| pollster::block_on(scope.pop()));
        if errors.count() > 0 {
            return None;
        }
        let stored = kept.as_ref().map(|kept| sum_of(kept.data()));
        let read_bytes = kept.map_or(0, |kept| kept.data().len());
        Some(PipelineCache { cache, file, key, read_bytes, stored: Mutex::new(stored), notice: OnceLock::new() })
    }

    /// The cache for creating pipelines.
    pub(in crate::device::gpu) fn inner(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Bytes that the file gave at the start; 0 where it was missing or passed over.
    pub fn read_bytes(&self) -> usize {
        self.read_bytes
    }

    /// A notice for the user, if any.
    pub fn notice(&self) -> Option<&str> {
        self.notice.get().map(String::as_str)
    }

    /// Writes the file where the cache holds other bytes than the file does; returns whether it did.
    ///
    /// The file is whole at any time: it is written under another name and renamed. What another process wrote in
    /// between is lost, and compiled again when it is wanted again.
    pub fn save(&self) -> bool {
        let Some(data) = self.cache.get_data() else { return false };
        let sum = sum_of(&data);
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        if stored.replace(sum) == Some(sum) {
            return false;
        }
        let done = match data.len() as u64 > MOST_BYTES {
            // The next start begins with an empty one.
            true => fs::remove_file(&self.file).map_err(|e| Error::failed(e.to_string())),
            false => write(&self.file, &pack(&data, &self.key)),
        };
        if let Err(e) = &done {
            // Not tried again: the same folder would refuse the same bytes.
            let _ = self.notice.set(format!("compiled pipelines cannot be kept in {} ({e})", self.file.display()));
        }
        done.is_ok()
    }
}

/// The file's name, one for each adapter and driver, and the key in its header, with the driver's version.
///
/// So a new version of a driver replaces the file of the old one, and no unused file remains.
fn name_and_key(info: &wgpu::AdapterInfo) -> Option<(String, String)> {
    let adapter = wgpu::util::pipeline_cache_key(info)?;
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let driver: String = info.driver.chars().take(64).map(plain).collect();
    let key = format!("{adapter} / {} / {} / {}", info.name, info.driver, info.driver_info);
    Some((format!("{adapter}_{driver}.bin"), key.replace(char::is_control, " ")))
}

/// Reads a file that is no larger than one of ours can be.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let most = MOST_BYTES + 4096;
    crate::files::read(path, most)
}

/// Writes a file, and creates the folder that it is in.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| Error::failed(e.to_string()))?;
    }
    write_whole(path, bytes)
}

#[cfg(test)]
mod tests;
