//! The messages that keep what legacy sessions have set, and which have ended. They are about no journal.

use actix::Message;

use crate::{
    domain::journal::JournalError,
    journal::metrics::Operation,
    storage::{Connection, StorageError, sessions},
};
use mcp_server::features::session_store::{Gathered, SessionChange, SessionName, StoredSession};
use resource_server::principal::UserId;

use crate::journal::message::{JournalMessage, Kind};

/// Read what a session has set, and whether it has ended.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Gathered, JournalError>")]
pub struct LoadSession {
    /// Whose session it is.
    pub user: UserId,
    /// Which one.
    pub name: SessionName,
}

impl JournalMessage for LoadSession {
    type Reply = Gathered;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::Sessions;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        sessions::load(connection, self.user, self.name)
    }
}

/// Store what a session has set, or that it has ended. Returns `false` if it had ended, or has as many subscriptions
/// as it may have.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<bool, JournalError>")]
pub struct ChangeSession {
    /// Which session.
    pub session: StoredSession,
    /// What has changed.
    pub change: SessionChange,
}

impl JournalMessage for ChangeSession {
    type Reply = bool;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::Sessions;

    fn user(&self) -> Option<UserId> {
        Some(self.session.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        sessions::change(connection, &self.session, &self.change)
    }
}

/// Keep a client's answer for the process that asked. Returns `false` if the user has too many that were not taken.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<bool, JournalError>")]
pub struct KeepAnswer {
    /// Which session.
    pub session: StoredSession,
    /// The id of the question.
    pub question: String,
    /// The answer.
    pub answer: String,
}

impl JournalMessage for KeepAnswer {
    type Reply = bool;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::Sessions;

    fn user(&self) -> Option<UserId> {
        Some(self.session.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        sessions::keep_answer(connection, &self.session, &self.question, &self.answer)
    }
}

/// Take the answer to a question of this process; returns `None` if there is none.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Option<String>, JournalError>")]
pub struct TakeAnswer {
    /// Which session.
    pub session: StoredSession,
    /// The id of the question.
    pub question: String,
}

impl JournalMessage for TakeAnswer {
    type Reply = Option<String>;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::Sessions;

    fn user(&self) -> Option<UserId> {
        Some(self.session.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        sessions::take_answer(connection, &self.session, &self.question)
    }
}
