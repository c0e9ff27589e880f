//! The loss of each token of a passage of the test set, and the tokens that the net held most likely in its place.

use super::answers::{answer, log_probability};
use super::likeliest;
use crate::data::schema::{IGNORED, TARGET, TEXT};
use crate::data::{Column, Split};
use crate::device::cpu::Executor;
use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Tensor, TensorInfo};
use crate::ir::values::Values;
use crate::model::{Build, Model, Weights};
use crate::text::{NO_TOKEN, Tokenizer};
use serde::Serialize;

/// Tokens of a passage at most, and at least where the vocabulary is so large that memory limits them.
const TOKENS: [usize; 2] = [64, 600];

/// The most logits that are held at a time.
const LOGITS: usize = 1 << 22;

/// Passages that a page shows of texts that stand each for themselves.
const PASSAGES: usize = 6;

/// Tokens that are named beside the one that is there.
const LIKELY: usize = 3;

/// A passage with the loss of each of its tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Passage {
    /// Of a translation: the text that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The mean loss of its tokens.
    pub loss: f64,
    /// The tokens, in their order.
    pub tokens: Vec<TokenLoss>,
}

/// A token of a passage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenLoss {
    /// Its name in the vocabulary.
    pub name: String,
    /// What it adds to the text of the passage; empty of a part of a character.
    pub text: String,
    /// Its cross-entropy in nats, given all before it; none of the first token of a text, and of one that is not in the
    /// vocabulary.
    pub loss: Option<f64>,
    /// The most likely tokens in its place and their probabilities.
    pub likely: Vec<(String, f64)>,
}

/// Passages of a test set: the beginning of a text, or the first translations, each read up to the token in question.
/// Of a text the state is zero at the beginning of the passage. Computed on the native CPU.
///
/// # Errors
/// [`Error::Input`] for a model that writes no text, and weights that do not fit.
pub fn passages(model: &Model, weights: &Weights, test: &Split) -> Result<Vec<Passage>> {
    let column = |name| test.column(name).ok_or_else(|| Error::input(format!("the data has no field {name}")));
    let known = model.tokenizer()?;
    if model.translates() {
        let (source, target) = (column(TEXT)?, column(TARGET)?);
        let first = 0..test.count.min(PASSAGES);
        return first.map(|at| translated(model, weights, &text(source, at), &text(target, at))).collect();
    }
    let most = (LOGITS / known.tokens().len().max(1)).clamp(TOKENS[0], TOKENS[1]);
    // A net that reads a bounded number of tokens has as many windows as other texts have passages.
    let (most, windows) = model.context().map_or((most, 1), |context| (most.min(context), PASSAGES));
    let field = column(TEXT)?;
    let mut texts: Vec<Vec<u32>> = match field.field().stream {
        Some(all) => {
            let tokens: Vec<u32> = field.words(0..test.count).take(all.min(windows * most)).collect();
            tokens.chunks(most).map(<[u32]>::to_vec).collect()
        }
        None => (0..test.count.min(PASSAGES)).map(|at| text(field, at)).collect(),
    };
    texts.iter_mut().for_each(|text| text.truncate(most));
    texts.retain(|text| text.len() > 1);
    texts.iter().map(|text| continued(model, weights, text)).collect()
}

/// The tokens of a text that is filled up.
pub(super) fn text(column: &Column, at: usize) -> Vec<u32> {
    column.words(at..at + 1).take_while(|token| *token != IGNORED).collect()
}

/// A text, whose tokens are each predicted from those before it.
fn continued(model: &Model, weights: &Weights, text: &[u32]) -> Result<Passage> {
    let model = Model { input: vec![text.len()], ..model.clone() };
    let mut graph = Graph::new();
    let x = graph.tensor(TensorInfo::words("text", [1, text.len()]));
    let logits = model.build(&mut graph, x, Build::INFERENCE)?;
    let logits = run(graph, weights, logits, [(x, text.to_vec())])?;
    // Nothing comes before the first one.
    passage(model.tokenizer()?, None, text, std::iter::once(None).chain(rows(&logits, &model)?.map(Some)))
}

/// A translation of the data, whose tokens are each predicted from the source and the tokens before it.
fn translated(model: &Model, weights: &Weights, source: &[u32], target: &[u32]) -> Result<Passage> {
    let (known, written) = (model.tokenizer()?, model.target_tokenizer()?);
    let [begin, _] = written.ends().unwrap_or([NO_TOKEN; 2]);
    let (places, steps) = (model.input[0], model.written().unwrap_or(1));
    let mut graph = Graph::new();
    let x = graph.tensor(TensorInfo::words("text", [1, places]));
    let y = graph.tensor(TensorInfo::words("target", [1, steps]));
    let logits = model.build(&mut graph, x, Build { target: Some(y), ..Build::INFERENCE })?;
    let given = filled(&[&[begin], target].concat()[..target.len().max(1)], steps);
    let logits = run(graph, weights, logits, [(x, filled(source, places)), (y, given)])?;
    passage(written, Some(known.decode(source)), target, rows(&logits, model)?.map(Some))
}

/// A graph after a run on these words.
pub(super) fn ran(
    graph: Graph,
    weights: &Weights,
    given: impl IntoIterator<Item = (Tensor, Vec<u32>)>,
) -> Result<Executor> {
    let weights = weights.to_graph(&graph)?;
    let mut executor = Executor::<f32>::new(graph, true)?;
    given.into_iter().try_for_each(|(tensor, words)| executor.set(tensor, Values::Word(words)))?;
    weights.into_iter().try_for_each(|(tensor, values)| executor.set(tensor, Values::Float(values)))?;
    executor.step();
    Ok(executor)
}

/// A tensor of floats after a run on these words.
fn run<const N: usize>(
    graph: Graph,
    weights: &Weights,
    result: Tensor,
    given: [(Tensor, Vec<u32>); N],
) -> Result<Vec<f32>> {
    match ran(graph, weights, given)?.get(result) {
        Values::Float(values) => Ok(values),
        _ => Err(Error::failed("logits are not floats")),
    }
}

/// Tokens filled up to this many places.
pub(super) fn filled(tokens: &[u32], places: usize) -> Vec<u32> {
    tokens.iter().copied().chain(std::iter::repeat(NO_TOKEN)).take(places).collect()
}

/// The logits of each place.
fn rows<'a>(logits: &'a [f32], model: &Model) -> Result<impl Iterator<Item = &'a [f32]>> {
    Ok(logits.chunks(model.classes()?.max(1)))
}

/// Tokens with their losses, by the logits of each place where there are some.
fn passage<'a>(
    tokenizer: &Tokenizer,
    source: Option<String>,
    tokens: &[u32],
    logits: impl Iterator<Item = Option<&'a [f32]>>,
) -> Result<Passage> {
    let name = |token: usize| tokenizer.tokens().get(token).cloned().unwrap_or_default();
    let rounded = |x: f64, digits: f64| (x * digits).round() / digits;
    let (mut sum, mut count) = (0.0, 0);
    let mut found = Vec::with_capacity(tokens.len());
    for ((token, text), logits) in tokens.iter().zip(texts(tokenizer, tokens)).zip(logits) {
        let (mut loss, mut likely) = (None, Vec::new());
        if let (Some(logits), true) = (logits, *token != NO_TOKEN) {
            let exact = -log_probability(logits, *token as usize);
            (sum, count) = (sum + exact, count + 1);
            loss = Some(rounded(exact, 1e4));
            let best = likeliest(&answer(logits).probabilities, LIKELY);
            likely = best.into_iter().map(|(token, p)| (name(token), rounded(p, 1e4))).collect();
        }
        let name = if *token == NO_TOKEN { String::new() } else { name(*token as usize) };
        found.push(TokenLoss { name, text, loss, likely });
    }
    Ok(Passage { source, loss: sum / f64::from(count.max(1)), tokens: found })
}

/// What each token adds to the text. A character of several tokens is that of its last one.
fn texts(tokenizer: &Tokenizer, tokens: &[u32]) -> Vec<String> {
    let mut before = 0;
    let end = |text: &str| text.trim_end_matches('\u{fffd}').len();
    let text = |at: usize| {
        let whole = tokenizer.decode(&tokens[..=at]);
        let added = whole.get(before..end(&whole)).unwrap_or_default().to_owned();
        before = before.max(end(&whole));
        added
    };
    (0..tokens.len()).map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Unit;

    #[test]
    fn the_texts_of_tokens_make_up_the_text() {
        for (unit, text) in [(Unit::Chars, "aé\nb 🙂"), (Unit::Bytes, "aé\nb 🙂"), (Unit::Words, "the cat, and a dog.")]
        {
            let tokenizer = Tokenizer::of(unit, text, 50).unwrap();
            let tokens = tokenizer.encode(text);
            let found = texts(&tokenizer, &tokens);
            assert_eq!((found.concat(), found.len()), (text.into(), tokens.len()), "{unit}");
        }
        let bytes = Tokenizer::of(Unit::Bytes, "ab", 0).unwrap();
        assert_eq!(texts(&bytes, &bytes.encode("éa")), ["", "é", "a"]);
    }

    #[test]
    fn losses_are_those_of_the_logits() {
        let tokenizer = Tokenizer::of(Unit::Chars, "abc", 0).unwrap();
        let logits = [[0.0, 0.0, 0.0], [0.0, 3.0f32.ln(), 0.0]];
        let given = [None, Some(&logits[0][..]), Some(&logits[1][..]), Some(&logits[1][..])];
        let found = passage(&tokenizer, None, &[0, 2, 1, NO_TOKEN], given.into_iter()).unwrap();
        let losses: Vec<Option<f64>> = found.tokens.iter().map(|one| one.loss).collect();
        assert_eq!(losses, [None, Some(1.0986), Some(0.5108), None]);
        assert!((found.loss - (3.0f64.ln() + (5.0f64 / 3.0).ln()) / 2.0).abs() < 1e-6, "{}", found.loss);
        assert_eq!(found.tokens[2].likely[0], ("b".into(), 0.6));
    }
}
