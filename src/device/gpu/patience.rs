//! How long submits may take, and the variable that asks for short ones.

use std::time::Duration;

/// How long a submit may take before it counts as hung, unless the device was opened with another patience.
pub const HUNG: Duration = Duration::from_secs(120);

/// A step that takes longer has a submit for every dispatch. Windows resets a device after two seconds with one submit;
/// in between is room for a machine that is eight times as busy in the next step.
pub(crate) const SLOW: Duration = Duration::from_millis(250);

/// The variable that requests every step dispatch by dispatch.
pub const ONE_BY_ONE: &str = "WGRAD_ONE_BY_ONE";
