//! Translations: the text is read once, then its translation is written token by token, by the likeliest one or a beam search.

mod beam;

use crate::device::Device;
use crate::device::executor::{Build as Built, Executor};
use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Role, Tensor, TensorInfo};
use crate::ir::values::Values;
use crate::model::formats::weights::Weights;
use crate::model::{Build, Model};
use crate::ops::sequence::sample_token::SampleToken;
use crate::ops::sequence::token_at::TokenAt;
use crate::plan::fuse::{Stage, fuse};
use crate::step::control::Control;
use crate::text::NO_TOKEN;
use crate::train::epochs::engine::Pace;
use crate::train::generate::sampled;
use beam::Beam;
use std::time::Instant;

/// The most texts that a beam search keeps of each that it translates.
pub const WIDEST: usize = 64;

/// A translation.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    /// Its tokens, without those that begin and end it.
    pub tokens: Vec<u32>,
    /// Its text.
    pub text: String,
    /// The mean logarithm of its tokens' probabilities, its end among them; of a beam search alone.
    pub score: Option<f64>,
}

/// A model on a device that translates some texts at a time.
#[derive(Debug)]
pub struct Translator {
    reader: Box<dyn Executor>,
    reader_graph: Graph,
    // What is read: tokens [rows, places].
    source: Tensor,
    writer: Box<dyn Executor>,
    writer_graph: Graph,
    // From what the reader leaves to where the writer has it.
    handed: Vec<[Tensor; 2]>,
    zeros: Vec<Tensor>,
    // All that goes from token to token.
    states: Vec<Tensor>,
    lengths: Tensor,
    control: Tensor,
    tokens: Tensor,
    logits: Tensor,
    model: Model,
    begin: u32,
    end: u32,
    // Tokens of a translation at most, its end among them.
    most: usize,
    rows: usize,
    beam: usize,
}

impl Translator {
    /// Builds a model on a device for `batch` texts at a time; `beam` is how many translations of each are kept while they are
    /// written, 1 for the likeliest token each time.
    ///
    /// # Errors
    /// [`Error::Input`] for a model that does not translate, and a beam that is too wide.
    pub fn new(device: &Device, model: &Model, batch: usize, beam: usize) -> Result<Translator> {
        let [begin, end] = match model.target.as_ref().and_then(|target| target.ends()) {
            Some(ends) if model.translates() => ends,
            _ => {
                let expected = "expected a trained model that translates, such as translator";
                return Err(Error::input(format!("model {}: {expected}", model.name)));
            }
        };
        if !(1..=WIDEST).contains(&beam) || batch == 0 {
            return Err(Error::input(format!("beam {beam}: expected 1 to {WIDEST}, and one text at least")));
        }
        let (rows, places, most) = (batch * beam, model.input[0], model.written().unwrap_or(1));
        let (mut graph, length) = (Graph::new(), most + 1);
        let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]).role(Role::Control));
        let tokens = graph.tensor(TensorInfo::words("tokens", [rows, length]).role(Role::Control));
        let token = graph.apply(TokenAt, &[control, tokens])?[0];
        let written = model.build_writer(&mut graph, token, control)?;
        let logits = written.logits;
        fuse(&mut graph, &[logits], Stage::Whole);
        if beam > 1 {
            graph.tensors[logits.index()].role = Role::Control;
        }
        let states = graph.carried.iter().map(|(_, state)| *state).chain(graph.kept.iter().copied()).collect();
        let greedy = SampleToken { temperature: 0.0, top_k: 0, top_p: 1.0, length };
        sampled(&mut graph, greedy, [control, tokens, logits])?;
        let writer_graph = graph;

        let mut graph = Graph::new();
        let source = graph.tensor(TensorInfo::words("text", [rows, places]).role(Role::Control));
        let read = model.build_reader(&mut graph, source, Build::INFERENCE)?;
        let left = |place: usize| {
            let missing = || Error::failed(format!("layer {place} of the part that reads gave nothing"));
            read.get(place).and_then(Option::as_ref).map(|given| &given.built).ok_or_else(missing)
        };
        let mut handed = Vec::new();
        for (place, memory) in &written.memories {
            handed.push([left(*place)?.result, *memory]);
        }
        for (place, begins) in &written.begins {
            handed.extend(left(*place)?.states.iter().zip(begins).map(|(state, begin)| [*state, *begin]));
        }
        let kept: Vec<Tensor> = handed.iter().map(|[from, _]| *from).collect();
        fuse(&mut graph, &kept, Stage::Whole);
        // They outlive the step.
        kept.iter().for_each(|kept| graph.tensors[kept.index()].role = Role::Control);
        graph.arenas()?;
        let built = || Built { reuse: true, ..Built::default() };
        let [reader, writer] = [device.executor(&graph, built())?, device.executor(&writer_graph, built())?];
        device.save_pipelines();
        Ok(Translator {
            reader,
            reader_graph: graph,
            source,
            writer,
            writer_graph,
            handed,
            zeros: written.zeros,
            states,
            lengths: written.lengths,
            control,
            tokens,
            logits,
            model: model.clone(),
            begin,
            end,
            most,
            rows,
            beam,
        })
    }

    /// Takes weights from a file's order.
    ///
    /// # Errors
    /// [`Error::Input`] where they do not fit.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<()> {
        for (graph, executor) in [(&self.reader_graph, &mut self.reader), (&self.writer_graph, &mut self.writer)] {
            for (tensor, values) in weights.to_graph(graph)? {
                executor.write(tensor, &Values::Float(values))?;
            }
        }
        Ok(())
    }

    /// Translates texts; also says how many of them were cut to the model's length.
    ///
    /// # Errors
    /// [`Error::Failed`] where the device fails.
    pub async fn texts(&mut self, texts: &[&str]) -> Result<(Vec<Translation>, usize)> {
        let (tokenizer, most, mut cut) = (self.model.tokenizer()?.clone(), self.model.input[0], 0);
        let tokens: Vec<Vec<u32>> = texts
            .iter()
            .map(|text| {
                let mut found = tokenizer.encode(text);
                found.retain(|token| *token != NO_TOKEN);
                cut += usize::from(found.len() > most);
                found.truncate(most);
                found
            })
            .collect();
        Ok((self.run(&tokens).await?, cut))
    }

    /// Translates texts that are tokens, at most as many of each as the model reads.
    ///
    /// # Errors
    /// [`Error::Input`] for a longer one; [`Error::Failed`] where the device fails.
    pub async fn run(&mut self, texts: &[Vec<u32>]) -> Result<Vec<Translation>> {
        let places = self.model.input[0];
        if let Some(text) = texts.iter().find(|text| text.len() > places) {
            return Err(Error::input(format!("a text of {} tokens: expected at most {places}", text.len())));
        }
        let mut found = Vec::with_capacity(texts.len());
        for batch in texts.chunks(self.rows / self.beam) {
            self.read(batch).await?;
            let written = match self.beam {
                1 => self.likeliest(batch.len()).await?.into_iter().map(|tokens| (tokens, None)).collect(),
                _ => self.search(batch.len()).await?,
            };
            for (tokens, score) in written.into_iter().take(batch.len()) {
                let text = self.model.target_tokenizer()?.decode(&tokens);
                found.push(Translation { tokens, text, score });
            }
        }
        Ok(found)
    }

    /// Reads texts, each in as many rows as the beam has, and hands on what is made of them.
    async fn read(&mut self, texts: &[Vec<u32>]) -> Result<()> {
        let places = self.model.input[0];
        let (mut source, mut lengths) = (Vec::with_capacity(self.rows * places), Vec::with_capacity(self.rows));
        for row in 0..self.rows {
            let text = texts.get(row / self.beam).map_or(&[][..], Vec::as_slice);
            source.extend(text.iter().copied().chain(std::iter::repeat(NO_TOKEN)).take(places));
            lengths.push(text.len() as u32);
        }
        self.reader.write(self.source, &Values::Word(source))?;
        self.reader.submit(1)?;
        self.reader.collect().await?;
        for &[from, to] in &self.handed {
            self.writer.copy_from(to, &*self.reader, from)?;
        }
        for &zero in &self.zeros {
            let elements = self.writer_graph.info(zero).elements();
            self.writer.write(zero, &Values::Float(vec![0.0; elements]))?;
        }
        // Without an attention nothing asks for them.
        if self.writer.has(self.lengths) {
            self.writer.write(self.lengths, &Values::Word(lengths))?;
        }
        // An epoch without an end: states are carried throughout.
        let start = Control { valid: self.rows as u32, samples: u32::MAX / 2, ..Control::default() };
        self.writer.write(self.control, &Values::Word(start.words()))?;
        self.put(&vec![Vec::new(); self.rows])
    }

    /// Replaces what was written so far, in each row after the token that begins it.
    fn put(&mut self, rows: &[Vec<u32>]) -> Result<()> {
        let length = self.most + 1;
        let row = |row: &Vec<u32>| {
            let tokens = std::iter::once(self.begin).chain(row.iter().copied()).chain(std::iter::repeat(NO_TOKEN));
            tokens.take(length).collect::<Vec<u32>>()
        };
        let tokens = rows.iter().flat_map(row).collect();
        self.writer.write(self.tokens, &Values::Word(tokens))
    }

    /// Writes the likeliest token each time, many of them in a submit, until each of the texts has its end.
    async fn likeliest(&mut self, texts: usize) -> Result<Vec<Vec<u32>>> {
        let (mut pace, mut done) = (Pace::default(), 0);
        loop {
            let steps = pace.of(self.most - done);
            let begun = Instant::now();
            self.writer.submit(steps as u32)?;
            self.writer.collect().await?;
            pace.measured(steps, begun.elapsed().as_secs_f64());
            done += steps;
            let Values::Word(tokens) = self.writer.read(self.tokens).await? else {
                return Err(Error::failed("tokens are not words"));
            };
            let rows: Vec<&[u32]> = tokens.chunks(self.most + 1).take(texts).map(|row| &row[1..=done]).collect();
            if done == self.most || rows.iter().all(|row| row.contains(&self.end)) {
                let ended = |row: &[u32]| row.iter().copied().take_while(|token| *token != self.end).collect();
                return Ok(rows.into_iter().map(ended).collect());
            }
        }
    }

    /// Keeps the likeliest translations of each text, token by token, and gives the best that has ended, by the mean of its
    /// tokens.
    async fn search(&mut self, texts: usize) -> Result<Vec<(Vec<u32>, Option<f64>)>> {
        let mut beams: Vec<Beam> = (0..texts).map(|_| Beam::new(self.beam, self.begin, self.end, self.most)).collect();
        for _ in 0..self.most {
            self.writer.submit(1)?;
            self.writer.collect().await?;
            let Values::Float(logits) = self.writer.read(self.logits).await? else {
                return Err(Error::failed("logits are not floats"));
            };
            let vocabulary = logits.len() / self.rows;
            // Where each row goes on from.
            let mut from: Vec<usize> = (0..self.rows).collect();
            let mut rows = vec![Vec::new(); self.rows];
            for (at, (beam, logits)) in beams.iter_mut().zip(logits.chunks(self.beam * vocabulary)).enumerate() {
                let first = at * self.beam;
                for (n, (parent, tokens)) in beam.step(logits).into_iter().enumerate() {
                    from[first + n] = first + parent;
                    rows[first + n] = tokens;
                }
            }
            if beams.iter().all(Beam::is_done) {
                break;
            }
            for state in self.states.clone() {
                let Values::Float(values) = self.writer.read(state).await? else {
                    return Err(Error::failed("states are not floats"));
                };
                let each = values.len() / self.rows;
                let moved = from.iter().flat_map(|row| &values[row * each..][..each]).copied().collect();
                self.writer.write(state, &Values::Float(moved))?;
            }
            self.put(&rows)?;
        }
        Ok(beams.into_iter().map(Beam::best).collect())
    }
}
