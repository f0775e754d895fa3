//! The messages that the server sends for itself.

use actix::Message;

use crate::{
    domain::journal::JournalError,
    journal::metrics::Operation,
    storage::{self, Connection, RowsOf, StorageError, housekeeping},
};

use resource_server::principal::UserId;

use crate::journal::message::{JournalMessage, Kind};

/// Delete a batch of expired rows of all users; returns whether there may be more.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<bool, JournalError>")]
pub struct DeleteExpired;

impl JournalMessage for DeleteExpired {
    type Reply = bool;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::DeleteExpired;

    fn user(&self) -> Option<UserId> {
        None
    }

    fn rows(&self) -> RowsOf {
        RowsOf::Everybody
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        housekeeping::delete_expired(connection)
    }
}

/// Check whether the database answers and accepts writes.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), JournalError>")]
pub struct Ping;

impl JournalMessage for Ping {
    type Reply = ();
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::Ping;

    fn user(&self) -> Option<UserId> {
        None
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        storage::ping(connection)
    }
}
