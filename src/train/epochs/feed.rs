//! Fills a window from a split: the next data is read and written while the device works.
//!
//! An epoch's order is one of blocks, runs of samples as they lie in the file, shuffled by (key, epoch): a chunk holds
//! blocks from all over the file, so that data sorted by class is mixed as well, and reading takes no more than one
//! look a block. Within a chunk the device shuffles single samples.

use crate::data::Split;
use crate::error::Result;
use crate::ir::values::Values;
use crate::ops::batch::draw_stream::{of_track, phase};
use crate::step::control::{pcg, shuffled};
use crate::train::epochs::engine::Engine;
use crate::train::step::Step;
use crate::train::step::window::Window;
use std::ops::Range;
use std::time::{Duration, Instant};

/// The maximum size of a block in bytes: a disk reads blocks of this size at about its full speed.
const BLOCK_BYTES: usize = 256 << 10;
/// Blocks that a chunk has at least, where its samples allow it.
const BLOCKS: usize = 8;
/// Bytes of images that are read and written at once.
const PIECE_BYTES: usize = 1 << 20;
/// The same of pictures that have to be decoded, on all cores.
const DECODED_BYTES: usize = 16 << 20;
/// Bytes that are written before the device is made to take them.
const FLUSH_BYTES: usize = 16 << 20;
/// The maximum number of bytes written after a submit: they stay in memory until the device takes them.
const AHEAD_BYTES: usize = 64 << 20;
/// Rows that are written for each that steps take, until the next chunk is whole.
const LEAD: usize = 2;
/// Sets the blocks' order apart from the samples'.
const SALT: u32 = 0x626c_6f63;

/// Writes a split that the device takes whole, some images at a time.
pub(in crate::train) fn write_whole(engine: &mut Engine, step: &Step, split: &Split) -> Result<()> {
    let mut written = 0;
    for stored in &step.columns {
        let column = stored.column(split)?;
        let rows = (PIECE_BYTES / stored.field.stride()).max(1);
        for first in (0..split.count).step_by(rows) {
            let bytes = column.padded(first..split.count.min(first + rows))?.into_owned();
            written += bytes.len();
            engine.write_rows(stored.tensor, first, &Values::Byte(bytes))?;
            // What waits lies in memory once more.
            if written >= FLUSH_BYTES {
                engine.flush()?;
                written = 0;
            }
        }
    }
    Ok(())
}

/// Submits the steps after the first `at`, at most `steps` of them, as far as the data for them is on the device, the
/// last of all being `last`; returns how many were submitted. Then some of what comes next is written, while the device is at
/// work.
pub(in crate::train) fn submit(
    feed: &mut Option<Feed>,
    engine: &mut Engine,
    step: &Step,
    at: u64,
    steps: usize,
    last: u64,
) -> Result<u64> {
    let Some(feed) = feed else {
        return engine.submit(steps as u32).map(|()| steps as u64);
    };
    let steps = feed.ready(engine, step, at)?.min(steps as u64);
    engine.submit(steps as u32)?;
    feed.ahead(engine, step, [at + steps, steps], last)?;
    Ok(steps)
}

/// A split on its way through a window.
#[derive(Debug)]
pub(in crate::train) struct Feed {
    split: Split,
    window: Window,
    order: Order,
    /// The chunk that is being filled, and how many rows of it are.
    chunk: u64,
    row: usize,
    /// The time that reading and decoding took.
    reading: Duration,
}

impl Feed {
    /// Writes a split to the device, where the step takes it whole; else what hands it over from step to step, in an order
    /// of its own in every epoch, by `key`, or as it is.
    pub(in crate::train) fn begin(
        engine: &mut Engine,
        step: &Step,
        split: &Split,
        key: Option<u32>,
    ) -> Result<Option<Feed>> {
        let Some(window) = step.window else { return write_whole(engine, step, split).map(|()| None) };
        let block = (BLOCK_BYTES / step.input().field.bytes()).min(window.rows / BLOCKS).max(1);
        let order = match window.tracks {
            true => Order { tracks: Some(window.batch), ..Order::new(window.samples, block, None) },
            false => Order::new(window.samples, block, key),
        };
        Ok(Some(Feed { split: split.clone(), window, order, chunk: 0, row: 0, reading: Duration::ZERO }))
    }

    /// The seconds that reading and decoding took so far.
    pub(in crate::train) fn reading_seconds(&self) -> f64 {
        self.reading.as_secs_f64()
    }

    /// Goes on at `step`; what the window holds is of no use any more.
    pub(in crate::train) fn restart_at(&mut self, step: u64) {
        (self.chunk, self.row) = (self.window.chunk_of(step), 0);
    }

    /// Sees to it that the chunk of the step `at` is whole, before that is submitted; says how many steps from there on
    /// draw from it.
    pub(in crate::train) fn ready(&mut self, engine: &mut Engine, step: &Step, at: u64) -> Result<u64> {
        let mut written = 0;
        while self.chunk <= self.window.chunk_of(at) {
            written += self.piece(engine, step, usize::MAX)?;
            if written >= FLUSH_BYTES {
                engine.flush()?;
                written = 0;
            }
        }
        Ok(self.window.steps_left(at))
    }

    /// Writes some of the next chunk, once `steps` steps up to the step `at` were submitted, the last of the run being
    /// `last`: all steps that draw from what was there before have been submitted, so the device writes after them.
    fn ahead(&mut self, engine: &mut Engine, step: &Step, [at, steps]: [u64; 2], last: u64) -> Result<()> {
        if at >= last {
            return Ok(());
        }
        let most = (self.window.chunk_of(at) + 1).min(self.window.chunk_of(last - 1));
        let stride = step.input().field.stride();
        let mut bytes = (LEAD * self.window.batch * stride * steps as usize).min(AHEAD_BYTES);
        while bytes > 0 && self.chunk <= most {
            bytes = bytes.saturating_sub(self.piece(engine, step, bytes)?);
        }
        Ok(())
    }

    /// Writes the next rows of the chunk, of about `bytes` bytes at most; returns how many bytes they have.
    fn piece(&mut self, engine: &mut Engine, step: &Step, bytes: usize) -> Result<usize> {
        let stride = step.input().field.stride();
        let places = self.window.places(self.chunk);
        // Whole words of labels, should they be bytes; the chunk's end may be anywhere.
        let decodes = step.input().column(&self.split)?.is_undecoded();
        let most = if decodes { DECODED_BYTES } else { PIECE_BYTES };
        let rows = (bytes.min(most) / stride).max(1).next_multiple_of(4).min(places.len() - self.row);
        let first = places.start + self.row;
        let epoch = (self.chunk / self.window.chunks()) as u32;
        let runs = self.order.runs(epoch, first..first + rows);
        let length = step.input().field.elements();
        let phase = self.order.key.map_or(0, |key| phase(key, epoch, length));
        let row = (self.chunk % 2) as usize * self.window.rows + self.row;
        for stored in &step.columns {
            let begun = Instant::now();
            let rows = stored.rows(&self.split, &runs, phase)?;
            self.reading += begun.elapsed();
            engine.write_rows(stored.tensor, row, &Values::Byte(rows))?;
        }
        self.row += rows;
        if self.row == places.len() {
            (self.chunk, self.row) = (self.chunk + 1, 0);
        }
        Ok(rows * stride)
    }
}

/// The order of an epoch: blocks of samples, the last block of the file perhaps a shorter one.
#[derive(Debug)]
struct Order {
    samples: usize,
    block: usize,
    key: Option<u32>,
    /// Rows of a batch, where each reads its own part of the file.
    tracks: Option<usize>,
    epoch: u32,
    /// The blocks in the epoch's order; empty where it is the file's.
    blocks: Vec<u32>,
    /// Where among them the last block of the file is.
    short: usize,
}

impl Order {
    fn new(samples: usize, block: usize, key: Option<u32>) -> Order {
        let mut order = Order { samples, block, key, tracks: None, epoch: 0, blocks: Vec::new(), short: 0 };
        order.shuffle(0);
        order
    }

    fn shuffle(&mut self, epoch: u32) {
        let count = self.samples.div_ceil(self.block) as u32;
        let Some(key) = self.key else { return };
        self.epoch = epoch;
        self.blocks = (0..count).map(|place| shuffled(place, count, pcg(key ^ SALT), epoch)).collect();
        self.short = self.blocks.iter().position(|&block| block == count - 1).unwrap_or(0);
    }

    /// The samples at these places of an epoch's order, as runs.
    fn runs(&mut self, epoch: u32, places: Range<usize>) -> Vec<Range<usize>> {
        if let Some(batch) = self.tracks {
            let window = |place| of_track(place, self.samples, batch);
            return places.map(window).map(|at| at..at + 1).collect();
        }
        if self.blocks.is_empty() {
            return vec![places];
        }
        if self.epoch != epoch {
            self.shuffle(epoch);
        }
        let block = self.block;
        let shorter = self.blocks.len() * block - self.samples;
        let mut runs = Vec::new();
        let mut place = places.start;
        while place < places.end {
            // After the short block everything comes sooner by what it lacks.
            let end_of_short = (self.short + 1) * block - shorter;
            let at = if place < end_of_short { place / block } else { (place + shorter) / block };
            let start = at * block - if at > self.short { shorter } else { 0 };
            let end = if at == self.short { end_of_short } else { start + block }.min(places.end);
            let first = self.blocks[at] as usize * block + place - start;
            runs.push(first..first + end - place);
            place = end;
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::model::Sequential;
    use crate::train::settings::options::TrainOptions;
    use std::collections::HashSet;

    /// Of samples whose pixels say their number, steps draw each once per epoch, with its label; batches at the end of
    /// an epoch or a chunk included.
    #[test]
    fn steps_draw_each_sample_once_an_epoch() {
        let samples = 203;
        let pixels = (0..samples).flat_map(|n| [(n / 256) as u8, (n % 256) as u8]).collect();
        let split = Split::new([1, 2, 1], pixels, (0..samples).map(|n| (n % 5) as u8).collect()).unwrap();
        let model = Sequential::new([1, 2, 1]).flatten().dense(5).build().unwrap();
        let device = Device::cpu(1).unwrap();
        for (batch_size, limit, shuffle) in [(8, 160, true), (7, 240, true), (1, 40, true), (8, 160, false)] {
            let device_data_limit = Some(limit);
            let options = TrainOptions { batch_size, shuffle, device_data_limit, ..TrainOptions::default() };
            let step = Step::training(&model, samples, &options).unwrap();
            let window = step.window.expect("a window");
            assert_eq!(step.graph.shape(step.input().tensor), [window.held(), 4]);
            let mut engine = Engine::new(&device, step.graph.clone(), step.log).unwrap();
            let control = step.start(7, 1e-3, [0.9, 0.999]);
            engine.write(step.control, Values::Word(control.words())).unwrap();
            let mut feed = Feed::begin(&mut engine, &step, &split, shuffle.then_some(control.key)).unwrap();
            let per_epoch = step.steps_per_epoch() as u64;
            let mut orders = HashSet::new();
            for epoch in 0..4 {
                let mut order = Vec::new();
                for at in epoch * per_epoch..(epoch + 1) * per_epoch {
                    assert_eq!(submit(&mut feed, &mut engine, &step, at, 1, 4 * per_epoch).unwrap(), 1);
                    let records = pollster::block_on(engine.collect()).unwrap();
                    let read = |t| pollster::block_on(engine.read(t)).unwrap();
                    let (Values::Float(x), Values::Word(labels)) =
                        (read(step.columns[0].drawn), read(step.columns[1].drawn))
                    else {
                        panic!()
                    };
                    for (x, label) in x.chunks(2).zip(labels).take(records[0].samples as usize) {
                        let normal = &model.normalisation;
                        let byte = |x: f32| ((x - normal.shift) / normal.scale).round() as usize;
                        let sample = byte(x[0]) * 256 + byte(x[1]);
                        assert_eq!(label as usize, sample % 5, "sample {sample}");
                        order.push(sample);
                    }
                }
                let mut sorted = order.clone();
                sorted.sort_unstable();
                assert!(sorted.into_iter().eq(0..samples), "batch {batch_size}, epoch {epoch}: {order:?}");
                orders.insert(order);
            }
            assert_eq!(orders.len(), if shuffle { 4 } else { 1 }, "batch {batch_size}");
        }
    }

    /// Every sample once, whatever the pieces of the order are.
    #[test]
    fn every_epoch_has_each_sample_once_in_an_order_of_its_own() {
        for (samples, block) in [(1, 1), (10, 3), (12, 3), (100, 7), (1000, 999), (5, 9)] {
            let mut orders = HashSet::new();
            for epoch in [0, 1, 2, 1] {
                for piece in [1, 4, 17, 5000] {
                    let mut order = Order::new(samples, block, Some(9));
                    let starts = (0..samples).step_by(piece);
                    let all: Vec<usize> =
                        starts.flat_map(|at| order.runs(epoch, at..samples.min(at + piece))).flatten().collect();
                    let mut sorted = all.clone();
                    sorted.sort_unstable();
                    assert!(sorted.into_iter().eq(0..samples), "{samples} {block} {epoch} {piece}: {all:?}");
                    orders.insert(all);
                }
            }
            assert!(samples < 100 || block > 100 || orders.len() == 3, "{samples} {block}: {}", orders.len());
        }
        assert_eq!(Order::new(10, 3, None).runs(4, 2..9), std::slice::from_ref(&(2..9)));
    }
}
