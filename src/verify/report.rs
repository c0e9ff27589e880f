//! The text for a bug report: the system, the device, its limits and every row of `verify`.

use crate::device::Device;
use crate::device::choice::candidate::Candidate;
use crate::device::choice::listing;
use crate::device::choice::{Choice, VARIABLE};
use crate::device::gpu::class_of;
use crate::device::gpu::classes_of;
use crate::device::gpu::open::Opened;
use crate::verify::KernelReport;
use crate::verify::models::ModelReport;
use std::fmt::Write;
use std::process::Command;

/// How to ask a system for its name and version, by Rust's name of it.
const SYSTEMS: [(&str, &[&str]); 4] = [
    ("linux", &["uname", "-sr"]),
    ("macos", &["sw_vers", "-productVersion"]),
    ("windows", &["cmd", "/c", "ver"]),
    ("freebsd", &["uname", "-sr"]),
];

/// The variables that change which device is found, or what it does.
const VARIABLES: [&str; 10] = [
    VARIABLE,
    "WGPU_BACKEND",
    "WGPU_ADAPTER_NAME",
    "WGRAD_PORTABLE_LIMITS",
    "WGRAD_KERNELS",
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "VK_LOADER_DRIVERS_SELECT",
    "LIBGL_ALWAYS_SOFTWARE",
    "LP_NUM_THREADS",
];

/// The state when the checks are finished, or could not continue.
#[derive(Debug, Default)]
pub struct Facts<'a> {
    /// Everything that could do the work.
    pub candidates: &'a [Candidate],
    /// The chosen device, if any.
    pub device: Option<(&'a Device, &'a Choice)>,
    /// A row for every kernel.
    pub kernels: &'a [KernelReport],
    /// A row for every model.
    pub models: &'a [ModelReport],
    /// The error that stopped the checks, or the failures.
    pub error: Option<String>,
}

/// The report as Markdown.
pub fn markdown(facts: &Facts) -> String {
    let mut text = String::from("# wgrad verify\n\n");
    let mut row = |name: &str, value: &str| text += &format!("- {name}: {}\n", value.trim());
    row("result", facts.error.as_deref().unwrap_or("passed"));
    row("wgrad", concat!(env!("CARGO_PKG_VERSION"), ", ", env!("CARGO_PKG_RUST_VERSION"), " or a newer Rust"));
    row("system", &system());
    match facts.device {
        None => row("device", "none was opened"),
        Some((device, choice)) => {
            row("device", &device.identity());
            row("taken because", &choice.reason);
            match device {
                Device::Gpu(gpu) => adapter(gpu).iter().for_each(|(name, value)| row(name, value)),
                Device::Cpu(pool) => row("threads", &pool.current_num_threads().to_string()),
            }
        }
    }
    for name in VARIABLES {
        if let Some(value) = std::env::var_os(name) {
            row(name, &value.to_string_lossy());
        }
    }
    text += "\n## Failures\n\n";
    text += &failures(facts);
    for (title, body) in [
        ("Every check", table(facts.kernels, facts.models)),
        ("Devices", listing::table(facts.candidates, listing::WIDTH)),
    ] {
        let _ = write!(text, "\n## {title}\n\n```text\n{}\n```\n", body.trim_end());
    }
    text
}

/// The properties that identify an adapter, its driver and its limits.
fn adapter(gpu: &Opened) -> Vec<(&'static str, String)> {
    let (info, limits) = (&gpu.info, &gpu.limits);
    let forms: Vec<String> = classes_of(gpu).iter().map(ToString::to_string).collect();
    let features: Vec<&str> = gpu.features.iter_names().map(|(name, _)| name).collect();
    let sizes = format!("{} to {}", info.subgroup_min_size, info.subgroup_max_size);
    let or_none = |text: String| if text.is_empty() { "none".to_string() } else { text };
    vec![
        ("adapter", format!("{}, {:?}, {}", info.name, info.device_type, info.backend)),
        ("driver", or_none(format!("{} {}", info.driver, info.driver_info).trim().to_string())),
        ("vendor and device", format!("{:#06x}, {:#06x}", info.vendor, info.device)),
        ("forms of kernels", format!("{}; training takes {}", forms.join(", "), class_of(gpu))),
        ("features that are on", or_none(features.join(", "))),
        ("subgroups", sizes),
        (
            "limits",
            format!(
                "binding {} B, buffer {} B, storage buffers {}, storage textures {}, textures {}, invocations {}, \
                 workgroup {} × {} × {}, its memory {} B, workgroups per dimension {}, offset alignment {} B",
                limits.max_storage_buffer_binding_size,
                limits.max_buffer_size,
                limits.max_storage_buffers_per_shader_stage,
                limits.max_storage_textures_per_shader_stage,
                limits.max_texture_dimension_2d,
                limits.max_compute_invocations_per_workgroup,
                limits.max_compute_workgroup_size_x,
                limits.max_compute_workgroup_size_y,
                limits.max_compute_workgroup_size_z,
                limits.max_compute_workgroup_storage_size,
                limits.max_compute_workgroups_per_dimension,
                limits.min_storage_buffer_offset_alignment,
            ),
        ),
    ]
}

/// Every case and every op that failed, with its shapes.
fn failures(facts: &Facts) -> String {
    let mut text = String::new();
    for kernel in facts.kernels.iter().filter(|kernel| kernel.verdict != "pass") {
        let (failed, cases) = (kernel.failures.len(), kernel.cases);
        let _ = writeln!(text, "- {}: {failed} of {cases} cases", kernel.kernel);
        kernel.failures.iter().for_each(|failure| text += &format!("  - {failure}\n"));
    }
    for model in facts.models.iter().filter(|model| model.verdict != "pass") {
        let failed = model.failed.as_deref().unwrap_or("an op");
        let _ = writeln!(text, "- {}, at {failed}; its kernels: {}", model.model, model.kernels.join(", "));
    }
    match (text.is_empty(), &facts.error) {
        (true, None) => "none\n".into(),
        (true, Some(error)) => format!("- {error}\n"),
        (false, _) => text,
    }
}

/// The rows of all kernels and models as `wgrad verify` prints them.
pub fn table(reports: &[KernelReport], whole: &[ModelReport]) -> String {
    let mut text = format!("{:36} {:>5} {:>11} {:>9}  verdict\n", "kernel", "cases", "worst error", "tolerance");
    for r in reports {
        let (error, tolerance) = (r.worst_error, r.tolerance);
        text += &format!("{:36} {:5} {error:11.2e} {tolerance:9.2e}  {}\n", r.kernel, r.cases, r.verdict);
        if let Some(case) = &r.failed_case {
            text += &format!("  failed: {case}\n");
        }
    }
    text += &format!(
        "\n{:36} {:>5} {:>11} {:>9}  verdict\n",
        "model, one training step", "ops", "worst error", "tolerance"
    );
    for m in whole {
        let (error, tolerance) = (m.worst_error, m.tolerance);
        text += &format!("{:36} {:5} {error:11.2e} {tolerance:9.2e}  {}\n", m.model, m.ops, m.verdict);
        if let Some(what) = &m.failed {
            text += &format!("  failed: {what}\n");
        }
    }
    text
}

/// The operating system with its version, where it can be asked, the processor's kind and the number of threads.
fn system() -> String {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let asked = SYSTEMS.iter().find(|(name, _)| *name == os).and_then(|(_, words)| {
        let output = Command::new(words[0]).args(&words[1..]).output().ok().filter(|o| o.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_string())
    });
    let mut parts = vec![os.to_string()];
    parts.extend(distribution());
    parts.extend(asked);
    format!("{}, {arch}, {threads} threads", parts.join(", "))
}

/// The name of a Linux distribution.
fn distribution() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_string())
}
