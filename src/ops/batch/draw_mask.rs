//! Draws a batch of masks that are moved as their images are: each pixel takes the label of the nearest one.

use crate::ir::element::{Element, IGNORED, Read};
use crate::ops::batch::draw::Draw;
use crate::ops::batch::warp::{Map, Warp};
use crate::ops::prelude::*;
use crate::step::augment::{Augment, Fill};
use crate::step::control::Control;

kernels! {
    DRAW_MASK = "batch/draw_mask",
}

/// `x[b, y, x] = label(M·(x, y) + t)`: the label of the pixel nearest to it, [`IGNORED`] outside the image; rows beyond the
/// valid ones are zero.
///
/// Arguments and results are those of [`Draw`], whose field is a label for each pixel, [height, width]. M and t are those that
/// [`DrawAugmented`](super::draw_augmented::DrawAugmented) draws for the same sample in the same step. A part that is cut out of
/// an image keeps its labels: it is still there, and only not seen.
#[derive(Clone, Debug)]
pub struct DrawMask {
    /// Which samples a batch has.
    pub draw: Draw,
    /// How far images are changed.
    pub augment: Augment,
}

impl DrawMask {
    /// The geometric augmentation; `outputs` refuses a field of other sizes.
    fn warp(&self) -> Warp {
        let image = match self.draw.shape[..] {
            [height, width] => [height, width],
            _ => [0; 2],
        };
        Warp { image, augment: self.augment }
    }

    /// The place that pixel (x, y) takes its label from; none outside.
    fn nearest(&self, map: &Map, x: usize, y: usize) -> Option<usize> {
        let [height, width] = self.warp().image;
        let [x, y] = map.source(x, y).map(|at| (at + 0.5).floor());
        let inside = x >= 0.0 && y >= 0.0 && x < width as f64 && y < height as f64;
        inside.then(|| y as usize * width + x as usize)
    }

    /// One mask of `stored`, the row of a sample.
    fn one(&self, map: &Map, stored: &[u8], row: &mut [u32]) {
        let width = self.warp().image[1];
        for (p, x) in row.iter_mut().enumerate() {
            let label = self.nearest(map, p % width, p / width).map(|at| self.draw.element.word(stored, at));
            *x = label.filter(|label| self.draw.ignored != Some(*label)).unwrap_or(IGNORED);
        }
    }
}

impl Reference for DrawMask {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (control, stored) = (Control::read(x[0].words()), x[1].bytes());
        let rows = y[0].words().par_chunks_mut(self.draw.elements()).enumerate();
        rows.for_each(|(b, row)| match self.draw.sample(&control, b as u32) {
            None => row.fill(0),
            Some(s) => self.one(&self.warp().map(&control, s), &stored[s * self.draw.stride()..], row),
        });
    }
}

impl Op for DrawMask {
    fn name(&self) -> &'static str {
        "draw_mask"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let Draw { shape, element, read, .. } = &self.draw;
        let [height, width] = shape[..] else {
            return Err(format!("{shape:?}, expected a label for each pixel, [height, width]"));
        };
        if *element == Element::F32 || *read != Read::AsIs {
            return Err(format!("{element:?}, expected labels that are drawn as they are"));
        }
        // Labels have no colours.
        let augment = Augment { fill: Fill::default(), ..self.augment };
        augment.check_for([height, width, 1]).map_err(|e| e.to_string())?;
        self.draw.outputs(x)
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(vec![None, None])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let draw = &self.draw;
        let launch = cx.kernel(DRAW_MASK, &[])?.size("batch", draw.batch).size("elements", draw.elements());
        let launch = self.warp().set(launch.size("stride", draw.stride()).set("shuffle", draw.shuffle));
        let launch = launch.set("kind", draw.element.number());
        let launch = if let Some(ignored) = draw.ignored { launch.set("ignored", ignored) } else { launch };
        let launch = if draw.window > 0 { launch.size("window", draw.window) } else { launch };
        let launch = launch.bind("control", cx.x[0]).bind("stored", cx.x[1]);
        cx.groups(launch.bind("x", cx.y[0]), draw.batch)
    }

    /// A label is another one where a place lies so near to the middle between two pixels that its rounding decides; the cases
    /// have no such place.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |list: &str, batch: usize, shape: [usize; 2], element, control: Control, window: usize| {
        let (augment, read, shuffle) = (list.parse().unwrap_or_default(), Read::AsIs, control.epoch % 2 == 1);
        let draw = Draw { batch, shape: shape.to_vec(), element, read, ignored: Some(7), shuffle, window };
        let (held, stride) = (if window > 0 { 2 * window } else { control.samples as usize }, draw.stride());
        Case::new(DrawMask { draw, augment }).words([Control::WORDS], control.words()).bytes([held, stride])
    };
    let case = |list: &str, batch: usize, shape, element, samples: u32, first: u32| {
        let valid = (samples - first).min(batch as u32);
        let control = Control { key: 7, step: 11, epoch: 3, first, valid, samples, ..Control::default() };
        of(list, batch, shape, element, control, 0)
    };
    const ALL: &str = "shift=2.5,rotate=20,scale=0.2,shear=10,hflip,vflip,crop=2,cutout=2";
    use Element::{U8, U16, U32};
    let mut cases = vec![
        case("off", 5, [28, 28], U8, 23, 0),
        case("hflip", 9, [28, 28], U8, 23, 0),
        case("vflip", 9, [5, 7], U16, 23, 0),
        case("crop=4", 9, [64, 33], U8, 23, 0),
        case("hflip,vflip,crop=3,cutout=3", 9, [5, 7], U32, 23, 17),
        case("shift=3.5", 2, [9, 7], U8, 23, 0),
        case("rotate=180", 3, [5, 7], U8, 23, 0),
        case("scale=0.9", 3, [5, 7], U8, 23, 0),
        case("shear=60", 2, [4, 5], U8, 23, 0),
        case("random-resized-crop", 5, [9, 7], U8, 23, 0),
        case("random-resized-crop=0.3-0.9,crop=2,fill=1,2,3,hflip,vflip", 4, [6, 9], U16, 23, 19),
        case(ALL, 4, [5, 7], U8, 23, 20),
        case(ALL, 3, [9, 4], U16, 64, 17),
        case("shift=1,rotate=90,scale=0.5,shear=30,hflip,vflip,crop=1,cutout=1", 7, [1, 1], U8, 9, 3),
    ];
    // Through a window of two chunks of 8, of 29 samples.
    for (list, epoch, first) in [("hflip,crop=3", 0, 12), (ALL, 1, 24)] {
        let control = Control { key: 7, step: 11, epoch, first, valid: 4, samples: 29, ..Control::default() };
        cases.push(of(list, 4, [5, 7], U8, control, 8));
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::op::Elements;
    use crate::ops::batch::draw_augmented::DrawAugmented;

    /// The op and the control block of a case.
    fn parts(case: &Case) -> (DrawMask, Control) {
        let op: &dyn std::any::Any = &*case.op;
        let op = op.downcast_ref::<DrawMask>().expect("a mask").clone();
        let crate::ir::values::Values::Word(words) = &case.x[0].1 else { panic!("a control block") };
        (op, Control::read(words))
    }

    /// Else a kernel might round to the other side, and be right.
    #[test]
    fn no_case_has_a_place_between_two_pixels() {
        for case in cases() {
            let (op, control) = parts(&case);
            let near = op.warp().coordinate_error() / f64::from(1 << 24);
            let width = op.draw.shape[1];
            for s in (0..op.draw.batch as u32).filter_map(|b| op.draw.sample(&control, b)) {
                let map = op.warp().map(&control, s);
                for at in (0..op.draw.elements()).flat_map(|p| map.source(p % width, p / width)) {
                    let off = (at - at.floor() - 0.5).abs();
                    assert!(off > near, "{:?}: {at} is within {near} of the middle", op.augment);
                }
            }
        }
    }

    /// Three images of bytes [height, width] and their masks, which have the same bytes, as both are drawn in a step.
    fn drawn(list: &str, [height, width]: [usize; 2], stored: &[u8], step: u32) -> (Vec<f64>, Vec<u32>) {
        let words = Control { key: 3, step, valid: 3, samples: 3, ..Control::default() }.words();
        let draw = |shape: &[usize], read| Draw {
            batch: 3,
            shape: shape.to_vec(),
            element: Element::U8,
            read,
            ignored: None,
            shuffle: false,
            window: 0,
        };
        let augment: Augment = list.parse().unwrap();
        let x = [
            In { shape: &[Control::WORDS], elements: Elements::Word(&words) },
            In { shape: &[3, height * width], elements: Elements::Byte(stored) },
        ];
        let (mut image, mut mask) = (vec![0f64; stored.len()], vec![0u32; stored.len()]);
        let of_image = DrawAugmented { draw: draw(&[height, width, 1], Read::FLOAT), augment };
        of_image.reference(&x, &mut [Out::Float(&mut image)]);
        let of_mask = DrawMask { draw: draw(&[height, width], Read::AsIs), augment };
        of_mask.reference::<f64>(&x, &mut [Out::Word(&mut mask)]);
        (image, mask)
    }

    /// An image whose bytes are its mask's labels moves as the mask does, wherever pixels fall on pixels.
    #[test]
    fn a_mask_moves_with_its_image() {
        let stored: Vec<u8> = (0..3 * 40).map(|at| (at * 7 % 250 + 1) as u8).collect();
        for step in 0..20 {
            let (image, mask) = drawn("hflip,vflip,crop=2", [5, 8], &stored, step);
            let outside = mask.iter().filter(|label| **label == IGNORED).count();
            assert!(outside < 100);
            for (byte, label) in image.iter().zip(&mask) {
                assert_eq!(*byte, if *label == IGNORED { 0.0 } else { f64::from(*label) });
            }
        }
    }

    /// Of an image of two halves, one 0 and one 200, the nearest pixel differs from the interpolated value; and a part
    /// of an image has a label everywhere.
    #[test]
    fn a_mask_follows_the_resized_part_of_its_image() {
        let [height, width] = [6, 10];
        let stored: Vec<u8> = (0..3 * height * width).map(|at| if at % width < 4 { 0 } else { 200 }).collect();
        let (mut sure, mut halves) = (0, [0; 2]);
        for step in 0..20 {
            let (image, mask) = drawn("random-resized-crop=0.2-0.7,hflip,vflip", [height, width], &stored, step);
            for (value, label) in image.iter().zip(&mask) {
                assert!([0, 200].contains(label), "{label}");
                halves[usize::from(*label > 0)] += 1;
                if (value - 100.0).abs() > 1e-6 {
                    assert_eq!(*label > 0, *value > 100.0, "{value}");
                    sure += 1;
                }
            }
        }
        assert!(sure > 3000 && halves.iter().all(|count| *count > 300), "{sure} {halves:?}");
    }
}
