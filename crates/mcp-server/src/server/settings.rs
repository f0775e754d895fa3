//! What a server can be told besides its features.

use std::{io, time::Duration};

use derive_more::{Display, Error, From};

use crate::features::declaration::DeclarationError;
use resource_server::{guard::GuardError, url::UrlFault};

/// Why a server does not start.
#[derive(Debug, Display, Error, From)]
pub enum StartError {
    /// A feature or a scope is declared wrongly.
    #[display("{_0}")]
    Declaration(DeclarationError),
    /// The public URL cannot identify a resource.
    #[display("the public URL {_0}")]
    #[from(ignore)]
    PublicUrl(UrlFault),
    /// An issuer or a scope is declared wrongly.
    #[display("{_0}")]
    Guard(GuardError),
    /// A setting cannot be used; the sentence names it.
    #[display("{_0}")]
    #[from(ignore)]
    Setting(#[error(not(source))] String),
    /// The operating system refuses something.
    #[display("{_0}")]
    Io(io::Error),
}

impl From<StartError> for io::Error {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Io(error) => error,
            other => Self::new(io::ErrorKind::InvalidInput, other),
        }
    }
}

/// Whether proofs of a token's key are accepted (DPoP, RFC 9449).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DpopMode {
    /// No: tokens that are bound to a key cannot be used.
    Off,
    /// For tokens that are bound to a key.
    #[default]
    On,
    /// The same, and each proof must have a nonce of this server (RFC 9449 §9).
    Nonce,
}

/// The keys that seal what clients carry for the server. The processes behind one URL share them.
#[derive(Clone)]
pub struct SealingKeys {
    /// Seals and opens.
    pub current: [u8; 32],
    /// Opens what was sealed before the keys were changed.
    pub previous: Option<[u8; 32]>,
}

/// How many `subscriptions/listen` streams may be open.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// Streams in all.
    pub in_all: usize,
    /// Streams of one user.
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

/// How a server stops.
#[derive(Clone, Copy, Debug)]
pub struct DrainSettings {
    /// How long all of it may take.
    pub timeout: Duration,
    /// How long the server goes on serving, and says that it is not ready, before it begins to stop.
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

/// How long an exchange with a client may take. Operators have no reason to choose these; tests have one,
/// which is not to wait.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimits {
    /// For the body of a request: 2 MiB, the longest, need no fast line to come within it.
    pub body: Duration,
    /// Without a message on an event stream before a comment is sent: shorter than the 30 s or more after
    /// which proxies close a silent connection.
    pub heartbeat: Duration,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            body: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
        }
    }
}
