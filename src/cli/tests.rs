//! The command's words: each command has an example that parses, a page of the manual, and completions.

use crate::cli::*;
use clap::CommandFactory;

/// Every command with the words that call it, those without words first.
fn walk(command: &clap::Command, words: &[String], all: &mut Vec<(Vec<String>, clap::Command)>) {
    all.push((words.to_vec(), command.clone()));
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        walk(sub, &[words, &[sub.get_name().to_string()]].concat(), all);
    }
}

fn commands() -> Vec<(Vec<String>, clap::Command)> {
    let mut all = Vec::new();
    walk(&Cli::command(), &[], &mut all);
    assert!(all.len() > 10, "only {} commands", all.len());
    all
}

#[test]
fn every_command_has_examples_that_parse() {
    Cli::command().debug_assert();
    for (words, command) in commands().into_iter().filter(|(_, command)| !command.is_hide_set()) {
        let help = command.get_after_help().map(|help| help.to_string()).unwrap_or_default();
        let (_, examples) = help.split_once("Example").unwrap_or_else(|| panic!("no example for {words:?}: {help}"));
        let mut own = 0;
        for line in examples.lines().map(str::trim).filter(|line| line.starts_with("wgrad ")) {
            let line = line.split(" | ").next().and_then(|line| line.split(" > ").next()).unwrap_or(line);
            if let Err(error) = Cli::try_parse_from(line.split_whitespace()) {
                panic!("the example of {words:?}, `{line}`: {error}");
            }
            own += usize::from(line.starts_with(&format!("wgrad {}", words.join(" "))));
        }
        assert!(own > 0, "no example for {words:?} itself: {help}");
        assert!(command.get_about().is_some(), "{words:?} says nothing of itself");
        for argument in
            command.get_arguments().filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
        {
            assert!(argument.get_help().is_some(), "{words:?}: {} says nothing of itself", argument.get_id());
        }
    }
}

#[test]
fn every_command_has_a_page_of_the_manual() {
    for (words, command) in commands() {
        let page = super::commands::man::page(&words).expect("a page");
        let title = ["wgrad".to_string()].iter().chain(&words).cloned().collect::<Vec<_>>().join("\\-");
        assert!(page.contains(&format!(".TH {}", title.replace("\\-", "-"))), "{title}: {page}");
        for argument in command.get_arguments().filter_map(|argument| argument.get_long()) {
            assert!(page.contains(&argument.replace('-', "\\-")), "{words:?}: --{argument} in {page}");
        }
    }
    let error = super::commands::man::page(&["trian".into()]).expect_err("no such command").to_string();
    assert!(error.starts_with("no command 'trian'; did you mean 'train'?"), "{error}");
}

#[test]
fn every_shell_completes_every_command() {
    use clap::ValueEnum;
    for shell in clap_complete::Shell::value_variants() {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut Cli::command(), "wgrad", &mut script);
        let script = String::from_utf8(script).expect("text");
        for (words, _) in commands() {
            assert!(words.iter().all(|word| script.contains(&**word)), "{shell}: {words:?}");
        }
        assert!(script.contains("batch-size"), "{shell}");
    }
}

/// The settings that optimizers take, and the values that hold where none are given, stand in the help by their names.
#[test]
fn the_help_has_every_optimizer_and_its_defaults() {
    use crate::train::settings::optimizers::OptimizerName;
    let command = Cli::command();
    let train = command.find_subcommand("train").expect("train");
    let help = |id: &str| {
        let argument = train.get_arguments().find(|argument| argument.get_id() == id).expect("a flag");
        argument.get_help().expect("a help").to_string()
    };
    for optimizer in OptimizerName::ALL {
        let (name, has) = (optimizer.name(), optimizer.defaults());
        let first = OptimizerName::ALL[0].defaults();
        let all = [
            ("lr", Some(has.lr), Some(first.lr)),
            ("weight_decay", Some(has.weight_decay), Some(first.weight_decay)),
            ("momentum", has.momentum, None),
            ("betas", has.betas.map(|betas| betas[1]), None),
            ("epsilon", has.epsilon, first.epsilon),
            ("rho", has.rho, None),
        ];
        for (id, own, first) in all {
            let (text, Some(own)) = (help(id), own) else { continue };
            let numbers = text.split(|c: char| ":;,]".contains(c) || c.is_whitespace());
            assert!(numbers.filter_map(|number| number.parse::<f64>().ok()).any(|x| x == own), "{name}: {text}");
            let said = first == Some(own) || text.contains(&format!(" {name}"));
            assert!(said, "{name}: {text}");
        }
    }
}

/// Short forms, and the names that other programs have for the same.
#[test]
fn what_people_type_is_understood() {
    let parsed = |line: &str| {
        let words = std::iter::once("wgrad").chain(line.split_whitespace());
        let Command::Train(args) = Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{line}: {e}")).command else {
            panic!("{line}: another command");
        };
        (args.flags.0.over(&Default::default()).expect("settings"), args.run_dir)
    };
    let long = parsed("train --epochs 3 --batch-size 64 --data a --model mlp --run-dir b --lr 0.1 --image-size 32");
    assert_eq!(parsed("train -e 3 -b 64 -d a -m mlp -o b --learning-rate 0.1 --imgsz 32"), long);
    assert_eq!(parsed("train --num-epochs 3 --bs 64 --dataset a --arch mlp --out b --lr0 0.1 --img-size 32"), long);
}

/// An error shows the usage line of the help, not one in which the flag that it suggests is required.
#[test]
fn errors_show_the_usage_of_the_command() {
    for (line, usage) in [
        ("wgrad train --por 3", "Usage: wgrad train [OPTIONS]\n"),
        ("wgrad eval --dta x", "Usage: wgrad eval [OPTIONS] <FILE>\n"),
        ("wgrad bench matmul --devise x", "Usage: wgrad bench matmul [OPTIONS]\n"),
    ] {
        let error = check_words(line.split_whitespace()).expect_err(line).to_string();
        assert!(error.contains(usage), "{error}");
    }
}

/// The groups of `train --help` stand in the order in which a run is set up.
#[test]
fn the_options_of_train_have_headings() {
    let command = Cli::command();
    let train = command.find_subcommand("train").expect("train");
    let mut headings: Vec<&str> = train.get_arguments().filter_map(|arg| arg.get_help_heading()).collect();
    // Clap joins groups of one name, at the first of them.
    let mut seen = std::collections::HashSet::new();
    headings.retain(|heading| seen.insert(*heading));
    let last = headings.iter().position(|heading| *heading == "Run folder and output").expect("a heading");
    let first = ["Data", "Model and first weights", "Training", "Optimizer", "Learning rate", "Loss", "Augmentation"];
    assert_eq!((&headings[..7], headings.len()), (&first[..], last + 1), "{headings:?}");
    let bare = train.get_arguments().filter(|arg| arg.get_help_heading().is_none()).map(|arg| arg.get_id().as_str());
    assert_eq!(bare.collect::<Vec<_>>(), ["recipe", "config", "resume", "from_previous"]);
}
