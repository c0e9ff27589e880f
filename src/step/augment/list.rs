//! The comma list that an augmentation is read from and written as.

use crate::step::augment::{Augment, Fill, RESIZED_CROP};
use crate::suggest;
use std::fmt::{self, Display};
use std::str::FromStr;

/// The names of a list's items, with the unit; flips have none.
const NAMES: [(&str, &str); 15] = [
    ("shift", "PIXELS"),
    ("rotate", "DEGREES"),
    ("scale", "SHARE"),
    ("shear", "DEGREES"),
    ("hflip", ""),
    ("vflip", ""),
    ("crop", "PIXELS"),
    ("random-resized-crop", "SHARE"),
    ("fill", "N"),
    ("cutout", "PIXELS"),
    ("brightness", "SHARE"),
    ("contrast", "SHARE"),
    ("saturation", "SHARE"),
    ("hue", "SHARE"),
    ("mixup", "A"),
];

impl Augment {
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
            "random-resized-crop" => self.random_resized_crop = Some(amount.map_or(Ok(RESIZED_CROP), areas)?),
            "fill" => {
                let bytes = amount.ok_or("fill: a value is expected, fill=N or fill=R,G,B")?;
                self.fill = bytes.parse::<Fill>()?;
            }
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
        let mut rest = Some(list);
        while let Some(items) = rest {
            let (item, after) = first_of(items);
            rest = after;
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

/// The first item of a list, and the rest after its comma. Of `fill=124,116,104,hflip` the three numbers are one item.
fn first_of(list: &str) -> (&str, Option<&str>) {
    let mut end = list.find(',');
    if list.starts_with("fill=") {
        while let Some(at) = end.filter(|at| list[at + 1..].starts_with(|c: char| c.is_ascii_digit())) {
            end = list[at + 1..].find(',').map(|more| at + 1 + more);
        }
    }
    end.map_or((list, None), |at| (&list[..at], Some(&list[at + 1..])))
}

/// The range of shares in `0.3`, which goes up to 1, or `0.3-0.9`.
fn areas(text: &str) -> Result<[f64; 2], String> {
    let range = || text.rsplit_once('-').and_then(|(low, high)| Some([low.parse().ok()?, high.parse().ok()?]));
    let one = text.parse().ok().map(|low| [low, RESIZED_CROP[1]]);
    one.or_else(range).ok_or_else(|| {
        let (name, found) = ("random-resized-crop", text.escape_debug());
        format!("{name} '{found}': shares of the area are expected, {name}=0.3 or {name}=0.3-1")
    })
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
        let flips = flips.map(|(name, _)| name.into());
        let resized = self.random_resized_crop.map(|areas| {
            let name = "random-resized-crop";
            match areas {
                RESIZED_CROP => name.into(),
                [low, high] if high == RESIZED_CROP[1] => format!("{name}={low}"),
                [low, high] => format!("{name}={low}-{high}"),
            }
        });
        let fill = (self.fill != Fill::default()).then(|| format!("fill={}", self.fill));
        let items: Vec<String> = amounts.chain(flips).chain(resized).chain(fill).collect();
        f.write_str(if items.is_empty() { "off" } else { "" })?;
        f.write_str(&items.join(","))
    }
}
