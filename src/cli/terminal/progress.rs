//! The output of training: a progress bar as in Keras on a terminal, else one line per epoch, or JSON.

use crate::cli::terminal::beat::Beat;
use crate::cli::terminal::lines::{Live, ended, plain, wrapped};
use crate::cli::{print, print_as_is};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::printable::printable;
use crate::train::epochs::progress::Metrics;
use crate::train::epochs::trainer::{Event, Sample};
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How epochs are written to stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Format {
    /// A progress bar on a terminal, else one line per epoch.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The shortest time between two drawings of the bar.
const REDRAW: Duration = Duration::from_millis(50);

/// The output for people.
pub(in crate::cli) struct Progress {
    form: Form,
    // What moves, on stderr; a new one whenever something else begins to.
    bar: ProgressBar,
    moves: bool,
    colour: bool,
    epochs: usize,
    // Steps of a whole epoch, and the epoch that is shown.
    per_epoch: u64,
    epoch: usize,
    // The last step of the run, when the last steps came back, and how long a validation took.
    last: u64,
    things: (&'static str, usize),
    stepped: Option<Instant>,
    validation: Duration,
    drawn: Option<Instant>,
    beat: Beat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Quiet,
    Plain,
    Json,
    Terminal,
}

impl Progress {
    pub(in crate::cli) fn new(format: Format, quiet: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        let [out, err] = [std::io::stdout().is_terminal(), std::io::stderr().is_terminal()].map(|on| on && !dumb);
        let form = match (quiet, format) {
            (true, _) => Form::Quiet,
            (_, Format::Json) => Form::Json,
            _ if out && err => Form::Terminal,
            _ => Form::Plain,
        };
        let moves = err && matches!(form, Form::Terminal | Form::Plain);
        let colour = set("NO_COLOR").is_none();
        let (bar, beat) = (ProgressBar::hidden(), Beat::default());
        Progress {
            form,
            bar,
            moves,
            colour,
            epochs: 0,
            per_epoch: 0,
            epoch: 0,
            last: 0,
            things: ("samples", 1),
            stepped: None,
            validation: Duration::ZERO,
            drawn: None,
            beat,
        }
    }

    /// Says what is being done until the next call; only on a terminal.
    pub(in crate::cli) fn doing(&mut self, what: &str) {
        if self.moves {
            self.start("{spinner} {msg}");
            // The spinner and a space stand before it.
            let what: String = printable(what).chars().take(width().saturating_sub(2)).collect();
            self.bar.set_message(what);
            self.bar.enable_steady_tick(Duration::from_millis(100));
        }
    }

    /// Advances the counter, from any thread.
    pub(in crate::cli) fn counter(&self) -> impl Fn(usize, usize) + Sync + use<> {
        let bar = self.moves.then(|| self.bar.clone());
        let what = self.bar.message();
        move |done, of| {
            if let Some(bar) = bar.as_ref().filter(|_| done.is_multiple_of(16)) {
                bar.set_message(format!("{what}: {done} of {of} images"));
            }
        }
    }

    /// Says that a step is being built on a device.
    pub(in crate::cli) fn building(&mut self, device: &Device) {
        self.doing(match device {
            Device::Gpu(_) => "building shaders",
            Device::Cpu(_) => "laying out memory",
        });
    }

    /// Takes away what moves.
    pub(in crate::cli) fn clear(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
        self.beat.ends(false);
    }

    /// Replaces the moving part of the line.
    fn start(&mut self, template: &str) {
        self.clear();
        self.bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(20));
        // The templates are constants; one that were wrong would leave the usual style.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }

    /// Says how many epochs there will be, how many steps a whole one has and how many the run has, and what samples are called.
    pub(in crate::cli) fn begin(&mut self, epochs: usize, per_epoch: u64, last: u64, things: (&'static str, usize)) {
        // A number of steps may end the run in an earlier one.
        let epochs = epochs.min(last.div_ceil(per_epoch.max(1)).max(1) as usize);
        (self.epochs, self.per_epoch, self.last, self.things) = (epochs, per_epoch, last, things);
        // Another run of a sweep may begin with the epoch that the last one ended with.
        self.epoch = 0;
    }

    /// Seconds that are left of the run after `step`, where further epochs follow; a step takes `per_step` seconds, and each
    /// epoch ends with a validation that takes as long as the last did.
    fn run_left(&self, step: u64, per_step: f64) -> Option<f64> {
        let steps = self.last.saturating_sub(step);
        let epochs = self.last.div_ceil(self.per_epoch.max(1)).saturating_sub(step / self.per_epoch.max(1));
        (epochs > 1).then_some(steps as f64 * per_step + epochs as f64 * self.validation.as_secs_f64())
    }

    /// A line of JSON, if requested.
    pub(in crate::cli) fn json(&self, value: &Value) -> Result<()> {
        if self.form == Form::Json { print(&format!("{value}\n")) } else { Ok(()) }
    }

    /// Lines for people on stdout, unless JSON was requested.
    pub(in crate::cli) fn print(&self, text: &str) -> Result<()> {
        if matches!(self.form, Form::Plain | Form::Terminal) { print(text) } else { Ok(()) }
    }

    /// A line for people on stderr.
    pub(in crate::cli) fn say(&self, line: &str) {
        if self.form != Form::Quiet {
            crate::cli::say(line);
        }
    }

    /// Shows the events of the training loop.
    pub(in crate::cli) fn show(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Steps { epoch, first, records, done, of, totals, seconds } => {
                let (loss, accuracy) = (totals.loss(), totals.accuracy());
                let samples = totals.samples();
                self.stepped = Some(Instant::now());
                let run_left = self.run_left(first - 1 + records.len() as u64, seconds / (*done).max(1) as f64);
                let things = self.things;
                let live = Live { done: *done, of: *of, seconds: *seconds, loss, accuracy, samples, things, run_left };
                self.steps(*epoch, live)
            }
            Event::Sample { epoch, sample, .. } => self.sample(*epoch, sample),
            Event::Epoch(metrics) => self.epoch(metrics),
            Event::Checkpoint(_) => Ok(()),
        }
    }

    /// Shows an epoch from now on, whether steps of it are still to come or not.
    fn enter(&mut self, epoch: usize) -> Result<()> {
        if self.epoch == epoch {
            return Ok(());
        }
        self.clear();
        self.epoch = epoch;
        if self.form == Form::Terminal {
            print(&format!("Epoch {epoch}/{}\n", self.epochs))?;
        }
        if self.moves {
            self.start("{msg}");
        }
        Ok(())
    }

    /// A generated text, indented; a translation after its source and reference, marked as in PyTorch's tutorial.
    fn sample(&mut self, epoch: usize, Sample { text, of }: &Sample) -> Result<()> {
        if self.form == Form::Json {
            let mut line = serde_json::json!({ "event": "sample", "epoch": epoch, "text": text });
            if let Some([source, reference]) = of {
                (line["source"], line["reference"]) = (source.as_str().into(), reference.as_str().into());
            }
            return self.json(&line);
        }
        let text = match of {
            None => text.clone(),
            Some([source, reference]) => format!("> {source}\n= {reference}\n< {text}\n"),
        };
        self.clear();
        let lines = text.lines().map(|line| wrapped(&format!("  {line}"), width()));
        self.print(&format!("{}\n", lines.collect::<Vec<_>>().join("\n").trim_end()))
    }

    fn steps(&mut self, epoch: usize, live: Live) -> Result<()> {
        self.enter(epoch)?;
        if self.moves && self.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW) {
            let prefix =
                if self.form == Form::Plain { format!("epoch {epoch}/{} ", self.epochs) } else { String::new() };
            self.bar.set_message(live.line(&prefix, width(), self.colour));
            self.drawn = Some(Instant::now());
        }
        if !self.moves && self.form != Form::Quiet {
            self.beat.steps(epoch, self.epochs, live);
        }
        Ok(())
    }

    fn epoch(&mut self, metrics: &Metrics) -> Result<()> {
        self.enter(metrics.epoch)?;
        self.validation = self.stepped.take().map_or(Duration::ZERO, |stepped| stepped.elapsed());
        self.clear();
        self.beat.ends(true);
        let steps = metrics.step.saturating_sub((metrics.epoch as u64 - 1) * self.per_epoch);
        match self.form {
            Form::Quiet => Ok(()),
            Form::Plain => print(&plain(metrics, self.epochs, self.things)),
            Form::Terminal => print_as_is(&ended(metrics, steps, width(), self.colour)),
            Form::Json => {
                let value = serde_json::to_value(metrics).map_err(|e| Error::failed(format!("an epoch: {e}")))?;
                let mut line = json!({ "event": "epoch" });
                if let (Value::Object(line), Value::Object(fields)) = (&mut line, value) {
                    line.extend(fields);
                }
                self.json(&line)
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Columns that a line may take: the last stays free, since some terminals wrap when it is written.
pub(in crate::cli) fn width() -> usize {
    let columns = Term::stderr().size_checked().map_or(80, |(_, columns)| usize::from(columns));
    columns.saturating_sub(1).max(1)
}
