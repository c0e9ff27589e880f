//! Streams that are closed, full or gone: the work is done, and its files are whole.

use super::Want::{Fails, Refused, Works};
use super::{Attack, check};

/// Commands that work, and a file that is there afterwards.
const WORK: [(&str, &str); 9] = [
    (
        "train --device cpu --data data --model tiny.toml --batch-size 16 --epochs 2 --validation-split 0.2 --run-dir new",
        "new/test.json",
    ),
    ("train --device cpu --resume run --epochs 3", "run/report.html"),
    ("eval m.safetensors --data data --device cpu", "m.safetensors"),
    ("predict m.safetensors five.png --device cpu --save-prepared new", "new/contact-sheet.png"),
    ("export m.safetensors --onnx new.onnx", "new.onnx"),
    ("report run --device cpu --out new.html", "new.html"),
    ("data img --contact-sheet new.png", "new.png"),
    ("summary tiny.toml", "tiny.toml"),
    ("runs .", "run/run.json"),
];

/// A shell in which stderr is of no use, and the status is the command's.
const ERRORS: [&str; 4] = [
    r#""$@" 2>/dev/full"#,
    r#""$@" 2>&-"#,
    r#"{ "$@" 2>&1; echo $? > status; } | head -c 1 > /dev/null; exit $(cat status)"#,
    r#"{ "$@" 2>&1 >/dev/null; echo $? > status; } | true; exit $(cat status)"#,
];

#[test]
fn work_is_done_without_a_listener() {
    let mut attacks = Vec::new();
    for (line, file) in WORK {
        for shell in ERRORS {
            // Words of the shell that name the file are no part of the constant: it is the last word of the command.
            let attack =
                Attack::new(format!("{shell}: {line}"), line, Works("")).shell(shell).changes("run").makes(file);
            attacks.push(attack);
        }
        // Without input.
        attacks.push(
            Attack::new(format!("no stdin: {line}"), line, Works("")).shell(r#""$@" <&-"#).changes("run").makes(file),
        );
        attacks.push(
            Attack::new(format!("stdout closed by its reader: {line}"), line, Works(""))
                .changes("run")
                .makes(file)
                .shell(r#"{ "$@"; echo $? > status; } | true; exit $(cat status)"#),
        );
    }
    check("streams", attacks);
}

#[test]
fn what_cannot_be_said_on_stdout_is_an_error() {
    let prints = [
        "summary tiny.toml",
        "data img",
        "runs run",
        "eval m.safetensors --data data --device cpu",
        "plan tiny.toml --device cpu",
    ];
    let full = |line: &&'static str| {
        Attack::new(format!("full stdout: {line}"), line, Fails("standard output")).shell(r#""$@" >/dev/full"#)
    };
    let mut attacks: Vec<Attack> = prints.iter().map(full).collect();
    // Errors have their status, heard or not.
    for shell in ERRORS {
        attacks
            .push(Attack::new(format!("an error: {shell}"), "summary nothing.toml", Refused("")).shell(shell).mute());
    }
    check("stdout", attacks);
}

/// A limit on the size of files is an error of the write, and what was there stays.
#[test]
fn a_limit_on_files_is_an_error() {
    let shell = r#"ulimit -f 1; "$@""#;
    let lines = [
        "data img --contact-sheet new.png",
        "export m.safetensors --onnx new.onnx",
        "report run --device cpu --out new.html",
    ];
    let attack = |line: &&'static str| Attack::new(format!("ulimit -f: {line}"), line, Fails("")).shell(shell);
    check("files of limited size", lines.iter().skip(1).map(attack).collect());
}
