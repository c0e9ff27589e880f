//! BERT (Devlin and others, 2018) as an encoder of texts: the mean of its last states.

use super::settings::Settings;
use super::tensors::{How, Part, Source};
use super::{Family, Net};
use crate::error::Result;
use crate::model::layers::{Between, Embedding, LayerNorm, Positions, Transformer};
use crate::model::task::Scale;
use crate::model::{Model, Sequential, Task};
use serde_json::json;

pub(super) const FAMILY: Family = Family { types: &["bert"], prefix: "", task: "FEATURE_EXTRACTION", net };

fn net(settings: &Settings, tokens: usize) -> Result<Net> {
    settings.only("hidden_act", &[json!("gelu")])?;
    settings.only("position_embedding_type", &[json!("absolute")])?;
    settings.only("is_decoder", &[json!(false)])?;
    settings.only("add_cross_attention", &[json!(false)])?;
    let layers = settings.layers(&["num_hidden_layers", "block_count"])?;
    let size = settings.size(&["hidden_size", "embedding_length"])?;
    let hidden = settings.size(&["intermediate_size", "feed_forward_length"])?;
    let heads = settings.size(&["num_attention_heads", "attention.head_count"])?;
    let context = settings.size(&["max_position_embeddings", "context_length"])?;
    let epsilon = settings.number_or(&["layer_norm_eps", "attention.layer_norm_epsilon"], 1e-12)?;
    let embedding =
        Embedding { tokens, positions: Positions::Learned, context, deviation: 0.02, ..Embedding::new(size) };
    let block =
        Transformer { norm_first: false, activation: Between::Gelu, epsilon, ..Transformer::new(heads, hidden) };
    let net = Sequential::text(context).name("bert").layer(embedding).layer(LayerNorm { epsilon, ..LayerNorm::new() });
    let model = net.blocks(block, layers).mean_pool().build()?;
    // What it gives are numbers, which have no names.
    let target = |n: usize| Scale { name: n.to_string(), mean: 0.0, deviation: 1.0 };
    let model = Model { task: Task::Regress { targets: (0..size).map(target).collect() }, ..model };
    let at = |folder: &str, gguf: &str, how| Part::new(folder, gguf, how);
    let plain = |folder: &str, gguf: &str| vec![at(folder, gguf, How::AsIs)];
    let mut sources: Vec<Source> = vec![
        vec![at("embeddings.word_embeddings.weight", "token_embd.weight", How::Tokens)],
        vec![
            at("embeddings.position_embeddings.weight", "position_embd.weight", How::AsIs),
            // A text is the first of two that it was trained to tell apart.
            at("embeddings.token_type_embeddings.weight", "token_types.weight", How::AddedRow),
        ],
        plain("embeddings.LayerNorm.weight", "token_embd_norm.weight"),
        plain("embeddings.LayerNorm.bias", "token_embd_norm.bias"),
    ];
    for n in 0..layers {
        let part = |folder: &str, gguf: &str, what: &str| {
            at(&format!("encoder.layer.{n}.{folder}.{what}"), &format!("blk.{n}.{gguf}.{what}"), How::AsIs)
        };
        for what in ["weight", "bias"] {
            sources.push(vec![
                part("attention.self.query", "attn_q", what),
                part("attention.self.key", "attn_k", what),
                part("attention.self.value", "attn_v", what),
            ]);
        }
        for (folder, gguf) in [
            ("attention.output.dense", "attn_output"),
            ("intermediate.dense", "ffn_up"),
            ("output.dense", "ffn_down"),
            ("attention.output.LayerNorm", "attn_output_norm"),
            ("output.LayerNorm", "layer_output_norm"),
        ] {
            sources.extend(["weight", "bias"].map(|what| vec![part(folder, gguf, what)]));
        }
    }
    let left_out = &["pooler.dense.weight", "pooler.dense.bias", "position_ids"];
    let notes = vec![format!("the net gives the mean of its last states, {size} numbers for a text")];
    Ok(Net { model, sources, left_out, notes })
}
