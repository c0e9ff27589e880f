//! Ctrl-C and the system's request to end: the first lets the step finish, the second stops at once.

use crate::error::{Error, Result};
use crate::sys::with_nohup;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit status after an interruption, as shells have it.
pub(in crate::cli) const STATUS: u8 = 130;

/// Whether the user requested a stop.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Watches for Ctrl-C, SIGTERM and SIGHUP from now on; for the last not under `nohup`.
    pub(in crate::cli) fn watch() -> Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        let seen = asked.clone();
        let handler = move || {
            if seen.swap(true, Ordering::SeqCst) {
                exit(STATUS.into());
            }
            crate::cli::say("\nstopping after this step; Ctrl-C again stops at once");
        };
        let watching = with_nohup(|| ctrlc::set_handler(handler));
        watching.map_err(|e| Error::failed(format!("Ctrl-C cannot be watched for: {e}")))?;
        Ok(Interrupt(asked))
    }

    /// Whether the work is to stop.
    pub(in crate::cli) fn asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
