//! The closing table of a sweep: each setting with the mean and the standard deviation over its seeds, the best first.

use super::Point;
use crate::cli::terminal::lines::{clock, six_digits};
use crate::report::folder::RunRecord;
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// The metrics shown for a run, and whether more is better; the first one that the runs have ranks the settings.
const FIGURES: [(&str, bool); 7] = [
    ("val_mean_iou", true),
    ("val_accuracy", true),
    ("val_mae", false),
    ("val_loss", false),
    ("test_mean_iou", true),
    ("test_accuracy", true),
    ("test_loss", false),
];

/// A setting with its runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Settings {
    /// The learning rate, where the sweep has several.
    lr: Option<f64>,
    /// The seeds of its runs that are finished.
    seeds: Vec<u64>,
    /// The folders of these.
    runs: Vec<PathBuf>,
    /// Figures by name: of the epoch whose weights each run leaves, and of the test set at the end.
    figures: Vec<Figure>,
    /// Seconds of all its runs together.
    seconds: f64,
}

/// A figure over the seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Figure {
    name: &'static str,
    mean: f64,
    /// The standard deviation of a sample; none of a single run.
    deviation: Option<f64>,
}

impl Figure {
    /// The mean and the deviation of values, summed in their order.
    fn of(name: &'static str, values: &[f64]) -> Figure {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        let deviation = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
        Figure { name, mean, deviation }
    }
}

/// A figure of a run, where it has it.
fn value(record: &RunRecord, name: &str) -> Option<f64> {
    let of = |line: Option<&Map<String, Value>>, key: &str| line?.get(key)?.as_f64();
    match name.strip_prefix("test_") {
        Some(key) => of(record.test.as_ref(), key),
        None => of(record.left(), name),
    }
}

impl Settings {
    /// The settings of finished runs, the best first.
    pub(super) fn of(done: &[(Point, PathBuf)], records: &[RunRecord]) -> Vec<Settings> {
        let mut rates: Vec<Option<f64>> = Vec::new();
        for (point, _) in done {
            if !rates.contains(&point.lr) {
                rates.push(point.lr);
            }
        }
        let mut all: Vec<Settings> = rates.into_iter().map(|lr| Settings::with(lr, done, records)).collect();
        all.sort_by(|a, b| match (a.figures.first(), b.figures.first()) {
            (Some(x), Some(y)) if FIGURES.contains(&(x.name, true)) => y.mean.total_cmp(&x.mean),
            (Some(x), Some(y)) => x.mean.total_cmp(&y.mean),
            (x, y) => y.is_some().cmp(&x.is_some()),
        });
        all
    }

    fn with(lr: Option<f64>, done: &[(Point, PathBuf)], records: &[RunRecord]) -> Settings {
        let own: Vec<(&(Point, PathBuf), &RunRecord)> =
            done.iter().zip(records).filter(|((point, _), _)| point.lr == lr).collect();
        let figure = |(name, _): (&'static str, bool)| {
            let values: Vec<f64> = own.iter().filter_map(|(_, record)| value(record, name)).collect();
            // A mean over some of the runs would be of another kind.
            (values.len() == own.len()).then(|| Figure::of(name, &values))
        };
        Settings {
            lr,
            seeds: own.iter().map(|((point, _), _)| point.seed).collect(),
            runs: own.iter().map(|((_, run), _)| run.clone()).collect(),
            figures: FIGURES.into_iter().filter_map(figure).collect(),
            seconds: own.iter().filter_map(|(_, record)| record.seconds).sum(),
        }
    }
}

/// The table for people, the best first.
pub(super) fn text(settings: &[Settings]) -> String {
    let names: Vec<&str> = FIGURES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| settings.iter().any(|one| one.figures.iter().any(|figure| figure.name == *name)))
        .collect();
    let rates = settings.iter().any(|one| one.lr.is_some());
    let mut rows = vec![
        rates
            .then(|| "lr".to_owned())
            .into_iter()
            .chain(["runs".into()])
            .chain(names.iter().map(|name| (*name).into()))
            .chain(["time".into()])
            .collect::<Vec<_>>(),
    ];
    for one in settings {
        let figure = |name: &&str| {
            let found = one.figures.iter().find(|figure| figure.name == *name);
            found.map_or_else(
                || "-".into(),
                |Figure { mean, deviation, .. }| {
                    let show = |x: f64| {
                        if name.ends_with("loss") || name.ends_with("mae") { six_digits(x) } else { format!("{x:.4}") }
                    };
                    show(*mean) + &deviation.map_or_else(String::new, |deviation| format!(" ± {}", show(deviation)))
                },
            )
        };
        let lr = rates.then(|| one.lr.map_or_else(|| "-".into(), |lr| lr.to_string()));
        let head = lr.into_iter().chain([one.seeds.len().to_string()]);
        rows.push(head.chain(names.iter().map(figure)).chain([clock(one.seconds)]).collect());
    }
    let wide =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().enumerate().map(|(at, cell)| format!("{cell:>0$}", wide(at))).collect();
        cells.join("  ") + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::run::RunConfig;
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn means_and_deviations_are_over_the_seeds_and_the_best_comes_first() {
        let points = [(0.1, 0, 0.5), (0.1, 1, 0.75), (0.01, 0, 0.75), (0.01, 1, 0.75)];
        let record = |accuracy: f64| {
            let mut record = RunRecord::begun(Path::new("run"), &RunConfig::default(), "{}").unwrap();
            let line = json!({ "epoch": 1, "val_accuracy": accuracy, "val_loss": 1.0 - accuracy });
            record.epochs.extend(line.as_object().cloned());
            record
        };
        let records: Vec<RunRecord> = points.iter().map(|(_, _, accuracy)| record(*accuracy)).collect();
        let done: Vec<(Point, PathBuf)> =
            points.iter().map(|(lr, seed, _)| (Point { lr: Some(*lr), seed: *seed }, "run".into())).collect();
        let found = Settings::of(&done, &records);
        assert_eq!(found.iter().map(|one| one.lr).collect::<Vec<_>>(), [Some(0.01), Some(0.1)]);
        let figure = &found[1].figures[0];
        // The mean of 1/2 and 3/4, and the deviation √(2 · (1/8)²).
        assert_eq!((figure.name, figure.mean), ("val_accuracy", 0.625));
        assert!((figure.deviation.unwrap() - (2.0f64 / 64.0).sqrt()).abs() < 1e-15);
        assert_eq!(found[0].figures[0].deviation, Some(0.0));
        let text = text(&found);
        assert!(text.contains("0.6250 ± 0.1768") && text.lines().count() == 3, "{text}");
        assert_eq!(
            Settings::of(&done[..1], &records[..1])[0].figures[0].deviation,
            None,
            "of a single run there is none"
        );
    }
}
