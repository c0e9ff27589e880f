//! `wgrad generate`: text generation with a trained model.

use crate::cli::{DeviceArgs, print, print_exactly};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::train::generate::{Generator, Sampling};
use clap::Args;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// The most bytes of a prompt from standard input.
const LARGEST_PROMPT_BYTES: u64 = 1 << 20;

/// Continue a text with a trained model
///
/// The same seed gives the same text on the same device. A model of documents (train --documents) stops at a document's end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wgrad generate runs/char-rnn/1 --prompt \"ROMEO:\" --tokens 300\n  \
wgrad generate runs/char-rnn/1 --temperature 0.8 --top-k 20 --seed 7\n  wgrad generate runs/names/1 --samples 20\n  cat begin.txt | wgrad generate runs/char-rnn/1 --prompt -")]
pub struct GenerateArgs {
    /// A model file that wgrad wrote, or the folder of a run
    file: PathBuf,
    /// The text to continue; - reads standard input [default: the beginning of a line, or the token that
    /// the tokenizer puts before every text]
    #[arg(long, short, default_value = "", hide_default_value = true, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: String,
    /// Tokens to generate
    #[arg(long, short = 'n', visible_alias = "max-new-tokens", default_value_t = Sampling::default().tokens, value_name = "N")]
    tokens: usize,
    /// Divide the logits by X before the softmax; 0 takes the most likely token
    #[arg(long, short, default_value_t = Sampling::default().temperature, value_name = "X", allow_negative_numbers = true)]
    temperature: f32,
    /// Sample from the K most likely tokens; 0 for all
    #[arg(long, default_value_t = 0, value_name = "K")]
    top_k: usize,
    /// Sample from the most likely tokens whose probabilities sum to P
    #[arg(long, default_value_t = 1.0, value_name = "P", allow_negative_numbers = true)]
    top_p: f32,
    /// Texts to generate, the second with the next seed, and so on
    #[arg(long, visible_alias = "num-samples", default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    samples: u64,
    /// Stop before this text, such as <|im_end|> of a chat
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    stop: Option<String>,
    /// Random seed
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Generates and prints; without JSON the text comes as it is made, the prompt before it.
pub fn run(args: GenerateArgs) -> Result<()> {
    let GenerateArgs { tokens, temperature, top_k, top_p, seed, json, .. } = args;
    let trained = Model::load(&args.file)?;
    let sampling = Sampling { tokens, temperature, top_k, top_p, seed };
    sampling.check()?;
    let text = if args.prompt == "-" { from_stdin()? } else { args.prompt };
    let prompt = Generator::prompt(&trained.model, &text)?;
    let read = Generator::read(&trained.model, &prompt).len();
    if read < prompt.len() {
        let (found, plural) = (prompt.len(), trained.model.tokenizer()?.unit().plural());
        crate::cli::say(&format!("note: the prompt has {found} {plural}, of which the model reads the last {read}"));
    }
    let (device, _) = args.device.open()?;
    let mut generator = Generator::new(&device, &trained.model, sampling, prompt.len())?;
    crate::cli::note(&device);
    generator.set_weights(&trained.weights)?;
    for n in 0..args.samples {
        generator.reseed(seed.wrapping_add(n));
        write(&mut generator, &trained.model, (&text, &prompt), args.stop.as_deref(), json)?;
    }
    if generator.lacked_memory() {
        crate::cli::say("note: the prompt was read token by token: there was too little memory to read it at once");
    }
    Ok(())
}

/// Generates and prints one text, up to where it stops.
fn write(
    generator: &mut Generator,
    model: &Model,
    (text, prompt): (&str, &[u32]),
    stop: Option<&str>,
    json: bool,
) -> Result<()> {
    let tokenizer = model.tokenizer()?;
    // Where the text to stop before begins in what was generated.
    let stops = |new: &str| stop.and_then(|stop| new.find(stop));
    if json {
        let mut all = Vec::new();
        let found = pollster::block_on(generator.run(prompt, |tokens| {
            all.extend_from_slice(tokens);
            if stops(&tokenizer.decode(&all)).is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }))?;
        let mut whole = tokenizer.decode(&found);
        whole.truncate(stops(&whole).unwrap_or(whole.len()));
        let found = serde_json::json!({ "prompt": text, "text": whole, "tokens": found });
        return print(&format!("{found}\n"));
    }
    // Decoded from the beginning each time: a token may be a part of a character, or join the word before it.
    let mut all = prompt.to_vec();
    let (mut shown, mut trouble) = (0, None);
    let begin = if text.is_empty() { 0 } else { tokenizer.decode(prompt).len() };
    let mut show = |all: &[u32], last: bool| {
        let decoded = if text.is_empty() { tokenizer.decode(&all[prompt.len()..]) } else { tokenizer.decode(all) };
        let stopped = decoded.get(begin..).and_then(stops).map(|at| begin + at);
        // What is no whole character yet waits for its other bytes, and what may begin the text to stop before for its end.
        let kept = decoded.trim_end_matches('\u{fffd}').len().saturating_sub(stop.map_or(0, |stop| stop.len() - 1));
        let end = stopped.unwrap_or(if last { decoded.len() } else { decoded.floor_char_boundary(kept) });
        let new = decoded.get(shown..end).unwrap_or_default();
        shown = shown.max(end);
        print_exactly(new).map(|()| stopped.is_some())
    };
    pollster::block_on(generator.run(prompt, |tokens| {
        all.extend_from_slice(tokens);
        match show(&all, false) {
            Ok(false) => ControlFlow::Continue(()),
            Ok(true) => ControlFlow::Break(()),
            Err(error) => {
                trouble = Some(error);
                ControlFlow::Break(())
            }
        }
    }))?;
    trouble.map_or(Ok(()), Err)?;
    show(&all, true)?;
    print("\n")
}

/// A prompt from standard input, without the end of its last line.
fn from_stdin() -> Result<String> {
    let mut text = String::new();
    let source = std::io::stdin().take(LARGEST_PROMPT_BYTES + 1);
    let fault = |e: std::io::Error| Error::input(format!("prompt: standard input cannot be read: {e}"));
    std::io::BufReader::new(source).read_to_string(&mut text).map_err(fault)?;
    if text.len() as u64 > LARGEST_PROMPT_BYTES {
        return Err(Error::input(format!("prompt: expected at most {LARGEST_PROMPT_BYTES} bytes")));
    }
    Ok(text.strip_suffix('\n').map_or(text.clone(), |text| text.strip_suffix('\r').unwrap_or(text).into()))
}
