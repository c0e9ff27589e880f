//! Every kernel, at every case, on every adapter present, against the oracle.

use crate::adapter::usable;
use std::sync::Arc;
use wgrad::device::Device;
use wgrad::device::gpu::open::{OpenOptions, open};
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
