//! `wgrad runs`: the runs of a folder in a table that fits the terminal, or as JSON.

use crate::cli::print;
use crate::cli::terminal::lines::{clock, six_digits};
use crate::error::{Error, Result};
use crate::report::runs::{RunLine, Runs};
use clap::Args;
use console::Term;
use std::cmp::Ordering;
use std::path::PathBuf;

/// List the runs in a folder with their metrics, times and states
#[derive(Debug, Args)]
#[command(after_help = "\
val_ metrics are those of the epoch with the smallest val_loss; a run marked * has no validation set and is validated on its test \
set. test_ metrics are those of the model that the run leaves: the last epoch's, or with --keep best the best epoch's. A run is finished, running, stopped (it can be resumed), interrupted (its process was killed) or failed. Columns that do not fit the terminal are left out and named; a pipe gets all of them.

Examples:
  wgrad runs
  wgrad runs experiments --sort val_loss
  wgrad runs --json")]
pub struct RunsArgs {
    /// The folder
    #[arg(default_value = "runs", value_name = "DIR")]
    folder: PathBuf,
    /// The column to sort by: best metrics first, shortest times first, oldest dates first
    #[arg(long, value_enum, default_value_t = Column::Begun, value_name = "COLUMN")]
    sort: Column,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Column {
    /// The run's folder
    Run,
    /// Finished, running, stopped, interrupted or failed
    State,
    /// The model
    Model,
    /// The data
    Data,
    /// Number of completed epochs
    Epochs,
    /// Validation accuracy of the best epoch
    ValAccuracy,
    /// Validation mean IoU of the best epoch
    ValMeanIou,
    /// Validation mean absolute error of the best epoch
    ValMae,
    /// Validation loss of the best epoch
    ValLoss,
    /// Accuracy on the test set
    TestAccuracy,
    /// Loss on the test set
    TestLoss,
    /// Total time
    Time,
    /// When the run began, in UTC
    Begun,
}

use Column::*;

/// All columns, in the order of the table.
const ALL: [Column; 13] =
    [Run, State, Model, Data, Epochs, ValAccuracy, ValMeanIou, ValMae, ValLoss, TestAccuracy, TestLoss, Time, Begun];

/// The same by what is left out first where there is no room; the run itself stays.
const LEAST: [Column; 12] =
    [Data, TestLoss, Model, Begun, Time, Epochs, ValLoss, TestAccuracy, ValMae, ValMeanIou, ValAccuracy, State];

impl Column {
    fn title(self) -> &'static str {
        match self {
            Run => "run",
            State => "state",
            Model => "model",
            Data => "data",
            Epochs => "epochs",
            ValAccuracy => "val_accuracy",
            ValMeanIou => "val_mean_iou",
            ValMae => "val_mae",
            ValLoss => "val_loss",
            TestAccuracy => "test_accuracy",
            TestLoss => "test_loss",
            Time => "time",
            Begun => "begun",
        }
    }

    /// The column's number of a run, where it has one.
    fn number(self, run: &RunLine) -> Option<f64> {
        match self {
            ValAccuracy | ValMeanIou | ValMae | ValLoss => run.best(self.title()),
            TestAccuracy => run.tested("accuracy"),
            TestLoss => run.tested("loss"),
            Epochs => Some(run.epochs as f64),
            Time => Some(run.seconds),
            Run | State | Model | Data | Begun => None,
        }
    }

    /// Whether the column's texts are set to the left.
    fn is_text(self) -> bool {
        matches!(self, Run | State | Model | Data | Begun)
    }

    fn text(self, run: &RunLine) -> String {
        match self {
            Run => run.run.display().to_string() + if run.validated_on == "test" { " *" } else { "" },
            State => run.state.name().into(),
            Model => run.model.clone(),
            Data => run.data.clone(),
            Epochs => format!("{}/{}", run.epochs, run.of),
            Time => clock(run.seconds),
            // To the minute.
            Begun => run.begun.as_deref().unwrap_or("").chars().take(16).collect::<String>().replace('T', " "),
            ValAccuracy | ValMeanIou | TestAccuracy => {
                self.number(run).map_or_else(|| "-".into(), |x| format!("{x:.4}"))
            }
            ValMae | ValLoss | TestLoss => self.number(run).map_or_else(|| "-".into(), six_digits),
        }
    }

    /// How two runs follow each other; what is missing comes last.
    fn order(self, a: &RunLine, b: &RunLine) -> Ordering {
        let texts = || self.text(a).cmp(&self.text(b));
        match self {
            State => a.state.cmp(&b.state),
            Begun => (a.begun.is_none(), &a.begun).cmp(&(b.begun.is_none(), &b.begun)),
            Run => a.run.cmp(&b.run),
            Model | Data => texts(),
            _ => match (self.number(a), self.number(b)) {
                (Some(x), Some(y)) if matches!(self, ValAccuracy | ValMeanIou | TestAccuracy) => y.total_cmp(&x),
                (Some(x), Some(y)) => x.total_cmp(&y),
                (x, y) => y.is_some().cmp(&x.is_some()),
            },
        }
    }
}

/// Reads, sorts and prints.
pub fn run(args: RunsArgs) -> Result<()> {
    let mut found = Runs::find(&args.folder)?;
    // The sort is stable: runs that are alike stay in the order of their dates.
    found.runs.sort_by(|a, b| args.sort.order(a, b));
    if args.json {
        let text = serde_json::to_string(&found).map_err(|e| Error::failed(format!("runs: {e}")))?;
        return print(&(text + "\n"));
    }
    let out = Term::stdout();
    let width =
        if out.is_term() { out.size_checked().map_or(80, |(_, columns)| usize::from(columns)) } else { usize::MAX };
    if found.runs.is_empty() {
        crate::cli::say(&format!("no runs in {}", args.folder.display()));
    } else {
        print(&table(&found.runs, width))?;
    }
    for skipped in &found.skipped {
        let (path, why) = (skipped.path.display().to_string(), &skipped.why);
        // Most errors name the file themselves.
        let line = if why.starts_with(&path) { why.clone() } else { format!("{path}: {why}") };
        crate::cli::say(&format!("note: left out: {line}"));
    }
    if !found.skipped.is_empty() {
        crate::cli::say(&format!(
            "note: {} of {} could not be read",
            found.skipped.len(),
            found.skipped.len() + found.runs.len()
        ));
    }
    Ok(())
}

/// The runs as a table of at most `width` columns, with notes below it.
fn table(runs: &[RunLine], width: usize) -> String {
    let used = |column: &Column| column.is_text() || runs.iter().any(|run| column.number(run).is_some());
    let mut columns: Vec<Column> = ALL.into_iter().filter(used).collect();
    let wide = |column: Column| {
        let cells = runs.iter().map(|run| column.text(run).chars().count());
        cells.max().unwrap_or(0).max(column.title().len())
    };
    let total = |columns: &[Column]| columns.iter().map(|column| wide(*column) + 2).sum::<usize>().saturating_sub(2);
    let mut left_out = Vec::new();
    for least in LEAST {
        if total(&columns) <= width {
            break;
        }
        let before = columns.len();
        columns.retain(|column| *column != least);
        left_out.extend((columns.len() < before).then_some(least.title()));
    }
    // A path that is wider than all of the terminal is cut at its front.
    let cell = |column: Column, text: String| {
        let wide = wide(column).min(width);
        let long = text.chars().count();
        let text = if long > wide { "…".chars().chain(text.chars().skip(long + 1 - wide)).collect() } else { text };
        if column.is_text() { format!("{text:<wide$}") } else { format!("{text:>wide$}") }
    };
    let line = |cell: &dyn Fn(Column) -> String| {
        let cells: Vec<String> = columns.iter().map(|column| cell(*column)).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(&|column| cell(column, column.title().into()));
    for run in runs {
        text += &line(&|column| cell(column, column.text(run)));
    }
    let mut notes = Vec::new();
    if runs.iter().any(|run| run.validated_on == "test") {
        notes.push(
            "* there is no validation set: val_ is the test set in the best epoch, test_ the same set with the saved model".to_owned(),
        );
    }
    if !left_out.is_empty() {
        left_out.reverse();
        notes.push(format!("no room for {}", left_out.join(", ")));
    }
    notes.iter().fold(text, |text, note| text + &crate::cli::terminal::lines::wrapped(note, width) + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::runs::State;
    use serde_json::json;

    fn run(name: &str, loss: f64, accuracy: Option<f64>) -> RunLine {
        let best = json!({ "epoch": 2, "val_loss": loss, "val_accuracy": accuracy });
        RunLine {
            run: name.into(),
            model: "mnist-cnn".into(),
            data: "mnist".into(),
            state: State::Finished,
            epochs: 3,
            of: 10,
            validated_on: "validation",
            best: best.as_object().cloned(),
            last: None,
            test: None,
            seconds: 65.0,
            begun: Some("2025-03-01T12:30:59Z".into()),
        }
    }

    #[test]
    fn the_table_fits_and_names_what_it_leaves_out() {
        let runs = [run("runs/mnist-cnn/1", 0.25, Some(0.875)), run("runs/mnist-cnn/with-a-long-name", 0.5, None)];
        let whole = table(&runs, usize::MAX);
        assert!(whole.contains("2025-03-01 12:30") && whole.contains("3/10") && !whole.contains("no room"), "{whole}");
        assert!(!whole.contains("test_accuracy"), "no run has one: {whole}");
        for width in [20, 40, 80, 100] {
            let text = table(&runs, width);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
            assert!(text.contains("no room for"), "{width}: {text}");
        }
        assert!(table(&runs, 80).contains("0.8750"), "figures stay longest: {}", table(&runs, 80));
    }

    #[test]
    fn the_best_come_first_and_what_is_missing_last() {
        let mut runs = [run("a", 0.5, None), run("b", 0.25, Some(0.5)), run("c", 0.75, Some(0.9))];
        let mut sorted = |column: Column| {
            runs.sort_by(|a, b| column.order(a, b));
            runs.iter().map(|run| run.run.display().to_string()).collect::<String>()
        };
        assert_eq!([sorted(ValLoss), sorted(ValAccuracy), sorted(Run)], ["bac", "cba", "abc"]);
    }
}
