//! Settings by key that override others: flags override a file, a recipe or the defaults.

use crate::error::{Error, Result};
use crate::train::settings::config::RunConfig;
use toml::{Table, Value};

/// Settings that belong to a choice: they are dropped when another option is chosen.
const BELONGS: &[(&str, &[&str])] = &[
    (
        "train.optimizer",
        &[
            "train.lr",
            "train.weight_decay",
            "train.momentum",
            "train.nesterov",
            "train.betas",
            "train.epsilon",
            "train.rho",
        ],
    ),
    (
        "train.schedule",
        &[
            "train.step_every",
            "train.gamma",
            "train.plateau_factor",
            "train.plateau_patience",
            "train.plateau_threshold",
            "train.pct_start",
            "train.div_factor",
            "train.final_div_factor",
            "train.min_lr",
        ],
    ),
    ("train.loss", &["train.label_smoothing", "train.class_weights"]),
];

/// Of these one can be meant: whichever is given takes the place of both.
const EITHER: [&str; 2] = ["train.clip_norm", "train.clip_value"];

/// The settings that may change when a run is resumed; everything else belongs to the run.
pub const CHANGEABLE: &[&str] = &[
    "train.epochs",
    "train.max_steps",
    "train.keep",
    "train.recompute",
    "data",
    "val",
    "device",
    "require_gpu",
    "threads",
    "checkpoint_every",
];

/// Settings that ended the run early: they are dropped when the number of epochs changes.
const ENDS: [&str; 2] = ["train.max_steps", "train.patience"];

/// A setting that was given.
#[derive(Clone, Debug, PartialEq)]
struct Given {
    // The key as config.toml has it, `train.epochs`, and the words that errors have for it, `--epochs`.
    key: String,
    shown: String,
    // None is the default, which files leave out.
    value: Option<Value>,
}

/// Settings by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlay {
    given: Vec<Given>,
}

impl Overlay {
    /// No settings.
    pub fn new() -> Overlay {
        Overlay::default()
    }

    /// With one more, by its key in `config.toml`: `set("train.epochs", 20)`.
    pub fn set(self, key: &str, value: impl Into<Value>) -> Overlay {
        self.with(key, key, Some(value.into()))
    }

    /// With one more, and the words that errors have for it; without a value it takes its default.
    pub(in crate::train) fn with(mut self, key: &str, shown: &str, value: Option<Value>) -> Overlay {
        self.given.push(Given { key: key.into(), shown: shown.into(), value });
        self
    }

    /// Whether a setting is given.
    pub fn has(&self, key: &str) -> bool {
        self.given.iter().any(|given| given.key == key)
    }

    /// These settings over others.
    ///
    /// # Errors
    /// [`Error::Input`] for a key that there is not, or a value of another type.
    pub fn over(&self, base: &RunConfig) -> Result<RunConfig> {
        let mut table = Table::try_from(base).map_err(|e| wrong("the settings", &e))?;
        for Given { key, value, .. } in &self.given {
            let own = BELONGS.iter().find(|(choice, _)| choice == key).map(|(_, own)| *own);
            if let Some(own) = own.filter(|_| get(&table, key) != value.as_ref()) {
                own.iter().for_each(|key| put(&mut table, key, None));
            }
            if EITHER.contains(&&**key) {
                EITHER.iter().for_each(|key| put(&mut table, key, None));
            }
        }
        self.given.iter().for_each(|Given { key, value, .. }| put(&mut table, key, value.clone()));
        let shown: Vec<&str> = self.given.iter().map(|given| &*given.shown).collect();
        table.try_into().map_err(|e: toml::de::Error| wrong(&shown.join(", "), &e.message().replace('\n', " ")))
    }

    /// These settings over those of a resumed run.
    ///
    /// # Errors
    /// [`Error::Input`] that names every setting that belongs to the run, and those of [`Overlay::over`].
    pub fn over_run(&self, base: &RunConfig) -> Result<RunConfig> {
        self.check_run()?;
        let mut base = base.clone();
        if self.has("train.epochs") {
            let mut table = Table::try_from(&base).map_err(|e| wrong("the settings", &e))?;
            ENDS.iter().for_each(|key| put(&mut table, key, None));
            base = table.try_into().map_err(|e: toml::de::Error| wrong("the settings", &e.message()))?;
        }
        self.over(&base)
    }

    /// Refuses settings that belong to a run and cannot change when it is resumed.
    ///
    /// # Errors
    /// [`Error::Input`] that names every one.
    pub fn check_run(&self) -> Result<()> {
        let fixed = self.given.iter().filter(|given| !CHANGEABLE.contains(&&*given.key));
        let fixed: Vec<&str> = fixed.map(|given| &*given.shown).collect();
        let why = match fixed.len() {
            0 => return Ok(()),
            1 => "it belongs to the run and cannot change",
            _ => "they belong to the run and cannot change",
        };
        // Settings that belong to the net itself stay with the net.
        let of_net = ["model", "init", "from", "normalise", "train.init_method"];
        let hint = match self.given.iter().any(|given| of_net.contains(&&*given.key)) {
            true => "",
            false => "; to change it, start a new run from its weights: --from RUN/checkpoints/last.safetensors",
        };
        Err(Error::input(format!("{}: cannot be used with --resume: {why}{hint}", fixed.join(", "))))
    }
}

fn wrong(what: &str, why: &dyn std::fmt::Display) -> Error {
    Error::input(format!("{what}: {why}"))
}

/// The value of a key, `device` or `train.epochs`.
fn get<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((group, key)) => table.get(group)?.get(key),
    }
}

/// Sets the value of a key, or removes it.
fn put(table: &mut Table, key: &str, value: Option<Value>) {
    if let Some((group, key)) = key.split_once('.') {
        let group = table.entry(group).or_insert_with(|| Table::new().into());
        if let Some(group) = group.as_table_mut() {
            put(group, key, value);
        }
        return;
    }
    match value {
        Some(value) => drop(table.insert(key.into(), value)),
        None => drop(table.remove(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::settings::options::{OptimizerName, TrainOptions};

    fn base() -> RunConfig {
        let train = TrainOptions { lr: Some(0.5), momentum: 0.9, optimizer: OptimizerName::Sgd, ..Default::default() };
        RunConfig { train: TrainOptions { max_steps: Some(9), patience: Some(2), ..train }, ..RunConfig::default() }
    }

    #[test]
    fn another_choice_drops_what_belonged_to_the_last() {
        let same = Overlay::new().set("train.optimizer", "sgd").set("train.epochs", 3).over(&base()).expect("settings");
        assert_eq!(same.train, TrainOptions { epochs: 3, ..base().train });
        let other = Overlay::new().set("train.momentum", 0.1).set("train.optimizer", "rmsprop").over(&base());
        let other = other.expect("settings").train;
        assert_eq!((other.lr, other.momentum, other.max_steps), (None, 0.1, Some(9)), "what is given stays");
        let cycle = Overlay::new().set("train.schedule", "one-cycle").set("train.pct_start", 0.4).over(&base());
        let cosine = Overlay::new().set("train.schedule", "cosine").over(&cycle.expect("settings")).expect("settings");
        assert_eq!(cosine.train.pct_start, None);
    }

    #[test]
    fn keys_and_types_are_checked() {
        for (overlay, want) in [
            (Overlay::new().set("train.epoch", 3), "train.epoch: unknown field `epoch`"),
            (Overlay::new().set("trian.epochs", 3), "trian.epochs: unknown field `trian`"),
            (Overlay::new().set("train.epochs", "many"), "train.epochs: invalid type: string"),
        ] {
            let error = overlay.over(&base()).expect_err(want).to_string();
            assert!(error.starts_with(want), "{error}");
        }
    }

    #[test]
    fn a_run_that_goes_on_keeps_what_belongs_to_it() {
        let longer = Overlay::new().set("train.epochs", 20).set("device", "cpu").over_run(&base()).expect("settings");
        assert_eq!((longer.train.epochs, longer.train.max_steps, longer.train.patience), (20, None, None));
        assert_eq!(longer.device.as_deref(), Some("cpu"));
        let both = Overlay::new().set("train.lr", 0.1).set("train.seed", 1).set("train.epochs", 2);
        let error = both.over_run(&base()).expect_err("refused").to_string();
        assert!(error.starts_with("train.lr, train.seed: cannot be used with --resume: they belong"), "{error}");
    }
}
