//! Which device the command takes: the flag's, else the configuration's, else that of WGRAD_DEVICE, else a GPU, else the
//! native CPU. The first command of the README is started as on a machine without a GPU.

use crate::common::{Done, Place, call, wgrad};
use serde_json::Value;
use wgrad::device::choice::VARIABLE;

/// Drivers that are not there: Vulkan's loader, and OpenGL's by way of EGL, each with its names for the same.
const NO_VULKAN: [&str; 2] = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"];
const NO_EGL: [&str; 2] = ["__EGL_VENDOR_LIBRARY_FILENAMES", "__EGL_VENDOR_LIBRARY_DIRS"];

/// Calls the command with WGRAD_DEVICE set to `device`, or not set, and the drivers of `hidden` out of its sight.
fn run(place: &Place, line: &str, device: Option<&str>, hidden: &[&str]) -> Done {
    let mut command = wgrad();
    command.args(line.split_whitespace()).env_remove(VARIABLE).env_remove("WGPU_BACKEND");
    if let Some(device) = device {
        command.env(VARIABLE, device);
    }
    hidden.iter().for_each(|variable| {
        command.env(variable, place.path("nowhere"));
    });
    call(&mut command, &place.path(""))
}

/// The types of the devices that the command lists and can use.
fn listed(place: &Place, hidden: &[&str]) -> Vec<String> {
    let done = run(place, "devices --json", None, hidden);
    let rows: Vec<Value> = serde_json::from_str(&done.out).unwrap_or_else(|e| panic!("{e}: {done:#?}"));
    let usable = rows.iter().filter(|row| row["usable"] == true);
    usable.map(|row| row["type"].as_str().expect("a type").to_string()).collect()
}

fn json(place: &Place, name: &str) -> Value {
    serde_json::from_slice(&place.read(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The device that a run's `config.toml` asks for.
fn asked(place: &Place, run: &str) -> String {
    let text = String::from_utf8(place.read(&format!("{run}/config.toml"))).expect("text");
    let line = text.lines().find(|line| line.starts_with("device = ")).unwrap_or_else(|| panic!("{text}"));
    line.trim_start_matches("device = ").trim_matches('"').to_string()
}

#[test]
#[cfg(all(feature = "mnist-data", target_os = "linux"))]
fn the_first_command_trains_on_the_native_cpu_where_there_is_no_gpu() {
    let place = Place::new();
    for (folder, hidden) in [("mesa", &NO_VULKAN[..]), ("bare", &[NO_VULKAN, NO_EGL].concat())] {
        let types = listed(&place, hidden);
        assert!(folder == "mesa" || types == ["cpu"], "{hidden:?} hide every driver: {types:?}");
        if types.iter().any(|kind| !["software", "cpu"].contains(&&**kind)) {
            println!("{folder}: OpenGL reaches a GPU here: {types:?}");
            continue;
        }
        println!("{folder}: {types:?}");
        // README's first command, but cut short.
        let line = format!("train --max-steps 4 --no-report --run-dir {folder}");
        let done = run(&place, &line, None, hidden);
        assert_eq!(done.status, Some(0), "{folder}: {done:#?}");
        assert_eq!(json(&place, &format!("{folder}/device.json"))["device"]["type"], "cpu", "{folder}");
        let told: Vec<&str> = done.err.lines().filter(|line| !line.starts_with("step ")).collect();
        assert!(told.len() == 3 && told[1].starts_with("saved "), "{folder}: {done:#?}");
        assert!(told[2].starts_with("ended by --max-steps: 1 epoch, 4 steps in "), "{folder}: {done:#?}");
        for want in ["device: [", "native CPU", "no GPU was found", "apt install mesa-vulkan-drivers libvulkan1"] {
            assert!(told[0].contains(want), "{folder}: {want}: {}", told[0]);
        }
        assert_eq!(asked(&place, folder), "auto");
    }
}

/// The flag overrides the configuration, which overrides the variable; the run's folder stores the request, and a
/// resumed run uses it, whatever the variable says then.
#[test]
fn the_variable_is_the_default_of_the_flag() {
    const TRAIN: &str = "train --model tiny.toml --data data --batch-size 16 --epochs 1 --no-report";
    let place = Place::new();
    let works = |line: &str, device| {
        let done = run(&place, line, Some(device), &[]);
        assert_eq!(done.status, Some(0), "{line}: {done:#?}");
        assert!(!done.err.contains("  not ["), "the others are in device.json: {}", done.err);
        done.err
    };
    let err = works(&format!("{TRAIN} --run-dir variable"), "cpu");
    assert!(err.contains("native CPU") && err.contains("WGRAD_DEVICE=cpu asks for it\n"), "{err}");
    assert_eq!(asked(&place, "variable"), "cpu");
    let err = works("train --resume variable --epochs 2 --no-report", "nonesuch");
    assert!(err.contains("device = \"cpu\" asks for it\n") && !err.contains("another device"), "{err}");
    let err = works("report variable", "nonesuch");
    assert!(err.contains("device = \"cpu\" asks for it\n"), "{err}");
    let err = works(&format!("{TRAIN} --run-dir flag --device cpu"), "nonesuch");
    assert!(err.contains("--device cpu asks for it\n"), "{err}");
    place.write("key.toml", "device = \"cpu\"\nmodel = \"tiny.toml\"\ndata = \"data\"\n[train]\nbatch_size = 16\n");
    let err = works("train --config key.toml --max-steps 1 --no-report --run-dir key", "nonesuch");
    assert!(err.contains("device = \"cpu\" asks for it\n"), "{err}");
    place.write("keyless.toml", "model = \"tiny.toml\"\ndata = \"data\"\n[train]\nbatch_size = 16\n");
    let err = works("train --config keyless.toml --max-steps 1 --no-report --run-dir keyless", "cpu");
    assert!(err.contains("WGRAD_DEVICE=cpu asks for it\n"), "{err}");
    let model = "variable/model.safetensors";
    for line in [
        &format!("eval {model} --data data"),
        "verify --help",
        "plan tiny.toml",
        "trace tiny.toml",
        "bench matmul --size 8",
        "devices",
    ] {
        let done = run(&place, line, Some("cpu"), &[]);
        assert_eq!(done.status, Some(0), "{line}: {done:#?}");
        let told = format!("{}{}", done.out, done.err);
        assert!(told.contains("WGRAD_DEVICE"), "{line}: {told}");
    }
    for line in [TRAIN, &format!("eval {model} --data data"), "plan tiny.toml", "verify", "trace tiny.toml"] {
        let done = run(&place, line, Some("softwear"), &[]);
        assert!(done.status == Some(2), "{line}: {done:#?}");
        assert!(done.err.contains("error: WGRAD_DEVICE=softwear matches no device"), "{line}: {}", done.err);
    }
}

/// `auto` took a software adapter before it took the native CPU: such a run resumes on the same device.
#[test]
fn a_run_that_auto_put_on_a_software_adapter_stays_there() {
    let place = Place::new();
    if !listed(&place, &[]).contains(&"software".to_string()) {
        println!("there is no software adapter here");
        return;
    }
    let train = "train --model tiny.toml --data data --batch-size 16 --no-report";
    assert_eq!(run(&place, &format!("{train} --epochs 2 --run-dir whole"), Some("software"), &[]).status, Some(0));
    assert_eq!(run(&place, &format!("{train} --epochs 1 --run-dir old"), Some("software"), &[]).status, Some(0));
    let config = String::from_utf8(place.read("old/config.toml")).expect("text");
    place.write("old/config.toml", config.replace("device = \"software\"", "device = \"auto\""));
    let done = run(&place, "train --resume old --epochs 2 --no-report", None, &[]);
    assert!(done.status == Some(0) && !done.err.contains("another device"), "{done:#?}");
    assert!(place.read("old/model.safetensors") == place.read("whole/model.safetensors"));
}

/// Where no bar moves there is a line on stderr after the first step; stdout stays as it was.
#[test]
fn the_first_step_is_told_where_there_is_no_terminal() {
    let place = Place::new();
    let steps = |done: &Done| done.err.lines().filter(|line| line.starts_with("step ")).count();
    let plain = place.trains("plain", "--device cpu");
    assert_eq!(steps(&plain), 1, "{plain:#?}");
    assert!(plain.err.contains("/4 of epoch 1/2 - loss: ") && plain.err.contains(" left in the epoch, "), "{plain:#?}");
    assert!(plain.err.contains(" in the run\n"), "{plain:#?}");
    let json = place.trains("json", "--device cpu --format json");
    assert_eq!(steps(&json), 1, "{json:#?}");
    for line in json.out.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
    assert_eq!(steps(&place.trains("quiet", "--device cpu --quiet")), 0);
}
