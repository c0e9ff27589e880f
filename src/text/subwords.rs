//! Subwords as tokens: a `tokenizer.json` of Hugging Face, read by their own library, so that texts become the tokens that they
//! are there. What it would add around a text (its post-processor), cut (truncation), fill up (padding) or draw (dropout of
//! merges) is left out: each text becomes its own tokens and no others, the same ones each time. Of word pieces, which nets like
//! BERT read between two tokens of their own, these two are kept for samples that are whole texts.

use crate::text::MOST_TOKENS;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde_json::{Value, json};
use std::fmt;
use std::str::FromStr;
use tokenizers::AddedToken;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

/// The token between documents, as GPT-2 has it: the last one of a vocabulary that is trained here.
pub(super) const END_OF_TEXT: &str = "<|endoftext|>";

/// The bytes of a piece of a text that is encoded on its own.
const PIECE: usize = 1 << 16;

/// A pair of tokens that is rarer in the training text becomes no token.
const LEAST_PAIRS: u64 = 2;

/// A tokenizer of a `tokenizer.json`.
pub struct Subwords {
    library: tokenizers::Tokenizer,
    /// Its file, without white space.
    file: String,
    /// The tokens, as the file writes them.
    names: Vec<String>,
    unknown: Option<u32>,
    /// The tokens around a text that is a sample.
    around: Option<[u32; 2]>,
    /// The token that the file puts before every text.
    before: Option<u32>,
    /// Bytes that have no token, where bytes are tokens and none stands for an unknown one.
    missing: Vec<u8>,
    /// Whether a text may be encoded in pieces.
    in_pieces: bool,
}

impl fmt::Debug for Subwords {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Subwords").field("tokens", &self.names.len()).finish_non_exhaustive()
    }
}

impl PartialEq for Subwords {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file
    }
}

impl Eq for Subwords {}

impl Subwords {
    /// Reads the text of a `tokenizer.json`.
    ///
    /// # Errors
    /// What was found and what was expected, for a text that is none, and for tokenizers that would lose a part of a text.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected a tokenizer.json of Hugging Face";
        let mut file: Value = serde_json::from_str(text).map_err(|e| format!("found no JSON ({e}), {EXPECTED}"))?;
        if !file["model"].is_object() {
            return Err(format!("found JSON without a \"model\", {EXPECTED}"));
        }
        let is_byte_level = mentions(&file["pre_tokenizer"], "ByteLevel") || mentions(&file["normalizer"], "ByteLevel");
        let unknown = checked(&file, is_byte_level)?;
        let around = (file["model"]["type"] == "WordPiece").then(|| around(&file["post_processor"])).flatten();
        let before = if around.is_none() { before(&file["post_processor"]) } else { None };
        (file["truncation"], file["padding"]) = Default::default();
        if around.is_none() && before.is_none() {
            file["post_processor"] = Value::Null;
        }
        if file["model"]["type"] == "BPE" {
            file["model"]["dropout"] = Value::Null;
        }
        if is_byte_level && file["decoder"].is_null() {
            // The library wants the keys that a decoder does not use too.
            file["decoder"] = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true });
        }
        let in_pieces = are_lines_apart(&file);
        let library = |file: &str| tokenizers::Tokenizer::from_str(file).map_err(|e| format!("found {e}, {EXPECTED}"));
        let library = library(&file.to_string())?;
        let vocabulary = library.get_vocab(true);
        let count = vocabulary.values().max().map_or(0, |last| *last as usize + 1);
        if !(2..=MOST_TOKENS).contains(&count) {
            return Err(format!("found a vocabulary of {count} tokens, expected 2 to {MOST_TOKENS}"));
        }
        let mut names: Vec<String> = (0..count).map(|number| format!("<unused {number}>")).collect();
        for (token, number) in vocabulary {
            names[number as usize] = token;
        }
        let file = library.to_string(false).map_err(|e| format!("found {e}, {EXPECTED}"))?;
        let unknown = unknown.and_then(|token| library.token_to_id(&token));
        let around = around.and_then(|[begin, end]| Some([library.token_to_id(&begin)?, library.token_to_id(&end)?]));
        let before = before.and_then(|token| library.token_to_id(&token));
        let has_token = |byte: u8| library.token_to_id(letter(byte).encode_utf8(&mut [0; 4])).is_some();
        let is_whole = !is_byte_level || unknown.is_some();
        let missing = (0..=u8::MAX).filter(|byte| !is_whole && !has_token(*byte)).collect();
        Ok(Subwords { library, file, names, unknown, around, missing, in_pieces, before })
    }

    /// The text of its file.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// The tokens in the order of their numbers, as the file writes them: GPT-2's has Ġ for a space and Ċ for the end of a line.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The token of what is not in the vocabulary, if there is one.
    pub(super) fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// The tokens around a text that is a sample, if there are some.
    pub(super) fn around(&self) -> Option<[u32; 2]> {
        self.around
    }

    /// The token that the file puts before every text.
    pub(super) fn before(&self) -> Option<u32> {
        self.before
    }

    /// The same tokens, none of them before every text.
    pub(super) fn plain(&self) -> Result<Self, String> {
        let mut file: Value = serde_json::from_str(&self.file).map_err(|e| e.to_string())?;
        file["post_processor"] = Value::Null;
        Self::read(&file.to_string())
    }

    /// The numbers of the tokens of a text; `None` for a piece of it that the tokenizer cannot read.
    pub(super) fn encode(&self, text: &str) -> Vec<Option<u32>> {
        let pieces = if self.in_pieces { pieces(text, PIECE) } else { vec![text] };
        let encoded = pieces.into_par_iter().map(|piece| self.piece(piece));
        encoded.collect::<Vec<Vec<Option<u32>>>>().concat()
    }

    /// The tokens of a piece, `None` for each character that has a byte without a token.
    fn piece(&self, piece: &str) -> Vec<Option<u32>> {
        let lacks = |text: &str| text.bytes().any(|byte| self.missing.contains(&byte));
        if !self.missing.is_empty() && lacks(piece) {
            let unknown = |c: char| lacks(c.encode_utf8(&mut [0; 4]));
            let parts: Vec<Vec<Option<u32>>> = piece.split(unknown).map(|known| self.piece(known)).collect();
            return parts.join(&None);
        }
        match self.library.encode_fast(piece, false) {
            Ok(found) => found.get_ids().iter().copied().map(Some).collect(),
            Err(_) => vec![None],
        }
    }

    /// The text of tokens; bytes that are no UTF-8 become U+FFFD.
    pub(super) fn decode(&self, tokens: &[u32]) -> String {
        self.library.decode(tokens, false).unwrap_or_default()
    }
}

/// The character by which a byte-level vocabulary writes a byte: itself where it is printed, else those from U+0100 on in their
/// order.
fn letter(byte: u8) -> char {
    let is_printed = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..byte).filter(|byte| !is_printed(*byte)).count() as u32;
    if is_printed(byte) { byte.into() } else { char::from_u32(0x100 + others).unwrap_or(' ') }
}

/// The tokens that a post-processor puts before and after a text, one each.
fn around(processor: &Value) -> Option<[String; 2]> {
    let name = |value: &Value| value.as_str().map(String::from);
    match processor["type"].as_str()? {
        "BertProcessing" => Some([name(&processor["cls"][0])?, name(&processor["sep"][0])?]),
        "TemplateProcessing" => match processor["single"].as_array()?.as_slice() {
            [begin, text, end] if text["Sequence"].is_object() => {
                Some([name(&begin["SpecialToken"]["id"])?, name(&end["SpecialToken"]["id"])?])
            }
            _ => None,
        },
        _ => None,
    }
}

/// The token that a post-processor, or a part of it, puts before every text.
fn before(processor: &Value) -> Option<String> {
    match processor["type"].as_str()? {
        "Sequence" => processor["processors"].as_array()?.iter().find_map(before),
        "TemplateProcessing" => Some(processor["single"].as_array()?.first()?["SpecialToken"]["id"].as_str()?.into()),
        _ => None,
    }
}

/// Whether a part of a tokenizer is of a type, or a sequence with a part of it.
fn mentions(part: &Value, name: &str) -> bool {
    match part {
        Value::Object(keys) => {
            keys.get("type").is_some_and(|found| found == name) || keys.values().any(|v| mentions(v, name))
        }
        Value::Array(parts) => parts.iter().any(|part| mentions(part, name)),
        _ => false,
    }
}

/// The unknown token of a tokenizer that has one. Refuses what would lose a part of a text, and what the library does not check.
fn checked(file: &Value, is_byte_level: bool) -> Result<Option<String>, String> {
    let model = &file["model"];
    let kind = model["type"].as_str().unwrap_or("BPE");
    if model["continuing_subword_prefix"].as_str().is_some_and(|prefix| kind == "BPE" && !prefix.is_empty()) {
        return Err("found a BPE with continuing_subword_prefix, expected one without".into());
    }
    if mentions(&file["normalizer"], "Precompiled") {
        return Err("found a normalizer of type Precompiled (SentencePiece), expected another, such as NFKC".into());
    }
    let knows = |token: &str| match &model["vocab"] {
        Value::Object(tokens) => tokens.contains_key(token),
        Value::Array(tokens) => tokens.iter().any(|entry| entry[0] == token),
        _ => false,
    };
    let unknown = match kind {
        "Unigram" => model["unk_id"].as_u64().and_then(|at| model["vocab"][at as usize][0].as_str()),
        "WordPiece" | "WordLevel" => Some(model["unk_token"].as_str().unwrap_or("[UNK]")),
        _ => model["unk_token"].as_str(),
    };
    let has_bytes = match is_byte_level {
        // Others may be missing, as in SmolLM2's: a character of theirs is unknown, and counted.
        true => (b'!'..=b'~').chain([b' ', b'\n']).all(|byte| knows(letter(byte).encode_utf8(&mut [0; 4]))),
        false => model["byte_fallback"] == true && (0..=255).all(|byte| knows(&format!("<0x{byte:02X}>"))),
    };
    match unknown {
        Some(token) if !knows(token) => {
            Err(format!("found an unknown token {token:?} that is not in its vocabulary, expected it there"))
        }
        None if !has_bytes => {
            Err("found a vocabulary with neither the bytes of ASCII nor an unknown token, so that texts would lose \
                                   characters; expected one of them, as wgrad data make tokenizer makes it"
                .into())
        }
        _ => Ok(unknown.map(Into::into)),
    }
}

/// Whether the tokens of a line do not depend on the line before it where both have other characters than white space at
/// their common end: so it is with GPT-2's pattern.
fn are_lines_apart(file: &Value) -> bool {
    let split = &file["pre_tokenizer"];
    let is_gpt2 = split["type"] == "ByteLevel" && split["add_prefix_space"] == false && split["use_regex"] != false;
    let no_tokens = Vec::new();
    let added = file["added_tokens"].as_array().unwrap_or(&no_tokens);
    let is_plain = |token: &Value| {
        let flags = ["lstrip", "rstrip", "single_word"].iter().all(|flag| token[*flag] != true);
        flags && token["content"].as_str().is_some_and(|content| !content.contains('\n'))
    };
    is_gpt2 && file["normalizer"].is_null() && added.iter().all(is_plain)
}

/// A text in pieces that become the same tokens as the whole does: cut after the end of a line that has no other white
/// space beside it, once a piece has `least` bytes. Encoding takes many times a piece's memory.
fn pieces(text: &str, least: usize) -> Vec<&str> {
    let (mut all, mut begin) = (Vec::new(), 0);
    for (at, _) in text.match_indices('\n') {
        let is_apart = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
        let (before, after) = (text[..at].chars().next_back(), text[at + 1..].chars().next());
        if at + 1 - begin >= least && is_apart(before) && is_apart(after) {
            all.push(&text[begin..=at]);
            begin = at + 1;
        }
    }
    all.push(&text[begin..]);
    all
}

/// Trains a byte-level BPE with GPT-2's pattern on a text, with at most `size` tokens: the 256 bytes, merges of the most common
/// pairs, and `<|endoftext|>`. Returns its `tokenizer.json`.
///
/// # Errors
/// What the library says where it fails.
pub(super) fn trained(text: &str, size: usize) -> Result<String, String> {
    let byte_level = ByteLevel::default().add_prefix_space(false);
    let mut found = tokenizers::Tokenizer::new(BPE::default());
    found.with_pre_tokenizer(Some(byte_level)).with_decoder(Some(byte_level));
    let trainer = BpeTrainerBuilder::new()
        .show_progress(false)
        .min_frequency(LEAST_PAIRS)
        .vocab_size(size.saturating_sub(1))
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect());
    let say = |e: tokenizers::Error| format!("the tokenizer cannot be trained: {e}");
    found.train(&mut TrainerWrapper::from(trainer.build()), pieces(text, PIECE).into_iter()).map_err(say)?;
    found.add_special_tokens([AddedToken::from(END_OF_TEXT, true)]).map_err(say)?;
    found.to_string(true).map_err(say)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A byte-level BPE by hand: 256 bytes and these merges, as GPT-2 writes them.
    fn by_hand(merges: &[&str]) -> Value {
        let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
        alphabet.sort_unstable();
        let tokens = alphabet.into_iter().map(String::from).chain(merges.iter().map(|merge| merge.replace(' ', "")));
        let vocabulary: serde_json::Map<String, Value> = tokens.zip(0..).map(|(t, n)| (t, Value::from(n))).collect();
        let byte_level =
            json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
        json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
            "added_tokens": [{ "id": 256 + merges.len(), "content": END_OF_TEXT, "single_word": false, "lstrip": false,
                               "rstrip": false, "normalized": false, "special": true }],
            "pre_tokenizer": byte_level, "decoder": byte_level,
            "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                       "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                       "vocab": vocabulary, "merges": merges },
        })
    }

    fn read(file: &Value) -> Subwords {
        Subwords::read(&file.to_string()).unwrap()
    }

    fn encoded(subwords: &Subwords, text: &str) -> Vec<u32> {
        subwords.encode(text).into_iter().map(Option::unwrap).collect()
    }

    /// "the" after a space is one token, so are two ends of lines and the first two bytes of 🙂, which are no text of their own.
    const MERGES: [&str; 5] = ["t h", "th e", "Ġ the", "ð Ł", "Ċ Ċ"];

    #[test]
    fn merges_are_made_in_their_order_and_every_text_comes_back() {
        let subwords = read(&by_hand(&MERGES));
        let names = |text| encoded(&subwords, text).iter().map(|n| &*subwords.names()[*n as usize]).collect::<Vec<_>>();
        assert_eq!(names("the the  the\nthen"), ["the", "Ġthe", "Ġ", "Ġthe", "Ċ", "the", "n"]);
        assert_eq!(names("🙂"), ["ðŁ", "Ļ", "Ĥ"]);
        assert_eq!(names("a<|endoftext|>the"), ["a", END_OF_TEXT, "the"]);
        for text in [
            "",
            " ",
            "\n",
            "a<|endoftext|> b",
            "Bœuf, 2 ×\r\n\t the  ça — naïve? 🙂🙂\n\n the",
            "\u{0}\u{feff}\u{fffd} don't \u{a0}x",
        ] {
            assert_eq!(subwords.decode(&encoded(&subwords, text)), text);
        }
        let smile = encoded(&subwords, "a🙂");
        assert_eq!(subwords.decode(&smile[..2]), "a\u{fffd}", "no character yet");
        assert_eq!((subwords.decode(&[]), subwords.unknown()), (String::new(), None));
    }

    #[test]
    fn a_byte_without_a_token_is_unknown() {
        let letters: std::collections::BTreeSet<char> = (0..=255).map(letter).collect();
        assert_eq!(letters, ByteLevel::alphabet().into_iter().collect());
        let mut file = by_hand(&MERGES);
        file["model"]["vocab"].as_object_mut().unwrap().remove(&letter(0xc3).to_string());
        let found = read(&file).encode("the é the");
        assert_eq!(found, [Some(257), Some(220), None, Some(258)], "é is C3 A9");
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn what_surrounds_a_text_is_left_out() {
        let mut file = by_hand(&MERGES);
        file["truncation"] = json!({ "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0 });
        file["padding"] = json!({ "strategy": { "Fixed": 9 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                                  "pad_type_id": 0, "pad_token": "!" });
        file["post_processor"] = json!({ "type": "BertProcessing", "sep": ["a", 64], "cls": ["b", 65] });
        file["model"]["dropout"] = json!(1.0);
        file["decoder"] = Value::Null;
        assert_eq!(encoded(&read(&file), " the the the"), [258; 3]);
        assert_eq!(read(&file).decode(&[258, 258]), " the the");
        let stored = read(&file);
        assert_eq!(Subwords::read(stored.file()).unwrap(), stored, "and so it stays");
    }

    /// As the tokenizer.json of Llama 3 has it, and known after it was stored with a model.
    #[test]
    fn a_token_before_every_text_is_told_and_not_added() {
        let mut file = by_hand(&MERGES);
        let token = |id: &str| json!({ "SpecialToken": { "id": id, "type_id": 0 } });
        let text = json!({ "Sequence": { "id": "A", "type_id": 0 } });
        let template = json!({ "type": "TemplateProcessing", "single": [token(END_OF_TEXT), text.clone()],
            "pair": [text.clone(), { "Sequence": { "id": "B", "type_id": 1 } }],
            "special_tokens": { END_OF_TEXT: { "id": END_OF_TEXT, "ids": [259], "tokens": [END_OF_TEXT] } } });
        let bytes = json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true });
        file["post_processor"] = json!({ "type": "Sequence", "processors": [bytes, template] });
        let end = read(&by_hand(&MERGES)).library.token_to_id(END_OF_TEXT);
        let subwords = read(&file);
        let stored = Subwords::read(subwords.file()).unwrap();
        for subwords in [subwords, stored] {
            assert_eq!((subwords.before(), encoded(&subwords, " the the")), (end, vec![258; 2]));
            let plain = subwords.plain().unwrap();
            assert_eq!((plain.before(), encoded(&plain, " the the")), (None, vec![258; 2]));
        }
    }

    #[test]
    fn pieces_of_a_text_have_the_tokens_of_the_whole() {
        let text = ["the the\n", "\n\nthe 🙂\n", " 'the'\n", "'s x \n", "\tthe\r\n", "é\n"].concat();
        let text = text.repeat(3);
        let subwords = read(&by_hand(&MERGES));
        // Cut wherever that is allowed.
        let cut = pieces(&text, 1);
        assert!(cut.len() >= 6 && cut.concat() == text, "{cut:?}");
        let parts: Vec<u32> = cut.into_iter().flat_map(|piece| encoded(&subwords, piece)).collect();
        let whole = subwords.library.encode_fast(&*text, false).unwrap();
        assert!(subwords.in_pieces && parts == whole.get_ids());
        let long = text.repeat(2 * PIECE / text.len());
        assert_eq!(encoded(&subwords, &long), subwords.library.encode_fast(&*long, false).unwrap().get_ids());
        let mut file = by_hand(&MERGES);
        file["pre_tokenizer"]["add_prefix_space"] = json!(true);
        assert!(!read(&file).in_pieces);
    }

    #[test]
    fn a_trained_tokenizer_is_the_same_each_time() {
        let text = "the cat sat on the mat, the dog lay on the log 🙂\n".repeat(20);
        let file = trained(&text, 270).unwrap();
        assert!((0..3).all(|_| trained(&text, 270).unwrap() == file));
        let subwords = Subwords::read(&file).unwrap();
        assert_eq!((subwords.names().len(), &*subwords.names()[269]), (270, END_OF_TEXT));
        let tokens = encoded(&subwords, &text);
        assert!(tokens.len() < text.len() / 2 && subwords.decode(&tokens) == text, "{}", tokens.len());
    }

    #[test]
    fn malformed_files_are_refused() {
        let changed = |place: &str, value: Value| {
            let mut file = by_hand(&MERGES);
            *file.pointer_mut(place).unwrap() = value;
            file.to_string()
        };
        let cases = [
            (String::new(), "found no JSON"),
            ("[1]".into(), "without a \"model\""),
            (json!({ "version": "1.0", "model": {} }).to_string(), "neither the bytes of ASCII nor an unknown token"),
            (changed("/version", json!("7")), "Unknown tokenizer version"),
            (changed("/model/type", json!("GPT")), "expected a tokenizer.json"),
            (changed("/model/merges", json!(["t x"])), "expected a tokenizer.json"),
            (changed("/model/merges", json!(["q zz"])), "expected a tokenizer.json"),
            (changed("/model/vocab/the", json!(4_000_000_000_u32)), "a vocabulary of 4000000001 tokens"),
            (changed("/model/unk_token", json!("<unk>")), "\"<unk>\" that is not in its vocabulary"),
            (changed("/model/continuing_subword_prefix", json!("##")), "continuing_subword_prefix"),
            (changed("/normalizer", json!({ "type": "Precompiled", "precompiled_charsmap": "AA==" })), "Precompiled"),
            (changed("/pre_tokenizer", json!({ "type": "Split", "pattern": { "Regex": "(" } })), "expected"),
            (changed("/model/vocab", json!({ "a": 0, "b": 1 })), "neither the bytes of ASCII"),
        ];
        for (file, expected) in cases {
            let error = Subwords::read(&file).unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
