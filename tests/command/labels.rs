//! Labels as people write them in CSV, and data of which only a part is requested.
#![cfg(all(feature = "cli", feature = "csv", feature = "images"))]

use crate::common::{Place, number};
use serde_json::Value;

const NET: &str = "[[layers]]\ntype = \"flatten\"\n[[layers]]\ntype = \"dense\"\nunits = 3\n";

/// Lines of a label, by `label`, and four pixels of which the label's is light; `last` puts the label after them.
fn table(label: impl Fn(usize) -> String, last: bool, separator: &str) -> String {
    let line = |n: usize| {
        let pixels: Vec<String> =
            (0..4).map(|at| if at == n % 3 { 200 + n % 40 } else { 20 + n }.to_string()).collect();
        let mut fields = pixels;
        fields.insert(if last { 4 } else { 0 }, label(n % 3));
        fields.join(separator) + "\n"
    };
    (0..30).map(line).collect()
}

fn facts(place: &Place, name: &str) -> (Value, String) {
    let done = place.works(&format!("data {name} --json"));
    (serde_json::from_str(&done.out).unwrap(), done.err)
}

#[test]
fn labels_of_csv_are_numbers_or_names_first_or_last() {
    let place = Place::new();
    let plain = |n: usize| n.to_string();
    let name = |n: usize| ["cat", "dog", "emu"][n].to_owned();
    let tables = [
        ("plain", table(plain, false, ","), ["0", "1", "2"], ""),
        ("names", format!("label,a,b,c,d\n{}", table(name, false, ",")), ["cat", "dog", "emu"], "the labels are names"),
        ("bare", table(name, false, ","), ["cat", "dog", "emu"], "the labels are names"),
        ("one", table(|n| (n + 1).to_string(), false, ","), ["1", "2", "3"], "the labels are counted from 1"),
        ("float", table(|n| format!("{n}.0"), false, ","), ["0", "1", "2"], ""),
        ("last", table(plain, true, ","), ["0", "1", "2"], "the labels are read from the last column"),
        (
            "named",
            format!("a,b,c,d,Class\n{}", table(plain, true, ",")),
            ["0", "1", "2"],
            "column 5 of 5 has the labels",
        ),
        ("semicolons", table(plain, false, ";"), ["0", "1", "2"], "semicolons separate the columns"),
        ("mark", format!("\u{feff}label,a,b,c,d\n{}", table(plain, false, ",")), ["0", "1", "2"], ""),
    ];
    for (file, text, classes, said) in tables {
        place.write(&format!("{file}.csv"), text);
        let (found, err) = facts(&place, &format!("{file}.csv"));
        let names: Vec<&str> =
            found["classes"].as_array().unwrap().iter().map(|class| class["name"].as_str().unwrap()).collect();
        assert_eq!(names, classes, "{file}");
        assert!(err.contains(said), "{file}: {err}");
    }
    place.write("mixed.csv", table(|n| if n == 2 { "emu".into() } else { n.to_string() }, false, ","));
    let done = place.call("data mixed.csv");
    assert!(done.status == Some(2) && done.err.contains("found the labels 1 and 'emu'"), "{done:#?}");
    place.write("half.csv", table(|n| format!("{n}.5"), false, ","));
    let done = place.call("data half.csv");
    assert!(done.status == Some(2) && done.err.contains("line 1, column 1: found '0.5'"), "{done:#?}");
}

/// Data without a part for tests is evaluated whole, unless the run learnt from it; its own data need not be named.
#[test]
fn eval_takes_all_of_what_was_not_learnt_from() {
    let place = Place::new();
    place.write("net.toml", format!("input = [2, 2, 1]\n{NET}"));
    place.write("own.csv", table(|n| n.to_string(), false, ","));
    place.write("other.csv", table(|n| n.to_string(), false, ","));
    place.works(
        "train --model net.toml --data own.csv --epochs 1 --batch-size 8 --device cpu --no-report --run-dir run",
    );
    for (line, samples) in [
        ("eval run/model.safetensors --data other.csv", 30.0),
        ("eval run/model.safetensors --data own.csv", 6.0),
        ("eval run/model.safetensors", 6.0),
        ("eval run", 6.0),
        ("eval run/checkpoints/last.safetensors", 6.0),
    ] {
        let found: Value = serde_json::from_str(&place.works(&format!("{line} --device cpu --json")).out).unwrap();
        assert_eq!(number(&found, "samples"), samples, "{line}");
    }
    assert!(place.works("summary run").out.contains("dense"));
    place.works("export run --onnx run.onnx");
}

#[test]
fn what_cannot_be_right_is_refused() {
    let place = Place::new();
    place.write("own.csv", table(|n| n.to_string(), false, ","));
    let norm = "input = [2, 2, 1]\n[[layers]]\ntype = \"flatten\"\n[[layers]]\ntype = \"batch_norm\"\n[[layers]]\ntype = \"dense\"\nunits = 3\n";
    place.write("norm.toml", norm);
    let train = "train --model norm.toml --data own.csv --epochs 1 --device cpu --no-report --run-dir run";
    let done = place.call(&format!("{train} --batch-size 1"));
    assert!(done.status == Some(2) && done.err.contains("expected a batch size of 2 or more"), "{done:#?}");
    place.works(&format!("{train} --batch-size 2"));
    place.data("set", 8, 20, 10);
    let done = place.call("train --data set --image-size 16 --epochs 1 --device cpu --no-report --run-dir other");
    assert!(
        done.status == Some(2) && done.err.contains("image size 16×16: data set set has images of 8×8×1"),
        "{done:#?}"
    );
    let grey = [b"P5 2 2 255\n".to_vec(), vec![9; 4]].concat();
    for class in ["a", "b"] {
        place.write(&format!("single/{class}/0.pgm"), &grey);
        place.write(&format!("nest/inner/{class}/0.pgm"), &grey);
    }
    for (data, said) in
        [("single", "each class has one image, expected at least two"), ("nest", "--data nest/inner has them")]
    {
        let done = place.call(&format!("data {data}"));
        assert!(done.status == Some(2) && done.err.contains(said), "{done:#?}");
    }
    // The two forms of é in Unicode are one class.
    for (part, name) in [("train", "caf\u{e9}"), ("test", "cafe\u{301}")] {
        for class in [name, "b"] {
            for n in 0..2 {
                place.write(&format!("forms/{part}/{class}/{n}.pgm"), &grey);
            }
        }
    }
    assert!(place.works("data forms").out.contains("caf\u{e9}"));
}

/// The mean of weighted losses is over the set, and over an update's batches: neither depends on the size of a batch.
#[test]
fn weighted_losses_do_not_depend_on_the_batch() {
    let place = Place::new();
    place.write("net.toml", format!("input = [2, 2, 1]\n{NET}"));
    place.write("own.csv", table(|n| n.to_string(), false, ","));
    let line = "train --model net.toml --data own.csv --class-weights 0.1,1,5 --no-shuffle --optimizer sgd --device cpu --no-report";
    let losses = [1, 5, 6].map(|batch| {
        let run = format!("by{batch}");
        place.works(&format!("{line} --lr 1e-12 --epochs 1 --batch-size {batch} --run-dir {run}"));
        number(&place.lines(&format!("{run}/metrics.jsonl"))[0], "val_loss")
    });
    // Six sums of f32 of magnitude 1, twice.
    assert!(losses.iter().all(|loss| (loss - losses[0]).abs() <= 12.0 * f64::from(f32::EPSILON)), "{losses:?}");
    let weights = [(4, 2), (8, 1)].map(|(batch, accumulate)| {
        let run = format!("acc{batch}");
        place.works(&format!(
            "{line} --lr 0.1 --epochs 2 --batch-size {batch} --accumulate {accumulate} --run-dir {run}"
        ));
        wgrad::model::Weights::load(&place.path(&format!("{run}/model.safetensors"))).unwrap().1
    });
    for (a, b) in weights[0].tensors.iter().zip(&weights[1].tensors) {
        // Six updates, each a sum of eight terms of magnitude 1 at a rate of 0.1.
        let apart = a.values.iter().zip(&b.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart <= 6.0 * 0.1 * 8.0 * f32::EPSILON, "{}: {apart}", a.name);
    }
}
