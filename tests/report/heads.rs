//! Attention maps of the page: the tokens that they name, their sizes, and that the weights of a token come to 1.

use crate::texts::page_of_texts;
use wgrad::model::init::glorot_uniform;
use wgrad::model::layers::Transformer;
use wgrad::model::{Model, Sequential};
use wgrad::ops::conv::geometry::Padding;
use wgrad::report::heads::{Layer, heads};

fn block(causal: bool) -> Transformer {
    Transformer { causal, ..Transformer::new(2usize, 12usize) }
}

/// The weights of a text's map, which are stored as bytes of their roots: rows of `width`.
fn weights(bytes: &[u8], width: usize) -> Vec<Vec<f64>> {
    let weight = |byte: &u8| (f64::from(*byte) / 255.0).powi(2);
    bytes.chunks(width).map(|row| row.iter().map(weight).collect()).collect()
}

/// Holds maps to their sizes, and to rows that come to 1 within what bytes can tell: half a step of each root.
fn check(layer: &Layer, [rows, columns]: [usize; 2], causal: bool) {
    assert_eq!(layer.maps.len(), 2, "one for each head");
    for map in &layer.maps {
        assert_eq!([map.height, map.width], [rows, columns]);
        for (at, row) in weights(&map.bytes(), columns).iter().enumerate() {
            let step = 0.5 / 255.0;
            let tolerance: f64 = row.iter().map(|weight| 2.0 * weight.sqrt() * step + step * step).sum();
            assert!((row.iter().sum::<f64>() - 1.0).abs() <= tolerance, "row {at}: {row:?}");
            assert!(!causal || row[at + 1..].iter().all(|weight| *weight == 0.0), "row {at} sees what follows");
        }
    }
}

#[test]
fn a_text_that_is_continued_sees_what_came_before() {
    let net = Sequential::text(7).embedding_with_positions(9, 6).blocks(block(true), 3).dense(9);
    let (page, model, weights, data, _) = page_of_texts(&"abcd efg\n".repeat(60), "a.txt", net);
    let found = heads(&model, &weights, &data.test).expect("maps").expect("a transformer");
    assert_eq!(page["heads"]["read"], serde_json::json!(["a", "b", "c", "d", " ", "e", "f"]));
    assert_eq!(found.layers.iter().map(|layer| layer.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(found.written.is_empty() && found.picture.is_none());
    found.layers.iter().for_each(|layer| check(layer, [7, 7], true));
}

/// Padding is neither shown nor seen.
#[test]
fn a_translation_sees_its_source_and_itself() {
    let lines: String = (0..50).map(|n| format!("one {} two\tdos {} uno y\n", n % 9, n % 9)).collect();
    let net = Sequential::text(6).embedding_with_positions(11, 6).blocks(block(false), 1).named("encoder");
    let net = net.target().embedding_with_positions(14, 6).blocks_from("encoder", block(true), 1).dense(14);
    let (_, model, weights, data, _) = page_of_texts(&lines, "a.tsv", net);
    let found = heads(&model, &weights, &data.test).expect("maps").expect("a transformer");
    assert_eq!((found.read.len(), found.written.len(), &*found.written[0]), (3, 5, "<begin>"), "{found:?}");
    let kinds: Vec<_> = found.layers.iter().map(|layer| (layer.number, layer.writes, layer.reads)).collect();
    assert_eq!(kinds, [(1, false, true), (2, true, false), (2, true, true)]);
    for (layer, (sizes, causal)) in found.layers.iter().zip([([3, 3], false), ([5, 5], true), ([5, 3], false)]) {
        check(layer, sizes, causal);
    }
}

fn of_images(net: Sequential) -> Model {
    net.build().expect("a model")
}

#[test]
fn patches_of_an_image_are_looked_at() {
    let net = || Sequential::new([8, 8, 1]).conv2d_with(6, [4, 2], [4, 2], Padding::Valid);
    let with_class = of_images(net().tokens_with_class().blocks(block(false), 2).first().dense(4));
    let weights = glorot_uniform(&with_class, 3).expect("weights");
    let found = heads(&with_class, &weights, &crate::data().test).expect("maps").expect("a transformer");
    assert_eq!((found.layers.len(), found.layers[0].maps[0].height, found.layers[0].maps[0].width), (2, 2, 4));
    let model = of_images(net().tokens().blocks(block(false), 2).mean_pool().dense(4));
    let weights = glorot_uniform(&model, 3).expect("weights");
    let found = heads(&model, &weights, &crate::data().test).expect("maps").expect("a transformer");
    assert_eq!((found.layers.len(), found.picture.is_some()), (2, true));
    for layer in &found.layers {
        for (map, largest) in layer.maps.iter().zip(&layer.largest) {
            assert_eq!((map.height, map.width, layer.maps.len()), (2, 4, 2));
            let sum: f64 = map.bytes().iter().map(|byte| f64::from(*byte) / 255.0 * f64::from(*largest)).sum();
            // Half a step of each byte, and of the largest weight's fourth digit.
            assert!((sum - 1.0).abs() <= 8.0 * (0.5 / 255.0 * f64::from(*largest) + 0.5e-4), "{sum}");
        }
    }
    let none = of_images(Sequential::new([8, 8, 1]).flatten().dense(4));
    let weights = glorot_uniform(&none, 3).expect("weights");
    assert_eq!(heads(&none, &weights, &crate::data().test).expect("none"), None);
}
