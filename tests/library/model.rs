//! The model file, the builder and the description in weight files: their agreement and their refusals.

use wgrad::Error;
use wgrad::ir::graph::{Graph, TensorInfo};
use wgrad::model::formats::toml::LARGEST_FILE_BYTES;
use wgrad::model::layers::*;
use wgrad::model::{Build, Model, Normalisation, Sequential};
use wgrad::ops::conv::geometry::Padding;

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
type = "avg_pool2d"
size = [1, 2]

[[layers]]
type = "layer_norm"

[[layers]]
type = "batch_norm"
momentum = 1

[[layers]]
type = "batch_norm"
epsilon = 1e-3

[[layers]]
type = "flatten"

[[layers]]
type = "dense"
units = 1_0
"#;

pub fn small() -> Model {
    let net = Sequential::new([6, 5, 2]).name("small").conv2d_with(3, [3, 2], 1, Padding::Same);
    net.relu().flatten().dense(4).build().unwrap()
}

#[test]
fn the_file_and_the_builder_give_one_model() {
    let net = Sequential::new([28, 20, 3]).name("all").conv2d(32, 3).conv2d_with(16, [5, 3], [2, 1], Padding::Same);
    let net = net.relu().max_pool2d(2).max_pool2d_with([3, 2], 1).avg_pool2d([1, 2]);
    let net = net.layer_norm().batch_norm_with(1e-5, 1.0).batch_norm_with(1e-3, 0.1).flatten().dense(10);
    let built = net.build().unwrap();
    assert_eq!(Model::from_toml(ALL_KEYS, "all.toml", "all").unwrap(), built);
    assert_eq!(Model::from_toml(&built.to_toml(), "again.toml", "all").unwrap(), built);
}

#[test]
fn a_model_file_is_read_literally_and_names_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my net.toml");
    std::fs::write(&path, ALL_KEYS).unwrap();
    let model = Model::named_or_file(path.to_str().unwrap(), [1, 1, 1], 2, None).unwrap();
    assert_eq!((&*model.name, model.input.clone(), model.classes().unwrap()), ("my net", vec![28, 20, 3], 10));
}

/// Complete files, and the message after the file's name.
const FILES: &[(&str, &str)] = &[
    ("", "line 1: the model: found no key input, expected a list"),
    ("input = [8, 8, 1]", "line 1: the model: found no key layers"),
    ("input = [8, 8, 1]\nlayers = 3", "line 2: the model: found layers = 3, expected a list"),
    ("input = [8, 8, 1]\n[layers]\ntype = 'relu'", "line 2: the model: found layers = a table, expected a list"),
    ("input = [8, 8, 1]\nlayers = [1]", "line 2: the model: found layers = [1], expected a list of tables"),
    ("input = [8, 8, 1]\nlayers = []", "found no layers, expected at least one"),
    ("input = [8, 8]\nlayers = []", "line 1: the model: found input = [8, 8], expected [height, width, channels]"),
    ("\ninput = 8\nlayers = []", "line 2: the model: found input = 8, expected a list of whole numbers"),
    ("input = [8, 0, 1]\nlayers = []", "line 1: the model: found input = [8, 0, 1], expected"),
    ("input = [8, -8, 1]\nlayers = []", "found input = [8, -8, 1], expected a list of whole numbers from 1"),
    ("input = [8, 8.0, 1]\nlayers = []", "line 1: the model: found input = [8, 8.0, 1]"),
    ("input = [8, 99999999999999999999, 1]\nlayers = []", "99999999999999999999, 1], expected"),
    ("input = [8, 8, 1]\ninput = [8, 8, 1]", "line 2: duplicate key"),
    ("input = [8, 8, 1", "line 1: unclosed array"),
    ("input = [8, 8, 1]\n[[layers]\ntype = 'relu'", "line 2: "),
    (
        "input = [8, 8, 1]\nepochs = 3\nlayers = []",
        "line 2: the model: found unknown key epochs, expected input, inputs, normalise, layers",
    ),
];

/// A first layer, which begins in line 2, for an input of [8, 8, 1].
const FIRST: &[(&str, &str)] = &[
    ("", "line 2: layer 0: found no key type, expected \"conv2d\", \"relu\""),
    ("type = 3", "line 3: layer 0: found type = 3, expected \"conv2d\""),
    ("type = 'Dense'", "line 3: layer 0: found type = \"Dense\", expected \"conv2d\", \"relu\""),
    ("type = 'relu'\n\nunits = 3", "line 5: layer 0 (relu): found unknown key units, expected type"),
    ("type = 'dense'\nunit = 3", "line 4: layer 0 (dense): found unknown key unit, expected type, units"),
    ("zzz = 1\ntype = 'dense'\naaa = 3", "line 3: layer 0 (dense): found unknown key zzz"),
    ("type = 'conv2d'\nkernel = 3", "line 2: layer 0 (conv2d): found no key filters"),
    ("type = 'conv2d'\nfilters = 3", "line 2: layer 0 (conv2d): found no key kernel, expected n or [h, w]"),
    (
        "type = 'conv2d'\nfilters = 3\nkernel = [3]",
        "line 5: layer 0 (conv2d): found kernel = [3], expected n or [h, w]",
    ),
    ("type = 'conv2d'\nfilters = 3\nkernel = [3, 0]", "found kernel = [3, 0], expected n or [h, w], each from 1"),
    ("type = 'conv2d'\nfilters = 3\nkernel = [3, 3, 3, 3, 3]", "found kernel = a list of 5, expected n or [h, w]"),
    ("type = 'conv2d'\nfilters = 3\nkernel = 3\nstride = 0", "line 6: layer 0 (conv2d): found stride = 0"),
    (
        "type = 'conv2d'\nfilters = 3\nkernel = 3\npadding = 'full'",
        "line 6: layer 0 (conv2d): found padding = \"full\"",
    ),
    ("type = 'conv2d'\nfilters = 3\nkernel = 3\npadding = -1", "found padding = -1, expected \"valid\", \"same\", n,"),
    ("type = 'conv2d'\nfilters = 3\nkernel = 3\npadding = [1, 2, 3]", "found padding = [1, 2, 3], expected \"valid\""),
    (
        "type = 'conv2d'\nfilters = 3\nkernel = 11\npadding = 1",
        "a window of 11 × 11 does not fit an input of 8 × 8 with its padding",
    ),
    (
        "type = 'max_pool2d'\nsize = 2\npadding = 2",
        "found padding of 2 beside a window of 2 × 2, expected less than the window",
    ),
    (
        "type = 'flatten'\nmodule = 'fc'\n[[layers]]\ntype = 'dense'\nunits = 3",
        "found module = \"fc\", expected it on a layer with weights",
    ),
    ("type = 'flatten'\nof = 'first'", "found of = \"first\", expected it in place of `from`, in a layer that joins"),
    ("type = 'conv2d'\nfilters = 3\nkernel = 9", "line 2: layer 0 (conv2d): a window of 9 × 9 does not fit an input"),
    ("type = 'conv2d'\nfilters = 1\nkernel = 3", "found [6, 6, 1] after the last layer, expected [classes]"),
    ("type = 'max_pool2d'\nstride = 2", "line 2: layer 0 (max_pool2d): found no key size"),
    ("type = 'max_pool2d'\nsize = 9", "line 2: layer 0 (max_pool2d): a window of 9 × 9 does not fit"),
    ("type = 'avg_pool2d'\nstride = 2", "line 2: layer 0 (avg_pool2d): found no key size"),
    ("type = 'avg_pool2d'\nsize = 2\nfilters = 2", "line 5: layer 0 (avg_pool2d): found unknown key filters"),
    ("type = 'global_avg_pool2d'\nsize = 2", "line 4: layer 0 (global_avg_pool2d): found unknown key size"),
    ("type = 'global_max_pool2d'", "found no parameters, expected at least one dense or conv2d"),
    (
        "type = 'layer_norm'\nepsilon = -1",
        "line 4: layer 0 (layer_norm): found epsilon = -1, expected a number above 0",
    ),
    ("type = 'layer_norm'\nmomentum = 0.1", "line 4: layer 0 (layer_norm): found unknown key momentum"),
    ("type = 'batch_norm'\nepsilon = 0", "line 4: layer 0 (batch_norm): found epsilon = 0, expected a number above 0"),
    (
        "type = 'batch_norm'\nepsilon = inf",
        "line 4: layer 0 (batch_norm): found epsilon = inf, expected a number above 0",
    ),
    ("type = 'batch_norm'\nmomentum = 1.1", "found momentum = 1.1, expected a number from 0 to 1"),
    (
        "type = 'batch_norm'\nmomentum = 'low'",
        "line 4: layer 0 (batch_norm): found momentum = \"low\", expected a number",
    ),
    ("type = 'batch_norm'\naxis = 1", "line 4: layer 0 (batch_norm): found unknown key axis, expected type, epsilon"),
    ("type = 'dense'\nunits = 10", "line 2: layer 0 (dense): found an input of shape [8, 8, 1], expected [features]"),
    ("type = 'flatten'", "found no parameters, expected at least one dense or conv2d"),
];

/// A layer after a flatten, which begins in line 4.
const SECOND: &[(&str, &str)] = &[
    ("type = 'dense'", "line 4: layer 1 (dense): found no key units, expected a whole number from 1"),
    (
        "type = 'dense'\nunits = 0",
        "line 6: layer 1 (dense): found units = 0, expected a whole number from 1 to 2147483647",
    ),
    ("type = 'dense'\nunits = -3", "line 6: layer 1 (dense): found units = -3"),
    ("type = 'dense'\nunits = 3.0", "line 6: layer 1 (dense): found units = 3.0"),
    ("type = 'dense'\nunits = '3'", "line 6: layer 1 (dense): found units = \"3\""),
    ("type = 'dense'\nunits = true", "line 6: layer 1 (dense): found units = true"),
    ("type = 'dense'\nunits = 1000000000000000", "line 6: layer 1 (dense): found units = 1000000000000000"),
    ("type = 'dense'\nunits = 2147483647", "line 4: layer 1 (dense): found weights of shape [2147483647, 64]"),
    ("type = 'global_avg_pool2d'", "line 4: layer 1 (global_avg_pool2d): found an input of shape [64], expected an"),
    ("type = 'conv2d'\nfilters = 1\nkernel = 1", "line 4: layer 1 (conv2d): found an input of shape [64], expected an"),
];

/// Each message is one line: the file, the line, what was found and what was expected.
#[test]
fn malformed_model_files_are_refused_with_their_line() {
    let first = |(layer, want): &(&str, _)| (format!("input = [8, 8, 1]\n[[layers]]\n{layer}\n"), *want);
    let second = |(layer, want): &_| first(&(&*format!("type = 'flatten'\n[[layers]]\n{layer}"), *want));
    let mut rows: Vec<(String, &str)> = FILES.iter().map(|(text, want)| (text.to_string(), *want)).collect();
    rows.extend(FIRST.iter().map(first));
    rows.extend(SECOND.iter().map(second));
    rows.push(first(&(&*format!("type = '{}'", "x".repeat(9999)), "…\", expected \"conv2d\"")));
    for (text, want) in rows {
        let error = Model::from_toml(&text, "net.toml", "net").expect_err(want);
        let message = error.to_string();
        assert!(matches!(error, Error::Input(_)), "{message}");
        assert!(message.starts_with("net.toml: ") && message.contains(want), "{text}\n{message}\n  lacks {want}");
        assert!(message.lines().count() == 1 && message.len() < 800, "{message}");
    }
}

#[test]
fn unreadable_and_huge_model_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
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
        assert_eq!(model.build(&mut graph, x, Build::INFERENCE).unwrap_err().to_string(), error);
        assert_eq!(model.to_json().unwrap_err().to_string(), error);
    };
    refused(&|m| m.input[1] = 0, "found input = [6, 0, 2], expected 1 to 2147483647 elements");
    refused(&|m| m.input = vec![usize::MAX; 3], "expected 1 to 2147483647 elements");
    refused(&|m| m.layers.clear(), "found no layers");
    let pooled = LayerEntry::from(MaxPool2d { stride: [2, 2], ..MaxPool2d::new([2, 2]) });
    refused(&|m| m.layers.splice(2.., [pooled.clone()]).for_each(drop), "found [3, 2, 3] after the last layer");
    refused(&|m| m.layers = vec![LayerEntry::from(Flatten::new())], "found no parameters");
    refused(
        &|m| m.layers.extend(vec![LayerEntry::from(Dense { units: 40_000, bias: true }); 3]),
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
    let error = small().build(&mut graph, x, Build::INFERENCE).unwrap_err().to_string();
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
        (r#""units":10"#, r#""units":10,"biased":true"#),
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
