//! Draws a batch: unpacks bytes of the data set in the epoch's order and normalises them.

use super::prelude::*;
use crate::control::{Control, shuffled};
use crate::graph::Role;

pub(super) const KERNELS: &[Source] = &[shader!("gather")];

/// `x[b, p] = images[s(b), p] · scale + shift` and `labels[b]`; rows beyond the valid ones are zero.
///
/// The arguments are the control block, the images [samples, stride] as bytes (stride a multiple of
/// four) and all labels [samples]; the results x [batch, H, W, C] and labels [batch].
#[derive(Clone, Debug)]
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
}

impl Gather {
    fn pixels(&self) -> usize {
        self.image.iter().product()
    }

    /// Bytes from one image to the next.
    pub fn stride(&self) -> usize {
        self.pixels().next_multiple_of(4)
    }
}

impl Reference for Gather {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (control, images, all_labels) = (Control::read(x[0].words()), x[1].bytes(), x[2].words());
        let (pixels, stride) = (self.pixels(), self.stride());
        for b in 0..self.batch {
            let place = control.first + b as u32;
            let valid = (b as u32) < control.valid;
            let s = match valid && self.shuffle {
                true => shuffled(place, control.samples, control.key, control.epoch),
                false => place.min(control.samples - 1),
            } as usize;
            y[1].words()[b] = if valid { all_labels[s] } else { 0 };
            let row = &mut y[0].floats()[b * pixels..][..pixels];
            for (row, byte) in row.iter_mut().zip(&images[s * stride..]) {
                let value = F::of(f64::from(*byte)) * F::of(f64::from(self.scale)) + F::of(f64::from(self.shift));
                *row = if valid { value } else { F::of(0.0) };
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
        let launch = launch.bind("control", cx.x[0]).bind("images", cx.x[1]).bind("all_labels", cx.x[2]);
        cx.groups(launch.bind("x", cx.y[0]).bind("labels", cx.y[1]), self.batch)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 4.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        Gather { scale: self.scale.abs(), shift: self.shift.abs(), ..self.clone() }.reference(x, y);
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |batch, image, samples: u32, first: u32, shuffle| {
        let op = Gather { batch, image, shuffle, scale: 1.0 / 255.0, shift: -0.125 };
        let valid = (samples - first).min(batch as u32);
        let control = Control { key: 7, epoch: 3, first, valid, samples, ..Control::default() };
        let stride = op.stride();
        Case::new(op).words([Control::WORDS], control.words()).bytes([samples as usize, stride]).below([samples as usize], 10)
    };
    let mut cases = vec![
        case(5, [28, 28, 1], 23, 0, true),
        case(8, [28, 28, 1], 23, 20, true),
        case(4, [3, 3, 1], 9, 6, true),
        case(3, [5, 7, 3], 64, 17, false),
        case(2, [1, 1, 1], 1, 0, true),
    ];
    for case in &mut cases {
        case.x[2].0.role = Role::Data;
    }
    cases
}
