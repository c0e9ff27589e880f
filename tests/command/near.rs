//! Misspelt names, through the real command: status 2, and a suggestion.
#![cfg(feature = "cli")]

use crate::common::Place;

#[test]
fn the_near_name_is_suggested_everywhere() {
    let place = Place::new();
    let layer = |text: &str| format!("input = [8, 8, 1]\n[[layers]]\ntype = \"flatten\"\n[[layers]]\n{text}\n");
    place.write("type.toml", layer("type = \"dens\"\nunits = 4"));
    place.write("key.toml", layer("type = \"dense\"\nunit = 4"));
    place.write("config.toml", "[train]\nbatchsize = 3\n");
    place.write("value.toml", "[train]\noptimizer = \"adma\"\n");
    for (line, want) in [
        ("summary mnist-cn", "no model 'mnist-cn'; did you mean 'mnist-cnn'?"),
        ("train --model mnist_deep", "no model 'mnist_deep'; did you mean 'mnist-deep'?"),
        ("eval x --data mnits", "x: cannot be read"),
        ("train --data mnits", "no data set 'mnits'; did you mean 'mnist'?"),
        ("verify --device softwar", "--device 'softwar' matches no device; did you mean 'software'?"),
        ("plan mnist-cnn --wgsl drawn", "no kernel 'drawn'; did you mean 'draw'?"),
        ("summary type.toml", "line 5: layer 1: found type = \"dens\""),
        ("summary type.toml", "did you mean 'dense'?"),
        (
            "summary key.toml",
            "found unknown key unit, expected type, units, bias, from, name, module; did you mean 'units'?",
        ),
        ("train --config config.toml", "did you mean 'batch_size'?"),
        ("train --config value.toml", "did you mean 'adam'?"),
        ("train --optimizer adm", "a similar value exists: 'adam'"),
        ("train --batch-sise 3", "a similar argument exists: '--batch-size'"),
        ("verfy", "a similar subcommand exists: 'verify'"),
        ("man trian", "no command 'trian'; did you mean 'train'?"),
        ("completions bsh", "a similar value exists: 'bash'"),
        (
            "train --model tiny.toml --data data --batch-size 16 --freeze 44",
            "freeze: no layer '44'; did you mean '4'? Expected 0, 4",
        ),
    ] {
        let done = place.call(line);
        assert!(done.status == Some(2) && done.err.contains(want) && done.out.is_empty(), "{line}: {done:#?}");
    }
    assert!(!place.path("runs").exists());
}

#[test]
fn help_has_an_example_for_every_command() {
    let place = Place::new();
    let mut left = vec![String::new()];
    let mut seen = 0;
    while let Some(words) = left.pop() {
        let help = place.works(&format!("{words} --help")).out;
        assert!(help.contains("Example") && help.contains("\n  wgrad "), "{words}: {help}");
        seen += 1;
        let commands = help.split("\nCommands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap_or_default();
        let names = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
        left.extend(names.map(|name| format!("{words} {name}")));
    }
    assert!(seen > 12, "{seen} commands");
}
