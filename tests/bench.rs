//! `wgrad bench`: the format of its report, and the consistency of its figures.

mod common;

use common::{Place, call, number};
use serde_json::Value;
use wgrad::bench::ops::{OpReport, ops};
use wgrad::data::Split;
use wgrad::device::Device;
use wgrad::device::gpu::timing::Clock;
use wgrad::model::Model;
use wgrad::train::settings::options::TrainOptions;
use wgrad::train::step::Step;

fn json(place: &Place, line: &str) -> Value {
    let done = place.works(&format!("{line} --json"));
    serde_json::from_str(&done.out).unwrap_or_else(|e| panic!("{line}: {e}: {}", done.out))
}

/// A median is a positive number within its range.
fn within(found: &Value, key: &str, side: Option<&str>) {
    let at = |key: &str| side.map_or(&found[key], |side| &found[key][side]).clone();
    let (median, range) = (at(key), at(&format!("{key}_range")));
    let figures = [&range[0], &median, &range[1]].map(Value::as_f64);
    let [Some(least), Some(median), Some(most)] = figures else { panic!("{key} {side:?}: {found}") };
    assert!(0.0 < least && least <= median && median <= most, "{key} {side:?}: {least} {median} {most}");
    // Times of several repetitions are never all the same.
    assert!(least < most || key.ends_with("seconds"), "{key} {side:?}: {least} {median} {most}");
}

#[test]
fn a_training_step_op_by_op() {
    let place = Place::new();
    for (device, on_adapter) in [(common::adapter::name(), true), ("cpu", false)] {
        let found = json(&place, &format!("bench --model tiny.toml --batch-size 16 --against cpu --device {device}"));
        assert_eq!((&found["model"], &found["batch_size"]), (&"tiny".into(), &16.into()));
        assert!(found["device"].as_str().is_some_and(|name| !name.is_empty()));
        for figure in ["step_ms", "images_per_second"] {
            within(&found, figure, Some("cpu"));
            assert_eq!(found[figure]["shader"].is_f64(), on_adapter, "{device}: {figure}");
            if on_adapter {
                within(&found, figure, Some("shader"));
            }
        }
        within(&found, "first_step_seconds", None);
        if cfg!(target_os = "linux") {
            within(&found, "first_step_cold_seconds", None);
            assert!(number(&found, "peak_resident_bytes") > number(&found, "memory_bytes"), "{found}");
        }
        for figure in ["submit_ms", "read_back_ms"] {
            assert_eq!(found[figure].as_f64().is_some_and(|ms| ms > 0.0), on_adapter, "{found}");
        }
        assert_eq!(found["op_clock"].is_string(), on_adapter);
        // Images of 8 × 8 alone are more.
        assert!(number(&found, "memory_bytes") > 16.0 * 64.0);
        let ops = found["ops"].as_array().expect("ops");
        let names: Vec<&str> = ops.iter().filter_map(|op| op["op"].as_str()).collect();
        for name in ["draw", "softmax_ce", "matmul_tn", "adam", "step_end"] {
            assert!(names.contains(&name), "{device}: {names:?}");
        }
        for op in ops {
            within(op, "cpu_ms", None);
            assert_eq!(op["dispatches"].as_u64().is_some_and(|n| n > 0), on_adapter, "{op}");
            assert!(op.get("gflops").is_some(), "{op}");
        }
        let shares: f64 = ops.iter().filter_map(|op| op["share"].as_f64()).sum();
        assert!((shares - if on_adapter { 1.0 } else { 0.0 }).abs() < 1e-9, "{shares}");
    }
}

/// An op that takes a large part of the step by one clock does so by the other: none is charged with a neighbour's
/// time. By the median of the repetitions, which is the printed value; a factor of eight is far from what two clocks
/// differ by on a busy machine, and near to nothing that an exchange of a convolution's time with a copy's would leave.
/// Another process can have the device for a while, which is then in one op's time: the clocks are asked again, and an
/// exchange would be there every time.
#[test]
fn the_two_clocks_agree_on_the_heavy_ops() {
    let device = common::adapter::device();
    let cpu = Device::cpu(0).expect("threads");
    let model = Model::preset("mnist-deep", [14, 14, 1], 10).expect("a preset");
    // With fewer samples the optimizer takes most of a step where memory is slow, and no three others a tenth.
    let options = TrainOptions { batch_size: 16, ..TrainOptions::default() };
    let labels = (0..16u8).map(|i| i % 10).collect();
    let data = Split::new([14, 14, 1], (0..16 * 196).map(|i| (i % 251) as u8).collect(), labels);
    let data = data.expect("a split");
    let step = Step::training(&model, 16, &options).expect("a step");
    let rows = |clock| {
        let timed = ops(&device, &cpu, &step, &model, &data, &options, Some(clock));
        let (used, rows) = pollster::block_on(timed).expect("rows");
        assert_eq!(used, Some(clock));
        let shares: f64 = rows.iter().filter_map(|op| op.share).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{shares}");
        rows
    };
    let mut apart = Vec::new();
    for _ in 0..5 {
        apart = differences(&rows(Clock::Device), &rows(Clock::Wall));
        if apart.is_empty() {
            return;
        }
    }
    panic!("five times over: {apart:?}");
}

/// Where two clocks differ by more than a factor of eight on an op that takes a tenth of the step by one of them.
fn differences(by_device: &[OpReport], by_wall: &[OpReport]) -> Vec<String> {
    let median = |op: &OpReport| op.shader_ms.unwrap_or(0.0);
    let parts = |rows: &[OpReport]| -> Vec<f64> {
        let whole: f64 = rows.iter().map(median).sum();
        rows.iter().map(|op| median(op) / whole).collect()
    };
    let (mut heavy, mut apart) = (0, Vec::new());
    for (n, (device, wall)) in parts(by_device).into_iter().zip(parts(by_wall)).enumerate() {
        let (least, most) = (device.min(wall), device.max(wall));
        if most > 0.1 {
            heavy += 1;
            if least <= most / 8.0 {
                let name = &by_device[n].op;
                apart.push(format!("{n} {name}: {device} of a step by the device's clock, {wall} by the wall clock"));
            }
        }
    }
    if heavy < 3 {
        apart.push(format!("{heavy} heavy ops: {by_device:?}"));
    }
    apart
}

#[test]
fn the_table_says_what_its_columns_are() {
    let place = Place::new();
    let done = place.works("bench --model tiny.toml --batch-size 16 --threads 1");
    for word in ["tiny at batch 16", "native CPU, 1 threads", "cpu ms, 1 thr.", "share", "GB/s", "all dispatches:"] {
        assert!(done.out.contains(word), "{word}: {}", done.out);
    }
    // On every row whose ratio is below one, and on no other.
    let rows = done.out.lines().skip_while(|line| !line.starts_with("op ")).skip(1);
    let rows: Vec<&str> = rows.take_while(|line| !line.starts_with("all dispatches")).collect();
    assert!(rows.len() > 5, "{}", done.out);
    for row in rows {
        let numbers: Vec<f64> = row.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        // Dispatches, two times with a spread each, the ratio.
        let slower = numbers[5] < 1.0;
        // A ratio of 1.00 may have been rounded up to it.
        assert!(numbers[5] == 1.0 || row.ends_with("the CPU is faster here") == slower, "{row}");
    }
}

/// Many results and little work.
const WIDE: &str = r#"input = [4, 4, 1]
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = 8192
"#;

#[test]
fn images_a_second_by_batch_size_and_where_the_limits_are() {
    let place = Place::new();
    place.write("wide.toml", WIDE);
    let line = "bench scale --model wide.toml --batch-sizes 4200,4,18446744073709551615 --json";
    // With WebGPU's default limits no storage binding holds the results of the first: 4200 × 8192 floats.
    let mut command = common::wgrad();
    let command = command.env("WGRAD_PORTABLE_LIMITS", "1").args(line.split_whitespace());
    let done = call(command, &place.path(""));
    assert_eq!(done.status, Some(0), "{done:#?}");
    let found: Value = serde_json::from_str(&done.out).expect("JSON");
    let rows = found["rows"].as_array().expect("rows");
    let sizes: Vec<u64> = rows.iter().filter_map(|row| row["batch_size"].as_u64()).collect();
    assert_eq!(sizes, [4200, 4, u64::MAX]);
    for (row, [shader, cpu]) in rows.iter().zip([[false, true], [true, true], [false, false]]) {
        for (side, runs) in [("shader", shader), ("cpu", cpu)] {
            assert_eq!(row["images_per_second"][side].is_f64(), runs, "{row}");
            assert_eq!(row["limit"][side].is_string(), !runs, "{row}");
            if runs {
                within(row, "step_ms", Some(side));
            }
        }
    }
    assert!(rows[0]["limit"]["shader"].as_str().is_some_and(|why| why.contains("per binding")), "{}", rows[0]);
    let table = place.works("bench scale --model tiny.toml --batch-sizes 4,18446744073709551615 --device cpu").out;
    assert!(table.contains("cpu: batch size 18446744073709551615") && table.lines().count() == 5, "{table}");
}

#[test]
fn a_matrix_product_agrees_with_the_gemm_crate() {
    let place = Place::new();
    for (device, on_adapter) in [(common::adapter::name(), true), ("cpu", false)] {
        // 52 is a multiple of four, for the lanes form; 33 is not.
        for size in [33, 52] {
            let found = json(&place, &format!("bench matmul --size {size} --device {device}"));
            assert_eq!(found["size"], size);
            within(&found, "cpu_gflops", None);
            assert_eq!(found["shader_gflops"].is_f64(), on_adapter);
            if on_adapter {
                within(&found, "shader_gflops", None);
            }
        }
    }
}

#[test]
fn what_cannot_be_meant_is_bad_input() {
    let place = Place::new();
    for (line, word) in [
        ("bench matmul --size 0", "size 0"),
        ("bench matmul --size 8193", "size 8193"),
        ("bench --against gpu", "--against"),
        ("bench --batch-size 0", "batch size 0"),
        ("bench --batch-size 99999999", "batch size 99999999"),
        ("bench scale --batch-sizes 4,0", "batch size 0"),
        ("bench scale --batch-sizes 4,x", "--batch-sizes"),
        ("bench scale --against burn", "--against"),
        ("bench --batch-size 64 scale", "cannot be used with"),
        ("bench scale --processes", "--processes: found one process"),
    ] {
        let done = place.call(line);
        assert_eq!(done.status, Some(2), "{line}: {done:#?}");
        assert!(done.err.contains(word) && done.out.is_empty(), "{line}: {done:#?}");
    }
}
