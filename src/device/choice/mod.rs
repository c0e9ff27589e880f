//! Which device a run takes, decided on plain data and always with the reasons.

pub mod candidate;
pub mod listing;

use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;

use crate::device::choice::candidate::{Candidate, Kind};
use crate::error::{Error, Result};
use crate::suggest;

/// The value of `--device`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// The best GPU, or else the native CPU. A software adapter is used only if it is requested.
    #[default]
    Auto,
    /// A real GPU.
    Gpu,
    /// A software adapter.
    Software,
    /// The native CPU.
    Cpu,
    /// The row of `wgrad devices` with this number.
    Index(usize),
    /// A device whose name, driver or interface contains this, in any case of letters.
    Name(String),
}

/// The environment variable that is the default of every `--device`.
pub const VARIABLE: &str = "WGRAD_DEVICE";

/// The help of every `--device` whose default is the variable.
#[cfg(feature = "cli")]
pub(crate) const HELP: &str = "auto (a GPU if there is one, else the native CPU), gpu, software, cpu, an index from `wgrad \
                               devices`, or part of a name [default: the environment variable WGRAD_DEVICE, else auto]";

/// Where a device was named. Reasons and errors say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamedBy {
    /// `--device`, or nothing: then it is `--device auto`.
    #[default]
    Flag,
    /// The key `device` of a `config.toml`.
    File,
    /// The environment variable `WGRAD_DEVICE`.
    Variable,
}

/// `--device` and `--require-gpu` together. The default is `auto`; the library does not read the environment unless
/// [`DeviceRequest::from_env`] is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceRequest {
    /// The value of `--device`.
    pub wanted: Wanted,
    /// Whether anything less than a real GPU is an error.
    pub require_gpu: bool,
    /// Where it was named.
    pub named_by: NamedBy,
    /// Which of several equal devices is taken: processes of one machine take them in turn. 0 takes the first.
    pub turn: usize,
}

/// The chosen device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The adapter at this index of the list.
    Adapter(usize),
    /// The native CPU.
    NativeCpu,
}

/// A decision and its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The chosen device.
    pub target: Target,
    /// All that is known of it.
    pub device: Candidate,
    /// The request.
    pub wanted: Wanted,
    /// Why it was taken.
    pub reason: String,
    /// Every other device, best first, and why it was not taken.
    pub refused: Vec<(String, String)>,
}

impl FromStr for DeviceRequest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text, NamedBy::Flag)
    }
}

impl DeviceRequest {
    /// A request from the text that `--device` takes.
    ///
    /// # Errors
    /// [`Error::Input`] if the text is empty or an index has too many digits.
    pub fn parse(text: &str, named_by: NamedBy) -> Result<Self> {
        let text = text.trim();
        let wanted = match text.to_lowercase().as_str() {
            "" => {
                let place = match named_by {
                    NamedBy::Flag => "--device",
                    NamedBy::File => "device",
                    NamedBy::Variable => VARIABLE,
                };
                return Err(Error::input(format!(
                    "{place} is empty: expected auto, gpu, software, cpu, an index or part of a name"
                )));
            }
            "auto" => Wanted::Auto,
            "gpu" => Wanted::Gpu,
            "software" => Wanted::Software,
            "cpu" => Wanted::Cpu,
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse() {
                Ok(index) => Wanted::Index(index),
                Err(_) => {
                    let request = Self { wanted: Wanted::Name(text.into()), require_gpu: false, named_by, turn: 0 };
                    return Err(Error::input(format!("{request}: no index is that large")));
                }
            },
            _ => Wanted::Name(text.to_string()),
        };
        Ok(Self { wanted, require_gpu: false, named_by, turn: 0 })
    }

    /// The value of the environment variable `WGRAD_DEVICE`; `auto` if it is not set or empty.
    ///
    /// # Errors
    /// [`Error::Input`] if it has another text than `--device` takes.
    pub fn from_env() -> Result<Self> {
        Self::from_variable(std::env::var_os(VARIABLE))
    }

    /// [`DeviceRequest::from_env`] with the value of the variable.
    fn from_variable(value: Option<OsString>) -> Result<Self> {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(Self::default()) };
        match value.to_str() {
            Some(text) => Self::parse(text, NamedBy::Variable),
            None => Err(Error::input(format!("{VARIABLE}: found {value:?}, expected UTF-8"))),
        }
    }

    /// The text that asks for the same device, as `--device` and `config.toml` take it.
    pub fn text(&self) -> String {
        match &self.wanted {
            Wanted::Name(part) => part.clone(),
            other => other.to_string(),
        }
    }
}

/// The words of the request: `--device gpu`, `device = "gpu"` or `WGRAD_DEVICE=gpu`.
impl fmt::Display for DeviceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.named_by {
            NamedBy::Flag => write!(f, "--device {}", self.wanted),
            NamedBy::File => write!(f, "device = \"{}\"", self.text()),
            NamedBy::Variable => write!(f, "{VARIABLE}={}", self.text()),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Gpu => f.write_str("gpu"),
            Self::Software => f.write_str("software"),
            Self::Cpu => f.write_str("cpu"),
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(part) => write!(f, "'{part}'"),
        }
    }
}

impl Wanted {
    /// Whether the request admits this device, usable or not.
    fn admits(&self, c: &Candidate) -> bool {
        match self {
            Self::Auto => c.kind != Kind::Software,
            Self::Gpu => c.kind.is_gpu(),
            Self::Software => c.kind == Kind::Software,
            Self::Cpu => c.kind == Kind::NativeCpu,
            Self::Index(index) => c.index == *index,
            Self::Name(part) => {
                let part = part.to_lowercase();
                [&c.name, &c.driver, c.api.tag(), c.api.words()]
                    .iter()
                    .any(|field| field.to_lowercase().contains(&part))
            }
        }
    }
}

impl DeviceRequest {
    /// Why the best of those admitted was taken; `best_gpu` is the best of the list, usable or not.
    fn reason(&self, chosen: &Candidate, admitted: usize, best_gpu: Option<&Candidate>) -> String {
        let kind = chosen.kind;
        match &self.wanted {
            Wanted::Auto if kind != Kind::NativeCpu => {
                format!("{self} takes the best GPU, here {}", kind.phrase())
            }
            Wanted::Auto => match best_gpu.and_then(|gpu| Some((gpu.label(), gpu.unusable.as_deref()?))) {
                Some((gpu, lack)) => format!("no GPU can be used ({gpu}: {lack})"),
                None => "no GPU was found".to_string(),
            },
            Wanted::Gpu => format!("{self} takes the best GPU, here {}", kind.phrase()),
            Wanted::Software | Wanted::Cpu | Wanted::Index(_) => format!("{self} asks for it"),
            Wanted::Name(_) if admitted > 1 => {
                format!("it is the best of the {admitted} devices that match {self}")
            }
            Wanted::Name(_) => format!("it matches {self}"),
        }
    }

    /// Why a device was passed over for `chosen`.
    fn objection(&self, c: &Candidate, chosen: &Candidate) -> String {
        if self.wanted.admits(c) {
            return match &c.unusable {
                Some(lack) => lack.clone(),
                None if c.kind != chosen.kind => {
                    format!("{} comes before {}", chosen.kind.phrase(), c.kind.phrase())
                }
                None if c.rank() != chosen.rank() => {
                    format!("{} comes before {}", chosen.api.words(), c.api.words())
                }
                None if self.turn > 0 => "the processes of this machine take equals in turn".to_string(),
                None => "the first of equals is taken".to_string(),
            };
        }
        match &self.wanted {
            Wanted::Auto => "a software adapter is taken only where it is asked for".to_string(),
            Wanted::Gpu => format!("{self} never takes {}", c.kind.phrase()),
            Wanted::Software => format!("{self} takes only a software adapter"),
            Wanted::Name(_) => format!("it does not match {self}"),
            Wanted::Cpu | Wanted::Index(_) => format!("{self} asks for another"),
        }
    }
}

/// Takes the best device that the request admits.
///
/// The order is that of [`Kind`]; within a class OpenGL comes last, and of equals the first in the
/// list is taken. `auto` admits no software adapter. A device that cannot be used is never taken, not even by name.
pub fn decide(candidates: &[Candidate], request: &DeviceRequest) -> Result<Choice> {
    let wanted = &request.wanted;
    let mut ranked: Vec<&Candidate> = candidates.iter().collect();
    ranked.sort_by_key(|c| (c.rank(), c.index));
    let admitted: Vec<&Candidate> = ranked.iter().copied().filter(|c| wanted.admits(c)).collect();
    let usable = admitted.iter().filter(|c| c.unusable.is_none()).count();

    let best = admitted.iter().find(|c| c.unusable.is_none());
    // GPUs of one class and interface are equals whatever their names, but of software adapters each computes other bytes.
    let is_equal = |c: &Candidate, best: &Candidate| {
        c.unusable.is_none() && (c.kind, c.api) == (best.kind, best.api) && (c.kind.is_gpu() || c.index == best.index)
    };
    let equals: Vec<&Candidate> =
        best.into_iter().flat_map(|best| admitted.iter().filter(|c| is_equal(c, best))).copied().collect();
    let Some(&chosen) = equals.get(request.turn % equals.len().max(1)) else {
        let mut message = format!("{request} matches no device that can be used");
        if let [only] = admitted[..] {
            let lack = only.unusable.as_deref().unwrap_or_default();
            message = format!("{request}: {} cannot be used: {lack}", only.label());
        } else if admitted.is_empty() {
            message = format!("{request} matches no device{}", hint(wanted, candidates));
        }
        return Err(Error::input(message.clone() + &inventory(&message, candidates)));
    };
    if request.require_gpu && !chosen.kind.is_gpu() {
        return Err(Error::input(format!(
            "--require-gpu: the best that {request} finds is {}, which is no GPU{}",
            chosen.label(),
            inventory("", candidates)
        )));
    }

    let best_gpu = ranked.iter().copied().find(|c| c.kind.is_gpu());
    Ok(Choice {
        target: match chosen.kind {
            Kind::NativeCpu => Target::NativeCpu,
            _ => Target::Adapter(chosen.index),
        },
        device: chosen.clone(),
        wanted: wanted.clone(),
        reason: request.reason(chosen, usable, best_gpu),
        refused: ranked
            .iter()
            .filter(|c| c.index != chosen.index)
            .map(|c| (c.label(), request.objection(c, chosen)))
            .collect(),
    })
}

/// The word of `--device`, or part of a device's name, that may have been meant.
fn hint(wanted: &Wanted, candidates: &[Candidate]) -> String {
    let Wanted::Name(part) = wanted else { return String::new() };
    let names = candidates.iter().flat_map(|c| [&*c.name, &*c.driver, c.api.tag(), c.api.words()]);
    let words = names.flat_map(|name| name.split(|letter: char| !letter.is_alphanumeric()));
    suggest::hint(part, ["auto", "gpu", "software", "cpu"].into_iter().chain(words.filter(|word| word.len() > 2)))
}

/// The list of what there is, as the tail of an error message that may end in a question.
fn inventory(message: &str, candidates: &[Candidate]) -> String {
    let mut text = if message.ends_with('?') { " There is" } else { "; there is" }.to_string();
    for c in candidates {
        text += &format!("\n  {}", c.label());
        if let Some(lack) = &c.unusable {
            text += &format!(": {lack}");
        }
    }
    if candidates.is_empty() {
        text += " none";
    }
    text
}

#[cfg(test)]
mod tests;
