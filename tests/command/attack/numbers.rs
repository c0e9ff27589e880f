//! Numbers that mean nothing, of every option that takes one: they are refused before anything is begun, on the command line and
//! in a file alike.

use super::Want::Refused;
use super::{Attack, check};

/// Numbers that are no finite number in single precision.
const WILD: [&str; 4] = ["nan", "inf", "-inf", "1e39"];

/// Options of `wgrad train` that take a number, what they need besides, and further numbers that they refuse.
const REALS: [(&str, &str, &[&str]); 20] = [
    ("lr", "", &["0", "-1", "1e-50"]),
    ("weight-decay", "", &["-1"]),
    ("momentum", "--optimizer sgd", &["1", "-0.1"]),
    ("epsilon", "", &["0", "-1", "1e-50"]),
    ("rho", "--optimizer rmsprop", &["1", "-0.1"]),
    ("clip-norm", "", &["0", "-1"]),
    ("clip-value", "", &["0", "-1"]),
    ("ema", "", &["1", "-0.1"]),
    ("label-smoothing", "", &["1", "-0.1"]),
    ("validation-split", "", &["0", "1", "-0.5"]),
    ("gamma", "--schedule step", &["-1"]),
    ("plateau-factor", "--schedule plateau", &["1", "-1"]),
    ("plateau-threshold", "--schedule plateau", &["-1"]),
    ("min-lr", "--schedule plateau", &["-1"]),
    ("betas", "", &["0.9", "0.9,1", "1,0.9", "-0.1,0.5"]),
    ("class-weights", "", &["-1,1,1,1", "1,1", "x"]),
    ("augment", "", &["shift=nan", "rotate=inf", "scale=-1", "shear=1e39", "mixup=-1", "cutout=-3", "hue=nan", "x"]),
    ("fill", "--augment shift=1", &["256", "-1", "1,2"]),
    ("image-size", "", &["0", "0x8", "-1", "99999999999", "8x"]),
    ("checkpoint-every", "", &["0", "-1", "-1s", "1e30h", "x"]),
];

/// Options of `wgrad train` that take a whole number, and further ones that they refuse.
const WHOLE: [(&str, &[&str]); 14] = [
    ("epochs", &["0"]),
    ("batch-size", &["0"]),
    ("max-steps", &["0"]),
    ("patience", &["0"]),
    ("accumulate", &["0"]),
    ("warmup-steps", &["4294967296"]),
    ("seed", &[]),
    ("threads", &["100000"]),
    ("train-limit", &["0"]),
    ("test-limit", &["0"]),
    ("vocabulary", &["10"]),
    ("length", &["10"]),
    ("device-data-limit", &["0", "1YiB", "-1MiB"]),
    ("port", &["65536"]),
];

/// The same of other commands.
const OTHERS: [(&str, &[&str]); 17] = [
    ("predict m.safetensors five.png --device cpu --top", &["0", "65536", "-1", "x"]),
    ("predict m.safetensors five.png --device cpu --beam", &["0", "3", "-1"]),
    ("predict m.safetensors five.png --device cpu --threads", &["100000", "-1"]),
    ("eval m.safetensors --data data --device cpu --wrong-limit", &["-1", "x"]),
    ("eval m.safetensors --data data --device", &["99", "x", "-1"]),
    ("data img --image-size", &["0", "-1", "1x", "99999999999"]),
    ("data make segmentation --out new --size", &["0", "1", "18446744073709551615"]),
    ("data make segmentation --out new --digits", &["0", "4-1", "1-", "x"]),
    ("data make segmentation --out new --train", &["18446744073709551615", "-1"]),
    ("data make repeated --out new --times", &["0", "4294967295", "-1"]),
    ("data make tokenizer text.txt --out new.json --size", &["0", "10", "18446744073709551615"]),
    ("summary tiny.toml --batch-size", &["0", "-1", "18446744073709551615"]),
    ("plan tiny.toml --device cpu --batch-size", &["0", "18446744073709551615"]),
    ("trace tiny.toml --batch-size", &["0", "18446744073709551615"]),
    ("runs --sort", &["x", "-1"]),
    ("bench step tiny.toml --device cpu --batch-size", &["0", "-1"]),
    ("import m.safetensors --model tiny.toml --out new.safetensors --map", &["x=1", "99=a", "0", "-1=a"]),
];

const TRAIN: &str = "train --device cpu --model tiny.toml --data data --run-dir new";

#[test]
fn numbers_that_mean_nothing_are_refused() {
    let mut attacks = Vec::new();
    for (option, needs, more) in REALS {
        let wild = if more.iter().any(|value| value.contains(',')) { &[][..] } else { &WILD[..] };
        for value in wild.iter().chain(more) {
            let line = format!("{TRAIN} {needs} --{option}={value}");
            attacks.push(Attack::new(format!("--{option} {value}"), &line, Refused("")));
        }
    }
    for (option, more) in WHOLE {
        for value in ["-1", "1.5", "18446744073709551616", "x"].iter().chain(more) {
            let watch = if option == "port" { "--watch" } else { "" };
            attacks.push(Attack::new(
                format!("--{option} {value}"),
                &format!("{TRAIN} {watch} --{option}={value}"),
                Refused(""),
            ));
        }
    }
    for (line, values) in OTHERS {
        let attack = |value: &&str| Attack::new(format!("{line} {value}"), &format!("{line}={value}"), Refused(""));
        attacks.extend(values.iter().map(attack));
    }
    check("numbers that mean nothing", attacks);
}

/// TOML has NaN and infinities of its own.
#[test]
fn a_file_has_no_other_numbers_than_the_flags() {
    let keys =
        ["lr", "weight_decay", "epsilon", "clip_norm", "clip_value", "ema", "label_smoothing", "validation_split"];
    let values = ["nan", "inf", "-inf", "1e39", "-1.0", "\"x\"", "[1.0]"];
    let each = keys.iter().flat_map(|key| values.iter().map(move |value| (*key, *value)));
    let attacks = each.map(|(key, value)| {
        Attack::new(format!("{key} = {value}"), "train --device cpu --config c.toml --run-dir new", Refused("")).after(
            move |folder| {
                let text = format!("data = \"data\"\nmodel = \"tiny.toml\"\n[train]\n{key} = {value}\n");
                std::fs::write(folder.join("c.toml"), text).expect("a file");
            },
        )
    });
    check("numbers in config.toml", attacks.collect());
}
