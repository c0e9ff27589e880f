//! The parsers run on arbitrary bytes, one function per parser. None may panic, and every error is bad input.

use sha2::{Digest, Sha256};
use std::path::{Component, PathBuf};
use wgrad::data::formats::table::read_features;
use wgrad::data::formats::{cifar as cifar10, csv as csv_file, emnist, idx, npy as numpy};
use wgrad::data::pictures::index::Mask;
use wgrad::data::pictures::picture::Picture;
use wgrad::data::values::{Classes, Meaning, occurring};
use wgrad::data::{Dataset, ReadOptions, Scale, TargetKind, TextOptions};
use wgrad::ir::launch::KernelClass;
use wgrad::model::formats::import::{Hints, Order, import as match_weights};
use wgrad::model::formats::pretrained::Pretrained;
use wgrad::model::formats::sealed;
use wgrad::model::{Model, Sequential, Weights};
use wgrad::plan::Limits;
use wgrad::plan::lower::{Target, lower};
use wgrad::step::augment::{Augment, quantiles};
use wgrad::step::control::Control;
use wgrad::text::{Tokenizer, Unit};
use wgrad::train::run::{RunConfig, RunFolder};
use wgrad::train::settings::options::TrainOptions;
use wgrad::train::state::checkpoint::Checkpoint;
use wgrad::train::step::Step;
use wgrad::{Error, Result};

/// A target for arbitrary bytes.
pub type Parser = fn(&[u8]);

/// Every target by its name, which is also its folder in the corpus.
pub const TARGETS: [(&str, Parser); 25] = [
    ("arguments", arguments),
    ("augment", augment),
    ("checkpoint", checkpoint),
    ("cifar", cifar),
    ("config", config),
    ("csv", csv),
    ("emnist_mapping", emnist_mapping),
    ("gguf", gguf),
    ("gzip", gzip),
    ("idx", idx),
    ("image_folder", image_folder),
    ("import", import),
    ("mask", mask),
    ("model_json", model_json),
    ("model_toml", model_toml),
    ("npy", npy),
    ("pairs", pairs),
    ("picture", picture),
    ("plan", plan),
    ("pretrained", pretrained),
    ("table", table),
    ("text", text),
    ("texts", texts),
    ("tokenizer", tokenizer),
    ("weights", weights),
];

/// The parsed value; `None` if it was refused as bad input.
fn accepted<T>(read: Result<T>) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(Error::Input(why)) => {
            assert!(!why.is_empty());
            None
        }
        Err(Error::Failed(why)) => panic!("bad input is called a failure: {why}"),
    }
}

/// The bytes as a file, in a folder of this process that holds nothing else.
fn file(name: &str, data: &[u8]) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("wgrad-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let path = folder.join(name);
    std::fs::write(&path, data).expect("a temporary file");
    path
}

/// A model's name leads to its own folder below `runs`, and nowhere else.
fn has_a_run_folder(model: &Model) {
    let path = RunFolder::base(&model.name);
    let parts: Vec<_> = path.components().collect();
    assert!(parts.len() == 2 && parts.iter().all(|part| matches!(part, Component::Normal(_))), "{path:?}");
    assert!(path.starts_with("runs"), "{path:?}");
}

/// A command line: words apart by a zero or the end of a line.
pub fn arguments(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let words = text.split(['\0', '\n']);
    let _ = wgrad::cli::check_words(std::iter::once("wgrad").chain(words));
}

/// The values of `--augment`.
pub fn augment(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(augment) = text.parse::<Augment>() else { return };
    assert_eq!(augment.to_string().parse(), Ok(augment));
    accepted(augment.check_for([28, 20, 1]));
    if augment.mixup > 0.0 {
        let shares = quantiles(augment.mixup);
        assert!(shares.is_sorted() && shares.iter().all(|share| (0.0..=0.5).contains(share)), "{}", augment.mixup);
    }
}

/// A checkpoint as it is, and once more with the digest that its bytes have.
pub fn checkpoint(data: &[u8]) {
    accepted(Checkpoint::from_bytes(data));
    let digits = sealed::MARK_BYTES..sealed::MARK_BYTES + 64;
    let mut resealed = data.to_vec();
    let Some(place) = resealed.get_mut(digits.clone()) else { return };
    place.fill(b'0');
    let digest: String = Sha256::digest(&resealed).iter().map(|byte| format!("{byte:02x}")).collect();
    resealed[digits].copy_from_slice(digest.as_bytes());
    let Some(Checkpoint { model, state, .. }) = accepted(Checkpoint::from_bytes(&resealed)) else { return };
    has_a_run_folder(&model);
    let goal = state.goal(&state.options);
    let mut progress = state.progress.clone();
    let _ = (progress.finished(goal), progress.epoch_end(goal));
    progress.reopen(goal);
    accepted(state.control(Control::default()));
    accepted(state.control(Control::read(&state.control)));
}

/// A file of CIFAR-10's binary version: the bytes are what differs from a whole number of records of zeros.
pub fn cifar(data: &[u8]) {
    accepted(cifar10::read_batch(&file("data_batch_1.bin", data)));
    let mut whole = data.to_vec();
    whole.resize(data.len().max(1).next_multiple_of(3073), 0);
    if let Some(split) = accepted(cifar10::read_batch(&file("data_batch_1.bin", &whole))) {
        assert_eq!((split.count * 3073, split.image_bytes()), (whole.len(), 3072));
    }
}

/// A run's `config.toml`.
pub fn config(data: &[u8]) {
    let Some(config) = accepted(RunConfig::read(&file("config.toml", data))) else { return };
    accepted(config.train.check());
    config.data_folder();
    let text = config.to_toml().expect("it can be written");
    let again = RunConfig::read(&file("config.toml", text.as_bytes())).expect("what was written can be read");
    assert_eq!(again.to_toml().as_ref(), Ok(&text));
}

/// CSV, by itself, and with a size for its images.
pub fn csv(data: &[u8]) {
    let path = file("x.csv", data);
    for size in [None, Some([2, 3])] {
        if let Some(split) = accepted(csv_file::read_split(&path, size)) {
            assert!(split.count <= data.len() && split.pixels().len() <= data.len());
        }
        accepted(csv_file::read(&path, size));
    }
}

/// The characters of EMNIST's labels.
pub fn emnist_mapping(data: &[u8]) {
    accepted(emnist::mapping(&file("emnist-x-mapping.txt", data)));
}

/// IDX files in gzip.
pub fn gzip(data: &[u8]) {
    let path = file("train-images.gz", data);
    accepted(idx::read_images(&path));
    accepted(idx::read_labels(&path));
}

/// IDX files.
pub fn idx(data: &[u8]) {
    let path = file("train-images", data);
    if let Some((count, [height, width], pixels)) = accepted(idx::read_images(&path)) {
        assert_eq!(count * height * width, pixels.len());
    }
    accepted(idx::read_labels(&path));
    accepted(idx::read_split(&path, &path));
}

/// A folder of images, one of which has these bytes, of a requested size and of its own.
pub fn image_folder(data: &[u8]) {
    for (class, name) in [("a", "1"), ("b", "1"), ("b", "2")] {
        let folder = file("images", b"").with_file_name(format!("folder/{class}"));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let grey: &[u8] = b"P5 2 1 255\n\x01\x02";
        std::fs::write(folder.join(name), grey).expect("a temporary file");
        if class == "a" {
            std::fs::write(folder.join("2"), data).expect("a temporary file");
        }
    }
    let folder = file("images", b"").with_file_name("folder");
    let Some(folder) = folder.to_str() else { return };
    for (strict, channels) in [(false, None), (true, Some(3))] {
        let options = ReadOptions { size: Some([2, 3]), channels, strict, ..ReadOptions::default() };
        if let Some(set) = accepted(Dataset::open_with(folder, &options)) {
            assert!((3..=4).contains(&(set.train.count + set.test.count)));
        }
    }
    accepted(Dataset::open(folder));
}

/// A CSV table with the target `y`: numbers, classes and answers; and its features by the columns of a model.
pub fn table(data: &[u8]) {
    let path = file("x.csv", data);
    let (Some(spec), targets) = (path.to_str(), ["y".to_owned()]) else { return };
    for target_kind in [TargetKind::Guessed, TargetKind::Numbers, TargetKind::Classes, TargetKind::Answers] {
        let options = ReadOptions { targets: &targets, target_kind, ..ReadOptions::default() };
        let Some(set) = accepted(Dataset::open_with(spec, &options)) else { continue };
        assert_eq!(set.classes, set.class_names.len());
        let schema = set.train.schema();
        let columns = &schema.input(None).expect("features").scales;
        assert!(columns.iter().all(Scale::is_sound), "{columns:?}");
        let (features, _) = read_features(&path, columns).expect("what was read can be read again");
        assert_eq!(features.len(), columns.len() * (set.train.count + set.test.count));
    }
}

/// A file of text, by every unit; tokens are of the vocabulary, or none.
fn tokens(name: &str, data: &[u8], options: TextOptions) {
    let path = file(name, data);
    let Some(spec) = path.to_str() else { return };
    for unit in Unit::ALL {
        let text = TextOptions { unit: Some(unit), vocabulary: 50, length: Some(5), ..options };
        let Some(set) = accepted(Dataset::open_with(spec, &ReadOptions { text, ..ReadOptions::default() })) else {
            continue;
        };
        for (field, tokenizer) in [("text", &set.text), ("target", &set.target)] {
            let Some(tokenizer) = tokenizer else { continue };
            for split in [&set.train, &set.test] {
                let column = split.column(field).expect("a column of tokens");
                let known = tokenizer.tokens().len() as u32;
                assert!(column.words(0..split.count).all(|token| token < known || token == u32::MAX));
            }
        }
        accepted(wgrad::data::tokens::survey(&set));
    }
}

/// One text, cut into windows, or into lines that are documents.
pub fn text(data: &[u8]) {
    tokens("x.txt", data, TextOptions::default());
    tokens("x.txt", data, TextOptions { documents: true, shrinks: true, ..TextOptions::default() });
}

/// Texts with labels.
pub fn texts(data: &[u8]) {
    tokens("x.tsv", data, TextOptions { pairs: Some(false), ..TextOptions::default() });
}

/// Pairs of texts, and lines that may be pairs or labels.
pub fn pairs(data: &[u8]) {
    tokens("x.tsv", data, TextOptions { pairs: Some(true), ..TextOptions::default() });
    tokens("x.tsv", data, TextOptions::default());
}

/// Weights from elsewhere for a model; the first byte says in which order.
pub fn import(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let Some((_, weights)) = accepted(Weights::load(&file("import.safetensors", data))) else { return };
    let net = Sequential::new([6, 6, 1]).conv2d(2, 3).relu().flatten().dense(3).relu().dense(2);
    let model = net.build().expect("a model");
    let order = [None, Some(Order::Pytorch), Some(Order::Keras)][usize::from(first % 3)];
    if let Some(found) = accepted(match_weights(&weights, &model, &Hints { order, ..Hints::default() })) {
        found.weights.check_against(&model).expect("what was matched fits");
    }
}

/// The description of a model in a weight file.
pub fn model_json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(model) = accepted(Model::from_json(text)) else { return };
    has_a_run_folder(&model);
    let again = Model::from_json(&model.to_json().expect("it can be written")).expect("it can be read");
    assert_eq!(again, model);
}

/// A model file.
pub fn model_toml(data: &[u8]) {
    let Some(model) = accepted(Model::from_toml_file(&file("model.toml", data))) else { return };
    has_a_run_folder(&model);
    let again = Model::from_toml(&model.to_toml(), "again", &model.name).expect("what was written can be read");
    assert_eq!(again, model);
}

/// NumPy arrays, as images and as labels, and an archive of them.
pub fn npy(data: &[u8]) {
    let path = file("x_train.npy", data);
    if let Some((count, shape, pixels)) = accepted(numpy::read_images(&path)) {
        assert_eq!(count * shape.iter().product::<usize>(), pixels.len());
    }
    accepted(numpy::read_labels(&path));
    accepted(numpy::read_split(&path, &path));
    accepted(Dataset::open(&file("set.npz", data).display().to_string()));
}

/// A picture file.
pub fn picture(data: &[u8]) {
    if let Some(picture) = accepted(Picture::decode(data)) {
        assert_eq!(picture.rgba().len(), picture.width() * picture.height() * 4);
    }
}

/// A mask, its values in another size, and the classes that they become.
pub fn mask(data: &[u8]) {
    let Some(mask) = accepted(Mask::decode(data)) else { return };
    assert_eq!(mask.values.len(), mask.width * mask.height);
    assert_eq!(mask.resized([2, 3]).len(), 6);
    let meaning = Meaning { ignored: Some(255), listed: None, known: &[], most: 64 };
    if let Some(classes) = accepted(Classes::of(&occurring(mask.values), meaning)) {
        assert_eq!(classes.values.len(), classes.names.len());
    }
}

/// A model file, and the plans of its training step for both classes of adapter.
pub fn plan(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(model) = accepted(Model::from_toml(text, "model.toml", "model")) else { return };
    if model.layers.len() > 8 {
        return;
    }
    let options = TrainOptions { batch_size: 3, ..TrainOptions::default() };
    let Some(step) = accepted(Step::training(&model, 5, &options)) else { return };
    for class in [KernelClass::Tile, KernelClass::Lanes(8)] {
        if let Some(plan) = accepted(lower(&step.graph, Target { class, limits: Limits::PORTABLE, reuse: true })) {
            assert!(plan.buffers.iter().all(|buffer| buffer.bytes <= Limits::PORTABLE.buffer_bytes));
        }
    }
}

/// A GGUF file: a net whose weights fit, or a sentence.
pub fn gguf(data: &[u8]) {
    let Some(found) = accepted(Pretrained::open(&file("net.gguf", data), None, None)) else { return };
    found.weights.check_against(&found.model).expect("weights of the model");
    found.model.to_json().expect("a sound model");
}

/// Folders as Hugging Face and PEFT have them. The bytes are files one after the other, each behind a mark and its name.
pub fn pretrained(data: &[u8]) {
    const MARK: &[u8] = b"\0===";
    const NAMES: [&str; 8] = [
        "config.json",
        "tokenizer.json",
        "vocab.json",
        "merges.txt",
        "vocab.txt",
        "model.safetensors",
        "adapter_config.json",
        "adapter_model.safetensors",
    ];
    let empty = file("config.json", &[]);
    let folder = empty.parent().expect("a folder");
    for name in NAMES {
        let _ = std::fs::remove_file(folder.join(name));
    }
    let mut rest = data;
    while let Some(at) = rest.windows(MARK.len()).position(|bytes| bytes == MARK) {
        rest = &rest[at + MARK.len()..];
        let end = rest.windows(MARK.len()).position(|bytes| bytes == MARK).unwrap_or(rest.len());
        let found = NAMES.into_iter().find(|name| rest.starts_with(format!("{name}\n").as_bytes()));
        if let Some(name) = found.filter(|name| name.len() < end) {
            file(name, &rest[name.len() + 1..end]);
        }
    }
    for adapters in [None, Some(folder)] {
        let Some(found) = accepted(Pretrained::open(folder, None, adapters)) else { return };
        found.weights.check_against(&found.model).expect("weights of the model");
        found.model.to_json().expect("a sound model");
    }
}

/// Tokenizers, with texts that are read by them.
pub fn tokenizer(data: &[u8]) {
    let Some(read) = accepted(Tokenizer::open(&file("tokenizer.json", data))) else { return };
    for text in ["", "the cats, a b", " \u{1f642}\n\nNew York 12 \u{e9}<|endoftext|>"] {
        let tokens = read.encode(text);
        assert!(tokens.iter().all(|token| *token == u32::MAX || (*token as usize) < read.tokens().len()));
        assert_eq!(read.decode(&tokens), read.decode(&tokens));
    }
}

/// A weight file.
pub fn weights(data: &[u8]) {
    let Some((model, weights)) = accepted(Weights::load(&file("model.safetensors", data))) else { return };
    if let Some(model) = model {
        has_a_run_folder(&model);
        accepted(weights.to_bytes(&model));
    }
}
