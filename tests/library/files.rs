//! Atomic file writes: failures of a write, and the file that remains.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use wgrad::Error;
use wgrad::files::{Inputs, Unfinished, beside, open, read, read_text, write_whole};

/// The variable that makes [`the_other_process`] do something, and with which file.
const ORDER: &str = "WGRAD_TEST_FILES";

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn a_file_takes_the_place_of_another_and_nothing_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for bytes in [&b"one"[..], b"a longer one", b""] {
        write_whole(&path, bytes).unwrap();
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (bytes.to_vec(), vec!["file".to_string()]));
    }
}

#[test]
fn errors_name_the_path_and_the_reason_and_leave_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("taken")).unwrap();
    fs::write(path("file"), "").unwrap();
    let made = Command::new("mkfifo").arg(path("pipe")).status();
    let mut wants = vec![
        ("none/file", true, "none/file: cannot be created: No such file"),
        ("file/file", true, "file/file: cannot be created: Not a directory"),
        ("taken", false, "taken: cannot be written: Is a directory"),
    ];
    match made.is_ok_and(|status| status.success()) {
        true => wants.push(("pipe", true, "pipe: found a device or a pipe, expected a file")),
        false => println!("no pipe can be made here"),
    }
    let before = names(folder.path());
    for (name, is_input, want) in wants {
        let error = write_whole(&path(name), b"bytes").unwrap_err();
        assert_eq!(matches!(error, Error::Input(_)), is_input, "{name}: {error}");
        assert!(error.to_string().contains(&*folder.path().join(want).to_string_lossy()), "{name}: {error}");
        assert_eq!(names(folder.path()), before, "{name}");
    }
}

/// A link as the output is followed; one under the name of a temporary file is not.
#[cfg(unix)]
#[test]
fn links_are_followed_where_the_user_named_them() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("real"), "old").unwrap();
    fs::set_permissions(path("real"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("real", path("link")).unwrap();
    write_whole(&path("link"), b"new").unwrap();
    assert!(path("link").is_symlink() && fs::read(path("real")).unwrap() == b"new");
    assert_eq!(fs::metadata(path("real")).unwrap().permissions().mode() & 0o777, 0o600);
    symlink("nowhere", path("dangling")).unwrap();
    let error = write_whole(&path("dangling"), b"new").unwrap_err().to_string();
    assert!(error.contains("leads nowhere"), "{error}");

    fs::write(path("victim"), "precious").unwrap();
    symlink("victim", beside(&path("log"))).unwrap();
    Unfinished::at(&beside(&path("log")), b"new").unwrap().replace(&path("log")).unwrap();
    assert_eq!(fs::read(path("victim")).unwrap(), b"precious");
    assert!(!path("log").is_symlink());
}

#[cfg(unix)]
#[test]
fn an_input_is_no_output_under_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("in"), "").unwrap();
    fs::write(path("other"), "").unwrap();
    std::os::unix::fs::symlink("in", path("link")).unwrap();
    let given = Inputs::of([&*path("in"), &*path("missing")]);
    for (name, fits) in [("in", false), ("link", false), ("./in", false), ("other", true), ("new", true)] {
        assert_eq!(given.spare(&path(name)).is_ok(), fits, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn only_regular_files_of_bounded_length_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("file"), "text").unwrap();
    assert_eq!(
        (read(&path("file"), 4).unwrap(), read_text(&path("file"), 9).unwrap()),
        (b"text".into(), "text".into())
    );
    let long = read(&path("file"), 3).unwrap_err().to_string();
    assert!(long.contains("more than 3 bytes"), "{long}");
    fs::write(path("file"), b"\xff").unwrap();
    assert!(read_text(&path("file"), 9).is_err());
    assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    for (name, want) in [("pipe", "a pipe or a device"), (".", "a folder"), ("none", "No such file")] {
        let error = open(&path(name)).unwrap_err().to_string();
        assert!(error.contains(want), "{name}: {error}");
    }
    assert!(open(Path::new("/dev/zero")).is_err());
}

#[test]
fn a_file_that_never_gets_its_name_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write_whole(&path, b"old").unwrap();
    drop(Unfinished::beside(&path, b"new").unwrap());
    // The fixed name, where a killed writer has left something.
    fs::write(beside(&path), "half of a longer file").unwrap();
    let unfinished = Unfinished::at(&beside(&path), b"new").unwrap();
    assert_eq!((fs::read(beside(&path)).unwrap(), fs::read(&path).unwrap()), (b"new".to_vec(), b"old".to_vec()));
    drop(unfinished);
    assert_eq!(names(folder.path()), ["file"]);
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

/// Two megabytes of one byte: a file with two different bytes in it, or of another length, is not whole.
fn content(round: u8) -> Vec<u8> {
    vec![round; 2 << 20]
}

fn is_whole(bytes: &[u8]) -> bool {
    bytes.len() == content(0).len() && bytes.iter().all(|byte| *byte == bytes[0])
}

#[test]
fn writers_of_the_same_file_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write_whole(&path, &content(0)).unwrap();
    std::thread::scope(|scope| {
        for writer in 1..5 {
            let path = &path;
            scope.spawn(move || (0..5).for_each(|_| write_whole(path, &content(writer)).unwrap()));
        }
        for _ in 0..50 {
            assert!(is_whole(&fs::read(&path).unwrap()));
        }
    });
    assert_eq!(names(folder.path()), ["file"]);
}

/// The variable that makes this test program run only [`the_other_process`].
const ALONE: [&str; 3] = ["--exact", "files::the_other_process", "--nocapture"];

/// Does nothing but what a test of this file has ordered in [`ORDER`]: `forever PATH` or `once PATH`.
#[test]
fn the_other_process() {
    let Ok(order) = std::env::var(ORDER) else { return };
    match order.split_once(' ').unwrap() {
        ("forever", path) => loop {
            (1..=255).for_each(|round| write_whole(Path::new(path), &content(round)).unwrap());
        },
        ("once", path) => println!("the error: {}", write_whole(Path::new(path), &content(1)).unwrap_err()),
        (unknown, _) => panic!("{unknown}"),
    }
}

#[test]
fn a_writer_that_is_killed_leaves_a_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write_whole(&path, &content(0)).unwrap();
    for kill in 0..8 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let order = format!("forever {}", path.display());
        let mut child = command.args(ALONE).env(ORDER, order).stdout(Stdio::null()).spawn().unwrap();
        while fs::read(&path).unwrap()[0] == 0 && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(3 * kill));
        child.kill().unwrap();
        child.wait().unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(is_whole(&bytes) && bytes[0] > 0, "kill {kill}: {} bytes", bytes.len());
        // Whatever the killed ones left, the next write succeeds.
        write_whole(&path, &content(0)).unwrap();
    }
    println!("{} of 8 were killed midway", names(folder.path()).len() - 1);
}

/// A disk of its own for the test, where this system lets it have one: full, then one that can only be read.
#[test]
fn a_full_disk_and_one_that_can_only_be_read_leave_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().display();
    let mount = format!("mount -t tmpfs -o size=1m none '{disk}'; printf old > '{disk}/file'");
    // In name spaces of its own, in which the mount needs no rights and goes away with the process.
    let shell = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", script]);
        command.arg(std::env::current_exe().unwrap()).args(ALONE).env(ORDER, format!("once {disk}/file"));
        command.output()
    };
    if !shell(&mount).is_ok_and(|output| output.status.success()) {
        println!("no disk of its own can be had here: this test checks nothing");
        return;
    }
    let read_only = format!("mount -o remount,ro none '{disk}'");
    for (then, want) in
        [("", "cannot be written: No space left on device"), (&read_only, "cannot be created: Read-only file system")]
    {
        let script = format!("{mount}\n{then}\n\"$0\" \"$@\"\ncd '{disk}'; echo left: $(ls -A) holds $(cat file)");
        let output = shell(&script).unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("the error: {disk}/file: {want}")), "{text}{output:?}");
        assert!(text.contains("left: file holds old"), "{text}");
    }
}
