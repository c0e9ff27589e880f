//! A new process up to its first training step: the part of the start-up bench that is timed from outside.

use crate::bench::DATA_STEPS;
use crate::bench::runner::{options, random_data};
use crate::device::Device;
use crate::error::Result;
use crate::model::Model;
use crate::train::epochs::trainer::{Event, Trainer};
use crate::train::settings::options::TrainOptions;
use std::ops::ControlFlow;

/// Trains `model` on random data for one step as `wgrad train` would, and calls `done` when its record is back.
pub async fn first_step(device: &Device, model: &Model, batch: usize, mut done: impl FnMut()) -> Result<()> {
    let data = random_data(model, batch, DATA_STEPS)?;
    let options = TrainOptions { max_steps: Some(1), ..options(batch) };
    let mut trainer = Trainer::new(device, model, &data, &options, None)?;
    let observe = |event: Event| {
        if let Event::Steps { .. } = event {
            done();
        }
        ControlFlow::Continue(())
    };
    trainer.fit(observe).await.map(drop)
}

/// The most memory that this process has had resident, in bytes; `None` if the system does not report it (Linux does).
pub fn peak_resident_bytes() -> Option<u64> {
    high_water(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let mut words = line.split_whitespace();
    let kib: u64 = words.next()?.parse().ok()?;
    (words.next() == Some("kB")).then_some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_of_a_status_file() {
        let status = "Name:\twgrad\nVmPeak:\t  999 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 7 kB\n";
        assert_eq!(high_water(status), Some(2 << 20));
        for wrong in ["", "VmRSS: 7 kB", "VmHWM: kB", "VmHWM: 5 MB", "VmHWM: -5 kB"] {
            assert_eq!(high_water(wrong), None, "{wrong}");
        }
        if cfg!(target_os = "linux") {
            assert!(peak_resident_bytes().is_some_and(|bytes| bytes > 1 << 16));
        }
    }
}
