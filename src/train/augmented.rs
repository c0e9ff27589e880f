//! Augmented images as the net sees them, as a contact sheet, made by the training op on the native CPU.

use crate::data::column::padded;
use crate::data::pictures::contact::{COLUMNS, grid};
use crate::data::{Dataset, Split};
use crate::device::cpu::Executor;
use crate::error::Result;
use crate::ir::element::{Element, Read};
use crate::ir::graph::{Graph, Role, TensorInfo};
use crate::ir::values::Values;
use crate::ops::batch::draw::Draw;
use crate::ops::batch::draw_augmented::DrawAugmented;
use crate::ops::batch::jitter::Jitter;
use crate::ops::batch::mixup::Mixup;
use crate::step::augment::{Augment, CELLS, quantiles};
use crate::step::control::Control;
use crate::train::step::key_of;

/// The most classes that a sheet shows.
const MOST_ROWS: usize = 256;

/// A PNG of a row for each class: an image as it is, then as it is drawn in one step after another of a run with this seed.
///
/// # Errors
/// [`Error::Input`](crate::Error) for amounts that the images are too small for, [`Error::Failed`](crate::Error) where the
/// PNG cannot be made.
pub fn sheet(data: &Dataset, augment: &Augment, seed: u64) -> Result<Vec<u8>> {
    augment.check_for(data.train.shape())?;
    let labels = data.train.labels();
    let first = |class| labels.iter().position(|&label| label as usize == class);
    // Of an image whose pixels have labels, the image.
    let positions = data.train.positions().max(1);
    let shown: Vec<usize> = (0..data.classes.min(MOST_ROWS)).filter_map(first).map(|n| n / positions).collect();
    let size = data.train.image_bytes();
    let originals = shown.iter().map(|&n| data.train.image(n)).collect::<Result<Vec<_>>>()?;
    let split = Split::new(data.train.shape(), originals.concat(), vec![0u8; shown.len()])?;
    let drawn = draw(&split, augment, seed)?;
    let row = |n: usize| {
        let draws = drawn.iter().map(|step| &step[n * size..][..size]);
        [&*originals[n]].into_iter().chain(draws).collect()
    };
    grid(data.train.shape(), &(0..shown.len()).map(row).collect::<Vec<Vec<&[u8]>>>())
}

/// The images of a split in each of the first steps, as bytes.
fn draw(split: &Split, augment: &Augment, seed: u64) -> Result<Vec<Vec<u8>>> {
    let batch = split.count;
    // Bytes stay bytes.
    let (shape, element, read) = (split.shape().to_vec(), Element::U8, Read::FLOAT);
    let draw = Draw { batch, shape, element, read, ignored: None, shuffle: false, window: 0 };
    let stride = draw.stride();
    let mut graph = Graph::new();
    let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]).role(Role::Control));
    let images = graph.tensor(TensorInfo::bytes("images", [batch, stride]));
    let labels = graph.tensor(TensorInfo::words("labels", [batch]).role(Role::Data));
    let op = DrawAugmented { draw, augment: *augment };
    let mut drawn = graph.apply(op, &[control, images])?[0];
    let colour = augment.colour();
    if !colour.is_off() {
        drawn = graph.apply(Jitter { colour, scale: 1.0, shift: 0.0 }, &[control, drawn])?[0];
    }
    if augment.mixup > 0.0 {
        let table = TensorInfo::floats("quantiles", [CELLS + 1]);
        let table = graph.constant(table, || Values::Float(quantiles(augment.mixup)));
        drawn = graph.apply(Mixup, &[control, drawn, labels, table])?[0];
    }
    let mut executor = Executor::<f32>::new(graph, true)?;
    executor.set(images, Values::Byte(padded(split.pixels(), split.image_bytes(), stride)))?;
    let mut steps = Vec::new();
    for step in 0..COLUMNS as u32 - 1 {
        let (valid, samples) = (batch as u32, batch as u32);
        let block = Control { key: key_of(seed), step, valid, samples, ..Control::default() };
        executor.set(control, Values::Word(block.words()))?;
        executor.step();
        if let Values::Float(floats) = executor.get(drawn) {
            steps.push(floats.iter().map(|x| x.round() as u8).collect());
        }
    }
    Ok(steps)
}
