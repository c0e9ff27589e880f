//! The flags of a run's settings: the fields of [`RunConfig`], as clap derives them, become an [`Overlay`] of those given.

use crate::data::values::value_of;
use crate::step::augment::Fill;
use crate::train::settings::config::RunConfig;
use crate::train::settings::options::TrainOptions;
use crate::train::settings::overlay::Overlay;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};
use toml::{Table, Value};

/// The headings of `--help`.
pub(super) const DATA: &str = "Data";
pub(super) const MODEL: &str = "Model and first weights";
pub(super) const TRAINING: &str = "Training";
pub(super) const OPTIMIZER: &str = "Optimizer";
pub(super) const RATE: &str = "Learning rate";
pub(super) const LOSS: &str = "Loss";
pub(super) const AUGMENTATION: &str = "Augmentation";
pub(super) const DEVICE: &str = "Device";
pub(crate) const RUN: &str = "Run folder and output";
/// In this order.
const HEADINGS: [&str; 9] = [DATA, MODEL, TRAINING, OPTIMIZER, RATE, LOSS, AUGMENTATION, DEVICE, RUN];

/// The settings that the command line gives, and no others; and the learning rates, where it gives several.
#[derive(Clone, Debug)]
pub struct Flags(pub Overlay, pub Vec<f64>);

/// The flag that takes several values, which are runs one after the other.
fn with_rates(command: Command) -> Command {
    command.mut_arg("lr", |rate| rate.value_delimiter(',').value_name("X[,X…]"))
}

/// The flag that stands for an item of `--augment`.
fn fill() -> Arg {
    let help = "With --augment: the value of pixels from outside the image, from 0 to 255, or one each for red, green and \
                blue; the same as fill=N in its list [default: 0]";
    let arg = Arg::new("fill").long("fill").value_name("N|R,G,B").help(help).requires("augment");
    arg.value_parser(|text: &str| text.parse::<Fill>()).help_heading(AUGMENTATION)
}

/// The key of every flag in `config.toml`, its id in clap, and the flag.
fn keys() -> Vec<(String, String, String)> {
    let command = RunConfig::augment_args(Command::new("run"));
    let of_train = TrainOptions::augment_args(Command::new("train"));
    let of_train: Vec<_> = of_train.get_arguments().map(|arg| arg.get_id().clone()).collect();
    let key = |arg: &clap::Arg| {
        let group = if of_train.contains(arg.get_id()) { "train." } else { "" };
        let long = arg.get_long().unwrap_or_default();
        (format!("{group}{}", arg.get_id()), arg.get_id().to_string(), format!("--{long}"))
    };
    command.get_arguments().map(key).collect()
}

impl Args for Flags {
    /// The fields' flags, heading after heading; clap shows headings in the order of their first flags.
    fn augment_args(command: Command) -> Command {
        let fields = RunConfig::augment_args(Command::new("run"));
        let mut all: Vec<_> = fields.get_arguments().cloned().collect();
        all.sort_by_key(|arg| HEADINGS.iter().position(|heading| arg.get_help_heading() == Some(heading)));
        with_rates(command.args(all)).arg(fill())
    }

    fn augment_args_for_update(command: Command) -> Command {
        with_rates(RunConfig::augment_args_for_update(command)).arg(fill())
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    /// All fields are parsed, those that are not given as their defaults; what is given is picked from their table.
    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let given: Vec<_> = keys().into_iter().filter(|(_, id, _)| given(id)).collect();
        let rates: Vec<f64> = matches.get_many("lr").into_iter().flatten().copied().collect();
        let filled: Option<Fill> = matches.get_one("fill").copied();
        let mut config = RunConfig::from_arg_matches_mut(matches)?;
        if let Some(fill) = filled {
            config.train.augment = config
                .train
                .augment
                .filled(fill)
                .map_err(|e| Error::raw(ErrorKind::ArgumentConflict, format!("{e}\n")))?;
        }
        let table = Table::try_from(&config).map_err(|e| Error::raw(ErrorKind::InvalidValue, format!("{e}\n")))?;
        let value = |key: &str| -> Option<Value> {
            match key.strip_prefix("train.") {
                Some(key) => table.get("train")?.get(key).cloned(),
                None => table.get(key).cloned(),
            }
        };
        let add = |overlay: Overlay, (key, _, flag): &(String, String, String)| overlay.with(key, flag, value(key));
        let several = if rates.len() > 1 { rates } else { Vec::new() };
        Ok(Flags(given.iter().fold(Overlay::new(), add), several))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A whole number that a configuration can hold: its numbers have a sign.
pub(super) fn whole<T>(text: &str) -> Result<T, String>
where
    T: std::str::FromStr<Err: std::fmt::Display> + TryInto<i64> + Copy,
{
    let number: T = text.parse().map_err(|e: T::Err| e.to_string())?;
    let fits: Result<i64, _> = number.try_into();
    fits.map(|_| number).map_err(|_| format!("expected a number of at most {}", i64::MAX))
}

/// A value of a mask: `255`, or a colour, `#ff0000`.
pub(crate) fn mask_value(text: &str) -> Result<u32, String> {
    value_of(text).ok_or_else(|| "expected a whole number, such as 255, or a colour, such as '#ff0000'".into())
}

/// `0.9,0.999`.
pub(super) fn betas(text: &str) -> Result<[f64; 2], String> {
    let parsed = text.split_once(',').and_then(|(a, b)| Some([a.trim().parse().ok()?, b.trim().parse().ok()?]));
    parsed.ok_or_else(|| "expected two numbers, such as 0.9,0.999".into())
}

/// `1` or `3`.
pub(super) fn image_channels(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|channels| [1, 3].contains(channels)).ok_or_else(|| "expected 1 (grey) or 3 (RGB)".into())
}

/// `65536`, `64KiB`, `64MiB` or `1GiB`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let unit = units.into_iter().find_map(|(name, bits)| Some((text.strip_suffix(name)?, bits)));
    let (number, bits) = unit.unwrap_or((text, 0));
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << bits));
    // A configuration's numbers have a sign.
    bytes
        .filter(|bytes| (1..=i64::MAX as u64).contains(bytes))
        .ok_or_else(|| "expected a number of bytes from 1 on, such as 65536, 64KiB, 64MiB or 1GiB".into())
}

/// `64`, for 64 × 64, or `48x64`, rows first.
pub(crate) fn image_size(text: &str) -> Result<[usize; 2], String> {
    let (height, width) = text.split_once('x').unwrap_or((text, text));
    match (height.parse(), width.parse()) {
        (Ok(height), Ok(width)) if height > 0 && width > 0 => Ok([height, width]),
        _ => Err("expected a number of pixels, such as 64, or height and width, such as 48x64".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::settings::overlay::CHANGEABLE;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn overlay(line: &str) -> Overlay {
        let words = std::iter::once("train").chain(line.split_whitespace());
        let line: Line = clap::Parser::try_parse_from(words).unwrap_or_else(|e| panic!("{line}: {e}"));
        line.flags.0
    }

    /// Every field has a flag, every flag a field, and what may be changed is among them.
    #[test]
    fn flags_are_the_fields() {
        let keys: Vec<String> = keys().into_iter().map(|(key, ..)| key).collect();
        for key in CHANGEABLE {
            assert!(keys.iter().any(|known| known == key), "{key}");
        }
        for key in &keys {
            // A key that the settings do not have is refused as unknown; a value of no use, as of another type.
            let error = Overlay::new().set(key, Table::new()).over(&RunConfig::default());
            let error = error.map_or_else(|e| e.to_string(), |_| String::new());
            assert!(!error.contains("unknown field `"), "{error}");
        }
    }

    #[test]
    fn what_is_given_goes_over_a_file_even_where_it_is_the_default() {
        let base = RunConfig {
            threads: 3,
            train: TrainOptions {
                warmup_steps: 7,
                epochs: 3,
                accumulate: 4,
                shuffle: false,
                ..TrainOptions::default()
            },
            ..RunConfig::default()
        };
        assert_eq!(overlay("").over(&base).expect("settings"), base);
        let found = overlay("--warmup-steps 0 --accumulate 1 --threads 0 --augment off --lr 1").over(&base);
        let train = TrainOptions { warmup_steps: 0, accumulate: 1, lr: Some(1.0), ..base.train.clone() };
        assert_eq!(found.expect("settings"), RunConfig { threads: 0, train, ..base });
    }

    #[test]
    fn every_kind_of_value_arrives() {
        let line = "--betas 0.5,0.6 --class-weights 1,2.5 --freeze 0,2.bias --no-shuffle --image-size 48x64 --log-steps \
                    --checkpoint-every 5m --device-data-limit 64KiB --augment shift=2,hflip --epsilon 1e-9 --seed 9";
        let found = overlay(line).over(&RunConfig::default()).expect("settings");
        let train = TrainOptions {
            betas: Some([0.5, 0.6]),
            class_weights: vec![1.0, 2.5].into(),
            freeze: vec!["0".into(), "2.bias".into()],
            shuffle: false,
            device_data_limit: Some(65536),
            augment: "shift=2,hflip".parse().expect("augment"),
            epsilon: Some(1e-9),
            seed: 9,
            ..TrainOptions::default()
        };
        let every = Some("5m".parse().expect("an interval"));
        let base = RunConfig { train, image_size: Some([48, 64]), log_steps: true, ..RunConfig::default() };
        assert_eq!(found, RunConfig { checkpoint_every: every, ..base });
    }
}
