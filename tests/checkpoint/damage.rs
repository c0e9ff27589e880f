//! Truncated or changed files, and states that no run reaches: each is refused with a message.

use crate::cpu;
use crate::{all_checkpoints, model, options, trainer};
use serde_json::{Value, json};
use wgrad::Error;
use wgrad::model::formats::sealed;
use wgrad::train::settings::interval::Interval;
use wgrad::train::settings::options::OptimizerName;
use wgrad::train::state::checkpoint::{Checkpoint, STATE_KEY};

fn refused(file: &[u8], what: &str) {
    match Checkpoint::from_bytes(file) {
        Err(Error::Input(why)) => assert!(!why.is_empty() && !why.contains('\n'), "{what}: {why}"),
        other => panic!("{what}: {other:?}"),
    }
}

/// A generator of numbers for places (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 1) as usize
}

/// Where the parts of the file begin and end: length, header, keys, every tensor.
fn boundaries(file: &[u8]) -> Vec<usize> {
    let header_end = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&file[8..header_end]).unwrap();
    let mut places = vec![0, 8, sealed::MARK_BYTES, sealed::MARK_BYTES + 64, header_end, file.len()];
    places.extend((8..header_end).filter(|at| b"{}\",:[]".contains(&file[*at])));
    for (_, tensor) in header.as_object().unwrap().iter().filter(|(name, _)| *name != "__metadata__") {
        places.extend(
            tensor["data_offsets"].as_array().unwrap().iter().map(|at| header_end + at.as_u64().unwrap() as usize),
        );
    }
    places.sort_unstable();
    places.dedup();
    places
}

/// `WGRAD_DAMAGES` sets how many random places are tried.
#[test]
fn a_damaged_file_is_refused_wherever_it_was_hit() {
    let places = std::env::var("WGRAD_DAMAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let file = all_checkpoints(&cpu(), &options(OptimizerName::Adam), Interval::Steps(3)).swap_remove(3);
    assert!(Checkpoint::from_bytes(&file).is_ok());
    let hit = |at: usize, bits: u8| {
        let mut bad = file.clone();
        bad[at] ^= bits;
        refused(&bad, &format!("byte {at} with bits {bits:#x}"));
    };
    let boundaries = boundaries(&file);
    assert!(boundaries.len() > 100, "{}", boundaries.len());
    for &at in &boundaries {
        for at in [at.saturating_sub(1), at, at + 1] {
            if at < file.len() {
                hit(at, 1 << (at % 8));
                hit(at, 0xff);
                refused(&file[..at], &format!("cut at {at}"));
            }
        }
    }
    let mut state = 1;
    for _ in 0..places {
        hit(random(&mut state) % file.len(), 1 << (random(&mut state) % 8));
        refused(&file[..random(&mut state) % file.len()], "cut");
        // A block of the disk that was never written, and one that belongs to another file.
        let (mut bad, at) = (file.clone(), random(&mut state) % file.len());
        let end = (at + 512).min(file.len());
        bad[at..end].fill(0);
        if bad != file {
            refused(&bad, "a block of zeros");
        }
        let from = random(&mut state) % (file.len() - (end - at));
        bad[at..end].copy_from_slice(&file[from..][..end - at]);
        if bad != file {
            refused(&bad, "a block from elsewhere");
        }
    }
    refused(&[&file[..], b"\n"].concat(), "a byte too many");
    refused(b"", "nothing");
    refused(&model(5).to_json().unwrap().into_bytes(), "something else");
}

/// Content with a correct digest may still be wrong: it is refused before the device sees it.
#[test]
fn a_state_that_no_run_comes_to_is_refused() {
    let options = options(OptimizerName::Adam);
    let file = all_checkpoints(&cpu(), &options, Interval::Steps(3)).swap_remove(3);
    let sealed::Opened { metadata, tensors } = sealed::open(&file).unwrap();
    let state: Value = serde_json::from_str(&metadata[STATE_KEY]).unwrap();
    let sealed_with = |state: &Value, tensors: &[_]| {
        let state = state.to_string();
        sealed::seal(&[("wgrad", &metadata["wgrad"]), (STATE_KEY, &state)], tensors).unwrap()
    };
    let whole = Checkpoint::from_bytes(&sealed_with(&state, &tensors)).unwrap();
    assert_eq!((whole.state.progress.step, whole.state.progress.metrics.len()), (6, 1));
    let restored = |file: &[u8]| {
        let checkpoint = Checkpoint::from_bytes(file)?;
        trainer(&cpu(), &options).restore(&checkpoint)
    };
    restored(&sealed_with(&state, &tensors)).expect("nothing is wrong yet");
    let words: &[(&str, &[(usize, u32)])] = &[
        ("another key", &[(0, 1)]),
        ("another step", &[(1, 7)]),
        ("another epoch", &[(2, 2)]),
        ("a place beyond the samples", &[(3, 4_000_000_000)]),
        ("more than a batch", &[(4, 17)]),
        ("more samples than there are", &[(5, 61)]),
        ("another rate", &[(6, 0)]),
        ("a correction that is NaN", &[(7, f32::NAN.to_bits())]),
        ("a correction above 1", &[(8, 2f32.to_bits())]),
        ("a weight carried where no update is under way", &[(9, 1f32.to_bits())]),
        ("a weight that is NaN", &[(9, f32::NAN.to_bits())]),
        ("something in reserve", &[(10, 1)]),
    ];
    for (what, changes) in words {
        let mut bad = state.clone();
        changes.iter().for_each(|(at, word)| bad["control"][at] = json!(word));
        assert!(matches!(restored(&sealed_with(&bad, &tensors)), Err(Error::Input(_))), "{what}");
    }
    let fields: &[(&str, &[&str], Value)] = &[
        ("a step ahead", &["progress", "step"], json!(7)),
        ("a step far ahead", &["progress", "step"], json!(u64::MAX)),
        ("no epochs", &["progress", "metrics"], json!([])),
        ("another form", &["format"], json!(2)),
        ("a key too many", &["ema"], json!(1)),
        ("no batch", &["options", "batch_size"], json!(0)),
        ("another seed", &["options", "seed"], json!(8)),
        ("other data", &["data", "crc32"], json!(1)),
        ("a best that is yet to come", &["progress", "best", "step"], json!(9)),
    ];
    for (what, path, value) in fields {
        let mut bad = state.clone();
        *path.iter().fold(&mut bad, |place, key| &mut place[*key]) = value.clone();
        assert!(matches!(restored(&sealed_with(&bad, &tensors)), Err(Error::Input(_))), "{what}");
    }
    let names: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names.len(), 18, "{names:?}");
    for at in [0, 6, 17] {
        let mut fewer = tensors.clone();
        fewer.remove(at);
        assert!(matches!(restored(&sealed_with(&state, &fewer)), Err(Error::Input(_))), "without {}", names[at]);
        let mut other = tensors.clone();
        other[at].shape.reverse();
        other[at].shape.push(1);
        assert!(matches!(restored(&sealed_with(&state, &other)), Err(Error::Input(_))), "another {}", names[at]);
    }
    assert!(matches!(restored(&sealed_with(&state, &tensors[..12])), Err(Error::Input(_))), "without v");
}
