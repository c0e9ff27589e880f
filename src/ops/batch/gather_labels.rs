//! Draws the labels of a batch where every pixel has one: the same samples as `gather` draws, in the same order.

use crate::ops::batch::gather;
use crate::ops::prelude::*;
use crate::step::control::Control;

kernels! {
    GATHER_LABELS = "batch/gather_labels",
}

/// `labels[b, p] = all_labels[s(b), p]`; rows beyond the valid ones are zero. With a window as `gather` has it.
///
/// The arguments are the control block and all labels [samples, stride] as bytes (stride a multiple of four); the result
/// is labels [batch, H, W] as words.
#[derive(Clone, Copy, Debug)]
pub struct GatherLabels {
    /// Rows of a batch.
    pub batch: usize,
    /// Height and width of a sample's labels.
    pub size: [usize; 2],
    /// Whether each epoch has an order of its own.
    pub shuffle: bool,
    /// Samples of a chunk, as [`Gather`](crate::ops::batch::gather::Gather) has them; 0 where all labels are there.
    pub window: usize,
}

impl GatherLabels {
    fn places(&self) -> usize {
        self.size.iter().product()
    }

    /// Bytes from one sample's labels to the next's.
    pub fn stride(&self) -> usize {
        self.places().next_multiple_of(4)
    }
}

impl Reference for GatherLabels {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (control, all_labels) = (Control::read(x[0].words()), x[1].bytes());
        for (b, labels) in y[0].words().chunks_mut(self.places()).enumerate() {
            match gather::sample(&control, b as u32, self.shuffle, self.window) {
                None => labels.fill(0),
                Some(s) => {
                    let from = &all_labels[s * self.stride()..];
                    labels.iter_mut().zip(from).for_each(|(label, byte)| *label = u32::from(*byte));
                }
            }
        }
    }
}

impl Op for GatherLabels {
    fn name(&self) -> &'static str {
        "gather_labels"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, labels] = arguments(x)?;
        let [_, stride] = axes(labels)?;
        if stride != self.stride() {
            return Err(format!("labels of {} bytes a row are expected", self.stride()));
        }
        let [h, w] = self.size;
        Ok(vec![TensorInfo::words("labels", [self.batch, h, w])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(vec![None, None])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let launch = cx.kernel(GATHER_LABELS, &[])?.size("batch", self.batch).size("places", self.places());
        let launch = launch.size("stride", self.stride()).set("shuffle", self.shuffle);
        let launch = if self.window > 0 { launch.size("window", self.window) } else { launch };
        let launch = launch.bind("control", cx.x[0]).bind("all_labels", cx.x[1]).bind("labels", cx.y[0]);
        cx.groups(launch, self.batch)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |batch, size, samples: u32, first: u32, shuffle| {
        let op = GatherLabels { batch, size, shuffle, window: 0 };
        let valid = (samples - first).min(batch as u32);
        let control = Control { key: 7, epoch: 3, first, valid, samples, ..Control::default() };
        Case::new(op).words([Control::WORDS], control.words()).bytes([samples as usize, op.stride()])
    };
    // Chunks of 8 of 29 samples: the last has 5.
    let windowed = |batch, size, epoch, first: u32, shuffle| {
        let (samples, window) = (29, 8);
        let op = GatherLabels { batch, size, shuffle, window };
        let valid = (samples - first).min(batch as u32);
        let control = Control { key: 7, epoch, first, valid, samples, ..Control::default() };
        Case::new(op).words([Control::WORDS], control.words()).bytes([2 * window, op.stride()])
    };
    vec![
        windowed(4, [8, 8], 0, 12, true),
        windowed(4, [3, 3], 3, 28, true),
        windowed(8, [5, 7], 1, 24, true),
        windowed(2, [1, 1], 1, 6, false),
        case(5, [16, 17], 23, 0, true),
        case(8, [8, 8], 23, 20, true),
        case(3, [5, 7], 64, 17, false),
        case(2, [1, 1], 1, 0, true),
        case(7, [1, 2], 9, 3, true),
    ]
}
