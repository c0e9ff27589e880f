//! The devices as a table, as JSON and as a run folder's `device.json`; the choice of one as a line.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::device::choice::candidate::{Candidate, KeyLimits, Kind};
use crate::device::choice::{Choice, DeviceRequest, VARIABLE, Wanted, decide};

/// Width of the table in columns, where there is room.
pub const WIDTH: usize = 80;
/// Columns before the name: mark, index, type and interface.
const INDENT: usize = 24;
/// The least width at which names and facts stand beside them; else below, a little deeper.
const BESIDE: usize = 60;

/// A device as JSON shows it. The order of the fields is the order of the keys.
#[derive(Serialize)]
struct Row<'a> {
    index: usize,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    backend: &'static str,
    driver: &'a str,
    driver_info: &'a str,
    vendor_id: u32,
    device_id: u32,
    subgroup_sizes: Option<(u32, u32)>,
    #[serde(serialize_with = "limits_or_empty")]
    limits: Option<KeyLimits>,
    features: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<usize>,
    usable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    unusable_because: Option<&'a str>,
}

#[derive(Serialize)]
struct Refused<'a> {
    device: &'a str,
    why: &'a str,
}

#[derive(Serialize)]
struct Record<'a> {
    device: Row<'a>,
    reason: &'a str,
    refused: Vec<Refused<'a>>,
}

fn limits_or_empty<S: Serializer>(limits: &Option<KeyLimits>, s: S) -> Result<S::Ok, S::Error> {
    match limits {
        Some(limits) => limits.serialize(s),
        None => s.serialize_map(Some(0))?.end(),
    }
}

impl<'a> From<&'a Candidate> for Row<'a> {
    fn from(c: &'a Candidate) -> Self {
        Self {
            index: c.index,
            name: &c.name,
            kind: c.kind.tag(),
            backend: c.api.tag(),
            driver: &c.driver,
            driver_info: &c.driver_info,
            vendor_id: c.vendor_id,
            device_id: c.device_id,
            subgroup_sizes: c.subgroup_sizes,
            limits: c.limits,
            features: &c.features,
            threads: c.threads,
            usable: c.unusable.is_none(),
            unusable_because: c.unusable.as_deref(),
        }
    }
}

/// The output of `wgrad devices --json`: an array with one object per device.
pub fn devices_json(candidates: &[Candidate]) -> serde_json::Result<String> {
    let rows: Vec<Row> = candidates.iter().map(Row::from).collect();
    serde_json::to_string_pretty(&rows)
}

/// The content of a run folder's `device.json`.
pub fn device_json(choice: &Choice) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Record {
        device: Row::from(&choice.device),
        reason: &choice.reason,
        refused: choice.refused.iter().map(|(device, why)| Refused { device, why }).collect(),
    })
}

/// The output of `wgrad devices`: a table of `width` columns, and what to install if there is no GPU.
pub fn table(candidates: &[Candidate], width: usize) -> String {
    let indent = if width < BESIDE { 5 } else { INDENT };
    let auto = decide(candidates, &DeviceRequest::default()).ok();
    let name = if width < BESIDE { "" } else { "name" };
    let mut text = format!("{}\n", format!("   # {:<11}{:<8}{name}", "type", "backend").trim_end());
    for c in candidates {
        let taken = auto.as_ref().is_some_and(|choice| choice.device.index == c.index);
        let mark = if taken { '*' } else { ' ' };
        let mut head = format!("{mark}{:>3} {:<11}{:<8}", c.index, c.kind.tag(), c.api.tag());
        if width < BESIDE {
            text += &format!("{}\n", head.trim_end());
            head = String::new();
        }
        for fact in facts(c) {
            for line in wrap(&fact, width.saturating_sub(indent)) {
                text += &format!("{head:<indent$}{line}\n");
                head = String::new();
            }
        }
    }
    text += "* is what --device auto takes.\n";
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(device) = set(VARIABLE) {
        text += &format!("{VARIABLE}={device}: commands without --device take that.\n");
    }
    if !candidates.iter().any(|c| c.kind.is_gpu() && c.unusable.is_none()) {
        let software = candidates.iter().any(|c| c.kind == Kind::Software && c.unusable.is_none());
        text += &format!("\n{}\n", no_gpu_hint(std::env::consts::OS, software, set("WGPU_BACKEND").as_deref()));
    }
    text
}

/// How Mesa's Vulkan drivers are installed: the distributions, and their line.
const MESA: [(&str, &str); 2] = [
    ("Debian, Ubuntu", "apt install mesa-vulkan-drivers libvulkan1"),
    ("Fedora", "dnf install mesa-vulkan-drivers vulkan-loader"),
];

/// Advice if no GPU was found, on the operating system `os` (Rust's name of it); `software` if there is a software
/// adapter.
pub fn no_gpu_hint(os: &str, software: bool, wgpu_backend: Option<&str>) -> String {
    let mut text = match software {
        true => {
            "No GPU can be used, so --device auto takes the native CPU.\n--device software takes the software adapter.\n"
        }
        false => "No graphics adapter can be used, so only the native CPU can train.\n",
    }
    .to_string();
    match os {
        "linux" => {
            text += "Install the GPU vendor's Vulkan driver, or Mesa's with its software adapter:";
            for (system, line) in MESA {
                text += &format!("\n  {:<16} {line}", format!("{system}:"));
            }
        }
        "windows" => text += "Install the GPU vendor's driver; it brings Vulkan and DX12.",
        "macos" | "ios" => text += "Metal is built in: this machine or its session offers no Metal device.",
        _ => text += "Install a Vulkan driver and the Vulkan loader for this system.",
    };
    if let Some(filter) = wgpu_backend {
        text += &format!("\nWGPU_BACKEND is set to '{filter}': other interfaces were not looked at.");
    }
    text
}

/// The same in a clause.
fn no_gpu_clause(os: &str, wgpu_backend: Option<&str>) -> String {
    if let Some(filter) = wgpu_backend {
        return format!("WGPU_BACKEND is set to '{filter}', so other interfaces were not looked at");
    }
    match os {
        "linux" => {
            let lines = MESA.map(|(system, line)| format!("{line} ({system})"));
            format!("to use a GPU, install its Vulkan driver: {}, or for NVIDIA its own", lines.join(", "))
        }
        "windows" => "to use a GPU, install its vendor's driver".to_string(),
        "macos" | "ios" => "this machine or its session offers no Metal device".to_string(),
        _ => "to use a GPU, install its Vulkan driver and the Vulkan loader".to_string(),
    }
}

impl Choice {
    /// The choice in one line for the user: the device, the reason, and, where `auto` found no GPU, what to install to
    /// use one. Why each other device was not taken is in [`Choice::refused`].
    pub fn line(&self) -> String {
        let filter = std::env::var("WGPU_BACKEND").ok().filter(|filter| !filter.is_empty());
        self.line_on(std::env::consts::OS, filter.as_deref())
    }

    /// [`Choice::line`] on another operating system.
    fn line_on(&self, os: &str, wgpu_backend: Option<&str>) -> String {
        let mut line = format!("device: {}: {}", self.device.label(), self.reason);
        match (&self.wanted, self.device.kind) {
            (Wanted::Auto, Kind::NativeCpu) => line += &format!("; {}", no_gpu_clause(os, wgpu_backend)),
            // A name or an index may have matched one by accident.
            (Wanted::Name(_) | Wanted::Index(_), Kind::Software) => {
                line += "; a software adapter computes on the processor, where --device cpu may be faster";
            }
            _ => {}
        }
        line
    }
}

/// The lines on a device, the name first.
fn facts(c: &Candidate) -> Vec<String> {
    let mut facts = vec![c.name.clone()];
    let driver: Vec<&str> =
        [c.driver.as_str(), c.driver_info.as_str()].into_iter().filter(|part| !part.is_empty()).collect();
    match c.kind {
        Kind::NativeCpu => facts.push(c.driver_info.clone()),
        _ if !driver.is_empty() => facts.push(format!("driver: {}", driver.join(", "))),
        _ => {}
    }
    if let Some(limits) = &c.limits {
        facts.push(format!(
            "limits: {} per binding, {} per buffer, {} storage buffers, {} invocations and {} of memory per \
             workgroup, {} workgroups per dimension",
            bytes(limits.max_storage_buffer_binding_size),
            bytes(limits.max_buffer_size),
            limits.max_storage_buffers_per_shader_stage,
            limits.max_compute_invocations_per_workgroup,
            bytes(limits.max_compute_workgroup_storage_size.into()),
            limits.max_compute_workgroups_per_dimension,
        ));
        let mut offers = c.features.join(", ");
        if let Some((min, max)) = c.subgroup_sizes {
            let range = if min == max { format!("{min}") } else { format!("{min} to {max}") };
            offers += &format!(" (subgroups of {range})");
        }
        let offers = if offers.is_empty() { "none that matter" } else { &offers };
        facts.push(format!("features: {offers}"));
    }
    if let Some(lack) = &c.unusable {
        facts.push(format!("cannot be used: {lack}"));
    }
    facts
}

/// A size in the largest unit that leaves at least 1, with a decimal only where one is needed.
fn bytes(n: u64) -> String {
    let (unit, name) = match n {
        0..1024 => return format!("{n} B"),
        1024..0x10_0000 => (1u64 << 10, "KiB"),
        0x10_0000..0x4000_0000 => (1 << 20, "MiB"),
        _ => (1 << 30, "GiB"),
    };
    let scaled = format!("{:.1}", n as f64 / unit as f64);
    format!("{} {name}", scaled.strip_suffix(".0").unwrap_or(&scaled))
}

/// Breaks a text at spaces so that no line is wider than `width`, long words apart.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            // What follows the first line stands a little deeper, so that facts stay apart.
            Some(_) => lines.push(format!("  {word}")),
            None => lines.push(word.to_string()),
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

#[cfg(test)]
mod tests;
