//! The message that marks the state of a multi round-trip request as used.

use actix::Message;

use crate::{
    domain::{journal::JournalError, principal::UserId},
    metrics::Operation,
    storage::{Connection, StorageError, request_states},
};

use super::super::message::{JournalMessage, Kind};

/// Use up a state that was found to be good; answered with whether it had not been used before, in
/// any process. What it confirms may be done only then. If the database fails, it may have been used up
/// all the same, and the client has to ask again: that it counts at most once is what matters.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<bool, JournalError>")]
pub struct UseRequestState {
    /// Whom it was given to.
    pub user: UserId,
    /// The nonce that it was sealed with.
    pub nonce: [u8; 12],
}

impl JournalMessage for UseRequestState {
    type Reply = bool;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::UseRequestState;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        request_states::use_up(connection, self.user, self.nonce)
    }
}
