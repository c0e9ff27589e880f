//! Texts: trained on as a stream, continued, classified by their labels, and refused if they cannot be read.
#![cfg(feature = "cli")]

use crate::common::{Place, number};
use serde_json::Value;

const NET: &str = r#"input = { tokens = 8 }
[[layers]]
type = "embedding"
size = 8
[[layers]]
type = "LAYER"
units = 12
[[layers]]
type = "dense"
units = "vocabulary"
"#;

/// A text in which each character but the space says which one follows.
fn text() -> String {
    "abcd efgh ".repeat(60)
}

fn json(place: &Place, command: &str) -> Value {
    serde_json::from_str(&place.works(command).out).unwrap()
}

#[test]
fn a_text_is_learnt_and_continued() {
    let place = Place::new();
    place.write("a.txt", text());
    for layer in ["rnn", "gru", "lstm"] {
        place.write("net.toml", NET.replace("LAYER", layer));
        let train = format!(
            "train --data a.txt --model net.toml --batch-size 8 --epochs 25 --lr 0.02 --device cpu --run-dir {layer}"
        );
        let done = place.works(&train);
        assert!(done.err.contains("the last 60 of 600 characters are held out for testing"), "{}", done.err);
        let metrics = place.lines(&format!("{layer}/metrics.jsonl"));
        for line in &metrics {
            assert!((number(line, "val_perplexity") - number(line, "val_loss").exp()).abs() < 1e-9, "{line}");
        }
        let last = metrics.last().unwrap();
        // Of ten characters two follow a space, by what comes before it: nothing else is in doubt.
        assert!(number(last, "val_perplexity") < 1.2, "{layer}: {last}");
        let samples = place.lines(&format!("{layer}/samples.jsonl"));
        assert_eq!((samples.len(), samples[24]["text"].as_str().unwrap().chars().count()), (25, 200));
        let told: Value = json(&place, &format!("eval {layer} --device cpu --json"));
        assert!((number(&told, "loss") - number(last, "val_loss")).abs() < 1e-6, "{told}");
        assert_eq!(told["tokens"], 59);
        let greedy = format!("generate {layer} --device cpu --prompt cd --tokens 18 --temperature 0");
        assert_eq!(place.works(&greedy).out, "cd efgh abcd efgh ab\n", "{layer}");
    }
    let drawn = |seed: u64| place.works(&format!("generate lstm --device cpu --seed {seed} --tokens 40")).out;
    assert_eq!(drawn(3), drawn(3));
    let greedy = "generate lstm --device cpu --prompt cd --tokens 18 --temperature 0";
    let stopped = |stop: &str| place.works(&format!("{greedy} --stop {stop}")).out;
    assert_eq!(
        [stopped("abc"), stopped("cd"), stopped("xyz")],
        ["cd efgh \n", "cd efgh ab\n", "cd efgh abcd efgh ab\n"]
    );
    let told: Value = json(&place, &format!("{greedy} --stop abc --json"));
    assert_eq!(told["text"], " efgh ");
    let told: Value = json(&place, "generate lstm --device cpu --prompt ab --tokens 3 --top-k 1 --json");
    assert_eq!((&told["prompt"], &told["text"]), (&"ab".into(), &"cd ".into()), "{told}");
}

/// What came before a window is known to a net that carries its state.
#[test]
fn a_carried_state_tells_what_a_window_does_not() {
    let place = Place::new();
    // Which of the two is next is known by what came before the window alone.
    place.write("a.txt", "aaabaaac".repeat(400));
    place.write("net.toml", NET.replace("LAYER", "gru").replace("tokens = 8", "tokens = 4"));
    let train = "train --data a.txt --model net.toml --batch-size 8 --epochs 6 --lr 0.01 --device cpu --no-report";
    let last = |run: &str, more: &str| {
        let done = place.works(&format!("{train} --run-dir {run} {more}"));
        (number(place.lines(&format!("{run}/metrics.jsonl")).last().unwrap(), "val_loss"), done.err)
    };
    let ((carried, said), (cut, _)) = (last("carried", "--carry"), last("cut", "--no-shuffle"));
    assert!(said.contains("the text is read in order, in 8 parts at once"), "{said}");
    // One character in four is one of two.
    assert!(carried < 0.1 && cut > 0.9 * 2f64.ln() / 4.0, "{carried}, without {cut}");
    let told: Value = json(&place, "eval carried --device cpu --json");
    assert!((number(&told, "loss") - carried).abs() < 1e-6, "{told}");
    assert!(String::from_utf8(place.read("carried/config.toml")).unwrap().contains("carry = true"));
    place.write("films.tsv", "good\ta film\nbad\tanother film\n".repeat(20));
    let done = place.call("train --data films.tsv --model text-classifier --carry --device cpu");
    assert!(done.status == Some(2) && done.err.contains("carry = true"), "{}", done.err);
}

/// Names, one on each line, are sequences of their own with an end.
#[test]
fn documents_are_learnt_to_their_end() {
    let place = Place::new();
    let [first, middle, last] = [&["an", "bo", "em", "ol", "un"][..], &["na", "la", "ra", "ta"], &["", "s"]];
    let all =
        first.iter().flat_map(|a| middle.iter().flat_map(move |b| last.iter().map(move |c| format!("{a}{b}{c}"))));
    let names: Vec<String> = all.collect();
    place.write("names.txt", names.join("\n") + "\n\nabcdefghijkl\n");
    let train = "train --data names.txt --documents --batch-size 8 --lr 0.01 --device cpu --no-report";
    let done = place.works(&format!("{train} --epochs 12 --length 6 --run-dir run"));
    for said in
        ["char-rnn, since the data is documents", "1 empty line of", "1 of 41 documents are cut after 6 characters"]
    {
        assert!(done.err.contains(said), "{said}: {}", done.err);
    }
    place.works(&format!("{train} --epochs 1 --length 6 --run-dir cut"));
    place.works("train --resume cut --epochs 12 --no-report");
    for file in ["model.safetensors", "samples.jsonl"] {
        assert!(place.read(&format!("run/{file}")) == place.read(&format!("cut/{file}")), "{file}");
    }
    let last = place.lines("run/metrics.jsonl").pop().unwrap();
    let told: Value = json(&place, "eval run --device cpu --json");
    assert!((number(&told, "loss") - number(&last, "val_loss")).abs() < 1e-6, "{told}");
    // Five names of four or five characters are held out, each with its end.
    assert_eq!(told["tokens"], 25, "{told}");
    let samples = place.lines("run/samples.jsonl");
    assert_eq!(samples[11]["text"].as_str().unwrap().lines().count(), 8, "{samples:?}");
    let found = place.works("generate run --device cpu --samples 30 --seed 5 --temperature 0.5").out;
    let known = found.lines().filter(|name| names.iter().any(|known| known == name)).count();
    assert!(found.lines().count() == 30 && known >= 20, "{found}");
    let known = place.works("generate run --device cpu --prompt em --temperature 0").out;
    assert!(names.contains(&known.trim_end().into()) && known.starts_with("em"), "{known}");
    let told: Value = json(&place, "generate run --device cpu --prompt em --temperature 0 --json");
    let [length, tokens] = [told["text"].as_str().unwrap().len(), told["tokens"].as_array().unwrap().len()];
    assert!(tokens == length && length <= 3, "{told}");
    // A preset is no longer than the longest document.
    place.works(&format!("{train} --epochs 1 --run-dir fitting"));
    let config = String::from_utf8(place.read("fitting/config.toml")).unwrap();
    assert!(config.contains("length = 13") && config.contains("documents = true"), "{config}");
    let told = place.works("data names.txt --documents");
    assert!(told.out.contains("4, 5, 12") && told.out.contains("padding"), "{}", told.out);
    let refused = |command: &str, word: &str| {
        let done = place.call(command);
        assert!(done.status == Some(2) && done.err.contains(word), "{command}: {}", done.err);
    };
    place.write("films.tsv", "good\ta film\nbad\tanother film\n".repeat(20));
    refused("train --data films.tsv --documents", "--documents: expected a text with a document on each line");
    refused(&format!("{train} --model char-rnn --carry"), "carries its state from one to the next");
    place.write("a.txt", text());
    place.write("net.toml", NET.replace("LAYER", "gru"));
    place.works(
        "train --data a.txt --model net.toml --epochs 1 --batch-size 8 --device cpu --run-dir stream --no-report",
    );
    refused("train --data names.txt --documents --from stream", "a model that continues one text");
}

/// A resumed run ends as one that was never stopped, including its samples.
#[test]
fn a_run_on_a_text_goes_on_in_the_same_bytes() {
    let place = Place::new();
    place.write("a.txt", text());
    place.write("net.toml", NET.replace("LAYER", "gru"));
    let train = "train --data a.txt --model net.toml --batch-size 8 --device cpu --no-report";
    place.works(&format!("{train} --epochs 4 --run-dir whole"));
    place.works(&format!("{train} --epochs 2 --run-dir cut"));
    place.works("train --resume cut --epochs 4 --no-report");
    for file in ["model.safetensors", "samples.jsonl"] {
        let [whole, cut] = ["whole", "cut"].map(|run| place.read(&format!("{run}/{file}")));
        assert!(whole == cut, "{file}");
    }
}

#[test]
fn texts_are_told_apart_by_their_labels() {
    let place = Place::new();
    let words = ["good", "fine", "bad", "poor"];
    let line = |n: usize| {
        let (label, word) = (if n % 4 < 2 { "yes" } else { "no" }, words[n % 4]);
        format!("{label}\tthe film number {} was {word}{}\n", n / 4, " indeed".repeat(n % 3))
    };
    place.write("films.tsv", (0..120).map(line).collect::<String>());
    let told = place.works("data films.tsv --length 6");
    assert!(told.out.contains("vocabulary") && told.err.contains("are cut after 6 words"), "{}{}", told.out, told.err);
    let train =
        "train --data films.tsv --model text-classifier --length 8 --batch-size 16 --epochs 6 --lr 0.01 --device cpu";
    place.works(&format!("{train} --run-dir run"));
    let last = place.lines("run/metrics.jsonl").pop().unwrap();
    assert_eq!(number(&last, "val_accuracy"), 1.0, "{last}");
    place.write("new.txt", "the film was good\n\nthe film was poor indeed\n");
    let told: Value = json(&place, "predict run new.txt --device cpu --json");
    let labels: Vec<&Value> = told.as_array().unwrap().iter().map(|answer| &answer["label"]).collect();
    assert_eq!(labels, ["yes", "no"], "{told}");
    let table = "kind,words\nyes,it was good\nno,it was bad\n".repeat(20);
    place.write("films.csv", table);
    place.works(&format!("{} --text words --target kind --no-report", train.replace("films.tsv", "films.csv")));
}

#[test]
fn what_is_no_text_is_refused() {
    let place = Place::new();
    place.write("a.txt", text());
    place.write("one.txt", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    place.write("latin.txt", [b"caf\xe9 ".as_slice(); 30].concat());
    place.write("net.toml", NET.replace("LAYER", "gru"));
    let refused = |command: &str, word: &str| {
        let done = place.call(command);
        assert_eq!(done.status, Some(2), "{command}: {}", done.err);
        let error = done.err;
        assert!(error.contains(word), "{command}: {error}");
    };
    refused("train --data one.txt --model net.toml", "has 1 different characters");
    refused("train --data latin.txt --model net.toml", "found byte 0xe9 in line 1 (byte 3)");
    refused(
        "train --data a.txt --model mnist-cnn",
        "expected char-rnn, gpt-mini, gpt-char or a model file, since the data is a text",
    );
    refused("train --model char-rnn", "it reads text, expected --data FILE.txt");
    refused("train --data a.txt --model net.toml --tokenizer letters", "chars, bytes, words");
    place.works("train --data a.txt --model net.toml --epochs 1 --batch-size 8 --device cpu --run-dir run --no-report");
    refused("generate run --prompt z", "the model does not know its characters \"z\"");
    refused("generate run --prompt é€zé", "the model does not know its characters \"z\" \"é\" \"€\"; expected");
    refused("generate run --top-p 0", "top-p 0: expected a number above 0");
    refused("generate run --temperature -1", "temperature -1");
    refused("predict run a.txt", "it continues texts, as wgrad generate does");
    place.works("train --epochs 1 --train-limit 64 --test-limit 64 --device cpu --run-dir digits --no-report");
    refused("generate digits", "expected text");
}

/// A trained tokenizer is all that a model of subwords needs, and the model then needs its file no more.
#[test]
fn subwords_are_made_and_learnt() {
    let place = Place::new();
    place.write("a.txt", "the cat sat on the mat, and the dog sat by the log 🙂\n".repeat(40));
    place.write("net.toml", NET.replace("LAYER", "gru"));
    let make = "data make tokenizer a.txt --size 300";
    let made = place.works(make);
    assert!(made.err.contains("saved tokenizer.json: 2") && made.err.contains("per byte"), "{}", made.err);
    let told = place.works("data a.txt --tokenizer tokenizer.json");
    assert!(told.out.contains("subwords") && told.out.contains("Ġthe"), "{}", told.out);
    let train = "train --data a.txt --model net.toml --tokenizer tokenizer.json --batch-size 8 --device cpu --lr 0.02";
    place.works(&format!("{train} --epochs 1 --run-dir cut"));
    place.works(&format!("{train} --epochs 4 --run-dir whole"));
    place.works("train --resume cut --epochs 4");
    assert!(place.read("whole/model.safetensors") == place.read("cut/model.safetensors"));
    let refused = |command: &str, word: &str| {
        let done = place.call(command);
        assert_eq!(done.status, Some(2), "{command}: {}", done.err);
        assert!(done.err.contains(word), "{command}: {}", done.err);
    };
    refused(make, "tokenizer.json: it exists, expected the name of a new file");
    refused("data make tokenizer a.txt --size 256 --out b.json", "size 256: expected 257 to 262144 tokens");
    refused(&train.replace("tokenizer.json", "a.txt"), "a.txt: found no JSON");
    refused(&train.replace("tokenizer.json", "none.json"), "none.json: it cannot be read");
    let other = "train --data a.txt --from whole --tokenizer tokenizer.json";
    refused(other, "has a tokenizer, expected no other");
    std::fs::remove_file(place.path("tokenizer.json")).unwrap();
    let told: Value = json(&place, "eval whole --device cpu --json");
    let last = place.lines("whole/metrics.jsonl").pop().unwrap();
    assert!((number(&told, "loss") - number(&last, "val_loss")).abs() < 1e-6, "{told}");
    let greedy = "generate whole --device cpu --temperature 0 --tokens 30 --prompt the";
    let text = place.works(greedy).out;
    let whole: Value = json(&place, &format!("{greedy} --json"));
    assert_eq!(text, format!("the{}\n", whole["text"].as_str().unwrap()), "printed as it comes, and whole");
    place.works("export whole/model.safetensors --onnx net.onnx");
}
