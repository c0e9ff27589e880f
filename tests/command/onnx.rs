//! `wgrad export --onnx` as far as it can be tested without Python: files, refusals, stable bytes.
#![cfg(feature = "cli")]

use crate::common::{Place, safetensors};
use wgrad::model::Model;

#[test]
fn the_command_writes_whole_files_or_none() {
    let place = Place::new();
    place.trains("run", "--device cpu");
    for _ in 0..2 {
        let done = place.works("export run/model.safetensors --onnx out.onnx");
        assert!(done.out.is_empty() && done.err.contains("saved out.onnx"), "{done:?}");
    }
    let bytes = place.read("out.onnx");
    assert_eq!(Model::load(place.path("run/model.safetensors")).unwrap().to_onnx().unwrap(), bytes);
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    for text in
        ["input", "probabilities", "0.weight", "4.bias", "Conv", "MaxPool", "Gemm", "preprocessing", "class_names"]
    {
        assert!(has(text), "{text}");
    }
    place.write("strange", safetensors(&[("x", "F32", &[2], 4)]));
    place.write("taken/file", "");
    // What is not a file is not replaced by one.
    #[cfg(unix)]
    drop(std::os::unix::net::UnixListener::bind(place.path("socket")).unwrap());
    #[cfg(unix)]
    {
        let done = place.call("export run/model.safetensors --onnx socket");
        assert!(done.status == Some(2) && done.err.contains("socket: found a device or a pipe"), "{done:?}");
        std::fs::remove_file(place.path("socket")).unwrap();
    }
    for (line, status, want) in [
        ("export run/model.safetensors --onnx none/out.onnx", 2, "none/out.onnx: cannot be created"),
        ("export run/model.safetensors --onnx taken", 1, "taken: cannot be written"),
        ("export strange --onnx x", 2, "strange: it does not describe its model; wgrad import makes one that does"),
        ("export none --onnx x", 2, "none: cannot be read"),
        ("export run/model.safetensors", 2, "--onnx"),
    ] {
        let done = place.call(line);
        assert!(done.status == Some(status) && done.err.contains(want) && done.out.is_empty(), "{line}: {done:#?}");
    }
    let mut names: Vec<_> = place.path(".").read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["data", "out.onnx", "run", "strange", "taken", "tiny.toml"]);
}
