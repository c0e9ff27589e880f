//! GPT-2 (Radford and others, 2019).

use super::settings::Settings;
use super::tensors::{How, Part, Source};
use super::{Family, Net};
use crate::error::Result;
use crate::model::Sequential;
use crate::model::layers::{Between, LayerNorm, Transformer};
use crate::model::layers::{Embedding, Positions};
use serde_json::json;

pub(super) const FAMILY: Family = Family { types: &["gpt2"], prefix: "transformer.", task: "CAUSAL_LM", net };

fn net(settings: &Settings, tokens: usize) -> Result<Net> {
    settings.only("activation_function", &[json!("gelu_new"), json!("gelu_pytorch_tanh")])?;
    settings.only("scale_attn_by_inverse_layer_idx", &[json!(false)])?;
    settings.only("scale_attn_weights", &[json!(true)])?;
    settings.only("add_cross_attention", &[json!(false)])?;
    let layers = settings.layers(&["n_layer", "block_count"])?;
    let size = settings.size(&["n_embd", "embedding_length"])?;
    let heads = settings.size(&["n_head", "attention.head_count"])?;
    let hidden = settings.size_or(&["n_inner", "feed_forward_length"], 4 * size)?;
    let context = settings.size(&["n_positions", "context_length"])?;
    let epsilon = settings.number_or(&["layer_norm_epsilon", "attention.layer_norm_epsilon"], 1e-5)?;
    let embedding =
        Embedding { tokens, positions: Positions::Learned, context, deviation: 0.02, ..Embedding::new(size) };
    let block = Transformer { causal: true, activation: Between::GeluTanh, epsilon, ..Transformer::new(heads, hidden) };
    let net = Sequential::text(context).name("gpt2").layer(embedding).named("tokens").blocks(block, layers);
    let net = net.layer(LayerNorm { epsilon, ..LayerNorm::new() });
    let model = net.dense(tokens).without_bias().tied_to("tokens").build()?;
    let plain = |folder: &str, gguf: &str| vec![Part::new(folder, gguf, How::AsIs)];
    let mut sources: Vec<Source> = vec![
        vec![Part::new("wte.weight", "token_embd.weight", How::Tokens)],
        plain("wpe.weight", "position_embd.weight"),
    ];
    for n in 0..layers {
        let part =
            |folder: &str, gguf: &str, how| vec![Part::new(format!("h.{n}.{folder}"), format!("blk.{n}.{gguf}"), how)];
        for (folder, gguf) in [
            ("attn.c_attn", "attn_qkv"),
            ("attn.c_proj", "attn_output"),
            ("mlp.c_fc", "ffn_up"),
            ("mlp.c_proj", "ffn_down"),
        ] {
            sources.push(part(&format!("{folder}.weight"), &format!("{gguf}.weight"), How::Transposed));
            sources.push(part(&format!("{folder}.bias"), &format!("{gguf}.bias"), How::AsIs));
        }
        for (folder, gguf) in [("ln_1", "attn_norm"), ("ln_2", "ffn_norm")] {
            for what in ["weight", "bias"] {
                sources.push(part(&format!("{folder}.{what}"), &format!("{gguf}.{what}"), How::AsIs));
            }
        }
    }
    sources.push(plain("ln_f.weight", "output_norm.weight"));
    sources.push(plain("ln_f.bias", "output_norm.bias"));
    // Masks that old files have, and the head, which is the embedding.
    let left_out = &[".attn.bias", ".attn.masked_bias", "lm_head.weight", "output.weight"];
    Ok(Net { model, sources, left_out, notes: Vec::new() })
}
