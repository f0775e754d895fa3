//! Errors of calls.

use std::borrow::Cow;

use derive_more::Display;

use crate::{budgets::OverBudget, features::tool_error::ToolError};
use mcp_protocol::rpc_error::{RpcError, code};
use resource_server::{
    cause::Cause,
    scope::{ScopeSet, Scopes},
};

/// Why a call has no answer.
#[derive(Debug, Display)]
pub(crate) enum Failure {
    /// The request is invalid: a JSON-RPC error.
    #[display("{}", _0.message)]
    Rpc(RpcError),
    /// The token lacks a scope. The feature has not run.
    #[display("insufficient scope")]
    Forbidden {
        /// All scopes that this call needs.
        needed: ScopeSet,
    },
    /// The server is at capacity.
    #[display("busy")]
    Busy,
    /// The user has as much under way as one user may.
    #[display("{message}")]
    ShareUsedUp {
        /// The message for the client.
        message: Cow<'static, str>,
    },
    /// Something that the feature depends on is unreachable, or did not finish in time.
    #[display("{message}")]
    Unavailable {
        /// The error code for the client.
        code: &'static str,
        /// The message for the client.
        message: Cow<'static, str>,
        /// The cause, which is only logged.
        source: Cause,
    },
    /// An error of the server.
    #[display("internal error")]
    Internal {
        /// The cause, which is only logged.
        source: Cause,
    },
}

impl Failure {
    /// The failure as a JSON-RPC error, where no HTTP status can be sent: at the end of a stream, or in a
    /// batch. The cause is logged, not sent.
    #[must_use]
    pub(crate) fn in_band(self, scopes: &Scopes) -> RpcError {
        let (text, cause) = match self {
            Self::Rpc(error) => return error,
            Self::Forbidden { needed } => {
                let needed = scopes.list(needed);
                return RpcError::invalid_request(format!("This needs a token with: {needed}"));
            }
            Self::Busy => ("The server is busy; try again soon".into(), None),
            Self::ShareUsedUp { message } => (message, None),
            Self::Unavailable {
                message, source, ..
            } => (message, Some(source)),
            Self::Internal { source } => {
                ("Something went wrong on the server".into(), Some(source))
            }
        };
        log::warn!(
            "a call failed after its response had begun: {text}{}",
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

impl From<OverBudget> for Failure {
    fn from(over: OverBudget) -> Self {
        Self::Rpc(RpcError::new(code::INTERNAL_ERROR, over.to_string()))
    }
}

/// The failure of a feature that has no sentence for the model.
pub(crate) fn failure(error: ToolError) -> Failure {
    match sentence(error) {
        Ok(text) => Failure::Internal {
            source: Cause::new(text),
        },
        Err(failure) => failure,
    }
}

/// The sentence for the model if the model or the user can correct the error.
pub(crate) fn sentence(error: ToolError) -> Result<String, Failure> {
    Err(match error {
        ToolError::Refused(reason) | ToolError::NotFound(reason) => return Ok(reason),
        ToolError::Busy => Failure::Busy,
        ToolError::ShareUsedUp { message } => Failure::ShareUsedUp { message },
        ToolError::Unavailable { message, source } => Failure::Unavailable {
            code: "temporarily_unavailable",
            message,
            source,
        },
        ToolError::TimedOut { message, source } => Failure::Unavailable {
            code: "timed_out",
            message,
            source,
        },
        ToolError::Internal { source } => Failure::Internal { source },
        ToolError::NeedsClient(_) => Failure::Internal {
            source: Cause::new("a feature that only reads needs the client"),
        },
    })
}

pub(crate) fn unknown(what: &str, name: &str) -> RpcError {
    let name: String = name.chars().take(128).collect();
    RpcError::invalid_params(format!("Unknown {what}: {name}"))
}
