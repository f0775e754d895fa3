//! The errors of features.

use std::{borrow::Cow, error::Error};

use derive_more::{Debug, Display};

use super::conversation::NeedsClient;
use resource_server::cause::Cause;

/// Why a tool, a resource, a prompt or a completion has no result.
#[derive(Debug, Display)]
pub enum ToolError {
    /// The arguments are invalid, or the operation is not possible. The sentence is for the model. A tool
    /// responds with `isError` (MCP, Tools, Error Handling), everything else with `-32602`.
    #[display("{_0}")]
    Refused(String),
    /// This user has nothing with that id. The sentence is for the model. A resource responds as if it did
    /// not exist (MCP, Resources, Error Handling).
    #[display("{_0}")]
    NotFound(String),
    /// The server is at capacity; HTTP 503 with a short `Retry-After`.
    #[display("busy")]
    Busy,
    /// The user has as much under way as one user may; HTTP 503 with a short `Retry-After`, for this user alone.
    #[display("{message}")]
    ShareUsedUp {
        /// The message for the client.
        message: Cow<'static, str>,
    },
    /// Something that the feature depends on is unreachable; HTTP 503 with `Retry-After`.
    #[display("{message}: {source}")]
    Unavailable {
        /// The message for the client.
        message: Cow<'static, str>,
        /// The cause, which is only logged.
        source: Cause,
    },
    /// Something that the feature depends on answers, and did not finish in time; HTTP 503 with `Retry-After`, and
    /// another error than that of [`Self::Unavailable`].
    #[display("{message}: {source}")]
    TimedOut {
        /// The message for the client.
        message: Cow<'static, str>,
        /// The cause, which is only logged.
        source: Cause,
    },
    /// An error of the server; HTTP 500.
    #[display("internal error: {source}")]
    Internal {
        /// The cause, which is only logged.
        source: Cause,
    },
    /// The client has to respond first, for example with its user's input.
    #[display("needs the client")]
    NeedsClient(#[debug(skip)] NeedsClient),
}

impl ToolError {
    /// The arguments are invalid, or the operation is not possible, for this reason.
    #[must_use]
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
    }

    /// Nothing has that id; the sentence says so.
    #[must_use]
    pub fn not_found(reason: impl Into<String>) -> Self {
        Self::NotFound(reason.into())
    }

    /// Something that the feature depends on is unreachable. The message is for the client, the source is
    /// only logged.
    #[must_use]
    pub fn unavailable(
        message: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable {
            message: message.into(),
            source: Cause::new(source),
        }
    }

    /// An error of the server. The source is only logged.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal {
            source: Cause::new(source),
        }
    }
}

impl From<NeedsClient> for ToolError {
    fn from(needs: NeedsClient) -> Self {
        Self::NeedsClient(needs)
    }
}
