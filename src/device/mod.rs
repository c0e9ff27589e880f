//! The device that work runs on: an adapter, or the native CPU with its threads.

pub mod choice;
pub mod cpu;
pub mod executor;
pub mod gpu;

use crate::counted::counted;
use crate::device::choice::{Choice, DeviceRequest};
use crate::device::gpu::adapter;
use crate::device::gpu::open::{OpenOptions, Opened, open};
use crate::error::{Error, Result};
use std::sync::Arc;

/// An opened device.
#[derive(Clone, Debug)]
pub enum Device {
    /// An adapter that runs shaders.
    Gpu(Arc<Opened>),
    /// The native CPU.
    Cpu(Arc<rayon::ThreadPool>),
}

impl Device {
    /// Chooses a device, says why, and opens it. `threads` limits the native CPU; 0 takes all cores.
    pub async fn open(request: &DeviceRequest, threads: usize) -> Result<(Device, Choice)> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            n => n,
        };
        let (choice, adapter) = adapter::choose(request, threads).await?;
        let device = match adapter {
            Some(adapter) => Device::Gpu(Arc::new(open(&adapter, OpenOptions::from_env()?).await?)),
            None => Device::cpu(threads)?,
        };
        Ok((device, choice))
    }

    /// The native CPU with this many threads.
    pub fn cpu(threads: usize) -> Result<Device> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.map(|pool| Device::Cpu(Arc::new(pool)))
            .map_err(|e| Error::failed(format!("{threads} threads cannot be started: {e}")))
    }

    /// A notice for the user once steps are built, if any.
    pub fn notice(&self) -> Option<&str> {
        match self {
            Device::Gpu(gpu) => gpu.cache.as_ref()?.notice(),
            Device::Cpu(_) => None,
        }
    }

    /// The device's name.
    pub fn name(&self) -> String {
        match self {
            Device::Gpu(gpu) => gpu.info.name.clone(),
            Device::Cpu(pool) => format!("native CPU, {}", counted(pool.current_num_threads(), "thread")),
        }
    }

    /// The properties on which the bytes of a result may depend: adapter, interface and driver; for the native CPU its
    /// kind, for which matrix products have a form of their own. The number of threads changes nothing.
    pub fn identity(&self) -> String {
        match self {
            Device::Gpu(gpu) => {
                let info = &gpu.info;
                let driver = format!("{} {}", info.driver, info.driver_info);
                format!("{} ({}, {})", info.name, info.backend, driver.trim())
            }
            Device::Cpu(_) => format!("native CPU ({}{})", std::env::consts::ARCH, vectors()),
        }
    }
}

/// The widest vectors of this processor that wgrad's own code knows of.
fn vectors() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return ", AVX-512";
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return ", AVX2";
        }
    }
    ""
}
