//! Nets on patches of images: vision transformers of torchvision and timm, and timm's MLP-Mixer.

use super::{IMAGENET, PHOTO, Preset, photo, signed_photo};
use crate::model::Sequential;
use crate::model::layers::{LayerNorm, Tokens, Transformer};
use crate::ops::conv::geometry::Padding;
use crate::ops::pointwise::activation::Function;

pub(super) const PRESETS: &[Preset] = &[
    Preset { name: "vit_b_16", input: PHOTO, classes: IMAGENET, text: None, layers: vit_b_16 },
    Preset { name: "vit_tiny_patch16_224", input: PHOTO, classes: IMAGENET, text: None, layers: vit_tiny },
    Preset { name: "mixer_s16_224", input: PHOTO, classes: IMAGENET, text: None, layers: mixer },
];

/// Names of modules: of the patches, the positions, the blocks up to their numbers, the norm and the head.
type Names = [&'static str; 5];

/// Twelve blocks on patches of 16 × 16, with a class token.
fn vit(net: Sequential, classes: usize, [heads, width]: [usize; 2], names: Names) -> Sequential {
    let [patches, positions, blocks, norm, head] = names;
    let net = net.conv2d_with(width, 16, 16, Padding::Valid).module(patches).tokens_with_class().module(positions);
    let block = Transformer { epsilon: 1e-6, ..Transformer::new(heads, 4 * width) };
    let net = (0..12).fold(net, |net, at| net.layer(block).module(format!("{blocks}{at}")));
    let net = net.layer(LayerNorm { epsilon: 1e-6, ..LayerNorm::new() }).module(norm);
    net.first().dense(classes).module(head)
}

/// torchvision's ViT-B/16 (Dosovitskiy and others, 2020).
fn vit_b_16(net: Sequential, classes: usize) -> Sequential {
    let names = ["conv_proj", "encoder.pos_embedding", "encoder.layers.encoder_layer_", "encoder.ln", "heads.head"];
    vit(photo(net), classes, [12, 768], names)
}

/// timm's ViT-Ti/16, whose weights expect colours from -1 to 1.
fn vit_tiny(net: Sequential, classes: usize) -> Sequential {
    vit(signed_photo(net), classes, [3, 192], ["patch_embed.proj", "pos_embed", "blocks.", "norm", "head"])
}

/// timm's Mixer-S/16 (Tolstikhin and others, 2021): dense layers that mix places, and others that mix channels.
fn mixer(net: Sequential, classes: usize) -> Sequential {
    const WIDTH: usize = 512;
    let norm = LayerNorm { epsilon: 1e-6, ..LayerNorm::new() };
    let places = net.input().iter().take(2).map(|size| size / 16).product();
    let patches = signed_photo(net).conv2d_with(WIDTH, 16, 16, Padding::Valid).module("stem.proj");
    let mut net = patches.layer(Tokens::new()).named("tokens");
    let mut before = String::from("tokens");
    for block in 0..8 {
        let name = |part: &str| format!("blocks.{block}.{part}");
        let mixed = |net: Sequential, [hidden, own]: [usize; 2], what: &str| {
            let net = net.dense(hidden).module(name(&format!("{what}.fc1"))).activation(Function::Gelu);
            net.dense(own).module(name(&format!("{what}.fc2")))
        };
        net = mixed(net.layer(norm).module(name("norm1")).transpose(), [WIDTH / 2, places], "mlp_tokens").transpose();
        let half = name("half");
        net = net.add_from(&before).named(&half).layer(norm).module(name("norm2"));
        before = name("end");
        net = mixed(net, [4 * WIDTH, WIDTH], "mlp_channels").add_from(&half).named(&before);
    }
    net.layer(norm).module("norm").mean_pool().dense(classes).module("head")
}
