//! Entries and tags, filters of lists, and the errors of a journal.

use derive_more::{Display, Error};
use serde::Serialize;

use resource_server::cause::Cause;
use resource_server::{clock::Timestamp, principal::UserId};

/// The id of an entry, unique over all users. Not a secret: ownership is checked in every query.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub i64);

/// The id of a tag, unique over all users. Not a secret: ownership is checked in every query.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TagId(pub i64);

/// Whom a new entry or tag will belong to. Reading and changing need the id alone; writing something
/// new may be the first that the journal hears of the user.
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
    /// A label of the owner's; every entry is private to its owner whatever it says.
    pub is_private: bool,
    /// A label of the owner's.
    pub is_favorite: bool,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Its tags, by name.
    pub tags: Vec<TagName>,
}

/// A tag's id and name: what an entry shows of its tags, and a list of tags of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagName {
    /// The tag's id.
    pub id: TagId,
    /// 1 to 60 characters, unique per user without regard to case.
    pub name: String,
}

/// One line of a list of entries.
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

/// One line of a search's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchHit {
    /// The entry that matched.
    pub entry: EntryListItem,
    /// A few words around the match, without markup.
    pub excerpt: String,
}

/// The newest of the entries that a digest is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryDigest {
    /// As many whole entries as the bounds allow, newest first; never fewer than one if any matches.
    pub entries: Vec<Entry>,
    /// How many match, counted no further than [`EntryDigest::COUNTED`].
    pub matching: usize,
}

impl EntryDigest {
    /// Where the counting ends.
    pub const COUNTED: usize = 10_000;
}

/// What somebody may mean who has typed the beginning of an id, or a part of a title or name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestions<Id> {
    /// The likeliest, at most [`MOST_SUGGESTIONS`]: newest first, after what was typed in full.
    pub ids: Vec<Id>,
    /// How many match. Unknown if the journal has more than are looked through.
    pub total: Option<usize>,
}

/// How many suggestions are made at most (MCP, Completion: a hundred).
pub const MOST_SUGGESTIONS: usize = 100;

/// A tag as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The tag's id.
    pub id: TagId,
    /// 1 to 60 characters, unique per user without regard to case.
    pub name: String,
    /// Up to 500 characters.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A name without regard to case. Done here, for PostgreSQL's `lower()` folds by the locale that the
/// database happens to have: in the C locale it knows ASCII alone. By way of the capitals, so that
/// letters with two small forms (ς and σ, ß and ss) meet.
#[must_use]
pub fn fold(name: &str) -> String {
    name.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

/// That an entry has a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryTag {
    /// The entry.
    pub entry_id: EntryId,
    /// The tag.
    pub tag: TagName,
    /// The entry's title, for the person who reads the answer.
    pub entry_title: String,
    /// When the tag was put on the entry.
    pub created_at: Timestamp,
}

/// An entry to be written. Its texts have passed their rules.
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
    /// The owner's own tags to put on it; repeats count once.
    pub tags: Vec<TagId>,
}

impl NewEntry {
    /// The entry as it is once it has been stored: what was given, and what the database added.
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

/// A tag to be made. Its texts have passed their rules.
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

/// Which entries a list shows. Every condition that is set must hold.
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

/// A client's name for one write, so that sending it again does not do it again. Bound to the user
/// and to the operation; remembered for 24 hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key as the client chose it, 1 to 200 characters.
    pub key: String,
    /// SHA-256 over the arguments, so that a key that comes back with others is noticed.
    pub arguments: [u8; 32],
}

/// What became different in a user's journal. Says what, never the text of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// An entry reads differently now, or is gone.
    Entry(EntryId),
    /// A tag reads differently now, or is gone.
    Tag(TagId),
    /// Other tags are on the list of tags than before, or under other names.
    TagList,
}

/// What can go wrong with a journal.
#[derive(Clone, Debug, Display, Error)]
pub enum JournalError {
    /// There is no such entry, or it is another user's: nobody can tell which.
    #[display("there is no entry {_0}")]
    NoSuchEntry(#[error(not(source))] EntryId),
    /// There is no such tag, or it is another user's: nobody can tell which.
    #[display("there is no tag {_0}")]
    NoSuchTag(#[error(not(source))] TagId),
    /// There is no such export, or no longer, or it is another user's.
    #[display("there is no such export")]
    NoSuchExport,
    /// The user has a tag of that name already.
    #[display("a tag of that name exists")]
    TagNameTaken,
    /// The idempotency key was used before, with other arguments.
    #[display("the idempotency key was used with other arguments")]
    IdempotencyKeyReused,
    /// As much is under way as may be; try again soon.
    #[display("the journal is busy")]
    Busy,
    /// The database cannot be reached, or broke off.
    #[display("the journal's database is unavailable")]
    Unavailable {
        /// What the database said, for the log alone.
        source: Cause,
    },
    /// The database answered what it should not.
    #[display("unexpected answer from the journal's database")]
    Corrupt {
        /// What was wrong, for the log alone.
        source: Cause,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_meet_without_regard_to_case_beyond_ascii() {
        assert_eq!(fold("ÄRGER"), fold("ärger"));
        assert_eq!(fold("ΣΊΣΥΦΟΣ"), fold("σίσυφος"));
        assert_eq!(fold("Straße"), fold("STRASSE"));
        assert_ne!(fold("resume"), fold("résumé"));
    }

    proptest! {
        #[test]
        fn a_folded_name_fits_its_column_and_its_cursor(name in "\\PC{1,60}") {
            prop_assert!((1..=1024).contains(&fold(&name).len()));
        }
    }
}
