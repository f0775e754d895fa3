//! Why there is no answer, and what is said of it.

use std::borrow::Cow;

use derive_more::Display;

use crate::features::tool_error::ToolError;
use mcp_protocol::jsonrpc::{RpcError, code};
use resource_server::{
    cause::Cause,
    scope::{ScopeSet, Scopes},
};

/// Why there is no answer.
#[derive(Debug, Display)]
pub enum Failure {
    /// The request is wrong, in the protocol's words.
    #[display("{}", _0.message)]
    Rpc(RpcError),
    /// The token lacks a scope. Found before anything ran.
    #[display("insufficient scope")]
    Forbidden {
        /// Everything that this call needs.
        needed: ScopeSet,
    },
    /// As much is under way as may be; try again soon.
    #[display("busy")]
    Busy,
    /// Something that the feature needs is out of reach; try again later.
    #[display("{message}")]
    Unavailable {
        /// What the client reads.
        message: Cow<'static, str>,
        /// Why, for the log alone.
        source: Cause,
    },
    /// The server is at fault.
    #[display("internal error")]
    Internal {
        /// Why, for the log alone.
        source: Cause,
    },
}

impl Failure {
    /// The failure as a message among others, where no status can say it: at the end of a stream, or in
    /// a batch. The words for what is not the client's fault are fixed; the cause is for the log.
    #[must_use]
    pub fn in_band(self, scopes: &Scopes) -> RpcError {
        let (text, cause) = match self {
            Self::Rpc(error) => return error,
            Self::Forbidden { needed } => {
                let needed = scopes.list(needed);
                return RpcError::invalid_request(format!("This needs a token with: {needed}"));
            }
            Self::Busy => ("The server is busy; try again soon".into(), None),
            Self::Unavailable { message, source } => (message, Some(source)),
            Self::Internal { source } => {
                ("Something went wrong on the server".into(), Some(source))
            }
        };
        log::warn!(
            "a call failed where no status could say so: {text}{}",
            cause.map(|cause| format!(": {cause}")).unwrap_or_default()
        );
        RpcError::new(code::INTERNAL_ERROR, text)
    }
}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Self {
        Self::Rpc(error)
    }
}

/// What went wrong where nothing that was asked can mend it.
pub(crate) fn failure(error: ToolError) -> Failure {
    match sentence(error) {
        Ok(text) => Failure::Internal {
            source: Cause::new(text),
        },
        Err(failure) => failure,
    }
}

/// The sentence for what the model or the user can mend; the rest is the client's or the operator's
/// business.
pub(crate) fn sentence(error: ToolError) -> Result<String, Failure> {
    Err(match error {
        ToolError::Refused(reason) | ToolError::NotFound(reason) => return Ok(reason),
        ToolError::Busy => Failure::Busy,
        ToolError::Unavailable { message, source } => Failure::Unavailable { message, source },
        ToolError::Internal { source } => Failure::Internal { source },
        ToolError::NeedsClient(_) => Failure::Internal {
            source: Cause::new("a feature needs the client where there is none to ask"),
        },
    })
}

pub(crate) fn unknown(what: &str, name: &str) -> RpcError {
    let name: String = name.chars().take(128).collect();
    RpcError::invalid_params(format!("Unknown {what}: {name}"))
}
