//! CSV tables: numbers, classes and yes-or-no answers from the first line to the ONNX file; malformed ones give one
//! message.
#![cfg(all(feature = "cli", feature = "csv", feature = "onnx"))]

use crate::common::{Place, number};
use serde_json::Value;
use wgrad::data::{Dataset, Element, ReadOptions, TargetKind};
use wgrad::model::{Model, Task};

/// A table of 400 houses: `price` is 1000·rooms + 2·area - 30·age + 500 and a little that follows no rule.
fn houses(rows: usize) -> String {
    let mut text = String::from("id,rooms,area,age,price\n");
    for n in 0..rows {
        let random = |salt: usize| ((n * 7919 + salt * 104_729) % 1009) as f64 / 1009.0;
        let (rooms, area, age) = (1 + (n * 31) % 7, 40.0 + 160.0 * random(1), 90.0 * random(2));
        let price = 1000.0 * rooms as f64 + 2.0 * area - 30.0 * age + 500.0 + 20.0 * random(3);
        text += &format!("h{n},{rooms},{area:.3},{age:.3},{price:.2}\n");
    }
    text
}

const TRAIN: &str =
    "train --data houses.csv --target price --ignore id --epochs 60 --batch-size 32 --lr 0.003 --device cpu";

#[test]
fn numbers_are_learnt_told_and_taken_away() {
    let place = Place::new();
    place.write("houses.csv", houses(400));
    let done = place.works(&format!("{TRAIN} --run-dir run"));
    assert!(done.err.contains("1 column left out: id"), "{}", done.err);
    assert!(done.err.contains("one sample in 5 is held out"), "{}", done.err);
    let last = done.out.lines().last().unwrap();
    let r2: f64 = last.split("val_r2: ").nth(1).unwrap().parse().unwrap();
    assert!(last.contains("val_mae: ") && r2 > 0.99 && !last.contains("accuracy"), "{last}");

    let found: Value =
        serde_json::from_str(&place.works("eval run/model.safetensors --data houses.csv --device cpu --json").out)
            .unwrap();
    let target = &found["targets"][0];
    assert_eq!((target["name"].as_str(), target["samples"].as_u64()), (Some("price"), Some(80)));
    assert!(number(target, "r2") > 0.99 && number(target, "mae") < 200.0, "{found}");
    let text = place.works("eval run/model.safetensors --data houses.csv --device cpu").out;
    assert!(text.contains("mean abs. error") && text.contains("price"), "{text}");

    // Rows without the target, in another order of the columns, beside one that the model does not read.
    place.write("new.csv", "age,colour,rooms,area\n10,red,3,100\n80,blue,6,60\n");
    let done = place.works("predict run/model.safetensors new.csv --device cpu");
    let lines: Vec<&str> = done.out.lines().collect();
    let prices: Vec<f64> = lines[1..].iter().map(|line| line.parse().unwrap()).collect();
    assert!(
        lines[0] == "price" && (prices[0] - 3400.0).abs() < 300.0 && (prices[1] - 4220.0).abs() < 300.0,
        "{lines:?}"
    );
    assert!(done.err.contains("does not read colour"), "{}", done.err);
    let found: Value =
        serde_json::from_str(&place.works("predict run/model.safetensors new.csv --json --device cpu").out).unwrap();
    assert_eq!(number(&found[1], "price"), prices[1]);

    // The model knows its columns, its target and how both are standardised.
    let trained = Model::load(place.path("run/model.safetensors")).unwrap();
    let names: Vec<&str> = trained.model.columns.iter().map(|column| &*column.name).collect();
    assert_eq!((names, &trained.model.input[..]), (vec!["rooms", "area", "age"], &[3][..]));
    let Task::Regress { targets } = &trained.model.task else { panic!("{:?}", trained.model.task) };
    assert!(targets[0].name == "price" && targets[0].deviation > 1000.0);
    place.works("export run/model.safetensors --onnx net.onnx");
    assert!(place.path("net.onnx").exists());
    let page = std::fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(page.contains(r#""numbers":[{"score":{"name":"price""#), "the page has the numbers");
    let metrics = std::fs::read_to_string(place.path("run/metrics.csv")).unwrap();
    assert!(metrics.starts_with("epoch,step,loss,val_loss,val_mae,val_r2,"), "{metrics}");
}

#[test]
fn a_run_on_a_table_that_was_cut_ends_in_the_same_bytes() {
    let place = Place::new();
    place.write("houses.csv", houses(100));
    let train =
        "train --data houses.csv --target price --ignore id --batch-size 80 --epochs 4 --device cpu --no-report";
    place.works(&format!("{train} --run-dir whole"));
    place.works(&format!("{train} --run-dir cut --max-steps 2"));
    place.works("train --resume cut --max-steps 4 --no-report");
    let [whole, cut] =
        ["whole", "cut"].map(|run| std::fs::read(place.path(&format!("{run}/model.safetensors"))).unwrap());
    assert!(whole == cut);
}

#[test]
fn texts_are_classes() {
    let place = Place::new();
    let row = |n: usize| format!("{},{},{}\n", n % 3, (n * 17) % 11, ["setosa", "versicolor", "virginica"][n % 3]);
    place.write("iris.csv", String::from("a,b,species\n") + &(0..150).map(row).collect::<String>());
    let done = place.works("train --data iris.csv --target species --epochs 40 --lr 0.01 --device cpu --run-dir run");
    assert!(
        done.err.contains("note: batch size 16, since there are only 123 training samples")
            && done.err.contains("species holds texts: 3 classes"),
        "{}",
        done.err
    );
    assert!(done.out.lines().last().unwrap().contains("val_accuracy: 1.0000"), "{}", done.out);
    let eval = "eval run/model.safetensors --data iris.csv --device cpu --json";
    let found: Value = serde_json::from_str(&place.works(&format!("{eval} --target species")).out).unwrap();
    assert_eq!((number(&found, "accuracy"), found["classes"][2].as_str()), (1.0, Some("virginica")));
    // The run knows its target; weights alone do not.
    let own: Value = serde_json::from_str(&place.works(eval).out).unwrap();
    assert_eq!(own, found);
    std::fs::copy(place.path("run/model.safetensors"), place.path("alone.safetensors")).unwrap();
    fails(&place, &eval.replace("run/model", "alone"), "expected --target COLUMN");
    place.write("new.csv", "b,a\n5,1\n");
    let out = place.works("predict run/model.safetensors new.csv --device cpu").out;
    assert!(out.starts_with("class,probability\nversicolor,0."), "{out}");
    // A class that the model does not know.
    place.write("other.csv", "a,b,species\n1,2,setosa\n1,3,rose\n1,4,setosa\n0,0,setosa\n2,2,setosa\n");
    fails(
        &place,
        "eval run/model.safetensors --data other.csv --target species --device cpu",
        "line 3, column species: found 'rose'",
    );
}

#[test]
fn columns_of_yes_and_no_are_answers() {
    let place = Place::new();
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    let row = |n: usize| {
        let [a, b] = [7919, 104_729].map(|step| (n * step % 1009) as f64 / 100.0);
        format!("{a},{b},{},{}\n", yes(a > 5.0), yes(b > 3.0))
    };
    place.write("train.csv", String::from("a,b,large,wide\n") + &(0..600).map(row).collect::<String>());
    let accuracy =
        |out: &str| -> f64 { out.lines().last().unwrap().split("val_accuracy: ").nth(1).unwrap().parse().unwrap() };
    let done = place.works(
        "train --data train.csv --target large,wide --loss bce --epochs 30 --lr 0.01 --device cpu --run-dir run",
    );
    assert!(accuracy(&done.out) > 0.96, "{}", done.out);
    let text = place.works("eval run/model.safetensors --data train.csv --device cpu").out;
    let found = format!("accuracy of answers: {:.4} - 120 samples", accuracy(&done.out));
    assert!(text.contains(&found) && text.contains("large") && text.contains("wide"), "{found}: {text}");
    place.write("new.csv", "a,b\n10,0\n0,9\n");
    let found: Value =
        serde_json::from_str(&place.works("predict run/model.safetensors new.csv --json --device cpu").out).unwrap();
    assert!(number(&found[0], "large") > 0.9 && number(&found[0], "wide") < 0.1, "{found}");
    assert!(number(&found[1], "large") < 0.1 && number(&found[1], "wide") > 0.9, "{found}");
    let page = std::fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(page.contains(r#""answers":{"accuracy":0.9"#), "the page has the answers");
    // A single answer.
    let done = place.works(
        "train --data train.csv --target wide --ignore large --loss bce --epochs 30 --lr 0.01 --device cpu --run-dir one",
    );
    assert!(accuracy(&done.out) > 0.96, "{}", done.out);
    fails(&place, "train --data train.csv --target wide --loss mse --run-dir no", "found 'no', expected a number");
    fails(&place, "train --data train.csv --target a --ignore large,wide --loss bce --run-dir no", "expected 1 or 0");
    assert!(!place.path("no").exists());
}

/// A call that ends in status 2 and a sentence with these words.
#[track_caller]
fn fails(place: &Place, line: &str, words: &str) {
    let done = place.call(line);
    assert!(done.status == Some(2) && done.err.contains(words), "expected {words:?} of {line}: {done:#?}");
}

fn open(place: &Place, name: &str, targets: &[&str], kind: TargetKind) -> wgrad::Result<Dataset> {
    let targets: Vec<String> = targets.iter().map(|target| target.to_string()).collect();
    let options = ReadOptions { targets: &targets, target_kind: kind, ..ReadOptions::default() };
    Dataset::open_with(place.path(name).to_str().unwrap(), &options)
}

#[test]
fn numbers_are_standardised_by_the_training_samples() {
    let place = Place::new();
    place.write("t/train.csv", "a,y\n1,10\n2,30\n3,20\n6,40\n");
    // The columns in another order, and numbers far from those of training.
    place.write("t/test.csv", "y,a\n25,30\n");
    let data = open(&place, "t", &["y"], TargetKind::Guessed).unwrap();
    let schema = data.train.schema();
    let scales = &schema.input(None).unwrap().scales;
    assert_eq!((scales[0].mean, scales[0].deviation), (3.0, 3.5f64.sqrt()));
    let value = |split: &wgrad::data::Split, name: &str, row| {
        Element::F32.value(split.column(name).unwrap().held(), row) as f32
    };
    assert_eq!(value(&data.train, "features", 3), (3.0 / 3.5f64.sqrt()) as f32);
    assert_eq!(value(&data.test, "features", 0), (27.0 / 3.5f64.sqrt()) as f32);
    assert_eq!(value(&data.test, "numbers", 0), 0.0);
    assert_eq!((data.classes, &data.class_names[..], data.notice), (1, &["y".to_owned()][..], None));
    // Semicolons, a BOM, spaces; a column that says nothing.
    place.write(
        "s.csv",
        "\u{feff}a; same ;y\n".to_owned() + &(0..10).map(|n| format!("{n};7; {n}\n")).collect::<String>(),
    );
    let data = open(&place, "s.csv", &["y"], TargetKind::Guessed).unwrap();
    let notice = data.notice.unwrap();
    assert!(
        notice.contains("semicolons separate")
            && notice.contains("left out, with the same number in every training sample: same"),
        "{notice}"
    );
    assert_eq!((data.train.count, data.test.count), (8, 2));
}

#[test]
fn malformed_tables_are_refused_by_line_and_column() {
    let place = Place::new();
    let refused = |text: &str, targets: &[&str], kind, want: &str| {
        place.write("x.csv", text);
        let error = open(&place, "x.csv", targets, kind).unwrap_err().to_string();
        assert!(error.contains(want) && !error.contains('\n'), "expected {want:?} in {error}");
    };
    use TargetKind::{Answers, Classes, Guessed, Numbers};
    refused("a,b\n1,2\n", &["c"], Guessed, "found the columns a, b, expected one named 'c'");
    refused("price,b\n1,2\n", &["prise"], Guessed, "did you mean 'price'");
    refused("1,2\n3,4\n", &["1"], Guessed, "line 1: found '1, 2', expected the names");
    refused("a,a\n1,2\n", &["a"], Guessed, "found a a second time in column 2");
    refused("a,\n1,2\n", &["a"], Guessed, "found no name in column 2");
    refused("a,y\n1,2\n,3\n", &["y"], Guessed, "line 3, column a: found nothing, expected a number; --ignore a");
    refused("a,y\n1,2\nParis,3\n", &["y"], Guessed, "line 3, column a: found 'Paris'");
    refused("a,y\n1,2\nNaN,3\n", &["y"], Guessed, "line 3, column a: found 'NaN'");
    refused("a,y\n1,2\n1e999,3\n", &["y"], Guessed, "line 3, column a: found '1e999'");
    refused("a,y\n1,2\n1,2,3\n", &["y"], Guessed, "line 3: found 3 columns, expected 2");
    refused("a,y\n", &["y"], Guessed, "found no samples");
    refused("a,y\n1,2\n", &["y"], Guessed, "found 1 sample, expected some to train on and some to test on");
    refused("y\n1\n2\n", &["y"], Guessed, "found no column besides the targets");
    refused("a,y\n1,2\n2,\n", &["y"], Numbers, "line 3, column y: found nothing, expected a number");
    refused(
        "a,y\n1,2\n2,NA\n3,4\n",
        &["y"],
        Guessed,
        "line 3, column y: found 'NA', expected a number; --loss softmax",
    );
    refused("a,y\n1,no\n2,1\n3,yes\n", &["y"], Guessed, "found 'no', expected a number; --loss bce");
    refused("a,y\n7,1\n7,2\n7,3\n", &["y"], Guessed, "some to train on and some to test on");
    refused("a,b,y\n7,1,1\n7,1,2\n", &["y", "y"], Guessed, "target y: found it twice");
    refused("a,y\n1,x\n2,x\n", &["y"], Classes, "column y: found 1 class, expected 2 to 65536");
    refused("a,y\n1,1\n2,2\n", &["y"], Answers, "line 3, column y: found '2', expected 1 or 0");
    refused("a,x,y\n1,u,v\n2,v,u\n", &["x", "y"], Classes, "found 2 targets of classes, expected one");
    refused("a,y\n1,2\n2,3\n", &["y", "y"], Guessed, "target y: found it twice");
    refused("a,y\n1e308,1\n-1e308,2\n1e308,3\n9e307,4\n1,5\n2,6\n", &["y"], Guessed, "column a: found");
}

/// The same sample twice goes to one part, whatever its class, and columns that never change are not read.
#[test]
fn equal_rows_go_to_one_part() {
    let place = Place::new();
    let row = |n: usize| format!("{},{},7,{}\n", n % 20, n % 20 * 3, ["x", "y"][n % 2]);
    place.write("d.csv", String::from("a,b,same,y\n") + &(0..140).map(row).collect::<String>());
    let data = open(&place, "d.csv", &["y"], TargetKind::Guessed).unwrap();
    let rows = |split: &wgrad::data::Split| -> std::collections::BTreeSet<Vec<u8>> {
        split.column("features").unwrap().held().chunks(8).map(<[u8]>::to_vec).collect()
    };
    let (train, test) = (rows(&data.train), rows(&data.test));
    assert!(
        train.is_disjoint(&test) && train.len() + test.len() == 20 && test.len() == 4,
        "{} {}",
        train.len(),
        test.len()
    );
    assert_eq!(data.train.count + data.test.count, 140);
    assert!(data.notice.unwrap().contains("left out, with the same number in every training sample: same"));
}

/// Numbers that are large and differ little keep their digits, and so do their errors.
#[test]
fn large_numbers_keep_their_digits() {
    let place = Place::new();
    let row = |n: usize| format!("{},{}\n", (n * 37) % 101, 1_732_681_000 + (n * 37) % 101 * 3);
    place.write("t.csv", String::from("a,time\n") + &(0..101).map(row).collect::<String>());
    place.works("train --data t.csv --target time --epochs 150 --batch-size 16 --lr 0.01 --device cpu --no-report --run-dir run");
    let found = place.works("eval run/model.safetensors --data t.csv --device cpu --json").out;
    let found: Value = serde_json::from_str(&found).unwrap();
    let mae = number(&found["targets"][0], "mae");
    assert!(mae < 10.0, "{found}");
    let out = place.works("predict run/model.safetensors t.csv --device cpu").out;
    let errors = out
        .lines()
        .skip(1)
        .enumerate()
        .map(|(n, line)| (line.parse::<f64>().unwrap() - (1_732_681_000 + (n * 37) % 101 * 3) as f64).abs());
    assert!(errors.sum::<f64>() / 101.0 < 2.0 * mae + 1.0, "{out}");
}

/// A fine-tuned net reads its own columns, so that none of them becomes its target.
#[test]
fn what_a_net_reads_is_no_target_of_its_own() {
    let place = Place::new();
    place.write("houses.csv", houses(100));
    place.works(&format!("{} --no-report --run-dir run", TRAIN.replace("--epochs 60", "--epochs 1")));
    let from = "train --data houses.csv --from run/model.safetensors --epochs 1 --device cpu --no-report --run-dir no";
    fails(&place, &format!("{from} --target age"), "column age: the model reads it, expected another to learn");
    fails(
        &place,
        &format!("{from} --target price --ignore age"),
        "column age: the model reads it, expected another to leave out",
    );
    fails(&place, "eval run/model.safetensors --data houses.csv --target id", "targets id: expected price");
    fails(&place, "train --data mnist --target price", "only a CSV table has columns to learn");
    fails(&place, "train --data nothing.csv --target price", "found no such file");
    place.works(&format!("{} --target price", from.replace("--run-dir no", "--run-dir on")));
}
