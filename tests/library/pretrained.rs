//! Pretrained language models: a folder and a GGUF file of one net give the same weights, and what is wrong with one is said.

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use wgrad::model::Weights;
use wgrad::model::formats::pretrained::{Pretrained, is_pretrained, peft};
use wgrad::model::formats::weights::NamedTensor;
use wgrad::model::init::glorot_uniform;
use wgrad::train::predict::TrainedModel;

const SIZE: usize = 64;
const HIDDEN: usize = 96;
const TOKENS: usize = 257;

/// The tokens of a byte-level BPE without merges: the printed bytes, the others from U+0100 on, and the end of a text.
fn tokens() -> Vec<String> {
    let is_printed = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let printed = (0..=255u8).filter(is_printed).map(char::from);
    let others = (0..68).map(|n| char::from_u32(0x100 + n).unwrap());
    let end = ["<|endoftext|>".to_string()];
    printed.chain(others).map(String::from).chain(end).collect()
}

/// Tensors of a Llama of two blocks, four heads and two of keys, by the names of a folder. Values are whole numbers, which every type of
/// element holds.
fn llama() -> Vec<NamedTensor> {
    let keys = SIZE / 2;
    let mut shapes: Vec<(String, Vec<usize>)> = vec![("model.embed_tokens.weight".into(), vec![TOKENS, SIZE])];
    for n in 0..2 {
        let names: [(&str, Vec<usize>); 9] = [
            ("input_layernorm", vec![SIZE]),
            ("self_attn.q_proj", vec![SIZE, SIZE]),
            ("self_attn.k_proj", vec![keys, SIZE]),
            ("self_attn.v_proj", vec![keys, SIZE]),
            ("self_attn.o_proj", vec![SIZE, SIZE]),
            ("post_attention_layernorm", vec![SIZE]),
            ("mlp.gate_proj", vec![HIDDEN, SIZE]),
            ("mlp.up_proj", vec![HIDDEN, SIZE]),
            ("mlp.down_proj", vec![SIZE, HIDDEN]),
        ];
        shapes.extend(names.map(|(name, shape)| (format!("model.layers.{n}.{name}.weight"), shape)));
    }
    shapes.push(("model.norm.weight".into(), vec![SIZE]));
    let tensor = |(at, (name, shape)): (usize, (String, Vec<usize>))| {
        let count: usize = shape.iter().product();
        // Each block of 32 has the largest number of a byte with a sign.
        let value = |n: usize| if n.is_multiple_of(32) { 127.0 } else { ((n * 31 + at * 7) % 200) as f32 - 100.0 };
        NamedTensor { name, shape, values: (0..count).map(value).collect() }
    };
    shapes.into_iter().enumerate().map(tensor).collect()
}

fn config() -> Value {
    json!({ "model_type": "llama", "num_hidden_layers": 2, "hidden_size": SIZE, "intermediate_size": HIDDEN,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 32, "rms_norm_eps": 1e-5,
            "rope_theta": 500.0, "vocab_size": TOKENS, "tie_word_embeddings": true, "hidden_act": "silu" })
}

fn safetensors(tensors: &[NamedTensor]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|t| t.values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&bytes);
    let views = views.map(|(t, bytes)| (&*t.name, TensorView::new(Dtype::F32, t.shape.clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// The folder as Hugging Face has it, with the weights in two parts.
fn folder(root: &Path, config: &Value, tensors: &[NamedTensor]) -> PathBuf {
    let folder = root.join("net");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let vocabulary: BTreeMap<String, usize> = tokens().into_iter().zip(0..).collect();
    fs::write(folder.join("vocab.json"), json!(vocabulary).to_string()).unwrap();
    fs::write(folder.join("merges.txt"), "#version: 0.2\n").unwrap();
    let parts = tensors.split_at(tensors.len() / 2);
    let mut map = serde_json::Map::new();
    for (name, part) in [("a.safetensors", parts.0), ("b.safetensors", parts.1)] {
        fs::write(folder.join(name), safetensors(part)).unwrap();
        map.extend(part.iter().map(|tensor| (tensor.name.clone(), name.into())));
    }
    fs::write(folder.join("model.safetensors.index.json"), json!({ "weight_map": map }).to_string()).unwrap();
    folder
}

/// The name of a tensor in a GGUF file.
fn gguf_name(name: &str) -> String {
    let pairs = [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("model.layers.", "blk."),
        ("input_layernorm", "attn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("post_attention_layernorm", "ffn_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    pairs.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

/// Rows of queries and keys as llama.cpp's converter orders them: `reshape(heads, 2, half, width).swapaxes(1, 2)`.
fn paired(tensor: &NamedTensor, heads: usize) -> NamedTensor {
    let (rows, width) = (tensor.shape[0], tensor.shape[1]);
    let (size, half) = (rows / heads, rows / heads / 2);
    let from = |row: usize| row / size * size + row % size % 2 * half + row % size / 2;
    let values = (0..rows).flat_map(|row| tensor.values[from(row) * width..][..width].to_vec()).collect();
    NamedTensor { values, ..tensor.clone() }
}

/// A GGUF file of version 3: metadata, the table of tensors, their bytes; matrices as Q8_0 with a scale of 1.
fn gguf(tensors: &[NamedTensor]) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let entry = |name: &str, kind: u32, value: Vec<u8>| [text(name), kind.to_le_bytes().to_vec(), value].concat();
    let word = |name: &str, value: &str| entry(name, 8, text(value));
    let size = |name: &str, value: usize| entry(name, 4, (value as u32).to_le_bytes().to_vec());
    let float = |name: &str, value: f32| entry(name, 6, value.to_le_bytes().to_vec());
    let list =
        |kind: u32, count: usize, all: Vec<u8>| [&kind.to_le_bytes()[..], &(count as u64).to_le_bytes(), &all].concat();
    let names = tokens();
    let all = names.iter().flat_map(|name| text(name)).collect();
    let kinds: Vec<u8> = (0..TOKENS).flat_map(|n| if n == 256 { 3i32 } else { 1 }.to_le_bytes()).collect();
    let metadata = [
        word("general.architecture", "llama"),
        size("llama.block_count", 2),
        size("llama.embedding_length", SIZE),
        size("llama.feed_forward_length", HIDDEN),
        size("llama.attention.head_count", 4),
        size("llama.attention.head_count_kv", 2),
        size("llama.context_length", 32),
        size("llama.rope.dimension_count", SIZE / 4),
        size("llama.vocab_size", TOKENS),
        float("llama.rope.freq_base", 500.0),
        float("llama.attention.layer_norm_rms_epsilon", 1e-5),
        word("tokenizer.ggml.model", "gpt2"),
        word("tokenizer.ggml.pre", "gpt-2"),
        entry("tokenizer.ggml.tokens", 9, list(8, TOKENS, all)),
        entry("tokenizer.ggml.merges", 9, list(8, 0, Vec::new())),
        entry("tokenizer.ggml.token_type", 9, list(5, TOKENS, kinds)),
    ];
    let (mut table, mut data) = (Vec::new(), Vec::new());
    for tensor in tensors {
        let tensor = match &tensor.name {
            name if name.contains("q_proj") => paired(tensor, 4),
            name if name.contains("k_proj") => paired(tensor, 2),
            _ => tensor.clone(),
        };
        let is_matrix = tensor.shape.len() == 2;
        table.extend(text(&gguf_name(&tensor.name)));
        table.extend((tensor.shape.len() as u32).to_le_bytes());
        tensor.shape.iter().rev().for_each(|&size| table.extend((size as u64).to_le_bytes()));
        table.extend(if is_matrix { 8u32 } else { 0 }.to_le_bytes());
        table.extend((data.len() as u64).to_le_bytes());
        match is_matrix {
            // A scale of 1 as a half is 0x3c00.
            true => tensor.values.chunks(32).for_each(|block| {
                data.extend(0x3c00u16.to_le_bytes());
                data.extend(block.iter().map(|value| *value as i8 as u8));
            }),
            false => data.extend(tensor.values.iter().flat_map(|value| value.to_le_bytes())),
        }
        data.resize(data.len().next_multiple_of(32), 0);
    }
    let counts = [tensors.len() as u64, metadata.len() as u64].map(u64::to_le_bytes).concat();
    let mut file = [b"GGUF".to_vec(), 3u32.to_le_bytes().to_vec(), counts, metadata.concat(), table].concat();
    file.resize(file.len().next_multiple_of(32), 0);
    [file, data].concat()
}

fn of<'a>(weights: &'a Weights, name: &str) -> &'a NamedTensor {
    weights.get(name).unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn a_folder_and_a_gguf_file_give_one_net() {
    let root = tempfile::tempdir().unwrap();
    let tensors = llama();
    let place = folder(root.path(), &config(), &tensors);
    let file = root.path().join("net.gguf");
    fs::write(&file, gguf(&tensors)).unwrap();
    assert!(is_pretrained(&place) && is_pretrained(&file) && !is_pretrained(root.path()));
    let found = Pretrained::open(&place, None, None).unwrap();
    let other = Pretrained::open(&file, None, None).unwrap();
    assert_eq!((&found.model.layers, &found.model.input), (&other.model.layers, &other.model.input));
    assert!(found.weights == other.weights, "other weights");
    assert_eq!((other.converted["Q8_0"], other.kind.as_str()), (15, "llama"));
    assert_eq!(found.model.text.as_ref().unwrap().encode("é!"), other.model.text.as_ref().unwrap().encode("é!"));
    // Queries, keys and values are one weight, and so are gate and value of the net.
    let values = |name: &str| &tensors.iter().find(|t| t.name.contains(name)).unwrap().values[..];
    let qkv = ["0.self_attn.q_proj", "0.self_attn.k_proj", "0.self_attn.v_proj"].map(values).concat();
    assert_eq!(of(&found.weights, "1.self_attn.in_proj_weight").values, qkv);
    let net = ["1.mlp.gate_proj", "1.mlp.up_proj"].map(values).concat();
    assert_eq!(
        (&of(&found.weights, "2.linear1.weight").shape, &of(&found.weights, "2.linear1.weight").values),
        (&vec![2 * HIDDEN, SIZE], &net)
    );
    assert!(found.model.layers[4].tied.is_some() && found.weights.get("4.weight").is_none());
    // The model in its own file is the same.
    let stored = root.path().join("own.safetensors");
    found.weights.save(&stored, &found.model).unwrap();
    let (model, weights) = Weights::load(&stored).unwrap();
    assert!(model.as_ref() == Some(&found.model), "another model");
    assert!(found.weights.tensors.iter().all(|tensor| weights.get(&tensor.name) == Some(tensor)), "other weights");
}

#[test]
fn more_rows_than_tokens_are_cut() {
    let root = tempfile::tempdir().unwrap();
    let (mut tensors, mut config) = (llama(), config());
    config["vocab_size"] = json!(TOKENS + 3);
    tensors[0].shape[0] += 3;
    tensors[0].values.extend(vec![1.0; 3 * SIZE]);
    let found = Pretrained::open(&folder(root.path(), &config, &tensors), None, None).unwrap();
    assert_eq!(of(&found.weights, "0.weight").shape, [TOKENS, SIZE]);
    assert!(
        found.notes.iter().any(|note| note.starts_with("3 rows of the embedding are left out")),
        "{:?}",
        found.notes
    );
}

/// Qwen 2's queries, keys and values have biases; Mistral is a Llama.
#[test]
fn relatives_of_llama_are_read() {
    let root = tempfile::tempdir().unwrap();
    let (plain, mut tensors, mut config) = (llama(), llama(), config());
    for n in 0..2 {
        for (what, rows) in [("q", SIZE), ("k", SIZE / 2), ("v", SIZE / 2)] {
            let name = format!("model.layers.{n}.self_attn.{what}_proj.bias");
            let values = (0..rows).map(|i| (i + rows + n) as f32).collect();
            tensors.push(NamedTensor { name, shape: vec![rows], values });
        }
    }
    config["model_type"] = json!("qwen2");
    let found = Pretrained::open(&folder(root.path(), &config, &tensors), None, None).unwrap();
    let bias: Vec<f32> = tensors[plain.len()..][..3].iter().flat_map(|tensor| tensor.values.clone()).collect();
    assert_eq!(of(&found.weights, "1.self_attn.in_proj_bias").values, bias);
    assert!(found.weights.get("1.self_attn.out_proj.bias").is_none());
    let error = Pretrained::open(&folder(root.path(), &config, &plain), None, None).unwrap_err().to_string();
    assert!(error.contains("found no tensor layers.0.self_attn.q_proj.bias"), "{error}");
    config["model_type"] = json!("mistral");
    let found = Pretrained::open(&folder(root.path(), &config, &plain), None, None).unwrap();
    let llama = Pretrained::open(&folder(root.path(), &self::config(), &plain), None, None).unwrap();
    assert!(found.model.layers == llama.model.layers && found.weights == llama.weights, "another net");
    // Where config.json is silent, Mistral's attention has a window of 4,096.
    config["max_position_embeddings"] = json!(8192);
    let error = Pretrained::open(&folder(root.path(), &config, &plain), None, None).unwrap_err().to_string();
    assert!(error.contains("sliding_window: found 4096 for texts of 8192"), "{error}");
    config["sliding_window"] = Value::Null;
    Pretrained::open(&folder(root.path(), &config, &plain), None, None).unwrap();
}

/// Rates of rotary positions that were stretched: in config.json, where older files name them otherwise; a GGUF file has them as
/// a tensor.
#[test]
fn stretched_rotary_positions_are_read() {
    let root = tempfile::tempdir().unwrap();
    let described = |key: &str, value: Value| {
        let mut config = config();
        config[key] = value;
        let found = Pretrained::open(&folder(root.path(), &config, &llama()), None, None).unwrap();
        found.model.to_json().unwrap()
    };
    let llama3 = json!({ "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.5, "high_freq_factor": 6.0,
        "original_max_position_embeddings": 16, "rope_theta": 500.0 });
    let found = described("rope_parameters", llama3.clone());
    for part in ["rotary_factor\":8.0", "rotary_context\":16", "rotary_low\":1.5", "rotary_high\":6.0"] {
        assert!(found.contains(part), "{part}: {found}");
    }
    assert_eq!(described("rope_scaling", llama3), found);
    let linear = described("rope_scaling", json!({ "type": "linear", "factor": 4.0 }));
    assert!(linear.contains("rotary_factor\":4.0") && !linear.contains("rotary_context"), "{linear}");
    assert!(!described("rope_scaling", json!({ "type": "default" })).contains("rotary_factor"));
    // The base of the newer setting, and where it has none the one beside it.
    let base = |value| described("rope_parameters", value);
    assert!(base(json!({ "rope_type": "default", "rope_theta": 7.5 })).contains("rotary_base\":7.5"));
    assert!(base(json!({ "rope_type": "default" })).contains("rotary_base\":500.0"));
    let file = root.path().join("net.gguf");
    let factors = NamedTensor { name: "rope_freqs.weight".into(), shape: vec![8], values: vec![2.0; 8] };
    fs::write(&file, gguf(&[llama(), vec![factors]].concat())).unwrap();
    let error = Pretrained::open(&file, None, None).unwrap_err().to_string();
    assert!(error.contains("no place for: rope_freqs.weight"), "{error}");
}

#[test]
fn another_net_is_refused() {
    let cases = [
        ("model_type", json!("mamba"), "found a model of type mamba, expected gpt2, llama, mistral, qwen2, bert"),
        ("model_type", Value::Null, "found no model_type"),
        ("hidden_act", json!("gelu"), "hidden_act: found \"gelu\", expected \"silu\""),
        ("attention_bias", json!(true), "attention_bias: found true"),
        ("rope_scaling", json!({ "factor": 8.0 }), "found a factor of rotary positions without its rope_type"),
        ("rope_scaling", json!({ "type": "yarn", "factor": 8.0 }), "type: found \"yarn\", expected \"default\""),
        ("rope_parameters", json!({ "rope_type": "llama3", "factor": 8.0 }), "low_freq_factor: found nothing"),
        ("rope_scaling", json!("linear"), "rope_scaling: found \"linear\", expected an object of rope_type, type"),
        ("rope_parameters", json!({ "full_attention": { "rope_type": "yarn" } }), "rope_parameters: found {"),
        ("partial_rotary_factor", json!(0.5), "partial_rotary_factor: found 0.5"),
        (
            "rope_parameters",
            json!({ "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 1.0 }),
            "low_freq_factor: found 4, expected less than the high_freq_factor 1",
        ),
        ("sliding_window", json!(4), "sliding_window: found 4 for texts of 32 places"),
        ("num_hidden_layers", json!(2_000_000_000), "found 2000000000 blocks, expected at most 10000"),
        ("head_dim", json!(32), "found heads of 32 numbers"),
        ("num_hidden_layers", json!(3), "found no tensor layers.2.self_attn.q_proj.weight"),
        ("num_hidden_layers", json!(1), "found 9 tensors that this net has no place for: model.layers.1."),
        ("num_hidden_layers", json!(0), "expected a whole number from 1"),
        ("num_hidden_layers", json!(99_999), "at most 10000"),
        ("hidden_size", json!(128), "expected [257, 128]"),
        ("hidden_size", json!(1_u64 << 60), "hidden_size"),
        ("num_attention_heads", json!(3), "expected features / heads"),
        ("num_key_value_heads", json!(3), "kv_heads = 3"),
        ("vocab_size", json!(200), "found a tokenizer of 257 tokens and a model of 200"),
        ("rms_norm_eps", json!(-1.0), "expected a number above 0"),
    ];
    for (key, value, expected) in cases {
        let root = tempfile::tempdir().unwrap();
        let mut config = config();
        config[key] = value;
        let error = Pretrained::open(&folder(root.path(), &config, &llama()), None, None).unwrap_err().to_string();
        assert!(error.contains(expected), "{key}: {error}");
    }
}

#[test]
fn what_a_folder_lacks_is_said() {
    let of = |change: &dyn Fn(&Path)| {
        let root = tempfile::tempdir().unwrap();
        let place = folder(root.path(), &config(), &llama());
        change(&place);
        Pretrained::open(&place, None, None).unwrap_err().to_string()
    };
    type Change<'a> = &'a dyn Fn(&Path);
    let cases: [(Change, &str); 7] = [
        (
            &|net| fs::remove_file(net.join("vocab.json")).unwrap(),
            "found no tokenizer.json, vocab.json with merges.txt",
        ),
        (&|net| fs::remove_file(net.join("b.safetensors")).unwrap(), "b.safetensors"),
        (&|net| fs::remove_file(net.join("model.safetensors.index.json")).unwrap(), "found no model.safetensors"),
        (
            &|net| {
                let map = json!({ "weight_map": { "a": "../b.safetensors" } });
                fs::write(net.join("model.safetensors.index.json"), map.to_string()).unwrap();
            },
            "found a part that is no file name",
        ),
        (&|net| fs::write(net.join("config.json"), "[1").unwrap(), "found no JSON object"),
        (&|net| fs::write(net.join("merges.txt"), "a b c d\n").unwrap(), "tokenizer.json"),
        (&|net| fs::write(net.join("a.safetensors"), [0; 20]).unwrap(), "a.safetensors"),
    ];
    for (change, expected) in cases {
        let error = of(change);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_malformed_gguf_file_is_refused() {
    let whole = gguf(&llama());
    let root = tempfile::tempdir().unwrap();
    let of = |bytes: &[u8]| {
        let path = root.path().join("net.gguf");
        fs::write(&path, bytes).unwrap();
        Pretrained::open(&path, None, None).map_err(|error| error.to_string())
    };
    assert!(of(&whole).is_ok());
    for end in [0, 3, 8, 20, 100, 5000, whole.len() / 2, whole.len() - 1] {
        assert!(of(&whole[..end]).is_err(), "cut at {end}");
    }
    let changed = |at: usize, bytes: &[u8]| {
        let mut file = whole.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        of(&file).unwrap_err()
    };
    let place = |text: &str| whole.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    let huge = u64::MAX.to_le_bytes();
    let table = place("token_embd.weight") + "token_embd.weight".len();
    let cases = [
        (4, &9u32.to_le_bytes()[..], "found version 9"),
        (8, &huge, "tensors, expected at most"),
        (16, &huge, "entries of metadata, expected at most"),
        (24, &huge, "bytes of a text, expected at most"),
        (place("gpt2"), b"bert", "tokenizer.ggml.model: found bert"),
        (place("gpt-2"), b"llama", "tokenizer.ggml.pre: found llama"),
        (table, &9u32.to_le_bytes(), "found 9 axes"),
        (table + 4, &huge, "expected whole blocks"),
        (table + 4 + 16, &14u32.to_le_bytes(), "found type 14 of quantisation"),
        (table + 4 + 16 + 4, &(1u64 << 40).to_le_bytes(), "the file is cut"),
        (table + 4 + 16 + 4, &huge, "the file is cut"),
    ];
    for (at, bytes, expected) in cases {
        let error = changed(at, bytes);
        assert!(error.contains(expected) && error.contains("net.gguf"), "{expected}: {error}");
    }
}

/// A net with adapters of rank 3, and the same net's folder.
fn adapted(root: &Path) -> (TrainedModel, PathBuf) {
    let place = folder(root, &config(), &llama());
    let base = Pretrained::open(&place, None, None).unwrap();
    let on = ["self_attn", "linear1", "linear2"].map(String::from);
    let model = base.model.with_lora(3, &on).unwrap();
    let mut weights = glorot_uniform(&model, 5).unwrap();
    for tensor in &mut weights.tensors {
        match base.weights.get(&tensor.name) {
            Some(of_base) => tensor.values.clone_from(&of_base.values),
            None => tensor.values.iter_mut().enumerate().for_each(|(n, x)| *x = (n as f32 * 0.7).sin()),
        }
    }
    (TrainedModel { model, weights }, place)
}

#[test]
fn adapters_go_to_peft_and_come_back() {
    let root = tempfile::tempdir().unwrap();
    let (trained, place) = adapted(root.path());
    let out = root.path().join("lora");
    peft::export(&trained.model, &trained.weights, &place, &out).unwrap();
    let (_, written) = Weights::load(&out.join("adapter_model.safetensors")).unwrap();
    let shape = |name: &str| of(&written, &format!("base_model.model.model.layers.1.{name}.weight")).shape.clone();
    assert_eq!(written.tensors.len(), 2 * 2 * 7);
    assert_eq!((shape("self_attn.q_proj.lora_A"), shape("self_attn.q_proj.lora_B")), (vec![3, SIZE], vec![SIZE, 3]));
    assert_eq!((shape("self_attn.v_proj.lora_B"), shape("mlp.up_proj.lora_B")), (vec![SIZE / 2, 3], vec![HIDDEN, 3]));
    let again = Pretrained::open(&place, None, Some(&out)).unwrap();
    assert!(again.notes.contains(&"14 adapters are merged into their weights".to_string()), "{:?}", again.notes);
    let merged = trained.merged().unwrap();
    assert!(again.weights.tensors == merged.weights.tensors, "the same bytes either way");

    // lora_alpha is a factor: twice the rank adds everything once more.
    let text = fs::read_to_string(out.join("adapter_config.json")).unwrap();
    let mut settings: Value = serde_json::from_str(&text).unwrap();
    settings["lora_alpha"] = json!(6);
    fs::write(out.join("adapter_config.json"), settings.to_string()).unwrap();
    let twice = Pretrained::open(&place, None, Some(&out)).unwrap();
    let base = Pretrained::open(&place, None, None).unwrap();
    let name = "1.linear2.weight";
    let values = [&base.weights, &merged.weights, &twice.weights].map(|weights| &of(weights, name).values);
    for ((base, once), twice) in values[0].iter().zip(values[1]).zip(values[2]) {
        // Three roundings of numbers below 256.
        assert!((2.0 * once - base - twice).abs() <= 3.0 * 256.0 * f32::EPSILON, "{base} {once} {twice}");
    }
}

#[test]
fn adapters_that_fit_nothing_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let (trained, place) = adapted(root.path());
    let out = root.path().join("lora");
    peft::export(&trained.model, &trained.weights, &place, &out).unwrap();
    let (config, weights) = (out.join("adapter_config.json"), out.join("adapter_model.safetensors"));
    let whole = (fs::read_to_string(&config).unwrap(), fs::read(&weights).unwrap());
    let refused = || Pretrained::open(&place, None, Some(&out)).unwrap_err().to_string();
    for (key, value, expected) in [
        ("use_dora", json!(true), "use_dora: found true, expected false"),
        ("peft_type", json!("IA3"), "peft_type: found \"IA3\", expected \"LORA\""),
        ("lora_alpha", json!(null), "lora_alpha: found nothing"),
        ("fan_in_fan_out", json!(true), "lora_A [3, 96] and lora_B [64, 3], expected [r, inputs]"),
    ] {
        let mut settings: Value = serde_json::from_str(&whole.0).unwrap();
        settings[key] = value;
        fs::write(&config, settings.to_string()).unwrap();
        assert!(refused().contains(expected), "{expected}: {}", refused());
    }
    fs::write(&config, &whole.0).unwrap();
    let (_, all) = Weights::load(&weights).unwrap();
    type Change<'a> = &'a dyn Fn(&mut Vec<NamedTensor>);
    let cases: [(Change, &str); 4] = [
        (&|tensors| tensors.truncate(1), "found one of lora_A and lora_B, expected both"),
        (&|tensors| tensors.clear(), "found no adapters"),
        (&|tensors| tensors[0].name += ".default", "expected MODULE.lora_A.weight"),
        (
            &|tensors| tensors.iter_mut().for_each(|tensor| tensor.name = tensor.name.replace("layers.1", "layers.7")),
            "the net has no such weight to adapt",
        ),
    ];
    for (change, expected) in cases {
        let mut tensors = all.tensors.clone();
        change(&mut tensors);
        fs::write(&weights, safetensors(&tensors)).unwrap();
        assert!(refused().contains(expected), "{expected}: {}", refused());
    }
    fs::write(&weights, &whole.1[..100]).unwrap();
    assert!(refused().contains("adapter_model.safetensors"), "{}", refused());
    let plain = Pretrained::open(&place, None, None).unwrap();
    let error = peft::export(&plain.model, &plain.weights, &place, &out).unwrap_err().to_string();
    assert!(error.contains("has no adapters"), "{error}");
}
