//! The messages about one entry.

use actix::Message;

use crate::{
    domain::{
        journal::{
            Change, Entry, EntryChanges, EntryId, EntryTag, IdempotencyKey, JournalError,
            JournalOwner, NewEntry, TagId,
        },
        principal::UserId,
    },
    metrics::Operation,
    storage::{Connection, StorageError, entries, entry_tags},
};

use super::super::{
    admission::Admitted,
    group_commit::PlainEntry,
    message::{JournalMessage, Kind},
};

/// Write an entry. `NoSuchTag` if one of its tags is not the owner's, `IdempotencyKeyReused`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Entry, JournalError>")]
pub struct CreateEntry {
    /// Whose it will be.
    pub owner: JournalOwner,
    /// The entry.
    pub entry: NewEntry,
    /// The name of this write, if it may be repeated.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl JournalMessage for CreateEntry {
    type Reply = Entry;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::CreateEntry;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entries::create_entry(
            connection,
            &self.owner,
            self.entry.clone(),
            self.idempotency_key.as_ref(),
        )
    }

    /// One row and nothing else: without tags and without a key.
    fn for_group_commit(admitted: Admitted<Self>) -> Result<Admitted<PlainEntry>, Admitted<Self>> {
        let Self {
            entry,
            idempotency_key,
            ..
        } = &admitted.message;
        if idempotency_key.is_some() || !entry.tags.is_empty() {
            return Err(admitted);
        }
        let Self { owner, entry, .. } = admitted.message;
        Ok(Admitted {
            message: PlainEntry { owner, entry },
            permit: admitted.permit,
            answer: admitted.answer,
            since: admitted.since,
        })
    }
}

/// A member of a group commit that must be written alone.
impl JournalMessage for PlainEntry {
    type Reply = Entry;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::CreateEntry;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entries::create_entry(connection, &self.owner, self.entry.clone(), None)
    }
}

/// Read an entry. `NoSuchEntry`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Entry, JournalError>")]
pub struct GetEntry {
    /// Whose journal.
    pub user: UserId,
    /// Which entry.
    pub id: EntryId,
}

impl JournalMessage for GetEntry {
    type Reply = Entry;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::GetEntry;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entries::get_entry(connection, self.user, self.id)
    }
}

/// Change an entry; answered with the whole entry as it is then. `NoSuchEntry`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Entry, JournalError>")]
pub struct UpdateEntry {
    /// Whose journal.
    pub user: UserId,
    /// Which entry.
    pub id: EntryId,
    /// What to change.
    pub changes: EntryChanges,
}

impl JournalMessage for UpdateEntry {
    type Reply = Entry;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::UpdateEntry;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entries::update_entry(connection, self.user, self.id, &self.changes)
    }

    fn changes(&self, _: &Entry) -> Option<(UserId, Vec<Change>)> {
        Some((self.user, vec![Change::Entry(self.id)]))
    }
}

/// Delete an entry; answered with the entry as it was, or `None` if there is none.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Option<Entry>, JournalError>")]
pub struct DeleteEntry {
    /// Whose journal.
    pub user: UserId,
    /// Which entry.
    pub id: EntryId,
}

impl JournalMessage for DeleteEntry {
    type Reply = Option<Entry>;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::DeleteEntry;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entries::delete_entry(connection, self.user, self.id)
    }

    fn changes(&self, deleted: &Option<Entry>) -> Option<(UserId, Vec<Change>)> {
        deleted
            .as_ref()
            .map(|_| (self.user, vec![Change::Entry(self.id)]))
    }
}

/// Ask whether the user has any entry.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<bool, JournalError>")]
pub struct HasEntries {
    /// Whose journal.
    pub user: UserId,
}

impl JournalMessage for HasEntries {
    type Reply = bool;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::HasEntries;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entries::has_entries(connection, self.user)
    }
}

/// Put a tag on an entry, where it may be already. `NoSuchEntry`, `NoSuchTag`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<EntryTag, JournalError>")]
pub struct AddTagToEntry {
    /// Whose journal.
    pub user: UserId,
    /// Which entry.
    pub entry_id: EntryId,
    /// Which tag.
    pub tag_id: TagId,
}

impl JournalMessage for AddTagToEntry {
    type Reply = EntryTag;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::AddTagToEntry;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entry_tags::add_tag_to_entry(connection, self.user, self.entry_id, self.tag_id)
    }

    fn changes(&self, _: &EntryTag) -> Option<(UserId, Vec<Change>)> {
        Some((self.user, vec![Change::Entry(self.entry_id)]))
    }
}

/// Take a tag off an entry; answered with whether it was there. `NoSuchEntry`, `NoSuchTag`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<bool, JournalError>")]
pub struct RemoveTagFromEntry {
    /// Whose journal.
    pub user: UserId,
    /// Which entry.
    pub entry_id: EntryId,
    /// Which tag.
    pub tag_id: TagId,
}

impl JournalMessage for RemoveTagFromEntry {
    type Reply = bool;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::RemoveTagFromEntry;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entry_tags::remove_tag_from_entry(connection, self.user, self.entry_id, self.tag_id)
    }

    fn changes(&self, was_there: &bool) -> Option<(UserId, Vec<Change>)> {
        was_there.then(|| (self.user, vec![Change::Entry(self.entry_id)]))
    }
}
