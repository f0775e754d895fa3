//! Why a token could not be checked.

use std::time::Duration;

use derive_more::{Display, Error};

use crate::{cause::Cause, validation::Refusal};

/// Why a token could not be checked.
#[derive(Clone, Debug, Display, Error)]
pub enum AuthError {
    /// The token is refused; the client needs another one.
    #[display("{_0}")]
    Refused(Refusal),
    /// The limit of concurrent introspections is reached; the request can be repeated.
    #[display("too many concurrent introspections")]
    Busy,
    /// The authorization server cannot be reached. Never the client's fault.
    #[display("the authorization server is unavailable: {source}")]
    IssuerUnavailable {
        /// What went wrong.
        source: Cause,
        /// `Retry-After` of the authorization server, if it sent one.
        retry_after: Option<Duration>,
    },
    /// The authorization server's response about this token cannot be used. It says nothing about others, and
    /// the token is not sent again for a while.
    #[display("the authorization server's answer about the token cannot be used: {source}")]
    Uncheckable {
        /// What is wrong with the response.
        source: Cause,
        /// For how long the token is not sent again.
        retry_after: Duration,
    },
    /// The authorization server's response cannot be used. Never the client's fault.
    #[display("invalid response from the authorization server: {source}")]
    InvalidResponse {
        /// What is wrong with the response.
        source: Cause,
    },
}

impl AuthError {
    /// The same, with the URL that was asked, for the log.
    pub(crate) fn at(self, url: &str) -> Self {
        self.with_cause(|cause| format!("{cause}; asked was {url}"))
    }

    /// The same with another cause; what has none stays as it is.
    pub(crate) fn with_cause(self, tell: impl FnOnce(&Cause) -> String) -> Self {
        match self {
            Self::IssuerUnavailable {
                source,
                retry_after,
            } => Self::IssuerUnavailable {
                source: Cause::new(tell(&source)),
                retry_after,
            },
            Self::Uncheckable {
                source,
                retry_after,
            } => Self::Uncheckable {
                source: Cause::new(tell(&source)),
                retry_after,
            },
            Self::InvalidResponse { source } => Self::InvalidResponse {
                source: Cause::new(tell(&source)),
            },
            error @ (Self::Refused(_) | Self::Busy) => error,
        }
    }
}

/// The introspection actor has stopped.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
#[display("the introspection actor has stopped")]
pub struct Stopped;
