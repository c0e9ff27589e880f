//! Pictures of a net: the first layer's filters, the result of each layer for a sample, and the saliency of the answer.

use crate::error::Result;
use crate::model::layers::{Conv2d, Dense, DepthwiseConv2d, Flatten, Relu};
use crate::model::{Model, Weights};
use crate::report::inside::Inside;
use crate::report::picture::{Picture, largest, mean};
use serde::Serialize;

/// The most filters, and the most maps of a layer, on a page.
const MOST_PICTURES: usize = 64;

/// The most features of a layer on a page.
const MOST_FEATURES: usize = 512;

/// The first layer's weights as pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Filters {
    /// The layer, such as `conv2d 3 × 3`.
    pub layer: String,
    /// One picture per filter; the first ones if there are more than a page shows.
    pub pictures: Vec<Picture>,
    /// How many there are.
    pub total: usize,
    /// The weight at the end of the scale.
    pub largest: f32,
    /// Whether several input channels were averaged.
    pub averaged: bool,
}

/// One sample on its way through the net.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Maps {
    /// The sample.
    pub picture: Picture,
    /// Its class, if known.
    pub label: Option<String>,
    /// Its name, such as the file it was read from, where it has one.
    pub name: Option<String>,
    /// Layer by layer.
    pub layers: Vec<LayerMaps>,
}

/// The result of a layer for a sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerMaps {
    /// The layer, with the ReLU after it if there is one.
    pub layer: String,
    /// [height, width, channels] or `[features]`.
    pub shape: Vec<usize>,
    /// One picture per channel; features are one picture with a single row.
    pub pictures: Vec<Picture>,
    /// The value at the end of the scale.
    pub largest: f32,
}

/// The weights of the first layer that has any; `None` if they are no pictures.
pub fn filters(model: &Model, weights: &Weights) -> Result<Option<Filters>> {
    let inferred = model.infer()?;
    let Some(index) = inferred.iter().position(|layer| !layer.params.is_empty()) else { return Ok(None) };
    let Some(weight) = weights.get(&format!("{index}.weight")) else { return Ok(None) };
    // What goes into the layer, and into the one before it.
    let into = |layer: usize| if layer == 0 { &model.input[..] } else { &inferred[layer - 1].shape[..] };
    // Both orders are outputs, channels, rows, columns: the features of a dense layer come from a flatten.
    let first = &model.layers[index];
    let [channels, height, width] = match (&weight.shape[..], into(index)) {
        (&[_, channels, height, width], _) if first.is::<Conv2d>() || first.is::<DepthwiseConv2d>() => {
            [channels, height, width]
        }
        (_, &[features]) if index > 0 && first.is::<Dense>() => match *into(index - 1) {
            // Behind a global pool each feature stands for a whole channel.
            [height, width, channels] if height * width * channels == features => [channels, height, width],
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let size = channels * height * width;
    let shown: Vec<Vec<f32>> = weight
        .values
        .chunks(size.max(1))
        .take(MOST_PICTURES)
        .map(|filter| {
            let pixels = (0..height * width).flat_map(|p| (0..channels).map(move |c| filter[c * height * width + p]));
            let pixels: Vec<f32> = pixels.collect();
            if channels == 3 { pixels } else { mean(&pixels, channels) }
        })
        .collect();
    let most = shown.iter().map(|filter| largest(filter)).fold(0.0, f32::max);
    let picture = |filter: &Vec<f32>| match channels {
        3 => Picture::colours(filter, [height, width], most),
        _ => Picture::signed(filter, [height, width], most),
    };
    Ok(Some(Filters {
        layer: first.describe(),
        pictures: shown.iter().map(picture).collect(),
        total: weight.values.len() / size.max(1),
        largest: most,
        averaged: ![1, 3].contains(&channels),
    }))
}

/// Runs `pixels` through the net and draws what each layer made of them.
pub fn maps(model: &Model, inside: &mut Inside, pixels: &[u8], label: Option<String>) -> Result<Maps> {
    let sample = inside.normalised(pixels);
    inside.run(sample)?;
    drawn(model, inside, pixels, label)
}

/// Draws the sample that was run last.
pub fn drawn(model: &Model, inside: &Inside, pixels: &[u8], label: Option<String>) -> Result<Maps> {
    let mut layers = Vec::new();
    for (index, layer) in model.layers.iter().enumerate() {
        let next = model.layers.get(index + 1);
        // A flatten changes no value, and a ReLU is drawn with the layer before it.
        if layer.is::<Flatten>() || next.is_some_and(|next| next.is::<Relu>() && next.from.is_empty()) {
            continue;
        }
        let name = match index.checked_sub(1).map(|before| &model.layers[before]) {
            Some(before) if layer.is::<Relu>() && layer.from.is_empty() => format!("{}, relu", before.describe()),
            _ => layer.describe(),
        };
        let (shape, values) = inside.layer(index)?;
        layers.push(layer_maps(name, shape, &values));
    }
    Ok(Maps { picture: Picture::image(pixels, model.image()?), label, name: None, layers })
}

/// The gradient of one class's logit with respect to the input, for the sample that was run last.
pub fn saliency(model: &Model, inside: &mut Inside, class: usize) -> Result<Picture> {
    let [height, width, channels] = model.image()?;
    let gradient = inside.saliency(class)?;
    // Of several channels the one that matters most is shown.
    let strongest = |pixel: &[f32]| pixel.iter().copied().fold(0.0, |a: f32, b| if b.abs() > a.abs() { b } else { a });
    let gradient: Vec<f32> = gradient.chunks(channels).map(strongest).collect();
    Ok(Picture::signed(&gradient, [height, width], largest(&gradient)))
}

fn layer_maps(layer: String, shape: Vec<usize>, values: &[f32]) -> LayerMaps {
    let most = largest(values);
    let signed = values.iter().any(|x| *x < 0.0);
    let draw = |values: &[f32], sizes| match signed {
        true => Picture::signed(values, sizes, most),
        false => Picture::positive(values, sizes, most),
    };
    let pictures = match shape[..] {
        [height, width, channels] => (0..channels.min(MOST_PICTURES))
            .map(|channel| {
                let plane: Vec<f32> = values.iter().skip(channel).step_by(channels).copied().collect();
                draw(&plane, [height, width])
            })
            .collect(),
        _ => {
            // Rows of 64, so that no picture is longer than a page shows.
            let shown = &values[..values.len().min(MOST_FEATURES)];
            shown.chunks(64).map(|row| draw(row, [1, row.len()])).collect()
        }
    };
    LayerMaps { layer, shape, pictures, largest: most }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Sequential;
    use crate::model::init::glorot_uniform;
    use crate::report::picture::Scale;

    #[test]
    fn filters_of_a_convolution_are_its_weights() {
        let model = Sequential::new([6, 6, 1]).conv2d(5, [2, 3]).flatten().dense(4).build().expect("a model");
        let weights = glorot_uniform(&model, 3).expect("weights");
        let found = filters(&model, &weights).expect("no fault").expect("filters");
        assert_eq!((found.total, found.pictures.len(), found.averaged), (5, 5, false));
        let values = &weights.get("0.weight").expect("weights").values;
        for (picture, filter) in found.pictures.iter().zip(values.chunks(6)) {
            assert_eq!((picture.height, picture.width), (2, 3));
            for (byte, value) in picture.bytes().into_iter().zip(filter) {
                let shown = (f32::from(byte) - 128.0) / 127.0 * found.largest;
                // Half a step of the scale, and a rounding.
                assert!((shown - value).abs() <= found.largest / 127.0 * 0.501, "{shown} for {value}");
            }
        }
    }

    #[test]
    fn dense_weights_behind_a_flatten_are_pictures_of_the_input() {
        let model = Sequential::new([3, 4, 2]).flatten().dense(70).build().expect("a model");
        let weights = glorot_uniform(&model, 3).expect("weights");
        let found = filters(&model, &weights).expect("no fault").expect("filters");
        assert_eq!((found.total, found.pictures.len(), found.averaged), (70, MOST_PICTURES, true));
        assert_eq!((found.pictures[0].height, found.pictures[0].width), (3, 4));
        let pooled = Sequential::new([4, 4, 3]).global_avg_pool2d().dense(2).build().expect("a model");
        let weights = glorot_uniform(&pooled, 3).expect("weights");
        assert!(filters(&pooled, &weights).expect("no fault").is_none());
        let behind = Sequential::new([4, 4, 1]).max_pool2d(2).flatten().dense(3).build().expect("a model");
        let weights = glorot_uniform(&behind, 3).expect("weights");
        let found = filters(&behind, &weights).expect("no fault").expect("filters");
        assert_eq!((found.pictures[0].height, found.pictures[0].width), (2, 2));
    }

    #[test]
    fn maps_are_drawn_layer_by_layer() {
        let net = Sequential::new([8, 8, 1]).conv2d(70, 3).relu().max_pool2d(2).flatten().dense(600).relu().dense(10);
        let model = net.build().expect("a model");
        let mut inside = Inside::new(&model).expect("a net");
        inside.set_weights(&glorot_uniform(&model, 1).expect("weights")).expect("they fit");
        let pixels: Vec<u8> = (0..64).map(|p| (p * 37 % 256) as u8).collect();
        let found = maps(&model, &mut inside, &pixels, None).expect("maps");
        let names: Vec<&str> = found.layers.iter().map(|layer| &layer.layer[..]).collect();
        assert_eq!(names, ["conv2d 3 × 3, relu", "max_pool2d 2 × 2", "dense, relu", "dense"]);
        assert_eq!(found.layers[0].shape, [6, 6, 70]);
        assert_eq!(found.layers[0].pictures.len(), MOST_PICTURES);
        assert!(found.layers[0].pictures.iter().all(|picture| picture.scale == Scale::Positive));
        let (shape, values) = inside.layer(1).expect("the ReLU's result");
        assert_eq!(shape, [6, 6, 70]);
        for (channel, picture) in found.layers[0].pictures.iter().enumerate() {
            let plane = values.iter().skip(channel).step_by(70);
            let byte = |value: &f32| (value / found.layers[0].largest * 255.0).round() as u8;
            assert!(picture.bytes().into_iter().eq(plane.map(byte)), "channel {channel}");
        }
        // The pool takes the largest of each window, in picture as in number.
        let [conv, pool] = [0, 1].map(|layer| found.layers[layer].pictures[0].bytes());
        assert_eq!(found.layers[0].largest, found.layers[1].largest);
        assert_eq!(pool[0], [conv[0], conv[1], conv[6], conv[7]].into_iter().max().expect("four"));
        assert_eq!(found.layers[2].pictures.len(), MOST_FEATURES / 64);
        assert_eq!(found.layers[3].pictures[0].scale, Scale::Signed);
    }
}
