//! Text generation: the loop over tokens runs on the device, many of them in a submit.

mod prompt;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Role, Tensor, TensorInfo};
use crate::ir::values::Values;
use crate::model::formats::weights::Weights;
use crate::model::{Build, Model, Task};
use crate::ops::optim::step_end::{RECORD, StepEnd, Weighing};
use crate::ops::sequence::sample_token::SampleToken;
use crate::ops::sequence::token_at::TokenAt;
use crate::plan::fuse::{Stage, fuse};
use crate::step::control::Control;
use crate::step::schedule::Rates;
use crate::text::NO_TOKEN;
use crate::train::epochs::engine::{Engine, Pace};
use crate::train::generate::prompt::Prompt;
use crate::train::step::{LOG_CAPACITY, Step, key_of};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::time::Instant;

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Tokens that are generated.
    pub tokens: usize,
    /// The temperature by which logits are divided before the softmax: below 1, likely tokens are preferred; 0 takes
    /// the most likely one.
    pub temperature: f32,
    /// How many of the most likely tokens are drawn from; 0 for all.
    pub top_k: usize,
    /// The probability that the most likely tokens come to, which are drawn from; 1 for all.
    pub top_p: f32,
    /// The seed of the random numbers.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { tokens: 500, temperature: 1.0, top_k: 0, top_p: 1.0, seed: 0 }
    }
}

impl Sampling {
    /// Refuses invalid settings.
    ///
    /// # Errors
    /// [`Error::Input`] that names the option.
    pub fn check(&self) -> Result<()> {
        let Sampling { tokens, temperature, top_p, .. } = *self;
        if !(1..=1 << 20).contains(&tokens) {
            return Err(Error::input(format!("tokens {tokens}: expected 1 to {}", 1 << 20)));
        }
        if !(temperature.is_finite() && temperature >= 0.0) {
            return Err(Error::input(format!("temperature {temperature}: expected a finite number, 0 or above")));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(Error::input(format!("top-p {top_p}: expected a number above 0, at most 1")));
        }
        Ok(())
    }
}

/// A model on a device that continues a text, token by token.
#[derive(Debug)]
pub struct Generator {
    engine: Engine,
    control: Tensor,
    tokens: Tensor,
    states: Vec<Tensor>,
    params: Tensor,
    sampling: Sampling,
    model: Model,
    // Tokens that it can hold, the one after the last that it reads among them.
    length: usize,
    // The most tokens that the model reads at a time, if that is bounded: no more than the texts have.
    context: Option<usize>,
    // Whether a text goes on from its later half where it is as long as that.
    slides: bool,
    device: Device,
    // Of a prompt how many weights times tokens are worth a graph that reads them at once, and the last such graph.
    at_once: u64,
    prompt: Option<Prompt>,
    // Whether the device had no memory for one.
    lacked_memory: bool,
}

/// What [`Generator::read_at_once`] is at first: below it, a device has read the prompt token by token before such a graph is built.
const AT_ONCE: u64 = 1 << 30;

/// Ends a step that writes a token of each row by its logits. Returns the arena of the parameters, and the log.
pub(super) fn sampled(
    graph: &mut Graph,
    sample: SampleToken,
    [control, tokens, logits]: [Tensor; 3],
) -> Result<[Tensor; 2]> {
    let batch = graph.shape(tokens)[0];
    let loss = graph.tensor(TensorInfo::floats("loss", [batch]).role(Role::Control));
    let correct = graph.tensor(TensorInfo::words("correct", [batch]).role(Role::Control));
    graph.update(sample, &[control, logits], &[tokens, loss, correct])?;
    graph.carry_states(control)?;
    let [params, _] = graph.arenas()?;
    let fault = graph.tensor(TensorInfo::words("fault", [1]).role(Role::Control));
    let log = graph.tensor(TensorInfo::floats("log", [LOG_CAPACITY, RECORD]).role(Role::Control));
    let (betas, rates) = ([0.0; 2], Rates::constant(0.0));
    let weighing = Weighing::Samples;
    let end = StepEnd { batch, capacity: LOG_CAPACITY, betas, rates, accumulate: 1, weighing };
    graph.update(end, &[loss, correct, fault], &[control, log])?;
    Ok([params, log])
}

/// The default prompt: the beginning of a line.
const BEGINNING: &str = "\n";

impl Generator {
    /// Builds a model on a device for texts that begin with a prompt of at most this many tokens.
    ///
    /// # Errors
    /// [`Error::Input`] for a model that does not continue texts, and invalid sampling options.
    pub fn new(device: &Device, model: &Model, sampling: Sampling, prompt: usize) -> Result<Generator> {
        sampling.check()?;
        if model.task != Task::Next || model.translates() {
            let name = &model.name;
            let does = if model.translates() { "it translates, as wgrad predict does; " } else { "" };
            return Err(Error::input(format!(
                "model {name}: {does}expected one that continues texts, such as char-rnn"
            )));
        }
        let whole = prompt.max(1).saturating_add(sampling.tokens);
        // A model may read more than the texts will have, and keys and values take memory for all of it.
        let context = model.context().map(|most| most.min(whole));
        let length = context.map_or(whole, |context| context + 1);
        let mut graph = Graph::new();
        let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]).role(Role::Control));
        let tokens = graph.tensor(TensorInfo::words("tokens", [1, length]).role(Role::Control));
        let token = graph.apply(TokenAt, &[control, tokens])?[0];
        let one = Model { input: vec![1], ..model.clone() };
        let logits = one.build(&mut graph, token, Build::generation(control, context.unwrap_or(model.input[0])))?;
        fuse(&mut graph, &[logits], Stage::Whole);
        let states = graph.carried.iter().map(|(_, state)| *state).collect();
        let Sampling { temperature, top_k, top_p, .. } = sampling;
        let [params, log] =
            sampled(&mut graph, SampleToken { temperature, top_k, top_p, length }, [control, tokens, logits])?;
        let engine = Engine::new(device, graph, log)?;
        let slides = context.is_some() && context == model.context();
        let (device, model) = (device.clone(), model.clone());
        let (at_once, prompt) = (AT_ONCE, None);
        Ok(Generator {
            engine,
            control,
            tokens,
            states,
            params,
            sampling,
            model,
            length,
            context,
            slides,
            device,
            at_once,
            prompt,
            lacked_memory: false,
        })
    }

    /// Whether a prompt was read token by token because the device had no memory to read it at once.
    pub fn lacked_memory(&self) -> bool {
        self.lacked_memory
    }

    /// Reads the tokens of a prompt at once where they times the model's weights are at least this many; a model with
    /// recurrences reads them one by one, and so does one on a device without the memory for more. The texts are the same but for rounding.
    pub fn read_at_once(&mut self, from: u64) {
        self.at_once = from;
    }

    /// Reads known tokens at once, where that is worth it, and gives how many.
    fn read_prompt(&mut self, tokens: &[u32]) -> Result<usize> {
        let weights = self.engine.graph().info(self.params).elements() as u64;
        let (Some(context), true) = (self.context, self.engine.graph().carried.is_empty()) else { return Ok(0) };
        if self.lacked_memory || tokens.is_empty() || weights.saturating_mul(tokens.len() as u64) < self.at_once {
            return Ok(0);
        }
        if !self.prompt.as_ref().is_some_and(|prompt| prompt.fits(tokens.len())) {
            self.prompt = None;
            let generator = (&self.engine, self.params);
            match Prompt::new(&self.device, (&self.model, context), tokens.len(), generator) {
                Ok(prompt) => self.prompt = Some(prompt),
                // Token by token needs no more than there is already.
                Err(Error::Input(_)) => {
                    self.lacked_memory = true;
                    return Ok(0);
                }
                Err(error) => return Err(error),
            }
        }
        self.prompt.as_mut().map_or(Ok(()), |prompt| prompt.read(tokens, &mut self.engine))?;
        Ok(tokens.len())
    }

    /// Takes weights from a file's order.
    ///
    /// # Errors
    /// [`Error::Input`] if they do not fit.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<()> {
        let weights = weights.to_graph(self.engine.graph())?;
        self.prompt = None;
        self.engine.write_all(weights.into_iter().map(|(tensor, values)| (tensor, Values::Float(values))))
    }

    /// Takes weights from a training step on the same device: their average, where one is kept.
    pub(in crate::train) fn copy_weights(&mut self, step: &Step, engine: &Engine) -> Result<()> {
        self.prompt = None;
        self.engine.copy_from(self.params, engine, step.final_weights())
    }

    /// The seed of its random numbers.
    pub fn seed(&self) -> u64 {
        self.sampling.seed
    }

    /// Whether what it writes are documents, each with an end.
    pub fn writes_documents(&self) -> bool {
        self.model.document_ends().is_some()
    }

    /// Takes another seed.
    pub fn reseed(&mut self, seed: u64) {
        self.sampling.seed = seed;
    }

    /// The tokens of a prompt; of none, the beginning of a line if there is one, else the first token. Of a model that continues
    /// documents, the token that begins one and then the prompt; so where the tokenizer puts a token before every text.
    ///
    /// # Errors
    /// [`Error::Input`] if the model does not know one of them.
    pub fn prompt(model: &Model, text: &str) -> Result<Vec<u32>> {
        let tokenizer = model.tokenizer()?;
        let tokens = tokenizer.encode(text);
        if tokens.contains(&NO_TOKEN) {
            let plural = tokenizer.unit().plural();
            let unknown = text.chars().zip(&tokens).filter(|(_, token)| **token == NO_TOKEN);
            let unknown: std::collections::BTreeSet<_> =
                unknown.map(|(c, _)| format!(" {:?}", c.to_string())).collect();
            let found = String::from_iter(unknown);
            return Err(Error::input(format!(
                "prompt: the model does not know its {plural}{found}; expected those of its training text"
            )));
        }
        if let Some([begin, _]) = model.document_ends() {
            return Ok([&[begin], &tokens[..]].concat());
        }
        if let Some(before) = tokenizer.before() {
            // A prompt may say it itself.
            let said = usize::from(tokens.first() == Some(&before));
            return Ok([&[before], &tokens[said..]].concat());
        }
        if !tokens.is_empty() {
            return Ok(tokens);
        }
        let beginning = tokenizer.encode(BEGINNING).first().copied().filter(|token| *token != NO_TOKEN);
        Ok(vec![beginning.unwrap_or(0)])
    }

    /// The part of a prompt that the model reads: of one that is bounded the last tokens, as many as it was made for.
    pub fn read<'a>(model: &Model, prompt: &'a [u32]) -> &'a [u32] {
        &prompt[prompt.len() - prompt.len().min(model.context().unwrap_or(usize::MAX))..]
    }

    /// The tokens that follow a prompt, of a document those before its end; `observe` hears of them as they come, and stops by
    /// a break. A model that reads a bounded number of tokens goes on from the later half of them when there are as many.
    ///
    /// # Errors
    /// [`Error::Input`] for a prompt longer than it was built for; [`Error::Failed`] if the device fails.
    pub async fn run(
        &mut self,
        prompt: &[u32],
        mut observe: impl FnMut(&[u32]) -> ControlFlow<()>,
    ) -> Result<Vec<u32>> {
        if prompt.is_empty() || (!self.slides && prompt.len() + self.sampling.tokens > self.length) {
            let (found, most) = (prompt.len(), self.length - self.sampling.tokens.min(self.length));
            return Err(Error::input(format!("a prompt of {found} tokens: expected 1 to {most}")));
        }
        let (mut known, mut found) = (Generator::read(&self.model, prompt).to_vec(), Vec::new());
        for window in 0.. {
            let wanted = (self.sampling.tokens - found.len()).min(self.length - known.len());
            let (new, flow) = self.window(&known, wanted, window, &mut observe).await?;
            found.extend_from_slice(&new);
            if flow.is_break() || found.len() == self.sampling.tokens {
                break;
            }
            known.extend(new);
            known.drain(..known.len() - self.length.div_ceil(2));
        }
        Ok(found)
    }

    /// At most `wanted` tokens that follow those that are known, and a break where the text ends with them.
    async fn window(
        &mut self,
        known: &[u32],
        wanted: usize,
        window: u64,
        observe: &mut impl FnMut(&[u32]) -> ControlFlow<()>,
    ) -> Result<(Vec<u32>, ControlFlow<()>)> {
        let end = known.len() + wanted;
        let mut tokens = known.to_vec();
        tokens.resize(self.length, NO_TOKEN);
        self.engine.write(self.tokens, Values::Word(tokens))?;
        for state in self.states.clone() {
            let elements = self.engine.graph().info(state).elements();
            self.engine.write(state, Values::Float(vec![0.0; elements]))?;
        }
        // An epoch without an end: states are carried throughout. Each window has random numbers of its own.
        let key = key_of(self.sampling.seed ^ (window << 32));
        // The last known token is read by the step that draws the first new one.
        let read = self.read_prompt(&known[..known.len() - 1])?;
        let start = Control { key, step: read as u32, valid: 1, samples: u32::MAX / 2, ..Control::default() };
        self.engine.write(self.control, Values::Word(start.words()))?;
        self.engine.restart_at(read as u64);
        let end_of_document = self.model.document_ends().map(|[_, end]| end);
        let (mut pace, mut done, mut told) = (Pace::default(), read, known.len());
        loop {
            let steps = pace.of(end - 1 - done);
            let begun = Instant::now();
            self.engine.submit(steps as u32)?;
            self.engine.collect().await?;
            pace.measured(steps, begun.elapsed().as_secs_f64());
            done += steps;
            let Values::Word(tokens) = self.engine.read(self.tokens).await? else {
                return Err(Error::failed("tokens are not words"));
            };
            let now = done + 1;
            let is_end = |token: &u32| end_of_document == Some(*token);
            if let Some(at) = tokens[told.min(now)..now].iter().position(is_end) {
                if at > 0 {
                    // What comes after it was made in the same submit.
                    let _ = observe(&tokens[told..told + at]);
                }
                return Ok((tokens[known.len()..told + at].to_vec(), ControlFlow::Break(())));
            }
            let flow = if now > told { observe(&tokens[told..now]) } else { ControlFlow::Continue(()) };
            told = told.max(now);
            if done == end - 1 || flow.is_break() {
                return Ok((tokens[known.len()..told].to_vec(), flow));
            }
        }
    }

    /// A generated text that continues another.
    ///
    /// # Errors
    /// As [`Generator::prompt`] and [`Generator::run`].
    pub async fn text(&mut self, prompt: &str) -> Result<String> {
        let prompt = Generator::prompt(&self.model, prompt)?;
        let tokens = self.run(&prompt, |_| ControlFlow::Continue(())).await?;
        Ok(self.model.tokenizer()?.decode(&tokens))
    }
}
