//! Errors of the database, by what the caller can do about them.

use std::error::Error as _;

use derive_more::{Display, Error};
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::domain::{
    journal::{EntryId, JournalError, LimitReached, TagId},
    outage::Outage,
};
use resource_server::cause::Cause;

use super::within::Silent;

/// Why a query has no result.
#[derive(Clone, Debug, Display, Error)]
pub enum StorageError {
    /// The user has no such row.
    #[display("{missing}")]
    NotFound {
        /// Which row.
        missing: Missing,
    },
    /// The write violates a constraint that the user can act on.
    #[display("the write conflicts with {constraint}")]
    Conflict {
        /// Which constraint.
        constraint: Constraint,
    },
    /// The write would exceed what a journal may hold.
    #[display("{_0}")]
    LimitReached(#[error(not(source))] LimitReached),
    /// The database answers, and has cancelled the statement because of a time limit.
    #[display("the database cancelled the statement, which {limit}")]
    TimedOut {
        /// Which limit.
        limit: TimeLimit,
        /// The error of the database.
        source: Cause,
    },
    /// The database cannot be reached, is starting or stopping, does not answer, or broke off.
    #[display("the database is unavailable")]
    Unavailable {
        /// Why, as far as is known.
        why: Outage,
        /// The error of the database.
        source: Cause,
    },
    /// The database gave an unexpected answer, or the code sent an invalid query.
    #[display("unexpected answer from the database")]
    Corrupt {
        /// The cause.
        source: Cause,
    },
}

/// A row that the user does not have.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub enum Missing {
    /// An entry.
    #[display("there is no entry {_0}")]
    Entry(EntryId),
    /// A tag.
    #[display("there is no tag {_0}")]
    Tag(TagId),
    /// An export.
    #[display("there is no such export")]
    Export,
}

/// A constraint that a user can violate.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub enum Constraint {
    /// Tag names are unique per user, without regard to case.
    #[display("the tag's name")]
    TagName,
    /// An idempotency key belongs to one set of arguments.
    #[display("the idempotency key")]
    IdempotencyKey,
}

/// A time limit that the database keeps.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub enum TimeLimit {
    /// `statement_timeout` (SQLSTATE 57014).
    #[display("ran for as long as one may")]
    Statement,
    /// `lock_timeout` (55P03).
    #[display("waited for a lock for as long as one may")]
    Lock,
}

impl StorageError {
    /// The error and its cause in one line, for the log and the operator, never for a client.
    #[must_use]
    pub fn with_cause(&self) -> String {
        let cause = self
            .source()
            .map_or_else(String::new, |cause| format!(": {cause}"));
        let text = format!("{self}{cause}");
        Vec::from_iter(text.split_whitespace()).join(" ")
    }

    pub(super) const fn no_entry(id: EntryId) -> Self {
        Self::NotFound {
            missing: Missing::Entry(id),
        }
    }

    pub(super) const fn no_tag(id: TagId) -> Self {
        Self::NotFound {
            missing: Missing::Tag(id),
        }
    }

    pub(super) const fn no_export() -> Self {
        Self::NotFound {
            missing: Missing::Export,
        }
    }

    pub(super) const fn conflict(constraint: Constraint) -> Self {
        Self::Conflict { constraint }
    }

    /// An unexpected answer, or a panic in the code that ran the query.
    #[must_use]
    pub fn corrupt(cause: &'static str) -> Self {
        Self::Corrupt {
            source: Cause::new(cause),
        }
    }

    /// The database could not be reached.
    pub(crate) fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let source = Cause::new(cause);
        Self::Unavailable {
            why: Outage::of(&source.to_string()),
            source,
        }
    }

    /// The database could not be used for this reason, whatever the cause says.
    pub(crate) fn outage(
        why: Outage,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable {
            why,
            source: Cause::new(cause),
        }
    }
}

impl From<Silent> for StorageError {
    fn from(silent: Silent) -> Self {
        Self::outage(Outage::Silent, silent)
    }
}

impl From<DieselError> for StorageError {
    fn from(error: DieselError) -> Self {
        match classify(&error) {
            Class::TagNameTaken => Self::conflict(Constraint::TagName),
            Class::TimedOut(limit) => Self::TimedOut {
                limit,
                source: Cause::new(error),
            },
            Class::Outage(Some(why)) => Self::outage(why, error),
            Class::Outage(None) => Self::unavailable(error),
            Class::Fault => Self::Corrupt {
                source: Cause::new(error),
            },
        }
    }
}

impl From<StorageError> for JournalError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NotFound {
                missing: Missing::Entry(id),
            } => Self::NoSuchEntry(id),
            StorageError::NotFound {
                missing: Missing::Tag(id),
            } => Self::NoSuchTag(id),
            StorageError::NotFound {
                missing: Missing::Export,
            } => Self::NoSuchExport,
            StorageError::Conflict {
                constraint: Constraint::TagName,
            } => Self::TagNameTaken,
            StorageError::Conflict {
                constraint: Constraint::IdempotencyKey,
            } => Self::IdempotencyKeyReused,
            StorageError::LimitReached(limit) => Self::LimitReached(limit),
            StorageError::TimedOut { limit, source } => Self::TimedOut {
                source: Cause::new(format!("the statement {limit}: {source}")),
            },
            StorageError::Unavailable { why, source } => Self::Unavailable { why, source },
            StorageError::Corrupt { source } => Self::Corrupt { source },
        }
    }
}

enum Class {
    TagNameTaken,
    TimedOut(TimeLimit),
    /// Where no reason is given, the message has it.
    Outage(Option<Outage>),
    Fault,
}

/// Whether a constraint keeps the names of a user's tags apart: in one table, or in a partition, whose constraint
/// has a name of its own (`tags_3_user_id_folded_name_key`).
fn is_of_tag_names(constraint: &str) -> bool {
    constraint.starts_with("tags_") && constraint.ends_with("user_id_folded_name_key")
}

/// Diesel's error by what the caller can do about it.
fn classify(error: &DieselError) -> Class {
    let DieselError::DatabaseError(kind, details) = error else {
        return match error {
            DieselError::BrokenTransactionManager
            | DieselError::RollbackErrorOnCommit { .. }
            | DieselError::AlreadyInTransaction => Class::Outage(None),
            _ => Class::Fault,
        };
    };
    match kind {
        DatabaseErrorKind::UniqueViolation
            if details.constraint_name().is_some_and(is_of_tag_names) =>
        {
            Class::TagNameTaken
        }
        DatabaseErrorKind::UniqueViolation
        | DatabaseErrorKind::ForeignKeyViolation
        | DatabaseErrorKind::NotNullViolation
        | DatabaseErrorKind::CheckViolation
        | DatabaseErrorKind::RestrictViolation
        | DatabaseErrorKind::ExclusionViolation => Class::Fault,
        DatabaseErrorKind::SerializationFailure => Class::Outage(Some(Outage::Conflict)),
        DatabaseErrorKind::ReadOnlyTransaction => Class::Outage(Some(Outage::ReadOnly)),
        DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
            Class::Outage(match Outage::of(details.message()) {
                Outage::Other => Some(Outage::Unreachable),
                why => Some(why),
            })
        }
        // Diesel keeps no SQLSTATE, so what follows is recognised by its English message. In other languages a
        // JournalActor recognises a time limit by the time that has passed.
        _ if details.message() == "canceling statement due to statement timeout" => {
            Class::TimedOut(TimeLimit::Statement)
        }
        _ if details.message() == "canceling statement due to lock timeout" => {
            Class::TimedOut(TimeLimit::Lock)
        }
        // The remaining errors are shutdown, recovery, deadlock and exhausted resources, but also statements that the
        // database rejects. The latter have a position in the statement. So has one that was cancelled while it
        // waited for a table lock.
        _ if details.statement_position().is_some()
            && !details.message().starts_with("canceling statement") =>
        {
            Class::Fault
        }
        _ => Class::Outage(None),
    }
}
