//! The model file, the builder and the weight file: what they agree on, and what they refuse.

use std::path::PathBuf;
use wgrad::Error;
use wgrad::graph::{Graph, Layout, TensorInfo};
use wgrad::model::file::LARGEST_FILE_BYTES;
use wgrad::model::init::glorot_uniform;
use wgrad::model::weights::{NamedTensor, to_file, to_memory};
use wgrad::model::{Layer, Model, Normalisation, Sequential, Weights};
use wgrad::ops::geometry::Padding;

/// Every type of layer, every key, and the defaults.
const ALL_KEYS: &str = r#"
input = [28, 20, 3]

[[layers]]
type = "conv2d"
filters = 32
kernel = 3

[[layers]]
type = "conv2d"
filters = 0x10
kernel = [5, 3]
stride = [2, 1]
padding = "same"

[[layers]]
type = "relu"

[[layers]]
type = "max_pool2d"
size = 2

[[layers]]
type = "max_pool2d"
size = [3, 2]
stride = 1

[[layers]]
type = "flatten"

[[layers]]
type = "dense"
units = 1_0
"#;

fn small() -> Model {
    let net = Sequential::new([6, 5, 2]).name("small").conv2d_with(3, [3, 2], 1, Padding::Same);
    net.relu().flatten().dense(4).build().unwrap()
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    (folder, path)
}

#[test]
fn the_file_and_the_builder_give_one_model() {
    let net = Sequential::new([28, 20, 3]).name("all").conv2d(32, 3).conv2d_with(16, [5, 3], [2, 1], Padding::Same);
    let built = net.relu().max_pool2d(2).max_pool2d_with([3, 2], 1).flatten().dense(10).build().unwrap();
    assert_eq!(Model::from_toml(ALL_KEYS, "all.toml", "all").unwrap(), built);
    assert_eq!(Model::from_toml(&built.to_toml(), "again.toml", "all").unwrap(), built);
}

#[test]
fn a_model_file_is_read_literally_and_names_the_model() {
    let (folder, _) = folder();
    let path = folder.path().join("my net.toml");
    std::fs::write(&path, ALL_KEYS).unwrap();
    let model = Model::named_or_file(path.to_str().unwrap(), [1, 1, 1], 2).unwrap();
    assert_eq!((&*model.name, model.input, model.classes().unwrap()), ("my net", [28, 20, 3], 10));
}

/// Each message is one line: the file, the line, what was found and what was expected.
#[test]
fn malformed_model_files_are_refused_with_their_line() {
    let head = "input = [8, 8, 1]\n";
    let layer = |body: &str| format!("{head}[[layers]]\n{body}\n");
    let after = |layers: &str| format!("{head}{layers}");
    let flat = "[[layers]]\ntype = \"flatten\"\n";
    let rows: Vec<(String, &str)> = vec![
        ("".into(), "line 1: the model: found no key input, expected a list"),
        ("input = [8, 8, 1]".into(), "line 1: the model: found no key layers"),
        ("input = [8, 8, 1]\nlayers = 3".into(), "line 2: the model: found layers = 3, expected a list"),
        (
            "input = [8, 8, 1]\n[layers]\ntype = \"relu\"".into(),
            "line 2: the model: found layers = a table, expected a list",
        ),
        ("input = [8, 8, 1]\nlayers = [1]".into(), "line 2: the model: found layers = [1], expected a list of tables"),
        ("input = [8, 8, 1]\nlayers = []".into(), "found no layers, expected at least one"),
        (
            "input = [8, 8]\nlayers = []".into(),
            "line 1: the model: found input = [8, 8], expected [height, width, channels]",
        ),
        ("\ninput = 8\nlayers = []".into(), "line 2: the model: found input = 8, expected a list of whole numbers"),
        ("input = [8, 0, 1]\nlayers = []".into(), "line 1: the model: found input = [8, 0, 1], expected"),
        ("input = [8, -8, 1]\nlayers = []".into(), "found input = [8, -8, 1], expected a list of whole numbers from 1"),
        ("input = [8, 8.0, 1]\nlayers = []".into(), "found input = [8, 8.0, 1]"),
        ("input = [8, 99999999999999999999, 1]\nlayers = []".into(), "99999999999999999999, 1], expected"),
        ("input = [8, 8, 1]\ninput = [8, 8, 1]".into(), "line 2: duplicate key"),
        ("input = [8, 8, 1".into(), "line 1: unclosed array"),
        (after("[[layers]\ntype = \"relu\""), "line 2: "),
        (
            after("epochs = 3\n[[layers]]\ntype = \"relu\""),
            "line 2: the model: found unknown key epochs, expected input, layers",
        ),
        (layer(""), "line 2: layer 0: found no key type, expected \"conv2d\", \"relu\""),
        (layer("type = 3"), "line 3: layer 0: found type = 3, expected \"conv2d\""),
        (layer("type = \"Dense\""), "line 3: layer 0: found type = \"Dense\", expected \"conv2d\", \"relu\""),
        (layer("type = \"relu\"\n\nunits = 3"), "line 5: layer 0 (relu): found unknown key units, expected type"),
        (layer("type = \"dense\"\nunit = 3"), "line 4: layer 0 (dense): found unknown key unit, expected type, units"),
        (layer("zzz = 1\ntype = \"dense\"\naaa = 3"), "line 3: layer 0 (dense): found unknown key zzz"),
        (
            after(&format!("{flat}[[layers]]\ntype = \"dense\"")),
            "line 4: layer 1 (dense): found no key units, expected a whole number from 1",
        ),
        (
            after(&format!("{flat}[[layers]]\ntype = \"dense\"\nunits = 0")),
            "line 6: layer 1 (dense): found units = 0, expected a whole number from 1 to 2147483647",
        ),
        (
            after(&format!("{flat}[[layers]]\ntype = \"dense\"\nunits = -3")),
            "line 6: layer 1 (dense): found units = -3",
        ),
        (
            after(&format!("{flat}[[layers]]\ntype = \"dense\"\nunits = 3.0")),
            "line 6: layer 1 (dense): found units = 3.0",
        ),
        (
            after(&format!("{flat}[[layers]]\ntype = \"dense\"\nunits = \"3\"")),
            "line 6: layer 1 (dense): found units = \"3\"",
        ),
        (
            after(&format!("{flat}[[layers]]\ntype = \"dense\"\nunits = true")),
            "line 6: layer 1 (dense): found units = true",
        ),
        (
            after(&format!("{flat}[[layers]]\ntype = \"dense\"\nunits = 1000000000000000")),
            "found units = 1000000000000000",
        ),
        (
            after(&format!("{flat}[[layers]]\ntype = \"dense\"\nunits = 2147483647")),
            "line 4: layer 1 (dense): found weights of shape [2147483647, 64]",
        ),
        (layer("type = \"conv2d\"\nkernel = 3"), "line 2: layer 0 (conv2d): found no key filters"),
        (
            layer("type = \"conv2d\"\nfilters = 3"),
            "line 2: layer 0 (conv2d): found no key kernel, expected n or [h, w]",
        ),
        (
            layer("type = \"conv2d\"\nfilters = 3\nkernel = [3]"),
            "line 5: layer 0 (conv2d): found kernel = [3], expected n or [h, w]",
        ),
        (
            layer("type = \"conv2d\"\nfilters = 3\nkernel = [3, 0]"),
            "line 5: layer 0 (conv2d): found kernel = [3, 0], expected n or [h, w], each from 1",
        ),
        (
            layer("type = \"conv2d\"\nfilters = 3\nkernel = [3, 3, 3, 3, 3]"),
            "found kernel = a list of 5, expected n or [h, w]",
        ),
        (layer("type = \"conv2d\"\nfilters = 3\nkernel = 3\nstride = 0"), "line 6: layer 0 (conv2d): found stride = 0"),
        (
            layer("type = \"conv2d\"\nfilters = 3\nkernel = 3\npadding = \"full\""),
            "line 6: layer 0 (conv2d): found padding = \"full\", expected \"valid\" or \"same\"",
        ),
        (
            layer("type = \"conv2d\"\nfilters = 3\nkernel = 3\npadding = 1"),
            "line 6: layer 0 (conv2d): found padding = 1, expected \"valid\" or \"same\"",
        ),
        (
            layer("type = \"conv2d\"\nfilters = 3\nkernel = 9"),
            "line 2: layer 0 (conv2d): a window of 9 × 9 does not fit an input of 8 × 8",
        ),
        (layer("type = \"max_pool2d\"\nstride = 2"), "line 2: layer 0 (max_pool2d): found no key size"),
        (layer("type = \"max_pool2d\"\nsize = 9"), "line 2: layer 0 (max_pool2d): a window of 9 × 9 does not fit"),
        (
            layer("type = \"dense\"\nunits = 10"),
            "line 2: layer 0 (dense): found an input of shape [8, 8, 1], expected [features]: a flatten",
        ),
        (
            after(&format!("{flat}[[layers]]\ntype = \"conv2d\"\nfilters = 1\nkernel = 1")),
            "line 4: layer 1 (conv2d): found an input of shape [64], expected an image",
        ),
        (
            layer("type = \"conv2d\"\nfilters = 1\nkernel = 1"),
            "found [8, 8, 1] behind the last layer, expected [classes]",
        ),
        (after(flat), "found no parameters, expected at least one dense or conv2d"),
        (layer(&format!("type = \"{}\"", "x".repeat(9999))), "…\", expected \"conv2d\""),
    ];
    for (text, want) in rows {
        let error = Model::from_toml(&text, "net.toml", "net").expect_err(want);
        let message = error.to_string();
        assert!(matches!(error, Error::Input(_)), "{message}");
        assert!(message.starts_with("net.toml: ") && message.contains(want), "{text}\n{message}\n  lacks {want}");
        assert!(message.lines().count() == 1 && message.len() < 400, "{message}");
    }
}

#[test]
fn unreadable_and_huge_model_files_are_refused() {
    let (folder, _) = folder();
    let error = |name: &str, bytes: Option<&[u8]>| {
        let path = folder.path().join(name);
        bytes.inspect(|bytes| std::fs::write(&path, bytes).unwrap());
        Model::from_toml_file(&path).unwrap_err().to_string()
    };
    assert!(error("none.toml", None).contains("none.toml: cannot be read: "));
    assert!(error("", None).contains("cannot be read: "), "a folder");
    assert!(error("bytes.toml", Some(b"input = \xff")).contains("bytes.toml: cannot be read: invalid utf-8"));
    let huge = vec![b'\n'; LARGEST_FILE_BYTES as usize + 1];
    assert!(error("huge.toml", Some(&huge)).contains("found more than 1048576 bytes, expected"));
    let deep = format!("input = {}", "[".repeat(100_000));
    assert!(error("deep.toml", Some(deep.as_bytes())).contains("deep.toml: line 1: "));
}

#[test]
fn unsound_models_are_refused() {
    let refused = |change: &dyn Fn(&mut Model), want: &str| {
        let mut model = small();
        change(&mut model);
        let error = model.check().expect_err(want).to_string();
        assert!(error.contains(want) && error.starts_with("model "), "{error}\n  lacks {want}");
        let mut graph = Graph::new();
        let x = graph.tensor(TensorInfo::floats("x", [2, 6, 5, 2]));
        assert_eq!(model.build(&mut graph, x).unwrap_err().to_string(), error);
        assert_eq!(model.to_json().unwrap_err().to_string(), error);
    };
    refused(&|m| m.input[1] = 0, "found input = [6, 0, 2], expected 1 to 2147483647 elements");
    refused(&|m| m.input = [usize::MAX; 3], "expected 1 to 2147483647 elements");
    refused(&|m| m.layers.clear(), "found no layers");
    refused(&|m| m.layers.truncate(2), "found [6, 5, 3] behind the last layer");
    refused(&|m| m.layers = vec![Layer::Flatten {}], "found no parameters");
    refused(
        &|m| m.layers.extend(vec![Layer::Dense { units: 40_000 }; 3]),
        "parameters up to layer 6, expected at most",
    );
    refused(&|m| m.class_names = vec!["a".into(); 5], "found 5 class names, expected at most 4");
    refused(&|m| m.normalisation.scale = f32::NAN, "found a normalisation by NaN and 0");
    refused(&|m| m.normalisation.shift = f32::INFINITY, "expected finite numbers");
    for name in ["", "..", "a/b", "a\\b", "a\nb"] {
        refused(&|m| m.name = name.into(), "found a name that is no file name");
    }
    let mut graph = Graph::new();
    let x = graph.tensor(TensorInfo::floats("x", [2, 5, 6, 2]));
    let error = small().build(&mut graph, x).unwrap_err().to_string();
    assert!(error.contains("found an input of shape [2, 5, 6, 2], expected a batch of [6, 5, 2]"), "{error}");
}

#[test]
fn the_description_is_canonical_and_read_strictly() {
    let mut model = Model::preset("mnist-cnn", [28, 28, 1], 10).unwrap();
    model.class_names = vec!["zero".into(), "\"one\"".into()];
    let json = model.to_json().unwrap();
    let want = r#"{"name":"mnist-cnn","input":[28,28,1],"layers":[{"type":"conv2d","filters":32,"kernel":[3,3],"stride":[1,1],"padding":"valid"},{"type":"relu"},{"type":"max_pool2d","size":[2,2],"stride":[2,2]},{"type":"flatten"},{"type":"dense","units":10}],"normalisation":{"scale":0.003921569,"shift":0.0},"class_names":["zero","\"one\""]}"#;
    assert_eq!(json, want);
    assert_eq!(Model::from_json(&json).unwrap(), model);
    for (from, to) in [
        (r#""shift":0.0"#, r#""shift":0.0,"gain":1"#),
        (r#""units":10"#, r#""units":10,"bias":true"#),
        (r#"{"type":"relu"}"#, r#"{"type":"relu","slope":1}"#),
        (r#""units":10"#, r#""units":-1"#),
        (r#""units":10"#, r#""units":10.5"#),
        (r#""units":10"#, r#""units":0"#),
        (r#""units":10"#, r#""units":1000000000000000"#),
        (r#""units":10"#, r#""units":99999999999999999999"#),
        (r#""units":10"#, r#""units":10,"units":10"#),
        (r#"{"type":"flatten"},"#, ""),
        (r#""relu""#, r#""gelu""#),
        (r#""class_names""#, r#""classes""#),
        (r#"{"name""#, r#"{"epoch":1,"name""#),
        (r#""mnist-cnn""#, r#""../mnist-cnn""#),
        (r#""shift":0.0"#, r#""shift":1e99"#),
        ("}", ""),
    ] {
        assert!(json.contains(from), "{from}");
        let text = json.replacen(from, to, 1);
        let error = Model::from_json(&text).expect_err(&text);
        assert!(matches!(&error, Error::Input(why) if why.lines().count() == 1), "{error}");
    }
    let odd = Normalisation { scale: 1.0 / 3.0, shift: -0.1 };
    let model = Model { normalisation: odd, ..model };
    assert_eq!(Model::from_json(&model.to_json().unwrap()).unwrap().normalisation, odd);
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
        (vec![b'#'; 5000], "expected a safetensors file"),
        (file("[]", 0), "found a malformed header"),
        (file("{\"x\":3}", 0), "found a malformed header"),
        (file(&"[".repeat(50_000), 0), "found a malformed header"),
        (file(&tensor("F32", "[2]", 8), 4), "found 66 bytes, expected 70 as the header says"),
        (file(&tensor("F32", "[3]", 8), 8), "found a malformed header"),
        (file(&tensor("F32", "[1099511627776]", 4_398_046_511_104), 8), "as the header says"),
        (file(&tensor("F32", "[4294967296,4294967296]", 8), 8), "found a malformed header"),
        (file(&tensor("F16", "[4]", 8), 8), "found tensor x of type F16, expected F32"),
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
        let y = model.build(&mut graph, x).unwrap();
        if fused {
            wgrad::fuse::fuse(&mut graph, &[y]);
        }
        let memory = weights.to_graph(&graph).unwrap();
        let dense = &memory[2].1;
        assert_eq!(dense == &weights.tensors[2].values, !fused, "the folded flatten permutes the dense weights");
        let read = |t| Ok(memory.iter().find(|(tensor, _)| *tensor == t).unwrap().1.clone());
        assert_eq!(Weights::from_graph(&graph, read).unwrap(), weights);
        assert!(Weights::from_graph(&graph, |_| Ok(Vec::new())).is_err());
        assert!(Weights::new(Vec::new()).to_graph(&graph).unwrap_err().to_string().contains("found no 0.weight"));
    }
}
