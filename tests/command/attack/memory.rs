//! Memory and time: no input makes the command take more than it says, and where there is too little of it, a sentence says so.

use super::Want::{Lives, Refused, Works};
use super::{Attack, all, check, copy};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// A file that begins and ends with these bytes, and has zeros between.
fn sparse(at: &Path, begin: &[u8], length: u64) {
    let mut file = fs::File::create(at).expect("a file");
    file.write_all(begin).expect("written");
    file.set_len(length).expect("long");
    file.seek(SeekFrom::End(0)).expect("its end");
}

/// A gzip file of a header and a number of members of a million zeros each.
fn gz(at: &Path, header: &[u8], members: usize) {
    let packed = |bytes: &[u8]| {
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        out.write_all(bytes).expect("packed");
        out.finish().expect("packed")
    };
    let member = packed(&vec![0; 1 << 20]);
    let all: Vec<u8> =
        packed(header).into_iter().chain(member.iter().copied().cycle().take(member.len() * members)).collect();
    fs::create_dir_all(at.parent().expect("a folder")).expect("a folder");
    fs::write(at, all).expect("written");
}

#[test]
fn long_files_are_read_in_parts_or_refused() {
    let mut attacks = Vec::new();
    for (name, begin) in
        [("no line end", &b""[..]), ("an open quote", b"label,a\n1,\""), ("one long field", b"a,b,y\n1,2,")]
    {
        for line in ["data long.csv", "data long.csv --target y"] {
            attacks.push(
                Attack::new(format!("CSV: {name}"), line, Refused(""))
                    .after(move |folder| sparse(&folder.join("long.csv"), begin, 300 << 20))
                    .within(1500),
            );
        }
    }
    for (file, line) in [
        ("long.txt", "data long.txt"),
        ("long.npy", "data long.npy"),
        ("long.npz", "data long.npz"),
        ("long.toml", "summary long.toml"),
        ("long.safetensors", "eval long.safetensors --data data --device cpu"),
        ("long.safetensors", "export long.safetensors --onnx new.onnx"),
        ("long.png", "predict m.safetensors long.png --device cpu"),
        ("long.json", "data text.txt --tokenizer long.json"),
        ("long.toml", "train --device cpu --config long.toml --run-dir new"),
        ("img/a/long.png", "data img --strict-data"),
        ("run/device.json", "report run --device cpu"),
        ("run/run.json", "report run --device cpu"),
        ("run/metrics.jsonl", "report run --device cpu"),
        ("run/test.json", "report run --device cpu"),
        ("run/config.toml", "train --device cpu --resume run --epochs 3"),
        ("run/checkpoints/last.safetensors", "train --device cpu --resume run --epochs 3"),
        ("run/model.safetensors", "eval run --device cpu"),
    ] {
        attacks.push(
            Attack::new(format!("{file} of 5 GB"), line, Refused(""))
                .after(move |folder| sparse(&folder.join(file), b"", 5 << 30))
                .within(2000)
                .changes("run"),
        );
    }
    check("long files", attacks);
}

/// A run of a million steps: each line is read and forgotten.
#[test]
fn a_long_log_of_steps_takes_no_memory() {
    let steps = if all() { 3_000_000 } else { 300_000 };
    let attack = Attack::new(format!("{steps} steps"), "report run --device cpu", Works("saved"))
        .after(move |folder| {
            let lines = (1..=steps).map(|step| format!("{{\"step\":{step},\"loss\":0.5123}}\n"));
            fs::write(folder.join("run/steps.jsonl"), lines.collect::<String>()).expect("written");
        })
        .changes("run/report.html");
    check("logs of steps", vec![attack]);
}

#[test]
fn what_is_packed_takes_no_more_than_there_is() {
    let images =
        |count: u32| [0x803u32, count, 1024, 1024].iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let mut attacks = Vec::new();
    for (name, count, members, space) in [
        ("more than there is", 3000, 3100, 2000),
        ("less than it says", 3000, 10, 4000),
        ("more than it says", 4, 10, 2000),
    ] {
        attacks.push(Attack::new(format!("gzip of {name}"), "data gz", Refused("")).within(space).after(
            move |folder| {
                gz(&folder.join("gz/train-images-idx3-ubyte.gz"), &images(count), members);
                let labels: Vec<u8> = [0x801u32, count].iter().flat_map(|word| word.to_be_bytes()).collect();
                let labels = [labels, vec![0; count as usize]].concat();
                for part in ["train", "t10k"] {
                    fs::write(folder.join(format!("gz/{part}-labels-idx1-ubyte")), &labels).expect("written");
                }
                gz(&folder.join("gz/t10k-images-idx3-ubyte.gz"), &images(4), 4);
            },
        ));
    }
    check("packed data", attacks);
}

/// A PNG of zeros with these sides.
fn bomb(at: &Path, side: u32) {
    let mut encoder = png::Encoder::new(fs::File::create(at).expect("a file"), side, side);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().expect("a header");
    let mut stream = writer.stream_writer().expect("a stream");
    let row = vec![0; 3 * side as usize];
    (0..side).for_each(|_| stream.write_all(&row).expect("a row"));
    stream.finish().expect("an end");
}

#[test]
fn large_pictures_wait_or_are_refused() {
    let side = if all() { 11_000 } else { 4_000 };
    let bombs = move |count: usize| {
        move |folder: &Path| {
            bomb(&folder.join("img/a/x0.png"), side);
            (1..count).for_each(|n| copy(folder, "img/a/x0.png", format!("img/a/x{n}.png")));
        }
    };
    let attacks = vec![
        Attack::new("large pictures in little memory", "data img --image-size 8", Lives).after(bombs(2)).within(350),
        Attack::new("they are what is asked for", "predict m.safetensors img/a/x0.png --device cpu", Lives)
            .after(bombs(1))
            .within(350),
        Attack::new("several at once", "data img --image-size 8", Works("12")).after(bombs(3)),
    ];
    check("large pictures", attacks);
}

/// Nets of many layers: read in no time, or refused.
#[test]
fn deep_nets_are_quick_or_refused() {
    let toml = |layers: usize, layer: &str| {
        let end = "[[layers]]\ntype = \"flatten\"\n[[layers]]\ntype = \"dense\"\nunits = 4\n";
        format!("input = [8, 8, 1]\n{}{end}", format!("[[layers]]\n{layer}\n").repeat(layers))
    };
    let mut attacks = Vec::new();
    for (layers, want) in [(30_000, Refused("layers")), (9_000, Works(""))] {
        for layer in ["type = \"relu\"", "type = \"dropout\"\nrate = 0.5"] {
            attacks.push(
                Attack::new(
                    format!("{layers} layers: {layer}"),
                    "summary deep.toml",
                    if layers > 20_000 && layer.len() > 20 { Refused("") } else { want },
                )
                .after(move |folder| fs::write(folder.join("deep.toml"), toml(layers, layer)).expect("written")),
            );
        }
    }
    for (line, want) in [
        ("export deep.safetensors --onnx new.onnx", Refused("layers")),
        ("summary deep.safetensors", Refused("")),
        ("eval deep.safetensors --data data --device cpu", Refused("layers")),
    ] {
        attacks.push(Attack::new(format!("a file of 50,000 layers: {line}"), line, want).after(|folder| {
            let layers = r#"{"type":"relu"},"#.repeat(50_000);
            let model = format!(
                r#"{{"name":"deep","input":[8,8,1],"layers":[{layers}{{"type":"flatten"}}],"normalisation":{{"scale":1.0,"shift":0.0}},"class_names":[]}}"#
            );
            let header = serde_json::json!({ "__metadata__": { "wgrad": model } }).to_string();
            let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
            fs::write(folder.join("deep.safetensors"), bytes).expect("written");
        }));
    }
    // A file of very many tensors: the error is a sentence.
    for line in [
        "import many.safetensors --model tiny.toml",
        "eval many.safetensors --model tiny.toml --data data --device cpu",
    ] {
        let tensors = if all() { 160_000 } else { 40_000 };
        attacks.push(Attack::new(format!("{tensors} tensors: {line}"), line, Refused("")).after(move |folder| {
            let entry = |n: usize| format!(r#""{n}.weight":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
            let header = format!("{{{}}}", (0..tensors).map(entry).collect::<Vec<_>>().join(","));
            let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
            fs::write(folder.join("many.safetensors"), bytes).expect("written");
        }));
    }
    let shape = vec!["0"; 300_000].join(",");
    attacks.push(
        Attack::new("a shape of very many sizes", "import m2.safetensors --model tiny.toml", Refused("")).after(
            move |folder| {
                let header = format!(r#"{{"0.weight":{{"dtype":"F32","shape":[{shape}],"data_offsets":[0,0]}}}}"#);
                let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
                fs::write(folder.join("m2.safetensors"), bytes).expect("written");
            },
        ),
    );
    check("deep nets", attacks);
}

/// A step that does not fit a limit of the process is refused with what would fit.
#[test]
fn a_limit_of_the_process_is_asked() {
    let line = "train --device cpu --data data --model wide.toml --epochs 1 --batch-size 60 --run-dir new";
    let wide = "input = [8, 8, 1]\n[[layers]]\ntype = \"conv2d\"\nfilters = 4096\nkernel = 3\npadding = \"same\"\n[[layers]]\ntype = \"flatten\"\n[[layers]]\ntype = \"dense\"\nunits = 4\n";
    let prepare = move |folder: &Path| fs::write(folder.join("wide.toml"), wide).expect("written");
    let attacks = vec![
        Attack::new("a batch beyond ulimit -v", line, Refused("memory")).after(prepare).within(500).drivers(),
        Attack::new("hardly any memory", "data img", Lives).within(120),
        // Mesa's OpenGL ends the process by a signal where it gets no memory.
        Attack::new("hardly any for drivers", "devices", Lives).within(300).drivers(),
        Attack::new("a little more", "devices", Lives).within(500).drivers(),
    ];
    check("limits of the process", attacks);
}
