//! Which part of the data a metric is measured on: validation parts beside the others, data without tests, the run's own data later.
#![cfg(all(feature = "cli", feature = "images", feature = "csv"))]

use crate::cli_report::page_data;
use crate::common::{Place, call, number, wgrad};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Labelled texts, `count` of each label.
fn texts(count: usize, from: usize) -> String {
    (from..from + count).map(|n| format!("good\tnice fine {n}\nbad\tsad poor {n}\n")).collect()
}

fn rows(count: usize, from: usize) -> String {
    let row = |n: usize| format!("{},{},{}\n", n % 7, n % 5, 3 * (n % 7) + n % 5);
    "a,b,price\n".to_owned() + &(from..from + count).map(row).collect::<String>()
}

/// A part to validate on is validated on, whatever the format, and the tests are left for the end.
#[test]
fn a_validation_file_beside_the_others_is_used() {
    let place = Place::new();
    let grey = |count: usize, value: usize| {
        let line = |n: usize| format!("{},{}\n", n % 2, vec![((n % 2) * 200 + value).to_string(); 16].join(","));
        (0..count).map(line).collect::<String>()
    };
    for (name, count, from) in [("train", 20, 0), ("val", 4, 30), ("test", 6, 40)] {
        place.write(&format!("texts/{name}.tsv"), texts(count, from));
        place.write(&format!("table/{name}.csv"), rows(count, from));
        place.write(&format!("grey/{name}.csv"), grey(count, from));
    }
    let net = "input = [4, 4, 1]\n[[layers]]\ntype = \"flatten\"\n[[layers]]\ntype = \"dense\"\nunits = 2\n";
    place.write("net.toml", net);
    for (data, flags, validation, test) in
        [("texts", "", 8, 12), ("table", "--target price", 4, 6), ("grey", "--model net.toml", 4, 6)]
    {
        let said = place.works(&format!("train --data {data} {flags} --epochs 1 --device cpu --run-dir run-{data}"));
        assert!(said.err.contains("each epoch is validated on"), "{data}: {said:#?}");
        let run = json(&String::from_utf8(place.read(&format!("run-{data}/run.json"))).expect("text"));
        assert_eq!(run["samples"]["validation"], validation, "{data}: {run}");
        assert_eq!(run["samples"]["test"], test, "{data}: {run}");
        assert!(place.path(&format!("run-{data}/test.json")).exists(), "{data}");
        // Without tests the part to validate on is what is measured, under its own name.
        for ending in ["tsv", "csv"] {
            std::fs::remove_file(place.path(&format!("{data}/test.{ending}"))).ok();
        }
        let train = format!("train --data {data} {flags} --epochs 1 --device cpu --run-dir two-{data}");
        place.works(&train);
        let run = json(&String::from_utf8(place.read(&format!("two-{data}/run.json"))).expect("text"));
        assert_eq!((&run["samples"]["validation"], &run["samples"]["test"]), (&validation.into(), &0.into()), "{run}");
        assert!(!place.path(&format!("two-{data}/test.json")).exists(), "{data}");
        let found = json(&place.works(&format!("eval two-{data} --json --device cpu")).out);
        assert_eq!((&found["set"], &found["samples"]), (&"validation".into(), &validation.into()), "{found}");
        let runs = json(&place.works(&format!("runs two-{data} --json")).out);
        assert_eq!((&runs["runs"][0]["validated_on"], &runs["runs"][0]["test"]), (&"validation".into(), &Value::Null));
        assert_eq!(page_data(&place, &format!("two-{data}/report.html"))["runs"][0]["validated_apart"], true);
    }
    let counted = place.works("data grey").out;
    assert!(counted.contains("20 to train on, 4 to validate on\n"), "{counted}");
}

/// With `--keep best` every figure of the model that is left is that of the epoch whose weights it has.
#[test]
fn what_is_said_of_a_kept_model_is_its_own() {
    let place = Place::new();
    place.write("t.csv", rows(60, 0));
    place.works("train --data t.csv --target price --lr 0.3 --epochs 6 --keep best --device cpu --run-dir run");
    let lines = place.lines("run/metrics.jsonl");
    let loss = |line: &Value| number(line, "val_loss");
    let best = lines.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).expect("epochs");
    assert!(loss(best) < loss(lines.last().expect("epochs")), "the last epoch is not the best: {lines:?}");
    let runs = json(&place.works("runs run --json").out);
    assert_eq!(number(&runs["runs"][0]["test"], "loss"), loss(best), "{runs}");
    let found = json(&place.works("eval run --json --device cpu").out);
    assert!((number(&found, "loss") - loss(best)).abs() <= 1e-5 * loss(best), "{found} {best}");
    place.works("train --data t.csv --target price --lr 0.3,0.01 --epochs 4 --keep best --device cpu --run-dir sweep --no-report");
    for n in 1..=2 {
        let lines = place.lines(&format!("sweep/{n}/metrics.jsonl"));
        let best = lines.iter().map(loss).fold(f64::INFINITY, f64::min);
        let runs = json(&place.works(&format!("runs sweep/{n} --json")).out);
        assert_eq!(number(&runs["runs"][0]["test"], "loss"), best);
    }
}

/// A run's data is found from elsewhere, and is refused where it is no longer the same.
#[test]
fn the_data_of_a_run_is_what_it_was() {
    let place = Place::new();
    place.write("here/t.csv", rows(40, 0));
    place.write("there/t.csv", rows(40, 5));
    let within = |folder: &str, line: &str| call(wgrad().args(line.split_whitespace()), &place.path(folder));
    let line = "train --data t.csv --target price --epochs 2 --device cpu --run-dir run";
    assert_eq!(within("here", line).status, Some(0));
    let expected = json(&place.works("eval here/run --json --device cpu").out);
    assert_eq!(json(&within("there", "eval ../here/run --json --device cpu").out), expected);
    let page = place.read("here/run/report.html");
    place.write("here/t.csv", rows(40, 5));
    let refused = place.call("eval here/run --device cpu");
    assert!(refused.status == Some(2) && refused.err.contains("changed since the run"), "{refused:#?}");
    let refused = place.call("report here/run");
    assert!(refused.status == Some(2) && refused.err.contains("left as it is"), "{refused:#?}");
    assert_eq!(place.read("here/run/report.html"), page);
}

/// Text is read as it was: other tokens are another text, and one that the vocabulary has nothing of is no test.
#[test]
fn texts_are_held_to_their_tokens() {
    let place = Place::new();
    let net = "input = { tokens = 8 }\n[[layers]]\ntype = \"embedding\"\nsize = 4\n[[layers]]\ntype = \"gru\"\nunits = 5\n\
        [[layers]]\ntype = \"dense\"\nunits = \"vocabulary\"\n";
    place.write("net.toml", net);
    place.write("a.txt", "the hat sat on the mat. ".repeat(30));
    let train = "train --model net.toml --epochs 1 --device cpu --no-report";
    place.works(&format!("{train} --data a.txt --run-dir run"));
    place.write("a.txt", "the jat sat on the mat. ".repeat(30).replace('h', "i"));
    let refused = place.call("train --resume run --epochs 2");
    assert_eq!(refused.status, Some(2), "{refused:#?}");
    place.write("b/train.txt", "the hat sat on the mat. ".repeat(30));
    place.write("b/test.txt", "ÉÉÉÉÉÉ");
    let refused = place.call(&format!("{train} --data b --run-dir none"));
    assert!(refused.status == Some(2) && refused.err.contains("the vocabulary has none of them"), "{refused:#?}");
    // All of another text is validated on, by the tokens of the first.
    place.write("c.txt", "mat hat sat ".repeat(10));
    place.works(&format!("{train} --data b/train.txt --val c.txt --run-dir val"));
    let run = json(&String::from_utf8(place.read("val/run.json")).expect("text"));
    assert_eq!((&run["samples"]["train"], &run["samples"]["validation"]), (&90.into(), &15.into()), "{run}");
}

/// Options that mean nothing for the data or the model are refused, and files of another kind are not overwritten.
#[test]
fn nothing_is_ignored_or_overwritten_unsaid() {
    let place = Place::new();
    place.write("t.tsv", texts(20, 0));
    place.write("t.csv", rows(30, 0));
    place.works("train --data t.tsv --epochs 1 --device cpu --run-dir texts");
    place.works("train --data t.csv --target price --epochs 1 --device cpu --run-dir table");
    for (line, words) in [
        ("predict texts nice --masks m", "--masks: expected a model of pictures"),
        ("predict texts nice --prepare digits", "--prepare: expected a model of pictures"),
        ("predict table t.csv --top 3", "--top: expected a model that classifies"),
        ("predict texts nice --csv t.tsv", "would be overwritten"),
        ("predict texts t.csv", "found a CSV file"),
        ("train --data t.csv --target price --length 3", "--length: expected a data set of text"),
        ("train --data t.tsv --image-channels 1", "--image-channels: expected a data set of images"),
        ("export table --onnx t.csv", "would be overwritten"),
        ("report table --out t.csv", "would be overwritten"),
    ] {
        let refused =
            place.call(&format!("{line} --device cpu").replace("export table --onnx t.csv --device cpu", line));
        assert!(refused.status == Some(2) && refused.err.contains(words), "{line}: {refused:#?}");
    }
    // Labels are no text, and lines that are empty are counted.
    place.write("new.tsv", "good\tnice fine 3\n\nbad\tsad poor 4\n");
    let found = place.works("predict texts new.tsv --json --device cpu");
    let texts: Vec<String> =
        json(&found.out).as_array().expect("a list").iter().map(|one| one["text"].as_str().unwrap().into()).collect();
    assert_eq!(texts, ["nice fine 3", "sad poor 4"]);
    assert!(found.err.contains("labels are left out") && found.err.contains("1 empty line"), "{found:#?}");
    place.works("predict texts nice --csv out.csv --device cpu");
    let csv = String::from_utf8(place.read("out.csv")).expect("text");
    assert!(csv.starts_with("text,class,probability,class_2,probability_2\nnice,"), "{csv}");
}
