//! The two kinds of errors, which the exit status of the command distinguishes.

/// The error of every fallible function of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Bad usage or bad input: nothing was done. Exit status 2.
    #[error("{0}")]
    Input(String),
    /// The work itself failed. Exit status 1.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// Bad usage or bad input, in one sentence.
    pub fn input(message: impl Into<String>) -> Self {
        Error::Input(message.into())
    }

    /// A failure of the work itself, in one sentence.
    pub fn failed(message: impl Into<String>) -> Self {
        Error::Failed(message.into())
    }
}

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The same error, which says where it happened.
pub(crate) fn in_context(place: &str, error: Error) -> Error {
    match error {
        Error::Input(why) => Error::Input(format!("{place}: {why}")),
        Error::Failed(why) => Error::Failed(format!("{place}: {why}")),
    }
}
