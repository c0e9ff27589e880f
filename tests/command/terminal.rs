//! Training in a terminal, which `script` of util-linux lends: nothing wraps, colours can be refused, redraws are few.
#![cfg(target_os = "linux")]

use crate::common;
use crate::common::Place;
use std::process::Command;
use std::time::Instant;

/// The output of the command on a terminal with this many columns.
fn in_terminal(place: &Place, columns: usize, environment: &str, line: &str) -> String {
    let script = format!("stty cols {columns} rows 24; {environment} {} {line}", env!("CARGO_BIN_EXE_wgrad"));
    let mut command = Command::new("script");
    command
        .args(["-qec", &script, "/dev/null"])
        .env("TERM", "xterm")
        .env("XDG_RUNTIME_DIR", "/tmp")
        .env_remove("NO_COLOR");
    let done = common::call(&mut command, &place.path(""));
    assert_eq!(done.status, Some(0), "{done:#?}");
    done.out
}

/// The text without its escape codes, and these.
fn bare(text: &str) -> (String, Vec<String>) {
    let (mut bare, mut codes) = (String::new(), Vec::new());
    let mut parts = text.split("\x1b[");
    bare += parts.next().unwrap_or_default();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).expect("the end of a code") + 1;
        codes.push(part[..end].to_string());
        bare += &part[end..];
    }
    (bare, codes)
}

/// A long run with many reasons to redraw.
const TRAIN: &str = "train --model tiny.toml --data data --batch-size 1 --epochs 40 --device cpu";

#[test]
fn the_bar_fits_and_is_drawn_at_most_twenty_times_a_second() {
    let place = Place::new();
    for (n, (columns, environment)) in [(80, ""), (40, ""), (80, "NO_COLOR=1"), (20, "NO_COLOR=1")].iter().enumerate() {
        let start = Instant::now();
        let text = in_terminal(&place, *columns, environment, &format!("{TRAIN} --run-dir run-{n}"));
        let seconds = start.elapsed().as_secs_f64();
        let (text, codes) = bare(&text);
        assert!(text.contains("Epoch 40/40") && text.contains("60/60 "), "{text}");
        assert!(text.contains("val_accuracy: ") && text.contains("val_loss: "), "{text}");
        // Words of the preamble may be wider than twenty columns.
        let lines = text.split(['\r', '\n']).map(|line| line.trim_end());
        let lines = lines.filter(|line| *columns > 20 || line.contains("step") || line.contains("loss"));
        let wide: Vec<&str> = lines.filter(|line| line.chars().count() >= *columns).collect();
        assert!(wide.is_empty(), "{columns} columns: {wide:?}");
        let coloured = codes.iter().any(|code| code.ends_with('m'));
        assert_eq!(coloured, environment.is_empty(), "{codes:?}");
        // Bars that are not full are drawn while it runs.
        let drawn = text.split('\r').filter(|piece| piece.contains('─')).count();
        assert!(drawn as f64 <= 20.0 * seconds + 1.0, "{drawn} times in {seconds} s");
        assert!(drawn > 0, "{text}");
    }
}

#[test]
fn a_dumb_terminal_and_no_terminal_get_plain_lines() {
    let place = Place::new();
    let text = in_terminal(&place, 80, "TERM=dumb", &format!("{TRAIN} --run-dir dumb"));
    assert!(!text.contains(['\x1b', '━']) && text.contains("epoch 40/40 - "), "{text}");
    let done = place.works(&format!("{TRAIN} --run-dir plain"));
    assert!(done.out.lines().count() == 40 && done.out.starts_with("epoch 1/40 - "), "{}", done.out);
    assert!(!format!("{}{}", done.out, done.err).contains(['\x1b', '━', '\r']), "{done:?}");
    assert!(done.err.lines().count() <= 6, "a few lines of preamble: {}", done.err);
}
