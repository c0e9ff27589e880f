//! Weight files and layouts in memory: round trips and refusals.

use crate::model::small;
use std::path::PathBuf;
use wgrad::Error;
use wgrad::ir::graph::{Graph, Layout, TensorInfo};
use wgrad::model::formats::weights::{NamedTensor, to_file, to_memory};
use wgrad::model::init::glorot_uniform;
use wgrad::model::{Build, Weights};
use wgrad::plan::fuse::{Stage, fuse};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    (folder, path)
}

#[test]
fn save_load_save_gives_the_same_bytes() {
    let (folder, path) = folder();
    let (model, again) = (small(), folder.path().join("again.safetensors"));
    let weights = glorot_uniform(&model, 5).unwrap();
    weights.save(&path, &model).unwrap();
    let (loaded, found) = Weights::load(&path).unwrap();
    assert_eq!(loaded.as_ref(), Some(&model));
    found.check_against(&model).unwrap();
    weights.tensors.iter().for_each(|tensor| assert_eq!(found.get(&tensor.name), Some(tensor)));
    found.save(&again, &model).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes, std::fs::read(&again).unwrap());
    let header: serde_json::Value =
        serde_json::from_slice(&bytes[8..][..usize::from(bytes[0]) + 256 * usize::from(bytes[1])]).unwrap();
    assert_eq!(header["__metadata__"], serde_json::json!({ "wgrad": model.to_json().unwrap() }));
    assert_eq!(header["0.weight"]["shape"], serde_json::json!([3, 2, 3, 2]));
    assert_eq!(header["3.weight"]["shape"], serde_json::json!([4, 90]));
    let names: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing temporary stays: {names:?}");
    let nowhere = folder.path().join("none").join("model.safetensors");
    assert!(weights.save(&nowhere, &model).unwrap_err().to_string().contains("cannot be created"));
    std::fs::create_dir(folder.path().join("taken")).unwrap();
    assert!(weights.save(&folder.path().join("taken"), &model).unwrap_err().to_string().contains("cannot be written"));
    assert!(!folder.path().join("taken.tmp").exists(), "what is left of an attempt is removed");
}

#[test]
fn weights_of_another_model_are_refused() {
    let model = small();
    let weights = glorot_uniform(&model, 5).unwrap();
    let refused = |change: &dyn Fn(&mut Vec<NamedTensor>), want: &str| {
        let mut other = weights.clone();
        change(&mut other.tensors);
        let error = other.check_against(&model).expect_err(want).to_string();
        assert!(error.starts_with("the weights do not fit model small: ") && error.contains(want), "{error}");
        assert!(other.to_bytes(&model).is_err());
    };
    let renamed = |at: usize, name: &str, t: &[NamedTensor]| NamedTensor { name: name.into(), ..t[at].clone() };
    refused(&|t| t.retain(|t| t.name == "0.weight"), "missing tensors: 0.bias, 3.weight, 3.bias");
    refused(&|t| t.extend([renamed(1, "5.bias", t), renamed(1, "a\nb", t)]), "extra tensors: 5.bias, a\\nb");
    refused(&|t| t.push(t[0].clone()), "extra tensors: 0.weight");
    refused(&|t| t[2].name = "4.weight".into(), "missing tensors: 3.weight; extra tensors: 4.weight");
    refused(&|t| t[2].shape = vec![90, 4], "found 3.weight of shape [90, 4], expected [4, 90]");
    refused(&|t| t[2].shape = vec![360], "found 3.weight of shape [360], expected [4, 90]");
    refused(&|t| t[2].values.truncate(3), "found 3.weight of shape [4, 90], expected [4, 90]");
}

#[test]
fn malformed_weight_files_are_refused() {
    let (folder, path) = folder();
    let model = small();
    glorot_uniform(&model, 5).unwrap().save(&path, &model).unwrap();
    let good = std::fs::read(&path).unwrap();
    let file = |header: &str, data: usize| {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
    };
    let tensor = |dtype: &str, shape: &str, end: u64| {
        format!(r#"{{"x":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{end}]}}}}"#)
    };
    let cut = |n: usize| good[..n].to_vec();
    let renamed = |from: &str, to: &str| {
        let text = good.iter().map(|&byte| char::from(byte)).collect::<String>().replacen(from, to, 1);
        text.chars().map(|letter| letter as u8).collect::<Vec<u8>>()
    };
    for (bytes, want) in [
        (Vec::new(), "found 0 bytes and a header of 0, expected a safetensors file"),
        (cut(7), "found 7 bytes and a header of 0"),
        (cut(8), "found 8 bytes and a header of "),
        (cut(40), "found 40 bytes and a header of "),
        (cut(good.len() - 1), "as the header says"),
        ([&good[..], &[0]].concat(), "as the header says"),
        ([&u64::MAX.to_le_bytes()[..], &[0; 64]].concat(), "found 72 bytes and a header of 18446744073709551615"),
        ([&100_000_001u64.to_le_bytes()[..], &[0; 64]].concat(), "and a header of 100000001"),
        ([&60u64.to_le_bytes()[..], &[0; 56]].concat(), "found 64 bytes and a header of 60, expected"),
        (vec![b'#'; 5000], "expected a safetensors file"),
        (file("[]", 0), "found a malformed header"),
        (file("{\"x\":3}", 0), "found a malformed header"),
        (file(&"[".repeat(50_000), 0), "found a malformed header"),
        (file(&tensor("F32", "[2]", 8), 4), "found 66 bytes, expected 70 as the header says"),
        (file(&tensor("F32", "[3]", 8), 8), "found a malformed header"),
        (file(&tensor("F32", "[1099511627776]", 4_398_046_511_104), 8), "as the header says"),
        (file(&tensor("F32", "[4294967296,4294967296]", 8), 8), "found a malformed header"),
        (file(&tensor("U16", "[4]", 8), 8), "found tensor x of type U16, expected F32"),
        (file(&tensor("I64", "[1]", 8), 8), "found tensor x of type I64, expected F32"),
        (renamed("dense", "sense"), "the description of the model is not as wgrad writes it"),
        (renamed("[6,5,2]", "[6,5,0]"), "found input = [6, 5, 0]"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = Weights::load(&path).expect_err(want);
        let message = error.to_string();
        assert!(matches!(error, Error::Input(_)) && message.lines().count() == 1, "{message}");
        assert!(message.contains("model.safetensors: ") && message.contains(want), "{message}\n  lacks {want}");
    }
    assert!(Weights::load(&folder.path().join("none")).unwrap_err().to_string().contains("none: cannot be read"));
    assert!(Weights::load(folder.path()).is_err());
}

/// As `safetensors.torch.save_file` leaves it: other metadata, or none.
#[test]
fn a_file_from_elsewhere_has_weights_but_no_model() {
    let (_folder, path) = folder();
    for metadata in ["", r#""__metadata__":{"format":"pt"},"#] {
        let header = format!(
            r#"{{{metadata}"b":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}},"s":{{"dtype":"F32","shape":[],"data_offsets":[8,12]}}}} "#
        );
        let data: Vec<u8> = [1.5f32, -2.0, 4.25].iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()).unwrap();
        let (model, weights) = Weights::load(&path).unwrap();
        assert_eq!(model, None);
        let tensor = |name: &str, shape: &[usize], values: &[f32]| NamedTensor {
            name: name.into(),
            shape: shape.into(),
            values: values.into(),
        };
        assert_eq!(weights.tensors, [tensor("b", &[2], &[1.5, -2.0]), tensor("s", &[], &[4.25])]);
    }
}

#[test]
fn layouts_permute_and_come_back() {
    let file: Vec<f32> = (0..120).map(|i| i as f32).collect();
    for (file_shape, perm) in [
        (vec![2, 3, 4, 5], vec![2, 3, 1, 0]),
        (vec![2, 12, 5], vec![0, 2, 1]),
        (vec![120], vec![0]),
        (vec![1, 120, 1], vec![2, 0, 1]),
        (vec![4, 5, 6], vec![1, 2, 0]),
    ] {
        let layout = Layout { file_shape, perm };
        assert_eq!(to_file(&layout, &to_memory(&layout, &file).unwrap()).unwrap(), file);
        assert!(to_memory(&layout, &file[1..]).is_err() && to_file(&layout, &file[1..]).is_err());
    }
    // w[o, i, kh, kw] lies at [kh, kw, i, o].
    let layout = Layout { file_shape: vec![2, 3, 4, 5], perm: vec![2, 3, 1, 0] };
    let memory = to_memory(&layout, &file).unwrap();
    let [o, i, kh, kw] = [1, 2, 3, 1];
    assert_eq!(memory[((kh * 5 + kw) * 3 + i) * 2 + o], file[((o * 3 + i) * 4 + kh) * 5 + kw]);
}

#[test]
fn weights_pass_through_a_graph_unchanged() {
    let model = small();
    let weights = glorot_uniform(&model, 9).unwrap();
    for fused in [false, true] {
        let mut graph = Graph::new();
        let x = graph.tensor(TensorInfo::floats("x", [2, 6, 5, 2]));
        let y = model.build(&mut graph, x, Build::INFERENCE).unwrap();
        if fused {
            fuse(&mut graph, &[y], Stage::Whole);
        }
        let memory = weights.to_graph(&graph).unwrap();
        let dense = &memory[2].1;
        assert_eq!(dense == &weights.tensors[2].values, !fused, "the folded flatten permutes the dense weights");
        let values = memory.iter().map(|(_, values)| &values[..]);
        assert_eq!(Weights::from_params(graph.params.iter().zip(values)).unwrap(), weights);
        assert!(Weights::from_params(graph.params.iter().map(|param| (param, &[][..]))).is_err());
        assert!(Weights::new(Vec::new()).to_graph(&graph).unwrap_err().to_string().contains("found no 0.weight"));
    }
}
