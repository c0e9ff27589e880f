//! Which device a run takes, decided on plain data and always with the reasons.

pub mod candidate;
pub mod listing;

use std::fmt;
use std::str::FromStr;

use crate::device::choice::candidate::{Candidate, Kind};
use crate::error::{Error, Result};
use crate::near;

/// What `--device` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// The best that is there.
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

/// `--device` and `--require-gpu` together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceRequest {
    /// What `--device` names.
    pub wanted: Wanted,
    /// Whether anything less than a real GPU is an error.
    pub require_gpu: bool,
}

/// What will do the work.
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
    /// What will do the work.
    pub target: Target,
    /// All that is known of it.
    pub device: Candidate,
    /// Why it was taken.
    pub reason: String,
    /// Every other device, best first, and why it was not taken.
    pub refused: Vec<(String, String)>,
}

impl FromStr for DeviceRequest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let wanted = match text.to_lowercase().as_str() {
            "" => {
                return Err(Error::input(
                    "--device is empty: expected auto, gpu, software, cpu, an index or part of a name",
                ));
            }
            "auto" => Wanted::Auto,
            "gpu" => Wanted::Gpu,
            "software" => Wanted::Software,
            "cpu" => Wanted::Cpu,
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => Wanted::Index(
                digits.parse().map_err(|_| Error::input(format!("--device {text}: no index is that large")))?,
            ),
            _ => Wanted::Name(text.to_string()),
        };
        Ok(Self { wanted, require_gpu: false })
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
            Self::Auto => true,
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

    /// Why the best of those admitted was taken.
    fn reason(&self, chosen: &Candidate, admitted: usize, adapters: usize) -> String {
        let kind = chosen.kind;
        match self {
            Self::Auto if kind != Kind::NativeCpu => {
                format!("--device auto takes the best there is, here {}", kind.phrase())
            }
            Self::Auto if adapters == 0 => "no graphics adapter was found".to_string(),
            Self::Auto => "no graphics adapter that was found can be used".to_string(),
            Self::Gpu => format!("--device gpu takes the best GPU, here {}", kind.phrase()),
            Self::Software | Self::Cpu | Self::Index(_) => format!("--device {self} asks for it"),
            Self::Name(_) if admitted > 1 => {
                format!("it is the best of the {admitted} devices that match {self}")
            }
            Self::Name(_) => format!("it matches {self}"),
        }
    }

    /// Why a device was passed over for `chosen`.
    fn objection(&self, c: &Candidate, chosen: &Candidate) -> String {
        if self.admits(c) {
            return match &c.unusable {
                Some(lack) => lack.clone(),
                None if c.kind != chosen.kind => {
                    format!("{} comes before {}", chosen.kind.phrase(), c.kind.phrase())
                }
                None if c.rank() != chosen.rank() => {
                    format!("{} comes before {}", chosen.api.words(), c.api.words())
                }
                None => "the first of equals is taken".to_string(),
            };
        }
        match self {
            Self::Gpu => format!("--device gpu never takes {}", c.kind.phrase()),
            Self::Software => "--device software takes only a software adapter".to_string(),
            Self::Name(_) => format!("it does not match {self}"),
            Self::Auto | Self::Cpu | Self::Index(_) => {
                format!("--device {self} asks for another")
            }
        }
    }
}

/// Takes the best device that the request admits.
///
/// The order is that of [`Kind`]; within a class OpenGL comes last, and of equals the first in the
/// list is taken. A device that cannot be used is never taken, not even by name.
pub fn decide(candidates: &[Candidate], request: &DeviceRequest) -> Result<Choice> {
    let wanted = &request.wanted;
    let mut ranked: Vec<&Candidate> = candidates.iter().collect();
    ranked.sort_by_key(|c| (c.rank(), c.index));
    let admitted: Vec<&Candidate> = ranked.iter().copied().filter(|c| wanted.admits(c)).collect();
    let usable = admitted.iter().filter(|c| c.unusable.is_none()).count();

    let Some(&chosen) = admitted.iter().find(|c| c.unusable.is_none()) else {
        let mut message = format!("--device {wanted} matches no device that can be used");
        if let [only] = admitted[..] {
            let lack = only.unusable.as_deref().unwrap_or_default();
            message = format!("--device {wanted}: {} cannot be used: {lack}", only.label());
        } else if admitted.is_empty() {
            message = format!("--device {wanted} matches no device{}", hint(wanted, candidates));
        }
        return Err(Error::input(message.clone() + &inventory(&message, candidates)));
    };
    if request.require_gpu && !chosen.kind.is_gpu() {
        return Err(Error::input(format!(
            "--require-gpu: the best that --device {wanted} finds is {}, which is no GPU{}",
            chosen.label(),
            inventory("", candidates)
        )));
    }

    let adapters = candidates.iter().filter(|c| c.kind != Kind::NativeCpu).count();
    Ok(Choice {
        target: match chosen.kind {
            Kind::NativeCpu => Target::NativeCpu,
            _ => Target::Adapter(chosen.index),
        },
        device: chosen.clone(),
        reason: wanted.reason(chosen, usable, adapters),
        refused: ranked
            .iter()
            .filter(|c| c.index != chosen.index)
            .map(|c| (c.label(), wanted.objection(c, chosen)))
            .collect(),
    })
}

/// The word of `--device`, or part of a device's name, that may have been meant.
fn hint(wanted: &Wanted, candidates: &[Candidate]) -> String {
    let Wanted::Name(part) = wanted else { return String::new() };
    let names = candidates.iter().flat_map(|c| [&*c.name, &*c.driver, c.api.tag(), c.api.words()]);
    let words = names.flat_map(|name| name.split(|letter: char| !letter.is_alphanumeric()));
    near::hint(part, ["auto", "gpu", "software", "cpu"].into_iter().chain(words.filter(|word| word.len() > 2)))
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

impl Choice {
    /// What to tell the user on stderr: the device, why this one, and why not each of the others.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("device: {}: {}", self.device.label(), self.reason)];
        for (label, why) in &self.refused {
            lines.push(format!("  not {label}: {why}"));
        }
        if self.device.kind == Kind::Software {
            lines.push("note: a software adapter computes on the processor; --device cpu may be faster".to_string());
        }
        lines
    }
}

#[cfg(test)]
mod tests;
