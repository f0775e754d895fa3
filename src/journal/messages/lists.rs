//! The messages that list, search, summarise and suggest.

use actix::Message;

use crate::{
    domain::{
        journal::{
            Costly, EntryDigest, EntryFilter, EntryId, EntryListItem, JournalError, SearchHit,
            Suggestions, TagId,
        },
        page::{Page, PageLimit, PageRequest, TimeCursor},
        search::{SearchCursor, SearchQuery, SearchRequest},
    },
    journal::metrics::Operation,
    storage::{
        Connection, StorageError, entries, entry_lists,
        search::{self, SearchBudget},
        suggestions,
    },
};
use resource_server::{clock::Timestamp, principal::UserId};

use crate::journal::message::{JournalMessage, Kind};

/// List entries, newest first.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Page<EntryListItem, TimeCursor>, JournalError>")]
pub struct ListEntries {
    /// The owner of the journal.
    pub user: UserId,
    /// Which entries to list.
    pub filter: EntryFilter,
    /// The page to return.
    pub page: PageRequest<TimeCursor>,
}

impl JournalMessage for ListEntries {
    type Reply = Page<EntryListItem, TimeCursor>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::ListEntries;
    const COSTLY: Option<Costly> = Some(Costly::List);

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        entry_lists::list_entries(connection, self.user, &self.filter, &self.page)
    }
}

/// Search title and content. A page may have fewer entries than it holds and be followed by another, if more had to be
/// read for it than one page may cost.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Page<SearchHit, SearchCursor>, JournalError>")]
pub struct SearchEntries {
    /// The owner of the journal.
    pub user: UserId,
    /// What is looked for.
    pub query: SearchQuery,
    /// The page to return.
    pub page: SearchRequest,
}

impl JournalMessage for SearchEntries {
    type Reply = Page<SearchHit, SearchCursor>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::SearchEntries;
    const COSTLY: Option<Costly> = Some(Costly::Search);
    const READS_A_VIEW: bool = true;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        search::search_entries(
            connection,
            self.user,
            &self.query,
            &self.page,
            SearchBudget::default(),
        )
    }
}

/// Read the newest entries of a span of time in full, and count those that match.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<EntryDigest, JournalError>")]
pub struct DigestEntries {
    /// The owner of the journal.
    pub user: UserId,
    /// Entries with at least one of these tags; any entry if empty.
    pub tags: Vec<TagId>,
    /// Entries written at this instant or later.
    pub from: Option<Timestamp>,
    /// Entries written before this instant.
    pub to: Option<Timestamp>,
    /// The most entries to return.
    pub limit: PageLimit,
    /// The most bytes of content in all; the first entry is returned even if it is longer.
    pub bytes: u32,
}

impl JournalMessage for DigestEntries {
    type Reply = EntryDigest;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::DigestEntries;
    const COSTLY: Option<Costly> = Some(Costly::Digest);

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

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
            // The three statements see different snapshots: an entry that was read counts even if it was deleted since.
            matching: matching.max(entries.len()),
            entries,
        })
    }
}

/// Suggest entries for an id or a part of a title that a user is typing.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Suggestions<EntryId>, JournalError>")]
pub struct SuggestEntries {
    /// The owner of the journal.
    pub user: UserId,
    /// The text typed so far.
    pub typed: String,
}

impl JournalMessage for SuggestEntries {
    type Reply = Suggestions<EntryId>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::SuggestEntries;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        suggestions::suggest_entries(connection, self.user, &self.typed)
    }
}

/// Suggest tags for an id or a part of a name that a user is typing.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Suggestions<TagId>, JournalError>")]
pub struct SuggestTags {
    /// The owner of the journal.
    pub user: UserId,
    /// The text typed so far.
    pub typed: String,
}

impl JournalMessage for SuggestTags {
    type Reply = Suggestions<TagId>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::SuggestTags;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        suggestions::suggest_tags(connection, self.user, &self.typed)
    }
}
