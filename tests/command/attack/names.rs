//! Names: bytes that are no text, names that begin with a dash, and what a terminal would obey.

use super::Want::{Lives, Refused, Works};
use super::{Attack, check, copy};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const TRAIN: &str = "train --device cpu --data data --model tiny.toml --batch-size 16 --epochs 1";

/// Names that are hard to write, to read or to print.
const NAMES: [&[u8]; 9] =
    [b"r\xff", b"\xc3\x28", b"-x", b"--help", b"a\\b", b"it's", b"two words", b"\x1b[31mred", b"$(touch pwned)"];

fn os(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}

/// Of a name that begins with a dash, the words of an option.
fn option(flag: &str, name: &[u8]) -> Vec<Vec<u8>> {
    vec![[flag.as_bytes(), b"=", name].concat()]
}

fn words(all: &[Vec<u8>]) -> impl Iterator<Item = &OsStr> {
    all.iter().map(|word| os(word))
}

#[test]
fn any_name_may_be_a_run_folder() {
    let mut attacks = Vec::new();
    for name in NAMES {
        let shown = String::from_utf8_lossy(name).escape_debug().to_string();
        let folder = option("--run-dir", name);
        attacks.push(Attack::new(format!("--run-dir {shown}"), TRAIN, Works("report.html")).words(words(&folder)));
        attacks.push(
            Attack::new(
                format!("--run-dir {shown} as JSON"),
                &format!("{TRAIN} --format json --no-report"),
                Works("\"event\":\"end\""),
            )
            .words(words(&folder)),
        );
        // The command that is printed works in a shell: it goes on with the run.
        attacks.push(
            Attack::new(format!("the command printed for {shown}"), TRAIN, Works("")).words(words(&folder)).shell(
                r#""$@" --no-report 2>/dev/null >&2 || exit 9; "$@" 2> said && exit 8
                       line=$(grep -ao 'train --resume .*' said | sed 's/ resumes the run in it.*//')
                       exec bash -c "\"\$0\" $line --epochs 2 --no-report --device cpu" "$1""#,
            ),
        );
        attacks.push(
            Attack::new(format!("--resume {shown}, which is not there"), "train --device cpu", Refused(""))
                .words(words(&option("--resume", name))),
        );
    }
    check("names of run folders", attacks);
}

#[test]
fn any_name_may_be_read_or_written() {
    let mut attacks = Vec::new();
    for name in NAMES {
        let shown = String::from_utf8_lossy(name).escape_debug().to_string();
        let dotted = [b"./", name].concat();
        let copied = move |from: &'static str, ending: &'static [u8]| {
            move |folder: &Path| copy(folder, from, os(&[name, ending].concat()))
        };
        let with = |ending: &[u8]| vec![[&dotted[..], ending].concat()];
        for (line, from, ending) in [
            ("predict m.safetensors --device cpu --json", "five.png", &b".png"[..]),
            ("predict m.safetensors --device cpu", "five.png", b".png"),
            ("predict m.safetensors --device cpu --save-prepared new", "five.png", b".png"),
            ("summary", "m.safetensors", b".safetensors"),
            ("data", "table.csv", b".csv"),
        ] {
            // Data and models are named in texts, which have no bytes that are no text.
            let attack = Attack::new(format!("{line} {shown}"), line, Lives).after(copied(from, ending));
            attacks.push(attack.words(words(&with(ending))));
        }
        let out = option("--onnx", &[&dotted[..], b".onnx"].concat());
        attacks
            .push(Attack::new(format!("export to {shown}"), "export m.safetensors", Works("saved")).words(words(&out)));
        let init = option("--init", &[&dotted[..], b".safetensors"].concat());
        attacks.push(
            Attack::new(format!("--init {shown}"), &format!("{TRAIN} --no-report --run-dir new"), Lives)
                .after(copied("m.safetensors", b".safetensors"))
                .words(words(&init)),
        );
    }
    check("names of files", attacks);
}

/// What a terminal would obey, in every place from which a name is printed: it is shown, and not sent.
#[test]
fn no_escape_reaches_the_terminal() {
    const ESCAPE: &str = "\u{1b}]0;title\u{7}\u{1b}[31m";
    let header = |text: String| {
        let bytes = text.into_bytes();
        [&(bytes.len() as u64).to_le_bytes()[..], &bytes].concat()
    };
    let npy = |descr: String| {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2, 2), }}\n");
        [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), &[0; 4]].concat()
    };
    let json = serde_json::to_string(ESCAPE).expect("JSON");
    let files: Vec<(&str, &str, Vec<u8>)> = vec![
        ("data e", "e/ESC/0.pgm", super::pgm(8, 8, |_, _| 7)),
        ("data img", "img/a/xESC.png", b"no picture".to_vec()),
        (
            "train --device cpu --model tiny.toml --data img --image-size 8 --epochs 1 --no-report --run-dir new",
            "img/a/xESC.png",
            b"no".to_vec(),
        ),
        ("data arrays", "arrays/x_train.npy", npy(ESCAPE.into())),
        ("data e.csv", "e.csv", format!("label,a\n1,{ESCAPE}\n0,3\n").into_bytes()),
        ("data e.csv --target y", "e.csv", format!("a{ESCAPE},y\n1,2\n3,x{ESCAPE}\n").into_bytes()),
        ("data e.csv --target y", "e.csv", format!("a{ESCAPE},y\n1,2\n3,4\n2,3\n4,5\n5,6\n7,8\n").into_bytes()),
        (
            "train --device cpu --config e.toml",
            "e.toml",
            format!("{} = 3\n", serde_json::json!("key\u{1b}[31m")).into_bytes(),
        ),
        ("train --device cpu --config e.toml", "e.toml", b"model = \"\\u001b[31mred\"\n".to_vec()),
        ("summary e.toml", "e.toml", b"input = [8]\n[[layers]]\ntype = \"\\u001b[31m\"\n".to_vec()),
        (
            "eval e.safetensors --data data --device cpu",
            "e.safetensors",
            header(format!(r#"{{"a":{{"dtype":{json},"shape":[0],"data_offsets":[0,0]}}}}"#)),
        ),
        (
            "import e.safetensors --model tiny.toml",
            "e.safetensors",
            header(format!(r#"{{{json}:{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}}}"#)),
        ),
        ("report run --device cpu", "run/metrics.jsonl", format!("{{{json}: \"x\"}}\n").into_bytes()),
        ("report run --device cpu", "run/device.json", format!("{{\"device\":{{}},\"reason\":[{json}]}}").into_bytes()),
        ("runs run", "run/config.toml", format!("model = {json}\n").into_bytes()),
        ("data text.txt --tokenizer t.json", "t.json", format!("{{\"model\":{{\"type\":{json}}}}}").into_bytes()),
    ];
    let attacks = files.into_iter().map(|(line, file, bytes)| {
        let at = file.replace("ESC", "\u{1b}[31m\u{9b}");
        Attack::new(format!("an escape in {file}"), line, Lives)
            .after(move |folder| {
                let path = folder.join(&at);
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                fs::write(path, &bytes).expect("a file");
                if at.starts_with("e/") {
                    for n in 0..8 {
                        fs::create_dir_all(folder.join("e/b")).expect("a folder");
                        fs::copy(folder.join("img/a/0.pgm"), folder.join(format!("e/b/{n}.pgm"))).expect("a copy");
                    }
                }
            })
            .changes("run")
    });
    check("escapes", attacks.collect());
}
