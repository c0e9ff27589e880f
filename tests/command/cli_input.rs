//! Bad input through the real command: one clear sentence, status 2, no panic, and no run folder is created.

use crate::common::{Done, Place, TINY, idx, safetensors};

/// Checks common to every refusal; `wants` are words that its message must contain.
fn is_refusal(place: &Place, line: &str, done: &Done, wants: &[&str]) {
    let context = || format!("wgrad {line}\n{done:#?}\nwanted {wants:?}");
    assert_eq!(done.status, Some(2), "{}", context());
    assert!(done.out.is_empty() && !done.err.contains("panicked"), "{}", context());
    assert!(wants.iter().all(|want| done.err.contains(want)), "{}", context());
    for folder in ["runs", "out"] {
        assert!(!place.path(folder).exists(), "{folder} was left behind: {}", context());
    }
}

/// Calls the command and expects a refusal whose sentence is the last line of all.
fn refused(place: &Place, line: &str, wants: &[&str]) {
    let done = place.call(line);
    is_refusal(place, line, &done, wants);
    let last = done.err.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: ") && wants.iter().all(|want| last.contains(want)), "wgrad {line}\n{done:#?}");
}

/// Training of the tiny model on the folder's data.
const TRAIN: &str = "train --model tiny.toml --data data --batch-size 16";

/// `refused` for training, with a run folder named and without.
fn training_refused(place: &Place, more: &str, wants: &[&str]) {
    refused(place, &format!("{TRAIN} {more}"), wants);
    refused(place, &format!("{TRAIN} --run-dir out {more}"), wants);
}

#[test]
fn flags_that_cannot_be_meant() {
    let place = Place::new();
    for (flags, wants) in [
        ("--lr NaN", &["learning rate NaN", "a finite number above 0"][..]),
        ("--lr inf", &["learning rate inf", "a finite number above 0"]),
        ("--lr -1", &["learning rate -1", "a finite number above 0"]),
        ("--lr 0", &["learning rate 0", "a finite number above 0"]),
        ("--lr 1e-60", &["learning rate", "a finite number above 0"]),
        ("--optimizer sgd --momentum 1", &["momentum 1", "expected"]),
        ("--momentum 0.5", &["momentum 0.5", "sgd"]),
        ("--weight-decay -1", &["weight decay -1", "expected"]),
        ("--weight-decay NaN", &["weight decay NaN", "expected"]),
        ("--ema 1", &["ema 1", "expected"]),
        ("--nesterov", &["nesterov", "momentum above 0"]),
        ("--betas 0.9,1", &["betas 0.9,1", "expected"]),
        ("--clip-norm -1", &["clip norm -1", "expected"]),
        ("--accumulate 0", &["accumulate 0", "expected"]),
        ("--validation-split 1", &["validation split 1", "expected"]),
        ("--validation-split 0.001", &["validation split 0.001", "none to validate on"]),
        ("--epochs 0", &["epochs 0", "expected"]),
        ("--max-steps 0", &["max steps 0", "expected"]),
        ("--train-limit 0", &["0 samples", "expected"]),
        ("--test-limit 0", &["0 samples", "expected"]),
        ("--init nothing.safetensors", &["nothing.safetensors: cannot be read"]),
        ("--config nothing.toml", &["nothing.toml"]),
        ("--train-limit 15", &["batch size 16", "15 samples", "expected"]),
    ] {
        training_refused(&place, flags, wants);
    }
    for (size, wants) in
        [(0, "batch size 0"), (61, "batch size 61"), (i64::MAX as usize, "batch size 9223372036854775807")]
    {
        for device in ["", "--device cpu"] {
            let line = format!("train --model tiny.toml --data data --batch-size {size} {device}");
            refused(&place, &line, &[wants, "expected"]);
        }
    }
    for line in
        ["train --epochs x", "train --seed -1", "train --nonsense", "train --optimizer tiger", "fly", "eval", ""]
    {
        let done = place.call(line);
        assert!(done.status == Some(2) && !done.err.contains("panicked") && done.out.is_empty(), "{line}: {done:#?}");
    }
}

#[test]
fn devices_that_are_not_there() {
    let place = Place::new();
    for (device, want) in [
        ("nonesuch", "--device 'nonesuch' matches no device"),
        ("99", "--device 99"),
        ("9999999999999999999999", "index"),
    ] {
        for command in [TRAIN, "verify", "plan mnist-cnn"] {
            let line = format!("{command} --device {device}");
            let done = place.call(&line);
            is_refusal(&place, &line, &done, &[want]);
            assert!(want == "index" || done.err.contains("native CPU"), "the list of what there is: {}", done.err);
        }
    }
    // Less than a GPU, asked for by name.
    let line = format!("{TRAIN} --require-gpu --device cpu");
    is_refusal(&place, &line, &place.call(&line), &["--require-gpu", "native CPU", "no GPU"]);
    let software = place.call("devices --json").out.contains(r#""software""#);
    if software {
        let line = format!("{TRAIN} --require-gpu --device software");
        is_refusal(&place, &line, &place.call(&line), &["--require-gpu", "software adapter", "no GPU"]);
    }
    for threads in ["1000000000", "9223372036854775807"] {
        refused(&place, &format!("{TRAIN} --device cpu --threads {threads}"), &["threads", threads]);
    }
}

#[test]
fn models_that_do_not_fit() {
    let place = Place::new();
    let layers = |list: &str| {
        let tables = list.split(';').map(|layer| {
            let (name, keys) = layer.trim().split_once(' ').unwrap_or((layer.trim(), ""));
            format!("[[layers]]\ntype = \"{name}\"\n{}\n", keys.replace(',', "\n"))
        });
        format!("input = [8, 8, 1]\n{}", tables.collect::<String>())
    };
    for (text, wants) in [
        (layers("max_pool2d size = 9; flatten; dense units = 4"), &["line 2", "layer 0", "8"][..]),
        (layers("dense units = 4"), &["line 2", "layer 0", "flatten"]),
        (layers("flatten; conv2d filters = 1, kernel = 1"), &["line 5", "layer 1", "image"]),
        (layers("flatten; dense units = 0"), &["line 7", "units", "1 to"]),
        (layers("flatten; dense units = -3"), &["units", "1 to"]),
        (layers("conv2d filters = 0, kernel = 3"), &["filters", "1 to"]),
        (layers("conv2d filters = 2, kernel = 9"), &["layer 0", "8"]),
        (layers("conv2d filters = 2, kernel = 3, padding = \"reflect\""), &["padding", "valid"]),
        (layers("conv2d filters = 2, kernel = 3, dilatation = 2"), &["dilatation", "did you mean", "line"]),
        (layers("capsule units = 2"), &["capsule", "line 3"]),
        (layers("flatten"), &["no parameters"]),
        (layers("conv2d filters = 2, kernel = 3"), &["after the last layer", "classes"]),
        (format!("momentum = 1\n{TINY}"), &["momentum", "line 1"]),
        (TINY.replace("[8, 8, 1]", "[9, 8, 1]"), &["[8, 8, 1]", "expects [9, 8, 1]"]),
        (TINY.replace("[8, 8, 1]", "[8, 8, 3]"), &["[8, 8, 1]", "expects [8, 8, 3]"]),
        (TINY.replace("[8, 8, 1]", "[8, 8]"), &["input", "[height, width, channels]", "line 1"]),
        (TINY.replace("[8, 8, 1]", "[0, 8, 1]"), &["input", "line 1"]),
        (TINY.replace("units = 4", "units = 3"), &["labels up to 3", "3 classes"]),
        (TINY.replace("units = 4", "units = "), &["line 15"]),
        (String::new(), &["input"]),
    ] {
        place.write("bad.toml", &text);
        for more in ["", "--device cpu --run-dir out"] {
            let mut wants = wants.to_vec();
            if wants.iter().any(|want| want.starts_with("line")) {
                wants.push("bad.toml");
            }
            refused(&place, &format!("train --model bad.toml --data data --batch-size 16 {more}"), &wants);
        }
    }
    refused(&place, "train --data data --model mnist-cmn", &["mnist-cmn", "mnist-cnn"]);
    refused(&place, "summary mnist-dep", &["mnist-dep", "mnist-deep"]);
    refused(&place, "plan nothing.toml", &["nothing.toml"]);
    refused(&place, "summary mnist-cnn --batch-size 0", &["batch size 0"]);
    refused(&place, "plan mnist-cnn --wgsl fft", &["no kernel 'fft'", "adam"]);
}

#[test]
fn configurations_with_faults_name_the_line() {
    let place = Place::new();
    for (text, wants) in [
        ("model = \"tiny.toml\"\nmodle = 3\n", &["line 2", "modle", "model"][..]),
        ("[train]\n\nlr = \"fast\"\n", &["line 3", "fast"]),
        ("[train]\nlearning_rate = 1.0\n", &["line 2", "learning_rate", "lr"]),
        ("[train\n", &["line 1"]),
        ("[train]\nlr = nan\n", &["learning rate NaN"]),
        ("[train]\nseed = -1\n", &["line 2"]),
    ] {
        place.write("bad.toml", text);
        refused(&place, "train --config bad.toml --data data", wants);
    }
    place.write("bad.toml", [0xff, 0xfe]);
    refused(&place, "train --config bad.toml --data data", &["bad.toml"]);
}

#[test]
fn weight_files_that_do_not_fit() {
    let place = Place::new();
    let [kernel, dense] = [[4, 1, 3, 3], [4, 36, 1, 1]];
    let [k, d, b]: [&[usize]; 3] = [&kernel, &dense[..2], &[4]];
    let good = [("0.weight", "F32", k, 4), ("0.bias", "F32", b, 4), ("4.weight", "F32", d, 4), ("4.bias", "F32", b, 4)];
    place.write("zeros", safetensors(&good));
    place.trains("good", "--init zeros --max-steps 1");
    let with = |at: usize, entry| {
        let mut tensors = good.to_vec();
        tensors[at] = entry;
        safetensors(&tensors)
    };
    let more = [&good[..], &[("5.bias", "F32", b, 4), ("fc.bias", "F32", b, 4)]].concat();
    for (bytes, wants) in [
        (safetensors(&good[1..]), &["missing tensors: 0.weight"][..]),
        (safetensors(&more), &["extra tensors: 5.bias, fc.bias"]),
        (with(2, ("4.weight", "F32", &[36, 4], 4)), &["4.weight", "[36, 4]", "expected [4, 36]"]),
        (with(2, ("3.weight", "F32", d, 4)), &["missing tensors: 4.weight", "extra tensors: 3.weight"]),
        (with(0, ("0.weight", "I64", k, 8)), &["0.weight", "I64", "expected F32"]),
        (with(0, ("0.weight", "U16", k, 2)), &["0.weight", "U16", "expected F32"]),
        (safetensors(&good)[..100].to_vec(), &["expected"]),
        (b"not a safetensors file".to_vec(), &["expected a safetensors file"]),
        (Vec::new(), &["found 0 bytes"]),
    ] {
        place.write("bad.safetensors", bytes);
        let wants = [wants, &["bad.safetensors"]].concat();
        refused(&place, &format!("{TRAIN} --init bad.safetensors --run-dir out"), &wants);
        refused(&place, "eval bad.safetensors --data data --model tiny.toml", &wants);
    }
    refused(&place, "eval zeros --data data", &["zeros", "expected --model"]);
    place.data("wide", 9, 20, 20);
    refused(&place, "eval zeros --data wide --model tiny.toml", &["[9, 9, 1]", "expects [8, 8, 1]"]);
    place.write("two.toml", TINY.replace("units = 4", "units = 2"));
    let two = with(2, ("4.weight", "F32", &[2, 36], 4));
    place.write("bad.safetensors", two);
    refused(&place, "eval bad.safetensors --data data --model two.toml", &["4.bias", "expected [2]"]);
}

#[test]
fn run_folders_that_cannot_be_used() {
    let place = Place::new();
    place.write("full/notes.txt", "mine");
    refused(&place, &format!("{TRAIN} --run-dir full"), &["full", "not empty"]);
    assert_eq!(place.read("full/notes.txt"), b"mine");
    for path in ["tiny.toml", "tiny.toml/run", "tiny.toml/deep/run"] {
        refused(&place, &format!("{TRAIN} --run-dir {path}"), &["run folder", path]);
    }
    // Where no folder is named, `runs` itself may be what is in the way.
    let place = Place::new();
    place.write("runs", "a file");
    let done = place.call(TRAIN);
    assert!(done.status == Some(2) && done.err.contains("run folder") && done.out.is_empty(), "{done:#?}");
    #[cfg(target_os = "linux")]
    refused(&Place::new(), &format!("{TRAIN} --run-dir /proc/wgrad/run"), &["run folder", "/proc/wgrad/run"]);
}

/// Not a file of data: a header that promises too much, or a folder that lacks a file.
#[test]
fn data_folders_with_faults() {
    let place = Place::new();
    let pixels = vec![0; 60 * 64];
    let labels: Vec<u8> = (0..60).map(|i| i % 4).collect();
    let images = "train-images-idx3-ubyte";
    let named = "train-labels-idx1-ubyte";
    for (file, bytes, wants) in [
        (images, idx(2051, &[60, 8, 8], &pixels[1..]), &["train-images", "truncated", "expected 3840"][..]),
        (
            images,
            idx(2051, &[60, 8, 8], &[&pixels[..], &[0]].concat()),
            &["train-images", "oversized", "expected 3840"],
        ),
        (images, idx(2049, &[60, 8, 8], &pixels), &["train-images", "0x00000801", "expected 0x00000803"]),
        (images, idx(2051, &[60, 8, 8], &pixels)[..10].to_vec(), &["train-images", "10 bytes", "header of 16"]),
        (images, Vec::new(), &["train-images", "0 bytes", "header of 16"]),
        (images, idx(2051, &[0, 8, 8], &[]), &["train-images", "0×8×8", "no size of zero"]),
        (images, idx(2051, &[usize::MAX; 3], &pixels), &["train-images", "4294967295", "expected"]),
        (images, idx(2051, &[60, 4, 4], &pixels[..960]), &["8×8×1", "4×4×1"]),
        (named, idx(2049, &[59], &labels[1..]), &["59 labels", "60 images", "as many labels as images"]),
        (named, idx(2049, &[60], &labels[1..]), &["train-labels", "truncated", "expected 60"]),
        (named, idx(2049, &[60], &[9; 60]), &["labels up to 9", "4 classes"]),
    ] {
        let place = Place::new();
        place.write(&format!("data/{file}"), bytes);
        training_refused(&place, "", wants);
    }
    place.write(&format!("data/{images}.gz"), b"this is no gzip");
    std::fs::remove_file(place.path(&format!("data/{images}"))).unwrap();
    training_refused(&place, "", &["train-images-idx3-ubyte.gz", "not a valid gzip file", "expected gzip"]);
    std::fs::remove_file(place.path(&format!("data/{images}.gz"))).unwrap();
    training_refused(&place, "", &["data folder data", "no file named like", "*train*images*", "expected"]);
    refused(&place, "train --data nowhere", &["nowhere"]);
    refused(&place, "train --data tiny.toml", &["tiny.toml"]);
}
