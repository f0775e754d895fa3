//! The messages that keep revocations. They belong to no user's journal.

use actix::Message;

use crate::{
    domain::journal::JournalError,
    journal::metrics::Operation,
    storage::{Connection, StorageError, revocations},
};
use resource_server::{
    principal::UserId,
    revocation::{ChangesPage, Mark, RevocationOrder, RevocationTarget, StoredRevocation},
};

use crate::journal::message::{JournalMessage, Kind};

/// Store a revocation.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), JournalError>")]
pub struct AddRevocation(pub RevocationOrder);

impl JournalMessage for AddRevocation {
    type Reply = ();
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::Revocations;

    fn user(&self) -> Option<UserId> {
        None
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        revocations::add(connection, &self.0)
    }
}

/// Remove the revocations of a target; returns whether there was any.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<bool, JournalError>")]
pub struct RemoveRevocation(pub RevocationTarget);

impl JournalMessage for RemoveRevocation {
    type Reply = bool;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::Revocations;

    fn user(&self) -> Option<UserId> {
        None
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        revocations::remove(connection, &self.0)
    }
}

/// Read revocations, the latest first.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Vec<StoredRevocation>, JournalError>")]
pub struct ListRevocations {
    /// Only those with a lower id.
    pub before: Option<i64>,
    /// How many at most.
    pub most: usize,
}

impl JournalMessage for ListRevocations {
    type Reply = Vec<StoredRevocation>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::Revocations;

    fn user(&self) -> Option<UserId> {
        None
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        let most = i64::try_from(self.most).unwrap_or(i64::MAX);
        revocations::page(connection, self.before, most)
    }
}

/// Read what has changed since a mark, the oldest first; without one, everything.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<ChangesPage, JournalError>")]
pub struct ReadRevocationChanges {
    /// From where to read on.
    pub since: Option<Mark>,
    /// How many at most.
    pub most: usize,
}

impl JournalMessage for ReadRevocationChanges {
    type Reply = ChangesPage;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::Revocations;

    fn user(&self) -> Option<UserId> {
        None
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        let most = i64::try_from(self.most).unwrap_or(i64::MAX);
        revocations::changes(connection, self.since.as_ref(), most)
    }
}
