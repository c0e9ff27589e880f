//! Pairs of texts: told from labels, learnt, translated, scored, gone on with, and refused where they cannot be read.
#![cfg(feature = "cli")]

use crate::common::{Place, number};
use serde_json::Value;

const NET: &str = r#"input = { tokens = 3 }
[[layers]]
type = "embedding"
size = 8
[[layers]]
type = "gru"
units = 12
bidirectional = true
name = "encoder"
[[layers]]
type = "input"
name = "target"
[[layers]]
type = "embedding"
size = 8
[[layers]]
type = "gru"
units = 24
state = "encoder"
name = "decoder"
[[layers]]
type = "attention"
from = "encoder"
score = "general"
[[layers]]
type = "concat"
from = "decoder"
[[layers]]
type = "dense"
units = "vocabulary"
"#;

/// One to three of five numbers, and the same in Spanish from the last to the first.
fn pairs() -> String {
    let names = [["one", "uno"], ["two", "dos"], ["three", "tres"], ["four", "cuatro"], ["five", "cinco"]];
    let mut lines = String::new();
    for n in 0..155usize {
        let (count, mut rest) = if n < 5 {
            (1, n)
        } else if n < 30 {
            (2, n - 5)
        } else {
            (3, n - 30)
        };
        let digits: Vec<usize> = (0..count).map(|_| (rest % 5, rest /= 5).0).collect();
        let english: Vec<&str> = digits.iter().map(|d| names[*d][0]).collect();
        let spanish: Vec<&str> = digits.iter().rev().map(|d| names[*d][1]).collect();
        lines += &format!("{}\t{}\n", english.join(" "), spanish.join(" "));
    }
    lines
}

const TRAIN: &str = "train --data pairs.tsv --model net.toml --batch-size 16 --lr 0.02 --device cpu";

fn json(place: &Place, command: &str) -> Value {
    serde_json::from_str(&place.works(command).out).unwrap()
}

#[test]
fn pairs_are_learnt_and_translated() {
    let place = Place::new();
    place.write("pairs.tsv", pairs());
    place.write("net.toml", NET);
    let told = place.works("data pairs.tsv");
    assert!(told.out.contains("pairs of texts") && told.out.contains("targets"), "{}", told.out);
    assert!(told.err.contains("16 pairs are kept for them, one in 10"), "{}", told.err);
    place.works(&format!("{TRAIN} --epochs 25 --run-dir run"));
    let metrics = place.lines("run/metrics.jsonl");
    let last = metrics.last().unwrap();
    assert!((number(last, "val_perplexity") - number(last, "val_loss").exp()).abs() < 1e-9, "{last}");
    assert!(number(last, "val_perplexity") < 1.1 && number(last, "val_accuracy") > 0.95, "{last}");
    let samples = place.lines("run/samples.jsonl");
    assert_eq!(samples.len(), 25 * 5);
    let right = samples[120..].iter().filter(|sample| sample["text"] == sample["reference"]).count();
    assert!(right >= 4, "{:?}", &samples[120..]);
    let told: Value = json(&place, "eval run --device cpu --json");
    assert!((number(&told, "loss") - number(last, "val_loss")).abs() < 1e-6, "{told}");
    place.write("new.txt", "one two\n\nfive four three\n");
    assert_eq!(place.works("predict run new.txt --device cpu").out, "dos uno\ntres cuatro cinco\n");
    let done = place.works(&["predict", "run", "four", "--device", "cpu"].join(" "));
    assert_eq!(done.out, "cuatro\n");
    let told: Value = json(&place, "predict run new.txt --device cpu --beam 3 --json");
    assert_eq!((&told[0]["translation"], &told[0]["text"]), (&"dos uno".into(), &"one two".into()), "{told}");
    assert!(number(&told[1], "score") < 0.0, "{told}");
}

/// Both texts of a pair may be subwords of one tokenizer, which the model then needs no file for.
#[test]
fn pairs_of_subwords_are_learnt_and_translated() {
    let place = Place::new();
    place.write("pairs.tsv", pairs());
    place.write("both.txt", pairs().replace('\t', "\n"));
    place.write("net.toml", NET.replace("tokens = 3", "tokens = 6"));
    place.works("data make tokenizer both.txt --size 340");
    let told = place.works("data pairs.tsv --tokenizer tokenizer.json");
    assert!(told.out.contains("subwords") && told.out.contains("targets"), "{}", told.out);
    let train = format!("{TRAIN} --tokenizer tokenizer.json --epochs 16 --no-report");
    place.works(&format!("{train} --run-dir run"));
    let last = place.lines("run/metrics.jsonl").pop().unwrap();
    assert!(number(&last, "val_accuracy") > 0.9, "{last}");
    place.works(&format!("{train} --max-steps 12 --run-dir cut"));
    place.works("train --resume cut --epochs 16 --no-report");
    assert!(place.read("run/model.safetensors") == place.read("cut/model.safetensors"));
    std::fs::remove_file(place.path("tokenizer.json")).unwrap();
    let told: Value = json(&place, "eval run --device cpu --json --translations out");
    assert!((number(&told, "loss") - number(&last, "val_loss")).abs() < 1e-6, "{told}");
    let [reference, translation] = ["reference", "translation"].map(|name| {
        let text = String::from_utf8(place.read(&format!("out/{name}.txt"))).unwrap();
        text.lines().map(String::from).collect::<Vec<_>>()
    });
    let right = reference.iter().zip(&translation).filter(|(a, b)| a == b).count();
    assert!(right * 4 >= reference.len() * 3, "{translation:?}");
    place.write("new.txt", "one two\nfive four three\n");
    assert_eq!(place.works("predict run new.txt --device cpu").out, "dos uno\ntres cuatro cinco\n");
}

/// Cut in the middle of an epoch, and the model's file gone: it ends as one that was never stopped.
#[test]
fn a_run_on_pairs_goes_on_in_the_same_bytes() {
    let place = Place::new();
    place.write("pairs.tsv", pairs());
    place.write("net.toml", NET);
    let train = format!("{TRAIN} --no-report --epochs 3 --validation-split 0.1");
    place.works(&format!("{train} --run-dir whole"));
    place.works(&format!("{train} --run-dir cut --max-steps 12"));
    std::fs::remove_file(place.path("net.toml")).unwrap();
    place.works("train --resume cut --epochs 3 --no-report");
    for file in ["model.safetensors", "samples.jsonl"] {
        let [whole, cut] = ["whole", "cut"].map(|run| place.read(&format!("{run}/{file}")));
        assert!(whole == cut, "{file}");
    }
}

#[test]
fn what_is_no_pair_is_refused() {
    let place = Place::new();
    place.write("pairs.tsv", pairs());
    place.write("net.toml", NET);
    place.write("one.tsv", "a\tx\n");
    place.write("two-tabs.tsv", "a\tx\nb\ty\tz\n");
    place.write("empty.tsv", "a\tx\nb\t\n");
    place.write("latin.tsv", b"a\tx\nb\t\xe9\n");
    place.write("a.txt", "abcd efgh ".repeat(60));
    let refused = |command: &str, word: &str| {
        let done = place.call(command);
        assert_eq!(done.status, Some(2), "{command}: {}", done.err);
        assert!(done.err.contains(word), "{command}: {}", done.err);
    };
    refused("train --data one.tsv --model translator", "found 1 pair and none of them to train on");
    refused("train --data two-tabs.tsv --model net.toml", "line 2: found 2 tabs, expected source<TAB>target");
    refused("train --data empty.tsv --model net.toml", "line 2: found no text after the tab");
    refused("train --data latin.tsv --model net.toml", "found byte 0xe9 in line 2");
    refused("train --data a.txt --model net.toml", "the model net gives translations");
    refused(
        "train --data pairs.tsv --model text-classifier",
        "pairs source<TAB>target are for a model that translates",
    );
    refused(
        "train --data pairs.tsv --model mnist-cnn",
        "expected translator, translator-transformer or a model file, since the data is pairs of texts",
    );
    place.works(&format!("{TRAIN} --epochs 1 --run-dir run --no-report"));
    refused("generate run", "it translates, as wgrad predict does");
    refused("predict run pairs.tsv --beam 0", "beam 0: expected 1 to 64");
    refused("predict run none.txt", "none.txt: cannot be read");
}
