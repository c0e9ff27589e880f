//! The published package stays under the registry's limit of 10 MB, and contains everything that a build needs.

use std::path::Path;
use std::process::Command;

/// The registry refuses a packed crate beyond this.
const LIMIT_BYTES: u64 = 10 * 1024 * 1024;

/// Runs `cargo package` on this crate without the network, and returns what it printed.
fn package(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["package", "--offline", "--allow-dirty"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo package {arguments:?} failed:\n{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_packed_crate_is_under_10_mb() {
    let target = tempfile::tempdir().expect("a temporary folder");
    let folder = target.path().to_str().expect("a temporary folder with a Unicode name");
    package(&["--no-verify", "--target-dir", folder]);
    let name = concat!(env!("CARGO_PKG_NAME"), "-", env!("CARGO_PKG_VERSION"), ".crate");
    let packed = target.path().join("package").join(name);
    let bytes = packed.metadata().unwrap_or_else(|e| panic!("{}: {e}", packed.display())).len();
    println!("{name}: {bytes} bytes, limit {LIMIT_BYTES}");
    assert!(bytes < LIMIT_BYTES, "{name} has {bytes} bytes, expected less than {LIMIT_BYTES}");
}

/// A file that the build embeds but `include` leaves out would break only an installed crate.
#[test]
fn everything_that_is_embedded_is_published() {
    let list = package(&["--list"]);
    let published: Vec<&str> = list.lines().map(|line| line.trim_end()).collect();
    let mut expected = 0;
    for (folder, extension) in [("data", "xz"), ("src", ""), ("shaders", "")] {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
        while let Some(folder) = folders.pop() {
            // A folder that this crate does not have holds nothing to publish.
            for entry in std::fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.expect("a folder entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if extension.is_empty() || path.extension().is_some_and(|found| found == extension) {
                    let inside = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("a path in the crate");
                    let inside = inside.to_string_lossy().replace('\\', "/");
                    assert!(published.contains(&&inside[..]), "{inside} is not published: see `include` in Cargo.toml");
                    expected += 1;
                }
            }
        }
    }
    assert!(expected >= 8, "only {expected} files looked at");
    let stray = published.iter().find(|path| path.starts_with("target/") || path.starts_with("runs/"));
    assert_eq!(stray, None, "a file that should not be published");
}
