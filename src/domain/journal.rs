//! Entries and tags, filters of lists, and the errors of a journal.

use derive_more::{Display, Error};
use serde::Serialize;

use super::outage::Outage;
use resource_server::cause::Cause;
use resource_server::{clock::Timestamp, principal::UserId};

/// The id of an entry, unique over all users. Not a secret: ownership is checked in every query.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub i64);

/// The id of a tag, unique over all users. Not a secret: ownership is checked in every query.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TagId(pub i64);

/// The owner of a new entry or tag. Reading and changing need only the user's id; a new entry or tag may be
/// the first of its user, whose row is then created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalOwner {
    /// The user's id, derived from the other two.
    pub user: UserId,
    /// The authorization server that vouches for the subject.
    pub issuer: String,
    /// The subject, unique at its issuer only.
    pub subject: String,
}

/// An entry as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The entry's id.
    pub id: EntryId,
    /// 1 to 200 characters.
    pub title: String,
    /// 1 to 100,000 characters.
    pub content: String,
    /// Up to 100 characters.
    pub mood: Option<String>,
    /// Up to 100 characters.
    pub location: Option<String>,
    /// Up to 100 characters.
    pub weather: Option<String>,
    /// A label for the owner. Every entry is private to its owner, whatever the label.
    pub is_private: bool,
    /// A label for the owner.
    pub is_favorite: bool,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Its tags, by name.
    pub tags: Vec<TagName>,
}

/// A tag's id and name, as in entries and lists of tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagName {
    /// The tag's id.
    pub id: TagId,
    /// 1 to 60 characters, unique per user: see [`TagLabel`](super::names::TagLabel).
    pub name: String,
}

/// An entry in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryListItem {
    /// The entry's id.
    pub id: EntryId,
    /// The entry's title.
    pub title: String,
    /// How many tags it has.
    pub tag_count: i32,
    /// Whether its owner marked it as a favorite.
    pub is_favorite: bool,
    /// When it was written.
    pub created_at: Timestamp,
}

/// One result of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchHit {
    /// The entry that matched.
    pub entry: EntryListItem,
    /// A part of the text around what was found, which is between `**`, on one line.
    pub excerpt: String,
}

/// The newest entries of a period, for a summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryDigest {
    /// As many complete entries as the limits allow, newest first; at least one if any matches.
    pub entries: Vec<Entry>,
    /// How many match, counted up to [`EntryDigest::COUNTED`].
    pub matching: usize,
}

impl EntryDigest {
    /// The highest count.
    pub const COUNTED: usize = 10_000;
}

/// Completions of the beginning of an id, or of a part of a title or name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestions<Id> {
    /// At most [`MOST_SUGGESTIONS`]: a complete id first, then the newest.
    pub ids: Vec<Id>,
    /// How many match. `None` if the journal has more than are searched.
    pub total: Option<usize>,
}

/// At most this many suggestions (MCP, Completion).
pub const MOST_SUGGESTIONS: usize = 100;

/// A tag as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The tag's id.
    pub id: TagId,
    /// 1 to 60 characters, unique per user: see [`TagLabel`](super::names::TagLabel).
    pub name: String,
    /// Up to 500 characters.
    pub description: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What bringing together a user's tags that are one by their names came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergedTags {
    /// How many links of entries were moved.
    pub links: i64,
    /// The tag that stays and the one that is gone, if one was brought to its end.
    pub merged: Option<(TagId, TagId)>,
    /// Whether more is left to do.
    pub more: bool,
}

/// A link between an entry and a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryTag {
    /// The entry.
    pub entry_id: EntryId,
    /// The tag.
    pub tag: TagName,
    /// The entry's title, for the text of the answer.
    pub entry_title: String,
    /// When the tag was added to the entry.
    pub created_at: Timestamp,
}

/// A new entry with valid texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewEntry {
    /// See [`Entry::title`].
    pub title: String,
    /// See [`Entry::content`].
    pub content: String,
    /// See [`Entry::mood`].
    pub mood: Option<String>,
    /// See [`Entry::location`].
    pub location: Option<String>,
    /// See [`Entry::weather`].
    pub weather: Option<String>,
    /// See [`Entry::is_private`].
    pub is_private: bool,
    /// See [`Entry::is_favorite`].
    pub is_favorite: bool,
    /// The owner's tags to add to it; repeated ones count once.
    pub tags: Vec<TagId>,
}

impl NewEntry {
    /// The stored entry: these values, and those that the database assigned.
    #[must_use]
    pub fn written(self, id: EntryId, created_at: Timestamp, tags: Vec<TagName>) -> Entry {
        Entry {
            id,
            title: self.title,
            content: self.content,
            mood: self.mood,
            location: self.location,
            weather: self.weather,
            is_private: self.is_private,
            is_favorite: self.is_favorite,
            created_at,
            updated_at: created_at,
            tags,
        }
    }
}

/// What to change of an entry: `None` keeps a field, `Some(None)` clears one that can be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryChanges {
    /// A new title.
    pub title: Option<String>,
    /// A new content.
    pub content: Option<String>,
    /// A new mood, or none.
    pub mood: Option<Option<String>>,
    /// A new location, or none.
    pub location: Option<Option<String>>,
    /// A new weather, or none.
    pub weather: Option<Option<String>>,
    /// A new label.
    pub is_private: Option<bool>,
    /// A new label.
    pub is_favorite: Option<bool>,
}

/// A new tag with valid texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewTag {
    /// See [`Tag::name`].
    pub name: String,
    /// See [`Tag::description`].
    pub description: Option<String>,
}

/// What to change of a tag: `None` keeps a field, `Some(None)` clears one that can be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagChanges {
    /// A new name.
    pub name: Option<String>,
    /// A new description, or none.
    pub description: Option<Option<String>>,
}

/// The filter of a list of entries. All conditions that are set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// Entries with at least one of these tags; any entry if empty.
    pub tags: Vec<TagId>,
    /// Entries written at this instant or later.
    pub from: Option<Timestamp>,
    /// Entries written before this instant.
    pub to: Option<Timestamp>,
    /// Entries with this label.
    pub is_favorite: Option<bool>,
}

/// A client's key for one write, so that a repeated call does not write again. It belongs to the user and the
/// operation, and is remembered for 24 hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key as the client chose it, 1 to 200 characters.
    pub key: String,
    /// SHA-256 of the arguments, by which a key that is reused with other arguments is noticed.
    pub arguments: [u8; 32],
}

/// A change in a user's journal. Contains no text of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// An entry was changed or deleted.
    Entry(EntryId),
    /// A tag was changed or deleted.
    Tag(TagId),
    /// A tag was added to the list of tags, removed from it or renamed.
    TagList,
}

/// How much each user may store. 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Entries.
    pub entries: u64,
    /// Bytes of UTF-8 of their texts.
    pub bytes: u64,
}

impl Quota {
    /// How long the document of an export may be, in bytes; `None` where a limit is off. Twice as long as all texts,
    /// because some characters are escaped, and 1 KiB for what else is told of each entry.
    #[must_use]
    pub const fn longest_export(self) -> Option<u64> {
        if self.entries == 0 || self.bytes == 0 {
            return None;
        }
        let texts = self.bytes.saturating_mul(2);
        Some(texts.saturating_add(self.entries.saturating_mul(1_024)))
    }
}

/// How much a user has stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Entries.
    pub entries: i64,
    /// Bytes of UTF-8 of their texts: title, content, mood, location and weather.
    pub bytes: i64,
}

/// The most tags of a user.
pub const MOST_TAGS: i64 = 10_000;

/// The most tags of an entry.
pub const MOST_TAGS_OF_AN_ENTRY: i32 = 50;

/// What costs more the more there is in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Costly {
    /// A search.
    Search,
    /// A list of entries.
    List,
    /// The entries of a span of time, for a summary.
    Digest,
    /// A step of an export.
    Export,
    /// Deleting a tag that many entries have.
    DeleteTag,
    /// A list of activity or of clients.
    Activity,
}

impl Costly {
    /// Whether it keeps a processor busy for as long as it runs, because it goes through the texts of many
    /// entries.
    #[must_use]
    pub const fn is_heavy(self) -> bool {
        match self {
            Self::Search | Self::Digest | Self::Export | Self::DeleteTag => true,
            Self::List | Self::Activity => false,
        }
    }
}

/// What of a journal is as much as there may be.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub enum LimitReached {
    /// The user has as many entries as one may have.
    #[display("the user has as many entries as one may have")]
    Entries {
        /// How many.
        most: i64,
    },
    /// The texts of the user's entries would be longer than they may be together.
    #[display("the user's entries would be too long together")]
    Bytes {
        /// How long they are, in bytes.
        has: i64,
        /// How many bytes the write would add.
        more: i64,
        /// How long they may be.
        most: i64,
    },
    /// The document of an export would be longer than it may be.
    #[display("the export would be too long")]
    Export {
        /// How long it may be, in bytes.
        most: u64,
    },
    /// The user has [`MOST_TAGS`].
    #[display("the user has as many tags as one may have")]
    Tags,
    /// The entry has [`MOST_TAGS_OF_AN_ENTRY`].
    #[display("the entry has as many tags as one may have")]
    TagsOfEntry,
}

/// An error of the journal.
#[derive(Clone, Debug, Display, Error)]
pub enum JournalError {
    /// There is no such entry, or it belongs to another user.
    #[display("there is no entry {_0}")]
    NoSuchEntry(#[error(not(source))] EntryId),
    /// There is no such tag, or it belongs to another user.
    #[display("there is no tag {_0}")]
    NoSuchTag(#[error(not(source))] TagId),
    /// There is no such export, it has expired, or it belongs to another user.
    #[display("there is no such export")]
    NoSuchExport,
    /// The user has a tag of that name already.
    #[display("a tag of that name exists")]
    TagNameTaken,
    /// The idempotency key was used before, with other arguments.
    #[display("the idempotency key was used with other arguments")]
    IdempotencyKeyReused,
    /// Too many messages are waiting; try again soon.
    #[display("the journal is busy")]
    Busy,
    /// The user has as much under way as one user may; try again when some of it is done.
    #[display("the user has as much under way as one user may")]
    ShareUsedUp,
    /// The write would exceed what a journal may hold.
    #[display("{_0}")]
    LimitReached(#[error(not(source))] LimitReached),
    /// It took longer than a statement may. Asked for again it would take as long.
    #[display("the statement took too long")]
    TookTooLong(#[error(not(source))] Costly),
    /// The database answers, and did not finish in time what costs the same in every journal: it is overloaded, or
    /// another has locked what it needs.
    #[display("the journal's database did not finish in time")]
    TimedOut {
        /// The error of the database, for the log only.
        source: Cause,
    },
    /// The database cannot be reached, does not answer, or the connection broke.
    #[display("the journal's database is unavailable")]
    Unavailable {
        /// Why, as far as is known.
        why: Outage,
        /// The error of the database, for the log only.
        source: Cause,
    },
    /// The database gave an unexpected answer.
    #[display("unexpected answer from the journal's database")]
    Corrupt {
        /// The cause, for the log only.
        source: Cause,
    },
}
