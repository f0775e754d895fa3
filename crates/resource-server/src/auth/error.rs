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

/// The introspection actor has stopped.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
#[display("the introspection actor has stopped")]
pub struct Stopped;
