//! Llama (Touvron and others, 2023) and nets built as it is: SmolLM2, TinyLlama, Mistral, Qwen 2 and 2.5.

use super::settings::Settings;
use super::tensors::{How, Part, Source};
use super::{Family, Net};
use crate::error::{Error, Result};
use crate::model::Sequential;
use crate::model::layers::{Between, Embedding, Norms, RmsNorm, Transformer, Turns};
use crate::ops::attention::rotary::Rates;
use serde_json::json;

pub(super) const FAMILY: Family =
    Family { types: &["llama", "mistral", "qwen2"], prefix: "model.", task: "CAUSAL_LM", net };

fn net(settings: &Settings, tokens: usize) -> Result<Net> {
    settings.only("hidden_act", &[json!("silu")])?;
    settings.only("attention_bias", &[json!(false)])?;
    settings.only("mlp_bias", &[json!(false)])?;
    settings.only("rope.scaling.type", &[json!("none")])?;
    settings.only("pretraining_tp", &[json!(1)])?;
    let is_qwen = settings.kind()? == "qwen2";
    let layers = settings.layers(&["num_hidden_layers", "block_count"])?;
    let size = settings.size(&["hidden_size", "embedding_length"])?;
    let hidden = settings.size(&["intermediate_size", "feed_forward_length"])?;
    let heads = settings.size(&["num_attention_heads", "attention.head_count"])?;
    let kv_heads = settings.size_or(&["num_key_value_heads", "attention.head_count_kv"], heads)?;
    let context = settings.size(&["max_position_embeddings", "context_length"])?;
    has_no_window(settings, context)?;
    let epsilon = settings.number_or(&["rms_norm_eps", "attention.layer_norm_rms_epsilon"], 1e-6)?;
    let rates = rates(settings, context)?;
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
        rotary_base: rates.base,
        rotary_factor: rates.factor,
        rotary_context: rates.context,
        rotary_low: rates.low,
        rotary_high: rates.high,
        qkv_bias: is_qwen,
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
        let named = |folder: &str, gguf: &str, how, what: &str| {
            Part::new(format!("layers.{n}.{folder}.{what}"), format!("blk.{n}.{gguf}.{what}"), how)
        };
        let part = |folder: &str, gguf: &str, how| named(folder, gguf, how, "weight");
        // llama.cpp reorders the rows of Llama and Mistral alone.
        let turned = if is_qwen { How::AsIs } else { How::Paired(head) };
        let of_attention = [("q", turned), ("k", turned), ("v", How::AsIs)].map(|(what, how)| {
            let [folder, gguf] = [format!("self_attn.{what}_proj"), format!("attn_{what}")];
            [part(&folder, &gguf, how), named(&folder, &gguf, How::AsIs, "bias")]
        });
        let [weights, biases] = [0, 1].map(|which| of_attention.iter().map(|parts| parts[which].clone()).collect());
        sources.push(weights);
        if is_qwen {
            sources.push(biases);
        }
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
    let left_out: &[&str] = if tied { &["rotary_emb.inv_freq", "lm_head.weight"] } else { &["rotary_emb.inv_freq"] };
    Ok(Net { model, sources, left_out, notes: Vec::new() })
}

/// The rates of rotary positions: newer files have them in one setting, older ones the base by itself.
fn rates(settings: &Settings, context: usize) -> Result<Rates> {
    const KEYS: [&str; 7] = [
        "rope_type",
        "type",
        "rope_theta",
        "factor",
        "low_freq_factor",
        "high_freq_factor",
        "original_max_position_embeddings",
    ];
    // That of GGUF is without a type, and then linear.
    settings.only("rope.scaling.factor", &[json!(0.0), json!(1.0)])?;
    settings.only("rope.scale_linear", &[json!(1.0)])?;
    settings.only("partial_rotary_factor", &[json!(1.0)])?;
    let (older, newer) = (settings.within("rope_scaling", &KEYS)?, settings.within("rope_parameters", &KEYS)?);
    let found = older.or(newer).unwrap_or_default();
    let base = settings.number_or(&["rope_theta", "rope.freq_base"], 10_000.0)?;
    let plain = Rates::new(found.number_or(&["rope_theta"], base)?);
    let kind = if found.has("rope_type") { "rope_type" } else { "type" };
    found.only(kind, &[json!("default"), json!("linear"), json!("llama3")])?;
    Ok(match found.word(kind) {
        Some("linear") => Rates { factor: found.number("factor")?, ..plain },
        Some("llama3") => {
            let [low, high] = [found.number("low_freq_factor")?, found.number("high_freq_factor")?];
            if low >= high {
                return Err(Error::input(format!(
                    "low_freq_factor: found {low}, expected less than the high_freq_factor {high}"
                )));
            }
            let context = found.size_or(&["original_max_position_embeddings"], context)?;
            Rates { factor: found.number("factor")?, context, low, high, ..plain }
        }
        None if found.has("factor") => {
            return Err(Error::input("found a factor of rotary positions without its rope_type, expected both"));
        }
        _ => plain,
    })
}

/// Refuses windows of attention that are shorter than a text.
fn has_no_window(settings: &Settings, context: usize) -> Result<()> {
    const NAMES: [&str; 2] = ["sliding_window", "attention.sliding_window"];
    let window = match settings.kind()? {
        // There, what a window would be is named too where none is used.
        "qwen2" if !settings.flag_or("use_sliding_window", false)? => context,
        // What it is where config.json does not say.
        "mistral" if !settings.says(NAMES[0]) => 4096,
        _ => settings.size_or(&NAMES, context)?,
    };
    match window < context {
        true => Err(Error::input(format!(
            "sliding_window: found {window} for texts of {context} places, expected null or one as long as they are"
        ))),
        false => Ok(()),
    }
}
