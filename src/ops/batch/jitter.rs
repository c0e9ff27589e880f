//! Colour jitter: the brightness, contrast, saturation and hue of every image of a batch changed at random.

use crate::ops::prelude::*;
use crate::step::augment::Colour;
use crate::step::control::{Control, pcg};

kernels! {
    JITTER = "batch/jitter",
}

/// The number that distinguishes these random numbers from others of the same key and step.
const SALT: u32 = 0x6a69_7474;

/// `y[b] = colour(x[b])`, torchvision's `ColorJitter` in the fixed order brightness, contrast, saturation, hue; rows beyond the
/// valid ones stay.
///
/// The arguments are the control block and x [batch, height, width, channels], bytes · `scale` + `shift`; channels are 1 or 3.
/// Factors belong to a row and a step. Of one channel only brightness and contrast change.
#[derive(Clone, Copy, Debug)]
pub struct Jitter {
    /// How far colours are changed.
    pub colour: Colour,
    /// The factor for bytes, not 0.
    pub scale: f32,
    /// The summand after that.
    pub shift: f32,
}

/// The factors of a row: of brightness, contrast and saturation, and the turns of the hue.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Factors<F> {
    factors: [F; 3],
    turns: F,
}

impl Jitter {
    /// The least factor of brightness, contrast and saturation, and how far the largest is from it.
    fn ranges(&self) -> [[f32; 2]; 3] {
        let Colour { brightness, contrast, saturation, .. } = self.colour;
        [brightness, contrast, saturation].map(|amount| {
            let low = (1.0 - amount).max(0.0);
            [low as f32, (1.0 + amount - low) as f32]
        })
    }

    /// The random numbers of a row in a step.
    fn factors<F: Real>(&self, control: &Control, row: usize) -> Factors<F> {
        let key = pcg(row as u32 ^ pcg(control.step ^ pcg(control.key ^ SALT)));
        let share = |n: u32| (f64::from(pcg(key.wrapping_add(n)) >> 9) + 0.5) / f64::from(1 << 23);
        let ranges = self.ranges();
        let factor =
            |n: usize| F::of(f64::from(ranges[n][0])) + F::of(f64::from(ranges[n][1])) * F::of(share(n as u32));
        let turns = F::of(f64::from(self.colour.hue as f32)) * F::of(2.0 * share(3) - 1.0);
        Factors { factors: [0, 1, 2].map(factor), turns }
    }

    /// Changes an image whose numbers are from 0 to 1, with `channels` numbers per pixel.
    fn change<F: Real>(&self, image: &mut [F], channels: usize, Factors { factors, turns }: Factors<F>) {
        let [brightness, contrast, saturation] = factors;
        let one = F::of(1.0);
        image.iter_mut().for_each(|v| *v = clip(brightness * *v));
        if self.colour.contrast > 0.0 {
            let mut sum = F::of(0.0);
            image.chunks(channels).for_each(|pixel| sum += grey(pixel));
            let mean = sum / F::of((image.len() / channels) as f64);
            image.iter_mut().for_each(|v| *v = clip(contrast * *v + (one - contrast) * mean));
        }
        for pixel in image.chunks_exact_mut(channels).filter(|pixel| pixel.len() == 3) {
            let grey = grey(pixel);
            pixel.iter_mut().for_each(|v| *v = clip(saturation * *v + (one - saturation) * grey));
            if self.colour.hue > 0.0 {
                pixel.copy_from_slice(&hue([pixel[0], pixel[1], pixel[2]], turns));
            }
        }
    }
}

fn clip<F: Real>(v: F) -> F {
    let v = if v < F::of(0.0) { F::of(0.0) } else { v };
    if v > F::of(1.0) { F::of(1.0) } else { v }
}

/// torchvision's `rgb_to_grayscale`.
fn grey<F: Real>(pixel: &[F]) -> F {
    match *pixel {
        [r, g, b] => F::of(0.2989) * r + F::of(0.587) * g + F::of(0.114) * b,
        _ => pixel[0],
    }
}

/// The hue shifted by this many turns: to hue, saturation and value and back, where channel c is value -
/// range·clip(min(k, 4 - k)) with k = (n + 6·hue) mod 6 and n = 5, 3, 1.
fn hue<F: Real>([r, g, b]: [F; 3], turns: F) -> [F; 3] {
    let larger = |a: F, b: F| if b > a { b } else { a };
    let smaller = |a: F, b: F| if b < a { b } else { a };
    let (most, least) = (larger(r, larger(g, b)), smaller(r, smaller(g, b)));
    let range = most - least;
    let divisor = if range == F::of(0.0) { F::of(1.0) } else { range };
    let [away_r, away_g, away_b] = [r, g, b].map(|v| (most - v) / divisor);
    let sixths = if r == most {
        away_b - away_g
    } else if g == most {
        F::of(2.0) + away_r - away_b
    } else {
        F::of(4.0) + away_g - away_r
    };
    [5.0, 3.0, 1.0].map(|n| {
        // Between -3 and 13.
        let mut k = F::of(n) + (sixths + F::of(6.0) * turns);
        while k < F::of(0.0) {
            k += F::of(6.0);
        }
        while k >= F::of(6.0) {
            k -= F::of(6.0);
        }
        most - range * clip(smaller(k, F::of(4.0) - k))
    })
}

impl Reference for Jitter {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (control, shape) = (Control::read(x[0].words()), x[1].shape);
        let (channels, row) = (shape[3], shape[1] * shape[2] * shape[3]);
        let size = F::of((f64::from(self.scale) * 255.0) as f32 as f64);
        let smaller = F::of((1.0 / (f64::from(self.scale) * 255.0)) as f32 as f64);
        let shift = F::of(self.shift.into());
        let images = x[1].floats();
        y[0].floats().par_chunks_mut(row).enumerate().for_each(|(b, image)| {
            image.copy_from_slice(&images[b * row..][..row]);
            if b < control.valid as usize {
                image.iter_mut().for_each(|v| *v = (*v - shift) * smaller);
                self.change(image, channels, self.factors(&control, b));
                image.iter_mut().for_each(|v| *v = *v * size + shift);
            }
        });
    }
}

impl Op for Jitter {
    fn name(&self) -> &'static str {
        "jitter"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, images] = arguments(x)?;
        let [_, height, width, channels] = axes(images)?;
        if ![1, 3].contains(&channels) || height * width == 0 {
            return Err(format!("images {}, expected [batch, height, width, 1 or 3]", images.shape));
        }
        if self.scale == 0.0 {
            return Err("bytes scaled by 0, expected another scale".into());
        }
        Ok(vec![TensorInfo::floats("coloured", images.shape.clone())])
    }

    fn backward(&self, _: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        match at.wants[1] {
            false => Ok(vec![None; 2]),
            true => Err(Error::input("jitter: a gradient of images is not supported")),
        }
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [batch, height, width, channels] = cx.shape(cx.x[1])[..] else {
            return Err(Error::failed("jitter: images have another shape"));
        };
        let [[low0, span0], [low1, span1], [low2, span2]] = self.ranges();
        let size = f64::from(self.scale) * 255.0;
        let launch = cx.kernel(JITTER, &[])?.size("batch", batch).size("pixels", height * width);
        let launch = launch.size("channels", channels).set("size", size as f32).set("smaller", (1.0 / size) as f32);
        let launch = launch.set("shift", self.shift).set("low0", low0).set("span0", span0);
        let launch = launch.set("low1", low1).set("span1", span1).set("low2", low2).set("span2", span2);
        let launch = launch.set("turn", self.colour.hue as f32).set("salt", SALT);
        let launch = launch.bind("control", cx.x[0]).bind("x", cx.x[1]);
        cx.groups(launch.bind("y", cx.y[0]), batch)
    }

    /// Two roundings for v, three for each of three factors and what they multiply, 16 for the hue: its quotient of 5 and what
    /// follows; and the mean of all pixels.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let pixels = if self.colour.contrast > 0.0 { x[1].elements() / x[1].shape.0[0].max(1) } else { 0 };
        Rounding { terms: pixels, ulps: 2.0 + 3.0 * 5.0 + if self.colour.hue > 0.0 { 16.0 } else { 0.0 } }
    }

    /// Numbers up to 1; an error before grows by the factors: 1 + b, then f + |1 - f| up to 1 + 2·amount, of which a hue takes
    /// the differences of two, twice.
    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let Colour { brightness, contrast, saturation, hue } = self.colour;
        let grown = (1.0 + brightness) * (1.0 + 2.0 * contrast) * (1.0 + 2.0 * saturation);
        let grown = grown * if hue > 0.0 { 4.0 } else { 1.0 };
        let size = f64::from(self.scale).abs() * 255.0;
        let largest = x[1].floats().iter().fold(size, |most, v| most.max(v.abs()));
        y[0].floats().fill(largest * grown + f64::from(self.shift.abs()));
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |list: &str, shape: [usize; 4], valid: u32, [scale, shift]: [f32; 2]| {
        let augment: crate::step::augment::Augment = list.parse().unwrap_or_default();
        let control = Control { key: 7, step: 11, epoch: 3, valid, samples: 1000, ..Control::default() };
        let byte = |at: usize| (pcg(at as u32) >> 24) as u8;
        let row: usize = shape[1..].iter().product();
        let pixel = |at: usize| match at / row < valid as usize {
            // Greys, black, white and equal channels among them.
            true if at / shape[3] % 7 == 3 => f32::from(byte(at / shape[3]) & 0xc0) * scale + shift,
            true => f32::from(byte(at)) * scale + shift,
            false => 0.0,
        };
        let images = (0..shape.iter().product()).map(pixel).collect();
        let op = Jitter { colour: augment.colour(), scale, shift };
        Case::new(op).words([Control::WORDS], control.words()).floats(shape, images)
    };
    const UNIT: [f32; 2] = [1.0 / 255.0, 0.0];
    const ALL: &str = "brightness=0.4,contrast=0.4,saturation=0.4,hue=0.1";
    let mut cases = vec![
        case("brightness=0.5", [3, 5, 7, 3], 3, UNIT),
        case("contrast=0.9", [3, 28, 28, 1], 2, UNIT),
        case("saturation=1.5", [2, 5, 4, 3], 2, UNIT),
        case("hue=0.5", [5, 9, 9, 3], 4, UNIT),
        case("off", [2, 2, 2, 3], 2, UNIT),
        case(ALL, [7, 8, 8, 3], 7, UNIT),
        case(ALL, [3, 1, 1, 3], 3, [1.0 / 255.0, -0.125]),
        case(ALL, [2, 32, 32, 3], 2, [-0.01, 1.0]),
        case(ALL, [2, 3, 3, 1], 1, [1.0, 0.0]),
    ];
    for case in &mut cases {
        case.x[1].0.role = crate::ir::graph::Role::Data;
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of torchvision's functional form (`adjust_brightness`, `_contrast`, `_saturation`, `_hue` of float images) one
    /// after another, written out with PyTorch: factors 1.3, 0.6, 1.7 and a hue of 0.15.
    #[test]
    fn colours_are_torchvisions() {
        let mut image: Vec<f64> = TORCH.iter().map(|(before, _)| *before).collect();
        let colour = Colour { brightness: 1.0, contrast: 1.0, saturation: 1.0, hue: 0.5 };
        let jitter = Jitter { colour, scale: 1.0 / 255.0, shift: 0.0 };
        jitter.change(&mut image, 3, Factors { factors: [1.3, 0.6, 1.7], turns: 0.15 });
        for (found, (before, expected)) in image.iter().zip(TORCH) {
            assert!((found - expected).abs() <= 1e-6, "{before}: {found}, torchvision {expected}");
        }
        // A hue of a whole turn changes nothing.
        let pixel = [0.2f64, 0.7, 0.4];
        hue(pixel, 1.0).iter().zip(pixel).for_each(|(found, v)| assert!((found - v).abs() < 1e-12));
    }

    const TORCH: [(f64, f64); 18] = [
        (0.1, 0.381555615746),
        (0.5, 0.119556157461),
        (0.9, 1.0),
        (0.8, 1.0),
        (0.2, 0.927451989746),
        (0.2, 0.274519897461),
        (0.3, 0.445423477461),
        (0.3, 0.445423477461),
        (0.3, 0.445423477461),
        (0.95, 0.0856216897461),
        (0.9, 0.856216897461),
        (0.05, 0.0),
        (0.0, 0.0),
        (0.6, 0.344180829746),
        (0.4, 0.789808297461),
        (0.45, 0.990546367461),
        (0.1, 0.194946367461),
        (0.7, 0.606006367461),
    ];

    #[test]
    fn factors_are_spread_evenly_over_their_ranges() {
        let colour = Colour { brightness: 0.4, contrast: 1.5, saturation: 0.2, hue: 0.1 };
        let jitter = Jitter { colour, scale: 1.0, shift: 0.0 };
        let control = Control { key: 5, step: 77, ..Control::default() };
        let all: Vec<Factors<f64>> = (0..20_000).map(|row| jitter.factors(&control, row)).collect();
        let even = |what: &str, get: fn(&Factors<f64>) -> f64, low: f64, high: f64| {
            let mean = all.iter().map(get).sum::<f64>() / all.len() as f64;
            let deviation = (high - low) / 12f64.sqrt() / (all.len() as f64).sqrt();
            assert!((mean - (low + high) / 2.0).abs() <= 5.0 * deviation, "{what}: mean {mean}");
            let ends = all.iter().map(get).fold([high, low], |[a, b], x| [a.min(x), b.max(x)]);
            let near = 0.01 * (high - low);
            assert!(ends[0] - low < near && high - ends[1] < near && ends[0] > low - 1e-6, "{what}: {ends:?}");
        };
        even("brightness", |found| found.factors[0], 0.6, 1.4);
        even("contrast", |found| found.factors[1], 0.0, 2.5);
        even("saturation", |found| found.factors[2], 0.8, 1.2);
        even("hue", |found| found.turns, -0.1, 0.1);
    }
}
