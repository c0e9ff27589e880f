//! Outputs: nothing of the user's is replaced that the command was not told to replace, and no device, link or pipe at all.

use super::Want::{Lives, NotDone, Refused, Works};
use super::{Attack, check, copy, make};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Commands that write a file, which is named last; its ending, and a file that the command reads.
const WRITERS: [(&str, &str, &str); 6] = [
    ("export m.safetensors --onnx", "onnx", "m.safetensors"),
    ("import m.safetensors --model tiny.toml --out", "safetensors", "m.safetensors"),
    ("report run --device cpu --out", "html", "run/checkpoints/last.safetensors"),
    ("data img --contact-sheet", "png", "img/a/0.pgm"),
    ("predict m.safetensors five.png --device cpu --csv", "csv", "five.png"),
    ("predict m.safetensors five.png --device cpu --csv", "csv", "m.safetensors"),
];

#[test]
fn an_output_replaces_no_other_thing() {
    let mut attacks = Vec::new();
    for (line, ending, read) in WRITERS {
        let out = format!("out.{ending}");
        for kind in ["pipe", "device", "empty device", "folder", "dangling link", "circle of links", "socket"] {
            let out = out.clone();
            attacks.push(
                Attack::new(format!("{line}: OUT is a {kind}"), &format!("{line} {out}"), NotDone(""))
                    .after(move |folder| make(kind, &folder.join(&out))),
            );
        }
        attacks.push(Attack::new(format!("{line}: OUT is its input"), &format!("{line} {read}"), Refused("")));
        let (to, name) = (read.to_owned(), out.clone());
        attacks.push(
            Attack::new(format!("{line}: OUT is a link to its input"), &format!("{line} {out}"), Refused(""))
                .after(move |folder| symlink(folder.join(&to), folder.join(&name)).expect("a link")),
        );
        attacks.push(Attack::new(format!("{line}: OUT is another file"), &format!("{line} tiny.toml"), Refused("")));
        attacks.push(Attack::new(
            format!("{line}: OUT in no folder"),
            &format!("{line} no/such/{out}"),
            Refused("cannot be created"),
        ));
        attacks.push(Attack::new(
            format!("{line}: OUT below a file"),
            &format!("{line} tiny.toml/{out}"),
            Refused("cannot be created"),
        ));
        let temporary = format!("{out}.tmp");
        let kept = temporary.clone();
        attacks.push(
            Attack::new(format!("{line}: OUT.tmp is the user's"), &format!("{line} {out}"), Works(""))
                .after(move |folder| fs::write(folder.join(&temporary), "mine").expect("a file")),
        );
        attacks.push(
            Attack::new(format!("{line}: OUT.tmp is a link"), &format!("{line} {out}"), Works(""))
                .after(move |folder| symlink("five.png", folder.join(&kept)).expect("a link")),
        );
    }
    check("outputs", attacks);
}

/// A link is followed, and stays; modes stay as well.
#[test]
fn a_link_to_a_file_is_followed_and_modes_stay() {
    let linked = |folder: &Path| {
        fs::write(folder.join("old.onnx"), "old").expect("a file");
        fs::set_permissions(folder.join("old.onnx"), fs::Permissions::from_mode(0o600)).expect("a mode");
        symlink("old.onnx", folder.join("out.onnx")).expect("a link");
    };
    let mode =
        r#""$@" && [ -L out.onnx ] && [ "$(stat -c %a old.onnx)" = 600 ] && [ -s old.onnx ] && grep -q wgrad old.onnx"#;
    let sheet = r#"umask 022; "$@" && [ "$(stat -c %a new.png)" = 644 ]"#;
    check(
        "links and modes",
        vec![
            Attack::new("export to a link", "export m.safetensors --onnx out.onnx", Works("saved"))
                .after(linked)
                .changes("old.onnx")
                .shell(mode),
            Attack::new("the mode of a contact sheet", "data img --contact-sheet new.png", Works("saved")).shell(sheet),
        ],
    );
}

#[test]
fn stdout_is_an_output_by_its_sign() {
    let sized = |line: &str| Attack::new(format!("{line} -"), &format!("{line} -"), Works(""));
    let shell = r#""$@" > result && [ $(wc -c < result) -gt 90 ]"#;
    let mut attacks: Vec<Attack> =
        ["export m.safetensors --onnx", "report run --device cpu --out", "data img --contact-sheet"]
            .into_iter()
            .map(|line| sized(line).shell(shell))
            .collect();
    attacks.push(sized("predict m.safetensors five.png --device cpu --csv"));
    // The link of the system to the command's own stdout, which is a pipe.
    attacks.push(
        Attack::new("/dev/stdout", "export m.safetensors --onnx out", Refused("- for standard output"))
            .after(|folder| symlink("/proc/self/fd/1", folder.join("out")).expect("a link")),
    );
    check("stdout as an output", attacks);
}

#[test]
fn pictures_of_the_user_stay() {
    let prepared = |line: &str, want| Attack::new(line, &format!("predict m.safetensors {line} --device cpu"), want);
    let attacks = vec![
        prepared("five.png --save-prepared .", Refused("overwritten")),
        prepared("./five.png --save-prepared .", Refused("overwritten")),
        prepared("img/../five.png --save-prepared img/..", Refused("overwritten")),
        prepared("pictures --save-prepared pictures", Refused("overwritten")).after(|folder| {
            fs::create_dir(folder.join("pictures")).expect("a folder");
            fs::copy(folder.join("five.png"), folder.join("pictures/one.png")).expect("a copy");
        }),
        // Another picture of the same name in the folder that is not one that was prepared.
        prepared("img/a/five.png --save-prepared .", Refused("expected another folder"))
            .after(|folder| copy(folder, "five.png", "img/a/five.png")),
        prepared("contact-sheet.png --save-prepared .", Refused("overwritten"))
            .after(|folder| copy(folder, "five.png", "contact-sheet.png")),
        prepared("link.png --save-prepared .", Refused("overwritten"))
            .after(|folder| symlink("five.png", folder.join("link.png")).expect("a link")),
        prepared("five.png --save-prepared new", Works("saved")),
        prepared("five.png --save-prepared tiny.toml", Refused("cannot be created")),
        Attack::new("a sheet in its own data", "data img --contact-sheet img/new.png", Lives),
        Attack::new(
            "wrong pictures into data",
            "eval m.safetensors --data data --device cpu --save-wrong img",
            Refused("not empty"),
        ),
        Attack::new(
            "a tokenizer over a file",
            "data make tokenizer text.txt --size 300 --out table.csv",
            Refused("it exists"),
        ),
        Attack::new("scenes into data", "data make segmentation --out img", Refused("not empty")),
        Attack::new("a report over a text", "verify --device 99 --report text.txt", Refused("")),
        Attack::new(
            "a run in a folder of data",
            "train --device cpu --data data --model tiny.toml --run-dir img",
            Refused("not empty"),
        ),
    ];
    check("pictures and folders of the user", attacks);
}

/// Two writers of one file: each time one of the two whole files stays.
#[test]
fn of_two_writers_one_stays_whole() {
    let shell = r#"for i in 1 2 3 4; do "$@" 2>/dev/null & done; wait; "$1" export m.safetensors --onnx other.onnx; cmp new.onnx other.onnx"#;
    let attack =
        Attack::new("four exports to one file", "export m.safetensors --onnx new.onnx", Works("")).shell(shell);
    check("writers of one file", vec![attack]);
}
