//! Why there was no test at all. What goes wrong within one stands in its report.

use std::{io, path::PathBuf};

use derive_more::{Display, Error};

/// Why a test did not take place.
#[derive(Debug, Display, Error)]
pub enum LoadError {
    /// What was asked for cannot be.
    #[display("{_0}")]
    Usage(#[error(not(source))] String),
    /// The server, or who gives the tokens, does not answer.
    #[display("{what} cannot be reached: {why}")]
    Unreachable {
        /// Which of them.
        what: String,
        /// What came instead of an answer.
        why: String,
    },
    /// The server answers, but refuses the first request.
    #[display("the server refuses the first request: {_0}")]
    Refused(#[error(not(source))] String),
    /// A file cannot be read or written.
    #[display("{}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system refuses what the test itself needs.
    #[display("{_0}")]
    Io(io::Error),
}

impl LoadError {
    /// The exit code (sysexits.h).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::File { .. } => 64,
            Self::Unreachable { .. } => 69,
            Self::Io(_) => 71,
            Self::Refused(_) => 1,
        }
    }
}
