//! Draws a batch whose images are changed at random: shifted, turned, resized, slanted, flipped, cropped, cut out.

use crate::ir::element::{Element, Read};
use crate::ops::batch::draw::Draw;
use crate::ops::batch::warp::{Map, Warp};
use crate::ops::prelude::*;
use crate::step::augment::Augment;
use crate::step::control::Control;

kernels! {
    DRAW_AUGMENTED = "batch/draw_augmented",
}

/// `x[b, y, x, c] = image(M·(x, y) + t, c) · scale + shift`; rows beyond the valid ones are zero.
///
/// Arguments and results are those of [`Draw`], whose field is an image of bytes [height, width, channels]. `image` is the sample's picture, bilinear between pixels and [`Augment::fill`]
/// outside; M and t are drawn again for every sample in every step, from the control block's key. The order in which an
/// image is changed: a part of it resized, flipped, slanted, resized and turned about its middle, shifted, cropped, cut out.
#[derive(Clone, Debug)]
pub struct DrawAugmented {
    /// Which samples a batch has, and how bytes become numbers.
    pub draw: Draw,
    /// How far images are changed.
    pub augment: Augment,
}

impl DrawAugmented {
    /// Height, width and channels; `outputs` refuses a field of other sizes.
    fn image(&self) -> [usize; 3] {
        match self.draw.shape[..] {
            [height, width, channels] => [height, width, channels],
            _ => [0; 3],
        }
    }

    /// The factor for a byte, and the summand.
    fn scale(&self) -> [f32; 2] {
        match self.draw.read {
            Read::Scaled { scale, shift } => [scale, shift],
            Read::AsIs => [1.0, 0.0],
        }
    }

    /// The geometric augmentation.
    fn warp(&self) -> Warp {
        let [height, width, _] = self.image();
        Warp { image: [height, width], augment: self.augment }
    }
}

impl Reference for DrawAugmented {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (control, images) = (Control::read(x[0].words()), x[1].bytes());
        let (pixels, stride, [height, width, channels]) = (self.draw.elements(), self.draw.stride(), self.image());
        let [scale, shift] = self.scale().map(|x| F::of(x.into()));
        let fill = |channel| self.augment.fill.byte(channel);
        for b in 0..self.draw.batch {
            let s = self.draw.sample(&control, b as u32);
            let row = &mut y[0].floats()[b * pixels..][..pixels];
            let Some(s) = s else {
                row.fill(F::of(0.0));
                continue;
            };
            let map = self.warp().map(&control, s);
            for (p, value) in row.iter_mut().enumerate() {
                let (px, py, c) = (p / channels % width, p / channels / width, p % channels);
                let [sx, sy] = map.source(px, py);
                let byte = |x: f64, y: f64| {
                    let inside = x >= 0.0 && y >= 0.0 && x < width as f64 && y < height as f64;
                    let at = s * stride + if inside { (y as usize * width + x as usize) * channels + c } else { 0 };
                    F::of(if inside { images[at] } else { fill(c) }.into())
                };
                let (x0, y0) = (sx.floor(), sy.floor());
                let (right, below) = (F::of(sx - x0), F::of(sy - y0));
                let (left, above) = (F::of(1.0) - right, F::of(1.0) - below);
                let top = left * byte(x0, y0) + right * byte(x0 + 1.0, y0);
                let bottom = left * byte(x0, y0 + 1.0) + right * byte(x0 + 1.0, y0 + 1.0);
                let shown = if map.hides(px, py, self.augment.cutout) { 0.0 } else { 1.0 };
                *value = F::of(shown) * (above * top + below * bottom) * scale + shift;
            }
        }
    }
}

impl Op for DrawAugmented {
    fn name(&self) -> &'static str {
        "draw_augmented"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let Draw { shape, element, read, .. } = &self.draw;
        if shape.len() != 3 || *element != Element::U8 || *read == Read::AsIs {
            return Err(format!("{shape:?} of {element:?}, expected an image of bytes [height, width, channels]"));
        }
        self.augment.check_for(self.image()).map_err(|e| e.to_string())?;
        self.draw.outputs(x)
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(vec![None, None])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (draw, [.., channels]) = (&self.draw, self.image());
        let [scale, shift] = self.scale();
        let launch = cx.kernel(DRAW_AUGMENTED, &[])?.size("batch", draw.batch).size("stride", draw.stride());
        let launch = launch.size("channels", channels).set("shuffle", draw.shuffle);
        let launch = self.warp().set(launch.set("scale", scale).set("shift", shift));
        let launch = launch.set("fill", self.augment.fill.word());
        let launch = if draw.window > 0 { launch.size("window", draw.window) } else { launch };
        let launch = launch.bind("control", cx.x[0]).bind("images", cx.x[1]);
        cx.groups(launch.bind("x", cx.y[0]), draw.batch)
    }

    /// Three roundings for each of the two lines between pixels and the one between them, and two to normalise, which
    /// alone are left where pixels fall on pixels.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: if self.augment.warps() { 16.0 } else { 4.0 } }
    }

    /// From pixel to pixel a byte changes by 255 at most, and so by 255 times as much as a coordinate is off.
    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let valid = Control::read(x[0].words()).valid as usize;
        let off = 2.0 * self.warp().coordinate_error() / self.rounding(&[]).ulps;
        let [scale, shift] = self.scale().map(|x| f64::from(x.abs()));
        y[0].floats().fill(scale * 255.0 * (1.0 + off) + shift);
        let valid = valid.min(self.draw.batch) * self.draw.elements();
        y[0].floats()[valid..].fill(0.0);
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let (control, images) = (Control::read(x[0].words()), x[1].bytes());
        let rows = y[0].floats().par_chunks_mut(self.draw.elements()).enumerate();
        rows.for_each(|(b, row)| match self.draw.sample(&control, b as u32) {
            None => row.fill(0.0),
            Some(s) => self.one(&self.warp().map(&control, s), &images[s * self.draw.stride()..], row),
        });
    }
}

impl DrawAugmented {
    /// One image in single precision; inside the picture without a question of where its edges are.
    fn one(&self, map: &Map, image: &[u8], row: &mut [f32]) {
        let ([height, width, channels], [scale, shift]) = (self.image(), self.scale());
        let [right, down, offset] = [map.right, map.down, map.offset].map(|pair| pair.map(|x| x as f32));
        let warps = self.augment.warps();
        for (y, line) in row.chunks_mut(width * channels).enumerate() {
            let start = [0, 1].map(|axis| down[axis] * y as f32 + offset[axis]);
            for (x, pixel) in line.chunks_mut(channels).enumerate() {
                if map.hides(x, y, self.augment.cutout) {
                    pixel.fill(shift);
                    continue;
                }
                let source = [0, 1].map(|axis| right[axis] * x as f32 + start[axis]);
                // floor, which is a call on the oldest x86-64.
                let [x0, y0] = source.map(|at| at as i32 - i32::from(at < (at as i32) as f32));
                let [part, below] = [source[0] - x0 as f32, source[1] - y0 as f32];
                let place = |x: i32, y: i32| (y as usize * width + x as usize) * channels;
                let inside = |x: i32, y: i32| (x as u32 as usize) < width && (y as u32 as usize) < height;
                let tap = |x: i32, y: i32, c: usize| match inside(x, y) {
                    true => f32::from(image[place(x, y) + c]),
                    false => f32::from(self.augment.fill.byte(c)),
                };
                let whole = inside(x0, y0) && inside(x0 + 1, y0 + 1);
                for (c, value) in pixel.iter_mut().enumerate() {
                    let byte = if !warps {
                        tap(x0, y0, c)
                    } else {
                        let four = match whole {
                            true => {
                                let (at, next) = (place(x0, y0) + c, place(x0, y0 + 1) + c);
                                [at, at + channels, next, next + channels].map(|at| f32::from(image[at]))
                            }
                            false => [tap(x0, y0, c), tap(x0 + 1, y0, c), tap(x0, y0 + 1, c), tap(x0 + 1, y0 + 1, c)],
                        };
                        let top = four[0] + part * (four[1] - four[0]);
                        let bottom = four[2] + part * (four[3] - four[2]);
                        top + below * (bottom - top)
                    };
                    *value = byte * scale + shift;
                }
            }
        }
    }
}

fn drawn(batch: usize, image: [usize; 3], shuffle: bool, [scale, shift]: [f32; 2], window: usize) -> Draw {
    let read = Read::Scaled { scale, shift };
    Draw { batch, shape: image.to_vec(), element: Element::U8, read, ignored: None, shuffle, window }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |list: &str, batch, image, samples: u32, first: u32, shuffle| {
        let draw = drawn(batch, image, shuffle, [1.0 / 255.0, -0.125], 0);
        let stride = draw.stride();
        let augment = list.parse().unwrap_or_default();
        let valid = (samples - first).min(batch as u32);
        let control = Control { key: 7, step: 11, epoch: 3, first, valid, samples, ..Control::default() };
        let case = Case::new(DrawAugmented { draw, augment }).words([Control::WORDS], control.words());
        case.bytes([samples as usize, stride])
    };
    const ALL: &str = "shift=2.5,rotate=20,scale=0.2,shear=10,hflip,vflip,crop=2,cutout=2";
    let mut cases = vec![
        case("off", 5, [28, 28, 1], 23, 0, true),
        case("shift=3.5", 5, [28, 28, 1], 23, 0, true),
        case("rotate=180", 5, [28, 28, 1], 23, 0, true),
        case("scale=0.9", 5, [28, 28, 1], 23, 0, true),
        case("shear=60", 5, [28, 28, 1], 23, 0, true),
        case("hflip", 9, [28, 28, 1], 23, 0, true),
        case("vflip", 9, [5, 7, 1], 23, 0, true),
        case("crop=4", 9, [28, 28, 1], 23, 0, true),
        case("cutout=7", 9, [28, 28, 1], 23, 0, true),
        case("hflip,vflip,crop=3,cutout=3", 9, [5, 7, 3], 23, 17, false),
        case("shift=2,rotate=10,scale=0.08,shear=5", 8, [28, 28, 1], 23, 20, true),
        case(ALL, 6, [5, 7, 3], 64, 17, false),
        case(ALL, 6, [9, 4, 4], 64, 17, true),
        case(ALL, 4, [3, 3, 1], 9, 6, true),
        case("shift=1,rotate=90,scale=0.5,shear=30,hflip,vflip,crop=1,cutout=1", 7, [1, 1, 1], 9, 3, true),
        case("shift=1,crop=1", 7, [1, 2, 1], 9, 0, true),
        case("cutout=1", 2, [1, 1, 1], 1, 0, true),
        case("random-resized-crop", 9, [28, 28, 1], 23, 0, true),
        case("random-resized-crop=0.001-0.01", 4, [9, 40, 3], 23, 0, true),
        case("random-resized-crop=1,hflip,vflip", 6, [5, 7, 3], 23, 17, false),
        case(
            "random-resized-crop=0.3-0.9,fill=200,cutout=2,shift=2.5,rotate=20,scale=0.2,shear=10,hflip,vflip,crop=2",
            6,
            [9, 7, 4],
            64,
            17,
            true,
        ),
        case("random-resized-crop=0.5", 3, [1, 1, 1], 9, 0, true),
        case("crop=4,fill=9,cutout=3", 9, [28, 28, 1], 23, 0, true),
        case("rotate=90,fill=255", 5, [5, 7, 5], 23, 0, true),
        case("shift=3,crop=2,fill=1,130,255", 5, [7, 6, 3], 23, 20, true),
        case(ALL, 70, [32, 32, 3], 97, 40, true),
    ];
    // Through a window of two chunks of 8, of 29 samples.
    for (list, epoch, first, shuffle) in [("hflip,crop=3", 0, 12, true), (ALL, 1, 24, true), ("cutout=3", 1, 4, false)]
    {
        let (samples, window) = (29, 8);
        let draw = drawn(4, [5, 7, 3], shuffle, [1.0 / 255.0, -0.125], window);
        let (stride, augment) = (draw.stride(), list.parse().unwrap_or_default());
        let control = Control { key: 7, step: 11, epoch, first, valid: 4, samples, ..Control::default() };
        let case = Case::new(DrawAugmented { draw, augment }).words([Control::WORDS], control.words());
        cases.push(case.bytes([2 * window, stride]));
    }
    cases
}

#[cfg(test)]
mod tests;
