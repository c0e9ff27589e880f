//! The optimizers that use a setting, and its default values, in words: for `--help` and for errors.

use super::{Defaults, OptimizerName};

/// The optimizers that take a setting, with its default; `of` says it for each.
fn takers<T>(of: fn(&Defaults) -> Option<T>) -> Vec<(&'static str, T)> {
    let taker = |optimizer: &OptimizerName| Some((optimizer.name(), of(optimizer.defaults())?));
    OptimizerName::ALL.iter().filter_map(taker).collect()
}

/// `a`, `a and b`, or `a, b and c` with this word before the last.
fn list(names: &[&str], word: &str) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).into(),
        [names @ .., last] => format!("{} {word} {last}", names.join(", ")),
    }
}

/// The error's expectation of a setting that this optimizer does not take.
pub(in crate::train) fn only_with<T>(of: fn(&Defaults) -> Option<T>) -> String {
    let names: Vec<&str> = takers(of).into_iter().map(|(name, _)| name).collect();
    format!("none but with --optimizer {}", list(&names, "or"))
}

/// A number as it would be typed.
#[cfg(feature = "cli")]
pub(in crate::train) fn number(x: f64) -> String {
    if x != 0.0 && x.abs() < 1e-4 { format!("{x:e}") } else { x.to_string() }
}

/// The help of a setting that some optimizers take, with their defaults: `Momentum of sgd and rmsprop [default: 0]`.
#[cfg(feature = "cli")]
pub(in crate::train) fn some(what: &str, of: fn(&Defaults) -> Option<String>) -> String {
    let takers = takers(of);
    let names: Vec<&str> = takers.iter().map(|(name, _)| *name).collect();
    format!("{what} of {} {}", list(&names, "and"), defaults(&takers))
}

/// The help of a setting that every optimizer takes, with their defaults.
#[cfg(feature = "cli")]
pub(in crate::train) fn every(what: &str, of: fn(&Defaults) -> f64) -> String {
    let all: Vec<_> = OptimizerName::ALL.iter().map(|one| (one.name(), number(of(one.defaults())))).collect();
    format!("{what} {}", defaults(&all))
}

/// The first's default, and the others' where they differ.
#[cfg(feature = "cli")]
fn defaults(takers: &[(&str, String)]) -> String {
    let first = takers.first().map_or("", |(_, value)| value);
    let others = takers.iter().filter(|(_, value)| value != first).map(|(name, value)| format!("; {name}: {value}"));
    format!("[default: {first}{}]", others.collect::<String>())
}
