//! Weights that Keras and PyTorch saved give the probabilities that Keras and PyTorch gave; ambiguous matches need an
//! answer from the user.
#![cfg(feature = "cli")]

use crate::common::{Place, number};
use crate::fixtures::{fixture, json};
use serde_json::Value;
use wgrad::device::Device;
use wgrad::model::formats::import::{Hints, Order, import};
use wgrad::model::formats::weights::NamedTensor;
use wgrad::model::init::glorot_uniform;
use wgrad::model::layers::{Gru, Lstm};
use wgrad::model::{Model, Sequential, Task, Weights};
use wgrad::ops::conv::geometry::Padding;
use wgrad::text::{Tokenizer, Unit};
use wgrad::train::predict::Predictor;

/// The net of tests/fixtures/make_import_fixtures.py.
fn net() -> Model {
    let net = Sequential::new([8, 7, 2]).name("net").conv2d_with(2, [3, 2], 1, Padding::Same).relu().conv2d(2, [3, 2]);
    net.relu().max_pool2d(2).flatten().dense(16).relu().dense(16).build().unwrap()
}

#[test]
fn keras_and_pytorch_give_the_same_probabilities() {
    for (name, order) in
        [("keras", "Keras's, transposed, features H W C to C H W"), ("pytorch", "PyTorch's, as they are")]
    {
        let place = Place::new();
        place.write("net.toml", net().to_toml());
        let file = fixture(&format!("import_{name}.safetensors"));
        let done = place.works(&format!("import {} --model net.toml --out out.safetensors", file.display()));
        assert!(done.out.lines().count() == 5 && done.out.contains(order), "{}", done.out);
        assert!(done.out.contains("zeros") == (name == "pytorch"), "conv2 has no bias there: {}", done.out);
        let facts = json(&format!("import_{name}.json"));
        let list = |value: &Value| value.as_array().unwrap().clone();
        let pixels: Vec<u8> = list(&facts["pixels"]).iter().flat_map(list).map(|p| p.as_u64().unwrap() as u8).collect();
        let found = Model::load(place.path("out.safetensors")).unwrap().predict(&pixels).unwrap();
        for (found, wanted) in found.iter().zip(list(&facts["probabilities"])) {
            for (found, wanted) in found.iter().zip(list(&wanted)) {
                // Some hundred roundings of numbers about 1, on both sides.
                assert!((f64::from(*found) - wanted.as_f64().unwrap()).abs() < 2e-6, "{name}: {found}, {wanted}");
            }
        }
    }
}

/// An embedding and recurrences of every kind: their gates in Keras's order, one, two and no bias, both directions, and two that
/// are one layer here.
#[test]
fn recurrences_of_keras_give_its_probabilities() {
    let net = Sequential::text(5).embedding(7, 4).rnn(3, 1).gru(4, 1);
    let net = net.layer(Lstm { bidirectional: true, ..Lstm::new(3usize) }).lstm(5, 2).last().dense(5);
    let names = (0..7).map(|n| format!("w{n}")).collect();
    let text = Some(Tokenizer::known(Unit::Words, names));
    let model = Model { text, task: Task::Classify, ..net.name("net").build().unwrap() };
    let place = Place::new();
    glorot_uniform(&model, 1).unwrap().save(&place.path("net.safetensors"), &model).unwrap();
    let file = fixture("import_keras_text.safetensors");
    let import = format!("import {} --model net.safetensors --out out.safetensors", file.display());
    let done = place.works(&import);
    let lines: Vec<String> =
        done.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "0 (embedding) sequential/embedding/embeddings [7, 4] none Keras's, as they are",
        "2 (gru) sequential/gru/gru_cell/kernel [3, 12] sequential/gru/gru_cell/bias Keras's, transposed, gates z r h to r z n",
        "3 (lstm l0 reverse) sequential/bidirectional/backward_lstm/lstm_cell/kernel [4, 12] \
         sequential/bidirectional/backward_lstm/lstm_cell/bias Keras's, transposed",
        "4 (lstm l1) sequential/lstm_10/lstm_cell/kernel [5, 20] zeros Keras's, transposed",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line}:\n{}", done.out);
    }
    let facts = json("import_keras_text.json");
    let list = |value: &Value| value.as_array().unwrap().clone();
    for (tokens, wanted) in list(&facts["tokens"]).iter().zip(list(&facts["probabilities"])) {
        let words: Vec<String> = list(tokens).iter().map(|token| format!("w{token}")).collect();
        let net = Model::load(place.path("out.safetensors")).unwrap();
        let mut predictor = Predictor::new(&Device::cpu(1).unwrap(), &net, 1).unwrap();
        let (found, _) = pollster::block_on(predictor.texts(&[&words.join(" ")])).unwrap();
        for (found, wanted) in found[0].iter().zip(list(&wanted)) {
            // Some hundred roundings of numbers about 1, on both sides.
            assert!((f64::from(*found) - wanted.as_f64().unwrap()).abs() < 2e-6, "{tokens}: {found}, {wanted}");
        }
    }
}

/// PyTorch's recurrences of several layers and directions go by the numbers in their names, cells too.
#[test]
fn recurrences_of_pytorch_are_matched() {
    let net = Sequential::text(5).embedding(4, 4).layer(Gru { bidirectional: true, layers: 2, ..Gru::new(3usize) });
    let model = net.layer(Gru { bidirectional: true, ..Gru::new(3usize) }).dense(4).name("net").build().unwrap();
    let own = glorot_uniform(&model, 3).unwrap();
    let renamed = |name: &str| {
        let (layer, rest) = name.split_once('.').unwrap();
        format!("net.{}.{rest}", ["embed", "rnn1", "rnn2", "head"][layer.parse::<usize>().unwrap()])
    };
    let tensors = own.tensors.iter().map(|tensor| NamedTensor { name: renamed(&tensor.name), ..tensor.clone() });
    let mut file = Weights::new(tensors.collect());
    let imported = import(&file, &model, &Hints::default()).unwrap();
    for tensor in &own.tensors {
        assert_eq!(imported.weights.get(&tensor.name), Some(tensor));
    }
    file.tensors.retain(|tensor| tensor.name != "net.rnn2.weight_hh_l0_reverse");
    let error = import(&file, &model, &Hints::default()).unwrap_err().to_string();
    assert!(error.contains("module net.rnn2.l0.1: found one of weight_ih and weight_hh, expected both"), "{error}");
    let other = Sequential::text(5).embedding(4, 4).lstm(3, 1).dense(4).name("other").build().unwrap();
    let error = import(&own, &other, &Hints::default()).unwrap_err().to_string();
    assert!(error.contains("layer 1 (lstm) needs [12, 4] in PyTorch's order (nothing fits)"), "{error}");
}

fn tensor(name: &str, shape: &[usize]) -> NamedTensor {
    let seed = name.bytes().map(f32::from).sum::<f32>();
    let values = (0..shape.iter().product::<usize>()).map(|i| seed + i as f32).collect();
    NamedTensor { name: name.into(), shape: shape.into(), values }
}

/// The modules that the layers take, or the message.
fn matched(model: &Model, tensors: &[(&str, &[usize])], hints: &Hints) -> Result<String, String> {
    let file = Weights::new(tensors.iter().map(|(name, shape)| tensor(name, shape)).collect());
    let found = import(&file, model, hints).map_err(|e| e.to_string())?;
    found.weights.check_against(model).expect("the model's own weights");
    Ok(found.matches.iter().map(|m| m.weight.0.clone()).collect::<Vec<_>>().join(" "))
}

#[test]
fn modules_of_one_shape_go_by_their_numbers() {
    let mut net = Sequential::new([9, 9, 2]).name("deep");
    for _ in 0..11 {
        net = net.conv2d_with(2, 3, 1, Padding::Same);
    }
    let model = net.flatten().dense(3).build().unwrap();
    // As PyTorch stores them: by name, 10 before 2.
    let mut names: Vec<String> =
        (0..11).flat_map(|i| ["bias", "weight"].map(|end| format!("body.{i}.conv.{end}"))).collect();
    names.sort();
    let mut tensors: Vec<(&str, &[usize])> =
        names.iter().map(|name| (&**name, if name.ends_with("bias") { &[2][..] } else { &[2, 2, 3, 3][..] })).collect();
    tensors.extend([("head.weight", &[3, 162][..]), ("head.bias", &[3][..])]);
    let want: Vec<String> = (0..11).map(|i| format!("body.{i}.conv.weight")).collect();
    assert_eq!(matched(&model, &tensors, &Hints::default()), Ok(want.join(" ") + " head.weight"));
}

#[test]
fn what_cannot_be_told_is_asked() {
    let model = Sequential::new([5, 5, 2]).name("two").conv2d_with(2, 3, 1, Padding::Same).relu().conv2d(2, 3);
    let model = model.flatten().dense(4).build().unwrap();
    let [k, b]: [&[usize]; 2] = [&[2, 2, 3, 3], &[2]];
    let dense = [("head.weight", &[4, 18][..]), ("head.bias", &[4][..])];
    let named = |first: &'static str, second: &'static str| [&[(first, k), (second, k)][..], &dense].concat();
    let no = Hints::default();
    assert_eq!(matched(&model, &named("c2.weight", "c1.weight"), &no), Ok("c1.weight c2.weight head.weight".into()));
    assert_eq!(matched(&model, &named("c_1.weight", "c.weight"), &no), Ok("c.weight c_1.weight head.weight".into()));
    let error = matched(&model, &named("stem.weight", "body.weight"), &no).unwrap_err();
    let want = "layers 0 (conv2d), 2 (conv2d) have one shape, [2, 2, 3, 3], and each of body, stem fits";
    assert!(error.contains(want) && error.contains("--map 0=body"), "{error}");
    let map = |map: &[(usize, &str)]| Hints {
        map: map.iter().map(|(l, m)| (*l, m.to_string())).collect(),
        ..Hints::default()
    };
    for hints in [map(&[(0, "stem")]), map(&[(2, "body")]), map(&[(2, "body"), (0, "stem"), (4, "head")])] {
        let found = matched(&model, &named("stem.weight", "body.weight"), &hints);
        assert_eq!(found, Ok("stem.weight body.weight head.weight".into()));
    }
    for (hints, want) in [
        (map(&[(0, "stam")]), "layer 0 = stam: no module 'stam'; did you mean 'stem'?"),
        (map(&[(1, "stem")]), "layer 1 = stem: no such layer has weights"),
        (map(&[(0, "stem"), (0, "body")]), "layer 0 = body: no such layer has weights, or it has a module already"),
        (map(&[(0, "stem"), (2, "stem")]), "layer 2 = stem: "),
        (map(&[(0, "head")]), "the weights do not fit model two:"),
    ] {
        let error = matched(&model, &named("stem.weight", "body.weight"), &hints).unwrap_err();
        assert!(error.contains(want), "{error}");
    }

    // Biases count as much as weights.
    let tensors = [&named("stem.weight", "body.weight")[..], &[("stem.bias", &[3]), ("body.bias", b)]].concat();
    let error = matched(&model, &tensors, &no).unwrap_err();
    assert!(
        error.starts_with("the weights do not fit model two:\n  layer 0 (conv2d) needs [2, 2, 3, 3] in PyTorch's"),
        "{error}"
    );
    assert!(error.contains("\n  the file has stem.weight [2, 2, 3, 3], stem.bias [3]"), "{error}");
}

/// The bias tells a convolution from a transposed one; without biases their numbers do.
#[test]
fn convolutions_of_every_kind_are_matched() {
    let net = Sequential::new([8, 8, 2]).name("net").conv2d_with(4, 3, 1, Padding::Same);
    let net = net.conv_transpose2d_with(2, 3, 1, Padding::Same).depthwise_conv2d(3).multiplied(3);
    let model = net.conv2d(4, 2).grouped(2).flatten().dense(5).build().unwrap();
    let head = [("e.weight", &[5, 100][..]), ("e.bias", &[5])];
    let own = [("c.weight", &[6, 1, 3, 3][..]), ("c.bias", &[6]), ("d.weight", &[4, 3, 2, 2]), ("d.bias", &[4])];
    let both = [("b.weight", &[4, 2, 3, 3][..]), ("b.bias", &[4]), ("a.weight", &[4, 2, 3, 3]), ("a.bias", &[2])];
    let no = Hints::default();
    let want = |first: &str| Ok(format!("{first} c.weight d.weight e.weight"));
    assert_eq!(matched(&model, &[&both[..], &own, &head].concat(), &no), want("b.weight a.weight"));
    let both = [("b.1.weight", &[4, 2, 3, 3][..]), ("b.0.weight", &[4, 2, 3, 3])];
    assert_eq!(matched(&model, &[&both[..], &own, &head].concat(), &no), want("b.0.weight b.1.weight"));
}

/// Keras has a depthwise kernel as H, W, C, M and a transposed one as H, W, O, I.
#[test]
fn convolutions_in_the_order_of_keras() {
    let net = Sequential::new([6, 6, 2]).name("net").depthwise_conv2d([2, 1]).multiplied(3);
    let model = net.conv_transpose2d(5, [1, 2]).flatten().dense(4).build().unwrap();
    let file = [
        tensor("a/depthwise_kernel", &[2, 1, 2, 3]),
        tensor("b/kernel", &[1, 2, 5, 6]),
        tensor("c/kernel", &[5 * 5 * 7, 4]),
    ];
    let keras = Hints { order: Some(Order::Keras), ..Hints::default() };
    let found = import(&Weights::new(file.to_vec()), &model, &keras).unwrap().weights;
    let (depthwise, transposed) = (found.get("0.weight").unwrap(), found.get("1.weight").unwrap());
    assert_eq!((&depthwise.shape[..], &transposed.shape[..]), (&[6, 1, 2, 1][..], &[6, 5, 1, 2][..]));
    for (c, m, i) in [(0, 0, 0), (1, 0, 0), (0, 2, 1), (1, 2, 1)] {
        assert_eq!(depthwise.values[(c * 3 + m) * 2 + i], file[0].values[(i * 2 + c) * 3 + m], "{c} {m} {i}");
    }
    for (i, o, j) in [(0, 1, 0), (5, 4, 1), (2, 0, 1)] {
        assert_eq!(transposed.values[(i * 5 + o) * 2 + j], file[1].values[(j * 5 + o) * 6 + i], "{i} {o} {j}");
    }
}

#[test]
fn square_weights_go_by_what_they_are_called() {
    let model = Sequential::new([2, 2, 1]).name("square").flatten().dense(4).build().unwrap();
    let order = |name: &str, hints: &Hints| {
        let file = Weights::new(vec![tensor(name, &[4, 4])]);
        import(&file, &model, hints)
            .map(|found| (found.order, found.weights.tensors[0].values[1]))
            .map_err(|e| e.to_string())
    };
    let no = Hints::default();
    let [weight, kernel, vars] = ["a/weight", "a/kernel", "a/vars"].map(|name| tensor(name, &[4, 4]).values);
    assert_eq!(order("a/weight", &no), Ok((Order::Pytorch, weight[1])));
    assert_eq!(order("a/kernel", &no), Ok((Order::Keras, kernel[4])));
    assert!(order("a/vars", &no).unwrap_err().contains("choose one with --order"));
    let keras = Hints { order: Some(Order::Keras), ..Hints::default() };
    assert_eq!(order("a/vars", &keras), Ok((Order::Keras, vars[4])));
    assert_eq!(order("a/weight", &keras), Ok((Order::Keras, weight[4])));
}

#[test]
fn what_does_not_fit_is_shown() {
    let model = Sequential::new([3, 3, 1]).name("one").flatten().dense(4).build().unwrap();
    let no = Hints::default();
    let whole: [(&str, &[usize]); 2] = [("fc.weight", &[4, 9]), ("fc.bias", &[4])];
    assert_eq!(matched(&model, &whole, &no), Ok("fc.weight".into()));
    assert_eq!(matched(&model, &[("fc/kernel", &[9, 4])], &no), Ok("fc/kernel".into()));
    for (tensors, want) in [
        (
            vec![("fc.weight", &[4, 8][..])],
            "needs [4, 9] in PyTorch's order (nothing fits) or [9, 4] in Keras's order (nothing",
        ),
        (vec![], "layer 1 (dense) needs [4, 9]"),
        (vec![("fc.bias", &[4][..])], "found fc.bias of shape [4] without a weight beside it"),
        (
            vec![("fc.weight", &[4, 9][..]), ("fc.a", &[4][..]), ("fc.b", &[4][..])],
            "found fc.a and fc.b of shape [4] in one module",
        ),
        (
            vec![("fc.weight", &[4, 9][..]), ("bn.mean", &[4][..])],
            "found bn.mean of shape [4] without a weight beside it",
        ),
        (
            vec![("fc.weight", &[4, 9][..]), ("fc.more", &[4, 9][..])],
            "found fc.weight and fc.more of shape [4, 9] in one module",
        ),
        (vec![("fc.weight", &[4, 9][..]), ("gc.weight", &[4, 9][..])], "(fc, gc fits)"),
        (vec![("fc.weight", &[4, 9][..]), ("gc\n.weight", &[2, 2][..])], "the file has gc\\n.weight [2, 2], no bias"),
    ] {
        let error = matched(&model, &tensors, &no).unwrap_err();
        assert!(error.contains(want), "{error}\n  lacks {want}");
    }
}

/// The names of the members of normalisations in PyTorch, Keras and Flax; two of the same size are distinguished by
/// their members.
#[test]
fn normalisations_take_all_that_they_have_learnt_and_counted() {
    let net = Sequential::new([2, 3, 2]).name("norms").conv2d_with(2, 1, 1, Padding::Same).batch_norm().layer_norm();
    let model = net.flatten().batch_norm().dense(4).build().unwrap();
    let file = |[weight, bias, mean, var]: [&str; 4], kernel: &str, [conv, dense]: [&[usize]; 2]| {
        let mut tensors = vec![tensor(&format!("c{kernel}"), conv), tensor(&format!("d{kernel}"), dense)];
        for (module, size) in [("bn_1", 2), ("bn_2", 12)] {
            tensors.extend([weight, bias, mean, var].map(|end| tensor(&format!("{module}{end}"), &[size])));
        }
        tensors.extend([weight, bias].map(|end| tensor(&format!("ln{end}"), &[2])));
        Weights::new(tensors)
    };
    let pytorch = [".weight", ".bias", ".running_mean", ".running_var"];
    let keras = ["/gamma", "/beta", "/moving_mean", "/moving_variance"];
    let flax = ["/scale", "/bias", "/mean", "/var"];
    for (file, names) in [
        (file(pytorch, ".weight", [&[2, 2, 1, 1], &[4, 12]]), pytorch),
        (file(keras, "/kernel", [&[1, 1, 2, 2], &[12, 4]]), keras),
        (file(flax, "/kernel", [&[1, 1, 2, 2], &[12, 4]]), flax),
    ] {
        let found = import(&file, &model, &Hints::default()).unwrap();
        found.weights.check_against(&model).expect("the model's own weights");
        let values = |name: &str| found.weights.get(name).unwrap().values.clone();
        for (own, end) in ["weight", "bias", "running_mean", "running_var"].iter().zip(names) {
            let given = |module: &str| file.get(&format!("{module}{end}")).unwrap().values.clone();
            assert_eq!(values(&format!("1.{own}")), given("bn_1"));
            if found.order == Order::Pytorch {
                assert_eq!(values(&format!("4.{own}")), given("bn_2"));
            } else {
                // C, H, W of what came as H, W, C: six places of two channels.
                let order: Vec<f32> = (0..12).map(|i| given("bn_2")[i % 6 * 2 + i / 6]).collect();
                assert_eq!(values(&format!("4.{own}")), order);
            }
        }
        assert_eq!(values("2.bias"), file.get(&format!("ln{}", names[1])).unwrap().values);
        // A statistic that is missing is no zero.
        let lacks =
            Weights::new(file.tensors.iter().filter(|t| t.name != format!("bn_1{}", names[3])).cloned().collect());
        let error = import(&lacks, &model, &Hints::default()).unwrap_err().to_string();
        assert!(error.contains("layer 1 (batch_norm) needs [2]") && error.contains("running_var [2]"), "{error}");
    }
}

/// PyTorch counts batches in 64-bit integers beside the statistics.
#[test]
fn pytorchs_counters_of_batches_are_passed_over() {
    use safetensors::{Dtype, tensor::TensorView};
    let place = Place::new();
    let bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let float = TensorView::new(Dtype::F32, vec![2], &bytes).unwrap();
    let counter = TensorView::new(Dtype::I64, vec![], &bytes).unwrap();
    for (name, fits) in [("1.num_batches_tracked", true), ("1.counter", false)] {
        let file = safetensors::serialize(
            [("1.bias", float.clone()), (name, counter.clone()), ("2.bias", float.clone())],
            None,
        );
        std::fs::write(place.path("file"), file.unwrap()).unwrap();
        match Weights::load(&place.path("file")) {
            Ok((_, found)) => assert!(fits && found.tensors.iter().all(|t| t.values == [1.5, -2.0]), "{found:?}"),
            Err(error) => assert!(!fits && error.to_string().contains("1.counter of type I64"), "{error}"),
        }
    }
}

#[test]
fn the_command_refuses_what_it_must() {
    let place = Place::new();
    let file = fixture("import_keras.safetensors").display().to_string();
    place.write("net.toml", net().to_toml());
    place.works(&format!("import {file} --model net.toml"));
    assert!(Model::load(place.path("model.safetensors")).is_ok());
    place.works(&format!("import {file} --model net.toml --out model.safetensors --map 0=conv2d,2=conv2d_1"));
    for (line, want) in [
        (format!("import {file} --model net.toml"), "model.safetensors exists already"),
        (format!("import {file} --model net.toml --out none/x"), "none/x: cannot be created"),
        (format!("import {file} --model net.toml --out x --order pytorch"), "(nothing fits)"),
        (format!("import {file} --model net.toml --out x --map 0"), "expected LAYER=MODULE"),
        (format!("import {file} --model net.toml --out x --map a=b"), "layer \"a\""),
        (format!("import {file} --model mnist-cnn --out x"), "do not fit model mnist-cnn"),
        (format!("import {file} --model mnist-cn --out x"), "did you mean 'mnist-cnn'?"),
        (format!("import {file} --out x"), "--model"),
        ("import net.toml --model net.toml --out x".into(), "net.toml: found"),
        ("import none --model net.toml --out x".into(), "none: cannot be read"),
    ] {
        let done = place.call(&line);
        assert!(done.status == Some(2) && done.err.contains(want) && done.out.is_empty(), "{line}: {done:#?}");
        assert!(!place.path("x").exists() && !place.path("x.tmp").exists(), "{line}");
    }
    // A model of wgrad's own is as good as one from elsewhere.
    place.trains("run", "--device cpu");
    let own = place.works("import run/model.safetensors --model tiny.toml --out own.safetensors");
    assert!(own.out.contains("PyTorch's, as they are"), "{}", own.out);
    let eval = |file: &str| place.works(&format!("eval {file} --data data --json --device cpu")).out;
    let loss = |file: &str| number(&serde_json::from_str(&eval(file)).unwrap(), "loss");
    assert_eq!(loss("own.safetensors"), loss("run/model.safetensors"));
}
