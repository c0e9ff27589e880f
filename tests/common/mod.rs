//! Code shared by the tests of the command: a small data set in its own folder, and calls of `wgrad` there.
// Every test file compiles this module for itself and uses a part of it.
#![allow(dead_code)]

pub mod adapter;

use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use wgrad::device::choice::VARIABLE;

/// A model file for images of 8 × 8 in 4 classes.
pub const TINY: &str = r#"input = [8, 8, 1]
[[layers]]
type = "conv2d"
filters = 4
kernel = 3
[[layers]]
type = "relu"
[[layers]]
type = "max_pool2d"
size = 2
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = 4
"#;

/// A temporary folder with a data set `data` and a model file `tiny.toml`; the command runs in it.
pub struct Place {
    folder: TempDir,
}

/// A call of the command that runs in the background.
pub struct Running {
    /// The process; stdout and stderr are pipes.
    pub child: Child,
}

impl Running {
    /// Waits for the next line on stdout.
    pub fn line(&mut self) -> String {
        // Byte by byte, so that nothing of the next lines is taken away.
        let mut line = Vec::new();
        let mut byte = [0];
        let out = self.child.stdout.as_mut().expect("a pipe");
        while out.read(&mut byte).expect("its output") == 1 && byte != [b'\n'] {
            line.push(byte[0]);
        }
        String::from_utf8(line).expect("UTF-8")
    }

    /// Sends a signal by its name, such as `INT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill").success(), "signal {name}");
    }

    /// Waits for the end.
    pub fn ends(self) -> Done {
        let output = self.child.wait_with_output().expect("the command ends");
        let text = |bytes: &[u8]| String::from_utf8(bytes.into()).expect("the command writes UTF-8");
        Done { status: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// How a call of the command ended.
#[derive(Debug)]
pub struct Done {
    /// The exit status; `None` after a signal.
    pub status: Option<i32>,
    /// Its stdout.
    pub out: String,
    /// Its stderr.
    pub err: String,
}

impl Place {
    /// 60 training and 20 test images of 8 × 8 in 4 classes.
    pub fn new() -> Place {
        Place::with(8, [60, 20])
    }

    /// So many training and test images of `size` × `size` in 4 classes.
    pub fn with(size: usize, [train, test]: [usize; 2]) -> Place {
        let place = Place { folder: tempfile::tempdir().expect("a temporary folder") };
        place.write("tiny.toml", TINY);
        place.data("data", size, train, test);
        place
    }

    /// The path of something in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders that it is in.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is created");
        std::fs::write(path, bytes).expect("the file is written");
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Reads a file of lines of JSON.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        let text = String::from_utf8(self.read(name)).expect("text");
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{name}: {e}: {line}"))).collect()
    }

    /// Writes a data set whose classes differ in which quarter of the image is bright.
    pub fn data(&self, name: &str, size: usize, train: usize, test: usize) {
        for (part, count) in [("train", train), ("t10k", test)] {
            let labels: Vec<u8> = (0..count).map(|i| (i * 7 % 4) as u8).collect();
            let mut pixels = Vec::new();
            for (i, label) in labels.iter().enumerate() {
                for (y, x) in (0..size).flat_map(|y| (0..size).map(move |x| (y, x))) {
                    let quarter = (y * 2 / size) * 2 + x * 2 / size;
                    let noise = (((i * 31 + y * 17 + x * 13) * 2_654_435_761) >> 16) % 60;
                    pixels.push((noise + if quarter == usize::from(*label) { 150 } else { 0 }) as u8);
                }
            }
            self.write(&format!("{name}/{part}-images-idx3-ubyte"), idx(2051, &[count, size, size], &pixels));
            self.write(&format!("{name}/{part}-labels-idx1-ubyte"), idx(2049, &[count], &labels));
        }
    }

    /// Calls the command in the folder with the words of `line`.
    pub fn call(&self, line: &str) -> Done {
        call(wgrad().args(line.split_whitespace()), self.folder.path())
    }

    /// Starts the command in the folder with the words of `line`; it can be told to stop, and killed.
    pub fn starts(&self, line: &str) -> Running {
        let mut command = wgrad();
        command.args(line.split_whitespace()).current_dir(self.folder.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Running { child: child.expect("the command starts") }
    }

    /// Calls the command and expects status 0.
    pub fn works(&self, line: &str) -> Done {
        let done = self.call(line);
        assert_eq!(done.status, Some(0), "wgrad {line}: {done:#?}");
        done
    }

    /// Trains the tiny model on the data of the folder, into `run`, and expects status 0.
    pub fn trains(&self, run: &str, more: &str) -> Done {
        self.works(&format!("train --model tiny.toml --data data --batch-size 16 --epochs 2 --run-dir {run} {more}"))
    }
}

/// The command, which without `--device` takes the adapter of the tests.
pub fn wgrad() -> Command {
    on_adapter(env!("CARGO_BIN_EXE_wgrad"))
}

/// A program that may call the command, which without `--device` takes the adapter of the tests.
pub fn on_adapter(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env(VARIABLE, adapter::name());
    command
}

/// Runs a command in a folder.
pub fn call(command: &mut Command, folder: &Path) -> Done {
    let output = command.current_dir(folder).output().expect("the command starts");
    let text = |bytes: &[u8]| String::from_utf8(bytes.into()).expect("the command writes UTF-8");
    Done { status: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// An IDX file.
pub fn idx(magic: u32, sizes: &[usize], body: &[u8]) -> Vec<u8> {
    let words = std::iter::once(magic).chain(sizes.iter().map(|&size| size as u32));
    words.flat_map(u32::to_be_bytes).chain(body.iter().copied()).collect()
}

/// A safetensors file of zeros, from names, types, shapes and bytes of an element.
pub fn safetensors(tensors: &[(&str, &str, &[usize], usize)]) -> Vec<u8> {
    let mut at = 0;
    let entries = tensors.iter().map(|(name, dtype, shape, element)| {
        let from = at;
        at += shape.iter().product::<usize>() * element;
        format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{from},{at}]}}"#)
    });
    let header = format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; at]].concat()
}

/// The number under a key.
pub fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} is no number in {value}"))
}

/// The keys of an object, sorted.
pub fn keys(value: &Value) -> Vec<String> {
    let mut keys: Vec<String> = value.as_object().expect("an object").keys().cloned().collect();
    keys.sort();
    keys
}
