//! A dense layer that has the weight of an embedding, compared with a net of two weights that are the same.

use crate::adapter;
use std::ops::ControlFlow;
use wgrad::data::tokens::stored;
use wgrad::data::{Column, Dataset, Field, Split};
use wgrad::device::Device;
use wgrad::model::formats::import::{Hints, Order, import};
use wgrad::model::init::glorot_uniform;
use wgrad::model::{Model, Sequential, Weights};
use wgrad::text::{Tokenizer, Unit};
use wgrad::train::epochs::trainer::Trainer;
use wgrad::train::settings::options::{OptimizerName, TrainOptions};

const TOKENS: usize = 7;

fn data() -> Dataset {
    let split = |count: u32| {
        let tokens: Vec<u32> = (0..count).map(|at| (at * at / 3 + at * 5) % TOKENS as u32).collect();
        let field = Field { stream: Some(tokens.len()), ..Field::of_tokens(Unit::Chars, TOKENS, 5) };
        Split::of(vec![Column::new(field.clone(), stored(&tokens, &field)).unwrap()]).unwrap()
    };
    let names: Vec<String> = ('a'..='g').map(String::from).collect();
    let mut data = Dataset::new("text", split(40), split(20)).unwrap();
    (data.classes, data.class_names) = (TOKENS, names.clone());
    data.text = Some(Tokenizer::known(Unit::Chars, names));
    data
}

fn net(tied: bool) -> Model {
    let net = Sequential::text(5).embedding(TOKENS, 6).named("tokens").gru(6, 1).dense(TOKENS);
    let model = if tied { net.tied_to("tokens") } else { net }.build().unwrap();
    Model { text: data().text, ..model }
}

/// The weights after one step of gradient descent at the rate 1.
fn step(device: &Device, model: &Model, weights: &Weights) -> Weights {
    let options = TrainOptions {
        batch_size: 8,
        epochs: 1,
        optimizer: OptimizerName::Sgd,
        lr: Some(1.0),
        momentum: 0.0,
        ..TrainOptions::default()
    };
    let mut trainer = Trainer::new(device, model, &data(), &options, Some(weights)).unwrap();
    pollster::block_on(trainer.fit(|_| ControlFlow::Continue(()))).unwrap();
    pollster::block_on(trainer.weights()).unwrap()
}

#[test]
fn a_tied_weight_has_the_gradients_of_both_layers() {
    let (tied, apart) = (net(true), net(false));
    let names = |model: &Model| model.params().unwrap().into_iter().map(|param| param.name).collect::<Vec<_>>();
    assert_eq!((names(&tied).contains(&"2.weight".into()), names(&tied).contains(&"2.bias".into())), (false, true));
    assert_eq!(names(&apart).len(), names(&tied).len() + 1);
    for device in [adapter::device(), Device::cpu(2).unwrap()] {
        let own = glorot_uniform(&tied, 3).unwrap();
        let mut both = own.clone();
        let copy = own.get("0.weight").unwrap().clone();
        both.tensors.push(wgrad::model::formats::weights::NamedTensor { name: "2.weight".into(), ..copy.clone() });
        let (after, after_both) = (step(&device, &tied, &own), step(&device, &apart, &both));
        let of = |weights: &Weights, name: &str| weights.get(name).unwrap().values.clone();
        let (found, first, second) = (of(&after, "0.weight"), of(&after_both, "0.weight"), of(&after_both, "2.weight"));
        for (at, before) in copy.values.iter().enumerate() {
            let expected = first[at] + second[at] - before;
            // Numbers below 2, and sums of them that round four times.
            assert!((found[at] - expected).abs() <= 1e-6, "{at} on {}: {}, {expected}", device.name(), found[at]);
        }
        assert!(first.iter().zip(&copy.values).any(|(a, b)| (a - b).abs() > 1e-3), "the embedding is trained");
        for name in ["1.weight_hh_l0", "2.bias"] {
            let pairs = of(&after, name).into_iter().zip(of(&after_both, name));
            pairs.for_each(|(a, b)| assert!((a - b).abs() <= 1e-6, "{name}: {a}, {b}"));
        }
    }
}

/// A file of PyTorch has the weight twice.
#[test]
fn a_tied_weight_is_imported_where_it_is_one() {
    let net = || Sequential::text(5).embedding(TOKENS, 6).named("tokens").dense(6).dense(TOKENS);
    let (tied, apart) = (net().tied_to("tokens").build().unwrap(), net().build().unwrap());
    let mut file = glorot_uniform(&apart, 3).unwrap();
    let hints = Hints { order: Some(Order::Pytorch), ..Hints::default() };
    let error = import(&file, &tied, &hints).unwrap_err().to_string();
    assert!(error.contains("layer 2 (dense): found another weight than that of layer 0"), "{error}");
    let weight = file.get("0.weight").unwrap().values.clone();
    file.tensors.iter_mut().filter(|t| t.name == "2.weight").for_each(|t| t.values.clone_from(&weight));
    file.clone().joined(&tied).unwrap().check_against(&tied).unwrap();
    let imported = import(&file, &tied, &hints).unwrap();
    imported.weights.check_against(&tied).unwrap();
    assert_eq!(imported.weights.get("0.weight").unwrap().values, weight);
}

#[test]
fn a_tied_layer_is_read_as_it_was_written_and_checked() {
    let model = Model { text: Some(Tokenizer::known(Unit::Chars, Vec::new())), ..net(true) };
    let text = model.to_toml();
    assert!(text.contains("tied = \"layer 0\"") && text.contains("name = \"layer 0\""), "{text}");
    let again = Model::from_toml(&text, "net.toml", &model.name).unwrap();
    assert_eq!(again, model);
    assert_eq!(Model::from_json(&model.to_json().unwrap()).unwrap(), model);
    assert!(model.summary().unwrap().contains("2 (dense, tied to 0)"), "{}", model.summary().unwrap());
    // Scores of an embedding's own numbers would be far too large.
    let largest =
        glorot_uniform(&model, 1).unwrap().get("0.weight").unwrap().values.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    assert!(largest <= (6.0f32 / (6 + TOKENS) as f32).sqrt(), "{largest}");
    let refused = |text: String, word: &str| {
        let error = Model::from_toml(&text, "net.toml", "net").unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused(text.replace("units = 7", "units = 8"), "found a weight of [8, 6], tied to an embedding of [7, 6]");
    refused(text.replace("tied = \"layer 0\"", "tied = \"layer 1\""), "expected the name of an earlier embedding");
    let gru = "type = \"gru\"\ntied = \"layer 0\"";
    refused(text.replace("type = \"gru\"", gru), "layer 1 (gru): found `tied`, expected it of a dense layer");
}
