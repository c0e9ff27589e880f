//! `wgrad trace`: a training step on two executors, op by op, and the first op where they differ.

use crate::cli::{DeviceArgs, open, print};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::verify::trace::{Against, Row, Trace, trace};
use clap::Args;

/// Run a training step on two devices, op by op, and report the first op where they differ
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wgrad trace mnist-cnn\n  wgrad trace net.toml --device gpu --against oracle")]
pub struct TraceArgs {
    /// A preset or a model file
    #[arg(default_value = "mnist-cnn")]
    model: String,
    #[command(flatten)]
    device: DeviceArgs,
    /// The other device, as in --device, or oracle: the formulas in double precision
    #[arg(long, default_value = "cpu", value_name = "D|oracle")]
    against: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Traces and prints; a difference beyond rounding is status 1.
pub fn run(args: TraceArgs) -> Result<()> {
    let model = Model::without_data(&args.model)?;
    let (device, _) = args.device.open()?;
    let other = match args.against.as_str() {
        "oracle" => None,
        name => Some(open(name.parse()?, args.device.threads)?.0),
    };
    let against = other.as_ref().map_or(Against::Oracle, Against::Device);
    let found = trace(&device, against, &model, false)?;
    print(&match args.json {
        true => {
            let first = found.first().map(|row| row.node);
            let all = serde_json::json!({
                "model": found.model, "device": found.device, "against": found.against, "ops": found.ops,
                "first": first, "passed": first.is_none(),
            });
            format!("{all}\n")
        }
        false => table(&found),
    })?;
    verdict(&found)
}

fn table(found: &Trace) -> String {
    let Trace { model, device, against, ops } = found;
    let mut text = format!("{model}, one training step: {device} against {against}\n");
    text += &format!("{:>4} {:20} {:28} {:>11} {:>9}  verdict\n", "node", "op", "result", "difference", "tolerance");
    for Row { node, op, tensor, shape, worst_error, tolerance, verdict, .. } in ops {
        let result = format!("{tensor} {shape:?}");
        text += &format!("{node:4} {op:20} {result:28} {worst_error:11.2e} {tolerance:9.2e}  {verdict}\n");
    }
    text
}

fn verdict(found: &Trace) -> Result<()> {
    let Some(Row { node, op, tensor, kernels, worst_error, tolerance, .. }) = found.first() else { return Ok(()) };
    let Trace { device, against, .. } = found;
    let kernels = if kernels.is_empty() { String::new() } else { format!(" (kernel {})", kernels.join(", ")) };
    Err(Error::failed(format!(
        "{device} differs from {against}, first at node {node}, op {op}{kernels}: {tensor} is {worst_error:.2e} off, \
         {tolerance:.2e} is expected at most"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_status_1_and_named() {
        let row = |node, op: &str, verdict| Row {
            node,
            op: op.into(),
            tensor: "y".into(),
            shape: vec![2, 3],
            kernels: vec!["relu".into()],
            worst_error: 0.5,
            tolerance: 1e-6,
            verdict,
        };
        let trace = |ops| Trace { model: "m".into(), device: "a".into(), against: "b".into(), ops };
        assert!(verdict(&trace(vec![row(0, "add", "pass")])).is_ok());
        let found = trace(vec![row(0, "add", "pass"), row(1, "relu", "fail"), row(2, "scale", "fail")]);
        let error = verdict(&found).unwrap_err();
        assert_eq!(
            error,
            Error::failed(
                "a differs from b, first at node 1, op relu (kernel relu): y is 5.00e-1 off, 1.00e-6 is expected at most"
            )
        );
        assert_eq!(table(&found).lines().count(), 5);
    }
}
