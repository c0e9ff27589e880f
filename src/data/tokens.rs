//! Tokens of a data set: how a column holds them, and their statistics: the most common ones, unknown ones, lengths of
//! texts.

use crate::data::schema::{Field, IGNORED, TARGET, TEXT};
use crate::data::{Column, Dataset};
use crate::error::{Error, Result};
use crate::text::{NO_TOKEN, Tokenizer};
use serde::Serialize;

/// The most bytes of texts that are predicted at once.
pub const LARGEST_BYTES: u64 = 1 << 26;

/// How many of the most common tokens are listed.
const COMMONEST: usize = 20;

/// A data set of text in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextSurvey {
    /// The data set's name.
    pub name: String,
    /// The kind of token.
    pub unit: &'static str,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Whether it is one stream, of which samples are windows; else each sample is a text.
    pub is_stream: bool,
    /// Whether each sample is a document, with a token that ends it.
    pub has_documents: bool,
    /// The parts: those to train, to validate and to test on.
    pub parts: Vec<TextPart>,
    /// The most common tokens of the part to train on, and how often each is there.
    pub commonest: Vec<(String, u64)>,
    /// Tokens of the vocabulary that are not in the part to train on.
    pub unused: usize,
    /// The same of the translations, where texts have some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Box<TextSurvey>>,
}

/// A part of a data set of text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextPart {
    /// Its name: train, validation or test.
    pub name: &'static str,
    /// Samples: windows of a stream, or texts.
    pub samples: usize,
    /// Tokens.
    pub tokens: u64,
    /// Tokens that are not in the vocabulary.
    pub unknown: u64,
    /// The shortest, the middle and the longest text; none of a stream.
    pub lengths: Option<[usize; 3]>,
    /// The share of the places that are filled up; none of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padding: Option<f64>,
}

/// Counts a data set of text; `None` if it is of something else.
///
/// # Errors
/// [`Error::Failed`] if it has no field of tokens.
pub fn survey(data: &Dataset) -> Result<Option<TextSurvey>> {
    let Some(tokenizer) = &data.text else { return Ok(None) };
    let target = data.target.as_ref().map(|target| side(data, TARGET, target).map(Box::new)).transpose()?;
    Ok(Some(TextSurvey { target, ..side(data, TEXT, tokenizer)? }))
}

/// Counts one field of tokens.
fn side(data: &Dataset, field: &str, tokenizer: &Tokenizer) -> Result<TextSurvey> {
    let ends = tokenizer.ends().unwrap_or([NO_TOKEN; 2]);
    let mut counts = vec![0u64; tokenizer.tokens().len()];
    let splits = [
        ("train", Some(&data.train)),
        ("validation", data.validation.as_ref()),
        (if data.untested { "validation" } else { "test" }, Some(&data.test)),
    ];
    let (mut parts, mut is_stream) = (Vec::new(), false);
    for (name, split) in splits {
        let Some(split) = split else { continue };
        let column = split.column(field).ok_or_else(|| Error::failed("a data set of text has no tokens"))?;
        let stream = column.field().stream;
        is_stream |= stream.is_some();
        let all = stream.unwrap_or(usize::MAX);
        let (mut tokens, mut unknown) = (0, 0);
        for token in
            column.words(0..column.count()).take(all).filter(|token| *token == IGNORED || !ends.contains(token))
        {
            // What fills a text up is no token; of a stream it is one that is unknown.
            if token == IGNORED {
                unknown += u64::from(stream.is_some());
                tokens += u64::from(stream.is_some());
                continue;
            }
            tokens += 1;
            unknown += u64::from(tokenizer.unknown() == Some(token));
            if name == "train" {
                counts.get_mut(token as usize).into_iter().for_each(|count| *count += 1);
            }
        }
        let lengths = stream.is_none().then(|| lengths(column, ends));
        let places = column.count() * column.field().elements();
        let filled = || column.words(0..column.count()).filter(|token| *token == IGNORED).count();
        let padding = stream.is_none().then(|| filled() as f64 / places as f64);
        parts.push(TextPart { name, samples: split.count, tokens, unknown, lengths, padding });
    }
    let mut order: Vec<usize> = (0..counts.len()).filter(|token| counts[*token] > 0).collect();
    order.sort_by_key(|token| (std::cmp::Reverse(counts[*token]), *token));
    let commonest = order.iter().take(COMMONEST).map(|token| (tokenizer.tokens()[*token].clone(), counts[*token]));
    Ok(TextSurvey {
        name: data.name.clone(),
        unit: tokenizer.unit().plural(),
        vocabulary: counts.len(),
        is_stream,
        has_documents: data.has_documents(),
        parts,
        commonest: commonest.collect(),
        unused: counts.len() - order.len(),
        target: None,
    })
}

/// The shortest, the middle and the longest text.
fn lengths(column: &Column, ends: [u32; 2]) -> [usize; 3] {
    let is_token = |token: &u32| *token != IGNORED && !ends.contains(token);
    let length = |n: usize| column.words(n..n + 1).take_while(is_token).count();
    let mut all: Vec<usize> = (0..column.count()).map(length).collect();
    all.sort_unstable();
    [all[0], all[all.len() / 2], all[all.len() - 1]]
}

/// Tokens as a column holds them, the last sample filled up with the one that stands for none.
pub fn stored(tokens: &[u32], field: &Field) -> Vec<u8> {
    let none = field.ignored.unwrap_or(NO_TOKEN);
    let missing = tokens.len().next_multiple_of(field.elements().max(1)) - tokens.len();
    let words = tokens.iter().map(|token| if *token == NO_TOKEN { none } else { *token });
    let words = words.chain(std::iter::repeat_n(none, missing));
    let bytes = field.element.bytes();
    words.flat_map(|word| word.to_le_bytes().into_iter().take(bytes)).collect()
}
