//! The table, the JSON and the advice, on invented devices.

use crate::device::choice::listing::*;

fn llvmpipe() -> Candidate {
    Candidate {
        name: "llvmpipe (LLVM 15.0.6, 256 bits)".to_string(),
        kind: Kind::Software,
        api: crate::device::choice::candidate::Api::Vulkan,
        driver: "llvmpipe".to_string(),
        driver_info: "Mesa 22.3.6 (LLVM 15.0.6)".to_string(),
        subgroup_sizes: Some((8, 8)),
        limits: Some(KeyLimits { max_buffer_size: (1 << 31) - 1, ..KeyLimits::PORTABLE }),
        features: vec!["subgroup", "timestamp-query", "shader-f16", "pipeline-cache"],
        threads: None,
        ..Candidate::native_cpu(0, 1)
    }
}

#[test]
fn the_table_fits_80_columns_and_marks_what_auto_takes() {
    let mut weak = llvmpipe();
    weak.index = 1;
    weak.unusable = KeyLimits { max_compute_invocations_per_workgroup: 128, ..KeyLimits::PORTABLE }.shortfall(false);
    let devices = [llvmpipe(), weak, Candidate::native_cpu(2, 2)];
    let text = table(&devices, WIDTH);
    assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    assert!(text.contains("   0 software   vulkan  llvmpipe (LLVM 15.0.6, 256 bits)\n"), "{text}");
    assert!(text.contains("*  2 cpu        native  native CPU\n"), "{text}");
    assert!(text.contains("it lacks compute shaders, 256"), "{text}");
    assert!(
        text.contains("--device software takes the software adapter.\nInstall") || !cfg!(target_os = "linux"),
        "{text}"
    );
    // What to install is broken by the command, which knows the terminal.
    let narrow = table(&devices, 40);
    let (rows, _) = narrow.split_once("* is what").expect("rows and advice");
    assert!(rows.lines().all(|line| line.chars().count() <= 40), "{rows}");
    assert!(rows.contains("*  2 cpu        native\n     native CPU\n"), "{rows}");
    let gpu = Candidate { kind: Kind::Integrated, ..llvmpipe() };
    let text = table(&[gpu, Candidate::native_cpu(1, 2)], WIDTH);
    assert!(text.contains("*  0 integrated vulkan") && !text.to_lowercase().contains("install"), "{text}");
}

#[test]
fn a_bare_machine_is_told_what_to_install() {
    assert!(table(&[Candidate::native_cpu(0, 2)], WIDTH).contains("No graphics adapter can be used"));
    let linux = no_gpu_hint("linux", false, Some("gl"));
    assert!(linux.contains("apt install mesa-vulkan-drivers libvulkan1"));
    assert!(linux.contains("dnf install mesa-vulkan-drivers vulkan-loader"));
    assert!(linux.contains("WGPU_BACKEND is set to 'gl'"));
    assert!(no_gpu_hint("windows", true, None).contains("GPU vendor's driver"));
    assert!(no_gpu_hint("macos", false, None).contains("Metal is built in"));
    assert!(linux.lines().all(|line| line.len() <= WIDTH), "{linux}");
}

/// Two devices, the request, and the line on Linux without WGPU_BACKEND.
fn line(request: &str) -> String {
    let choice = decide(&[llvmpipe(), Candidate::native_cpu(1, 2)], &request.parse().expect("a request"));
    choice.expect("a choice").line_on("linux", None)
}

#[test]
fn a_choice_is_one_line_and_without_a_gpu_says_what_to_install() {
    assert_eq!(
        line("auto"),
        "device: [1] native CPU, 2 threads: no GPU was found; to use a GPU, install its Vulkan driver: apt install \
         mesa-vulkan-drivers libvulkan1 (Debian, Ubuntu), dnf install mesa-vulkan-drivers vulkan-loader (Fedora), or for \
         NVIDIA its own"
    );
    // Asked for, it needs no advice.
    assert_eq!(line("cpu"), "device: [1] native CPU, 2 threads: --device cpu asks for it");
    let label = "device: [0] llvmpipe (LLVM 15.0.6, 256 bits) (software adapter, Vulkan)";
    assert_eq!(line("software"), format!("{label}: --device software asks for it"));
    let accident = "a software adapter computes on the processor, where --device cpu may be faster";
    assert_eq!(line("0"), format!("{label}: --device 0 asks for it; {accident}"));
    assert_eq!(line("llvm"), format!("{label}: it matches --device 'llvm'; {accident}"));
    let gpu = Candidate { kind: Kind::Discrete, name: "Radeon".into(), ..llvmpipe() };
    let choice = decide(&[gpu, Candidate::native_cpu(1, 2)], &DeviceRequest::default()).expect("a choice");
    let expected = "device: [0] Radeon (discrete GPU, Vulkan): --device auto takes the best GPU, here a discrete GPU";
    assert_eq!(choice.line_on("linux", None), expected);
    let none = decide(&[Candidate::native_cpu(0, 2)], &DeviceRequest::default()).expect("a choice");
    for os in ["linux", "windows", "macos", "freebsd"] {
        let told = none.line_on(os, None);
        assert!(told.contains("no GPU was found; ") && !told.contains('\n'), "{os}: {told}");
        assert!(none.line_on(os, Some("gl")).contains("WGPU_BACKEND is set to 'gl'"), "{os}");
    }
}

#[test]
fn json_has_the_promised_keys() -> Result<(), Box<dyn std::error::Error>> {
    let rows = [llvmpipe(), Candidate::native_cpu(1, 2)];
    let json: serde_json::Value = serde_json::from_str(&devices_json(&rows)?)?;
    assert_eq!(json[0]["type"], "software");
    assert_eq!(json[0]["backend"], "vulkan");
    assert_eq!(json[0]["limits"]["max_storage_buffers_per_shader_stage"], 8);
    assert_eq!(json[0]["usable"], true);
    assert_eq!(json[1]["index"], 1);
    assert_eq!(json[1]["threads"], 2);
    assert_eq!(json[1]["limits"], serde_json::json!({}));
    assert_eq!(json[1]["features"], serde_json::json!([]));
    let choice = decide(&rows, &"software".parse()?)?;
    let record: serde_json::Value = serde_json::from_str(&device_json(&choice)?)?;
    assert_eq!(record["device"]["name"], rows[0].name);
    assert_eq!(record["refused"][0]["device"], "[1] native CPU, 2 threads");
    Ok(())
}

#[test]
fn sizes_read_well() {
    let cases = [(512, "512 B"), (16_384, "16 KiB"), (128 << 20, "128 MiB"), ((1 << 31) - 1, "2 GiB")];
    for (n, expected) in cases {
        assert_eq!(bytes(n), expected);
    }
    assert_eq!(bytes(1536), "1.5 KiB");
}
