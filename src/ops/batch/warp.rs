//! Where the pixels of a changed image come from: what an image and its mask share.

use crate::ops::prelude::*;
use crate::step::augment::{Augment, RESIZED_CROP_RATIO};
use crate::step::control::{Control, pcg};

/// The number that distinguishes these random numbers from others of the same key and step.
const SALT: u32 = 0x6175_676d;

/// How far images of [height, width] are changed at random.
#[derive(Clone, Copy, Debug)]
pub(super) struct Warp {
    pub(super) image: [usize; 2],
    pub(super) augment: Augment,
}

/// How a part of an image is chosen that is resized to the whole, in numbers as the kernel has them.
#[derive(Clone, Copy, Debug)]
struct Resized {
    /// The smallest share of the area, and how much larger the largest one is.
    areas: [f32; 2],
    /// Half the logarithm of the largest proportion.
    half_ratio: f32,
    /// √(height / width) and √(width / height).
    aspect: [f32; 2],
}

/// Where the pixels of an image come from: pixel (x, y) from `right · x + down · y + offset`, and 0 in the square of
/// `cutout` pixels that begins at `hole`, all (x, y).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Map {
    pub(super) right: [f64; 2],
    pub(super) down: [f64; 2],
    pub(super) offset: [f64; 2],
    pub(super) hole: [u32; 2],
}

impl Map {
    /// Where pixel (x, y) comes from.
    pub(super) fn source(&self, x: usize, y: usize) -> [f64; 2] {
        [0, 1].map(|axis| self.right[axis] * x as f64 + self.down[axis] * y as f64 + self.offset[axis])
    }

    pub(super) fn hides(&self, x: usize, y: usize, cutout: u32) -> bool {
        [(x, self.hole[0]), (y, self.hole[1])].iter().all(|(at, hole)| (*at as u32).wrapping_sub(*hole) < cutout)
    }
}

impl Warp {
    /// Displacement, turn, share of size and slant as the kernel has them: pixels, radians, 1, radians.
    fn amounts(&self) -> [f32; 4] {
        let Augment { shift, rotate, scale, shear, .. } = self.augment;
        [shift, rotate.to_radians(), scale, shear.to_radians()].map(|amount| amount as f32)
    }

    /// The part of [`Augment::random_resized_crop`].
    fn resized(&self) -> Option<Resized> {
        let [low, high] = self.augment.random_resized_crop?.map(|share| share as f32);
        let [height, width] = self.image.map(|side| side as f64);
        let aspect = [height / width, width / height].map(|proportion| proportion.sqrt() as f32);
        let half_ratio = (RESIZED_CROP_RATIO.ln() / 2.0) as f32;
        Some(Resized { areas: [low, high - low], half_ratio, aspect })
    }

    /// The random numbers of a sample in a step.
    pub(super) fn map(&self, control: &Control, sample: usize) -> Map {
        let key = pcg(sample as u32 ^ pcg(control.step ^ pcg(control.key ^ SALT)));
        let bits = |n| pcg(key.wrapping_add(n));
        let share = |n| (f64::from(bits(n) >> 9) + 0.5) / f64::from(1 << 23);
        let unit = |n| 2.0 * share(n) - 1.0;
        let [height, width] = self.image;
        let Augment { hflip, vflip, crop, cutout, .. } = self.augment;
        let [shift, turn, zoom, slant] = self.amounts().map(f64::from);
        let middle = [width, height].map(|side| (side - 1) as f64 / 2.0);
        let cropped = |n| f64::from(crop) - f64::from(bits(n) % (2 * crop + 1));
        let centre = [middle[0] + shift * unit(0) + cropped(7), middle[1] + shift * unit(1) + cropped(8)];
        let (sin, cos) = (turn * unit(2)).sin_cos();
        let (size, k) = (1.0 + zoom * unit(3), (slant * unit(4)).tan());
        let sign = |on, n| if on && bits(n) >> 31 == 1 { -1.0 } else { 1.0 };
        let flip = [sign(hflip, 5), sign(vflip, 6)];
        let mut right = [flip[0] * (cos + k * sin) / size, -flip[1] * sin / size];
        let mut down = [flip[0] * (sin - k * cos) / size, flip[1] * cos / size];
        let mut focus = middle;
        if let Some(Resized { areas, half_ratio, aspect }) = self.resized() {
            let side = (f64::from(areas[0]) + f64::from(areas[1]) * share(11)).sqrt();
            let stretch = f64::from(half_ratio) * unit(12);
            for (axis, stretch) in [stretch, -stretch].into_iter().enumerate() {
                let part = (side * f64::from(aspect[axis]) * stretch.exp()).min(1.0);
                focus[axis] += middle[axis] * (1.0 - part) * unit(13 + axis as u32);
                right[axis] *= part;
                down[axis] *= part;
            }
        }
        let offset = [0, 1].map(|axis| focus[axis] - right[axis] * centre[0] - down[axis] * centre[1]);
        let hole = [bits(9) % width as u32, bits(10) % height as u32].map(|at| at.wrapping_sub(cutout / 2));
        Map { right, down, offset, hole }
    }

    /// How far a coordinate may be off, in units of 2⁻²⁴; nothing where pixels fall on pixels.
    ///
    /// Sine and cosine are good to 30 u: six each for the series at half the angle, of which the doubling makes 26, and
    /// the angle's own rounding. What follows is the worst of every product with the worst error of its factors.
    ///
    /// A part that is resized multiplies entries by at most 1. It is good to 20 u: 2 for the area, of which the root keeps
    /// half, 9 for the root (4.5 ulp), 7 for the exponential (3.3 ulp) and its argument, and 3 for the products. Its middle
    /// lies up to m from the image's, for which m is multiplied by another number that is off by 22 u; the sums with
    /// the middle have 6 roundings more.
    pub(super) fn coordinate_error(&self) -> f64 {
        const TRIG: f64 = 30.0;
        if !self.augment.warps() {
            return 0.0;
        }
        let [height, width] = self.image.map(|side| side as f64);
        let [shift, _, zoom, slant] = self.amounts().map(f64::from);
        let (smaller, k) = (1.0 / (1.0 - zoom), slant.tan());
        // tan is a quotient of the two; a division is good to 2.5 ulp = 5 u.
        let k_error = if slant == 0.0 { 0.0 } else { TRIG * (1.0 + k) * (1.0 + k * k).sqrt() + 5.0 * k };
        let smaller_error = if zoom == 0.0 { 0.0 } else { smaller * (5.0 + 4.0 * smaller) };
        let entry = smaller * (1.0 + k);
        let entry_error = smaller * ((TRIG + 4.0) * (1.0 + k) + k_error) + (1.0 + k) * smaller_error;
        // The sum of all that an entry of M is multiplied by: the pixel's place, and the middle's.
        let places = 1.5 * (width + height) + 2.0 * (shift + f64::from(self.augment.crop)) + 1.0;
        let [part_error, focus_error] = match self.augment.random_resized_crop {
            None => [0.0; 2],
            Some(_) => [20.0 * entry, 28.0 * height.max(width) / 2.0],
        };
        places * (entry_error + part_error + 6.0 * entry) + focus_error
    }

    /// The launch with what lib/warp asks for.
    pub(super) fn set(&self, launch: Launch) -> Launch {
        let (augment, [height, width], [reach, turn, zoom, slant]) = (&self.augment, self.image, self.amounts());
        let launch = launch.sizes(&[("height", height), ("width", width)]);
        let launch = launch.set("warp", augment.warps()).set("reach", reach).set("turn", turn);
        let launch = launch.set("zoom", zoom).set("slant", slant).set("hflip", augment.hflip);
        let launch = launch.set("vflip", augment.vflip).set("crop", augment.crop).set("cutout", augment.cutout);
        let launch = launch.set("salt", SALT);
        let Some(Resized { areas, half_ratio, aspect }) = self.resized() else {
            return launch;
        };
        let launch = launch.set("resized", true).set("least_area", areas[0]).set("more_area", areas[1]);
        launch.set("half_ratio", half_ratio).set("aspect_x", aspect[0]).set("aspect_y", aspect[1])
    }
}
