//! Entries and tags as clients see them: camelCase, RFC 3339 in UTC, integer ids.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    resource::Template,
    resources::{entries::Entry as Entries, tags::Tag as Tags},
    uri,
};
use crate::{
    domain::{
        clock::Timestamp,
        journal::{Entry, EntryId, EntryListItem, Tag, TagId, TagName},
        principal::Principal,
    },
    mcp::answer::ResourceLink,
};

/// An entry.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryView {
    id: i64,
    title: String,
    content: String,
    mood: Option<String>,
    location: Option<String>,
    weather: Option<String>,
    is_private: bool,
    is_favorite: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    tags: Vec<TagNameView>,
}

/// One line of a list of entries.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryListItemView {
    id: i64,
    title: String,
    tag_count: i64,
    is_favorite: bool,
    created_at: Timestamp,
}

/// A tag.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TagView {
    id: i64,
    name: String,
    description: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A tag's id and name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TagNameView {
    pub(super) id: i64,
    pub(super) name: String,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id.0,
            title: entry.title,
            content: entry.content,
            mood: entry.mood,
            location: entry.location,
            weather: entry.weather,
            is_private: entry.is_private,
            is_favorite: entry.is_favorite,
            created_at: entry.created_at,
            updated_at: entry.updated_at,
            tags: entry.tags.into_iter().map(TagNameView::from).collect(),
        }
    }
}

impl From<EntryListItem> for EntryListItemView {
    fn from(item: EntryListItem) -> Self {
        Self {
            id: item.id.0,
            title: item.title,
            tag_count: item.tag_count,
            is_favorite: item.is_favorite,
            created_at: item.created_at,
        }
    }
}

impl From<Tag> for TagView {
    fn from(tag: Tag) -> Self {
        Self {
            id: tag.id.0,
            name: tag.name,
            description: tag.description,
            created_at: tag.created_at,
            updated_at: tag.updated_at,
        }
    }
}

impl From<TagName> for TagNameView {
    fn from(tag: TagName) -> Self {
        Self {
            id: tag.id.0,
            name: tag.name,
        }
    }
}

/// A user.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UserView {
    /// The user's id in the journal.
    id: String,
    /// The authorization server that vouches for the subject.
    issuer: String,
    /// The user's name at that server, for programs.
    subject: String,
    /// The user's name at that server, for people.
    username: Option<String>,
}

impl From<&Principal> for UserView {
    fn from(principal: &Principal) -> Self {
        Self {
            id: principal.user.to_string(),
            issuer: principal.issuer.clone(),
            subject: principal.subject.clone(),
            username: principal.username.clone(),
        }
    }
}

/// A link to an entry.
#[must_use]
pub fn entry_link(id: EntryId, title: &str) -> ResourceLink {
    ResourceLink {
        uri: uri::expand(Entries::URI, id.0),
        name: title.to_owned(),
        description: "Journal entry",
        mime_type: "application/json",
    }
}

/// A link to a tag.
#[must_use]
pub fn tag_link(id: TagId, name: &str) -> ResourceLink {
    ResourceLink {
        uri: uri::expand(Tags::URI, id.0),
        name: name.to_owned(),
        description: "Tag",
        mime_type: "application/json",
    }
}
