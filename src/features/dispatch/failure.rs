//! Why there is no answer, and what is said of it.

use derive_more::Display;

use crate::{
    cause::Cause,
    domain::{journal::JournalError, scope::ScopeSet},
    mcp::jsonrpc::{RpcError, code},
};

/// Why there is no answer.
#[derive(Debug, Display)]
pub enum Failure {
    /// The request is wrong, in the protocol's words.
    #[display("{}", _0.message)]
    Rpc(RpcError),
    /// The token does not reach so far. Found before anything ran.
    #[display("the call needs {needed}")]
    Forbidden {
        /// Everything that this call needs.
        needed: ScopeSet,
    },
    /// As much is under way as may be; try again soon.
    #[display("the journal is busy")]
    Busy,
    /// The journal's database is out of reach; try again later.
    #[display("the journal is unavailable")]
    Unavailable {
        /// Why, for the log alone.
        source: Cause,
    },
    /// Our fault.
    #[display("internal error")]
    Internal {
        /// Why, for the log alone.
        source: Cause,
    },
}

impl Failure {
    /// The failure as a message among others, where no status can tell of it: at the end of a stream,
    /// or in a batch. The words for what is not the client's fault are fixed; the cause is for the
    /// log.
    #[must_use]
    pub fn in_band(self) -> RpcError {
        let (text, cause) = match self {
            Self::Rpc(error) => return error,
            Self::Forbidden { needed } => {
                return RpcError::invalid_request(format!("This needs a token with: {needed}"));
            }
            Self::Busy => ("The server is busy; try again soon", None),
            Self::Unavailable { source } => (
                "The journal cannot be reached at the moment; try again later",
                Some(source),
            ),
            Self::Internal { source } => ("Something went wrong on the server", Some(source)),
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
pub(super) fn failure(error: JournalError) -> Failure {
    match sentence(error) {
        Ok(text) => Failure::Internal {
            source: Cause::new(text),
        },
        Err(failure) => failure,
    }
}

/// What whoever asked can mend, in a sentence; the rest is the client's or the operator's business.
pub(super) fn sentence(error: JournalError) -> Result<String, Failure> {
    Ok(match error {
        JournalError::NoSuchEntry(id) => format!("There is no entry {id}."),
        JournalError::NoSuchTag(id) => format!("There is no tag {id}."),
        JournalError::NoSuchExport => {
            "The export gave way to a newer one, or has expired; export the journal again."
                .to_owned()
        }
        JournalError::TagNameTaken => {
            "There is a tag of that name already; names are compared without regard to case."
                .to_owned()
        }
        JournalError::IdempotencyKeyReused => {
            "`idempotencyKey` was used within the last 24 hours with other arguments; choose another key for another write."
                .to_owned()
        }
        JournalError::Busy => return Err(Failure::Busy),
        JournalError::Unavailable { source } => return Err(Failure::Unavailable { source }),
        JournalError::Corrupt { source } => return Err(Failure::Internal { source }),
    })
}

pub(super) fn unknown(what: &str, name: &str) -> RpcError {
    let name: String = name.chars().take(128).collect();
    RpcError::invalid_params(format!("Unknown {what}: {name}"))
}
