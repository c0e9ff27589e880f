//! Tokenizers whose parts are in files of their own, put together as the text of a `tokenizer.json`.

use crate::text::subwords::END_OF_TEXT;
use crate::text::{MOST_TOKENS, Tokenizer};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

impl Tokenizer {
    /// The tokenizer of GPT-2's two files: vocab.json, the number of each token, and merges.txt, a pair of tokens in each line.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn of_merges(vocabulary: Map<String, Value>, merges: &str) -> Result<Tokenizer, String> {
        let lines = merges.lines().filter(|line| !line.is_empty() && !line.starts_with("#version"));
        let merges: Vec<&str> = lines.collect();
        let end = vocabulary.get(END_OF_TEXT).and_then(Value::as_u64);
        let added: Vec<Value> = end.iter().map(|id| added(*id, END_OF_TEXT, true)).collect();
        Tokenizer::of_json(&byte_level(vocabulary.into(), json!(merges), &added, false).to_string())
    }

    /// The tokenizer of tokens in the order of their numbers, pairs of them that are merged, and the numbers of those that are found
    /// in a text whole, each with whether it is a token of control. With `digits` each digit is a token.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn of_parts(
        tokens: &[String],
        merges: &[String],
        whole: &[(u32, bool)],
        digits: bool,
    ) -> Result<Tokenizer, String> {
        let known: HashSet<&String> = tokens.iter().collect();
        if known.len() != tokens.len() || tokens.len() > MOST_TOKENS {
            let (found, different) = (tokens.len(), known.len());
            return Err(format!(
                "found {found} tokens, {different} of them different, expected at most {MOST_TOKENS}, each once"
            ));
        }
        let name = |at: u32| tokens.get(at as usize).map(String::as_str).unwrap_or_default();
        let added: Vec<Value> = whole.iter().map(|&(at, control)| added(at.into(), name(at), control)).collect();
        let vocabulary: Map<String, Value> = tokens.iter().cloned().zip((0u32..).map(Value::from)).collect();
        Tokenizer::of_json(&byte_level(vocabulary.into(), json!(merges), &added, digits).to_string())
    }

    /// The tokenizer of BERT's vocab.txt, a token in each line: word pieces of lower-case words.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn of_word_pieces(vocabulary: &str) -> Result<Tokenizer, String> {
        let tokens: Map<String, Value> = vocabulary.lines().map(str::to_owned).zip((0u32..).map(Value::from)).collect();
        let control = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        let added: Vec<Value> =
            control.iter().filter_map(|name| Some(added(tokens.get(*name)?.as_u64()?, name, true))).collect();
        // Words of upper case letters mean that case was kept.
        let lowercase = !tokens.keys().any(|token| token.starts_with(char::is_uppercase));
        let ends = ["[CLS]", "[SEP]"].map(|name| tokens.get(name).and_then(Value::as_u64));
        let around = match ends {
            [Some(begin), Some(end)] => {
                json!({ "type": "BertProcessing", "cls": ["[CLS]", begin], "sep": ["[SEP]", end] })
            }
            _ => Value::Null,
        };
        let file = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                            "strip_accents": null, "lowercase": lowercase },
            "pre_tokenizer": { "type": "BertPreTokenizer" },
            "post_processor": around,
            "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
            "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                       "max_input_chars_per_word": 100, "vocab": tokens },
        });
        Tokenizer::of_json(&file.to_string())
    }
}

/// An entry of tokens that are found in a text whole.
fn added(id: u64, content: &str, special: bool) -> Value {
    json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": special })
}

/// A byte-level BPE with GPT-2's pattern.
fn byte_level(vocabulary: Value, merges: Value, added: &[Value], digits: bool) -> Value {
    let bytes = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    let split = match digits {
        true => json!({ "type": "Sequence",
                        "pretokenizers": [{ "type": "Digits", "individual_digits": true }, bytes.clone()] }),
        false => bytes.clone(),
    };
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": added, "pre_tokenizer": split, "decoder": bytes,
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                   "vocab": vocabulary, "merges": merges },
    })
}

#[cfg(all(test, feature = "subwords"))]
mod tests {
    use super::*;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    fn alphabet() -> Vec<String> {
        let mut letters: Vec<char> = ByteLevel::alphabet().into_iter().collect();
        letters.sort_unstable();
        letters.into_iter().map(String::from).collect()
    }

    #[test]
    fn files_of_tokens_and_merges_are_a_tokenizer() {
        let tokens: Vec<String> = alphabet().into_iter().chain(["th", "the", END_OF_TEXT].map(String::from)).collect();
        let numbers: Map<String, Value> = tokens.iter().cloned().zip((0u32..).map(Value::from)).collect();
        let of_files = Tokenizer::of_merges(numbers, "#version: 0.2\nt h\nth e\n").unwrap();
        let found = of_files.encode("the12<|endoftext|>");
        assert_eq!((found.len(), found[0], found[3]), (4, 257, 258));
        let merges = ["t h", "th e"].map(String::from);
        let of_parts = Tokenizer::of_parts(&tokens, &merges, &[(258, true)], true).unwrap();
        assert_eq!(of_parts.encode("the12<|endoftext|>"), found);
        assert_eq!(of_parts.decode(&found), "the12<|endoftext|>");
        let twice = [&tokens[..], &tokens[..1]].concat();
        assert!(Tokenizer::of_parts(&twice, &[], &[], false).unwrap_err().contains("each once"));
        let cyclic = ["the th", "th the"].map(String::from);
        assert!(Tokenizer::of_parts(&tokens, &cyclic, &[], false).is_err(), "a merge gives what is no token");
    }

    #[test]
    fn a_list_of_word_pieces_is_a_tokenizer() {
        let pieces = Tokenizer::of_word_pieces("[PAD]\n[UNK]\n[CLS]\n[SEP]\nplay\n##ing\n!\n").unwrap();
        assert_eq!(pieces.encode("Playing!x"), [4, 5, 6, 1]);
        let sample = pieces.sample(pieces.encode("Playing!x"), 5);
        assert_eq!((sample, pieces.room(5)), (vec![2, 4, 5, 6, 3], 3), "a text is between [CLS] and [SEP]");
    }
}
