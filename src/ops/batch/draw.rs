//! Draws a batch of a field: the stored elements of the epoch's next samples, as floats or as words.

use crate::ir::element::{Element, IGNORED, Read};
use crate::ops::prelude::*;
use crate::step::control::{Control, shuffled};

kernels! {
    DRAW = "batch/draw",
    DRAW_WORDS = "batch/draw_words",
}

/// `x[b, e] = stored[s(b), e] · scale + shift`, or the elements as they are, as words; rows beyond the valid ones are zero.
///
/// The arguments are the control block and the stored field [samples, stride] as bytes, stride a multiple of four; the
/// result is [batch, shape].
///
/// With a window the field is two chunks of this many samples: of the chunks that an epoch's places fall into, counted
/// from the start of the run, the even ones come in the first half and the odd ones in the second.
#[derive(Clone, PartialEq)]
pub struct Draw {
    /// Rows of a batch.
    pub batch: usize,
    /// The sizes of a sample; none of a single number.
    pub shape: Vec<usize>,
    /// The type of a stored element.
    pub element: Element,
    /// The conversion of an element.
    pub read: Read,
    /// The stored word that stands for a label that is ignored.
    pub ignored: Option<u32>,
    /// Whether each epoch has its own order.
    pub shuffle: bool,
    /// Samples of a chunk, where the data comes through a window of two, a multiple of the batch; 0 where all of it is there.
    pub window: usize,
}

impl std::fmt::Debug for Draw {
    /// Absent fields are not printed.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Draw { batch, shape, element, read, ignored, shuffle, window } = self;
        let mut text = f.debug_struct("Draw");
        text.field("batch", batch).field("shape", shape).field("element", element);
        if let Read::Scaled { scale, shift } = read {
            text.field("scale", scale).field("shift", shift);
        }
        if let Some(ignored) = ignored {
            text.field("ignored", ignored);
        }
        text.field("shuffle", shuffle);
        if *window > 0 {
            text.field("window", window);
        }
        text.finish()
    }
}

impl Draw {
    /// Elements of a sample.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes from one sample to the next: its elements, then zeros up to a whole word.
    pub fn stride(&self) -> usize {
        (self.elements() * self.element.bytes()).next_multiple_of(4)
    }

    /// The sample of row `b`, in a window its row there; `None` beyond the valid ones.
    pub(in crate::ops) fn sample(&self, control: &Control, b: u32) -> Option<usize> {
        let Control { key, first, samples, epoch, valid, .. } = *control;
        let (mut place, mut count, mut order, mut base) = (first + b, samples, epoch, 0);
        if self.window > 0 {
            // A batch lies within one chunk, whose number orders it as an epoch's does all samples.
            let window = self.window as u32;
            let chunk = first / window;
            order = epoch.wrapping_mul(samples.div_ceil(window)).wrapping_add(chunk);
            (place, count) = (place - chunk * window, window.min(samples - chunk * window));
            base = order % 2 * window;
        }
        let shuffled = || shuffled(place, count, key, order);
        (b < valid).then(|| (base + if self.shuffle { shuffled() } else { place }) as usize)
    }

    /// The words of a row: those of a sample as they are.
    fn words(&self, control: &Control, stored: &[u8], x: &mut [u32]) {
        for (b, row) in x.chunks_mut(self.elements()).enumerate() {
            let Some(s) = self.sample(control, b as u32) else {
                row.fill(0);
                continue;
            };
            let sample = &stored[s * self.stride()..][..self.stride()];
            for (at, x) in row.iter_mut().enumerate() {
                let word = self.element.word(sample, at);
                *x = if self.ignored == Some(word) { IGNORED } else { word };
            }
        }
    }
}

impl Reference for Draw {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (control, stored) = (Control::read(x[0].words()), x[1].bytes());
        let Read::Scaled { scale, shift } = self.read else { return self.words(&control, stored, y[0].words()) };
        for (b, row) in y[0].floats().chunks_mut(self.elements()).enumerate() {
            let s = self.sample(&control, b as u32);
            for (at, x) in row.iter_mut().enumerate() {
                let stored = |s: usize| F::of(self.element.value(&stored[s * self.stride()..], at));
                let value = |s| stored(s) * F::of(f64::from(scale)) + F::of(f64::from(shift));
                *x = s.map_or(F::of(0.0), value);
            }
        }
    }
}

impl Op for Draw {
    fn name(&self) -> &'static str {
        "draw"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, stored] = arguments(x)?;
        let [_, stride] = axes(stored)?;
        if stride != self.stride() || stride == 0 {
            return Err(format!("samples of {} bytes are expected", self.stride()));
        }
        let shape = Shape([&[self.batch][..], &self.shape].concat());
        let name = format!("batch of {}", stored.name);
        match self.read {
            Read::Scaled { .. } => Ok(vec![TensorInfo::floats(name, shape)]),
            Read::AsIs if self.element == Element::F32 => Err("floats are drawn as floats, not as words".into()),
            Read::AsIs => Ok(vec![TensorInfo::words(name, shape)]),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(vec![None, None])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let source = if self.read == Read::AsIs { DRAW_WORDS } else { DRAW };
        let launch = cx.kernel(source, &[])?.size("batch", self.batch).size("elements", self.elements());
        let launch = launch.size("stride", self.stride()).set("shuffle", self.shuffle);
        let launch = match self.read {
            Read::Scaled { scale, shift } => launch.set("scale", scale).set("shift", shift),
            Read::AsIs => launch,
        };
        // What a kernel has as a default is left out.
        let launch = if self.element == Element::U8 { launch } else { launch.set("kind", self.element.number()) };
        let launch = if let Some(ignored) = self.ignored { launch.set("ignored", ignored) } else { launch };
        let launch = if self.window > 0 { launch.size("window", self.window) } else { launch };
        let launch = launch.bind("control", cx.x[0]).bind("stored", cx.x[1]);
        cx.groups(launch.bind("x", cx.y[0]), self.batch)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        if self.read == Read::AsIs { Rounding::EXACT } else { Rounding { terms: 0, ulps: 4.0 } }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let Read::Scaled { scale, shift } = self.read else { return self.reference(x, y) };
        let read = Read::Scaled { scale: scale.abs(), shift: 0.0 };
        Draw { read, ..self.clone() }.reference(x, y);
        y[0].floats().iter_mut().for_each(|size| *size = size.abs() + f64::from(shift.abs()));
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let (control, stored) = (Control::read(x[0].words()), x[1].bytes());
        let Read::Scaled { scale, shift } = self.read else { return self.words(&control, stored, y[0].words()) };
        let rows = y[0].floats().par_chunks_mut(self.elements()).enumerate();
        rows.for_each(|(b, row)| match self.sample(&control, b as u32) {
            None => row.fill(0.0),
            Some(s) => {
                let sample = &stored[s * self.stride()..][..self.stride()];
                match self.element {
                    Element::U8 => {
                        row.iter_mut().zip(sample).for_each(|(x, byte)| *x = f32::from(*byte) * scale + shift);
                    }
                    element => {
                        let value = |at| element.value(sample, at) as f32 * scale + shift;
                        row.iter_mut().enumerate().for_each(|(at, x)| *x = value(at));
                    }
                }
            }
        });
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    const PIXEL: Read = Read::Scaled { scale: 1.0 / 255.0, shift: -0.125 };
    let whole = |samples: u32, epoch, first: u32, window: usize, op: Draw| {
        let valid = (samples - first).min(op.batch as u32);
        let control = Control { key: 7, epoch, first, valid, samples, ..Control::default() };
        let held = if window > 0 { 2 * window } else { samples as usize };
        let case = Case::new(op.clone()).words([Control::WORDS], control.words());
        match op.element {
            // Random bytes are no numbers worth a comparison.
            Element::F32 => {
                let value = |at: usize| (at as f32 * 0.37 - 3.0).sin() * 50.0;
                case.stored([held, op.stride()], (0..held * op.elements()).flat_map(|at| value(at).to_le_bytes()))
            }
            _ => case.bytes([held, op.stride()]),
        }
    };
    let op = |batch, shape: &[usize], element, read, shuffle, window| Draw {
        batch,
        shape: shape.to_vec(),
        element,
        read,
        ignored: None,
        shuffle,
        window,
    };
    let case = |batch, shape: &[usize], element, read, samples, first, shuffle| {
        whole(samples, 3, first, 0, op(batch, shape, element, read, shuffle, 0))
    };
    // Chunks of 8 of 29 samples: the last has 5.
    let windowed = |batch, shape: &[usize], element, read, epoch, first, shuffle| {
        whole(29, epoch, first, 8, op(batch, shape, element, read, shuffle, 8))
    };
    use Element::{F32, U8, U16, U32};
    vec![
        windowed(4, &[28, 28, 1], U8, PIXEL, 0, 12, true),
        windowed(4, &[28, 28, 1], U8, PIXEL, 3, 28, true),
        windowed(8, &[5, 7, 3], U8, PIXEL, 1, 24, true),
        windowed(8, &[1, 1, 1], U8, PIXEL, 2, 24, true),
        windowed(2, &[1, 2, 1], U8, PIXEL, 1, 6, false),
        windowed(4, &[8, 8], U8, Read::AsIs, 0, 12, true),
        windowed(4, &[3, 3], U8, Read::AsIs, 3, 28, true),
        windowed(2, &[], U8, Read::AsIs, 1, 6, false),
        windowed(8, &[5], F32, Read::FLOAT, 1, 24, true),
        case(5, &[28, 28, 1], U8, PIXEL, 23, 0, true),
        case(8, &[28, 28, 1], U8, PIXEL, 23, 20, true),
        case(4, &[3, 3, 1], U8, PIXEL, 9, 6, true),
        case(3, &[5, 7, 3], U8, PIXEL, 64, 17, false),
        case(2, &[1, 1, 1], U8, PIXEL, 1, 0, true),
        case(7, &[1, 1, 1], U8, PIXEL, 9, 3, true),
        case(7, &[1, 2, 1], U8, PIXEL, 9, 0, true),
        case(7, &[5], U8, Read::FLOAT, 9, 0, true),
        case(6, &[13], F32, Read::FLOAT, 23, 20, true),
        case(6, &[], F32, PIXEL, 23, 3, true),
        case(6, &[4], F32, PIXEL, 9, 4, false),
        case(6, &[3, 5], U16, PIXEL, 23, 0, true),
        case(6, &[7], U32, PIXEL, 23, 0, true),
        case(5, &[16, 17], U8, Read::AsIs, 23, 0, true),
        case(8, &[8, 8], U8, Read::AsIs, 23, 20, true),
        case(2, &[1, 1], U8, Read::AsIs, 1, 0, true),
        case(130, &[], U8, Read::AsIs, 161, 0, true),
        case(7, &[], U16, Read::AsIs, 9, 3, true),
        case(7, &[5], U16, Read::AsIs, 9, 3, true),
        case(7, &[3, 5], U32, Read::AsIs, 9, 3, true),
        whole(9, 3, 0, 0, Draw { ignored: Some(255), ..op(5, &[64, 9], U8, Read::AsIs, true, 0) }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_label_may_stand_for_none() {
        let read = Read::AsIs;
        let draw =
            Draw { batch: 2, shape: vec![3], element: Element::U8, read, ignored: Some(9), shuffle: false, window: 0 };
        let control = Control { valid: 1, samples: 1, ..Control::default() };
        let mut words = [7; 6];
        draw.words(&control, &[9, 8, 255, 0], &mut words);
        assert_eq!(words, [IGNORED, 8, 255, 0, 0, 0]);
    }
}
