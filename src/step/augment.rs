//! Augmentation: how training images are changed at random in each step, and how it is written on the command line.

use crate::counted::counted;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

pub use fill::Fill;

mod fill;
mod list;

/// The shares of an image's area that `random-resized-crop` draws from where none are given, as torchvision's
/// `RandomResizedCrop`.
pub const RESIZED_CROP: [f64; 2] = [0.08, 1.0];
/// The largest proportion of the part that it draws, width by height in pixels; the smallest is its inverse.
pub const RESIZED_CROP_RATIO: f64 = 4.0 / 3.0;
/// The smallest share of an image's area that can be requested.
const LEAST_AREA: f64 = 0.001;

/// How far training images are changed at random. An amount of 0 is off; amounts with a sign are drawn evenly from both
/// sides. What comes from outside an image has the value of `fill`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// By up to this many pixels horizontally and vertically, including fractions.
    #[serde(skip_serializing_if = "is_default")]
    pub shift: f64,
    /// By up to this many degrees in either direction.
    #[serde(skip_serializing_if = "is_default")]
    pub rotate: f64,
    /// Larger or smaller by up to this share.
    #[serde(skip_serializing_if = "is_default")]
    pub scale: f64,
    /// By up to this many degrees in either direction.
    #[serde(skip_serializing_if = "is_default")]
    pub shear: f64,
    /// Every second image, by chance, with left and right exchanged.
    #[serde(skip_serializing_if = "is_default")]
    pub hflip: bool,
    /// Every second image, by chance, with top and bottom exchanged.
    #[serde(skip_serializing_if = "is_default")]
    pub vflip: bool,
    /// A random part, as large as the image, of the image with this many pixels of `fill` around it.
    #[serde(skip_serializing_if = "is_default")]
    pub crop: u32,
    /// A random part of the image, resized to the size of the image. Its share of the image's area is drawn evenly from this
    /// range, the logarithm of its proportion (width by height) evenly between those of 3/4 and 4/3, and its place evenly
    /// (torchvision's `RandomResizedCrop`).
    ///
    /// Where the part is wider or higher than the image, its width or height becomes that of the image, and its area is
    /// smaller than drawn; torchvision draws again, up to ten times, and then takes the middle. Places are those at which
    /// no resized pixel lies outside the outermost pixels' centres, so that nothing is made up at the edges.
    #[serde(skip_serializing_if = "is_default")]
    pub random_resized_crop: Option<[f64; 2]>,
    /// The value of pixels that come from outside an image.
    #[serde(skip_serializing_if = "is_default")]
    pub fill: Fill,
    /// The side in pixels of a square, centred anywhere in the image, that is set to 0 (DeVries and Taylor 2017).
    #[serde(skip_serializing_if = "is_default")]
    pub cutout: u32,
    /// Brighter or darker by up to this share: values times a factor from 1 - share, at least 0, to 1 + share.
    #[serde(skip_serializing_if = "is_default")]
    pub brightness: f64,
    /// More or less contrast, alike: values moved away from or to the mean of the image's grey.
    #[serde(skip_serializing_if = "is_default")]
    pub contrast: f64,
    /// More or less saturation, alike: values moved away from or to the pixel's grey.
    #[serde(skip_serializing_if = "is_default")]
    pub saturation: f64,
    /// The hue moved by up to this share of a turn either way.
    #[serde(skip_serializing_if = "is_default")]
    pub hue: f64,
    /// Every image blended with another one, by shares drawn from Beta(a, a) with this a, and the loss with it (Zhang et
    /// al. 2018).
    #[serde(skip_serializing_if = "is_default")]
    pub mixup: f64,
}

/// How far colours are changed at random (torchvision's `ColorJitter`, in this order).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Colour {
    /// See [`Augment::brightness`].
    pub brightness: f64,
    /// See [`Augment::contrast`].
    pub contrast: f64,
    /// See [`Augment::saturation`].
    pub saturation: f64,
    /// See [`Augment::hue`].
    pub hue: f64,
}

impl Colour {
    /// Whether no colour is changed.
    pub fn is_off(&self) -> bool {
        *self == Colour::default()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Augment {
    /// Whether nothing is changed.
    pub fn is_off(&self) -> bool {
        *self == Augment::default()
    }

    /// Whether images are unchanged, except for their colours and mixup.
    pub fn keeps_images(&self) -> bool {
        Augment { mixup: 0.0, brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0, ..*self }.is_off()
    }

    /// With this value for pixels from outside the image.
    ///
    /// # Errors
    /// [`Error::Input`] if there is one already.
    pub fn filled(self, fill: Fill) -> Result<Augment> {
        match self.fill == Fill::default() {
            true => Ok(Augment { fill, ..self }),
            false => Err(Error::input(format!("fill {fill}: --augment has fill={} already; expected one", self.fill))),
        }
    }

    /// The colour augmentation.
    pub fn colour(&self) -> Colour {
        let Augment { brightness, contrast, saturation, hue, .. } = *self;
        Colour { brightness, contrast, saturation, hue }
    }

    /// Whether pixels stay where they are, whatever becomes of their values.
    pub fn keeps_places(&self) -> bool {
        Augment { cutout: 0, ..*self }.keeps_images()
    }

    /// Whether pixels may come from outside an image.
    pub fn reaches_outside(&self) -> bool {
        self.moves() || self.crop > 0
    }

    /// Whether pixels come to lie between pixels.
    pub fn warps(&self) -> bool {
        self.moves() || self.random_resized_crop.is_some()
    }

    /// Whether an image is moved by other than whole pixels, or changes its form.
    fn moves(&self) -> bool {
        [self.shift, self.rotate, self.scale, self.shear].iter().any(|amount| *amount != 0.0)
    }

    /// Refuses amounts that are invalid for any image.
    ///
    /// # Errors
    /// [`Error::Input`] that names the amount.
    pub fn check(&self) -> Result<()> {
        for (name, found, most, unit) in [
            ("shift", self.shift, f64::INFINITY, "pixels"),
            ("rotate", self.rotate, 180.0, "degrees"),
            ("scale", self.scale, 0.9, "a share"),
            ("shear", self.shear, 60.0, "degrees"),
            ("brightness", self.brightness, 10.0, "a share"),
            ("contrast", self.contrast, 10.0, "a share"),
            ("saturation", self.saturation, 10.0, "a share"),
            ("hue", self.hue, 0.5, "a share of a turn"),
            ("mixup", self.mixup, 10.0, "a number"),
        ] {
            if !(found.is_finite() && (0.0..=most).contains(&found)) {
                let range = if most.is_finite() { format!("from 0 to {most}") } else { "of 0 or more".into() };
                return Err(Error::input(format!("augment {name} {found}: {unit} {range} expected")));
            }
        }
        if let Some([low, high]) = self.random_resized_crop.filter(|[low, high]| {
            let meant = *low >= LEAST_AREA && low <= high && *high <= 1.0;
            !meant
        }) {
            return Err(Error::input(format!(
                "augment random-resized-crop {low}-{high}: shares of the area from {LEAST_AREA} to 1 are expected, the \
                 smaller one first"
            )));
        }
        if self.fill != Fill::default() && !self.reaches_outside() {
            return Err(Error::input(format!(
                "augment fill {}: shift, rotate, scale, shear or crop is expected with it; nothing else brings pixels from \
                 outside the image",
                self.fill
            )));
        }
        Ok(())
    }

    /// Refuses amounts that leave nothing of images of this height and width.
    ///
    /// # Errors
    /// [`Error::Input`] that names the amount.
    pub fn check_for(&self, [height, width, channels]: [usize; 3]) -> Result<()> {
        self.check()?;
        if !self.colour().is_off() && ![1, 3].contains(&channels) {
            let found = format!("images of {channels} channels");
            return Err(Error::input(format!(
                "augment {self}: 1 or 3 channels are expected for colours, found {found}"
            )));
        }
        if let (Fill::Rgb(_), true) = (self.fill, channels != 3) {
            return Err(Error::input(format!(
                "augment fill {}: one value is expected of images with {}, not three",
                self.fill,
                counted(channels, "channel")
            )));
        }
        let side = height.min(width);
        let pixels = [("shift", self.shift), ("crop", self.crop.into()), ("cutout", self.cutout.into())];
        match pixels.into_iter().find(|(_, found)| *found > side as f64) {
            None => Ok(()),
            Some((name, found)) => Err(Error::input(format!(
                "augment {name} {found}: at most {side} pixels are expected of images of {height} × {width}"
            ))),
        }
    }
}

/// Cells of the table of quantiles.
pub const CELLS: usize = 256;

/// The quantiles k / 512 of Beta(a, a), for k from 0 to 256: the lower half, of which the upper one is the mirror image.
///
/// With λ = t^(1/a) the density ∝ λ^(a-1)·(1 - λ)^(a-1) becomes ∝ (1 - λ)^(a-1) in t, which has no pole in the lower half
/// and is summed there by midpoints.
pub fn quantiles(a: f64) -> Vec<f32> {
    const STEPS: usize = 1 << 15;
    let width = 0.5f64.powf(a) / STEPS as f64;
    let density = |step: usize| (1.0 - ((step as f64 + 0.5) * width).powf(1.0 / a)).powf(a - 1.0);
    let total: f64 = (0..STEPS).map(density).sum();
    let (mut step, mut below) = (0, 0.0);
    let inner = (0..CELLS).map(|k| {
        let wanted = total * k as f64 / CELLS as f64;
        while step + 1 < STEPS && below + density(step) <= wanted {
            below += density(step);
            step += 1;
        }
        (((step as f64 + (wanted - below) / density(step)) * width).powf(1.0 / a)) as f32
    });
    inner.chain([0.5]).collect()
}

#[cfg(test)]
mod tests;
