//! Files of a run, of models and of data that are damaged or forged: each is named and refused, or what it says is harmless. No
//! figure is shown of other data than its own.

use super::Want::{Fails, Lives, Refused, Works};
use super::{Attack, all, check};
use crate::common::{call, wgrad};
use std::fs;
use std::path::Path;

/// A file of a run, what it holds now, and what `wgrad report` makes of it.
const FORGED: [(&str, &str, super::Want); 37] = [
    ("device.json", "null", Refused("device.json")),
    ("device.json", "{\"device\":null}", Refused("device.json")),
    ("device.json", "{\"device\":{},\"refused\":\"no\"}", Refused("device.json")),
    ("device.json", "{\"device\":{},\"refused\":[{\"device\":3}]}", Refused("device.json")),
    ("device.json", "{\"device\":{},\"reason\":3}", Refused("device.json")),
    ("device.json", "[]", Refused("device.json")),
    ("device.json", "", Refused("device.json")),
    ("device.json", "{\"device\":{}} x", Refused("device.json")),
    ("device.json", "{}", Refused("device.json")),
    ("device.json", "{\"device\":{\"name\":\"</script><script>alert(1)</script>\"}}", Works("saved")),
    ("metrics.jsonl", "", Works("saved")),
    ("metrics.jsonl", "{\"epoch\":1", Works("saved")),
    ("metrics.jsonl", "x\n", Refused("line 1")),
    ("metrics.jsonl", "[]\n", Refused("line 1")),
    ("metrics.jsonl", "{\"epoch\":\"one\"}\n", Refused("line 1")),
    ("metrics.jsonl", "{\"epoch\":1}\n{\"loss\":[1]}\n", Refused("line 2")),
    ("metrics.jsonl", "{\"epoch\":1,\"loss\":{}}\n", Refused("line 1")),
    ("metrics.jsonl", "{\"epoch\":1,\"loss\":true}\n", Refused("line 1")),
    ("metrics.jsonl", "{\"epoch\":1,\"weights_sha256\":7}\n", Refused("line 1")),
    ("metrics.jsonl", "{\"epoch\":1,\"loss\":1e999}\n", Refused("line 1")),
    ("metrics.jsonl", "\0\0\n", Refused("line 1")),
    ("steps.jsonl", "{\"step\":1,\"loss\":null}\n", Works("saved")),
    ("steps.jsonl", "{\"step\":-1e300,\"loss\":1e300}\n", Works("saved")),
    ("steps.jsonl", "{}\n", Works("saved")),
    ("steps.jsonl", "{\"step\":\"x\"}\n", Refused("line 1")),
    ("steps.jsonl", "x\n", Refused("line 1")),
    ("test.json", "null", Refused("test.json")),
    ("test.json", "{\"loss\":\"x\"}", Refused("test.json")),
    ("test.json", "{\"accuracy\":{}}", Refused("test.json")),
    ("run.json", "null", Refused("run.json")),
    ("run.json", "{}", Refused("run.json")),
    ("run.json", "x", Refused("run.json")),
    ("samples.jsonl", "{\"text\":3}\n", Refused("line 1")),
    ("samples.jsonl", "{\"epoch\":\"x\",\"text\":\"y\"}\n", Refused("line 1")),
    ("config.toml", "", Lives),
    ("config.toml", "model = 3\n", Refused("line 1")),
    ("config.toml", "modle = \"x\"\n", Refused("did you mean")),
];

#[test]
fn forged_files_of_a_run_are_named() {
    let attack = |(file, text, want): &(&'static str, &'static str, super::Want)| {
        let (path, text) = (format!("run/{file}"), *text);
        let attack = Attack::new(format!("{file}: {text}"), "report run --device cpu", *want);
        attack.after(move |folder| fs::write(folder.join(&path), text).expect("written")).changes("run/report.html")
    };
    let mut attacks: Vec<Attack> = FORGED.iter().map(attack).collect();
    for file in ["device.json", "run.json", "test.json", "metrics.jsonl", "samples.jsonl"] {
        for (what, bytes) in
            [("no UTF-8", b"{\"a\":\"\xff\"}\n".to_vec()), ("deep", [vec![b'['; 100_000], vec![b'\n']].concat())]
        {
            attacks.push(
                Attack::new(format!("{file}: {what}"), "report run --device cpu", Refused(file))
                    .after(move |folder| fs::write(folder.join("run").join(file), &bytes).expect("written")),
            );
        }
    }
    check("forged files of a run", attacks);
}

/// Files that are read whole: cut or changed anywhere they are refused, and never half believed.
#[test]
fn what_is_cut_is_refused() {
    let files: [(&str, &str); 9] = [
        ("run/checkpoints/last.safetensors", "train --device cpu --resume run --epochs 3"),
        ("run/checkpoints/last.safetensors", "eval run/checkpoints/last.safetensors --data data --device cpu"),
        ("m.safetensors", "eval m.safetensors --data data --device cpu"),
        ("m.safetensors", "export m.safetensors --onnx new.onnx"),
        ("data/train-images-idx3-ubyte", "data data"),
        ("data/t10k-labels-idx1-ubyte", "data data"),
        ("five.png", "predict m.safetensors five.png --device cpu"),
        ("run/config.toml", "report run --device cpu"),
        ("run/run.json", "report run --device cpu"),
    ];
    let parts = if all() { 40 } else { 4 };
    let each = files.into_iter().flat_map(|case| (0..parts).map(move |part| (case, part)));
    let attacks = each.map(|((file, line), part)| {
        // Half a table of settings may be a whole one, and what ends a PNG is no part of the picture.
        let harmless = file.ends_with(".toml") || file.ends_with(".png") && part + 1 == parts;
        let want = if harmless { Lives } else { Refused("") };
        Attack::new(format!("{file} cut to {part}/{parts}"), line, want).changes("run").after(move |folder| {
            let bytes = fs::read(folder.join(file)).expect("a file");
            fs::write(folder.join(file), &bytes[..bytes.len() * part / parts]).expect("written");
        })
    });
    check("cut files", attacks.collect());
}

#[test]
fn a_changed_bit_of_a_checkpoint_is_found() {
    let bits = if all() { 100 } else { 12 };
    let attacks = (0..bits).map(|bit| {
        let line = "train --device cpu --resume run --epochs 3 --no-report";
        Attack::new(format!("bit {bit}"), line, Refused("last.safetensors")).changes("run").after(move |folder| {
            let at = folder.join("run/checkpoints/last.safetensors");
            let mut bytes = fs::read(&at).expect("a file");
            let place = (bytes.len() - 1) * bit / bits;
            bytes[place] ^= 1 << (bit % 8);
            fs::write(at, bytes).expect("written");
        })
    });
    check("changed bits", attacks.collect());
}

/// Headers that promise what is not there, or more than any machine has.
#[test]
fn headers_are_not_believed() {
    let header = |length: u64, text: &str| [&length.to_le_bytes()[..], text.as_bytes()].concat();
    let idx = |words: &[u32], body: usize| {
        words.iter().flat_map(|word| word.to_be_bytes()).chain(vec![0; body]).collect::<Vec<u8>>()
    };
    let npy = |descr: &str, shape: &str| {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), &[0; 64]].concat()
    };
    let one = |dtype: &str, shape: &str, offsets: &str| {
        let text = format!(r#"{{"0.weight":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#);
        header(text.len() as u64, &text)
    };
    let (eval, import) = ("eval bad.safetensors --data data --device cpu", "import bad.safetensors --model tiny.toml");
    let images = "data/train-images-idx3-ubyte";
    let mut files: Vec<(&str, &str, Vec<u8>)> = Vec::new();
    for line in [eval, import] {
        files.extend([
            (line, "bad.safetensors", header(u64::MAX, "{}")),
            (line, "bad.safetensors", header(1 << 40, "{}")),
            (line, "bad.safetensors", header(2, "{}")),
            (line, "bad.safetensors", header(0, "")),
            (line, "bad.safetensors", b"\x80\x02PK".to_vec()),
            (line, "bad.safetensors", one("F32", "[4]", "[0,16]")),
            (line, "bad.safetensors", one("F32", "[18446744073709551615,2]", "[0,8]")),
            (line, "bad.safetensors", one("I64", "[0]", "[0,0]")),
            (line, "bad.safetensors", one("F32", "[-1]", "[0,0]")),
        ]);
    }
    files.extend([
        ("data data", images, idx(&[0x803, u32::MAX, u32::MAX, u32::MAX], 64)),
        ("data data", images, idx(&[0x803, 0, 8, 8], 0)),
        ("data data", images, idx(&[0x803, 60, 8], 64)),
        ("data data", images, idx(&[0x803, 60, 0, 8], 64)),
        ("data data", images, idx(&[0x801, 60], 60)),
        ("data data", images, b"\x1f\x8b".to_vec()),
        ("data data", "data/train-labels-idx1-ubyte", idx(&[0x801, u32::MAX], 60)),
        ("data data", "data/train-labels-idx1-ubyte", idx(&[0xb01, 60], 60)),
        ("data arrays", "arrays/x_train.npy", npy("|u1", "(99999999999, 99999999999)")),
        ("data arrays", "arrays/x_train.npy", npy("|u1", "(-1, 8, 8)")),
        ("data arrays", "arrays/x_train.npy", npy("|O", "(1, 8, 8)")),
        ("data arrays", "arrays/x_train.npy", npy("|u1", "(1, 8, 8")),
        ("data arrays", "arrays/x_train.npy", b"\x93NUMPY\x09\x00".to_vec()),
        ("data arrays.npz", "arrays.npz", b"PK\x03\x04".to_vec()),
        ("data table.csv --target y", "table.csv", b"a,b,y\n".to_vec()),
        ("data table.csv --target y", "table.csv", b"a,b,y\n1,2\n".to_vec()),
        ("data table.csv --target y", "table.csv", b"a,a,y\n1,2,3\n".to_vec()),
        ("data table.csv --target y", "table.csv", b"a,b,y\n1e999,2,3\n".to_vec()),
        ("data table.csv --target y", "table.csv", b"a,b,y\nnan,2,3\n4,5,6\n".to_vec()),
        ("data table.csv --target y", "table.csv", b"\xff\xfea\0,\0".to_vec()),
        ("data text.txt", "text.txt", b"".to_vec()),
        ("data text.txt", "text.txt", b"\xff\xfe\x00".to_vec()),
        ("data text.txt --tokenizer t.json", "t.json", b"{}".to_vec()),
        ("data text.txt --tokenizer t.json", "t.json", vec![b'['; 200_000]),
        ("summary bad.toml", "bad.toml", b"input = [8, 8, 99999999999]\n[[layers]]\ntype=\"flatten\"\n".to_vec()),
        ("summary bad.toml", "bad.toml", b"input = [8]\n[[layers]]\ntype=\"dense\"\nunits=99999999999\n".to_vec()),
        ("summary bad.toml", "bad.toml", [b"x = ".to_vec(), vec![b'['; 100_000]].concat()),
        ("summary bad.toml", "bad.toml", b"input = [8]\n[[layers]]\ntype=\"dense\"\nunits=nan\n".to_vec()),
        ("summary bad.toml", "bad.toml", b"layers = 3\n".to_vec()),
        (
            "predict m.safetensors five.png --device cpu",
            "five.png",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff\xff\xff\xff\xff\x08\0\0\0\0".to_vec(),
        ),
        ("predict m.safetensors five.png --device cpu", "five.png", b"P5 99999 99999 255\n".to_vec()),
        ("predict m.safetensors five.png --device cpu", "five.png", b"P5 0 0 255\n".to_vec()),
        ("predict m.safetensors five.png --device cpu", "five.png", b"GIF89a\xff\xff\xff\xff\0\0\0".to_vec()),
        ("predict m.safetensors five.png --device cpu", "five.png", b"BM\xff\xff\xff\xff\0\0\0\0\0\0\0\0".to_vec()),
        ("predict m.safetensors five.png --device cpu", "five.png", b"\xff\xd8\xff\xe0".to_vec()),
        ("predict m.safetensors five.png --device cpu", "five.png", b"".to_vec()),
    ]);
    let attacks = files.into_iter().enumerate().map(|(n, (line, file, bytes))| {
        Attack::new(format!("{n}: {file}"), line, Refused("")).after(move |folder| {
            fs::create_dir_all(folder.join(file).parent().expect("a folder")).expect("a folder");
            fs::write(folder.join(file), &bytes).expect("written");
        })
    });
    check("headers", attacks.collect());
}

/// A run `own` on the data of this folder.
fn trained(folder: &Path) {
    let mut command = wgrad();
    let line = "train --device cpu --data data --model tiny.toml --batch-size 16 --epochs 2 --run-dir own";
    let done = call(command.args(line.split(' ')), folder);
    assert_eq!(done.status, Some(0), "{done:?}");
}

/// Every label of the test set becomes another.
fn relabelled(folder: &Path) {
    let at = folder.join("data/t10k-labels-idx1-ubyte");
    let mut bytes = fs::read(&at).expect("labels");
    bytes[8..].iter_mut().for_each(|label| *label = (*label + 1) % 4);
    fs::write(at, bytes).expect("written");
}

/// The last weight is no number.
fn wild(folder: &Path) {
    let at = folder.join("m.safetensors");
    let mut bytes = fs::read(&at).expect("weights");
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(at, bytes).expect("written");
}

/// Other data at the place where a run's was is not measured in its name, and weights that are no numbers begin no run.
#[test]
fn nothing_is_wrong_in_silence() {
    let other = |folder: &Path| {
        trained(folder);
        relabelled(folder);
    };
    let short = |folder: &Path| {
        trained(folder);
        let at = folder.join("data/train-images-idx3-ubyte");
        let bytes = fs::read(&at).expect("images");
        fs::write(at, &bytes[..bytes.len() / 2]).expect("written");
    };
    let train = "train --device cpu --data data --batch-size 16 --run-dir new --no-report";
    let attacks = vec![
        Attack::new("report on other labels", "report own --device cpu", Refused("have changed")).after(other),
        Attack::new("eval on other labels", "eval own --device cpu", Lives).after(other),
        Attack::new("resume on other labels", "train --device cpu --resume own --epochs 3", Refused("")).after(other),
        // The page is that of the run's own data.
        Attack::new("report where other data has the name", "report ../own --device cpu --out ../new.html", Works("saved"))
            .after(trained)
            .shell(
                r#"mkdir other; cp -r data other/data; cd other
                   head -c 8 data/t10k-labels-idx1-ubyte > l; head -c 20 /dev/zero >> l; mv l data/t10k-labels-idx1-ubyte
                   "$@" && cd .. && grep -ao '"accuracy":[0-9.]*,"c[^}]*' new.html > a
                   grep -ao '"accuracy":[0-9.]*,"c[^}]*' own/report.html > b; cmp a b"#,
            ),
        Attack::new("NaN to begin with", &format!("{train} --model tiny.toml --init m.safetensors"), Refused("NaN"))
            .after(wild),
        Attack::new("NaN to fine-tune", &format!("{train} --from m.safetensors"), Refused("NaN")).after(wild),
        Attack::new(
            "infinite statistics",
            &format!("{train} --model bn.toml --lr 1e18 --epochs 2"),
            Fails("smaller learning rate"),
        ),
        Attack::new(
            "a diverging run",
            &format!("{train} --model tiny.toml --lr 1e30 --epochs 2"),
            Fails("smaller learning rate"),
        ),
        Attack::new("data that became shorter", "train --device cpu --resume own --epochs 3", Refused("")).after(short),
        Attack::new("a model of other images", "eval m.safetensors --data img --device cpu", Refused("")),
        Attack::new("a model of a table for pictures", "predict m.safetensors table.csv --device cpu", Refused("")),
    ];
    check("what would be wrong in silence", attacks);
}
