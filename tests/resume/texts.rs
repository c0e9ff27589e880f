//! Runs on texts that were cut in mid-epoch: streams, carried states, ragged texts with labels and in pairs.

use super::common::Place;
use std::fmt::Write;

const NET: &str = r#"input = { tokens = 6 }
[[layers]]
type = "embedding"
size = 4
[[layers]]
type = "gru"
units = 5
[[layers]]
type = "dense"
units = "vocabulary"
"#;

/// Dropout of attention too.
const GPT: &str = r#"input = { tokens = 6 }
[[layers]]
type = "embedding"
size = 4
positions = "learned"
[[layers]]
type = "transformer"
heads = 2
hidden = 5
causal = true
dropout = 0.3
repeat = 2
[[layers]]
type = "dense"
units = "vocabulary"
"#;

/// Lines of other lengths, each with a first column.
fn lines(first: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for n in 0..44 {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}\tword{} is{}", first(n), n % 5, " so very".repeat(n % 4));
    }
    text
}

#[test]
fn a_run_on_texts_that_was_cut_in_mid_epoch_ends_as_one_that_was_not() {
    let place = Place::new();
    place.write("net.toml", NET);
    place.write("gpt.toml", GPT);
    place.write("a.txt", "the cat sat on the mat, and the dog sat by the log. ".repeat(5));
    place.write("labels.tsv", lines(|n| ["good", "bad"][n % 2].to_owned()));
    place.write("pairs.tsv", lines(|n| format!("source{n} of{}", " all".repeat(n % 3))));
    place.write("names.txt", (0..52).map(|n| format!("ann{}{n}\n", "a".repeat(n % 5))).collect::<String>());
    for (name, train, per_epoch) in [
        ("stream", "--data a.txt --model net.toml", 5),
        ("transformer", "--data a.txt --model gpt.toml --optimizer adamw --decay-matrices-only", 5),
        ("carry", "--data a.txt --model net.toml --carry", 5),
        ("labels", "--data labels.tsv --model text-classifier --length 6", 5),
        ("documents", "--data names.txt --documents --model char-rnn", 6),
        ("pairs", "--data pairs.tsv --model translator --length 5", 5),
    ] {
        let train = format!("train {train} --batch-size 8 --device cpu --no-report --log-steps --checkpoint-every 2");
        place.works(&format!("{train} --epochs 2 --run-dir {name}/uncut"));
        place.works(&format!("{train} --epochs 2 --max-steps {} --run-dir {name}/cut", per_epoch + 2));
        let resumed = place.works(&format!("train --resume {name}/cut --epochs 2 --no-report"));
        let at = format!("at step {} of {}, in epoch 2", per_epoch + 2, 2 * per_epoch);
        assert!(resumed.err.contains(&at), "{name}: {}", resumed.err);
        for file in ["model.safetensors", "steps.jsonl"] {
            let [uncut, cut] = ["uncut", "cut"].map(|run| place.read(&format!("{name}/{run}/{file}")));
            assert!(uncut == cut, "{file} of {name}");
        }
    }
}
