//! Augmentation: how training images are changed at random, anew in each step, and how it is written on the command line.

use crate::error::{Error, Result};
use crate::suggest;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::str::FromStr;

/// How far training images are changed at random. An amount of 0 is off; amounts with a sign are drawn evenly from both
/// sides. What comes from outside an image is the byte 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Up to so many pixels to each side, and up or down, fractions included.
    #[serde(skip_serializing_if = "is_default")]
    pub shift: f64,
    /// Up to so many degrees either way.
    #[serde(skip_serializing_if = "is_default")]
    pub rotate: f64,
    /// Larger or smaller by up to this share.
    #[serde(skip_serializing_if = "is_default")]
    pub scale: f64,
    /// Slanted by up to so many degrees either way.
    #[serde(skip_serializing_if = "is_default")]
    pub shear: f64,
    /// Every second image, by chance, with left and right exchanged.
    #[serde(skip_serializing_if = "is_default")]
    pub hflip: bool,
    /// Every second image, by chance, with top and bottom exchanged.
    #[serde(skip_serializing_if = "is_default")]
    pub vflip: bool,
    /// A random part, as large as the image, of the image with so many pixels of 0 around it.
    #[serde(skip_serializing_if = "is_default")]
    pub crop: u32,
    /// A square of so many pixels, centred anywhere in the image, set to 0 (DeVries and Taylor 2017).
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

/// What can be asked for, with the unit; flips have none.
const NAMES: [(&str, &str); 13] = [
    ("shift", "PIXELS"),
    ("rotate", "DEGREES"),
    ("scale", "SHARE"),
    ("shear", "DEGREES"),
    ("hflip", ""),
    ("vflip", ""),
    ("crop", "PIXELS"),
    ("cutout", "PIXELS"),
    ("brightness", "SHARE"),
    ("contrast", "SHARE"),
    ("saturation", "SHARE"),
    ("hue", "SHARE"),
    ("mixup", "A"),
];

impl Augment {
    /// Whether nothing is changed.
    pub fn is_off(&self) -> bool {
        *self == Augment::default()
    }

    /// Whether images are left as they are, but for their colours and mixup.
    pub fn keeps_images(&self) -> bool {
        Augment { mixup: 0.0, brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0, ..*self }.is_off()
    }

    /// What becomes of colours.
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
        self.warps() || self.crop > 0
    }

    /// Whether pixels come to lie between pixels.
    pub fn warps(&self) -> bool {
        [self.shift, self.rotate, self.scale, self.shear].iter().any(|amount| *amount != 0.0)
    }

    /// Refuses amounts that cannot be meant for any image.
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
        let side = height.min(width);
        let pixels = [("shift", self.shift), ("crop", self.crop.into()), ("cutout", self.cutout.into())];
        match pixels.into_iter().find(|(_, found)| *found > side as f64) {
            None => Ok(()),
            Some((name, found)) => Err(Error::input(format!(
                "augment {name} {found}: at most {side} pixels are expected of images of {height} × {width}"
            ))),
        }
    }

    /// Sets one item of a list.
    fn set(&mut self, name: &str, amount: Option<&str>) -> Result<(), String> {
        fn number<T: FromStr>(name: &str, amount: Option<&str>, unit: &str) -> Result<T, String> {
            let text = amount.ok_or_else(|| format!("{name}: an amount is expected, {name}={unit}"))?;
            let kind = if unit == "PIXELS" && name != "shift" { "a whole number" } else { "a number" };
            text.parse().map_err(|_| format!("{name} '{}': {kind} is expected, {name}={unit}", text.escape_debug()))
        }
        let unit = NAMES.iter().find(|(known, _)| *known == name).map_or("", |(_, unit)| unit);
        if let (true, Some(amount)) = (unit.is_empty() && ["hflip", "vflip"].contains(&name), amount) {
            return Err(format!("{name} '{}': it stands alone, without an amount", amount.escape_debug()));
        }
        match name {
            "shift" => self.shift = number(name, amount, unit)?,
            "rotate" => self.rotate = number(name, amount, unit)?,
            "scale" => self.scale = number(name, amount, unit)?,
            "shear" => self.shear = number(name, amount, unit)?,
            "crop" => self.crop = number(name, amount, unit)?,
            "cutout" => self.cutout = number(name, amount, unit)?,
            "brightness" => self.brightness = number(name, amount, unit)?,
            "contrast" => self.contrast = number(name, amount, unit)?,
            "saturation" => self.saturation = number(name, amount, unit)?,
            "hue" => self.hue = number(name, amount, unit)?,
            "mixup" => self.mixup = number(name, amount, unit)?,
            "hflip" => self.hflip = true,
            "vflip" => self.vflip = true,
            _ => return Err(suggest::unknown("augmentation", name, &NAMES.map(|(name, _)| name), "")),
        }
        Ok(())
    }
}

/// A comma list such as `shift=2,rotate=10,hflip`, or `off`.
impl FromStr for Augment {
    type Err = String;

    fn from_str(list: &str) -> Result<Augment, String> {
        let mut augment = Augment::default();
        if list == "off" {
            return Ok(augment);
        }
        let mut seen: Vec<&str> = Vec::new();
        for item in list.split(',') {
            let (name, amount) = item.split_once('=').map_or((item, None), |(name, amount)| (name, Some(amount)));
            augment.set(name, amount)?;
            if seen.contains(&name) {
                return Err(format!("{name} is there twice"));
            }
            seen.push(name);
        }
        augment.check().map_err(|e| e.to_string())?;
        Ok(augment)
    }
}

/// The list that is read back as the same.
impl Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let amounts = [
            ("shift", self.shift),
            ("rotate", self.rotate),
            ("scale", self.scale),
            ("shear", self.shear),
            ("crop", self.crop.into()),
            ("cutout", self.cutout.into()),
            ("brightness", self.brightness),
            ("contrast", self.contrast),
            ("saturation", self.saturation),
            ("hue", self.hue),
            ("mixup", self.mixup),
        ];
        let amounts =
            amounts.iter().filter(|(_, amount)| *amount != 0.0).map(|(name, amount)| format!("{name}={amount}"));
        let flips = [("hflip", self.hflip), ("vflip", self.vflip)].into_iter().filter(|(_, on)| *on);
        let items: Vec<String> = amounts.chain(flips.map(|(name, _)| name.into())).collect();
        f.write_str(if items.is_empty() { "off" } else { "" })?;
        f.write_str(&items.join(","))
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
mod tests {
    use super::*;

    /// Distributions whose quantiles are known: even for 1, 3x² - 2x³ for 2, and the arcsine's for 1/2.
    #[test]
    fn quantiles_are_those_of_known_distributions() {
        type Quantile = fn(f64) -> f64;
        let known: [(f64, Quantile); 3] = [
            (1.0, |x| x),
            (2.0, |x| 3.0 * x * x - 2.0 * x * x * x),
            (0.5, |x| 2.0 / std::f64::consts::PI * x.sqrt().asin()),
        ];
        for (a, below) in known {
            let table = quantiles(a);
            assert_eq!((table.len(), table[0], table[CELLS]), (CELLS + 1, 0.0, 0.5), "{a}");
            for (k, x) in table.iter().enumerate() {
                let (found, expected) = (below((*x).into()), k as f64 / 512.0);
                assert!((found - expected).abs() < 1e-6, "{a} {k}: {found}, expected {expected}");
            }
        }
        for a in [1e-3, 0.1, 0.2, 10.0] {
            let table = quantiles(a);
            assert!(table.is_sorted() && table.iter().all(|x| (0.0..=0.5).contains(x)), "{a}: {table:?}");
        }
    }

    #[test]
    fn a_list_is_read_and_written() {
        let list = "shift=2,rotate=10,scale=0.08,shear=5,crop=4,cutout=8,brightness=0.2,contrast=0.3,saturation=0.4,hue=0.1,mixup=0.2,hflip,vflip";
        let read: Augment = list.parse().unwrap();
        let expected = Augment {
            shift: 2.0,
            rotate: 10.0,
            scale: 0.08,
            shear: 5.0,
            hflip: true,
            vflip: true,
            crop: 4,
            cutout: 8,
            brightness: 0.2,
            contrast: 0.3,
            saturation: 0.4,
            hue: 0.1,
            mixup: 0.2,
        };
        assert_eq!(read, expected);
        assert_eq!(read.to_string(), list);
        assert!("off".parse::<Augment>().unwrap().is_off() && "shift=0,crop=0".parse::<Augment>().unwrap().is_off());
        assert_eq!(Augment::default().to_string(), "off");
        let table = toml::to_string(&read).unwrap();
        assert_eq!(toml::from_str::<Augment>(&table).unwrap(), read, "{table}");
        assert_eq!(toml::to_string(&Augment::default()).unwrap(), "");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_words() {
        for (list, expected) in [
            ("", "no augmentation ''; expected shift, rotate"),
            ("shfit=2", "no augmentation 'shfit'; did you mean 'shift'? Expected shift, rotate"),
            ("rotate=10,,hflip", "no augmentation ''"),
            ("shift", "shift: an amount is expected, shift=PIXELS"),
            ("shift=", "shift '': a number is expected, shift=PIXELS"),
            ("crop=1.5", "crop '1.5': a whole number is expected, crop=PIXELS"),
            ("crop=-1", "crop '-1': a whole number"),
            ("hflip=1", "hflip '1': it stands alone"),
            ("hflip,hflip", "hflip is there twice"),
            ("shift=-1", "augment shift -1: pixels of 0 or more expected"),
            ("shift=inf", "augment shift inf"),
            ("rotate=nan", "augment rotate NaN: degrees from 0 to 180 expected"),
            ("rotate=181", "augment rotate 181"),
            ("scale=1", "augment scale 1: a share from 0 to 0.9 expected"),
            ("shear=61", "augment shear 61"),
            ("hue=0.6", "augment hue 0.6: a share of a turn from 0 to 0.5 expected"),
            ("brightness=-1", "augment brightness -1: a share from 0 to 10 expected"),
            ("contrast", "contrast: an amount is expected, contrast=SHARE"),
            ("mixup=11", "augment mixup 11: a number from 0 to 10 expected"),
            ("mixup", "mixup: an amount is expected, mixup=A"),
            ("shift=2 ", "shift '2 '"),
            ("off,shift=2", "no augmentation 'off'"),
        ] {
            let error = list.parse::<Augment>().expect_err(list);
            assert!(error.starts_with(expected), "{list}: {error}");
        }
        let image = [8, 6, 1];
        for (list, expected) in [
            ("shift=6.5", "augment shift 6.5: at most 6 pixels are expected of images of 8 × 6"),
            ("crop=7", "augment crop 7"),
            ("cutout=7", "augment cutout 7"),
        ] {
            let error = list.parse::<Augment>().unwrap().check_for(image).expect_err(list).to_string();
            assert!(error.starts_with(expected), "{list}: {error}");
        }
        let error = "hue=0.1".parse::<Augment>().unwrap().check_for([8, 8, 4]).expect_err("four channels").to_string();
        assert!(
            error.starts_with("augment hue=0.1: 1 or 3 channels are expected for colours, found images of 4"),
            "{error}"
        );
        assert_eq!("shift=6,crop=6,cutout=6".parse::<Augment>().unwrap().check_for(image), Ok(()));
    }
}
