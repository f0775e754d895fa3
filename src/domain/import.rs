//! What is brought into a journal from a document that an export has written.

use resource_server::clock::Timestamp;

use super::journal::{EntryId, LimitReached, NewEntry, TagId};

/// A tag of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedTag {
    /// 1 to 60 characters, one of them visible.
    pub name: String,
    /// Up to 500 characters.
    pub description: Option<String>,
    /// When it was created; now if the document does not say.
    pub created_at: Option<Timestamp>,
    /// When it was last changed; when it was created if the document does not say.
    pub updated_at: Option<Timestamp>,
}

/// An entry of a document, with the ids of the tags that it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedEntry {
    /// Its texts, labels and tags.
    pub entry: NewEntry,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What became of a tag of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagImport {
    /// It is new.
    Added(TagId),
    /// The journal has one of that name, which stays as it is.
    There(TagId),
    /// There is no room for it.
    Refused(LimitReached),
}

/// What became of an entry of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryImport {
    /// It is new.
    Added(EntryId),
    /// The journal has one of the same time with the same title or the same text.
    There,
    /// There is no room for it.
    Refused(LimitReached),
}
