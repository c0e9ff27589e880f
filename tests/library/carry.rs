//! States that are carried from batch to batch of a text, compared with windows that are as long as all batches together.

use crate::adapter;
use std::ops::ControlFlow;
use wgrad::data::tokens::stored;
use wgrad::data::{Column, Dataset, Field, Split};
use wgrad::device::Device;
use wgrad::model::init::glorot_uniform;
use wgrad::model::layers::{Gru, LayerEntry};
use wgrad::model::{Model, Sequential, Weights};
use wgrad::text::{Tokenizer, Unit};
use wgrad::train::epochs::evaluator::Evaluator;
use wgrad::train::epochs::trainer::Trainer;
use wgrad::train::settings::options::TrainOptions;

const TOKENS: usize = 7;

/// Windows of `length` tokens of one text.
fn split(length: usize, count: usize) -> Split {
    let tokens: Vec<u32> = (0..count as u32).map(|at| (at * at / 3 + at * 5) % TOKENS as u32).collect();
    let field = Field { stream: Some(count), ..Field::of_tokens(Unit::Chars, TOKENS, length) };
    Split::of(vec![Column::new(field.clone(), stored(&tokens, &field)).unwrap()]).unwrap()
}

/// The devices, and how many of the nets each leaves out: an adapter takes long to build one.
fn devices() -> [(Device, usize); 2] {
    [(adapter::device(), 2), (Device::cpu(2).unwrap(), 0)]
}

fn data(length: usize, [train, test]: [usize; 2]) -> Dataset {
    let names: Vec<String> = ('a'..='g').map(String::from).collect();
    let mut data = Dataset::new("text", split(length, train), split(length, test)).unwrap();
    (data.classes, data.class_names) = (TOKENS, names.clone());
    data.text = Some(Tokenizer::known(Unit::Chars, names));
    data
}

fn nets(length: usize, carries: bool) -> Vec<Model> {
    let net = || Sequential::text(length).embedding(TOKENS, 5);
    let nets = [net().rnn(6, 1), net().gru(5, 2), net().lstm(4, 2)];
    let nets = nets.into_iter().map(|net| if carries { net.carrying() } else { net });
    let text = data(length, [200, 200]).text;
    nets.map(|net| Model { text: text.clone(), ..net.dense(TOKENS).build().unwrap() }).collect()
}

/// Weights large enough that what comes next follows from what was long before.
fn weights(model: &Model) -> Weights {
    let mut weights = glorot_uniform(model, 5).unwrap();
    weights.tensors.iter_mut().flat_map(|tensor| &mut tensor.values).for_each(|x| *x *= 3.0);
    weights
}

fn loss(device: &Device, model: &Model, length: usize, count: usize) -> f64 {
    let mut evaluator = Evaluator::new(device, model, &split(length, count), 7).unwrap();
    evaluator.set_weights(&weights(model)).unwrap();
    let [first, again] = [0; 2].map(|_| pollster::block_on(evaluator.run()).unwrap().loss());
    assert_eq!(first, again, "each evaluation begins with zeros");
    first
}

/// Ten parts of three windows of 4 tokens, read window after window, are ten windows of 12.
#[test]
fn windows_in_order_with_carried_states_are_one_long_window() {
    for (device, skipped) in devices() {
        let nets = nets(4, true).into_iter().zip(nets(12, false)).zip(nets(4, false));
        for ((carries, long), short) in nets.skip(skipped) {
            let (name, count) = (carries.layers[1].type_name(), 120);
            let [carried, whole, cut] =
                [(&carries, 4), (&long, 12), (&short, 4)].map(|(model, length)| loss(&device, model, length, count));
            // A mean of 119 losses below 10, each of some twenty sums of at most 12 terms.
            assert!((carried - whole).abs() <= 1e-5, "{name} on {}: {carried}, {whole}", device.name());
            assert!((cut - whole).abs() > 1e-3, "{name}: the state tells nothing, {cut} and {whole}");
        }
    }
}

/// In training too; the state begins anew at zero in each epoch, and a text that does not fill its parts is read whole.
#[test]
fn a_training_epoch_reads_the_text_in_order() {
    for (device, skipped) in devices() {
        for (carries, long) in nets(4, true).into_iter().zip(nets(12, false)).skip(skipped) {
            let epoch = |model: &Model, [length, count]: [usize; 2], batch_size| {
                let options = TrainOptions { batch_size, epochs: 2, lr: Some(1e-30), ..TrainOptions::default() };
                let data = data(length, [count, 60]);
                let weights = weights(model);
                let mut trainer = Trainer::new(&device, model, &data, &options, Some(&weights)).unwrap();
                let metrics = pollster::block_on(trainer.fit(|_| ControlFlow::Continue(()))).unwrap();
                [metrics[0].loss, metrics[1].loss]
            };
            let name = carries.layers[1].type_name();
            let whole = loss(&device, &long, 12, 120);
            for found in epoch(&carries, [4, 120], 10) {
                assert!((found - whole).abs() <= 1e-5, "{name} on {}: {found}, {whole}", device.name());
            }
            // 22 windows in 5 parts: of five windows two of them, of four the others.
            let [first, second] = epoch(&carries, [4, 88], 5);
            assert_eq!(first, second, "{name}");
        }
    }
}

#[test]
fn a_state_that_means_nothing_is_refused() {
    let refused = |error: wgrad::Error, word: &str| assert!(error.to_string().contains(word), "{error}");
    let net = || Sequential::text(8).embedding(TOKENS, 4);
    let both = net().layer(LayerEntry::from(Gru { carry: true, bidirectional: true, ..Gru::new(4usize) }));
    refused(both.dense(TOKENS).build().unwrap_err(), "no state can come from the batch that follows");
    refused(net().gru(4, 1).carrying().mean_pool().dense(2).build().unwrap_err(), "nothing to do with each other");
    let pair = net().gru(4, 1).named("encoder").target().embedding(TOKENS, 4);
    refused(pair.gru(4, 1).carrying().dense(TOKENS).build().unwrap_err(), "a model that translates");
    let two = net().gru(4, 1).named("first").gru(4, 1).starting_at("first").carrying();
    refused(two.dense(TOKENS).build().unwrap_err(), "found carry = true and `state`");
    refused(
        net().dense(TOKENS).carrying().build().unwrap_err(),
        "found carry = true after a layer that has no such key",
    );
    refused(net().dense(TOKENS).build().unwrap().carrying().unwrap_err(), "found no rnn, gru or lstm");
}
