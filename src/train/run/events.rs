//! TensorBoard's event files: records of protocol buffers, each with its length and two checksums.
//!
//! Source: tensorflow/core/lib/io/record_writer.h and tensorflow/core/util/event.proto.

use crate::error::Result;
use crate::train::run::EVENTS;
use crate::train::run::files::{LARGEST_LOG_BYTES, fault, write_whole};
use prost::Message;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The first record of a file.
const VERSION: &str = "brain.Event:2";

/// One record, as far as scalars need it.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// A point of every curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalars {
    /// Where on the horizontal axis.
    pub step: u64,
    /// The curves' names and values.
    pub values: Vec<(String, f64)>,
}

/// An event file that grows.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Brings the folder's event file to these points and opens it: what is right of it stays, with its times, what
    /// comes after is cut off, what is missing is added.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] if it cannot be written.
    pub fn bring_to(folder: &Path, points: &[Scalars]) -> Result<Events> {
        let (path, found) = match existing(folder) {
            Some(path) => (path.clone(), crate::files::read(&path, LARGEST_LOG_BYTES).map_err(|e| fault(&path, &e))?),
            None => (folder.join(format!("{EVENTS}{}.wgrad", now() as u64)), Vec::new()),
        };
        let mut events = vec![Event { file_version: Some(VERSION.into()), ..Event::default() }];
        events.extend(points.iter().map(event));
        let mut bytes = Vec::new();
        let mut old = Records(&found);
        let mut agrees = true;
        for event in events {
            // Times are all that may differ.
            let kept = old.next().filter(|old| agrees && *old == Event { wall_time: old.wall_time, ..event.clone() });
            agrees = kept.is_some();
            bytes.extend(record(&kept.unwrap_or(Event { wall_time: now(), ..event })));
        }
        if bytes != found {
            write_whole(&path, &bytes)?;
        }
        let file = crate::train::run::files::append(&path)?;
        Ok(Events { path, file })
    }

    /// Adds a point.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] if it cannot be written.
    pub fn add(&mut self, point: &Scalars) -> Result<()> {
        let event = Event { wall_time: now(), ..event(point) };
        self.file.write_all(&record(&event)).map_err(|e| fault(&self.path, &e))
    }
}

/// The folder's event file, the first by name if there are several.
fn existing(folder: &Path) -> Option<PathBuf> {
    let named = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(EVENTS) && name.ends_with(".wgrad"))
    };
    fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).filter(named).min()
}

fn event(point: &Scalars) -> Event {
    let value = |(tag, value): &(String, f64)| Value { tag: tag.clone(), simple_value: Some(*value as f32) };
    let summary = Summary { value: point.values.iter().map(value).collect() };
    Event { step: point.step as i64, summary: Some(summary), ..Event::default() }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The CRC-32C of some bytes, turned and shifted so that checksums of checksums are sound.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(bytes);
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// The length in 8 bytes, its checksum, the event, its checksum.
fn record(event: &Event) -> Vec<u8> {
    let data = event.encode_to_vec();
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked_crc(&length), &data, &masked_crc(&data)].concat()
}

/// The events of a file, up to the first that is cut or damaged.
struct Records<'a>(&'a [u8]);

impl Iterator for Records<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let (length, rest) = self.0.split_first_chunk::<8>()?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        let size = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        if *crc != masked_crc(length) || rest.len() < size {
            return None;
        }
        let (data, rest) = rest.split_at(size);
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        self.0 = rest;
        Event::decode(data).ok().filter(|_| *crc == masked_crc(data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(step: u64) -> Scalars {
        Scalars { step, values: vec![("loss".into(), 1.0 / step as f64), ("accuracy".into(), 0.5)] }
    }

    #[test]
    fn the_checksum_is_castagnolis_masked() {
        // RFC 3720, B.4: 32 bytes of zeros have 8a9136aa.
        let crc: u32 = 0x8a91_36aa;
        let expected = crc.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(masked_crc(&[0; 32]), expected.to_le_bytes());
    }

    #[test]
    fn a_file_is_cut_mended_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let points: Vec<Scalars> = (1..=4).map(point).collect();
        let mut events = Events::bring_to(folder.path(), &[]).unwrap();
        points.iter().for_each(|point| events.add(point).unwrap());
        let path = events.path.clone();
        let read = || fs::read(&path).unwrap();
        let whole = read();
        assert_eq!(Records(&whole).count(), 5);
        assert_eq!(Records(&whole).next().unwrap().file_version.as_deref(), Some(VERSION));
        let steps = |bytes: &[u8]| Records(bytes).map(|e| e.step).collect::<Vec<_>>();

        Events::bring_to(folder.path(), &points).unwrap();
        assert_eq!(read(), whole, "nothing to do");
        Events::bring_to(folder.path(), &points[..2]).unwrap();
        assert!(whole.starts_with(&read()) && steps(&read()) == [0, 1, 2], "cut back");
        Events::bring_to(folder.path(), &points).unwrap();
        assert_eq!(steps(&read()), [0, 1, 2, 3, 4], "made up for");

        for at in [0, 7, 11, 12, 30, whole.len() - 1] {
            let mut bad = whole.clone();
            bad[at] ^= 4;
            for bytes in [&bad[..], &whole[..at]] {
                fs::write(&path, bytes).unwrap();
                Events::bring_to(folder.path(), &points).unwrap();
                assert_eq!(steps(&read()), [0, 1, 2, 3, 4], "damaged at {at}");
            }
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
