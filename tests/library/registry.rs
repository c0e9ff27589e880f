//! The registry, the shaders and the op files in step; every kernel of a preset under the cases of `verify`.

use crate::plans::{CLASSES, case_plans, preset_plans, target};
use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use wgrad::ir::launch::{KernelClass, Source};
use wgrad::ops;
use wgrad::ops::matmul::tiles::{LANES, Tile};
use wgrad::plan::KernelId;
use wgrad::plan::kernel::LIBRARY;
use wgrad::plan::lower::lower;
use wgrad::step::control::Control;

/// The files in the families of a folder, such as `pointwise/add.wgsl` of `shaders`.
fn files(folder: &str) -> BTreeSet<String> {
    let entries = |path: PathBuf| {
        let entries = path.read_dir().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let families = entries(root.clone()).into_iter().filter(|name| root.join(name).is_dir());
    let in_family = |family: String| {
        // Folders hold the tests of the file beside them.
        let of_family = root.join(&family);
        let names = entries(of_family.clone()).into_iter().filter(move |name| of_family.join(name).is_file());
        names.map(move |name| format!("{family}/{name}")).collect::<Vec<_>>()
    };
    families.flat_map(in_family).collect()
}

/// The family of an op: the folder of its file.
fn family(op: &str) -> String {
    let ends = format!("/{op}.rs");
    let file = files("src/ops").into_iter().find(|file| file.ends_with(&ends));
    file.and_then(|file| Some(file.split_once('/')?.0.to_string())).unwrap_or_else(|| panic!("{op} has no file"))
}

/// Every shader of the registry, with its op.
fn sources() -> Vec<(&'static str, &'static Source)> {
    ops::ALL.iter().flat_map(|entry| entry.kernels.iter().map(|source| (entry.name, source))).collect()
}

/// An op names the kernel that it launches: `ADD`, never `KERNELS[0]`. A name that is not there does not compile.
#[test]
fn kernels_are_chosen_by_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops");
    for file in files("src/ops") {
        let text = std::fs::read_to_string(folder.join(&file)).unwrap();
        assert!(!text.contains("KERNELS["), "src/ops/{file} chooses a kernel by its position");
        // Each constant is the stem of its file in capitals.
        for line in text.lines().filter(|line| line.starts_with("    ") && line.ends_with("\",")) {
            let Some((name, path)) = line.trim().trim_end_matches(',').split_once(" = \"") else { continue };
            let stem = path.trim_end_matches('"').rsplit('/').next().unwrap_or_default();
            let is_constant = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            assert!(!is_constant || name == stem.to_uppercase(), "src/ops/{file}: {line}");
        }
    }
}

/// Every text of the library is used, and by more than one shader, itself or in another text: what one alone uses stands in it.
#[test]
fn every_shared_text_is_shared() {
    let names: BTreeSet<String> = LIBRARY.iter().map(|(name, _)| format!("lib/{name}.wgsl")).collect();
    let files: BTreeSet<String> = files("shaders").into_iter().filter(|file| file.starts_with("lib/")).collect();
    assert_eq!(names, files, "the library, and its files");
    fn takes(text: &str, name: &str) -> bool {
        let used = text.lines().filter_map(|line| line.trim_start().strip_prefix("//: use "));
        let mut texts = used.flat_map(|used| LIBRARY.iter().find(|(known, _)| *known == used));
        texts.any(|(used, text)| *used == name || takes(text, name))
    }
    for (name, _) in LIBRARY {
        let users = sources().iter().filter(|(_, source)| takes(source.text, name)).count();
        assert!(users > 1, "lib/{name}.wgsl has {users} users");
    }
}

#[test]
fn every_shader_file_is_in_exactly_one_entry() {
    let mut owners: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (op, source) in sources() {
        let file = format!("{}.wgsl", source.path);
        assert_eq!(source.path, format!("{}/{}", family(op), source.name), "the family of {op} is that of its shaders");
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders").join(&file));
        assert_eq!(text.unwrap_or_else(|e| panic!("{file}: {e}")), source.text, "{file}");
        owners.entry(file).or_default().push(op);
    }
    let twice: Vec<_> = owners.iter().filter(|(_, ops)| ops.len() > 1).collect();
    assert!(twice.is_empty(), "in several entries: {twice:?}");
    let kernels = files("shaders").into_iter().filter(|file| !file.starts_with("lib/"));
    assert_eq!(
        kernels.collect::<BTreeSet<_>>(),
        owners.into_keys().collect::<BTreeSet<_>>(),
        "files, and the registry's shaders"
    );
}

#[test]
fn every_op_has_a_file_of_its_name_and_cases() {
    let mut names = BTreeSet::new();
    for entry in ops::ALL.iter() {
        let file = format!("{}/{}.rs", family(entry.name), entry.name);
        assert!(names.insert(file), "{} is there twice", entry.name);
        let cases = (entry.cases)();
        assert!(!cases.is_empty(), "{} has no case", entry.name);
        for case in &cases {
            assert_eq!(case.op.name(), entry.name, "{}", case.label());
        }
        // A kernel's name begins with its op's, so that a listing shows its op.
        for source in entry.kernels {
            assert!(source.name.starts_with(entry.name), "{} of {}", source.name, entry.name);
        }
    }
    // Files without an op are what ops share: geometry, the prelude and the like.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops");
    let is_op = |file: &String| std::fs::read_to_string(folder.join(file)).is_ok_and(|text| text.contains(" Op for "));
    assert_eq!(names, files("src/ops").into_iter().filter(is_op).collect::<BTreeSet<_>>(), "entries, and op files");
}

#[test]
fn every_shader_begins_with_its_formula() {
    for (_, source) in sources() {
        let first = source.text.lines().next().unwrap_or_default();
        let formula = first.strip_prefix("// ").unwrap_or_default();
        let template = first.strip_prefix("//:").is_some();
        assert!(!template && formula.len() > 10, "{}: {first:?}", source.name);
    }
}

/// See `src/plan/template.rs` for the reason.
#[test]
fn what_a_template_repeats_joins_conditions_without_branching() {
    let texts = sources().into_iter().map(|(_, source)| (source.name, source.text));
    for (name, text) in texts.chain(LIBRARY.iter().copied()) {
        let mut depth = 0;
        for line in text.lines() {
            match line.trim_start().strip_prefix("//: ") {
                Some("end") => depth -= 1,
                Some(head) => depth += i32::from(head.starts_with("for ")),
                None => assert!(depth == 0 || !line.contains("&&") && !line.contains("||"), "{name}: {line}"),
            }
        }
    }
}

#[test]
fn every_kernel_is_run_by_a_case_of_its_op() {
    let mut run: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (op, _, plan) in case_plans() {
        run.extend(plan.dispatches.iter().map(|dispatch| (op, dispatch.kernel.name)));
    }
    for (op, source) in sources() {
        // A view has no dispatch of its own: its kernels serve other ops.
        let view = ops::ALL.iter().any(|entry| entry.name == op && (entry.cases)()[0].op.is_view());
        let by_a_case = run.iter().any(|&(by, kernel)| kernel == source.name && (by == op || view));
        assert!(by_a_case, "no case of {op} runs {}", source.name);
    }
}

/// Training runs the same kernels that `verify` checks: kernel by kernel, in the same expansion and class.
#[test]
fn every_kernel_of_a_preset_is_run_by_a_case() {
    let cases = case_plans();
    let mut missing = BTreeSet::new();
    for class in CLASSES {
        let of_class = cases.iter().filter(|(_, of, _)| *of == class);
        let run: BTreeSet<&KernelId> = of_class.flat_map(|(_, _, plan)| plan.kernels.keys()).collect();
        for (name, plan) in preset_plans(class) {
            let unknown = plan.kernels.keys().filter(|id| !run.contains(id));
            missing.extend(unknown.map(|id| format!("{name}: {id}")));
        }
    }
    assert!(missing.is_empty(), "kernels that no case runs in the class: {missing:#?}");
}

/// Each entry of the tables of tile shapes, in every direction that it can be used in.
#[test]
fn every_tile_shape_is_run_by_a_case() {
    let cases = case_plans();
    let run = |class: KernelClass, wanted: &[(&str, i64)]| {
        let ids = cases.iter().filter(|(_, of, _)| *of == class).flat_map(|(_, _, plan)| plan.kernels.keys());
        ids.into_iter().any(|id| wanted.iter().all(|param| id.params.contains(param)))
    };
    for tile in Tile::all() {
        assert!(run(KernelClass::Tile, &tile.params()), "no case runs {tile:?}");
    }
    for class in CLASSES {
        for tile in LANES {
            let KernelClass::Lanes(lanes) = class else { continue };
            assert!(run(class, &tile.params(lanes)), "no case runs {tile:?} in {class}");
        }
    }
}

/// A step is run again and again: what it is given must be there the next time.
#[test]
fn what_a_step_is_given_shares_its_memory_with_nothing() {
    for entry in ops::ALL.iter() {
        for case in (entry.cases)() {
            let (graph, given, _) = case.graph().unwrap();
            for class in CLASSES {
                let plan = lower(&graph, target(class)).unwrap();
                let buffer = |t: usize| plan.places[t].map(|place| place.buffer);
                for t in given.iter().map(|t| t.index()) {
                    let other =
                        (0..plan.tensors.len()).find(|&u| u != t && buffer(t).is_some() && buffer(u) == buffer(t));
                    let view = other.is_some_and(|u| plan.tensors[u].view.is_some());
                    assert!(other.is_none() || view, "{} {class}: %{t} and %{}", case.label(), other.unwrap_or(0));
                }
            }
        }
    }
}

#[test]
fn the_control_block_is_one_in_rust_and_in_every_shader() {
    let expected = [
        ("key", offset_of!(Control, key)),
        ("step", offset_of!(Control, step)),
        ("epoch", offset_of!(Control, epoch)),
        ("first", offset_of!(Control, first)),
        ("valid", offset_of!(Control, valid)),
        ("samples", offset_of!(Control, samples)),
        ("rate", offset_of!(Control, rate)),
        ("correction1", offset_of!(Control, correction1)),
        ("correction2", offset_of!(Control, correction2)),
        ("weight", offset_of!(Control, weight)),
        ("reserved", offset_of!(Control, reserved)),
    ];
    let floats = ["rate", "correction1", "correction2", "weight"];
    let mut declared = BTreeSet::new();
    // Reflected from the kernels as they are launched, so that templates are seen expanded.
    for (_, _, plan) in case_plans() {
        for (id, kernel) in plan.kernels.iter().filter(|(id, _)| !declared.contains(id.name)).collect::<Vec<_>>() {
            let named = kernel.module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("Control"));
            let Some((_, naga::Type { inner: naga::TypeInner::Struct { members, span }, .. })) = named else {
                continue;
            };
            let found: Vec<(&str, usize)> =
                members.iter().map(|m| (m.name.as_deref().unwrap_or_default(), m.offset as usize)).collect();
            assert_eq!(found, expected, "{id}");
            assert_eq!(*span as usize, size_of::<Control>(), "{id}");
            for member in &members[..members.len() - 1] {
                let kind = kernel.module.types[member.ty].inner.scalar_kind();
                let float = floats.contains(&member.name.as_deref().unwrap_or_default());
                assert_eq!(kind == Some(naga::ScalarKind::Float), float, "{id}: {:?}", member.name);
            }
            declared.insert(id.name);
        }
    }
    for kernel in ["adam", "sgd", "draw", "draw_words", "softmax_ce", "step_end"] {
        assert!(declared.contains(kernel), "{kernel} reads the control block: {declared:?}");
    }
}
