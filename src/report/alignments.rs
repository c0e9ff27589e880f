//! The attention of a net that translates: for a few test pairs, the weight of each source token for each token that it writes.

use crate::data::Split;
use crate::data::schema::{IGNORED, TEXT};
use crate::device::Device;
use crate::device::cpu::Executor;
use crate::error::{Error, Result};
use crate::ir::graph::{Graph, TensorInfo};
use crate::ir::values::Values;
use crate::model::{Build, Model, Weights};
use crate::text::NO_TOKEN;
use crate::train::translate::Translator;
use serde::Serialize;

/// Pairs that a page shows: the first of the test set.
const PAIRS: usize = 6;

/// A translation of a test pair, and where the net looked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alignment {
    /// The source, as the net reads it, and its translation.
    pub texts: [String; 2],
    /// The tokens of the source.
    pub source: Vec<String>,
    /// The translation that the data has.
    pub reference: String,
    /// The tokens that the net writes, its end among them where it ends.
    pub translation: Vec<String>,
    /// The weight of each source token for each of these, [translation, source], in thousandths; empty without an attention.
    pub weights: Vec<Vec<u16>>,
}

/// Translates the first pairs of a test set on the native CPU, and reads the weights of the last attention.
///
/// # Errors
/// [`Error::Input`] for a model that does not translate, and weights that do not fit.
pub async fn alignments(model: &Model, weights: &Weights, test: &Split) -> Result<Vec<Alignment>> {
    let column = test.column(TEXT).ok_or_else(|| Error::input("the data has no texts, expected pairs"))?;
    let count = test.count.min(PAIRS);
    let sources: Vec<Vec<u32>> =
        (0..count).map(|at| column.words(at..at + 1).take_while(|token| *token != IGNORED).collect()).collect();
    let found = aligned(&Device::cpu(0)?, model, weights, &sources).await?;
    let reference =
        |at: usize| test.name_of(at).and_then(|line| line.split_once('\t')).map_or("", |(_, target)| target);
    let pairs = found.into_iter().enumerate();
    Ok(pairs.map(|(at, pair)| Alignment { reference: reference(at).into(), ..pair }).collect())
}

/// Translates texts that are tokens, at least one of them, and reads the weights of the last attention; pairs come without
/// references. The device is the native CPU.
///
/// # Errors
/// As [`alignments`].
pub async fn aligned(
    device: &Device,
    model: &Model,
    weights: &Weights,
    sources: &[Vec<u32>],
) -> Result<Vec<Alignment>> {
    let count = sources.len();
    let mut translator = Translator::new(device, model, count, 1)?;
    translator.set_weights(weights)?;
    let found = translator.run(sources).await?;
    let (known, written) = (model.tokenizer()?, model.target_tokenizer()?);
    let [begin, end] = written.ends().unwrap_or([NO_TOKEN; 2]);
    let (places, steps) = (model.input[0], model.written().unwrap_or(1));
    // The input of each decoder step, and the token it gives.
    let tokens = |at: usize| found[at].tokens.iter().copied().chain([end]).take(steps).collect::<Vec<u32>>();
    let given = |at: usize| [&[begin], &found[at].tokens[..]].concat();
    let filled = |rows: Vec<Vec<u32>>, width: usize| {
        let row = |row: Vec<u32>| row.into_iter().chain(std::iter::repeat(NO_TOKEN)).take(width).collect::<Vec<u32>>();
        Values::Word(rows.into_iter().flat_map(row).collect())
    };
    let mut graph = Graph::new();
    let x = graph.tensor(TensorInfo::words("text", [count, places]));
    let y = graph.tensor(TensorInfo::words("target", [count, steps]));
    let layers = model.build_each(&mut graph, x, Build { target: Some(y), ..Build::INFERENCE })?;
    let looked = layers.iter().rev().find_map(|given| given.built.weights);
    let weights = weights.to_graph(&graph)?;
    let mut executor = Executor::<f32>::new(graph, true)?;
    executor.set(x, filled(sources.to_vec(), places))?;
    executor.set(y, filled((0..count).map(given).collect(), steps))?;
    weights.into_iter().try_for_each(|(tensor, values)| executor.set(tensor, Values::Float(values)))?;
    match device {
        Device::Cpu(pool) => pool.install(|| executor.step()),
        Device::Gpu(_) => executor.step(),
    }
    let looked = match looked.map(|looked| executor.get(looked)) {
        Some(Values::Float(looked)) => looked,
        _ => Vec::new(),
    };
    let name = |names: &[String], token: u32| names.get(token as usize).cloned().unwrap_or_default();
    let one = |at: usize| {
        let (source, translation) = (&sources[at], tokens(at));
        let row = |step: usize| looked.get((at * steps + step) * places..)?.get(..source.len());
        let thousandths = |row: &[f32]| row.iter().map(|weight| (weight * 1000.0).round() as u16).collect();
        Alignment {
            texts: [known.decode(source), found[at].text.clone()],
            source: source.iter().map(|token| name(known.tokens(), *token)).collect(),
            reference: String::new(),
            weights: (0..translation.len()).filter_map(row).map(thousandths).collect(),
            translation: translation.into_iter().map(|token| name(written.tokens(), token)).collect(),
        }
    };
    Ok((0..count).map(one).collect())
}
