//! Why a feature gives no result.

use std::{borrow::Cow, error::Error};

use derive_more::{Debug, Display};

use super::conversation::NeedsClient;
use resource_server::cause::Cause;

/// Why a tool, a resource, a prompt or a completion gives no result.
#[derive(Debug, Display)]
pub enum ToolError {
    /// The arguments break a rule, or what was asked for cannot be done: a sentence for the model that
    /// says why. A tool answers it with `isError` (MCP, Tools, Error Handling), everything else with
    /// `-32602`.
    #[display("{_0}")]
    Refused(String),
    /// There is nothing of that id for this user, whether it never was, is gone or belongs to somebody
    /// else: a sentence for the model that says which. A resource is answered as one that is not there.
    #[display("{_0}")]
    NotFound(String),
    /// As much is under way as the server can take; HTTP 503, to be tried again soon.
    #[display("busy")]
    Busy,
    /// Something that the feature needs cannot be reached; HTTP 503, to be tried again later.
    #[display("{message}: {source}")]
    Unavailable {
        /// What the client reads.
        message: Cow<'static, str>,
        /// Why, for the log alone.
        source: Cause,
    },
    /// The server is at fault; HTTP 500.
    #[display("internal error: {source}")]
    Internal {
        /// Why, for the log alone.
        source: Cause,
    },
    /// The client has to do something first, such as to ask its user.
    #[display("needs the client")]
    NeedsClient(#[debug(skip)] NeedsClient),
}

impl ToolError {
    /// What was asked for cannot be done, and this sentence says why.
    #[must_use]
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
    }

    /// There is nothing of that id, and this sentence says so.
    #[must_use]
    pub fn not_found(reason: impl Into<String>) -> Self {
        Self::NotFound(reason.into())
    }

    /// Something that the feature needs cannot be reached. The message is for the client, the source
    /// for the log.
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

    /// The server is at fault. The source is for the log alone.
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
