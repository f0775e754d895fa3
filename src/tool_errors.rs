//! Errors of the journal as clients read them.

use crate::domain::journal::{
    Costly, JournalError, LimitReached, MOST_TAGS, MOST_TAGS_OF_AN_ENTRY,
};
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
                "There is a tag of that name already; upper and lower case, the way an accent is written and full width make no difference.",
            ),
            JournalError::IdempotencyKeyReused => Self::refused(
                "`idempotencyKey` was used within the last 24 hours with other arguments; choose another key for another write.",
            ),
            JournalError::Busy => Self::Busy,
            JournalError::ShareUsedUp => Self::ShareUsedUp {
                message: "You have as much under way in the journal as one user may; wait until some of it is done, and send fewer calls at once".into(),
            },
            JournalError::LimitReached(limit) => Self::refused(limit_reached(limit)),
            JournalError::TookTooLong(what) => Self::refused(took_too_long(what)),
            JournalError::TimedOut { source } => Self::TimedOut {
                message: "The journal did not finish in time; try again later".into(),
                source,
            },
            JournalError::Unavailable { why, source } => Self::Unavailable {
                message: if why.is_of_writes() {
                    "The journal cannot be written to at the moment; try again later".into()
                } else {
                    "The journal cannot be reached at the moment; try again later".into()
                },
                source,
            },
            JournalError::Corrupt { source } => Self::Internal { source },
        }
    }
}

/// What there is as much of as there may be, and what to do about it.
pub(crate) fn limit_reached(limit: LimitReached) -> String {
    match limit {
        LimitReached::Entries { most } => format!(
            "Your journal has {most} entries, as many as it may have. Delete entries that you no longer need, or ask whoever runs this server for more room.",
        ),
        LimitReached::Bytes { has, more, most } => format!(
            "Your entries take {has} of {most} bytes, and this would take {more} more. Delete or shorten entries that you no longer need, or ask whoever runs this server for more room.",
        ),
        LimitReached::Export { most } => format!(
            "The document would be longer than {most} bytes, which is as long as an export may be. Read the journal by list_entries and get_entry instead, a span of time after another.",
        ),
        LimitReached::Tags => format!(
            "You have {MOST_TAGS} tags, as many as a journal may have. Delete tags that you no longer need.",
        ),
        LimitReached::TagsOfEntry => format!(
            "The entry has {MOST_TAGS_OF_AN_ENTRY} tags, as many as an entry may have. Take one off first.",
        ),
    }
}

/// Why there is no result, and how to ask for less. Asking for the same again would take as long.
const fn took_too_long(what: Costly) -> &'static str {
    match what {
        Costly::Search => {
            "The search took too long and was stopped. Search for rarer words, leave out quotes and words with a minus, or take a smaller limit."
        }
        Costly::List => {
            "The list took too long and was stopped. Narrow it by from and to, name fewer tags, or take a smaller limit."
        }
        Costly::Digest => {
            "Reading the entries took too long and was stopped. Choose a shorter span of time."
        }
        Costly::Export => {
            "The export took too long and was stopped. Read the journal by list_entries and get_entry instead, a span of time after another."
        }
        Costly::DeleteTag => {
            "Deleting the tag took too long and was stopped. Ask again; if it has begun, the rest is also deleted by itself within some minutes."
        }
        Costly::Activity => {
            "Reading the activity took too long and was stopped. Ask for one client, or take a smaller limit."
        }
    }
}
