//! Dependencies: counted, locked, from one registry, and no build script that is not listed by name.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Beyond this the command has grown heavy; burn-wgpu has 402.
const MOST_CRATES: usize = 240;

/// Names that a build script would need to reach a network.
const NETWORK: [&str; 9] =
    ["std::net", "TcpStream", "UdpSocket", "reqwest", "ureq", "\"curl\"", "\"wget\"", "git2", "\"fetch\""];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn toml(name: &str) -> toml::Table {
    read(name).parse().unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Every package that this machine's build takes, tests included.
fn packages() -> Vec<Value> {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc starts");
    let about = String::from_utf8_lossy(&rustc.stdout).into_owned();
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let text = cargo(&["metadata", "--format-version", "1", "--filter-platform", host]);
    let all: Value = serde_json::from_str(&text).expect("JSON");
    all["packages"].as_array().expect("packages").clone()
}

#[test]
fn the_command_is_made_of_few_crates() {
    let count = |more: &[&str]| {
        let fixed = ["tree", "--edges", "normal", "--prefix", "none", "--no-dedupe", "--format", "{p}"];
        let text = cargo(&[&fixed[..], more].concat());
        text.lines().map(|line| line.trim_end_matches(" (proc-macro)")).collect::<BTreeSet<_>>().len()
    };
    let (whole, lean) = (count(&[]), count(&["--no-default-features"]));
    println!("{whole} crates, {lean} of them in the library without default features");
    assert!(whole < MOST_CRATES && lean < whole, "{whole} crates, {lean} without default features");
}

#[test]
fn everything_is_locked_and_from_the_registry() {
    let lock = toml("Cargo.lock");
    let packages = lock["package"].as_array().expect("packages");
    assert!(packages.len() > 100, "{}", packages.len());
    for package in packages.iter().filter(|package| package["name"].as_str() != Some("wgrad")) {
        let source = package.get("source").and_then(|source| source.as_str());
        assert_eq!(source, Some("registry+https://github.com/rust-lang/crates.io-index"), "{package}");
        assert!(package.get("checksum").is_some(), "{package}");
    }
}

#[test]
fn every_build_script_is_known_and_none_speaks_of_a_network() {
    let known = toml("deny.toml")["bans"]["build"]["allow-build-scripts"].clone();
    let known: BTreeSet<&str> = known.as_array().expect("a list").iter().filter_map(|c| c["crate"].as_str()).collect();
    let mut looked_at = 0;
    for package in packages() {
        for target in package["targets"].as_array().expect("targets") {
            if target["kind"][0] != "custom-build" {
                continue;
            }
            let name = package["name"].as_str().expect("a name");
            assert!(known.contains(name), "{name} has a build script: read it, then name it in deny.toml");
            let text = std::fs::read_to_string(target["src_path"].as_str().expect("a path")).expect("the script");
            let found = NETWORK.iter().find(|word| text.contains(*word));
            assert_eq!(found, None, "the build script of {name}");
            looked_at += 1;
        }
    }
    assert!(looked_at > 10, "{looked_at} build scripts");
}

/// The least Rust is stated, not newer in any dependency, and what the hosted workflow takes.
#[test]
fn the_stated_rust_is_the_one_that_is_tested() {
    let version = |text: &str| -> Vec<u32> { text.split('.').filter_map(|n| n.parse().ok()).take(2).collect() };
    let ours = toml("Cargo.toml")["package"]["rust-version"].as_str().expect("a rust-version").to_string();
    for package in packages() {
        let theirs = package["rust_version"].as_str().unwrap_or("1.0");
        assert!(version(theirs) <= version(&ours), "{} needs Rust {theirs}, ours is {ours}", package["name"]);
    }
    let workflow = read(".github/workflows/ci.yml");
    assert!(workflow.contains(&format!("cargo +{ours} check --locked --all-targets")), "ci.yml does not test {ours}");
    assert!(workflow.starts_with("# NOT YET RUN"), "once it has run, say where");
}
