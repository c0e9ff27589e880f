//! Llama (Touvron and others, 2023) and nets built as it is, such as SmolLM2.

use super::settings::Settings;
use super::tensors::{How, Part, Source};
use super::{Family, Net};
use crate::error::{Error, Result};
use crate::model::Sequential;
use crate::model::layers::{Between, Embedding, Norms, RmsNorm, Transformer, Turns};
use serde_json::json;

pub(super) const FAMILY: Family = Family { types: &["llama"], prefix: "model.", task: "CAUSAL_LM", net };

fn net(settings: &Settings, tokens: usize) -> Result<Net> {
    settings.only("hidden_act", &[json!("silu")])?;
    settings.only("attention_bias", &[json!(false)])?;
    settings.only("mlp_bias", &[json!(false)])?;
    settings.only("rope_scaling", &[])?;
    settings.only("rope.scaling.type", &[json!("none")])?;
    settings.only("pretraining_tp", &[json!(1)])?;
    // Newer files have the base of rotary positions within.
    let rotary = settings.within("rope_parameters");
    if let Some(rotary) = &rotary {
        rotary.only("rope_type", &[json!("default")])?;
    }
    let layers = settings.size(&["num_hidden_layers", "block_count"])?;
    let size = settings.size(&["hidden_size", "embedding_length"])?;
    let hidden = settings.size(&["intermediate_size", "feed_forward_length"])?;
    let heads = settings.size(&["num_attention_heads", "attention.head_count"])?;
    let kv_heads = settings.size_or(&["num_key_value_heads", "attention.head_count_kv"], heads)?;
    let context = settings.size(&["max_position_embeddings", "context_length"])?;
    let epsilon = settings.number_or(&["rms_norm_eps", "attention.layer_norm_rms_epsilon"], 1e-6)?;
    let base = rotary.as_ref().unwrap_or(settings).number_or(&["rope_theta", "rope.freq_base"], 10_000.0)?;
    let head = settings.size_or(&["head_dim", "rope.dimension_count"], size / heads)?;
    if !size.is_multiple_of(heads) || head != size / heads {
        return Err(Error::input(format!(
            "found heads of {head} numbers, {heads} of them and {size} features, expected features / heads numbers"
        )));
    }
    let block = Transformer {
        causal: true,
        bias: false,
        kv_heads,
        activation: Between::Swiglu,
        norm: Norms::Rms,
        epsilon,
        positions: Turns::Rotary,
        rotary_base: base,
        ..Transformer::new(heads, hidden)
    };
    let embedding = Embedding { tokens, deviation: 0.02, ..Embedding::new(size) };
    let net = Sequential::text(context).name("llama").layer(embedding).named("tokens").blocks(block, layers);
    let net = net.layer(RmsNorm { epsilon }).dense(tokens).without_bias();
    // A GGUF file has no head of its own where it is tied, and does not say so otherwise.
    let tied = settings.flag_or("tie_word_embeddings", false)?;
    let model = if tied { net.tied_to("tokens") } else { net }.build()?;
    let mut sources: Vec<Source> = vec![vec![Part::new("embed_tokens.weight", "token_embd.weight", How::Tokens)]];
    for n in 0..layers {
        let part = |folder: &str, gguf: &str, how| {
            Part::new(format!("layers.{n}.{folder}.weight"), format!("blk.{n}.{gguf}.weight"), how)
        };
        sources.push(vec![
            part("self_attn.q_proj", "attn_q", How::Paired(head)),
            part("self_attn.k_proj", "attn_k", How::Paired(head)),
            part("self_attn.v_proj", "attn_v", How::AsIs),
        ]);
        sources.push(vec![part("self_attn.o_proj", "attn_output", How::AsIs)]);
        sources.push(vec![part("mlp.gate_proj", "ffn_gate", How::AsIs), part("mlp.up_proj", "ffn_up", How::AsIs)]);
        sources.push(vec![part("mlp.down_proj", "ffn_down", How::AsIs)]);
        sources.push(vec![part("input_layernorm", "attn_norm", How::AsIs)]);
        sources.push(vec![part("post_attention_layernorm", "ffn_norm", How::AsIs)]);
    }
    sources.push(vec![Part::new("norm.weight", "output_norm.weight", How::AsIs)]);
    if !tied {
        sources.push(vec![Part::new("lm_head.weight", "output.weight", How::Tokens)]);
    }
    let left_out: &[&str] = match tied {
        true => &["rotary_emb.inv_freq", "lm_head.weight", "rope_freqs.weight"],
        false => &["rotary_emb.inv_freq", "rope_freqs.weight"],
    };
    Ok(Net { model, sources, left_out, notes: Vec::new() })
}
