//! `wgrad bench`: the shape of what it reports, and that its figures hang together.

use serde_json::Value;
use std::process::Command;

fn bench(args: &str) -> Value {
    let run = Command::new(env!("CARGO_BIN_EXE_wgrad")).args(args.split(' ')).output().expect("the command runs");
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{args}: {err}");
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args}: {e}: {out}"))
}

#[test]
fn a_training_step_op_by_op() {
    for (device, on_adapter) in [("auto", true), ("cpu", false)] {
        let found = bench(&format!("bench --batch-size 16 --json --device {device}"));
        assert_eq!((&found["model"], &found["batch_size"]), (&"mnist-cnn".into(), &16.into()));
        for figure in ["step_ms", "images_per_second"] {
            assert_eq!(found[figure]["shader"].is_f64(), on_adapter, "{device}: {figure}");
            assert!(found[figure]["cpu"].as_f64().is_some_and(|f| f > 0.0), "{device}: {figure}");
        }
        assert!(found["first_step_seconds"].as_f64().is_some_and(|s| s > 0.0));
        assert!(found["memory_bytes"].as_u64().is_some_and(|b| b > 16 * 28 * 28));
        let ops = found["ops"].as_array().expect("ops");
        let names: Vec<&str> = ops.iter().filter_map(|op| op["op"].as_str()).collect();
        for name in ["gather", "conv2d_relu_pool", "softmax_ce", "matmul_tn", "adam", "step_end"] {
            assert!(names.contains(&name), "{device}: {names:?}");
        }
        for op in ops {
            assert!(op["cpu_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{op}");
            assert_eq!(op["dispatches"].as_u64().is_some_and(|n| n > 0), on_adapter, "{op}");
        }
    }
}

#[test]
fn a_matrix_product_agrees_with_the_gemm_crate() {
    for (device, on_adapter) in [("auto", true), ("cpu", false)] {
        // 52 is a multiple of four, for the lanes form; 33 is not.
        for size in [33, 52] {
            let found = bench(&format!("bench matmul --size {size} --json --device {device}"));
            assert_eq!(found["size"], size);
            assert_eq!(found["shader_gflops"].is_f64(), on_adapter);
            assert!(found["cpu_gflops"].as_f64().is_some_and(|f| f > 0.0));
        }
    }
}

#[test]
fn sizes_that_cannot_be_meant_are_bad_input() {
    for size in ["0", "8193"] {
        let run = Command::new(env!("CARGO_BIN_EXE_wgrad")).args(["bench", "matmul", "--size", size]).output();
        let run = run.expect("the command runs");
        assert_eq!(run.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&run.stderr).contains(&format!("size {size}")));
    }
}
