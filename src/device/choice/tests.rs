//! The decision as a table: mixes of devices, requests, and the expected decisions.

use crate::device::choice::candidate::Api;
use crate::device::choice::*;

/// A device for the table: `d` discrete, `i` integrated, `v` virtual, `o` other, `s` software; then
/// `v` Vulkan, `m` Metal, `x` DX12, `g` OpenGL; a `!` at the end makes it unusable.
fn device(index: usize, code: &str) -> Candidate {
    let mut letters = code.chars();
    let (name, kind) = match letters.next() {
        Some('d') => ("NVIDIA GeForce RTX 3050", Kind::Discrete),
        Some('i') => ("Intel Iris Xe", Kind::Integrated),
        Some('v') => ("Virtio-GPU Venus", Kind::Virtual),
        Some('o') => ("AMD Radeon", Kind::Other),
        Some('s') => ("llvmpipe", Kind::Software),
        other => unreachable!("{other:?} in {code}"),
    };
    let api = match letters.next() {
        Some('v') => Api::Vulkan,
        Some('m') => Api::Metal,
        Some('x') => Api::Dx12,
        Some('g') => Api::Gl,
        other => unreachable!("{other:?} in {code}"),
    };
    Candidate {
        name: name.to_string(),
        kind,
        api,
        driver: if kind == Kind::Software { "Mesa" } else { "vendor" }.to_string(),
        unusable: code.ends_with('!').then(|| "it lacks compute shaders".to_string()),
        threads: None,
        ..Candidate::native_cpu(index, 2)
    }
}

/// The devices of a row of the table, with the native CPU as the last.
fn mix(codes: &str) -> Vec<Candidate> {
    let mut all: Vec<_> = codes.split_whitespace().enumerate().map(|(i, c)| device(i, c)).collect();
    all.push(Candidate::native_cpu(all.len(), 2));
    all
}

/// Decides as the command line would; a trailing `+` on the request stands for `--require-gpu`.
fn ask(codes: &str, text: &str) -> Result<Choice> {
    let mut request: DeviceRequest = text.trim_end_matches('+').parse()?;
    request.require_gpu = text.ends_with('+');
    decide(&mix(codes), &request)
}

#[test]
fn decisions() {
    // Devices, request, and the index taken; `cpu` for the native CPU, `error` for an input error.
    let table = [
        // The order of the classes, wherever a device stands in the list.
        ("", "auto", "cpu"),
        ("sv", "auto", "cpu"),
        ("sv ov", "auto", "1"),
        ("sv ov vv", "auto", "2"),
        ("sv ov vv iv", "auto", "3"),
        ("sv ov vv iv dv", "auto", "4"),
        ("dv iv vv ov sv", "auto", "0"),
        ("iv dv", "auto", "1"),
        ("sg ov", "auto", "1"),
        // OpenGL comes last within its class, never before a better class.
        ("dg dv", "auto", "1"),
        ("dg dx", "auto", "1"),
        ("ig im", "auto", "1"),
        ("sg sv", "software", "1"),
        ("sv sg", "software", "0"),
        ("dg iv", "auto", "0"),
        ("og sv", "auto", "0"),
        ("iv dg ig dv sg sv", "auto", "3"),
        // Of equals the first is taken: Vulkan, Metal and DX12 are equals.
        ("dv dv", "auto", "0"),
        ("dx dv", "auto", "0"),
        ("dv dx", "auto", "0"),
        // What cannot be used is passed over.
        ("dv! iv", "auto", "1"),
        ("dv! sv", "auto", "cpu"),
        ("sg sv", "auto", "cpu"),
        ("vg sv", "auto", "0"),
        ("sv!", "auto", "cpu"),
        ("dv! iv! sv!", "auto", "cpu"),
        // gpu.
        ("", "gpu", "error"),
        ("sv", "gpu", "error"),
        ("sv ov", "gpu", "1"),
        ("sv vv", "gpu", "1"),
        ("sv iv dv", "gpu", "2"),
        ("dv! sv", "gpu", "error"),
        ("dv! ig sv", "gpu", "1"),
        // software.
        ("", "software", "error"),
        ("dv", "software", "error"),
        ("dv sv", "software", "1"),
        ("dv sg sv", "software", "2"),
        ("sv!", "software", "error"),
        // cpu.
        ("", "cpu", "cpu"),
        ("dv sv", "cpu", "cpu"),
        ("dv sv", "CPU", "cpu"),
        // Indices, the native CPU's included.
        ("dv sv", "0", "0"),
        ("dv sv", "1", "1"),
        ("dv sv", "2", "cpu"),
        ("dv sv", "3", "error"),
        ("", "0", "cpu"),
        ("dv! sv", "0", "error"),
        ("dv sv", "007", "error"),
        // Parts of a name, of a driver, of an interface.
        ("dv sv", "llvm", "1"),
        ("dv sv", "LLVM", "1"),
        ("dv sv", "geforce rtx", "0"),
        ("dv sv", "mesa", "1"),
        ("dg sv", "opengl", "0"),
        ("dg dv", "vulkan", "1"),
        ("sg sv", "llvmpipe", "1"),
        ("iv dv", "vendor", "1"),
        ("dv! dg", "nvidia", "1"),
        ("dv! sv", "nvidia", "error"),
        ("dv sv", "native", "cpu"),
        ("dv sv", "radeon", "error"),
        ("dv sv", "-1", "error"),
        // --require-gpu.
        ("dv sv", "auto+", "0"),
        ("og sv", "auto+", "0"),
        ("vv", "auto+", "0"),
        ("sv", "auto+", "error"),
        ("", "auto+", "error"),
        ("dv! sv", "auto+", "error"),
        ("dv sv", "software+", "error"),
        ("dv sv", "cpu+", "error"),
        ("dv sv", "llvmpipe+", "error"),
        ("dv sv", "1+", "error"),
        ("dv sv", "0+", "0"),
        ("sv iv", "gpu+", "1"),
    ];
    for (codes, request, expected) in table {
        let got = match ask(codes, request) {
            Ok(choice) => {
                let others = mix(codes).len() - 1;
                assert_eq!(choice.refused.len(), others, "every other device has its reason");
                match choice.target {
                    Target::Adapter(index) => {
                        assert_eq!(choice.device, mix(codes)[index]);
                        index.to_string()
                    }
                    Target::NativeCpu => "cpu".to_string(),
                }
            }
            Err(Error::Input(_)) => "error".to_string(),
            Err(other) => format!("{other:?}"),
        };
        assert_eq!(got, expected, "devices '{codes}', --device {request}");
    }
}

#[test]
fn requests_parse() -> Result<()> {
    for (text, expected) in [
        ("auto", Wanted::Auto),
        ("GPU", Wanted::Gpu),
        (" software ", Wanted::Software),
        ("cpu", Wanted::Cpu),
        ("0", Wanted::Index(0)),
        ("12", Wanted::Index(12)),
        ("+1", Wanted::Name("+1".to_string())),
        ("RTX 3090", Wanted::Name("RTX 3090".to_string())),
    ] {
        assert_eq!(text.parse::<DeviceRequest>()?.wanted, expected, "'{text}'");
    }
    Ok(())
}

#[test]
fn malformed_requests_are_input_errors() {
    let empty = "--device is empty: expected auto, gpu, software, cpu, an index or part of a name";
    let digits = "99999999999999999999999";
    let large = "--device '99999999999999999999999': no index is that large";
    for (text, why) in [("", empty), ("   ", empty), ("\t", empty), (digits, large)] {
        assert_eq!(text.parse::<DeviceRequest>(), Err(Error::input(why)), "'{text}'");
    }
}

#[test]
fn the_variable_is_a_request_whose_errors_name_it() -> Result<()> {
    let variable = |text: &str| DeviceRequest::from_variable(Some(text.into()));
    assert_eq!(DeviceRequest::from_variable(None)?, DeviceRequest::default());
    assert_eq!(variable("")?, DeviceRequest::default());
    assert_eq!(variable("software")?.wanted, Wanted::Software);
    assert_eq!(decide(&mix("dv sg sv"), &variable("software")?)?.reason, "WGRAD_DEVICE=software asks for it");
    assert_eq!(decide(&mix("dv sg sv"), &variable("llvm")?)?.target, Target::Adapter(2));
    let text = |request: DeviceRequest| match decide(&mix("sv"), &request) {
        Err(Error::Input(text)) => text.lines().next().map(String::from),
        other => panic!("unexpected: {other:?}"),
    };
    let unknown = "WGRAD_DEVICE=softwear matches no device; did you mean 'software'? There is";
    assert_eq!(text(variable("softwear")?).as_deref(), Some(unknown));
    let key = DeviceRequest::parse("radeon", NamedBy::File)?;
    assert_eq!(text(key).as_deref(), Some("device = \"radeon\" matches no device; there is"));
    let error = |text| variable(text).map_err(|e| e.to_string());
    assert_eq!(
        error(" "),
        Err("WGRAD_DEVICE is empty: expected auto, gpu, software, cpu, an index or part of a name".into())
    );
    assert_eq!(
        error("99999999999999999999999"),
        Err("WGRAD_DEVICE=99999999999999999999999: no index is that large".into())
    );
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        let bytes = DeviceRequest::from_variable(Some(OsString::from_vec(vec![0xff])));
        assert!(bytes.is_err_and(|e| e.to_string().starts_with("WGRAD_DEVICE: found ")));
    }
    Ok(())
}

/// The device stored in a run's config.toml requests the same device again.
#[test]
fn a_requests_text_asks_for_the_same() -> Result<()> {
    for text in ["auto", "gpu", "software", "cpu", "3", "RTX 3090", "'quoted'"] {
        let request: DeviceRequest = text.parse()?;
        assert_eq!((request.text().as_str(), request.text().parse::<DeviceRequest>()?), (text, request));
    }
    Ok(())
}

#[test]
fn reasons_are_told() -> Result<()> {
    let choice = ask("sv dg! dg dv iv", "auto")?;
    assert_eq!(choice.reason, "--device auto takes the best GPU, here a discrete GPU");
    let expected = [
        ("[1] NVIDIA GeForce RTX 3050 (discrete GPU, OpenGL)", "it lacks compute shaders"),
        ("[2] NVIDIA GeForce RTX 3050 (discrete GPU, OpenGL)", "Vulkan comes before OpenGL"),
        ("[4] Intel Iris Xe (integrated GPU, Vulkan)", "a discrete GPU comes before an integrated GPU"),
        ("[0] llvmpipe (software adapter, Vulkan)", "a software adapter is taken only where it is asked for"),
        ("[5] native CPU, 2 threads", "a discrete GPU comes before the native CPU"),
    ];
    assert_eq!(choice.refused, expected.map(|(device, why)| (device.to_string(), why.to_string())));
    assert_eq!(ask("sv sg", "llvm")?.reason, "it is the best of the 2 devices that match --device 'llvm'");
    assert_eq!(ask("dv dv", "auto")?.refused[0].1, "the first of equals is taken");
    assert_eq!(ask("", "auto")?.reason, "no GPU was found");
    assert_eq!(ask("sv", "auto")?.reason, "no GPU was found");
    let unusable = "no GPU can be used ([0] NVIDIA GeForce RTX 3050 (discrete GPU, Vulkan): it lacks compute shaders)";
    assert_eq!(ask("dv! sv", "auto")?.reason, unusable);
    Ok(())
}

#[test]
fn errors_list_what_there_is() {
    let text = |codes, request| match ask(codes, request) {
        Err(Error::Input(text)) => text,
        other => format!("unexpected: {other:?}"),
    };
    assert_eq!(
        text("dv! sv", "radeon"),
        "--device 'radeon' matches no device; there is\n  \
         [0] NVIDIA GeForce RTX 3050 (discrete GPU, Vulkan): it lacks compute shaders\n  \
         [1] llvmpipe (software adapter, Vulkan)\n  [2] native CPU, 2 threads"
    );
    assert!(text("dv! sv", "0").starts_with(
        "--device 0: [0] NVIDIA GeForce RTX 3050 (discrete GPU, Vulkan) cannot be used: \
         it lacks compute shaders; there is\n"
    ));
    assert!(text("dv! dg!", "nvidia").starts_with("--device 'nvidia' matches no device that can"));
    assert!(text("sv", "auto+").starts_with(
        "--require-gpu: the best that --device auto finds is [1] native CPU, 2 threads, which is no GPU; there is\n"
    ));
}

#[test]
fn near_names_are_suggested() {
    let text = |request| match ask("dv! sv", request) {
        Err(Error::Input(text)) => text,
        other => format!("unexpected: {other:?}"),
    };
    for (request, near) in [("llvmpipee", "llvmpipe"), ("softwear", "software"), ("gpuu", "gpu"), ("vulcan", "vulkan")]
    {
        let want = format!("--device '{request}' matches no device; did you mean '{near}'? There is\n");
        assert!(text(request).starts_with(&want), "{}", text(request));
    }
}

/// Processes of one machine take equals in turn; what the same GPU is by another interface is no equal.
#[test]
fn equals_are_taken_in_turn() {
    for (codes, text, taken) in [
        ("dv dv iv dx", "auto", [0, 1, 0]),
        ("iv dv sv dv! dv", "gpu", [1, 4, 1]),
        ("sv sv", "software", [0, 0, 0]),
        ("sv", "cpu", [1, 1, 1]),
        ("dv dv", "1", [1, 1, 1]),
    ] {
        for (turn, index) in taken.into_iter().enumerate() {
            let request = DeviceRequest { turn, ..text.parse().unwrap() };
            let choice = decide(&mix(codes), &request).unwrap();
            assert_eq!(choice.device.index, index, "{codes}: {text}, turn {turn}");
            assert_eq!(choice.refused.len(), mix(codes).len() - 1);
        }
    }
}
