//! Graphs, plans and expanded shaders of the presets as text: any change shows up in review.

#[path = "common/plans.rs"]
mod plans;

use plans::{steps, target};
use std::collections::BTreeMap;
use wgrad::ir::launch::KernelClass;
use wgrad::plan::lower::lower;
use wgrad::train::settings::options::OptimizerName;

/// The presets whose texts are kept: the two that every other one is a variation of. What the others add is seen by the
/// tests of its ops, and their texts would be larger than all of these.
const NAMES: [&str; 2] = ["mnist-cnn", "mnist-deep"];

/// The most that the expansions may take in the repository.
const LIMIT_BYTES: usize = 200_000;

#[test]
fn graphs() {
    for name in NAMES {
        for (kind, step) in steps(name, OptimizerName::Adam) {
            insta::assert_snapshot!(format!("graph-{name}-{kind}"), step.graph.to_string());
        }
    }
}

#[test]
fn plans() {
    for name in NAMES {
        for (kind, step) in steps(name, OptimizerName::Adam) {
            for class in [KernelClass::Tile, KernelClass::Lanes(8)] {
                let plan = lower(&step.graph, target(class)).expect("a preset has a plan");
                insta::assert_snapshot!(file(&format!("plan-{name}-{kind}-{class}")), plan.to_string());
            }
        }
    }
}

/// The templates that the reference CNN's step expands, as they are compiled.
#[test]
fn expansions() {
    let mut texts = BTreeMap::new();
    for (_, step) in steps("mnist-cnn", OptimizerName::Adam) {
        for class in [KernelClass::Tile, KernelClass::Lanes(8)] {
            let plan = lower(&step.graph, target(class)).expect("a preset has a plan");
            // What takes no parameters is its own expansion.
            let expanded = plan.kernels.into_iter().filter(|(id, _)| !id.params.is_empty());
            texts.extend(expanded.map(|(id, kernel)| (id.to_string(), kernel.text.clone())));
        }
    }
    let bytes: usize = texts.values().map(String::len).sum();
    println!("{} expansions, {bytes} bytes", texts.len());
    assert!(bytes < LIMIT_BYTES, "{bytes} bytes of expansions, expected less than {LIMIT_BYTES}");
    for (id, text) in texts {
        insta::assert_snapshot!(file(&format!("kernel-{id}")), text);
    }
}

/// A name without the characters that some systems refuse in files.
fn file(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    plain.trim_end_matches('-').into()
}
