//! The messages about one entry.

use actix::Message;

use crate::{
    domain::journal::{
        Change, Entry, EntryChanges, EntryId, EntryTag, IdempotencyKey, JournalError, JournalOwner,
        NewEntry, TagId, Usage,
    },
    journal::metrics::Operation,
    storage::{
        Connection, StorageError, entries, entry_creation, entry_tags, entry_updates, quota,
    },
};
use resource_server::principal::UserId;

use crate::journal::{
    admission::Admitted,
    group_commit::{PlainEntry, is_long},
    message::{JournalMessage, Kind},
};

/// Write an entry. Fails with `NoSuchTag` if one of its tags is not the owner's, or `IdempotencyKeyReused`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Entry, JournalError>")]
pub struct CreateEntry {
    /// The user who will own it, created in the database with the first row.
    pub owner: JournalOwner,
    /// The entry's fields.
    pub entry: NewEntry,
    /// The client's key for this write: a repeat with the same key returns the first result.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl JournalMessage for CreateEntry {
    type Reply = Entry;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::CreateEntry;

    fn user(&self) -> Option<UserId> {
        Some(self.owner.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entry_creation::create_entry(
            connection,
            &self.owner,
            self.entry.clone(),
            self.idempotency_key.as_ref(),
        )
    }

    /// One row and nothing else: without tags and without a key. A long one is written alone, on a connection
    /// of its user's share.
    fn for_group_commit(admitted: Admitted<Self>) -> Result<Admitted<PlainEntry>, Admitted<Self>> {
        let Self {
            entry,
            idempotency_key,
            ..
        } = &admitted.message;
        if idempotency_key.is_some() || !entry.tags.is_empty() || is_long(entry) {
            return Err(admitted);
        }
        let Self { owner, entry, .. } = admitted.message;
        Ok(Admitted {
            message: PlainEntry { owner, entry },
            permit: admitted.permit,
            answer: admitted.answer,
            reading: admitted.reading,
            since: admitted.since,
        })
    }
}

/// A member of a group commit that must be written alone.
impl JournalMessage for PlainEntry {
    type Reply = Entry;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::CreateEntry;

    fn user(&self) -> Option<UserId> {
        Some(self.owner.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entry_creation::create_entry(connection, &self.owner, self.entry.clone(), None)
    }
}

/// Read an entry. Fails with `NoSuchEntry`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Entry, JournalError>")]
pub struct GetEntry {
    /// The owner of the journal.
    pub user: UserId,
    /// The entry's id.
    pub id: EntryId,
}

impl JournalMessage for GetEntry {
    type Reply = Entry;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::GetEntry;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entries::get_entry(connection, self.user, self.id)
    }
}

/// Change an entry; returns the whole entry, and whether anything of it is different now. Fails with `NoSuchEntry`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(Entry, bool), JournalError>")]
pub struct UpdateEntry {
    /// The owner of the journal.
    pub user: UserId,
    /// The entry's id.
    pub id: EntryId,
    /// The fields to change.
    pub changes: EntryChanges,
}

impl JournalMessage for UpdateEntry {
    type Reply = (Entry, bool);
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::UpdateEntry;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entry_updates::update_entry(connection, self.user, self.id, &self.changes)
    }

    fn changes(&self, (_, is_different): &Self::Reply) -> Option<(UserId, Vec<Change>)> {
        is_different.then(|| (self.user, vec![Change::Entry(self.id)]))
    }
}

/// Delete an entry; returns the deleted entry, or `None` if there is none.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Option<Entry>, JournalError>")]
pub struct DeleteEntry {
    /// The owner of the journal.
    pub user: UserId,
    /// The entry's id.
    pub id: EntryId,
}

impl JournalMessage for DeleteEntry {
    type Reply = Option<Entry>;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::DeleteEntry;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entries::delete_entry(connection, self.user, self.id)
    }

    fn changes(&self, deleted: &Option<Entry>) -> Option<(UserId, Vec<Change>)> {
        deleted
            .as_ref()
            .map(|_| (self.user, vec![Change::Entry(self.id)]))
    }
}

/// Check whether the user has any entry.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<bool, JournalError>")]
pub struct HasEntries {
    /// The owner of the journal.
    pub user: UserId,
}

impl JournalMessage for HasEntries {
    type Reply = bool;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::HasEntries;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entries::has_entries(connection, self.user)
    }
}

/// Tell how much the user has stored.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Usage, JournalError>")]
pub struct GetUsage {
    /// The owner of the journal.
    pub user: UserId,
}

impl JournalMessage for GetUsage {
    type Reply = Usage;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::GetUsage;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        quota::usage(connection, self.user)
    }
}

/// Add a tag to an entry, which may have it already. Fails with `NoSuchEntry` or `NoSuchTag`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<EntryTag, JournalError>")]
pub struct AddTagToEntry {
    /// The owner of the journal.
    pub user: UserId,
    /// The entry's id.
    pub entry_id: EntryId,
    /// The tag's id.
    pub tag_id: TagId,
}

impl JournalMessage for AddTagToEntry {
    type Reply = EntryTag;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::AddTagToEntry;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entry_tags::add_tag_to_entry(connection, self.user, self.entry_id, self.tag_id)
    }

    fn changes(&self, _: &EntryTag) -> Option<(UserId, Vec<Change>)> {
        Some((self.user, vec![Change::Entry(self.entry_id)]))
    }
}

/// Remove a tag from an entry; returns whether the entry had it. Fails with `NoSuchEntry` or `NoSuchTag`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<bool, JournalError>")]
pub struct RemoveTagFromEntry {
    /// The owner of the journal.
    pub user: UserId,
    /// The entry's id.
    pub entry_id: EntryId,
    /// The tag's id.
    pub tag_id: TagId,
}

impl JournalMessage for RemoveTagFromEntry {
    type Reply = bool;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::RemoveTagFromEntry;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entry_tags::remove_tag_from_entry(connection, self.user, self.entry_id, self.tag_id)
    }

    fn changes(&self, was_there: &bool) -> Option<(UserId, Vec<Change>)> {
        was_there.then(|| (self.user, vec![Change::Entry(self.entry_id)]))
    }
}
