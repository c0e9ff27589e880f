//! Random nets: valid ones train a step on the adapter that agrees with the oracle, invalid ones give a message.
//!
//! `WGRAD_NETS` sets how many; they are the same every time, and more are the same and others.

#[path = "common/adapter.rs"]
mod adapter;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use wgrad::Error;
use wgrad::ir::launch::KernelClass;
use wgrad::model::layers::keys::Value;
use wgrad::model::layers::*;
use wgrad::model::{Model, Sequential};
use wgrad::ops::conv::geometry::Padding;
use wgrad::ops::pointwise::activation::Function;
use wgrad::plan::Limits;
use wgrad::plan::lower::{Target, lower};
use wgrad::train::settings::options::TrainOptions;
use wgrad::train::step::Step;
use wgrad::verify::models;

fn nets(otherwise: u32) -> u32 {
    std::env::var("WGRAD_NETS").ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn pair(most: usize) -> impl Strategy<Value = [usize; 2]> {
    [1..=most, 1..=most]
}

fn image_layer() -> impl Strategy<Value = LayerEntry> {
    let side = || 0usize..=3;
    let sides = || [side(), side(), side(), side()].prop_map(Padding::sides);
    let padding = || prop_oneof![2 => select(vec![Padding::Valid, Padding::Same]), 1 => sides()];
    let function =
        |function: Function| LayerEntry::from(Activation { function, slope: function.slope().unwrap_or(0.0) });
    let join = |(from, kind): (usize, usize)| match kind {
        0 => LayerEntry::from(Add::new()).reading([from]),
        1 => LayerEntry::from(Concat::new()).reading([from]),
        _ => LayerEntry::from(Multiply::new()).reading([from]),
    };
    prop_oneof![
        6 => (1usize..=9, pair(4), pair(3), padding(), bias())
            .prop_map(|(filters, kernel, stride, padding, bias)| {
                LayerEntry::from(Conv2d { filters, kernel, stride, padding, dilation: [1, 1], groups: 1, bias })
            }),
        2 => (1usize..=3, pair(3), pair(2), padding(), pair(2), 1usize..=3, bias())
            .prop_map(|(filters, kernel, stride, padding, dilation, groups, bias)| {
                LayerEntry::from(Conv2d { filters: filters * groups, kernel, stride, padding, dilation, groups, bias })
            }),
        1 => (pair(3), pair(2), padding(), pair(2), 1usize..=2, bias())
            .prop_map(|(kernel, stride, padding, dilation, multiplier, bias)| {
                LayerEntry::from(DepthwiseConv2d { kernel, stride, padding, dilation, multiplier, bias })
            }),
        1 => (1usize..=5, pair(3), pair(3), padding(), bias()).prop_map(|(filters, kernel, stride, padding, bias)| {
            LayerEntry::from(ConvTranspose2d { filters, kernel, stride, padding, bias })
        }),
        2 => Just(LayerEntry::from(Relu::new())),
        3 => (pair(3), pair(3), padding(), any::<bool>()).prop_map(|(size, stride, padding, ceil)| {
            LayerEntry::from(MaxPool2d { stride, padding, ceil, ..MaxPool2d::new(size) })
        }),
        2 => (pair(3), pair(3), padding(), any::<bool>(), any::<bool>()).prop_map(
            |(size, stride, padding, ceil, count_include_pad)| {
                LayerEntry::from(AvgPool2d { stride, padding, ceil, count_include_pad, ..AvgPool2d::new(size) })
            }
        ),
        1 => pair(2).prop_map(|size| LayerEntry::from(AdaptiveAvgPool2d { size })),
        1 => select(vec![LayerEntry::from(GlobalAvgPool2d::new()), LayerEntry::from(GlobalMaxPool2d::new())]),
        2 => select(vec![
            LayerEntry::from(BatchNorm { epsilon: 1e-5, momentum: 0.1 }),
            LayerEntry::from(LayerNorm { epsilon: 1e-5, ..LayerNorm::new() }),
            LayerEntry::from(RmsNorm { epsilon: 1e-5 }),
            LayerEntry::from(GroupNorm { groups: 1, epsilon: 1e-5 }),
            LayerEntry::from(GroupNorm { groups: 2, epsilon: 1e-3 }),
            LayerEntry::from(GroupNorm { groups: 3, epsilon: 1e-5 }),
            LayerEntry::from(Dropout { rate: 0.25 }),
            LayerEntry::from(StochasticDepth { rate: 0.25 }),
            LayerEntry::from(Scale { factor: 0.5, learnt: false }),
            LayerEntry::from(Scale { factor: 0.5, learnt: true }),
        ]),
        2 => select(Function::ALL).prop_map(function),
        1 => (pair(2), select(vec![Interpolation::Nearest, Interpolation::Bilinear, Interpolation::BilinearCorners]))
            .prop_map(|(factor, mode)| LayerEntry::from(Upsample2d { factor, mode })),
        1 => (1usize..=3, 0usize..=2).prop_map(|(channels, skip)| LayerEntry::from(Slice { channels, skip })),
        1 => (1usize..=3).prop_map(|groups| LayerEntry::from(ChannelShuffle { groups })),
        3 => (0usize..5, 0usize..3).prop_map(join),
        1 => (0usize..5, 0usize..5).prop_map(|(a, b)| LayerEntry::from(Concat::new()).joining([a, b])),
    ]
}

/// Whether a layer has a bias, as most have.
fn bias() -> impl Strategy<Value = bool> {
    proptest::bool::weighted(0.75)
}

/// A net that reads a text: an embedding, recurrences, and what makes one result of all places or leaves a score for each.
fn text_net() -> impl Strategy<Value = Model> {
    let recurrence = (0usize..4, 1usize..=9, 1usize..=2, any::<bool>(), select(vec![0.0, 0.25]));
    let layer = |(kind, units, layers, bidirectional, dropout)| match kind {
        0 => LayerEntry::from(Lstm { units, layers, bidirectional, dropout, carry: false }),
        1 => LayerEntry::from(Gru { units, layers, bidirectional, dropout, carry: false }),
        2 => LayerEntry::from(Rnn {
            units,
            activation: Nonlinearity::Tanh,
            layers,
            bidirectional,
            dropout,
            carry: false,
        }),
        _ => LayerEntry::from(Rnn {
            units,
            activation: Nonlinearity::Relu,
            layers,
            bidirectional,
            dropout,
            carry: false,
        }),
    };
    let recurrences = vec(recurrence.prop_map(layer), 0..=2);
    (1usize..=9, 1usize..=12, recurrences, 0usize..3, 2usize..=11).prop_map(
        |(length, size, recurrences, end, tokens)| {
            let net = Sequential::text(length).name("random").embedding(tokens, size);
            let net = recurrences.into_iter().fold(net, |net, layer| net.layer(layer));
            let net = match end {
                0 => net.last(),
                1 => net.mean_pool(),
                _ => net,
            };
            net.dense(tokens).build().unwrap()
        },
    )
}

/// A net that writes a text after another: an encoder, and a decoder that goes on from its state and looks back at its outputs.
fn translating_net() -> impl Strategy<Value = Model> {
    let score = select(vec![Score::Dot, Score::General, Score::Additive]);
    (1usize..=6, 1usize..=9, 1usize..=9, 2usize..=11, score).prop_map(|(length, size, units, tokens, score)| {
        let net = Sequential::text(length).name("random").embedding(tokens, size).gru(units, 1).named("encoder");
        let net = net.target().embedding(tokens, size).gru(units, 1).starting_at("encoder").named("decoder");
        net.attention_from("encoder", score).concat_from("decoder").dense(tokens).build().unwrap()
    })
}

/// A block of a transformer, and the width that goes with it.
fn block() -> impl Strategy<Value = (Transformer, usize)> {
    let sizes = (1usize..=2, 1usize..=2, 1usize..=5, 1usize..=9);
    let flags = (any::<bool>(), any::<bool>(), bias(), select(vec![0.0, 0.25]));
    let activation = select(vec![Between::Relu, Between::Gelu, Between::GeluTanh, Between::Swiglu]);
    let kinds = (activation, select(vec![Norms::Layer, Norms::Rms]), select(vec![Turns::None, Turns::Rotary]));
    (sizes, flags, kinds).prop_map(
        |((pairs, sharing, head, hidden), (causal, norm_first, bias, dropout), (activation, norm, positions))| {
            let plain = Transformer::new(pairs * sharing, hidden);
            let block = Transformer { causal, norm_first, bias, dropout, activation, kv_heads: pairs, ..plain };
            // Rotary positions turn pairs.
            let head = if positions == Turns::Rotary { 2 * head } else { head };
            (Transformer { norm, positions, ..block }, pairs * sharing * head)
        },
    )
}

/// A transformer that reads a text, an image's places, or two texts.
fn transformer() -> impl Strategy<Value = Model> {
    (block(), 1usize..=9, 1usize..=2, 0usize..6, 2usize..=11).prop_map(
        |((block, size), length, blocks, kind, tokens)| {
            let text = || Sequential::text(length).name("random").embedding_with_positions(tokens, size);
            let image = || Sequential::new([length, 2, 3]).name("random").conv2d(size, 1);
            let net = match kind {
                0 => text().blocks(block, blocks),
                1 => text().blocks(block, blocks).mean_pool(),
                2 => image().tokens().blocks(block, blocks).last(),
                3 => image().tokens_with_class().blocks(block, blocks).first(),
                // Places are mixed by a dense layer.
                4 => image().tokens().transpose().dense(tokens).transpose().mean_pool(),
                _ => {
                    let read = text().blocks(block, 1).named("read").target().embedding_with_positions(tokens, size);
                    read.blocks_from("read", block, blocks)
                }
            };
            let norm = LayerNorm { bias: block.bias, ..LayerNorm::new() };
            net.layer(norm).dense(tokens).build().unwrap()
        },
    )
}

fn net() -> impl Strategy<Value = Model> {
    prop_oneof![10 => image_net(), 2 => text_net(), 1 => translating_net(), 2 => transformer()]
}

/// Any list of layers, without those that do not fit what is before them.
fn image_net() -> impl Strategy<Value = Model> {
    let input = (1usize..=9, 1usize..=9, 1usize..=3);
    let dense = vec((1usize..=17, any::<bool>(), bias()), 0..=1);
    (input, vec(image_layer(), 0..=6), dense, 2usize..=11).prop_map(|((h, w, c), images, dense, classes)| {
        let mut net = Model { name: "random".into(), input: vec![h, w, c], ..Model::default() };
        for layer in images {
            net.layers.push(layer);
            if net.infer().is_err() {
                net.layers.pop();
            }
        }
        net.layers.push(LayerEntry::from(Flatten::new()));
        for (units, relu, bias) in dense {
            net.layers.push(LayerEntry::from(Dense { units, bias }));
            net.layers.extend(relu.then_some(LayerEntry::from(Relu::new())));
        }
        net.layers.push(LayerEntry::from(Dense { units: classes, bias: true }));
        net
    })
}

#[test]
fn random_nets_train_a_step_as_the_oracle_does() {
    let device = adapter::device();
    let (ops, end_to_end) = (Cell::new(0), Cell::new(0));
    let done = runner(nets(24)).run(&net(), |net| {
        let text = net.to_toml();
        let model = Model::from_toml(&text, "net.toml", "random").map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(&model, &net, "it is read as it was written");
        match models::check(&device, &model, false) {
            Err(why) => Err(TestCaseError::fail(format!("{why}\n{text}"))),
            Ok(report) => {
                ops.set(ops.get() + report.ops);
                end_to_end.set(end_to_end.get() + u32::from(report.end_to_end));
                prop_assert_eq!(report.verdict, "pass", "{:?} of {:?}\n{}", report.failed, report, text);
                Ok(())
            }
        }
    });
    done.unwrap_or_else(|why| panic!("{why}"));
    // Where every sum is exact the gradients are compared with the oracle's own run, too.
    assert!(end_to_end.get() * 4 > nets(24), "{} of {}", end_to_end.get(), nets(24));
    println!("{} nets, {} of them end to end, {} ops compared with the oracle", nets(24), end_to_end.get(), ops.get());
}

/// Every type of layer is in some of the nets that the tests draw, and every layer that can have no bias has none in some.
#[test]
fn every_type_of_layer_is_drawn() {
    let seen = RefCell::new(BTreeSet::new());
    let done = runner(600).run(&net(), |net| {
        let mut seen = seen.borrow_mut();
        for layer in &net.layers {
            let (kind, values) = layer.stored().expect("a layer of a file");
            let mut keys = kind.keys.iter().zip(values);
            let without = keys.any(|(key, value)| key.name == "bias" && value == Value::Flag(false));
            seen.insert((layer.type_name(), without));
        }
        Ok(())
    });
    done.unwrap_or_else(|why| panic!("{why}"));
    let seen = seen.into_inner();
    for kind in TYPES.iter() {
        let drawn = |without| seen.contains(&(kind.name, without));
        assert!(drawn(false), "{} is in no net", kind.name);
        let has = kind.keys.iter().any(|key| key.name == "bias");
        assert!(!has || drawn(true), "{} without a bias is in no net", kind.name);
    }
}

/// Changes that make any net invalid: a line of its file, and its replacement.
const BREAKS: [(&str, &str); 14] = [
    ("units = ", "units = 0"),
    ("units = ", "units = -3"),
    ("units = ", "units = 2.0"),
    ("units = ", "units = \"10\""),
    ("units = ", "units = 2147483648"),
    ("units = ", "units = 99999999999999999999999999"),
    ("units = ", "units = 5\nunits = 5"),
    ("units = ", "unit = 5"),
    ("units = ", ""),
    ("type = ", "type = \"danse\""),
    ("type = ", ""),
    ("type = \"flatten\"", "type = \"conv2d\"\nfilters = 2\nkernel = 99"),
    ("input = ", "input = [4, 4]"),
    ("input = ", "input = [4, 0, 1]"),
];

#[test]
fn a_broken_net_gets_a_sentence() {
    let strategy = (image_net(), select(BREAKS.to_vec()), any::<Index>());
    let done = runner(nets(24) * 10).run(&strategy, |(net, (begins, instead), which)| {
        let text = net.to_toml();
        let lines: Vec<&str> = text.lines().collect();
        let fitting: Vec<usize> = (0..lines.len()).filter(|&line| lines[line].starts_with(begins)).collect();
        let mut broken = lines.clone();
        broken[fitting[which.index(fitting.len())]] = instead;
        match Model::from_toml(&broken.join("\n"), "net.toml", "random") {
            Err(Error::Input(why)) => {
                prop_assert!(why.starts_with("net.toml: line "), "{}", why);
                prop_assert!(!why.contains('\n'), "{}", why);
                Ok(())
            }
            other => Err(TestCaseError::fail(format!("{other:?}\n{}", broken.join("\n")))),
        }
    });
    done.unwrap_or_else(|why| panic!("{why}"));
}

/// A size from 1 to the largest that a file can say, most of them small.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 1usize..9, 1 => 1usize..5000, 1 => (0u32..31).prop_map(|bits| (1 << bits) + 7)]
}

/// Layers of any size in any order: whatever cannot be built, or planned within the limits, is bad input.
#[test]
fn any_net_at_all_is_planned_or_refused() {
    let pairs = || [size(), size()];
    let sides = || [size(), size(), size(), size()].prop_map(Padding::Zeros);
    let padding = || prop_oneof![2 => select(vec![Padding::Valid, Padding::Same]), 1 => sides()];
    let layer = prop_oneof![
        (size(), pairs(), pairs(), padding(), pairs(), size(), bias()).prop_map(
            |(filters, kernel, stride, padding, dilation, groups, bias)| {
                LayerEntry::from(Conv2d { filters, kernel, stride, padding, dilation, groups, bias })
            }
        ),
        (pairs(), pairs(), padding(), pairs(), size(), bias()).prop_map(
            |(kernel, stride, padding, dilation, multiplier, bias)| {
                LayerEntry::from(DepthwiseConv2d { kernel, stride, padding, dilation, multiplier, bias })
            }
        ),
        (size(), pairs(), pairs(), padding(), bias()).prop_map(|(filters, kernel, stride, padding, bias)| {
            LayerEntry::from(ConvTranspose2d { filters, kernel, stride, padding, bias })
        }),
        (size(), pairs(), pairs(), padding(), bias()).prop_map(|(filters, kernel, stride, padding, bias)| {
            LayerEntry::from(Conv2d { filters, kernel, stride, padding, dilation: [1, 1], groups: 1, bias })
        }),
        Just(LayerEntry::from(Relu::new())),
        (pairs(), pairs(), padding(), any::<bool>()).prop_map(|(size, stride, padding, ceil)| {
            LayerEntry::from(MaxPool2d { stride, padding, ceil, ..MaxPool2d::new(size) })
        }),
        (pairs(), pairs(), padding(), any::<bool>()).prop_map(|(size, stride, padding, ceil)| {
            LayerEntry::from(AvgPool2d { stride, padding, ceil, ..AvgPool2d::new(size) })
        }),
        Just(LayerEntry::from(Flatten::new())),
        (size(), bias()).prop_map(|(units, bias)| LayerEntry::from(Dense { units, bias })),
        size().prop_map(|groups| LayerEntry::from(GroupNorm { groups, epsilon: 1e-5 })),
        Just(LayerEntry::from(RmsNorm { epsilon: 1e-5 })),
        (0usize..6).prop_map(|from| LayerEntry::from(Multiply::new()).reading([from])),
    ];
    let input = (size(), size(), 1usize..5).prop_map(|(h, w, c)| [h, w, c]);
    let strategy = (input, vec(layer, 1..6), 1usize..40);
    let done = runner(nets(24) * 20).run(&strategy, |(input, layers, batch)| {
        let model = Model { name: "any".into(), input: input.to_vec(), layers, ..Model::default() };
        let planned = || {
            let model = Model::from_toml(&model.to_toml(), "net.toml", "any")?;
            let step = Step::training(&model, 40, &TrainOptions { batch_size: batch, ..TrainOptions::default() })?;
            for class in [KernelClass::Tile, KernelClass::Lanes(8)] {
                lower(&step.graph, Target { class, limits: Limits::PORTABLE, reuse: true })?;
            }
            Ok(())
        };
        match planned() {
            Err(Error::Failed(why)) => Err(TestCaseError::fail(format!("{why}\n{}", model.to_toml()))),
            Ok(()) | Err(Error::Input(_)) => Ok(()),
        }
    });
    done.unwrap_or_else(|why| panic!("{why}"));
}
