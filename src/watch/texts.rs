//! What the net makes of a text in the prompt box: how it goes on, its class, or its translation.

use crate::counted::counted;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::{Model, Task, Weights};
use crate::report::alignments::aligned;
use crate::text::{NO_TOKEN, Tokenizer};
use crate::train::generate::{Generator, Sampling};
use crate::train::predict::{Predictor, TrainedModel};
use serde::Deserialize;
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// The most tokens that a question may ask for.
const MOST_TOKENS: usize = 2000;

/// How long a text may take: a large net on the CPU would keep the page waiting.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the page asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The text to continue, to classify or to translate.
    text: String,
    /// Tokens to generate, the temperature and the seed; of a net that continues texts.
    #[serde(default)]
    tokens: Option<usize>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    seed: Option<u64>,
}

impl Question {
    /// Reads a question from the body of a request.
    ///
    /// # Errors
    /// [`Error::Input`] for what is no such JSON.
    pub fn read(body: &[u8]) -> Result<Question> {
        serde_json::from_slice(body).map_err(|error| Error::input(format!("the question: {error}")))
    }
}

/// The answer of a net with these weights, as the page shows it.
///
/// # Errors
/// [`Error::Input`] for a text without tokens that the net knows, for settings beyond their range, and for a model that
/// reads no text.
pub async fn answer(device: &Device, model: &Model, weights: &Weights, question: &Question) -> Result<Value> {
    if model.task == Task::Next && !model.translates() {
        return continued(device, model, weights, question).await;
    }
    let tokenizer = model.tokenizer()?;
    let (length, all) = (model.input[0], tokenizer.encode(&question.text));
    let known: Vec<u32> = all.iter().copied().filter(|token| *token != NO_TOKEN).collect();
    let unit = tokenizer.unit();
    if known.is_empty() {
        let what = if all.is_empty() { "the text is empty".into() } else { format!("none of its {}", unit.plural()) };
        let why = if all.is_empty() { what } else { format!("{what} is in the vocabulary") };
        return Err(Error::input(why));
    }
    let read = &known[..known.len().min(length)];
    let notes = notes(tokenizer, &all, &known, length);
    let read_as = tokenizer.decode(read);
    if model.translates() {
        let pair = aligned(device, model, weights, &[read.to_vec()])
            .await?
            .pop()
            .ok_or_else(|| Error::failed("a translation is missing"))?;
        return Ok(json!({ "pair": pair, "read": read_as, "notes": notes }));
    }
    let net = TrainedModel { model: model.clone(), weights: weights.clone() };
    let (found, _) = Predictor::new(device, &net, 1)?.texts(&[&question.text]).await?;
    let probabilities = found.into_iter().next().unwrap_or_default();
    let named = |class: usize| match model.class_names.len() == probabilities.len() {
        true => model.class_name(class),
        false => model.answer_name(class),
    };
    let classes: Vec<String> = (0..probabilities.len()).map(named).collect();
    Ok(json!({ "classes": classes, "probabilities": probabilities, "read": read_as, "notes": notes }))
}

/// What was cut, or is not in the vocabulary.
fn notes(tokenizer: &Tokenizer, all: &[u32], known: &[u32], length: usize) -> Vec<String> {
    let (unit, read) = (tokenizer.unit().plural(), &known[..known.len().min(length)]);
    let one = unit.strip_suffix('s').unwrap_or(unit);
    let unknown = read.iter().filter(|token| Some(**token) == tokenizer.unknown()).count();
    let mut notes = Vec::new();
    if known.len() > length {
        notes.push(format!("cut after {length} of {}", counted(known.len(), one)));
    }
    if unknown > 0 {
        notes.push(format!("{} not in the vocabulary", counted(unknown, one)));
    }
    if known.len() < all.len() {
        notes.push(format!("{} not in the vocabulary left out", counted(all.len() - known.len(), one)));
    }
    notes
}

/// A text and how the net goes on with it.
async fn continued(device: &Device, model: &Model, weights: &Weights, question: &Question) -> Result<Value> {
    let tokens = question.tokens.unwrap_or(200);
    if !(1..=MOST_TOKENS).contains(&tokens) {
        return Err(Error::input(format!("tokens {tokens}: expected 1 to {MOST_TOKENS}")));
    }
    let (temperature, seed) = (question.temperature.unwrap_or(0.8), question.seed.unwrap_or(0));
    let sampling = Sampling { tokens, temperature: temperature as f32, seed, ..Sampling::default() };
    let prompt = Generator::prompt(model, &question.text)?;
    let mut generator = Generator::new(device, model, sampling, prompt.len())?;
    generator.set_weights(weights)?;
    let begun = Instant::now();
    let in_time = |_: &[u32]| match begun.elapsed() < PATIENCE {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    };
    let found = generator.run(&prompt, in_time).await?;
    let tokenizer = model.tokenizer()?;
    // Decoded together: a token may be a part of a character, or join the word before it.
    let (before, whole) = (tokenizer.decode(&prompt), tokenizer.decode(&[&prompt[..], &found].concat()));
    let (before, text) = match whole.strip_prefix(&before).filter(|_| !question.text.is_empty()) {
        Some(text) => (before, text.to_owned()),
        None if question.text.is_empty() => (String::new(), tokenizer.decode(&found)),
        None => (String::new(), whole),
    };
    Ok(json!({
        "prompt": before, "text": text, "tokens": found.len(), "temperature": temperature, "seed": seed,
        "unit": tokenizer.unit().plural(), "stopped": (found.len() < tokens).then_some(PATIENCE.as_secs()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Unit;

    #[test]
    fn a_question_is_read_or_refused() {
        let read = |text: &str| Question::read(text.as_bytes());
        let found = read(r#"{"text":"a","tokens":3,"temperature":0.5,"seed":7}"#).unwrap();
        assert_eq!((&found.text[..], found.tokens, found.temperature, found.seed), ("a", Some(3), Some(0.5), Some(7)));
        for text in ["", "a", "{}", r#"{"text":1}"#, r#"{"text":"a","more":1}"#, r#"{"text":"a","tokens":-1}"#] {
            assert!(read(text).is_err_and(|error| error.to_string().contains("the question")), "{text}");
        }
    }

    #[test]
    fn what_is_not_read_is_counted() {
        let words = Tokenizer::of(Unit::Words, "a a b b c c d d", 4).unwrap();
        let of = |tokenizer: &Tokenizer, text: &str, length| {
            let all = tokenizer.encode(text);
            let known: Vec<u32> = all.iter().copied().filter(|token| *token != NO_TOKEN).collect();
            notes(tokenizer, &all, &known, length)
        };
        assert_eq!(of(&words, "a b", 4), [""; 0]);
        assert_eq!(of(&words, "a x b y z", 3), ["cut after 3 of 5 words", "1 word not in the vocabulary"]);
        let chars = Tokenizer::of(Unit::Chars, "abc", 0).unwrap();
        assert_eq!(of(&chars, "a?c!", 9), ["2 characters not in the vocabulary left out"]);
    }
}
