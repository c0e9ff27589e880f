//! Models of texts: prompts that are no text, numbers of the sampler, and tables and vocabularies that do not fit.

use super::Want::{Fails, Lives, Refused, Works};
use super::{Attack, check, make};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

const GENERATE: &str = "generate writer.safetensors --device cpu --tokens 12";

#[test]
fn a_sampler_takes_no_wild_numbers() {
    let options: [(&str, &[&str]); 8] = [
        ("temperature", &["nan", "inf", "-inf", "-1", "x"]),
        ("top-p", &["nan", "inf", "-1", "0", "1.5"]),
        ("top-k", &["-1", "1.5", "18446744073709551616"]),
        ("samples", &["0", "-1", "1048577"]),
        ("seed", &["-1", "18446744073709551616"]),
        ("threads", &["-1", "100000"]),
        ("device", &["99", "x"]),
        ("tokens", &["-1", "x", "18446744073709551616"]),
    ];
    let line = "generate writer.safetensors --device cpu";
    let each = options.iter().flat_map(|(option, values)| values.iter().map(move |value| (*option, *value)));
    let attacks = each.map(|(option, value)| {
        let line = if option == "device" { "generate writer.safetensors" } else { line };
        Attack::new(format!("--{option} {value}"), &format!("{line} --{option}={value}"), Refused(""))
    });
    check("numbers of the sampler", attacks.collect());
}

#[test]
fn any_prompt_is_continued_or_refused() {
    let long = "the lazy dog ".repeat(100_000);
    let prompts: [(&str, &[u8], super::Want); 8] = [
        ("nothing", b"", Works("")),
        ("a text", b"the ", Works("the ")),
        ("no UTF-8", b"the \xff", Refused("")),
        ("an escape", b"the \x1b[31m", Lives),
        ("characters that the model does not know", "日本".as_bytes(), Lives),
        ("zeros", b"a\0b", Lives),
        ("line ends of Windows", b"the\r\n", Lives),
        ("a long one", long.as_bytes(), Lives),
    ];
    let mut attacks = Vec::new();
    for (name, bytes, want) in prompts {
        let bytes = bytes.to_vec();
        // A word of the command line has neither a zero nor a megabyte.
        if !bytes.contains(&0) && bytes.len() < 1000 {
            let word = [b"--prompt=".as_slice(), &bytes].concat();
            // Bytes that are no text are clap's to refuse.
            attacks.push(Attack::new(format!("{name}, as a word"), GENERATE, want).words([OsStr::from_bytes(&word)]));
        }
        attacks.push(
            Attack::new(format!("{name}, from stdin"), &format!("{GENERATE} --json --prompt=-"), want)
                .after(move |folder| fs::write(folder.join("prompt"), &bytes).expect("written"))
                .shell(r#""$@" < prompt"#),
        );
    }
    for (name, shell) in
        [("closed", r#""$@" <&-"#), ("a device without end", r#""$@" </dev/zero"#), ("a folder", r#""$@" < ."#)]
    {
        attacks.push(Attack::new(format!("stdin is {name}"), &format!("{GENERATE} --prompt=-"), Lives).shell(shell));
    }
    attacks.push(Attack::new("full stdout", GENERATE, Fails("standard output")).shell(r#""$@" >/dev/full"#));
    attacks.push(
        Attack::new("stdout closed", &format!("{GENERATE} --samples 50"), Works(""))
            .shell(r#"{ "$@"; echo $? > status; } | head -c 3; exit $(cat status)"#),
    );
    check("prompts", attacks);
}

#[test]
fn other_models_and_files_are_refused() {
    let mut attacks = vec![
        Attack::new("a model of pictures", "generate m.safetensors --device cpu", Refused("")),
        Attack::new("a text for a model of pictures", "predict m.safetensors text.txt --device cpu", Refused("")),
        Attack::new("a picture for a model of texts", "predict writer.safetensors five.png --device cpu", Refused("")),
        Attack::new("pictures to measure it on", "eval writer.safetensors --data img --device cpu", Refused("")),
        Attack::new(
            "a translation",
            "eval writer.safetensors --data text.txt --translations new --device cpu",
            Refused(""),
        ),
        Attack::new("a beam", "predict writer.safetensors text.txt --beam 3 --device cpu", Refused("")),
        Attack::new("a sheet of texts", "data text.txt --contact-sheet new.png", Refused("images")),
        Attack::new("documents of a table", "data table.csv --documents", Refused("")),
        Attack::new("a text of one character", "data one.txt", Refused(""))
            .after(|folder| fs::write(folder.join("one.txt"), "a").expect("written")),
        Attack::new(
            "measured on its own text",
            "eval writer.safetensors --data text.txt --device cpu",
            Works("perplexity"),
        ),
    ];
    for kind in ["pipe", "device", "dangling link"] {
        for (file, line) in [
            ("prompt.txt", "predict writer.safetensors prompt.txt --device cpu"),
            ("texts/train.txt", "data texts"),
            ("pairs.tsv", "data pairs.tsv"),
            ("t.json", "train --device cpu --data text.txt --model writer.toml --tokenizer t.json --run-dir new"),
            ("writer.toml", "train --device cpu --data text.txt --model writer.toml --run-dir new"),
        ] {
            attacks.push(
                Attack::new(format!("{file} is a {kind}"), line, Refused(""))
                    .after(move |folder| make(kind, &folder.join(file))),
            );
        }
    }
    check("texts and models", attacks);
}
