//! The messages that the server sends for itself.

use actix::Message;

use crate::{
    domain::journal::{Change, JournalError, MergedTags},
    journal::metrics::Operation,
    storage::{
        self, Connection, RowsOf, StorageError,
        cut_words::{self, CutBatch},
        housekeeping, tag_names,
    },
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

/// Find the next user, in the order of their ids, who has entries that are still to be cut into words.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Option<UserId>, JournalError>")]
pub struct NextUncut {
    /// The user after whom to look; the first of all if there is none.
    pub after: Option<UserId>,
}

impl JournalMessage for NextUncut {
    type Reply = Option<UserId>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::CutWords;

    fn user(&self) -> Option<UserId> {
        None
    }

    fn rows(&self) -> RowsOf {
        RowsOf::Everybody
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        housekeeping::next_uncut(connection, self.after)
    }
}

/// Cut a batch of a user's entries into words. It is no work of the user's own, who has done nothing.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<CutBatch, JournalError>")]
pub struct CutWords {
    /// The owner of the journal.
    pub owner: UserId,
}

impl JournalMessage for CutWords {
    type Reply = CutBatch;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::CutWords;

    fn user(&self) -> Option<UserId> {
        None
    }

    fn rows(&self) -> RowsOf {
        RowsOf::User(self.owner)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        cut_words::cut_words(connection, self.owner)
    }
}

/// Find users who have tags whose keys were made by an older rule.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Vec<UserId>, JournalError>")]
pub struct FindOlderTagNames;

impl JournalMessage for FindOlderTagNames {
    type Reply = Vec<UserId>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::MergeTags;

    fn user(&self) -> Option<UserId> {
        None
    }

    fn rows(&self) -> RowsOf {
        RowsOf::Everybody
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        housekeeping::users_with_older_names(connection)
    }
}

/// Bring the keys of a user's tags up to date, and two tags together that are one by their names, or a part of them.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<MergedTags, JournalError>")]
pub struct MergeTags {
    /// The owner of the journal.
    pub user: UserId,
}

impl JournalMessage for MergeTags {
    type Reply = MergedTags;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::MergeTags;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        tag_names::merge_tags(connection, self.user)
    }

    fn changes(&self, done: &MergedTags) -> Option<(UserId, Vec<Change>)> {
        let (stays, goes) = done.merged?;
        let changes = vec![Change::Tag(stays), Change::Tag(goes), Change::TagList];
        Some((self.user, changes))
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
