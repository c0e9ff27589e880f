//! Draws a batch: unpacks bytes of the data set in the epoch's order and normalises them.

use crate::ir::graph::Role;
use crate::ops::prelude::*;
use crate::step::control::{Control, shuffled};

pub(in crate::ops) const KERNELS: &[Source] = &[shader!("batch/gather")];

/// `x[b, p] = images[s(b), p] · scale + shift` and `labels[b]`; rows beyond the valid ones are zero.
///
/// The arguments are the control block, the images [samples, stride] as bytes (stride a multiple of
/// four) and all labels `[samples]`; the results x [batch, H, W, C] and labels `[batch]`.
///
/// With a window, images and labels are two chunks of so many samples: of the chunks that an epoch's places fall into,
/// counted from the start of the run, the even ones come in the first half and the odd ones in the second.
#[derive(Clone)]
pub struct Gather {
    /// Rows of a batch.
    pub batch: usize,
    /// Height, width and channels of an image.
    pub image: [usize; 3],
    /// Whether each epoch has an order of its own.
    pub shuffle: bool,
    /// What a byte is multiplied by.
    pub scale: f32,
    /// What is added then.
    pub shift: f32,
    /// Samples of a chunk, where the data comes through a window of two, a multiple of the batch; 0 where all of it is there.
    pub window: usize,
}

impl std::fmt::Debug for Gather {
    /// Without a window nothing is said of one.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Gather { batch, image, shuffle, scale, shift, window } = self;
        let mut text = f.debug_struct("Gather");
        text.field("batch", batch).field("image", image).field("shuffle", shuffle);
        text.field("scale", scale).field("shift", shift);
        if *window > 0 {
            text.field("window", window);
        }
        text.finish()
    }
}

impl Gather {
    pub(in crate::ops) fn pixels(&self) -> usize {
        self.image.iter().product()
    }

    /// The sample of row `b`, in a window its row there; `None` beyond the valid ones.
    pub(in crate::ops) fn sample(&self, control: &Control, b: u32) -> Option<usize> {
        sample(control, b, self.shuffle, self.window)
    }

    /// Bytes from one image to the next.
    pub fn stride(&self) -> usize {
        self.pixels().next_multiple_of(4)
    }
}

/// [`Gather::sample`] for all that draw.
pub(in crate::ops) fn sample(control: &Control, b: u32, shuffle: bool, window: usize) -> Option<usize> {
    let Control { key, first, samples, epoch, valid, .. } = *control;
    let (mut place, mut count, mut order, mut base) = (first + b, samples, epoch, 0);
    if window > 0 {
        // A batch lies within one chunk, whose number orders it as an epoch's does all samples.
        let window = window as u32;
        let chunk = first / window;
        order = epoch.wrapping_mul(samples.div_ceil(window)).wrapping_add(chunk);
        (place, count) = (place - chunk * window, window.min(samples - chunk * window));
        base = order % 2 * window;
    }
    let shuffled = || shuffled(place, count, key, order);
    (b < valid).then(|| (base + if shuffle { shuffled() } else { place }) as usize)
}

impl Reference for Gather {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (control, images, all_labels) = (Control::read(x[0].words()), x[1].bytes(), x[2].words());
        let (pixels, stride) = (self.pixels(), self.stride());
        for b in 0..self.batch {
            let s = self.sample(&control, b as u32);
            y[1].words()[b] = s.map_or(0, |s| all_labels[s]);
            let row = &mut y[0].floats()[b * pixels..][..pixels];
            for (p, x) in row.iter_mut().enumerate() {
                let byte = |s: usize| F::of(f64::from(images[s * stride + p]));
                let value = |s| byte(s) * F::of(f64::from(self.scale)) + F::of(f64::from(self.shift));
                *x = s.map_or(F::of(0.0), value);
            }
        }
    }
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, images, labels] = arguments(x)?;
        let ([samples, stride], [labels]) = (axes(images)?, axes(labels)?);
        if samples != labels || stride != self.stride() {
            return Err(format!("images of {} bytes a row and as many labels are expected", self.stride()));
        }
        let [h, w, c] = self.image;
        Ok(vec![TensorInfo::floats("batch", [self.batch, h, w, c]), TensorInfo::words("labels", [self.batch])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(vec![None, None, None])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let launch = cx.kernel(KERNELS[0], &[])?;
        let launch = launch.size("batch", self.batch).size("pixels", self.pixels()).size("stride", self.stride());
        let launch = launch.set("shuffle", self.shuffle).set("scale", self.scale).set("shift", self.shift);
        let launch = if self.window > 0 { launch.size("window", self.window) } else { launch };
        let launch = launch.bind("control", cx.x[0]).bind("images", cx.x[1]).bind("all_labels", cx.x[2]);
        cx.groups(launch.bind("x", cx.y[0]).bind("labels", cx.y[1]), self.batch)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 4.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        Gather { scale: self.scale.abs(), shift: self.shift.abs(), ..self.clone() }.reference(x, y);
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let (control, images, all_labels) = (Control::read(x[0].words()), x[1].bytes(), x[2].words());
        let [batch, labels] = results(y);
        let rows = batch.floats().par_chunks_mut(self.pixels()).zip(labels.words()).enumerate();
        rows.for_each(|(b, (row, label))| match self.sample(&control, b as u32) {
            None => {
                row.fill(0.0);
                *label = 0;
            }
            Some(s) => {
                let image = &images[s * self.stride()..];
                row.iter_mut().zip(image).for_each(|(x, byte)| *x = f32::from(*byte) * self.scale + self.shift);
                *label = all_labels[s];
            }
        });
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |batch, image, samples: u32, first: u32, shuffle| {
        let op = Gather { batch, image, shuffle, scale: 1.0 / 255.0, shift: -0.125, window: 0 };
        let valid = (samples - first).min(batch as u32);
        let control = Control { key: 7, epoch: 3, first, valid, samples, ..Control::default() };
        let stride = op.stride();
        Case::new(op)
            .words([Control::WORDS], control.words())
            .bytes([samples as usize, stride])
            .below([samples as usize], 10)
    };
    // Chunks of 8 of 29 samples: the last has 5.
    let windowed = |batch, image, epoch, first: u32, shuffle| {
        let (samples, window) = (29, 8);
        let op = Gather { batch, image, shuffle, scale: 1.0 / 255.0, shift: -0.125, window };
        let valid = (samples - first).min(batch as u32);
        let control = Control { key: 7, epoch, first, valid, samples, ..Control::default() };
        let stride = op.stride();
        Case::new(op).words([Control::WORDS], control.words()).bytes([2 * window, stride]).below([2 * window], 10)
    };
    let mut cases = vec![
        windowed(4, [28, 28, 1], 0, 12, true),
        windowed(4, [28, 28, 1], 3, 28, true),
        windowed(8, [5, 7, 3], 1, 24, true),
        windowed(8, [1, 1, 1], 2, 24, true),
        windowed(2, [1, 2, 1], 1, 6, false),
        case(5, [28, 28, 1], 23, 0, true),
        case(8, [28, 28, 1], 23, 20, true),
        case(4, [3, 3, 1], 9, 6, true),
        case(3, [5, 7, 3], 64, 17, false),
        case(2, [1, 1, 1], 1, 0, true),
        case(7, [1, 1, 1], 9, 3, true),
        case(7, [1, 2, 1], 9, 0, true),
    ];
    for case in &mut cases {
        case.x[2].0.role = Role::Data;
    }
    cases
}
