//! Models by name, and the choice between a name and a model file.

mod convs;
mod densenet;
mod inception;
mod mobile;
mod resnet;
mod segment;
mod vgg;
mod vit;

use crate::error::{Error, Result};
use crate::model::formats::weights::in_run;
use crate::model::layers::{Score, Transformer};
use crate::model::{Model, Sequential, Task, Weights};
use crate::ops::conv::geometry::Padding;
use crate::ops::pointwise::activation::Function;
use crate::suggest;
use crate::text::Tokenizer;
use std::path::Path;
use std::sync::LazyLock;

/// A model by name.
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// The input that it was made for, height, width and channels of an image or the tokens of a text; it takes others too.
    pub input: &'static [usize],
    /// The classes that go with it.
    pub classes: usize,
    /// How it reads text, with a vocabulary of that size; none of a preset that reads something else.
    text: Option<fn(Sequential, usize) -> Sequential>,
    layers: fn(Sequential, usize) -> Sequential,
}

/// Those that are small enough to try things with.
const SMALL: &[Preset] = &[
    Preset {
        name: "mnist-cnn",
        input: &[28, 28, 1],
        classes: 10,
        text: None,
        layers: |net, classes| net.conv2d(32, 3).relu().max_pool2d(2).flatten().dense(classes),
    },
    Preset {
        name: "mnist-deep",
        input: &[28, 28, 1],
        classes: 10,
        text: None,
        layers: |net, classes| {
            let features = net.conv2d(32, 3).relu().conv2d(64, 3).relu().max_pool2d(2).flatten();
            features.dense(128).relu().dense(classes)
        },
    },
    // What `--recipe best` trains where no model is named.
    Preset {
        name: "mnist-bn",
        input: &[28, 28, 1],
        classes: 10,
        text: None,
        layers: |net, classes| {
            let net = net.conv2d(32, 3).relu().max_pool2d(2).batch_norm().conv2d(32, 3).relu().batch_norm();
            let net = net.conv2d(64, 3).relu().max_pool2d(2).batch_norm().conv2d(128, 3).relu().batch_norm();
            net.flatten().dense(classes)
        },
    },
    // After D. Page's ResNet-9 (DAWNBench 2018), a quarter as wide.
    Preset {
        name: "resnet-small",
        input: &[32, 32, 3],
        classes: 10,
        text: None,
        layers: |net, classes| {
            let net = norm_conv(norm_conv(net, 16), 32).max_pool2d(2).named("first");
            let net = norm_conv(norm_conv(net, 32), 32).add_from("first");
            let net = norm_conv(net, 64).max_pool2d(2);
            let net = norm_conv(net, 128).max_pool2d(2).named("second");
            let net = norm_conv(norm_conv(net, 128), 128).add_from("second");
            net.global_max_pool2d().dense(classes)
        },
    },
    Preset { name: "unet-small", input: &[64, 64, 1], classes: 11, text: None, layers: unet_small },
    // Karpathy's char-rnn (2015) with its defaults.
    Preset {
        name: "char-rnn",
        input: &[50],
        classes: 65,
        text: Some(embedded),
        layers: |net, tokens| net.lstm(128, 2).dense(tokens),
    },
    // Words, their order both ways, and their mean: after Keras' text classification with bidirectional recurrences.
    Preset {
        name: TEXTS,
        input: &[64],
        classes: 2,
        text: Some(embedded),
        layers: |net, classes| net.bidirectional_gru(64).mean_pool().dropout(0.5).dense(classes),
    },
    // Luong, Pham and Manning's attention (2015), after a decoder that goes on where the encoder ends.
    Preset {
        name: TRANSLATOR,
        input: &[20],
        classes: 256,
        text: Some(embedded),
        layers: |net, tokens| {
            let net = net.gru(256, 1).named("encoder");
            let net = net.target().embedding(tokens, EMBEDDING).gru(256, 1).starting_at("encoder").named("decoder");
            let net = net.attention_from("encoder", Score::General).concat_from("decoder");
            net.dense(256).activation(Function::Tanh).dropout(0.2).dense(tokens)
        },
    },
    // nanoGPT's configuration for a CPU.
    Preset {
        name: "gpt-mini",
        input: &[64],
        classes: 65,
        text: Some(|net, tokens| net.embedding_with_positions(tokens, 128).named("tokens")),
        layers: |net, tokens| net.gpt(4, 4, 128, 0.0).dense(tokens).without_bias().tied_to("tokens"),
    },
    // nanoGPT's configuration for characters.
    Preset {
        name: "gpt-char",
        input: &[256],
        classes: 65,
        text: Some(|net, tokens| net.embedding_with_positions(tokens, 384).named("tokens").dropout(0.2)),
        layers: |net, tokens| net.gpt(6, 6, 384, 0.2).dense(tokens).without_bias().tied_to("tokens"),
    },
    // A transformer of 2017 with its norms first, small for some ten thousand pairs.
    Preset {
        name: "translator-transformer",
        input: &[20],
        classes: 256,
        text: Some(|net, tokens| net.embedding_with_positions(tokens, 256).dropout(0.1)),
        layers: |net, tokens| {
            let block = Transformer { dropout: 0.1, ..Transformer::new(4usize, 512usize) };
            let net = net.blocks(block, 3).layer_norm().named("encoder");
            let net = net.target().embedding_with_positions(tokens, 256).named("written").dropout(0.1);
            let net = net.blocks_from("encoder", Transformer { causal: true, ..block }, 3);
            net.layer_norm().dense(tokens).without_bias().tied_to("written")
        },
    },
    // A small vision transformer (Dosovitskiy and others, 2020): patches of 4 × 4.
    Preset {
        name: "vit-mini",
        input: &[28, 28, 1],
        classes: 10,
        text: None,
        layers: |net, classes| {
            let net = net.conv2d_with(64, 4, 4, Padding::Valid).tokens();
            net.blocks(Transformer::new(4usize, 256usize), 4).layer_norm().mean_pool().dense(classes)
        },
    },
    // What is trained on a table where no model is named; an image is flattened.
    Preset {
        name: TABLE,
        input: &[28, 28, 1],
        classes: 10,
        text: None,
        layers: |net, classes| {
            let net = if net.input().len() == 1 { net } else { net.flatten() };
            net.dense(64).relu().dense(64).relu().dense(classes)
        },
    },
];

/// Numbers that a token becomes in the presets with recurrences.
const EMBEDDING: usize = 128;

/// Tokens as the presets with recurrences read them.
fn embedded(net: Sequential, tokens: usize) -> Sequential {
    net.embedding(tokens, EMBEDDING)
}

/// The preset that translates.
pub const TRANSLATOR: &str = "translator";

/// The preset that classifies texts.
pub const TEXTS: &str = "text-classifier";

/// The preset that takes tables.
pub const TABLE: &str = "mlp";

/// A 3 × 3 convolution that leaves height and width, batch normalisation, ReLU.
fn norm_conv(net: Sequential, filters: usize) -> Sequential {
    net.conv2d_with(filters, 3, 1, Padding::Same).batch_norm().relu()
}

/// A small U-Net (Ronneberger, Fischer and Brox, 2015) for a class per pixel; height and width must be multiples of
/// four. Most of its work is done on a sixteenth of the pixels, where a digit is some seven places wide; the skips
/// bring back edges.
fn unet_small(net: Sequential, classes: usize) -> Sequential {
    let fine = norm_conv(net, 8).named("fine").max_pool2d(2);
    let middle = norm_conv(fine, 32).named("middle").max_pool2d(2);
    let coarse = norm_conv(norm_conv(norm_conv(middle, 64), 64), 64);
    let middle = norm_conv(coarse.conv2d(32, 1).upsample2d(2).concat_from("middle"), 32);
    norm_conv(middle.conv2d(8, 1).upsample2d(2).concat_from("fine"), 16).conv2d(classes, 1)
}

/// Published nets, with the names of their modules.
const PUBLISHED: &[&[Preset]] = &[
    resnet::PRESETS,
    vgg::PRESETS,
    mobile::PRESETS,
    convs::PRESETS,
    densenet::PRESETS,
    inception::PRESETS,
    vit::PRESETS,
    segment::PRESETS,
];

/// Every preset.
pub fn all() -> impl Iterator<Item = &'static Preset> {
    SMALL.iter().chain(PUBLISHED.iter().copied().flatten())
}

/// The names of all presets.
pub fn names() -> Vec<&'static str> {
    all().map(|preset| preset.name).collect()
}

/// The names of the published nets.
pub fn published() -> Vec<&'static str> {
    PUBLISHED.iter().copied().flatten().map(|preset| preset.name).collect()
}

/// The presets whose step in double precision takes minutes: `wgrad verify` checks them where they are named. Their layers
/// are those of others, in larger sizes.
pub static SLOW: LazyLock<Vec<&'static str>> = LazyLock::new(|| [vec!["gpt-char"], published()].concat());

/// The classes of ImageNet.
const IMAGENET: usize = 1000;

/// Images of ImageNet as torchvision's nets read them: 224 × 224 in colour.
const PHOTO: &[usize] = &[224, 224, 3];

/// Colours as torchvision's weights expect them, where there are three.
fn photo(net: Sequential) -> Sequential {
    match net.input() {
        [_, _, 3] => net.normalise_channels([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        _ => net,
    }
}

/// Colours from -1 to 1, where there are three.
fn signed_photo(net: Sequential) -> Sequential {
    match net.input() {
        [_, _, 3] => net.normalise_channels([0.5; 3], [0.5; 3]),
        _ => net,
    }
}

/// A convolution without bias, padded by half its window on all sides as in PyTorch, and a batch normalisation; and the names
/// of their modules.
fn conv_norm(net: Sequential, filters: usize, [kernel, stride]: [usize; 2], [conv, norm]: [&str; 2]) -> Sequential {
    let net = net.conv2d_with(filters, kernel, stride, Padding::all(kernel / 2)).without_bias().module(conv);
    net.batch_norm().module(norm)
}

impl Preset {
    /// The preset of that name.
    ///
    /// # Errors
    /// [`Error::Input`] for a name that no preset has, with those that there are.
    pub fn named(name: &str) -> Result<&'static Preset> {
        let unknown = || Error::input(suggest::unknown("model", name, &names(), " or a file that ends in .toml"));
        all().find(|preset| preset.name == name).ok_or_else(unknown)
    }

    /// Whether it reads text.
    pub fn reads_text(&self) -> bool {
        self.text.is_some()
    }

    /// The task of its model, and whether that reads text and translates.
    pub(crate) fn does(&self) -> Result<(Task, bool, bool)> {
        let model = self.model(self.input, self.classes)?;
        Ok((model.task.clone(), self.reads_text(), model.translates()))
    }

    /// The model for the data's inputs and classes.
    ///
    /// # Errors
    /// [`Error::Input`] if images are too small for it, and for a table where it takes images alone.
    pub fn model(&self, input: impl Into<Vec<usize>>, classes: usize) -> Result<Model> {
        self.model_for(input, classes, self.reads_text().then_some(classes))
    }

    /// [`Preset::model`] for text data with a vocabulary of this many tokens.
    fn model_for(&self, input: impl Into<Vec<usize>>, classes: usize, vocabulary: Option<usize>) -> Result<Model> {
        let input = input.into();
        let name = self.name;
        if let Some(embed) = self.text {
            let Some(tokens) = vocabulary.filter(|_| input.len() == 1) else {
                return Err(Error::input(format!("model {name}: it reads text, expected --data FILE.txt")));
            };
            return (self.layers)(embed(Sequential::text(input[0]).name(name), tokens), classes).build();
        }
        if vocabulary.is_some() {
            let texts: Vec<&str> = all().filter(|preset| preset.reads_text()).map(|preset| preset.name).collect();
            let expected = texts.join(", ");
            return Err(Error::input(format!("model {name}: it reads no text, expected {expected} or a model file")));
        }
        if input.len() == 1 && self.name != TABLE {
            return Err(Error::input(format!(
                "model {name}: it takes images, expected {TABLE} or a model file for a table"
            )));
        }
        (self.layers)(Sequential::new(input).name(self.name), classes).build()
    }
}

impl Model {
    /// The preset `name` for inputs of these sizes, such as [height, width, channels].
    ///
    /// # Errors
    /// [`Error::Input`] for a name that no preset has, with those that there are, and where the input is
    /// too small for the preset.
    pub fn preset(name: &str, input: impl Into<Vec<usize>>, classes: usize) -> Result<Self> {
        Preset::named(name)?.model(input, classes)
    }

    /// The preset of the name `spec`, with input, classes and vocabulary as the data has them, or the model file at the
    /// path `spec`, literally, if that ends in `.toml`.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Model::preset`] and [`Model::from_toml_file`].
    pub fn named_or_file(
        spec: &str,
        input: impl Into<Vec<usize>>,
        classes: usize,
        text: Option<&Tokenizer>,
    ) -> Result<Self> {
        // Of pairs the classes are the tokens that are written.
        let vocabulary = text.map(|text| text.tokens().len());
        match spec.ends_with(".toml") {
            true => Model::from_toml_file_for(Path::new(spec), vocabulary.map(|read| [read, classes])),
            false => Preset::named(spec)?.model_for(input, classes, vocabulary),
        }
    }

    /// The tokens of a sample of the text model that `spec` names, and whether it translates; none if it reads something
    /// else, or is unknown.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Model::from_toml_file`].
    pub fn text_of(spec: &str) -> Result<Option<(usize, bool)>> {
        if spec.ends_with(".toml") {
            let model = Model::from_toml_file(Path::new(spec))?;
            return Ok(model.text.as_ref().map(|_| (model.input[0], model.translates())));
        }
        let Some(preset) = all().find(|preset| preset.name == spec && preset.reads_text()) else {
            return Ok(None);
        };
        let (_, _, translates) = preset.does()?;
        Ok(Some((preset.input[0], translates)))
    }

    /// The preset of the name `spec` for the images that it was made for, or the model file at the path `spec` if that
    /// ends in `.toml`, or the one that weights or a run's folder describe: where there is no data.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Model::preset`] and [`Model::from_toml_file`].
    pub fn without_data(spec: &str) -> Result<Self> {
        let file = in_run(Path::new(spec));
        if file.extension().is_some_and(|ending| ending == "safetensors") {
            let expected = || Error::input(format!("{}: it does not describe its model", file.display()));
            return Weights::load(&file)?.0.ok_or_else(expected);
        }
        match spec.ends_with(".toml") {
            true => Model::from_toml_file(Path::new(spec)),
            false => Preset::named(spec).and_then(|preset| preset.model(preset.input, preset.classes)),
        }
    }
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
    fn each_preset_has_the_shapes_that_it_was_made_for() {
        for preset in all() {
            let model = Model::without_data(preset.name).unwrap();
            assert_eq!((&model.input[..], model.classes().unwrap()), (preset.input, preset.classes), "{}", preset.name);
        }
        let places = shapes(&Model::without_data("resnet-small").unwrap());
        assert!(places.contains(&vec![4, 4, 128]), "three pools: {places:?}");
        assert_eq!(shapes(&Model::without_data("mnist-bn").unwrap())[11], vec![2, 2, 128]);
    }

    #[test]
    fn a_preset_takes_input_and_classes_from_the_data() {
        let model = Model::named_or_file("mnist-cnn", [32, 20, 3], 256, None).unwrap();
        assert_eq!((&model.input[..], model.classes().unwrap()), (&[32, 20, 3][..], 256));
        let error = Model::preset("mnist-cnn", [2, 28, 1], 10).unwrap_err().to_string();
        assert_eq!(error, "model mnist-cnn: layer 0 (conv2d): a window of 3 × 3 does not fit an input of 2 × 28");
    }

    #[test]
    fn an_unknown_name_lists_the_presets_and_the_near_one() {
        let error = |spec| Model::named_or_file(spec, [28, 28, 1], 10, None).unwrap_err().to_string();
        let want = "no model 'mnist-cn'; did you mean 'mnist-cnn'? Expected mnist-cnn, mnist-deep, mnist-bn, resnet-small, unet-small, char-rnn, text-classifier, translator, gpt-mini, gpt-char, translator-transformer, vit-mini, mlp, resnet18, resnet34, resnet50, regnet_y_400mf, wrn16_8, resnet9, alexnet, vgg11, vgg16, vgg16_bn, mobilenet_v2, mobilenet_v3_small, efficientnet_b0, shufflenet_v2_x1_0, squeezenet1_1, convnext_tiny, densenet121, googlenet, inception_v3, vit_b_16, vit_tiny_patch16_224, mixer_s16_224, unet, fcn_resnet50, deeplabv3_resnet50 or a file that ends in .toml";
        assert_eq!(error("mnist-cn"), want);
        assert!(error("mnist-dep").contains("did you mean 'mnist-deep'?"));
        assert!(error("resnet-50").ends_with(".toml"));
        assert!(error("").ends_with(".toml"));
        assert!(error("nowhere/net.toml").starts_with("nowhere/net.toml: cannot be read"));
    }
}
