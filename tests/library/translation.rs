//! Models that translate: gradients held to finite differences, and what they write to the forward pass over the whole text.

use crate::adapter;
use wgrad::device::Device;
use wgrad::device::cpu::Executor;
use wgrad::ir::element::IGNORED;
use wgrad::ir::graph::{Graph, TensorInfo};
use wgrad::ir::values::Values;
use wgrad::model::init::glorot_uniform;
use wgrad::model::layers::{Gru, Lstm, Score};
use wgrad::model::{Build, Model, Sequential, Weights};
use wgrad::ops::loss::softmax_ce::SoftmaxCe;
use wgrad::step::control::Control;
use wgrad::text::{NO_TOKEN, Tokenizer, Unit};
use wgrad::train::translate::Translator;

/// Tokens that are read, places of a text, and tokens that are written: three words, then those that begin and end a text.
const READ: usize = 7;
const PLACES: usize = 4;
const WRITTEN: usize = 5;

/// A tokenizer of so many words.
fn words(count: usize) -> Tokenizer {
    let names = (0..count).map(|n| format!("w{n}")).collect();
    Tokenizer::known(Unit::Words, names)
}

/// Encoders and decoders of every kind: one way and both, of one layer and two, with an attention and without.
fn nets() -> Vec<Model> {
    let net = || Sequential::text(PLACES).embedding(READ, 5);
    let gru = net().layer(Gru { bidirectional: true, ..Gru::new(3usize) }).named("encoder");
    let gru = gru.target().embedding(WRITTEN, 4).gru(6, 1).starting_at("encoder").named("decoder");
    let gru = gru.attention_from("encoder", Score::Dot).concat_from("decoder");
    let lstm = net().layer(Lstm { bidirectional: true, layers: 2, ..Lstm::new(2usize) }).named("encoder");
    let lstm = lstm.target().embedding(WRITTEN, 3).lstm(4, 2).starting_at("encoder").named("decoder");
    let lstm = lstm.attention_from("encoder", Score::General).concat_from("decoder");
    let rnn = net().rnn(6, 1).named("encoder").target().embedding(WRITTEN, 4).rnn(6, 1).starting_at("encoder");
    let additive = net().gru(3, 1).named("encoder").target().embedding(WRITTEN, 4).gru(4, 1).named("decoder");
    let additive = additive.attention_from("encoder", Score::Additive).concat_from("decoder");
    let finished = |net: Sequential| {
        let model = net.dense(WRITTEN).build().unwrap();
        Model { text: Some(words(READ)), target: Some(words(WRITTEN - 2).with_ends()), ..model }
    };
    [gru, lstm, rnn, additive].map(finished).into()
}

/// Weights so large that tokens follow from those before them.
fn weights(model: &Model) -> Weights {
    let mut weights = glorot_uniform(model, 5).unwrap();
    weights.tensors.iter_mut().flat_map(|tensor| &mut tensor.values).for_each(|x| *x *= 3.0);
    weights
}

/// The logarithms of the probabilities of each token at each place, [places, tokens], by one forward pass in double precision.
fn forward(model: &Model, text: &[u32], target: &[u32]) -> Vec<Vec<f64>> {
    let mut graph = Graph::new();
    let x = graph.tensor(TensorInfo::words("text", [1, PLACES]));
    let y = graph.tensor(TensorInfo::words("target", [1, PLACES + 1]));
    let logits = model.build(&mut graph, x, Build { target: Some(y), ..Build::INFERENCE }).unwrap();
    let weights = weights(model).to_graph(&graph).unwrap();
    let mut executor = Executor::<f64>::new(graph, false).unwrap();
    let filled = |tokens: &[u32], places: usize| {
        Values::Word(tokens.iter().copied().chain(std::iter::repeat(NO_TOKEN)).take(places).collect())
    };
    executor.set(x, filled(text, PLACES)).unwrap();
    executor.set(y, filled(target, PLACES + 1)).unwrap();
    for (tensor, values) in weights {
        executor.set(tensor, Values::Float(values.into_iter().map(f64::from).collect())).unwrap();
    }
    executor.step();
    let Values::Float(logits) = executor.get(logits) else { panic!("logits are no floats") };
    let row = |row: &[f64]| {
        let all = row.iter().map(|x| x.exp()).sum::<f64>().ln();
        row.iter().map(|x| x - all).collect()
    };
    logits.chunks(WRITTEN).map(row).collect()
}

/// What is written one token after the other, each the likeliest of a forward pass over all before it.
fn likeliest(model: &Model, text: &[u32]) -> Vec<u32> {
    let [begin, end] = model.target_tokenizer().unwrap().ends().unwrap();
    let mut target = vec![begin];
    while target.len() <= PLACES + 1 {
        let row = &forward(model, text, &target)[target.len() - 1];
        let best = (1..WRITTEN).fold(0, |best, c| if row[c] > row[best] { c } else { best }) as u32;
        if best == end {
            break;
        }
        target.push(best);
    }
    target[1..].to_vec()
}

const TEXTS: [&[u32]; 5] = [&[1, 2, 3, 4], &[6], &[5, 5, 0], &[0, 3], &[4, 1, 6, 2]];

#[test]
fn the_likeliest_translation_is_that_of_the_forward_pass() {
    let texts: Vec<Vec<u32>> = TEXTS.map(<[u32]>::to_vec).into();
    for device in [adapter::device(), Device::cpu(2).unwrap()] {
        let mut lengths = std::collections::BTreeSet::new();
        for model in nets() {
            // Two batches, the second not full.
            let mut translator = Translator::new(&device, &model, 3, 1).unwrap();
            translator.set_weights(&weights(&model)).unwrap();
            let found = pollster::block_on(translator.run(&texts)).unwrap();
            for (text, found) in texts.iter().zip(&found) {
                assert_eq!(found.tokens, likeliest(&model, text), "{text:?} on {}", device.name());
                lengths.insert(found.tokens.len());
            }
        }
        assert!(lengths.len() > 2, "all translations are of {lengths:?} tokens");
    }
}

/// Every translation of up to so many tokens, and the mean of its logarithms.
fn all(model: &Model, text: &[u32]) -> Vec<(Vec<u32>, f64)> {
    let [begin, end] = model.target_tokenizer().unwrap().ends().unwrap();
    let (mut found, mut open) = (Vec::new(), vec![(vec![begin], 0.0)]);
    while let Some((target, sum)) = open.pop() {
        let row = &forward(model, text, &target)[target.len() - 1];
        for token in (0..WRITTEN as u32).filter(|token| *token != begin) {
            let sum = sum + row[token as usize];
            let count = target.len() as f64;
            match token {
                _ if token == end => found.push((target[1..].to_vec(), sum / count)),
                _ if target.len() == PLACES + 1 => found.push(([&target[1..], &[token]].concat(), sum / count)),
                _ => open.push(([&target[..], &[token]].concat(), sum)),
            }
        }
    }
    found
}

/// As wide as there are translations, a beam search finds the best of all; its scores are those of the forward pass.
#[test]
fn a_beam_finds_what_it_scores_as_the_forward_pass_does() {
    let device = Device::cpu(1).unwrap();
    for model in nets() {
        let text = TEXTS[0];
        let mut scores = Vec::new();
        for beam in [2, 3, 64] {
            let mut translator = Translator::new(&device, &model, 2, beam).unwrap();
            translator.set_weights(&weights(&model)).unwrap();
            let found = pollster::block_on(translator.run(&[text.to_vec(), TEXTS[1].to_vec()])).unwrap();
            let all = all(&model, text);
            let own = all.iter().find(|(tokens, _)| *tokens == found[0].tokens).expect("one of them").1;
            let score = found[0].score.unwrap();
            // Single precision over a few dozen sums.
            assert!((score - own).abs() <= 1e-4, "{score} for {own}");
            scores.push(score);
            if beam == 64 {
                let best = all.iter().map(|(_, mean)| *mean).fold(f64::MIN, f64::max);
                assert!((score - best).abs() <= 1e-4, "{score}, the best is {best}");
            }
        }
        assert!(scores[2] >= scores[0] - 1e-6);
    }
}

/// Through both recurrences, the states between them and the attention, over texts of several lengths.
#[test]
fn gradients_of_translators_are_slopes() {
    const BATCH: usize = 3;
    for model in nets() {
        let mut graph = Graph::new();
        let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]));
        let x = graph.tensor(TensorInfo::words("text", [BATCH, PLACES]));
        let y = graph.tensor(TensorInfo::words("target", [BATCH, PLACES + 1]));
        let labels = graph.tensor(TensorInfo::words("labels", [BATCH, PLACES + 1]));
        let build = Build { target: Some(y), ..Build::inference(control) };
        let logits = model.build(&mut graph, x, build).unwrap();
        let loss = graph.apply(SoftmaxCe::default(), &[control, logits, labels]).unwrap()[0];
        let forward = graph.nodes.len();
        let roots: Vec<_> = graph.params.iter().map(|param| (param.name.clone(), param.tensor)).collect();
        let tensors: Vec<_> = roots.iter().map(|(_, tensor)| *tensor).collect();
        let grads = graph.gradients(loss, &tensors).unwrap();
        let weights = weights(&model).to_graph(&graph).unwrap();
        let mut executor = Executor::<f64>::new(graph, false).unwrap();
        let none = IGNORED;
        let block = Control { valid: BATCH as u32, samples: BATCH as u32, ..Control::default() };
        for (tensor, tokens) in [
            (control, block.words()),
            (x, vec![1, 2, 3, 4, 6, none, none, none, 5, 0, none, none]),
            (y, vec![3, 0, 2, 1, 0, 3, none, none, none, none, 3, 1, 1, none, none]),
            (labels, vec![0, 2, 1, 0, 4, 4, none, none, none, none, 1, 1, 4, none, none]),
        ] {
            executor.set(tensor, Values::Word(tokens)).unwrap();
        }
        let mut known = std::collections::BTreeMap::new();
        for (tensor, values) in weights {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            executor.set(tensor, Values::Float(values.clone())).unwrap();
            known.insert(tensor, values);
        }
        let floats = |executor: &Executor<f64>, t| match executor.get(t) {
            Values::Float(values) => values,
            _ => panic!("{t} holds no floats"),
        };
        (0..executor.graph().nodes.len()).for_each(|n| executor.run(n));
        let grads: Vec<Vec<f64>> = grads.into_iter().map(|grad| floats(&executor, grad.expect("a gradient"))).collect();
        for ((name, root), grad) in roots.iter().zip(grads) {
            assert!(grad.iter().any(|grad| grad.abs() > 1e-5), "{name}: no gradient to speak of");
            let values = &known[root];
            for (i, grad) in grad.iter().enumerate().step_by(3) {
                let mut at = |step: f64| {
                    let mut moved = values.clone();
                    moved[i] += step;
                    executor.set(*root, Values::Float(moved)).unwrap();
                    (0..forward).for_each(|n| executor.run(n));
                    floats(&executor, loss).iter().sum::<f64>()
                };
                // Its own error is about u / 1e-6 for the roundings and 1e-12 for the curvature.
                let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
                assert!((slope - grad).abs() <= 1e-7, "{name}[{i}]: gradient {grad}, slope {slope}");
            }
            executor.set(*root, Values::Float(values.clone())).unwrap();
        }
    }
}

#[test]
fn what_is_wrong_with_a_translator_is_named() {
    let read = |layers: &str| {
        let layer = |line: &str| {
            let (kind, keys) = line.split_once(' ').unwrap_or((line, ""));
            format!("[[layers]]\ntype = \"{kind}\"\n{}\n", keys.replace("; ", "\n"))
        };
        let text: String = layers.lines().map(|line| layer(line.trim())).collect();
        Model::from_toml(&format!("input = {{ tokens = 4 }}\n{text}"), "net.toml", "net")
    };
    let encoder = "embedding size = 3\ngru units = 4; name = \"encoder\"\ninput\nembedding size = 3\n";
    let right = "gru units = 4; state = \"encoder\"\nattention from = \"encoder\"\ndense units = \"vocabulary\"";
    let model = read(&format!("{encoder}{right}")).unwrap();
    assert_eq!((model.layers[4].state, model.positions().unwrap(), model.translates()), (Some(1), 5, true));
    for (decoder, expected) in [
        (
            "gru units = 5; state = \"encoder\"\ndense units = 9",
            "found 5 units and 1 layer of a gru, and a state of 4 units",
        ),
        (
            "lstm units = 4; state = \"encoder\"\ndense units = 9",
            "1 layer of a lstm, and a state of 4 units and 1 layer of a gru",
        ),
        (
            "gru units = 4; state = \"enc\"\ndense units = 9",
            "line 18: layer 4 (gru): found state = \"enc\", expected the name of an earlier gru",
        ),
        ("gru units = 4; bidirectional = true; state = \"encoder\"\ndense units = 9", "that is not bidirectional"),
        (
            "gru units = 4\ndense units = 4; state = \"encoder\"\ndense units = 9",
            "layer 5 (dense): found `state`, expected it of a gru",
        ),
        ("gru units = 5\nattention from = \"encoder\"\ndense units = 9", "found 5 features before it and 4 of `from`"),
        ("gru units = 4\nattention from = \"encoder\"; score = \"doot\"\ndense units = 9", "score"),
        ("gru units = 4\ninput\nembedding size = 3\ndense units = 9", "found 2 layers of type input, expected one"),
        ("gru units = 4\nattention\ndense units = 9", "layer 5 (attention): found no key from"),
        ("last\ndense units = 9", "found no layer that reads its result"),
    ] {
        let error = read(&format!("{encoder}{decoder}")).expect_err(decoder).to_string();
        assert!(error.contains(expected), "{decoder}: {error}");
    }
    let error = read("embedding size = 3\ngru units = 4\ninput\ndense units = 3").unwrap_err().to_string();
    assert!(error.contains("found tokens as its input, expected an embedding"), "{error}");
}
