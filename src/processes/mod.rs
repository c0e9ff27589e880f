//! Several processes that train one model together: what they say to one another, whatever carries it.

mod launch;
#[cfg(all(unix, feature = "mpi"))]
mod mpi;

pub use launch::{Launch, join};

use crate::error::{Error, Result};
use std::fmt::Debug;

/// The processes of a run, of which this is one. All of them make the same calls in the same order; a call waits for the
/// others. MPI gives one ([`join`]); an application may bring its own.
pub trait Communicator: Debug + Send + Sync {
    /// The number of this process, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// The name of the machine of this process.
    ///
    /// # Errors
    /// [`Error::Failed`] where the system does not tell it.
    fn host(&self) -> Result<String>;

    /// Gathers what each passes, all as many bytes, in the order of ranks; with no bytes nothing need be waited for.
    ///
    /// # Errors
    /// [`Error::Failed`] if the others cannot be reached.
    fn all_gather(&self, mine: &[u8]) -> Result<Vec<u8>>;

    /// Sends a part of `mine`, one of as many as there are processes, to each; returns theirs, in the order of ranks.
    ///
    /// # Errors
    /// [`Error::Failed`] if the others cannot be reached.
    fn all_to_all(&self, mine: &[u8]) -> Result<Vec<u8>>;

    /// Takes leave of the others; what follows but another leave, or an abort, which do nothing then, is an error.
    ///
    /// # Errors
    /// [`Error::Failed`] if the others cannot be reached.
    fn leave(&self) -> Result<()>;

    /// Ends all processes with this status, because this one cannot go on.
    fn abort(&self, status: u8);
}

/// What each process passes, of any length, in the order of ranks.
///
/// # Errors
/// Those of [`Communicator::all_gather`].
pub fn gather_all(others: &dyn Communicator, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
    let lengths = others.all_gather(bytemuck::bytes_of(&(mine.len() as u64)))?;
    let lengths: Vec<usize> =
        bytemuck::pod_collect_to_vec::<u8, u64>(&lengths).into_iter().map(|n| n as usize).collect();
    let longest = lengths.iter().copied().max().unwrap_or(0);
    if longest == 0 {
        return Ok(vec![Vec::new(); lengths.len()]);
    }
    let mut padded = mine.to_vec();
    padded.resize(longest, 0);
    let all = others.all_gather(&padded)?;
    Ok(all.chunks_exact(longest).zip(lengths).map(|(bytes, length)| bytes[..length].to_vec()).collect())
}

/// Whether any process passes true: all of them have the same answer.
///
/// # Errors
/// Those of [`Communicator::all_gather`].
pub fn any(others: &dyn Communicator, mine: bool) -> Result<bool> {
    Ok(others.all_gather(&[u8::from(mine)])?.contains(&1))
}

/// What was done here, if all processes could do it: else an error that names each that could not, the same one in all of them.
///
/// # Errors
/// [`Error::Input`] if that is what every failure was, else [`Error::Failed`].
pub fn all_done<T>(others: &dyn Communicator, mine: Result<T>) -> Result<T> {
    let told = match &mine {
        Ok(_) => String::new(),
        Err(Error::Input(why)) => format!("i{why}"),
        Err(Error::Failed(why)) => format!("f{why}"),
    };
    let all = gather_all(others, told.as_bytes())?;
    let texts: Vec<String> = all.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
    let failed: Vec<(usize, &str)> =
        texts.iter().enumerate().filter(|(_, text)| !text.is_empty()).map(|(rank, text)| (rank, &text[1..])).collect();
    let Some(&(_, first)) = failed.first() else { return mine };
    let why = match failed.len() == texts.len() && failed.iter().all(|(_, why)| *why == first) {
        true => first.to_owned(),
        false => {
            let named: Vec<String> = failed.iter().map(|(rank, why)| format!("process {rank}: {why}")).collect();
            named.join("\n")
        }
    };
    Err(if texts.iter().any(|text| text.starts_with('f')) { Error::failed(why) } else { Error::input(why) })
}

/// Refuses facts, each a name and a text, in which some process differs from process 0.
///
/// # Errors
/// [`Error::Input`] that names the fact and the processes, the same in all of them.
pub fn all_agree(others: &dyn Communicator, facts: &[(&str, String)]) -> Result<()> {
    for (name, mine) in facts {
        let all = gather_all(others, mine.as_bytes())?;
        let texts: Vec<String> = all.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
        if let Some((rank, other)) = texts.iter().enumerate().find(|(_, text)| **text != texts[0]) {
            let (key, [first, other]) = difference(name, &texts[0], other);
            return Err(Error::input(format!(
                "{key}: process 0 has {first}, process {rank} has {other}; expected the same in all"
            )));
        }
    }
    Ok(())
}

/// The first thing in which two texts differ: of JSON objects a key with its values, else the texts themselves.
fn difference(name: &str, first: &str, other: &str) -> (String, [String; 2]) {
    use serde_json::{Map, Value};
    let texts = [first, other];
    let [Ok(Value::Object(first)), Ok(Value::Object(other))] = texts.map(serde_json::from_str) else {
        return (name.into(), texts.map(String::from));
    };
    let differs = |key: &&String| first.get(*key) != other.get(*key);
    let key = first.keys().chain(other.keys()).find(differs).map(String::as_str).unwrap_or_default();
    let value = |of: &Map<String, Value>| of.get(key).map_or_else(|| "none".into(), Value::to_string);
    difference(&format!("{name}, {key}"), &value(&first), &value(&other))
}
