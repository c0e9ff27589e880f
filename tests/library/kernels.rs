//! Every kernel, at every case, on every adapter present, against the oracle.

use crate::adapter::usable;
use std::sync::Arc;
use wgrad::device::Device;
use wgrad::device::cpu::Executor;
use wgrad::device::gpu::open::{OpenOptions, open};
use wgrad::ir::case::Case;
use wgrad::ir::values::Values;
use wgrad::ops::matmul::matmul_nn::MatmulNn;
use wgrad::ops::matmul::matmul_nt::MatmulNt;
use wgrad::ops::matmul::matmul_tn::MatmulTn;
use wgrad::{ops, verify};

/// No adapter is a failure, not a skip.
#[test]
fn every_kernel_agrees_with_the_oracle_on_every_adapter() {
    for (candidate, adapter) in usable() {
        let gpu = pollster::block_on(open(&adapter, OpenOptions::default())).expect("the adapter opens");
        let reports = verify::kernels(&Device::Gpu(Arc::new(gpu)), &ops::ALL, false).expect("every kernel runs");
        for report in &reports {
            println!(
                "{}: {:28} {:3} cases, error {:.2e} of {:.2e} {}",
                candidate.label(),
                report.kernel,
                report.cases,
                report.worst_error,
                report.tolerance,
                report.verdict
            );
        }
        let failed: Vec<_> = reports.iter().filter(|r| r.verdict != "pass").collect();
        assert!(failed.is_empty(), "{}: {failed:#?}", candidate.label());
    }
}

/// Products on the native CPU: rows that leave a remainder for several threads, few columns, sums of many terms.
#[test]
fn products_do_not_depend_on_the_number_of_threads() {
    for [m, n, k] in [[128, 10, 128], [49, 64, 300], [64, 60, 600], [17, 1000, 77], [300, 3, 4000]] {
        let cases = [
            Case::new(MatmulNt::default()).random([m, k]).random([n, k]),
            Case::new(MatmulNn::default()).random([m, k]).random([k, n]),
            Case::new(MatmulTn).random([k, m]).random([k, n]),
        ];
        for case in cases {
            let of = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let (graph, x, y) = case.graph().unwrap();
                let mut executor = Executor::<f32>::new(graph, true).unwrap();
                for (x, (_, values)) in x.iter().zip(&case.x) {
                    executor.set(*x, values).unwrap();
                }
                pool.install(|| executor.step());
                let Values::Float(found) = executor.get(y[0]) else { panic!("a product of floats") };
                found
            };
            let one = of(1);
            assert!([3, 8].iter().all(|threads| of(*threads) == one), "{}: {m}, {n}, {k}", case.label());
        }
    }
}
