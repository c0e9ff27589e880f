//! Data that does not fit on the device: an epoch's order in chunks, and which steps draw from which chunk.
//!
//! The device holds two chunks, one that steps draw from and one that is being filled. A chunk is a whole number of
//! batches, so an epoch has as many steps as without a window, and places and valid rows of a batch are the same.
//! Which samples a chunk holds is the host's affair (`feed.rs`); a step draws from it in an order keyed by the
//! chunk's number since the start of the run.

use crate::data::{Column, Split};
use crate::device::Device;
use crate::device::gpu::limits_of;
use crate::error::{Error, Result};
use crate::plan::human_bytes;

/// Bytes of images or texts on the device by default, if it cannot hold all of them.
pub const WINDOW_BYTES: u64 = 128 << 20;

/// Bytes of images that the native CPU holds by default, if they are in a file.
const CPU_BYTES: u64 = 1 << 30;

/// Two chunks of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Samples of a chunk, a multiple of the batch and of four (what is written to a device begins at a whole word,
    /// labels of a byte included).
    pub rows: usize,
    /// Samples of the data set.
    pub samples: usize,
    /// Rows of a batch.
    pub batch: usize,
    /// Whether each row of a batch reads its own part of a stream, in order.
    pub tracks: bool,
}

impl Window {
    /// The window for samples of `stride` bytes, labels of pixels among them, of which at most `limit` may be on the
    /// device; none if all may.
    ///
    /// # Errors
    /// [`Error::Input`] if two chunks of a batch are more than the limit.
    pub fn of(
        samples: usize,
        [stored, stride]: [usize; 2],
        batch: usize,
        limit: Option<u64>,
    ) -> Result<Option<Window>> {
        let (Some(limit), whole) = (limit, (samples as u64).saturating_mul(stored as u64)) else { return Ok(None) };
        if whole <= limit {
            return Ok(None);
        }
        let unit = (1..=4).map(|times| batch * times).find(|rows| rows.is_multiple_of(4)).unwrap_or(batch * 4);
        let rows = usize::try_from(limit / 2 / stride.max(1) as u64).unwrap_or(usize::MAX) / unit * unit;
        if rows == 0 {
            let (least, all) = (2 * unit as u64 * stride as u64, human_bytes(whole));
            return Err(Error::input(format!(
                "device data limit {limit}: at least {least} bytes are expected, two chunks of {unit} samples of {stride} \
                 bytes at batch size {batch}, or {all} for all samples"
            )));
        }
        Ok(Some(Window { rows, samples, batch, tracks: false }))
    }

    /// Rows that the device holds.
    pub fn held(&self) -> usize {
        2 * self.rows
    }

    /// Chunks of an epoch.
    pub fn chunks(&self) -> u64 {
        self.samples.div_ceil(self.rows) as u64
    }

    fn steps_per_epoch(&self) -> u64 {
        self.samples.div_ceil(self.batch) as u64
    }

    /// The chunk that a step draws from, counted from the start of the run.
    pub fn chunk_of(&self, step: u64) -> u64 {
        let within = step % self.steps_per_epoch();
        step / self.steps_per_epoch() * self.chunks() + within / (self.rows / self.batch) as u64
    }

    /// Steps from this one on that draw from the same chunk.
    pub fn steps_left(&self, step: u64) -> u64 {
        let (within, each) = (step % self.steps_per_epoch(), (self.rows / self.batch) as u64);
        ((within / each + 1) * each).min(self.steps_per_epoch()) - within
    }

    /// The places of a chunk in its epoch's order.
    pub fn places(&self, chunk: u64) -> std::ops::Range<usize> {
        let first = (chunk % self.chunks()) as usize * self.rows;
        first..self.samples.min(first + self.rows)
    }
}

/// The most bytes of a split's images that the device is to hold: the requested number; or else, if it does not take
/// them whole, or they stay in a file and the device's memory is the host's own, and so large that a window is needed.
pub fn limit_on(device: &Device, split: &Split, asked: Option<u64>) -> Option<u64> {
    // A kernel counts the places of a stream that is all there as 32-bit integers.
    let counted = |limit: u64| {
        let places = split.columns().iter().find_map(|column| column.field().stream).unwrap_or(0);
        if i32::try_from(places).is_ok() { limit } else { limit.min(i32::MAX as u64) }
    };
    if let Some(asked) = asked {
        return Some(counted(asked));
    }
    let most = match device {
        Device::Gpu(gpu) => limits_of(gpu).binding_bytes.min(limits_of(gpu).buffer_bytes),
        Device::Cpu(_) if split.columns().iter().any(Column::is_undecoded) => WINDOW_BYTES,
        Device::Cpu(_) if split.is_in_file() => CPU_BYTES,
        Device::Cpu(_) => u64::MAX,
    };
    let widest = split.columns().iter().map(|column| column.field().stride()).max().unwrap_or(0);
    let whole = (split.count as u64).saturating_mul(widest as u64);
    (whole > counted(most)).then_some(WINDOW_BYTES.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_chunks_of_an_epoch_go_together() {
        for (samples, batch, limit) in [(100, 8, 64), (97, 3, 24), (50, 1, 8), (64, 8, 63), (1000, 7, 777)] {
            let window = Window::of(samples, [1; 2], batch, Some(limit)).unwrap().expect("a window");
            assert!(window.held() as u64 <= limit && window.rows.is_multiple_of(4) && window.chunks() >= 2);
            let per_epoch = window.steps_per_epoch();
            assert_eq!(per_epoch, samples.div_ceil(batch) as u64, "as without a window");
            for step in 0..3 * per_epoch {
                let (chunk, left) = (window.chunk_of(step), window.steps_left(step));
                let first = (step % per_epoch) as usize * batch;
                let places = first..samples.min(first + batch);
                let held = window.places(chunk);
                assert!(held.start <= places.start && places.end <= held.end, "step {step}: {places:?} in {held:?}");
                assert_eq!(chunk / window.chunks(), step / per_epoch, "epoch of step {step}");
                assert!(left > 0 && window.chunk_of(step + left - 1) == chunk);
                assert_eq!(window.chunk_of(step + left), chunk + 1);
            }
        }
    }

    #[test]
    fn a_window_is_only_where_the_images_do_not_fit() {
        assert_eq!(Window::of(100, [8; 2], 10, None).unwrap(), None);
        assert_eq!(Window::of(100, [8; 2], 10, Some(800)).unwrap(), None);
        let window = |batch, limit| Window::of(100, [8; 2], batch, Some(limit)).map(|window| window.map(|w| w.rows));
        assert_eq!(window(10, 799), Ok(Some(40)), "a multiple of the batch and of four");
        assert_eq!(window(10, 320), Ok(Some(20)));
        let error = window(10, 319).unwrap_err().to_string();
        assert!(error.starts_with("device data limit 319: at least 320 bytes"), "{error}");
    }
}
