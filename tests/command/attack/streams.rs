//! Streams that are closed, full or gone: the work is done, and its files are whole.

use super::Want::{Fails, Refused, Works};
use super::{Attack, all, check};

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

/// A disk that is full at any moment of a run, here a limit on the size of files: the run goes on or is begun again when there is
/// room, and ends with the bytes of one that had room all the time.
#[test]
fn a_run_that_had_no_room_goes_on() {
    let line = "train --device cpu --data data --model tiny.toml --batch-size 16 --epochs 3 --log-steps --no-report";
    let sizes = if all() { (0..40).collect() } else { vec![0, 1, 2, 4, 8] };
    let attack = |blocks: &u32| {
        let shell = format!(
            r#"(ulimit -f {blocks}; "$@" --run-dir new); s=$?; [ $s -le 2 ] || exit 9
               "$1" train --device cpu --resume new --no-report || "$@" --run-dir new || exit 8
               "$@" --run-dir whole && for f in model.safetensors steps.jsonl; do cmp new/$f whole/$f || exit 7; done"#
        );
        Attack::new(format!("no file beyond {blocks} blocks"), line, Works("saved")).shell(shell)
    };
    check("runs without room", sizes.iter().map(attack).collect());
}

/// A run that is killed at any moment, and called again in the same moment: the lock of the dying process is waited for.
#[test]
fn a_run_that_was_killed_goes_on_at_once() {
    let line = "train --device cpu --data data --model tiny.toml --batch-size 16 --epochs 20 --no-report";
    let times = if all() { (0..60).collect() } else { vec![1, 2, 6, 12] };
    let attack = |hundredths: &u32| {
        let shell = format!(
            r#""$@" --run-dir new & sleep 0.{hundredths:02}; kill -9 $!
               "$1" train --device cpu --resume new --no-report || "$@" --run-dir new || exit 8
               "$@" --run-dir whole && cmp new/model.safetensors whole/model.safetensors"#
        );
        Attack::new(format!("killed after 0.{hundredths:02} s"), line, Works("saved")).shell(shell)
    };
    check("killed runs", times.iter().map(attack).collect());
}
