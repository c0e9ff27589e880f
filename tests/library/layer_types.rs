//! The contract of layers, for every line of the registry: files, messages, graphs, ONNX and the summary follow from what
//! the layer's one file says. Gradients are in `gradients.rs`.

use std::path::Path;
use wgrad::ir::graph::{Graph, TensorInfo};
use wgrad::model::layers::keys::{Kind, Value};
use wgrad::model::layers::onnx::Onnx;
use wgrad::model::layers::*;
use wgrad::model::{Build, Model, Sequential, Weights};
use wgrad::ops::conv::geometry::Padding;
use wgrad::ops::pointwise::activation::Function;
use wgrad::step::control::Control;

/// A value that the key can have in the net of `around`, and another one.
fn values(kind: &Kind) -> [Value; 2] {
    match kind {
        Kind::Size => [Value::Size(4), Value::Size(2)],
        Kind::Count => [Value::Size(0), Value::Size(2)],
        Kind::Pair => [Value::Pair([2, 1]), Value::Pair([1, 2])],
        Kind::Number(_) => [Value::Number(0.25), Value::Number(0.5)],
        Kind::Single(_) => [Value::Single(0.25), Value::Single(0.1)],
        Kind::Choice(words) => [Value::Choice(words[0]), Value::Choice(words[words.len() - 1])],
        Kind::Flag => [Value::Flag(true), Value::Flag(false)],
        Kind::Padding => [Value::Padding(Padding::Same), Value::Padding(Padding::sides([1, 0, 0, 0]))],
    }
}

/// A net with a layer of that type, its default keys and another layer's result besides where it joins; and its place.
pub fn around(kind: &LayerType) -> (Model, usize) {
    let required: Vec<Option<Value>> = kind.keys.iter().map(|key| key.required.then(|| values(&key.kind)[0])).collect();
    let layer = kind.make(&required).unwrap_or_else(|| panic!("{} is made of {required:?}", kind.name));
    let joins = layer.joins();
    let net = |flat: bool| {
        let net = Sequential::new([5, 5, 2]).name("net").conv2d(4, 2).relu().named("first");
        let net = net.conv2d(4, 1).activation(Function::Tanh);
        let net = if flat { net.flatten() } else { net };
        let net = net.layer(LayerEntry::from_arc(layer.clone()));
        if joins { net.reading("first").flatten().dense(3) } else { net.flatten().dense(3) }
    };
    // Of a text: places with a number of features for each.
    let text = || {
        let net = Sequential::text(4).name("net");
        let entry = LayerEntry::from_arc(layer.clone());
        match kind.name {
            // A second text, which goes on where the first ends.
            "input" => {
                let net = net.embedding(5, 4).gru(4, 1).named("encoder").layer(entry);
                return (net.embedding(7, 4).gru(4, 1).starting_at("encoder").dense(7), 2);
            }
            "attention" => {
                let net = net.embedding(5, 4).gru(4, 1).named("encoder").target().embedding(7, 4);
                return (net.layer(entry).reading("encoder").dense(7), 4);
            }
            _ => {}
        }
        let net = match kind.name {
            "embedding" => net,
            // Four heads of two numbers: rotary positions turn pairs.
            "transformer" => net.embedding(5, 8),
            _ => net.embedding(5, 4),
        };
        (net.layer(entry).dense(3), usize::from(kind.name != "embedding"))
    };
    match net(false).build().map(|model| (model, 4)).or_else(|_| net(true).build().map(|model| (model, 5))) {
        Ok(found) => found,
        Err(_) => {
            let (net, at) = text();
            (net.build().unwrap_or_else(|why| panic!("{}: {why}", kind.name)), at)
        }
    }
}

/// The net of `around`, and those with another value of one of the layer's keys.
fn variants(kind: &LayerType) -> Vec<Model> {
    let (model, at) = around(kind);
    let mut all = vec![model.clone()];
    for key in kind.keys.iter().filter(|key| !key.hidden) {
        let current = model.layers[at].stored().and_then(|(kind, values)| {
            kind.keys.iter().zip(values).find(|(known, _)| known.name == key.name).map(|(_, value)| value)
        });
        // Of a flag that which it is not.
        let [first, other] = values(&key.kind);
        let other = if current == Some(other) { first } else { other };
        let changed = model.layers[at].with(key.name, other).unwrap_or_else(|| panic!("{}: {}", kind.name, key.name));
        // Positions are of as many places as the text has, and heads are multiples of those of keys.
        let changed = match key.name {
            "positions" => changed.with("context", Value::Size(4)).unwrap_or(changed),
            "heads" => changed.with("kv_heads", Value::Size(1)).unwrap_or(changed),
            // Of four channels two are left.
            "skip" => changed.with("channels", Value::Size(2)).unwrap_or(changed),
            _ => changed,
        };
        let mut model = model.clone();
        model.layers[at] = changed;
        model.check().unwrap_or_else(|why| panic!("{} = {other}: {why}", key.name));
        assert!(all.iter().skip(1).all(|known| *known != model));
        all.push(model);
    }
    all
}

/// File, description in weight files and back, with every key at its default and at another value.
#[test]
fn every_layer_is_read_as_it_was_written() {
    for model in TYPES.iter().flat_map(variants) {
        let text = model.to_toml();
        let read = Model::from_toml(&text, "net.toml", "net").unwrap_or_else(|why| panic!("{why}\n{text}"));
        assert!(read == model && read.to_toml() == text, "{text}");
        let json = model.to_json().unwrap();
        let read = Model::from_json(&json).unwrap_or_else(|why| panic!("{why}\n{json}"));
        assert!(read == model && read.to_json().unwrap() == json, "{json}");
    }
}

/// A key that no layer has, with its line; one that is nearly right, with what was meant; a value of another type.
#[test]
fn unknown_keys_of_every_layer_are_refused() {
    for kind in TYPES.iter() {
        let (model, at) = around(kind);
        let text = model.to_toml();
        let lines: Vec<&str> = text.lines().collect();
        let begins: Vec<usize> = (0..lines.len()).filter(|&line| lines[line] == "[[layers]]").collect();
        let with = |line: &str| {
            let mut lines = lines.clone();
            // Line numbers begin with 1, and the line comes after that of the type.
            lines.insert(begins[at] + 2, line);
            let error = Model::from_toml(&lines.join("\n"), "net.toml", "net").unwrap_err().to_string();
            let place = format!("net.toml: line {}: layer {at} ({}): ", begins[at] + 3, kind.name);
            assert!(error.starts_with(&place), "{line}: {error}");
            error
        };
        assert!(with("zzz = 1").contains("found unknown key zzz, expected type, "), "{}", kind.name);
        assert!(with("frmo = 1").ends_with("; did you mean 'from'?"), "{}", kind.name);
        for key in kind.keys.iter().filter(|key| !key.hidden) {
            let meant = format!("; did you mean '{}'?", key.name);
            assert!(with(&format!("{}s = 1", key.name)).ends_with(&meant), "{}", key.name);
            let end = begins.get(at + 1).copied().unwrap_or(lines.len());
            let is_key =
                |&line: &usize| line > begins[at] && line < end && lines[line].starts_with(&format!("{} = ", key.name));
            let mut others: Vec<&str> = (0..lines.len()).filter(|line| !is_key(line)).map(|line| lines[line]).collect();
            let empty = format!("{} = {{}}", key.name);
            others.insert(begins[at] + 2, &empty);
            let text = others.join("\n");
            let error = Model::from_toml(&text, "net.toml", "net").unwrap_err().to_string();
            let want = format!("found {} = a table, expected {}", key.name, key.kind.expected());
            assert!(error.contains(&want), "{}: {error}", kind.name);
        }
    }
}

/// The graph has the shapes and the parameters that `infer` says, in training and in inference.
#[test]
fn every_layer_builds_what_it_infers() {
    for model in TYPES.iter().flat_map(variants) {
        let inferred = model.infer().unwrap();
        for training in [false, true] {
            let mut graph = Graph::new();
            let x = match model.text {
                Some(_) => graph.tensor(TensorInfo::words("x", [3, 4])),
                None => graph.tensor(TensorInfo::floats("x", [3, 5, 5, 2])),
            };
            let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]));
            let build = if training { Build::training(control) } else { Build::inference(control) };
            let target = graph.tensor(TensorInfo::words("target", [3, 5]));
            let build = Build { target: Some(target), ..build };
            let y = model.build(&mut graph, x, build).unwrap_or_else(|why| panic!("{why}"));
            assert_eq!(graph.shape(y), [&[3], &inferred.last().unwrap().shape[..]].concat());
            let params: Vec<_> = inferred.iter().flat_map(|layer| &layer.params).collect();
            assert_eq!(graph.params.len(), params.len());
            for (built, param) in graph.params.iter().zip(params) {
                assert_eq!((&built.name, &built.file_shape.0), (&param.name, &param.file_shape));
                assert_eq!((built.running, graph.info(built.tensor).elements()), (param.running, param.elements()));
            }
        }
    }
}

/// Every node reads what there is, no name is given twice, and the whole can be written; the table has the layer's line.
#[test]
fn every_layer_has_a_form_in_onnx_and_a_line_in_the_summary() {
    for (kind, model) in TYPES.iter().flat_map(|kind| variants(kind).into_iter().map(move |model| (kind, model))) {
        let (_, at) = around(kind);
        let shapes: Vec<Vec<usize>> = model.infer().unwrap().into_iter().map(|layer| layer.shape).collect();
        let layer = &model.layers[at];
        let before = if at == 0 { &model.input } else { &shapes[at - 1] };
        let given: Vec<&[usize]> = std::iter::once(before)
            .chain(layer.from.iter().map(|from| &shapes[*from]))
            .map(|shape| &shape[..])
            .collect();
        let inputs: Vec<String> = (0..given.len()).map(|input| format!("input{input}")).collect();
        let params: Vec<String> = model.infer().unwrap()[at].params.iter().map(|param| param.name.clone()).collect();
        let mut onnx = Onnx::new("own".into(), inputs.clone(), given, params.clone());
        layer.onnx(&mut onnx).unwrap_or_else(|why| panic!("{}: {why}", kind.name));
        let mut known: Vec<String> = inputs.iter().chain(&params).cloned().collect();
        known.extend(onnx.constants.iter().map(|constant| constant.name.clone()));
        for node in &onnx.nodes {
            assert!(node.inputs.iter().all(|input| input.is_empty() || known.contains(input)), "{node:?}");
            known.push(node.name.clone());
        }
        let names: std::collections::BTreeSet<&String> = known.iter().collect();
        assert_eq!(names.len(), known.len(), "{}: {known:?}", kind.name);
        assert!(onnx.nodes.is_empty() || onnx.result() == "own", "{}", kind.name);
        let read = |name: &String| onnx.nodes.iter().any(|node| node.inputs.contains(name));
        assert!(onnx.nodes.is_empty() || inputs.iter().chain(&params).all(read), "{}: {:?}", kind.name, onnx.nodes);
        #[cfg(feature = "onnx")]
        {
            let weights = wgrad::model::init::glorot_uniform(&model, 0).unwrap();
            wgrad::train::predict::TrainedModel { model: model.clone(), weights }.to_onnx().unwrap();
        }
        let from = if layer.joins() { ", from 1" } else { "" };
        assert!(model.summary().unwrap().contains(&format!("│ {at} ({}{from}) ", kind.name)));
        assert!(layer.describe().starts_with(kind.name));
    }
}

/// Names of types and of keys stand once each; a tag is the name, or several types share it.
#[test]
fn the_registry_is_sound() {
    let mut names = std::collections::BTreeSet::new();
    for kind in TYPES.iter() {
        assert!(names.insert(kind.name), "{} is there twice", kind.name);
        assert_eq!(kind.tag != kind.name, kind.told_by.is_some(), "{}", kind.name);
        let mut keys: Vec<&str> = kind.keys.iter().map(|key| key.name).chain(["type", "from", "name"]).collect();
        keys.extend(kind.told_by);
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "{}: {keys:?}", kind.name);
        assert_eq!(named(kind.name).map(|kind| kind.tag), Some(kind.tag));
    }
}

/// A file of an earlier version is read, and written again with the same bytes.
#[test]
fn files_of_the_first_version_stay_what_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/every_layer_0_1.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let (model, weights) = Weights::load(&path).unwrap();
    let model = model.unwrap();
    assert!(weights.to_bytes(&model).unwrap() == bytes, "{}", model.to_json().unwrap());
    let json = model.to_json().unwrap();
    let max = json.replace("global_avg_pool2d", "global_max_pool2d");
    assert!(Model::from_json(&max).unwrap().layers[15].is::<GlobalMaxPool2d>());
    for (from, to, want) in [
        ("\"units\":3", "\"units\":3,\"unit\":3", "unit: found a key that it does not have"),
        ("\"units\":3", "\"units\":3,\"units\":3", "found key \"units\" twice"),
        ("\"units\":3", "\"units\":true", "units: found true, expected a whole number from 1 to"),
        (",\"units\":3", "", "units: found no such key"),
        ("\"valid\"", "\"full\"", "padding: found \"full\", expected \"valid\", \"same\", n, [rows, columns] or"),
        ("\"from\":5", "\"from\":99", "layer 7 (concat): found from = 99, expected the place of an earlier layer"),
        ("\"from\":5", "\"from\":[]", "from: found [], expected places of layers"),
        (",\"from\":5", "", "layer 7 (concat): found 1 result to join, expected two or more"),
        ("\"type\":\"flatten\"", "\"type\":\"unfold\"", "found no layer of type \"unfold\""),
    ] {
        let error = Model::from_json(&json.replacen(from, to, 1)).expect_err(want).to_string();
        assert!(error.contains(want), "{error}\n  lacks {want}");
    }
}

/// A result that nothing reads would have weights that no gradient reaches.
#[test]
fn a_result_that_nothing_reads_is_refused() {
    let net = Sequential::new([4, 4, 2]).relu().named("first").conv2d(4, 2).activation(Function::Tanh).reading("first");
    let error = net.flatten().dense(3).build().unwrap_err().to_string();
    assert!(error.contains("layer 1 (conv2d): found no layer that reads its result"), "{error}");
}
