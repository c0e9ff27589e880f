//! `--watch`: the live page of a run.

use crate::cli::terminal::interrupt::Interrupt;
use crate::error::Result;
use crate::report::Findings;
use crate::report::folder::RunRecord;
use crate::train::epochs::trainer::Event;
use crate::train::session::Session;
use crate::train::settings::flags::RUN;
use crate::train::state::snapshot::Snapshot;
use crate::watch::live::Live;
use crate::watch::server::{Bound, Server};
use clap::Args;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

/// The live page's flags.
#[derive(Clone, Debug, Args)]
pub struct WatchArgs {
    /// Serve a live report on 127.0.0.1 during training, where the net answers for a drawing, a picture or a text
    #[arg(long, help_heading = RUN)]
    watch: bool,
    /// The port of the live page; 0 takes any free one [default: 6174, or the next free one]
    #[arg(long, value_name = "N", requires = "watch", help_heading = RUN)]
    port: Option<u16>,
}

impl WatchArgs {
    /// Whether the page is requested.
    pub(in crate::cli) fn is_asked(&self) -> bool {
        self.watch
    }

    /// Takes the port before any work is done; `None` without `--watch`.
    pub fn bind(&self) -> Result<Option<Bound>> {
        if self.watch { Bound::new(self.port).map(Some) } else { Ok(None) }
    }
}

/// A live page that is served; it stops when this is dropped.
pub struct Watching {
    live: Arc<Live>,
    address: String,
    _server: Server,
}

impl Watching {
    /// Begins to serve the page of a run, and has the trainer share its weights with it.
    pub(in crate::cli) fn begin(bound: Bound, session: &mut Session) -> Result<Watching> {
        let Session { config, model, data, device_json, trainer, folder, .. } = session;
        let snapshot = Arc::new(Snapshot::default());
        pollster::block_on(trainer.share(snapshot.clone()))?;
        let mut record = RunRecord::begun(folder.path(), config, device_json)?;
        let samples = trainer.samples(data);
        (record.samples, record.validated_apart) = (Some(samples), samples.validation.is_some());
        let live = Arc::new(Live::new(model, data, record, config.train.epochs, snapshot)?);
        let address = bound.address();
        let server = bound.serve(live.clone())?;
        crate::cli::say(&format!("live page: {address}"));
        Ok(Watching { live, address, _server: server })
    }

    /// Tells the page what happened.
    pub fn event(&self, event: &Event) {
        self.live.event(event);
    }

    /// Tells the page that the run has ended. Where a person sits at a terminal the page stays until Ctrl-C, else it goes
    /// with the command.
    pub(in crate::cli) fn end(self, findings: Findings, interrupt: &Interrupt) {
        self.live.end("training has ended", Some(findings));
        if std::io::stdin().is_terminal() {
            crate::cli::say(&format!("the live page stays at {} until Ctrl-C", self.address));
            while !interrupt.asked() {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}
