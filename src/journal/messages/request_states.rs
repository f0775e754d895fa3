//! The message that marks the state of a multi round-trip request as used.

use actix::Message;

use crate::{
    domain::journal::JournalError,
    journal::metrics::Operation,
    storage::{Connection, StorageError, request_states},
};
use resource_server::principal::UserId;

use crate::journal::message::{JournalMessage, Kind};

/// Mark a valid state as used; returns whether no process had used it before. The caller may perform the
/// confirmed action only then. If the database fails, the state may be marked all the same and the client
/// has to start again: a state counts at most once.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<bool, JournalError>")]
pub struct UseRequestState {
    /// The user for whom the state was sealed.
    pub user: UserId,
    /// The nonce with which it was sealed.
    pub nonce: [u8; 12],
}

impl JournalMessage for UseRequestState {
    type Reply = bool;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::UseRequestState;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        request_states::use_up(connection, self.user, self.nonce)
    }
}
