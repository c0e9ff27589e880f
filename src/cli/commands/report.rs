//! `wgrad report`: rewrites a run's page, or compares several runs on one page; also the page at the end of a run.

use crate::cli::save;
use crate::data::Dataset;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::files::check_output;
use crate::model::Model;
use crate::model::formats::weights::Weights;
use crate::report::folder::RunRecord;
use crate::report::{Findings, ReportData, gather, page};
use crate::train::epochs::trainer::Trainer;
use crate::train::pairing::check_data;
use crate::train::run::RunConfig;
use crate::train::run::checkpoints::Checkpoints;
use crate::train::run::history::{History, quoted};
use clap::Args;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The page of a run, in its folder.
const PAGE: &str = "report.html";

/// The page of several, where no other is named.
pub(in crate::cli) const COMPARISON: &str = "comparison.html";

/// Rewrite a run's report.html, or compare several runs on one page
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wgrad report runs/mnist-cnn/1\n  wgrad report runs/mnist-cnn/1 runs/mnist-deep/1 --out both.html"
)]
pub struct ReportArgs {
    /// Run folders
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The file to write, or - for stdout [default: report.html in the run's folder; of several runs comparison.html]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The device that evaluates the test set and times the kernels [default: the device of the run]
    #[arg(long, value_name = "D")]
    device: Option<String>,
}

/// Reads, works out and writes.
pub fn run(args: ReportArgs) -> Result<()> {
    args.out.iter().try_for_each(|out| check_output(out, "html"))?;
    let device = args.device.as_deref();
    let (page, out) = match &args.runs[..] {
        [folder] => remade(folder, device, args.out)?,
        folders => {
            let runs: Result<Vec<RunRecord>> = folders.iter().map(|run| Ok(RunRecord::read(run)?.0)).collect();
            let out = args.out.unwrap_or_else(|| COMPARISON.into());
            (ReportData::comparing(runs?), out)
        }
    };
    save(&out, page::html(&page)?.as_bytes())
}

/// Writes the page that compares runs under these names, and returns what it was made of.
pub(in crate::cli) fn compare(runs: &[(String, &Path)], out: &Path) -> Result<Vec<RunRecord>> {
    let read = |(name, run): &(String, &Path)| Ok(RunRecord { name: name.clone(), ..RunRecord::read(run)?.0 });
    let records = runs.iter().map(read).collect::<Result<Vec<_>>>()?;
    page::write(&ReportData::comparing(records.clone()), out)?;
    Ok(records)
}

/// Whether a run has its page.
pub(in crate::cli) fn exists(folder: &Path) -> bool {
    folder.join(PAGE).exists()
}

/// Writes the page of a run again into its folder, and says what is missing from it.
pub(in crate::cli) fn again(folder: &Path) -> Result<()> {
    let (page, out) = remade(folder, None, None)?;
    page::write(&page, &out)
}

/// The page of a run again, and where it is to be written; says what is missing from it.
fn remade(folder: &Path, device: Option<&str>, out: Option<PathBuf>) -> Result<(ReportData, PathBuf)> {
    let (data, fault) = single(folder, device)?;
    if let Some(why) = fault.filter(|_| out.is_none() && exists(folder)) {
        let page = folder.join(PAGE);
        let why = format!(
            "{}: left as it is, since a new one would say less: {why}; --out FILE.html writes one with the curves alone",
            page.display()
        );
        return Err(Error::input(why));
    }
    // One reason may stand for several parts.
    for why in data.findings.missing.values().collect::<BTreeSet<_>>() {
        crate::cli::say(&format!("note: {why}"));
    }
    Ok((data, out.unwrap_or_else(|| folder.join(PAGE))))
}

/// The report of one run: at least its curves, and as many findings about its net as possible.
///
/// Also returns why the net could not be measured.
fn single(folder: &Path, device: Option<&str>) -> Result<(ReportData, Option<Error>)> {
    let (record, config) = RunRecord::read(folder)?;
    let mut fault = None;
    let findings = match net(folder, &config) {
        Ok((model, weights, data)) => {
            let (device, _) = crate::cli::open(crate::cli::request(device, config.device.as_deref())?, config.threads)?;
            let mut trainer = Trainer::new(&device, &model, &data, &config.train, Some(&weights))?;
            findings(&mut trainer, &device, &config, &model, &weights, &data)?
        }
        // The curves are there whatever became of data and weights.
        Err(error) => {
            let mut findings = Findings::default();
            for part in ["confusion", "mistakes", "filters", "maps", "timings"] {
                findings.lacks(part, error.to_string());
            }
            fault = Some(error);
            findings
        }
    };
    Ok((ReportData::of(record, findings), fault))
}

/// The net that a run left, or that it has come to where it was stopped, and the data that it was trained on.
fn net(folder: &Path, config: &RunConfig) -> Result<(Model, Weights, Dataset)> {
    let last = Checkpoints::of(folder).path("last");
    let file = Some(folder.join("model.safetensors")).filter(|file| file.exists() || !last.exists()).unwrap_or(last);
    let (model, weights) = Weights::load(&file)?;
    let model = model.ok_or_else(|| Error::input(format!("{}: it does not describe its model", file.display())))?;
    weights.check_against(&model).map_err(|e| Error::input(format!("{}: {e}", file.display())))?;
    config.check_net(&model.name).map_err(|e| Error::input(format!("{}: {e}", file.display())))?;
    let history = History::read(folder)?.unwrap_or_default();
    let place = history.data.clone().unwrap_or_else(|| config.data.clone());
    let data = crate::cli::commands::session::load_data(&RunConfig { data: place, ..config.clone() }, None)?;
    if let Some(why) = history.change_of(&data.test)? {
        return Err(Error::input(format!("data {}: {why}", config.data)));
    }
    check_data(&model, &data)?;
    Ok((model, weights, data))
}

/// The findings about the net of a run for its page; the trainer cannot be used afterwards.
pub fn findings(
    trainer: &mut Trainer,
    device: &Device,
    config: &RunConfig,
    model: &Model,
    weights: &Weights,
    data: &Dataset,
) -> Result<Findings> {
    pollster::block_on(gather(trainer, &device.name(), config.train.batch_size, model, weights, data))
}

/// Writes the page of a run into its folder.
///
/// # Errors
/// As [`page::write`], with the command that writes it again.
pub fn write(folder: &Path, findings: Findings) -> Result<PathBuf> {
    let (record, _) = RunRecord::read(folder)?;
    let path = folder.join(PAGE);
    let written = page::write(&ReportData::of(record, findings), &path);
    let again =
        |e| Error::failed(format!("{e}; the model is saved, and wgrad report {} writes the page", quoted(folder)));
    written.map_err(again).map(|()| path)
}
