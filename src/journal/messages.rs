//! What can be asked of a journal. Each message says what, and for whom.

use crate::{
    domain::{
        clock::Timestamp,
        journal::{
            Change, Entry, EntryChanges, EntryDigest, EntryFilter, EntryId, EntryListItem,
            EntryTag, IdempotencyKey, JournalOwner, NewEntry, NewTag, SearchHit, Suggestions, Tag,
            TagChanges, TagId, TagName,
        },
        page::{NameCursor, Page, PageLimit, PageRequest, TimeCursor},
        principal::UserId,
    },
    storage::{
        self, Connection, StorageError, entries, entry_lists, entry_tags, suggestions, tags,
    },
};

use super::metrics::Operation;
use super::{
    actor::Waiting,
    workers::{Start, Workers},
};

/// A message to the JournalActor.
pub trait JournalMessage: Send + 'static {
    /// What it is answered with.
    type Reply: Send + 'static;
    /// What becomes of it when its caller leaves or its connection breaks.
    const KIND: Kind;
    /// What it counts as.
    const OPERATION: Operation;

    /// Does it. Blocks.
    ///
    /// # Errors
    /// Those of the storage function that it stands for.
    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError>;

    /// Has a thread do it.
    fn begin(waiting: Waiting<Self>, workers: &Workers) -> Start
    where
        Self: Sized,
    {
        workers.begin_alone(waiting)
    }

    /// Whose journal is different now, and in what, after the message was answered so.
    fn changes(&self, _reply: &Self::Reply) -> Option<(UserId, Vec<Change>)> {
        None
    }
}

/// What becomes of a message when its caller leaves or its connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ends with its caller, and is tried once more if a connection turns out to be dead.
    Read,
    /// Runs to its end even if nobody waits for it, and is never tried twice.
    Write,
}

/// Write an entry. `NoSuchTag` if one of its tags is not the owner's, `IdempotencyKeyReused`.
#[derive(Clone, Debug)]
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

    fn begin(waiting: Waiting<Self>, workers: &Workers) -> Start {
        if waiting.is(Self::is_plain) {
            workers.begin_together(waiting)
        } else {
            workers.begin_alone(waiting)
        }
    }
}

impl CreateEntry {
    /// Whether it is a row and nothing else, and so can be written together with others.
    fn is_plain(&self) -> bool {
        self.idempotency_key.is_none() && self.entry.tags.is_empty()
    }
}

/// Read an entry. `NoSuchEntry`.
#[derive(Clone, Debug)]
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

/// List entries, newest first.
#[derive(Clone, Debug)]
pub struct ListEntries {
    /// Whose journal.
    pub user: UserId,
    /// Which entries.
    pub filter: EntryFilter,
    /// Which page.
    pub page: PageRequest<TimeCursor>,
}

impl JournalMessage for ListEntries {
    type Reply = Page<EntryListItem, TimeCursor>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::ListEntries;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entry_lists::list_entries(connection, self.user, &self.filter, &self.page)
    }
}

/// Search title and content, newest first.
#[derive(Clone, Debug)]
pub struct SearchEntries {
    /// Whose journal.
    pub user: UserId,
    /// Words as for a web search engine: `"a phrase"`, `or`, `-without`. At most some thousand
    /// characters: PostgreSQL refuses a query of very many words.
    pub query: String,
    /// Which page.
    pub page: PageRequest<TimeCursor>,
}

impl JournalMessage for SearchEntries {
    type Reply = Page<SearchHit, TimeCursor>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::SearchEntries;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entry_lists::search_entries(connection, self.user, &self.query, &self.page)
    }
}

/// Read the newest entries of a span of time in full, and count all of it.
#[derive(Clone, Debug)]
pub struct DigestEntries {
    /// Whose journal.
    pub user: UserId,
    /// Entries with at least one of these tags; any entry if empty.
    pub tags: Vec<TagId>,
    /// Entries written at this instant or later.
    pub from: Option<Timestamp>,
    /// Entries written before this instant.
    pub to: Option<Timestamp>,
    /// At most this many entries.
    pub limit: PageLimit,
    /// At most this many bytes of content, but for the first entry.
    pub bytes: u32,
}

impl JournalMessage for DigestEntries {
    type Reply = EntryDigest;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::DigestEntries;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        let filter = EntryFilter {
            tags: self.tags.clone(),
            from: self.from,
            to: self.to,
            is_favorite: None,
        };
        let page = PageRequest {
            limit: self.limit,
            after: None,
        };
        let listed = entry_lists::list_entries(connection, self.user, &filter, &page)?;
        let ids: Vec<EntryId> = listed.items.iter().map(|item| item.id).collect();
        let entries = entries::get_entries(connection, self.user, &ids, self.bytes)?;
        let matching = match listed.next {
            None => ids.len(),
            Some(_) => entry_lists::count_entries(
                connection,
                self.user,
                &self.tags,
                self.from,
                self.to,
                EntryDigest::COUNTED,
            )?,
        };
        Ok(EntryDigest {
            // Three statements see three moments: what was deleted meanwhile is not left out.
            matching: matching.max(entries.len()),
            entries,
        })
    }
}

/// Suggest entries to somebody who types an id or a part of a title.
#[derive(Clone, Debug)]
pub struct SuggestEntries {
    /// Whose journal.
    pub user: UserId,
    /// What was typed.
    pub typed: String,
}

impl JournalMessage for SuggestEntries {
    type Reply = Suggestions<EntryId>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::SuggestEntries;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        suggestions::suggest_entries(connection, self.user, &self.typed)
    }
}

/// Suggest tags to somebody who types an id or a part of a name.
#[derive(Clone, Debug)]
pub struct SuggestTags {
    /// Whose journal.
    pub user: UserId,
    /// What was typed.
    pub typed: String,
}

impl JournalMessage for SuggestTags {
    type Reply = Suggestions<TagId>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::SuggestTags;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        suggestions::suggest_tags(connection, self.user, &self.typed)
    }
}

/// Change an entry; answered with the whole entry as it is then. `NoSuchEntry`.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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

/// Make a tag. `TagNameTaken`, `IdempotencyKeyReused`.
#[derive(Clone, Debug)]
pub struct CreateTag {
    /// Whose it will be.
    pub owner: JournalOwner,
    /// The tag.
    pub tag: NewTag,
    /// The name of this write, if it may be repeated.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl JournalMessage for CreateTag {
    type Reply = Tag;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::CreateTag;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        tags::create_tag(
            connection,
            &self.owner,
            self.tag.clone(),
            self.idempotency_key.as_ref(),
        )
    }

    fn changes(&self, _: &Tag) -> Option<(UserId, Vec<Change>)> {
        Some((self.owner.user, vec![Change::TagList]))
    }
}

/// Read a tag. `NoSuchTag`.
#[derive(Clone, Debug)]
pub struct GetTag {
    /// Whose journal.
    pub user: UserId,
    /// Which tag.
    pub id: TagId,
}

impl JournalMessage for GetTag {
    type Reply = Tag;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::GetTag;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        tags::get_tag(connection, self.user, self.id)
    }
}

/// List tags by name, without regard to case.
#[derive(Clone, Debug)]
pub struct ListTags {
    /// Whose journal.
    pub user: UserId,
    /// Which page.
    pub page: PageRequest<NameCursor>,
}

impl JournalMessage for ListTags {
    type Reply = Page<TagName, NameCursor>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::ListTags;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        tags::list_tags(connection, self.user, &self.page)
    }
}

/// Change a tag; answered with the whole tag as it is then. `NoSuchTag`, `TagNameTaken`.
#[derive(Clone, Debug)]
pub struct UpdateTag {
    /// Whose journal.
    pub user: UserId,
    /// Which tag.
    pub id: TagId,
    /// What to change.
    pub changes: TagChanges,
}

impl JournalMessage for UpdateTag {
    type Reply = Tag;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::UpdateTag;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        tags::update_tag(connection, self.user, self.id, self.changes.clone())
    }

    fn changes(&self, _: &Tag) -> Option<(UserId, Vec<Change>)> {
        let mut changes = vec![Change::Tag(self.id)];
        if self.changes.name.is_some() {
            changes.push(Change::TagList);
        }
        Some((self.user, changes))
    }
}

/// Delete a tag and take it off every entry; answered with the tag as it was, or `None`.
#[derive(Clone, Debug)]
pub struct DeleteTag {
    /// Whose journal.
    pub user: UserId,
    /// Which tag.
    pub id: TagId,
}

impl JournalMessage for DeleteTag {
    type Reply = Option<Tag>;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::DeleteTag;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        tags::delete_tag(connection, self.user, self.id)
    }

    fn changes(&self, deleted: &Option<Tag>) -> Option<(UserId, Vec<Change>)> {
        deleted
            .as_ref()
            .map(|_| (self.user, vec![Change::Tag(self.id), Change::TagList]))
    }
}

/// Put a tag on an entry, where it may be already. `NoSuchEntry`, `NoSuchTag`.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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

/// Ask whether the database answers.
#[derive(Clone, Debug)]
pub struct Ping;

impl JournalMessage for Ping {
    type Reply = ();
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::Ping;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        storage::ping(connection)
    }
}
