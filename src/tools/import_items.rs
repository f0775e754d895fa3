//! The tags and entries of a document that is imported, each read by itself.

use chrono::{DateTime, Datelike, Timelike};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    arguments::texts::{Note, Visible},
    domain::{
        import::{ImportedEntry, ImportedTag},
        journal::{NewEntry, TagId},
        names::{LONGEST_TAG_NAME, TagLabel},
    },
};
use mcp_server::features::arguments::{Text, UpTo, read_for, validated_string};
use resource_server::clock::Timestamp;

/// Reads one, by the same rules as the arguments of the tools that write; what it says beside is passed over.
///
/// # Errors
/// A sentence that names the member and its rule.
pub(super) fn read_item<T: DeserializeOwned>(kind: &str, item: &RawValue) -> Result<T, String> {
    if !item.get().starts_with('{') {
        return Err("It must be an object.".to_owned());
    }
    read_for(kind, Some(item)).map_err(|said| {
        let reason = said.strip_prefix("Invalid arguments: ").unwrap_or(&said);
        reason.to_owned()
    })
}

/// A time as the document has it, in microseconds, which are what is stored.
#[derive(Clone, Copy)]
struct Time(Timestamp);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        validated_string(
            deserializer,
            "an RFC 3339 time of the years 1 to 9999, such as 2026-07-28T09:30:00Z",
            |text| {
                let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
                let time = time.with_nanosecond(time.nanosecond() / 1_000 * 1_000)?;
                (1..=9999).contains(&time.year()).then_some(Self(time))
            },
        )
    }
}

/// A tag.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TagItem {
    name: Visible<LONGEST_TAG_NAME>,
    description: Option<Note<500>>,
    created_at: Option<Time>,
    updated_at: Option<Time>,
}

impl TryFrom<TagItem> for ImportedTag {
    type Error = String;

    fn try_from(tag: TagItem) -> Result<Self, String> {
        let (created_at, updated_at) = (tag.created_at, tag.updated_at);
        if let (Some(created), Some(updated)) = (created_at, updated_at) {
            in_order(created, updated)?;
        }
        Ok(Self {
            name: tag.name.into(),
            description: tag.description.and_then(Note::text),
            created_at: created_at.map(|time| time.0),
            updated_at: updated_at.map(|time| time.0),
        })
    }
}

/// An entry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntryItem {
    title: Visible<200>,
    content: Text<1, 100_000>,
    mood: Option<Note<100>>,
    location: Option<Note<100>>,
    weather: Option<Note<100>>,
    is_private: Option<bool>,
    is_favorite: Option<bool>,
    created_at: Time,
    updated_at: Option<Time>,
    tags: Option<UpTo<TagOfEntry, 50>>,
}

/// A tag of an entry, which the document names: its id is that of another journal.
#[derive(Clone, Debug, Deserialize)]
struct TagOfEntry {
    name: Visible<LONGEST_TAG_NAME>,
}

impl EntryItem {
    /// The entry, if its times are in order.
    pub(super) fn checked(self) -> Result<Self, String> {
        if let Some(updated) = self.updated_at {
            in_order(self.created_at, updated)?;
        }
        Ok(self)
    }

    /// The names of its tags.
    pub(super) fn tags(&self) -> impl Iterator<Item = TagLabel> {
        let tags = self.tags.iter().flat_map(|tags| &tags.0);
        tags.filter_map(|tag| TagLabel::read(tag.name.as_ref()))
    }

    /// The entry with tags of the journal.
    pub(super) fn with_tags(self, tags: Vec<TagId>) -> ImportedEntry {
        ImportedEntry {
            entry: NewEntry {
                title: self.title.into(),
                content: self.content.into(),
                mood: self.mood.and_then(Note::text),
                location: self.location.and_then(Note::text),
                weather: self.weather.and_then(Note::text),
                is_private: self.is_private.unwrap_or(true),
                is_favorite: self.is_favorite.unwrap_or(false),
                tags,
            },
            created_at: self.created_at.0,
            updated_at: self.updated_at.unwrap_or(self.created_at).0,
        }
    }
}

fn in_order(created: Time, updated: Time) -> Result<(), String> {
    if updated.0 < created.0 {
        return Err("`updatedAt` must not be earlier than `createdAt`.".to_owned());
    }
    Ok(())
}
