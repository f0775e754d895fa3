//! What a message to the [`JournalActor`](super::actor::JournalActor) declares.

use actix::Message;

use super::metrics::Operation;
use crate::{
    domain::journal::{Change, Costly, JournalError},
    storage::{Connection, RowsOf, StorageError},
};
use resource_server::principal::UserId;

use super::{admission::Admitted, group_commit::PlainEntry};

/// A message to a JournalActor. Its actix result is the reply or a [`JournalError`].
pub trait JournalMessage:
    Message<Result = Result<<Self as JournalMessage>::Reply, JournalError>> + Send + 'static
{
    /// The answer if nothing fails.
    type Reply: Send + 'static;
    /// Whether it reads or writes, which decides what happens when its caller leaves.
    const KIND: Kind;
    /// The `operation` label of its metrics.
    const OPERATION: Operation;
    /// What to tell its user if it takes longer than a statement may: that is then the cost of what was asked
    /// for, which asking again does not change. `None` for what costs the same in every journal: if that takes
    /// too long, the database is at fault.
    const COSTLY: Option<Costly> = None;
    /// Whether it reads a view of its user's own rows, which is empty without a user.
    const READS_A_VIEW: bool = false;

    /// Whose work it is. `None` for the server's own.
    fn user(&self) -> Option<UserId>;

    /// Whose rows its statements reach, where row-level security is in force: those of its user.
    fn rows(&self) -> RowsOf {
        self.user().map_or(RowsOf::Nobody, RowsOf::User)
    }

    /// Executes its statements on a connection, which reaches [`Self::rows`]. Blocks.
    ///
    /// # Errors
    /// Those of the storage function that it calls.
    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError>;

    /// Converts it to a member of a group commit, or returns it unchanged if it cannot be grouped.
    ///
    /// # Errors
    /// The message itself, if it cannot be grouped.
    fn for_group_commit(admitted: Admitted<Self>) -> Result<Admitted<PlainEntry>, Admitted<Self>>
    where
        Self: Sized,
    {
        Err(admitted)
    }

    /// What it changed, and in whose journal, given its reply. Subscribers are notified of these changes.
    fn changes(&self, _reply: &Self::Reply) -> Option<(UserId, Vec<Change>)> {
        None
    }
}

/// What happens to a message when its caller leaves or its connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Cancelled when its caller leaves. Repeated once if its connection turns out to be dead.
    Read,
    /// Runs to its end even if its caller leaves, and is never repeated.
    Write,
}
