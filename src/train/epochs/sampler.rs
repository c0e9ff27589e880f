//! What a model of texts writes after each epoch: how it goes on with a text, or translations of some pairs.

use crate::data::Split;
use crate::data::schema::{IGNORED, TEXT};
use crate::device::Device;
use crate::error::Result;
use crate::model::formats::weights::Weights;
use crate::model::{Model, Task};
use crate::train::epochs::engine::Engine;
use crate::train::epochs::trainer::{Event, Metrics, Trainer};
use crate::train::generate::{Generator, Sampling};
use crate::train::settings::options::TrainOptions;
use crate::train::step::Step;
use crate::train::translate::Translator;
use serde_json::Value;
use std::ops::ControlFlow;

/// Tokens of the text that a model goes on with.
const TOKENS: usize = 200;

/// Documents that a model writes, where it continues documents.
const DOCUMENTS: u64 = 8;

/// Pairs that are translated: the first to validate on.
const PAIRS: usize = 5;

/// A text that a model wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The text.
    pub text: String,
    /// Of a translation: the text that it is of, and the translation that the data has.
    pub of: Option<[String; 2]>,
}

impl Sample {
    /// A line of `samples.jsonl`.
    pub fn to_json(&self, epoch: usize, step: u64) -> Value {
        let mut line = serde_json::json!({ "epoch": epoch, "step": step, "text": self.text });
        if let Some([source, reference]) = &self.of {
            (line["source"], line["reference"]) = (source.as_str().into(), reference.as_str().into());
        }
        line
    }
}

/// A model that writes, beside the one in training.
#[derive(Debug)]
pub(super) enum Sampler {
    Going(Box<Generator>),
    Translating { translator: Box<Translator>, texts: Vec<Vec<u32>>, lines: Vec<[String; 2]> },
}

impl Sampler {
    /// The one for a model and what it is validated on; none of a model that writes no texts.
    pub(super) fn new(
        device: &Device,
        model: &Model,
        split: &Split,
        options: &TrainOptions,
    ) -> Result<Option<Sampler>> {
        if model.task != Task::Next {
            return Ok(None);
        }
        if !model.translates() {
            // A document is as long as those that it learns from, at most.
            let tokens = if model.document_ends().is_some() { TOKENS.min(model.input[0]) } else { TOKENS };
            let sampling = Sampling { tokens, temperature: 0.8, seed: options.seed, ..Sampling::default() };
            return Ok(Some(Sampler::Going(Box::new(Generator::new(device, model, sampling, 1)?))));
        }
        let count = split.count.min(PAIRS);
        let text = |at: usize| match split.column(TEXT) {
            Some(column) => column.words(at..at + 1).take_while(|token| *token != IGNORED).collect(),
            None => Vec::new(),
        };
        let line = |at: usize| {
            let line = split.name_of(at).unwrap_or_default();
            <[&str; 2]>::from(line.split_once('\t').unwrap_or((line, ""))).map(String::from)
        };
        Ok(Some(Sampler::Translating {
            translator: Box::new(Translator::new(device, model, count, 1)?),
            texts: (0..count).map(text).collect(),
            lines: (0..count).map(line).collect(),
        }))
    }

    /// Whether it takes weights from the host, not from a step on its device.
    pub(super) fn takes_weights(&self) -> bool {
        matches!(self, Sampler::Translating { .. })
    }

    /// What the model writes with the weights of a training step, or with those that are given.
    pub(super) async fn write(
        &mut self,
        step: &Step,
        engine: &Engine,
        weights: Option<&Weights>,
    ) -> Result<Vec<Sample>> {
        match self {
            Sampler::Going(generator) => {
                generator.copy_weights(step, engine)?;
                let (seed, count) = (generator.seed(), if generator.writes_documents() { DOCUMENTS } else { 1 });
                let mut texts = Vec::new();
                for n in 0..count {
                    generator.reseed(seed.wrapping_add(n));
                    texts.push(generator.text("").await?);
                }
                generator.reseed(seed);
                Ok(vec![Sample { text: texts.join("\n"), of: None }])
            }
            Sampler::Translating { translator, texts, lines } => {
                weights.map_or(Ok(()), |weights| translator.set_weights(weights))?;
                let found = translator.run(texts).await?;
                let pairs = found.into_iter().zip(lines);
                Ok(pairs.map(|(found, of)| Sample { text: found.text, of: Some(of.clone()) }).collect())
            }
        }
    }
}

impl Trainer {
    /// Hands what the model writes to the observer, of a model that does.
    pub(super) async fn sample(
        &mut self,
        Metrics { epoch, step, .. }: Metrics,
        observe: &mut impl FnMut(Event) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let Some(mut sampler) = self.sampler.take() else { return Ok(ControlFlow::Continue(())) };
        let weights = if sampler.takes_weights() { Some(self.weights().await?) } else { None };
        let samples = sampler.write(&self.step, &self.engine, weights.as_ref()).await;
        self.sampler = Some(sampler);
        // All of them are handed over: a resumed epoch has the same.
        let mut flow = ControlFlow::Continue(());
        for sample in &samples? {
            if observe(Event::Sample { epoch, step, sample }).is_break() {
                flow = ControlFlow::Break(());
            }
        }
        Ok(flow)
    }
}
