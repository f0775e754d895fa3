//! The messages about activity in a journal.

use std::sync::Arc;

use actix::Message;

use crate::{
    domain::{
        activity::{Activity, ActivityKey, ConnectedClient, Tally},
        journal::{Costly, JournalError},
        page::{Page, PageRequest, TimeCursor},
    },
    journal::metrics::Operation,
    storage::{Connection, RowsOf, StorageError, activity},
};
use resource_server::principal::UserId;

use crate::journal::message::{JournalMessage, Kind};

/// List what clients did in a user's journal, newest first.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Page<Activity, TimeCursor>, JournalError>")]
pub struct ListActivity {
    /// The owner of the journal.
    pub user: UserId,
    /// Only what this client did; what any did if `None`.
    pub client: Option<String>,
    /// The page to return.
    pub page: PageRequest<TimeCursor>,
}

impl JournalMessage for ListActivity {
    type Reply = Page<Activity, TimeCursor>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::ReadActivity;
    const COSTLY: Option<Costly> = Some(Costly::Activity);

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        activity::list_activity(connection, self.user, self.client.as_deref(), &self.page)
    }
}

/// List the clients that used a user's journal.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<ConnectedClient>, JournalError>")]
pub struct ListClients {
    /// The owner of the journal.
    pub user: UserId,
}

impl JournalMessage for ListClients {
    type Reply = Vec<ConnectedClient>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::ReadActivity;
    const COSTLY: Option<Costly> = Some(Costly::Activity);

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        activity::list_clients(connection, self.user)
    }
}

/// Add counts of calls to those that are stored.
#[derive(Message)]
#[rtype(result = "Result<(), JournalError>")]
pub(in super::super) struct AddActivity(pub(in super::super) Arc<[(ActivityKey, Tally)]>);

impl JournalMessage for AddActivity {
    type Reply = ();
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::AddActivity;

    fn user(&self) -> Option<UserId> {
        None
    }

    fn rows(&self) -> RowsOf {
        RowsOf::Everybody
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        activity::add_activity(connection, &self.0)
    }
}
