//! Files that are no regular ones, wherever a file is read: pipes, devices, links that lead nowhere or in a circle, folders,
//! sockets. Nothing is waited for, and nothing is read without end.

use super::Want::{Lives, Refused, Works};
use super::{Attack, all, check, make};
use std::fs;
use std::path::Path;

/// What a file may be instead of a regular one.
const KINDS: [&str; 7] = ["pipe", "device", "folder", "dangling link", "circle of links", "empty device", "socket"];

/// A file that a command reads, and the command.
const READ: [(&str, &str); 30] = [
    ("tiny.toml", "summary tiny.toml"),
    ("config.toml", "train --device cpu --config config.toml --run-dir new"),
    ("m.safetensors", "predict m.safetensors five.png --device cpu"),
    ("m.safetensors", "export m.safetensors --onnx new.onnx"),
    ("m.safetensors", "eval m.safetensors --data data --device cpu"),
    ("m.safetensors", "import m.safetensors --model tiny.toml --out new.safetensors"),
    ("m.safetensors", "train --device cpu --model tiny.toml --data data --init m.safetensors --run-dir new"),
    ("m.safetensors", "train --device cpu --data data --from m.safetensors --run-dir new"),
    ("five.png", "predict m.safetensors five.png --device cpu"),
    ("table.csv", "data table.csv --target y"),
    ("table.csv", "train --device cpu --data table.csv --target y --run-dir new"),
    ("list.csv", "data list.csv"),
    ("text.txt", "data text.txt"),
    ("text.txt", "data make tokenizer text.txt --size 300 --out new.json"),
    ("tokenizer.json", "data text.txt --tokenizer tokenizer.json"),
    ("data/train-images-idx3-ubyte", "data data"),
    ("data/t10k-labels-idx1-ubyte", "data data"),
    ("gz/train-images-idx3-ubyte.gz", "data gz"),
    ("arrays/x_train.npy", "data arrays"),
    ("arrays.npz", "data arrays.npz"),
    ("run/config.toml", "train --device cpu --resume run"),
    ("run/checkpoints/last.safetensors", "train --device cpu --resume run"),
    ("run/.lock", "train --device cpu --resume run"),
    ("run/metrics.jsonl", "report run --device cpu"),
    ("run/device.json", "report run --device cpu"),
    ("run/run.json", "report run --device cpu"),
    ("run/steps.jsonl", "report run --device cpu"),
    ("run/config.toml", "report run --device cpu"),
    ("run/model.safetensors", "eval run --device cpu"),
    ("run/test.json", "report run --device cpu"),
];

#[test]
fn what_is_read_is_a_regular_file() {
    let kinds = if all() { &KINDS[..] } else { &KINDS[..4] };
    let each = READ.iter().flat_map(|case| kinds.iter().map(move |kind| (case, *kind)));
    let attacks = each.map(|((file, line), kind)| {
        // Where another file can stand in for it the command may work.
        let spare = line.starts_with("report") || line.contains("--resume") && *file == "run/.lock";
        let absent = ["dangling link", "empty device"].contains(&kind) && line.contains("run");
        let want = if spare || absent { Lives } else { Refused("") };
        let attack = Attack::new(format!("{file} is a {kind}"), line, want).changes("run");
        attack.after(move |folder| make(kind, &folder.join(file)))
    });
    check("files that are no regular ones", attacks.collect());
}

/// What a run brings to its state when it goes on: whatever has the name of a log.
#[test]
fn a_run_goes_on_whatever_its_logs_are() {
    let logs =
        ["metrics.jsonl", "metrics.csv", "steps.jsonl", "device.json", "run.json", "report.html", "model.safetensors"];
    let line = "train --device cpu --resume run --epochs 3 --no-report";
    let each = logs.iter().flat_map(|log| ["pipe", "device"].into_iter().map(move |kind| (log, kind)));
    let attacks = each.map(|(log, kind)| {
        let attack = Attack::new(format!("run/{log} is a {kind}"), line, Lives).changes("run");
        attack.after(move |folder| make(kind, &folder.join("run").join(log))).shell(r#""$@" || exit 2"#)
    });
    check("logs that are no regular files", attacks.collect());
}

/// In a folder of data or runs, what is no regular file is left out and named, or refused.
#[test]
fn in_a_folder_they_are_left_out() {
    let mut attacks = Vec::new();
    for kind in KINDS.into_iter().filter(|kind| *kind != "folder") {
        let data = ["data img", "data img --strict-data", "data list.csv"];
        let more =
            ["train --device cpu --data img --model tiny.toml --image-size 8 --epochs 1 --run-dir new --no-report"];
        for line in data.into_iter().chain(more.into_iter().filter(|_| kind == "pipe")) {
            let want = if line.contains("strict") { Refused("") } else { Lives };
            let at = if line.contains("list") { "img/a/0.pgm" } else { "img/a/x.png" };
            attacks.push(
                Attack::new(format!("a picture is a {kind}"), line, want)
                    .after(move |folder| make(kind, &folder.join(at)))
                    .changes(at),
            );
        }
        for at in ["runs", "run/runs", "run/x"] {
            let line = if at == "runs" { "runs" } else { "runs run" };
            attacks.push(
                Attack::new(format!("{at} is a {kind}"), line, Lives).after(move |folder| make(kind, &folder.join(at))),
            );
        }
    }
    check("special files in folders", attacks);
}

/// The run in the folder as if it had ended before its first checkpoint.
fn unbegun(folder: &Path) {
    let run = folder.join("run");
    fs::remove_dir_all(run.join("checkpoints")).expect("removed");
    ["model.safetensors", "report.html"].iter().for_each(|gone| fs::remove_file(run.join(gone)).expect("removed"));
}

/// The folder of runs, and the number of the next.
#[test]
fn a_run_finds_a_folder_or_says_why_not() {
    const LINE: &str = "train --device cpu --model tiny.toml --data data --batch-size 16 --epochs 1 --no-report";
    let mut attacks = Vec::new();
    for kind in ["pipe", "dangling link", "circle of links", "device"] {
        for at in ["runs", "runs/tiny"] {
            attacks.push(
                Attack::new(format!("{at} is a {kind}"), LINE, Refused("run folder"))
                    .after(move |folder| make(kind, &folder.join(at))),
            );
        }
    }
    let file = |at: &'static str| {
        move |folder: &Path| {
            fs::create_dir_all(folder.join(at).parent().expect("a folder")).expect("a folder");
            fs::write(folder.join(at), "mine").expect("a file");
        }
    };
    for at in ["runs", "runs/tiny"] {
        attacks.push(Attack::new(format!("{at} is a file"), LINE, Refused("expected a folder")).after(file(at)));
    }
    for (taken, want) in [
        (&["18446744073709551615", "0"][..], Refused("highest number")),
        (&["1", "3"], Works("runs/tiny/4")),
        (&["-1", "x", "18446744073709551616"], Works("runs/tiny/1")),
    ] {
        attacks.push(Attack::new(format!("runs {taken:?}"), LINE, want).after(move |folder| {
            taken.iter().for_each(|name| fs::create_dir_all(folder.join("runs/tiny").join(name)).expect("a folder"));
        }));
    }
    for (name, want) in [("a file", Refused("run folder")), ("a full folder", Refused("it is not empty"))] {
        attacks.push(
            Attack::new(format!("--run-dir is {name}"), &format!("{LINE} --run-dir r"), want)
                .after(file(if name == "a file" { "r" } else { "r/mine.txt" })),
        );
    }
    attacks.push(Attack::new("--run-dir below a file", &format!("{LINE} --run-dir five.png/r"), Refused("run folder")));
    attacks.push(
        Attack::new(
            "a run that ended before its first checkpoint is begun again",
            &format!("{LINE} --run-dir run"),
            Works("saved"),
        )
        .after(unbegun)
        .changes("run"),
    );
    attacks.push(
        Attack::new("it cannot be resumed", "train --device cpu --resume run", Refused("begins it again"))
            .after(unbegun),
    );
    attacks.push(
        Attack::new(
            "settings of the user's own are no run",
            &format!("{LINE} --run-dir own"),
            Refused("it is not empty"),
        )
        .after(file("own/config.toml")),
    );
    attacks.push(
        Attack::new(
            "a checkpoint of another net",
            "train --device cpu --resume run --epochs 3",
            Refused("found the net tiny"),
        )
        .after(|folder| {
            let config = folder.join("run/config.toml");
            let text = fs::read_to_string(&config).expect("a config");
            fs::write(&config, text.replace("tiny.toml", "bn.toml")).expect("a config");
        }),
    );
    check("run folders", attacks);
}
