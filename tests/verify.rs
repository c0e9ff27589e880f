//! `verify` itself: a broken kernel fails and is named, a working device passes, and every kernel of a preset is
//! checked.

mod common;

use common::{Place, keys, number};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use wgrad::device::Device;
use wgrad::ir::case::Case;
use wgrad::ir::graph::{Graph, Tensor, TensorInfo};
use wgrad::ir::launch::{Lower, Source};
use wgrad::ir::op::{Backward, In, Op, Out, Real, Reference, Rounding};
use wgrad::ops::Entry;
use wgrad::ops::pointwise::relu::Relu;
use wgrad::verify::kernels;
use wgrad::verify::report::{Facts, markdown};

/// ReLU as the oracle knows it, with its own shader.
#[derive(Clone, Copy, Debug)]
struct Swapped {
    shader: Source,
    broken_on_cpu: bool,
}

impl Reference for Swapped {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        Relu.reference(x, y);
    }
}

impl Op for Swapped {
    fn name(&self) -> &'static str {
        "swapped"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        Relu.outputs(x)
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> wgrad::Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }

    fn lower(&self, cx: &mut Lower) -> wgrad::Result<()> {
        let count = cx.elements(cx.y[0]).div_ceil(4);
        let launch = cx.kernel(self.shader, &[])?.size("count", count);
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), count)
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Relu.rounding(x)
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        self.reference(x, y);
        if self.broken_on_cpu {
            y[0].floats()[0] = f32::NAN;
        }
    }
}

/// The line of `relu.wgsl` that the swaps replace.
const LINE: &str = "y[i] = max(x[i], vec4f(0.0));";

/// `relu.wgsl` with another line in that place.
fn swapped(name: &'static str, line: &str) -> Swapped {
    let text = wgrad::shader!("pointwise/relu").text;
    assert!(text.contains(LINE), "relu.wgsl has changed: {text}");
    let text: &'static str = text.replace(LINE, line).leak();
    Swapped { shader: Source::new(name, text), broken_on_cpu: name != "sound" }
}

static SHADERS: LazyLock<[Swapped; 5]> = LazyLock::new(|| {
    [
        swapped("sound", LINE),
        swapped("takes_the_smaller", "y[i] = min(x[i], vec4f(0.0));"),
        swapped("gives_nan", "y[i] = sqrt(-1.0 - abs(x[i]));"),
        swapped("leaves_some_out", "if i + 1u < count { y[i] = max(x[i], vec4f(0.0)); }"),
        swapped("is_a_little_off", "y[i] = max(x[i], vec4f(0.0)) * 1.000001;"),
    ]
});

fn cases(shader: usize) -> Vec<Case> {
    [vec![1], vec![7], vec![3, 5, 2]]
        .map(|shape| Case::new(SHADERS[shader]).random(wgrad::ir::graph::Shape(shape)))
        .into()
}

/// One op for each shader, as the registry would have it.
fn entries() -> Vec<Entry> {
    // A registry's cases are plain functions, so each shader needs one of its own.
    let cases: [fn() -> Vec<Case>; 5] = [|| cases(0), || cases(1), || cases(2), || cases(3), || cases(4)];
    let entry = |(n, cases)| {
        let shader: &'static Swapped = &SHADERS[n];
        Entry { name: shader.shader.name, kernels: std::slice::from_ref(&shader.shader), cases }
    };
    cases.into_iter().enumerate().map(entry).collect()
}

#[test]
fn a_broken_shader_fails_and_is_named() {
    let device = common::adapter::device();
    let devices = [device, Device::cpu(2).unwrap()];
    for (device, checked) in devices.iter().flat_map(|device| [(device, false), (device, true)]) {
        let reports = kernels(device, &entries(), checked).expect("every kernel runs");
        let verdicts: Vec<(&str, &str)> = reports.iter().map(|r| (r.kernel.as_str(), r.verdict)).collect();
        let expected = [
            ("gives_nan", "fail"),
            ("is_a_little_off", "fail"),
            ("leaves_some_out", "fail"),
            ("sound", "pass"),
            ("takes_the_smaller", "fail"),
        ];
        assert_eq!(verdicts, expected, "{}", device.name());
        for report in &reports {
            assert_eq!(report.failed_case.is_some(), report.verdict == "fail", "{report:?}");
            assert_eq!(report.worst_error <= report.tolerance, report.verdict == "pass", "{report:?}");
        }
    }
}

/// The ops that `wgrad plan --device cpu` names for the presets, except for views, which have no work.
fn ops_of_presets(place: &Place) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let published = wgrad::model::presets::published();
    for preset in wgrad::model::presets::names().into_iter().filter(|name| !published.contains(name)) {
        let text = place.works(&format!("plan {preset} --device cpu")).out;
        // An op with settings has them in brackets.
        let name = |line: &str| Some(plain(line.split_once(" = ")?.1.split([' ', '(']).next()?));
        let ops = text.lines().filter_map(name);
        names.extend(ops);
    }
    let is_view = |op: &&Entry| (op.cases)().iter().all(|case| case.op.is_view());
    for view in wgrad::ops::ALL.iter().filter(is_view) {
        names.remove(&plain(view.name));
    }
    assert!(names.len() >= 8, "{names:?}");
    names
}

/// An op's name whether it is written as a file's or as a type's.
fn plain(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

/// On the native CPU everything, on the adapter one op and one model: every kernel is compared with the oracle on every
/// adapter in `tests/library/kernels.rs`, every preset in `tests/portability.rs`, and each kernel of a preset has a
/// case there.
#[test]
fn the_command_passes_here_and_names_what_it_checked() {
    let place = Place::new();
    for (device, only) in [("", "multiply mnist-cnn"), ("--device cpu", "")] {
        let line = format!("verify --json {device} {only} --report found.md");
        let done = place.works(&line);
        assert!(done.err.contains("saved found.md"), "{done:#?}");
        let found: Value = serde_json::from_str(&done.out).expect("JSON");
        assert_eq!(keys(&found), ["device", "kernels", "models", "passed"]);
        assert_eq!(found["passed"], true);
        assert!(found["device"].as_str().is_some_and(|name| !name.is_empty()));
        let kernels = found["kernels"].as_array().unwrap();
        for kernel in kernels {
            assert_eq!(keys(kernel), ["cases", "kernel", "tolerance", "verdict", "worst_error"]);
            assert!(number(kernel, "cases") >= 1.0 && number(kernel, "worst_error") <= number(kernel, "tolerance"));
            assert_eq!(kernel["verdict"], "pass");
        }
        let names: BTreeSet<String> = kernels.iter().map(|k| plain(k["kernel"].as_str().unwrap())).collect();
        assert_eq!(names.len(), kernels.len(), "each once");
        let models = found["models"].as_array().unwrap();
        let named: Vec<&str> = models.iter().map(|m| m["model"].as_str().unwrap()).collect();
        match only.is_empty() {
            true => {
                let missing: Vec<_> = ops_of_presets(&place).difference(&names).cloned().collect();
                assert!(missing.is_empty(), "{missing:?} are in a preset's graph, not in {names:?}");
                let slow = &wgrad::model::presets::SLOW;
                let quick: Vec<&str> =
                    wgrad::model::presets::names().into_iter().filter(|name| !slow.contains(name)).collect();
                assert_eq!(named, quick);
                assert!(done.err.contains(&slow.join(", ")), "what is left out is said: {}", done.err);
            }
            false => {
                assert!(names.contains("multiply") && names.len() < 10, "{names:?}");
                assert_eq!(named, ["mnist-cnn"]);
            }
        }
        assert!(models.iter().all(|m| m["verdict"] == "pass" && number(m, "ops") >= 9.0), "{models:?}");
        // The report has every row.
        let report = String::from_utf8(place.read("found.md")).expect("text");
        for (list, key) in [(kernels, "kernel"), (models, "model")] {
            for name in list.iter().map(|row| row[key].as_str().unwrap()) {
                let row = |line: &str| line.starts_with(&format!("{name} ")) && line.ends_with("pass");
                assert!(report.lines().any(row), "{name} is missing:\n{report}");
            }
        }
        assert!(report.contains("- result: passed") && report.contains("## Failures\n\nnone\n"), "{report}");
    }
}

/// The report is whole where a kernel is broken: its shapes, its error against its tolerance, the device and its limits.
#[test]
fn a_report_names_the_device_and_every_failed_shape() {
    let (device, choice) = common::adapter::chosen();
    let kernels = kernels(&device, &entries(), false).expect("every kernel runs");
    let error = Some("it fell short".to_string());
    let facts = Facts { device: Some((&device, &choice)), kernels: &kernels, error, ..Facts::default() };
    let text = markdown(&facts);
    let identity = device.identity();
    for part in ["- result: it fell short", env!("CARGO_PKG_VERSION"), std::env::consts::OS, &identity, "workgroup"] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    for kernel in &kernels {
        let row = text.lines().find(|line| line.starts_with(&format!("{} ", kernel.kernel))).expect("a row");
        assert!(row.contains(&format!("{:.2e}", kernel.tolerance)) && row.ends_with(kernel.verdict), "{row}");
        assert_eq!(kernel.failures.is_empty(), kernel.verdict == "pass");
    }
    let shapes = text.lines().filter(|line| line.starts_with("  - ") && line.contains("[3, 5, 2]")).count();
    assert!(shapes >= 4, "{shapes} of [3, 5, 2]:\n{text}");
    assert!(text.contains("tolerance"), "{text}");
}

#[test]
fn what_keeps_a_report_from_being_written_is_told() {
    let place = Place::new();
    let refused = place.call("verify --device cpu --report nowhere/found.md");
    assert_eq!(refused.status, Some(2), "{refused:#?}");
    assert!(refused.err.contains("nowhere/found.md") && refused.out.is_empty(), "{refused:#?}");
    let refused = place.call("verify --device cpu matmull");
    assert_eq!(refused.status, Some(2), "{refused:#?}");
    assert!(refused.err.contains("matmull: found no op, kernel or model"), "{refused:#?}");
    // Where no device can be had the report says so.
    let none = place.call("verify --device nothing-of-that-name --report none.md");
    assert_eq!(none.status, Some(2), "{none:#?}");
    let text = String::from_utf8(place.read("none.md")).expect("text");
    assert!(text.contains("- device: none was opened") && text.contains("nothing-of-that-name"), "{text}");
}
