//! The fuzz targets of `fuzz/`, with the seeds of their corpus and mutations of them: the same every time.
//!
//! `tests/fuzz` runs the same targets under libFuzzer. `WGRAD_FUZZ` sets how many mutations each gets here.
// The targets' folders for their files are named by the process: this is one test, which has its process to itself.

#[path = "common/memory.rs"]
mod memory;
#[path = "../fuzz/src/targets.rs"]
mod targets;

use memory::peak_memory_bytes;
use std::fs;
use std::path::Path;
use targets::TARGETS;

/// A generator of numbers (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 1) as usize % end.max(1)
    }
}

/// Values that an attacker or a broken disk may write in place of a number.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1e999",
    "1e-999",
    "2147483648",
    "4294967295",
    "9223372036854775808",
    "18446744073709551615",
    "99999999999999999999999",
    "0.5",
    "null",
    "[]",
];

/// The place and the length of a run of digits in a text.
fn digits(data: &[u8], random: &mut Random) -> Option<(usize, usize)> {
    let starts = |at: &usize| data[*at].is_ascii_digit() && (*at == 0 || !data[at - 1].is_ascii_digit());
    let starts: Vec<usize> = (0..data.len()).filter(starts).collect();
    let at = *starts.get(random.below(starts.len()))?;
    Some((at, data[at..].iter().take_while(|byte| byte.is_ascii_digit()).count()))
}

/// One to four changes of a seed, some of them with pieces of another.
fn mutated(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len());
        let end = (at + 1 + random.below(32)).min(data.len());
        match random.below(8) {
            0 if !data.is_empty() => data[at] ^= 1 << random.below(8),
            1 if !data.is_empty() => data[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            2 => data.truncate(at),
            3 => drop(data.drain(at..end)),
            4 => drop(data.splice(at..at, data[at..end].to_vec())),
            5 => {
                let from = random.below(other.len());
                let piece = other[from..(from + 1 + random.below(64)).min(other.len())].to_vec();
                drop(data.splice(at..end, piece));
            }
            6 => {
                // A length or a size of four or eight bytes.
                let words = [0, 1, u64::from(u32::MAX), u64::MAX, 1 << 31, 1 << 63];
                let word = words[random.below(words.len())].to_le_bytes();
                data.iter_mut().skip(at).zip(&word[..4 + 4 * random.below(2)]).for_each(|(byte, new)| *byte = *new);
            }
            _ => {
                if let Some((at, length)) = digits(&data, random) {
                    data.splice(at..at + length, NUMBERS[random.below(NUMBERS.len())].bytes());
                }
            }
        }
    }
    data
}

/// No panic, and no more memory than a file of this size has use for.
#[test]
fn no_target_panics_on_what_is_nearly_right() {
    let most = std::env::var("WGRAD_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in TARGETS {
        let mut paths: Vec<_> = corpus.join(name).read_dir().expect(name).map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let seeds: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).expect(name)).collect();
        assert!(seeds.len() >= 2, "{name} has a corpus");
        let before = peak_memory_bytes();
        let try_it = |data: &[u8], what: &str| {
            if let Err(why) = std::panic::catch_unwind(|| target(data)) {
                let path = std::env::temp_dir().join(format!("wgrad-fuzz-{name}"));
                let _ = fs::write(&path, data);
                let why = why.downcast_ref::<String>().cloned().unwrap_or_default();
                panic!("target {name}, {what}: {why}; the bytes are in {}", path.display());
            }
        };
        seeds.iter().zip(&paths).for_each(|(seed, path)| try_it(seed, &path.display().to_string()));
        let mut random = Random(name.len() as u64);
        // Planning takes a hundred times as long as reading.
        let runs = if name == "plan" { most / 20 } else { most };
        for run in 0..runs {
            let (seed, other) = (&seeds[random.below(seeds.len())], &seeds[random.below(seeds.len())]);
            try_it(&mutated(seed, other, &mut random), &format!("mutation {run}"));
        }
        let grown = peak_memory_bytes() - before;
        println!("{name}: {} seeds, {runs} mutations, {} MiB", seeds.len(), grown >> 20);
        // A picture's sizes are its header's, within the bound of src/data/picture.rs.
        // Those of a folder are read by threads, each with its own pool of addresses.
        let allowed = if ["picture", "image_folder", "mask"].contains(&name) { 1200 << 20 } else { 64 << 20 };
        assert!(grown < allowed, "{name} took {grown} bytes");
    }
    let _ = fs::remove_dir_all(std::env::temp_dir().join(format!("wgrad-fuzz-{}", std::process::id())));
}

/// libFuzzer runs all of these targets.
#[test]
fn every_target_has_a_program() {
    let manifest = include_str!("../fuzz/Cargo.toml");
    for (name, _) in TARGETS {
        let program = fs::read_to_string(format!("{}/fuzz/fuzz_targets/{name}.rs", env!("CARGO_MANIFEST_DIR")));
        assert!(program.unwrap().contains(&format!("targets::{name}(data)")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
}
