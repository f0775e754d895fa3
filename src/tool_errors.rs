//! Errors of the journal as clients read them.

use crate::domain::journal::JournalError;
use mcp_server::features::tool_error::ToolError;

impl From<JournalError> for ToolError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::NoSuchEntry(id) => Self::NotFound(format!("There is no entry {id}.")),
            JournalError::NoSuchTag(id) => Self::NotFound(format!("There is no tag {id}.")),
            JournalError::NoSuchExport => Self::not_found(
                "The export gave way to a newer one, or has expired; export the journal again.",
            ),
            JournalError::TagNameTaken => Self::refused(
                "There is a tag of that name already; names are compared without regard to case.",
            ),
            JournalError::IdempotencyKeyReused => Self::refused(
                "`idempotencyKey` was used within the last 24 hours with other arguments; choose another key for another write.",
            ),
            JournalError::Busy => Self::Busy,
            JournalError::Unavailable { source } => Self::Unavailable {
                message: "The journal cannot be reached at the moment; try again later".into(),
                source,
            },
            JournalError::Corrupt { source } => Self::Internal { source },
        }
    }
}
