//! Settings of a server and the errors of its start.

use std::{io, net::SocketAddr, time::Duration};

use derive_more::{Display, Error, From};

use crate::features::declaration::DeclarationError;
use resource_server::{guard::GuardError, url::UrlFault};

/// Why a server does not start.
#[derive(Debug, Display, Error, From)]
pub enum StartError {
    /// A feature is declared incorrectly.
    #[display("{_0}")]
    Declaration(DeclarationError),
    /// The public URL cannot identify a resource (RFC 9728 §1.2).
    #[display("the public URL {_0}")]
    #[from(ignore)]
    PublicUrl(UrlFault),
    /// An issuer or a scope is declared incorrectly.
    #[display("{_0}")]
    Guard(GuardError),
    /// A setting is invalid; the message names it.
    #[display("{_0}")]
    #[from(ignore)]
    Setting(#[error(not(source))] String),
    /// The address of a listener besides the main one cannot be listened on.
    #[display("cannot listen on {address} for {listener}: {source}")]
    #[from(ignore)]
    Listen {
        /// The listener.
        listener: Listener,
        /// Its address.
        address: SocketAddr,
        /// The error of the operating system, such as an address in use.
        source: io::Error,
    },
    /// Another error of the operating system.
    #[display("{_0}")]
    Io(io::Error),
}

impl From<StartError> for io::Error {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Io(error) => error,
            StartError::Listen { ref source, .. } => Self::new(source.kind(), error),
            // As a sentence: a `main` that returns it prints it with `Debug`.
            other => Self::new(io::ErrorKind::InvalidInput, other.to_string()),
        }
    }
}

/// A listener besides the main one.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub enum Listener {
    /// That of metrics.
    #[display("metrics")]
    Metrics,
    /// That of operators.
    #[display("operators")]
    Operators,
}

/// Whether DPoP proofs (RFC 9449) are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DpopMode {
    /// No: tokens that are bound to a key are refused.
    Off,
    /// Proofs are required for tokens that are bound to a key.
    #[default]
    On,
    /// Like `On`, and each proof must contain a nonce of this server (RFC 9449 §9).
    Nonce,
}

/// The keys that encrypt request states and the ids of sessions. All processes behind one URL need the same ones.
#[derive(Clone)]
pub struct SealingKeys {
    /// Encrypts and decrypts.
    pub current: [u8; 32],
    /// Decrypts only: for what was issued before the keys were rotated.
    pub previous: Option<[u8; 32]>,
}

/// Limits of open `subscriptions/listen` streams.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// Open streams of all users.
    pub in_all: usize,
    /// Open streams of one user.
    pub per_user: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            in_all: 20_000,
            per_user: 100,
        }
    }
}

/// How a server shuts down.
#[derive(Clone, Copy, Debug)]
pub struct DrainSettings {
    /// The time limit of the whole shutdown, `delay` included.
    pub timeout: Duration,
    /// How long the server keeps serving while `/readyz` reports that it is not ready, so that load balancers
    /// notice.
    pub delay: Duration,
}

impl Default for DrainSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(25),
            delay: Duration::ZERO,
        }
    }
}

/// Timeouts of exchanges with clients. The defaults are right for production; tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimits {
    /// For receiving the body of a request.
    pub body: Duration,
    /// How long a body may take before 4 KiB of it must come in each further second.
    pub body_begin: Duration,
    /// For the rest of a request's head that has begun, on a connection that has been used before.
    pub head: Duration,
    /// How long a client may take nothing of what is being sent to it.
    pub write: Duration,
    /// The longest silence on an event stream before a comment is sent. It must be shorter than the idle
    /// timeout of proxies, which is usually 30 s or more.
    pub heartbeat: Duration,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            body: Duration::from_secs(30),
            body_begin: Duration::from_secs(5),
            head: Duration::from_secs(20),
            write: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
        }
    }
}
