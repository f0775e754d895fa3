//! What can go wrong with the database, by what the caller can do about it.

use std::error::Error as _;

use derive_more::{Display, Error};
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::domain::journal::{EntryId, JournalError, TagId};
use resource_server::cause::Cause;

/// What the database refused, or why it could not answer.
#[derive(Clone, Debug, Display, Error)]
pub enum StorageError {
    /// The user has no such row.
    #[display("{missing}")]
    NotFound {
        /// Which row.
        missing: Missing,
    },
    /// The write would break a rule that the user can see.
    #[display("the write conflicts with {constraint}")]
    Conflict {
        /// Which rule.
        constraint: Constraint,
    },
    /// The database cannot be reached, is starting or stopping, took too long, or broke off.
    #[display("the database is unavailable")]
    Unavailable {
        /// What the database said.
        source: Cause,
    },
    /// The database answered what it should not, or the code asked what it should not.
    #[display("the database answered what it should not")]
    Corrupt {
        /// What was wrong.
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

/// A rule that a user can run into.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub enum Constraint {
    /// One tag of a name, without regard to case.
    #[display("the tag's name")]
    TagName,
    /// One set of arguments for a key.
    #[display("the idempotency key")]
    IdempotencyKey,
}

impl StorageError {
    /// The error and its cause in one line, for whoever operates the server: never for a client.
    #[must_use]
    pub fn with_cause(&self) -> String {
        let cause = self
            .source()
            .map_or_else(String::new, |cause| format!(": {cause}"));
        let told = format!("{self}{cause}");
        Vec::from_iter(told.split_whitespace()).join(" ")
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

    /// The error of an answer that should not be, such as a panic in the code that asked.
    #[must_use]
    pub fn corrupt(cause: &'static str) -> Self {
        Self::Corrupt {
            source: Cause::new(cause),
        }
    }

    /// The error of a database that could not be asked.
    pub(super) fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable {
            source: Cause::new(cause),
        }
    }
}

impl From<DieselError> for StorageError {
    fn from(error: DieselError) -> Self {
        match judge(&error) {
            Verdict::TagNameTaken => Self::conflict(Constraint::TagName),
            Verdict::Outage => Self::unavailable(error),
            Verdict::Fault => Self::Corrupt {
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
            StorageError::Unavailable { source } => Self::Unavailable { source },
            StorageError::Corrupt { source } => Self::Corrupt { source },
        }
    }
}

enum Verdict {
    TagNameTaken,
    Outage,
    Fault,
}

fn judge(error: &DieselError) -> Verdict {
    let DieselError::DatabaseError(kind, said) = error else {
        return match error {
            DieselError::BrokenTransactionManager
            | DieselError::RollbackErrorOnCommit { .. }
            | DieselError::AlreadyInTransaction => Verdict::Outage,
            _ => Verdict::Fault,
        };
    };
    match kind {
        DatabaseErrorKind::UniqueViolation
            if said.constraint_name() == Some("tags_user_id_folded_name_key") =>
        {
            Verdict::TagNameTaken
        }
        DatabaseErrorKind::UniqueViolation
        | DatabaseErrorKind::ForeignKeyViolation
        | DatabaseErrorKind::NotNullViolation
        | DatabaseErrorKind::CheckViolation
        | DatabaseErrorKind::RestrictViolation
        | DatabaseErrorKind::ExclusionViolation => Verdict::Fault,
        DatabaseErrorKind::ClosedConnection
        | DatabaseErrorKind::UnableToSendCommand
        | DatabaseErrorKind::SerializationFailure
        | DatabaseErrorKind::ReadOnlyTransaction => Verdict::Outage,
        // Diesel keeps no SQLSTATE. What is left are limits of time, shutdown, recovery, deadlock
        // and want of resources, but also statements that the database does not understand. Those
        // name a place in the statement, and so does only a wait for a table's lock that took too
        // long (which in another language than English is taken for a fault).
        _ if said.statement_position().is_some()
            && !said.message().starts_with("canceling statement") =>
        {
            Verdict::Fault
        }
        _ => Verdict::Outage,
    }
}
