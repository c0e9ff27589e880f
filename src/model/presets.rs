//! Models by name, and the choice between a name and a model file.

use super::{Layer, Model, Sequential};
use crate::error::{Error, Result};
use crate::near;
use crate::ops::geometry::Padding;
use std::path::Path;

/// One line a preset: its name, and its layers for an input and a number of classes.
type Preset = (&'static str, fn(Sequential, usize) -> Sequential);

const PRESETS: &[Preset] = &[
    ("mnist-cnn", |net, classes| net.conv2d(32, 3).relu().max_pool2d(2).flatten().dense(classes)),
    ("mnist-deep", |net, classes| {
        let features = net.conv2d(32, 3).relu().conv2d(64, 3).relu().max_pool2d(2).flatten();
        features.dense(128).relu().dense(classes)
    }),
    ("unet-small", unet_small),
];

/// A small U-Net (Ronneberger, Fischer and Brox, 2015) for a class a pixel; height and width are divided by four. Most of
/// its work is done on a sixteenth of the pixels, where a digit is some seven places wide; the skips bring back edges.
fn unet_small(net: Sequential, classes: usize) -> Sequential {
    let conv = |net: Sequential, filters| net.conv2d_with(filters, 3, 1, Padding::Same).batch_norm().relu();
    let fine = conv(net, 8).named("fine").max_pool2d(2);
    let middle = conv(fine, 32).named("middle").max_pool2d(2);
    let coarse = conv(conv(conv(middle, 64), 64), 64);
    let middle = conv(coarse.conv2d(32, 1).upsample2d(2).concat_from("middle"), 32);
    conv(middle.conv2d(8, 1).upsample2d(2).concat_from("fine"), 16).conv2d(classes, 1)
}

/// The presets whose forward pass is exact in single precision on coarse values, so that a whole step of them is held to
/// the oracle: those without batch normalisation, whose statistics are roots and quotients.
pub fn exact() -> Vec<&'static str> {
    let normalised = |layers: &fn(Sequential, usize) -> Sequential| {
        let net = layers(Sequential::new([32, 32, 1]), 10).build();
        net.is_ok_and(|net| net.layers.iter().any(|layer| matches!(layer, Layer::BatchNorm { .. })))
    };
    PRESETS.iter().filter(|(_, layers)| !normalised(layers)).map(|(name, _)| *name).collect()
}

/// The names of all presets.
pub fn names() -> Vec<&'static str> {
    PRESETS.iter().map(|(name, _)| *name).collect()
}

impl Model {
    /// The preset `name` for images of `input` = [height, width, channels].
    ///
    /// # Errors
    /// [`Error::Input`] for a name that no preset has, with those that there are, and where the input is
    /// too small for the preset.
    pub fn preset(name: &str, input: [usize; 3], classes: usize) -> Result<Self> {
        match PRESETS.iter().find(|(preset, _)| *preset == name) {
            Some((name, layers)) => layers(Sequential::new(input).name(*name), classes).build(),
            None => Err(unknown(name)),
        }
    }

    /// The preset of the name `spec`, with input and classes as the data has them, or the model file at the
    /// path `spec`, literally, if that ends in `.toml`.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Model::preset`] and [`Model::from_toml_file`].
    pub fn named_or_file(spec: &str, input: [usize; 3], classes: usize) -> Result<Self> {
        match spec.ends_with(".toml") {
            true => Model::from_toml_file(Path::new(spec)),
            false => Model::preset(spec, input, classes),
        }
    }
}

fn unknown(name: &str) -> Error {
    Error::input(near::unknown("model", name, &names(), " or a file that ends in .toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(model: &Model) -> Vec<Vec<usize>> {
        model.infer().unwrap().into_iter().map(|layer| layer.shape).collect()
    }

    fn counts(model: &Model) -> Vec<usize> {
        model.params().unwrap().iter().map(|p| p.elements()).collect()
    }

    #[test]
    fn mnist_cnn_is_the_reference_net() {
        let model = Model::preset("mnist-cnn", [28, 28, 1], 10).unwrap();
        let image = |h, c| vec![h, h, c];
        assert_eq!(shapes(&model), [image(26, 32), image(26, 32), image(13, 32), vec![5408], vec![10]]);
        assert_eq!(counts(&model), [288, 32, 54_080, 10]);
        let names: Vec<String> = model.params().unwrap().into_iter().map(|p| p.name).collect();
        assert_eq!(names, ["0.weight", "0.bias", "4.weight", "4.bias"]);
        assert_eq!(model.params().unwrap()[2].file_shape, [10, 5408]);
    }

    /// Keras counts 320, 18,496, 1,179,776 and 1,290 parameters.
    #[test]
    fn mnist_deep_counts_as_keras_does() {
        let model = Model::preset("mnist-deep", [28, 28, 1], 10).unwrap();
        assert_eq!(counts(&model), [288, 32, 18_432, 64, 1_179_648, 128, 1280, 10]);
        assert_eq!(counts(&model).iter().sum::<usize>(), 1_199_882);
        assert_eq!(shapes(&model)[4..], [vec![12, 12, 64], vec![9216], vec![128], vec![128], vec![10]]);
    }

    #[test]
    fn a_preset_takes_input_and_classes_from_the_data() {
        let model = Model::named_or_file("mnist-cnn", [32, 20, 3], 256).unwrap();
        assert_eq!((model.input, model.classes().unwrap()), ([32, 20, 3], 256));
        let error = Model::preset("mnist-cnn", [2, 28, 1], 10).unwrap_err().to_string();
        assert_eq!(error, "model mnist-cnn: layer 0 (conv2d): a window of 3 × 3 does not fit an input of 2 × 28");
    }

    #[test]
    fn an_unknown_name_lists_the_presets_and_the_near_one() {
        let error = |spec| Model::named_or_file(spec, [28, 28, 1], 10).unwrap_err().to_string();
        let want = "no model 'mnist-cn'; did you mean 'mnist-cnn'? Expected mnist-cnn, mnist-deep, unet-small or a file that ends in .toml";
        assert_eq!(error("mnist-cn"), want);
        assert!(error("mnist-dep").contains("did you mean 'mnist-deep'?"));
        assert!(error("resnet-50").ends_with(".toml"));
        assert!(error("").ends_with(".toml"));
        assert!(error("nowhere/net.toml").starts_with("nowhere/net.toml: cannot be read"));
    }
}
