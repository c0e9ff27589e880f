//! Attacks on the command: input that hangs, panics, overwrites, deceives or takes memory without bound, in tables, each attack
//! with what must come of it. What must come of every attack is in [`check`].
//!
//! The tests run the short form. `tests/attack` runs all, and prints the counts.
#![cfg(unix)]

mod damage;
mod files;
mod memory;
mod names;
mod numbers;
mod outputs;
mod streams;
mod texts;

use crate::common::{Place, wgrad};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest time of an attack.
const LONGEST: Duration = Duration::from_secs(30);

/// The most bytes that the command may say on stderr.
const LONGEST_WORDS: usize = 8 << 10;

/// The address space of the command in KiB: also the driver of the software adapter needs some.
const SPACE_KIB: u64 = 4 << 20;

/// The shell of an attack that has none of its own.
const ALONE: &str = r#"exec "$@""#;

/// Whether all attacks are wanted, and not the short form.
pub fn all() -> bool {
    std::env::var_os("WGRAD_ATTACKS").is_some()
}

/// What must come of an attack.
#[derive(Clone, Copy, Debug)]
pub enum Want {
    /// Status 2, and an error with this text.
    Refused(&'static str),
    /// Status 1, and an error with this text.
    Fails(&'static str),
    /// Status 1 or 2, and an error with this text: not every command knows before its work that its output has no place.
    NotDone(&'static str),
    /// Status 0, and this text on stdout or stderr.
    Works(&'static str),
    /// Status 0 or 2: nothing but what every attack must keep.
    Lives,
}

/// What is done in a folder before the command.
type Prepare<'a> = Box<dyn Fn(&Path) + 'a>;

/// An attack: a name, what is changed in the folder before, the command, and what must come of it.
pub struct Attack<'a> {
    name: String,
    prepare: Option<Prepare<'a>>,
    words: Vec<OsString>,
    want: Want,
    // Files that the command may change, and the address space that it has.
    changes: Vec<String>,
    space: u64,
    // A file that is there afterwards, and whether nothing can be heard of the command.
    makes: Option<&'static str>,
    mute: bool,
    drivers: bool,
    // The words of a shell around the command, which is `"$@"` there.
    shell: String,
}

impl<'a> Attack<'a> {
    /// The command with the words of a line, in a fresh copy of the folder.
    pub fn new(name: impl Into<String>, line: &str, want: Want) -> Self {
        let words = line.split_whitespace().map(OsString::from).collect();
        let (changes, space, shell) = (Vec::new(), SPACE_KIB, ALONE.to_owned());
        Attack {
            name: name.into(),
            prepare: None,
            words,
            want,
            changes,
            space,
            shell,
            makes: None,
            mute: false,
            drivers: false,
        }
    }

    /// Further words, of any bytes.
    pub fn words<W: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.words.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// What is changed in the folder before.
    pub fn after(self, prepare: impl Fn(&Path) + 'a) -> Self {
        Attack { prepare: Some(Box::new(prepare)), ..self }
    }

    /// A file that the command may change.
    pub fn changes(mut self, file: impl Into<String>) -> Self {
        self.changes.push(file.into());
        self
    }

    /// The address space of the command.
    pub fn within(self, mib: u64) -> Self {
        Attack { space: mib << 10, ..self }
    }

    /// A file that is there afterwards.
    pub fn makes(self, file: &'static str) -> Self {
        Attack { makes: Some(file), ..self }
    }

    /// What it says is not heard: the status alone counts.
    pub fn mute(self) -> Self {
        Attack { mute: true, ..self }
    }

    /// With the drivers of all devices, which take time to load.
    pub fn drivers(self) -> Self {
        Attack { drivers: true, ..self }
    }

    /// A shell around the command, which is `"$@"` there.
    pub fn shell(self, shell: impl Into<String>) -> Self {
        Attack { shell: shell.into(), ..self }
    }
}

/// How an attack ended.
struct Ended {
    /// `None` where it hung.
    status: Option<ExitStatus>,
    out: Vec<u8>,
    err: Vec<u8>,
}

/// The folder that each attack has a copy of: data, models, a finished run `run`, tables, texts and pictures.
static GROUND: LazyLock<Place> = LazyLock::new(|| {
    let place = Place::new();
    let work = |line: &str| {
        let done = place.works(line);
        assert!(!done.err.contains("panicked"), "{done:?}");
    };
    place.write("bn.toml", crate::common::TINY.replace("type = \"relu\"", "type = \"batch_norm\""));
    work("train --device cpu --model tiny.toml --data data --batch-size 16 --epochs 2 --log-steps --run-dir run");
    fs::copy(place.path("run/model.safetensors"), place.path("m.safetensors")).expect("a copy");
    work("export m.safetensors --onnx m.onnx");
    let rows = (0..40).map(|n| format!("{},{},{}\n", n % 7, n % 5, n % 2));
    place.write("table.csv", format!("a,b,y\n{}", rows.collect::<String>()));
    place.write("text.txt", "the quick brown fox jumps over the lazy dog. ".repeat(60));
    place.write(
        "writer.toml",
        "input = { tokens = 8 }\n[[layers]]\ntype = \"embedding\"\nsize = 4\n[[layers]]\ntype = \"rnn\"\nunits = 6\n\
         [[layers]]\ntype = \"dense\"\nunits = \"vocabulary\"\n",
    );
    work(
        "train --device cpu --model writer.toml --data text.txt --batch-size 16 --epochs 1 --run-dir written --no-report",
    );
    fs::rename(place.path("written/model.safetensors"), place.path("writer.safetensors")).expect("a model");
    fs::remove_dir_all(place.path("written")).expect("removed");
    for (folder, n) in ["img/a", "img/b"].into_iter().flat_map(|folder| (0..6).map(move |n| (folder, n))) {
        let ink = if folder == "img/a" { 200 } else { 40 };
        place.write(&format!("{folder}/{n}.pgm"), pgm(12, 12, |x, y| if (x + y + n) % 3 == 0 { ink } else { 9 }));
    }
    place.write("list.csv", "file,label\nimg/a/0.pgm,a\nimg/b/0.pgm,b\n".to_owned() + &listed());
    place.write("five.png", png(40));
    place.write("config.toml", "data = \"data\"\nmodel = \"tiny.toml\"\n[train]\nbatch_size = 16\nepochs = 1\n");
    place
});

fn listed() -> String {
    (1..6).map(|n| format!("img/a/{n}.pgm,a\nimg/b/{n}.pgm,b\n")).collect()
}

/// A portable grey map.
pub fn pgm(width: usize, height: usize, pixel: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| pixel(x, y));
    format!("P5 {width} {height} 255\n").into_bytes().into_iter().chain(pixels).collect()
}

/// A square PNG of a bar.
pub fn png(side: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    let bar = |at: u32| if (side / 3..side / 2).contains(&(at % side)) { 0 } else { 255 };
    let pixels: Vec<u8> = (0..side * side).map(bar).collect();
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).expect("a PNG");
    bytes
}

/// Copies a file within a folder.
pub fn copy(folder: &Path, from: &str, to: impl AsRef<Path>) {
    fs::copy(folder.join(from), folder.join(to)).expect("a copy");
}

/// Makes something that is no regular file, under a name that is free then.
pub fn make(kind: &str, at: &Path) {
    let _ = fs::remove_file(at);
    fs::create_dir_all(at.parent().expect("a folder")).expect("a folder");
    match kind {
        "pipe" => assert!(Command::new("mkfifo").arg(at).status().expect("mkfifo").success()),
        "folder" => fs::create_dir_all(at).expect("a folder"),
        "dangling link" => symlink("/nowhere/at/all", at).expect("a link"),
        "circle of links" => symlink(at.file_name().expect("a name"), at).expect("a link"),
        // An endless one, and one that gives nothing.
        "device" => symlink("/dev/zero", at).expect("a link"),
        "empty device" => symlink("/dev/null", at).expect("a link"),
        "socket" => drop(std::os::unix::net::UnixListener::bind(at).expect("a socket")),
        other => panic!("no kind {other}"),
    }
}

/// Runs the attacks of a group, each in a folder of its own, and what must come of all of them is checked for each.
pub fn check(group: &str, attacks: Vec<Attack>) {
    let count = attacks.len();
    let begun = Instant::now();
    // What is refused leaves a folder as it was, so those that prepare nothing share one.
    let mut shared = None;
    let failures: Vec<String> = attacks.iter().filter_map(|attack| verdict(attack, &mut shared).err()).collect();
    println!("{group}: {count} attacks, {} failures, {:.1} s", failures.len(), begun.elapsed().as_secs_f64());
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
}

fn verdict(attack: &Attack, shared: &mut Option<TempDir>) -> Result<(), String> {
    let own;
    let folder = match (&attack.prepare, attack.want) {
        (None, Want::Refused(_)) if attack.shell == ALONE => &*shared.get_or_insert_with(copied),
        (prepare, _) => {
            own = copied();
            prepare.iter().for_each(|prepare| prepare(own.path()));
            &own
        }
    };
    let before = contents(folder.path());
    let ended = run(attack, folder.path());
    let (out, err) = (String::from_utf8_lossy(&ended.out), String::from_utf8_lossy(&ended.err));
    let line: Vec<String> = attack.words.iter().map(|word| word.display().to_string()).collect();
    let wrong = |why: &str| {
        let shown: String = err.chars().take(600).collect();
        Err(format!("{} (wgrad {}): {why}; stderr: {shown}", attack.name, line.join(" ")))
    };
    let Some(status) = ended.status else { return wrong("it hung") };
    if let Some(signal) = status.signal() {
        return wrong(&format!("signal {signal}"));
    }
    if err.contains("panicked") || status.code() == Some(101) {
        return wrong("it panicked");
    }
    if ended.err.len() > LONGEST_WORDS {
        return wrong(&format!("{} bytes on stderr", ended.err.len()));
    }
    if [&out, &err].iter().any(|text| text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t'))) {
        return wrong("control characters");
    }
    let errors = err.lines().filter(|line| line.starts_with("error: ")).count();
    let (code, found) = match attack.want {
        Want::Refused(text) => (2, err.contains(text) && errors >= 1),
        Want::NotDone(text) => (if status.code() == Some(1) { 1 } else { 2 }, err.contains(text) && errors >= 1),
        Want::Fails(text) => (1, err.contains(text) && errors >= 1),
        Want::Works(text) => (0, err.contains(text) || out.contains(text)),
        Want::Lives => (if status.code() == Some(0) { 0 } else { 2 }, true),
    };
    if status.code() != Some(code) {
        return wrong(&format!("{status}, expected {code}"));
    }
    if let Some(file) = attack.makes.filter(|file| !folder.path().join(file).exists()) {
        return wrong(&format!("{file} is not there"));
    }
    if !found && !attack.mute {
        return wrong(&format!("expected {:?}", attack.want));
    }
    for (file, (kind, bytes)) in &before {
        let may = attack.changes.iter().any(|name| file.starts_with(name));
        if !may && contents_of(&folder.path().join(file)) != Some((kind.clone(), bytes.clone())) {
            return wrong(&format!("{} was changed", file.display()));
        }
    }
    let after = contents(folder.path());
    let new = after.keys().find(|file| !before.contains_key(*file) && !file.starts_with(".cache"));
    if let (Want::Refused(_), Some(file), true) = (attack.want, new, attack.shell == ALONE) {
        return wrong(&format!("{} was begun", file.display()));
    }
    let left = after
        .into_keys()
        .find(|file| file.extension().is_some_and(|ending| ending == "tmp") && !before.contains_key(file));
    left.map_or(Ok(()), |file| wrong(&format!("{} was left", file.display())))
}

/// A copy of the ground.
fn copied() -> TempDir {
    fn copy_all(from: &Path, to: &Path) {
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            let to = to.join(entry.file_name());
            match entry.file_type().expect("a kind").is_dir() {
                true => {
                    fs::create_dir(&to).expect("a folder");
                    copy_all(&entry.path(), &to);
                }
                false => assert!(fs::copy(entry.path(), &to).is_ok(), "{}", to.display()),
            }
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    copy_all(&GROUND.path(""), folder.path());
    folder
}

/// Kind and bytes of everything below a folder; large files by their length.
fn contents(folder: &Path) -> BTreeMap<PathBuf, (String, Vec<u8>)> {
    let (mut found, mut open) = (BTreeMap::new(), vec![PathBuf::new()]);
    while let Some(within) = open.pop() {
        for entry in fs::read_dir(folder.join(&within)).into_iter().flatten().flatten() {
            let path = within.join(entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(path);
            } else if let Some(contents) = contents_of(&folder.join(&path)) {
                found.insert(path, contents);
            }
        }
    }
    found
}

fn contents_of(path: &Path) -> Option<(String, Vec<u8>)> {
    let about = path.symlink_metadata().ok()?;
    let kind = about.file_type();
    Some(match () {
        () if kind.is_symlink() => ("link".into(), fs::read_link(path).ok()?.as_os_str().as_encoded_bytes().to_vec()),
        () if kind.is_fifo() || kind.is_socket() || kind.is_char_device() => ("special".into(), Vec::new()),
        () if kind.is_dir() => ("folder".into(), Vec::new()),
        () if about.len() > 1 << 20 => (format!("large file of {}", about.len()), Vec::new()),
        () => ("file".into(), fs::read(path).ok()?),
    })
}

fn run(attack: &Attack, folder: &Path) -> Ended {
    let mut command = Command::new("sh");
    let program = wgrad();
    command.arg("-c").arg(format!("ulimit -c 0; ulimit -v {}; {}", attack.space, attack.shell));
    command.arg("sh").arg(program.get_program()).args(&attack.words).current_dir(folder);
    // Another cache than the user's, and no backtrace.
    command.env("XDG_CACHE_HOME", folder.join(".cache")).env("RUST_BACKTRACE", "0").env_remove("XDG_RUNTIME_DIR");
    if !attack.drivers {
        // The interface of another system, so that there is no adapter.
        command.env("WGPU_BACKEND", if cfg!(windows) { "vulkan" } else { "dx12" });
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a shell");
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let read = |source: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            source.map(|source| source.take(1 << 20).read_to_end(&mut bytes));
            bytes
        })
    };
    let out = read(out.map(|out| Box::new(out) as Box<dyn Read + Send>));
    let err = read(err.map(|err| Box::new(err) as Box<dyn Read + Send>));
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().expect("a child") {
            Some(status) => break Some(status),
            None if begun.elapsed() > LONGEST => {
                child.kill().expect("killed");
                child.wait().expect("a child");
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let [out, err] = [out, err].map(|bytes| bytes.join().expect("its output"));
    Ended { status, out, err }
}
