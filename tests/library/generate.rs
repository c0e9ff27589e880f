//! Generation, token by token with carried states, compared with the forward pass over the whole text.

use crate::adapter;
use wgrad::device::Device;
use wgrad::device::cpu::Executor;
use wgrad::ir::graph::{Graph, TensorInfo};
use wgrad::ir::values::Values;
use wgrad::model::init::glorot_uniform;
use wgrad::model::layers::{Between, Embedding, Norms, Positions, Transformer, Turns};
use wgrad::model::{Build, Model, Sequential, Weights};
use wgrad::train::generate::{Generator, Sampling};

const TOKENS: usize = 11;

fn nets() -> Vec<Model> {
    let net = || Sequential::text(24).embedding(TOKENS, 6);
    let nets = [net().rnn(9, 1), net().gru(7, 2), net().lstm(10, 2)];
    nets.into_iter().map(|net| net.dense(TOKENS).build().unwrap()).collect()
}

/// Weights large enough that tokens follow from those before them.
fn weights(model: &Model) -> Weights {
    let mut weights = glorot_uniform(model, 5).unwrap();
    weights.tensors.iter_mut().flat_map(|tensor| &mut tensor.values).for_each(|x| *x *= 4.0);
    weights
}

/// The most likely token after each of a text's, by one forward pass.
fn likeliest(model: &Model, tokens: &[u32]) -> Vec<u32> {
    let model = Model { input: vec![tokens.len()], ..model.clone() };
    let mut graph = Graph::new();
    let x = graph.tensor(TensorInfo::words("tokens", [1, tokens.len()]));
    let logits = model.build(&mut graph, x, Build::INFERENCE).unwrap();
    let weights = weights(&model).to_graph(&graph).unwrap();
    let mut executor = Executor::<f64>::new(graph, false).unwrap();
    executor.set(x, Values::Word(tokens.to_vec())).unwrap();
    for (tensor, values) in weights {
        executor.set(tensor, Values::Float(values.into_iter().map(f64::from).collect())).unwrap();
    }
    executor.step();
    let Values::Float(logits) = executor.get(logits) else { panic!("logits are no floats") };
    let best = |row: &[f64]| (1..row.len()).fold(0, |best, c| if row[c] > row[best] { c } else { best }) as u32;
    logits.chunks(TOKENS).map(best).collect()
}

#[test]
fn the_likeliest_tokens_are_those_of_the_forward_pass() {
    for device in [adapter::device(), Device::cpu(2).unwrap()] {
        let mut varied = 0;
        for model in nets() {
            let sampling = Sampling { tokens: 20, temperature: 0.0, ..Sampling::default() };
            let mut generator = Generator::new(&device, &model, sampling, 4).unwrap();
            generator.set_weights(&weights(&model)).unwrap();
            let prompt = [3, 1, 4, 1];
            let mut run = |prompt: &[u32]| {
                pollster::block_on(generator.run(prompt, |_| std::ops::ControlFlow::Continue(()))).unwrap()
            };
            let found = run(&prompt);
            let whole = [&prompt[..], &found].concat();
            let expected = likeliest(&model, &whole);
            assert_eq!(
                found[..],
                expected[prompt.len() - 1..whole.len() - 1],
                "{} on {}",
                model.layers[1].type_name(),
                device.name()
            );
            assert_eq!(run(&prompt), found, "states start again from zero");
            varied += usize::from(found.windows(2).any(|pair| pair[0] != pair[1]));
        }
        assert!(varied > 0, "the likeliest token is always the same");
    }
}

/// A transformer that was made for 24 tokens goes on from the later half of them when it has read as many.
#[test]
fn a_transformer_keeps_keys_and_values_and_goes_on_in_windows() {
    let block = Transformer { causal: true, ..Transformer::new(2usize, 20usize) };
    let shared = Transformer { kv_heads: 1, bias: false, norm_first: false, ..block };
    let (activation, norm, positions) = (Between::Swiglu, Norms::Rms, Turns::Rotary);
    let llama = Transformer { activation, norm, positions, bias: false, kv_heads: 1, ..block };
    let embedding = |positions| Embedding { tokens: TOKENS, positions, context: 24, ..Embedding::new(8usize) };
    let cases = [(block, Positions::Learned), (shared, Positions::Sinusoidal), (llama, Positions::None)];
    for (block, positions) in cases {
        let net = Sequential::text(24).layer(embedding(positions)).blocks(block, 2).layer_norm().dense(TOKENS);
        let model = net.build().unwrap();
        for device in [adapter::device(), Device::cpu(2).unwrap()] {
            let sampling = Sampling { tokens: 60, temperature: 0.0, ..Sampling::default() };
            let mut generator = Generator::new(&device, &model, sampling, 4).unwrap();
            generator.set_weights(&weights(&model)).unwrap();
            // A prompt that is read whole, and one of which the last tokens are; token by token, and at once.
            for (length, at_once) in [(4, u64::MAX), (31, u64::MAX), (4, 0), (31, 0), (1, 0)] {
                generator.read_at_once(at_once);
                let prompt: Vec<u32> = (0..length).map(|n| n * n % TOKENS as u32).collect();
                let run = generator.run(&prompt, |_| std::ops::ControlFlow::Continue(()));
                let found = pollster::block_on(run).unwrap();
                let mut known = prompt[prompt.len() - prompt.len().min(24)..].to_vec();
                for (at, token) in found.iter().enumerate() {
                    if known.len() == 25 {
                        known.drain(..12);
                    }
                    let expected = *likeliest(&model, &known).last().unwrap();
                    assert_eq!(*token, expected, "token {at} after {length} on {}", device.name());
                    known.push(*token);
                }
                assert!(found.windows(2).any(|pair| pair[0] != pair[1]), "the likeliest token is always the same");
            }
        }
    }
}

/// Prompts of several lengths, by graphs for 64 tokens and for 100, in turn; other weights are taken by both.
#[test]
fn a_prompt_read_at_once_goes_on_as_one_read_token_by_token() {
    let block =
        Transformer { causal: true, kv_heads: 1, positions: Turns::Rotary, ..Transformer::new(2usize, 20usize) };
    let net = Sequential::text(100).embedding(TOKENS, 8).blocks(block, 3).layer_norm().dense(TOKENS);
    let model = net.build().unwrap();
    for device in [adapter::device(), Device::cpu(2).unwrap()] {
        let sampling = Sampling { tokens: 30, temperature: 0.0, ..Sampling::default() };
        let [mut at_once, mut one_by_one] = [0, u64::MAX].map(|from| {
            let mut generator = Generator::new(&device, &model, sampling, 130).unwrap();
            generator.read_at_once(from);
            generator
        });
        // It keeps keys and values of 34 tokens, the others of the 100 that the model reads.
        let mut short = Generator::new(&device, &model, sampling, 4).unwrap();
        let mut varied = 0;
        for factor in [1.0, 1.5] {
            let mut weights = weights(&model);
            weights.tensors.iter_mut().flat_map(|tensor| &mut tensor.values).for_each(|x| *x *= factor);
            for generator in [&mut at_once, &mut one_by_one, &mut short] {
                generator.set_weights(&weights).unwrap();
            }
            for length in [2, 3, 64, 65, 66, 65, 99, 100, 130] {
                let prompt: Vec<u32> = (0..length).map(|n| (n * n + n / 3) % TOKENS as u32).collect();
                let texts = [&mut at_once, &mut one_by_one].map(|generator| {
                    pollster::block_on(generator.run(&prompt, |_| std::ops::ControlFlow::Continue(()))).unwrap()
                });
                assert_eq!(texts[0], texts[1], "{length} tokens on {}", device.name());
                let run = short.run(&prompt, |_| std::ops::ControlFlow::Continue(()));
                match pollster::block_on(run) {
                    Ok(text) => assert_eq!((text, length < 6), (texts[0].clone(), true), "{length} tokens"),
                    Err(error) => assert!(length > 5 && error.to_string().contains("expected 1 to 5"), "{error}"),
                }
                varied += usize::from(texts[0].windows(2).any(|pair| pair[0] != pair[1]));
            }
        }
        assert!(varied > 9, "{varied} texts of 18 are not one token throughout");
    }
}
