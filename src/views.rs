//! Entries and tags as clients see them: camelCase, RFC 3339 in UTC, integer ids.

use std::borrow::Cow;

use chrono::{Datelike, Timelike};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use crate::domain::{
    journal::{Entry, EntryId, EntryListItem, Tag, TagId, TagName},
    uris,
};
use mcp_protocol::answer::{LazyText, ResourceLink};
use mcp_server::features::uri;
use resource_server::{clock::Timestamp, principal::Principal};

/// An entry.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryView {
    id: i64,
    /// Where the entry can be read as a resource.
    uri: UriView,
    title: String,
    content: String,
    mood: Option<String>,
    location: Option<String>,
    weather: Option<String>,
    is_private: bool,
    is_favorite: bool,
    created_at: JsonTime,
    updated_at: JsonTime,
    tags: Vec<TagNameView>,
}

/// One line of a list of entries.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryListItemView {
    id: i64,
    /// Where the entry can be read as a resource.
    uri: UriView,
    title: String,
    tag_count: i32,
    is_favorite: bool,
    created_at: JsonTime,
}

/// A tag.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TagView {
    id: i64,
    /// Where the tag can be read as a resource.
    uri: UriView,
    name: String,
    description: Option<String>,
    created_at: JsonTime,
    updated_at: JsonTime,
}

/// A tag's id and name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TagNameView {
    pub(super) id: i64,
    /// Where the tag can be read as a resource.
    uri: UriView,
    pub(super) name: String,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id.0,
            uri: UriView::new(uris::ENTRY, entry.id.0),
            title: entry.title,
            content: entry.content,
            mood: entry.mood,
            location: entry.location,
            weather: entry.weather,
            is_private: entry.is_private,
            is_favorite: entry.is_favorite,
            created_at: JsonTime(entry.created_at),
            updated_at: JsonTime(entry.updated_at),
            tags: entry.tags.into_iter().map(TagNameView::from).collect(),
        }
    }
}

impl From<EntryListItem> for EntryListItemView {
    fn from(item: EntryListItem) -> Self {
        Self {
            id: item.id.0,
            uri: UriView::new(uris::ENTRY, item.id.0),
            title: item.title,
            tag_count: item.tag_count,
            is_favorite: item.is_favorite,
            created_at: JsonTime(item.created_at),
        }
    }
}

impl From<Tag> for TagView {
    fn from(tag: Tag) -> Self {
        Self {
            id: tag.id.0,
            uri: UriView::new(uris::TAG, tag.id.0),
            name: tag.name,
            description: tag.description,
            created_at: JsonTime(tag.created_at),
            updated_at: JsonTime(tag.updated_at),
        }
    }
}

impl From<TagName> for TagNameView {
    fn from(tag: TagName) -> Self {
        Self {
            id: tag.id.0,
            uri: UriView::new(uris::TAG, tag.id.0),
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
pub fn entry_link(id: EntryId, name: impl Into<LazyText>) -> ResourceLink {
    ResourceLink {
        uri: uri::expand_number(uris::ENTRY, id.0),
        name: name.into(),
        description: "Journal entry",
        mime_type: "application/json",
    }
}

/// A link to a tag.
#[must_use]
pub fn tag_link(id: TagId, name: &str) -> ResourceLink {
    ResourceLink {
        uri: uri::expand_number(uris::TAG, id.0),
        name: name.into(),
        description: "Tag",
        mime_type: "application/json",
    }
}

/// The URI of a resource with an id, which is written when it is serialised; lists have many of them.
#[derive(Clone, Copy, Debug)]
struct UriView {
    before: &'static str,
    id: i64,
}

impl UriView {
    const fn new(template: &'static str, id: i64) -> Self {
        let (before, rest) = template.split_at(template.len() - "{id}".len());
        assert!(
            matches!(rest.as_bytes(), b"{id}"),
            "the id is the last part"
        );
        Self { before, id }
    }
}

impl Serialize for UriView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut id = itoa::Buffer::new();
        serializer.serialize_str(&[self.before, id.format(self.id)].concat())
    }
}

impl JsonSchema for UriView {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Uri".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// A time that serialises exactly like chrono's, but ten times faster; lists have many of them.
#[derive(Clone, Copy, Debug)]
struct JsonTime(Timestamp);

impl Serialize for JsonTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(instant) = self;
        let micros = instant.timestamp_subsec_micros();
        let is_plain = (0..=9999).contains(&instant.year())
            && instant.nanosecond() < 1_000_000_000
            && instant.nanosecond() % 1_000 == 0;
        if !is_plain {
            return instant.serialize(serializer);
        }
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let digits = |text: &mut [u8], mut number: u32| {
            for digit in text.iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        digits(&mut text[0..4], instant.year().unsigned_abs());
        digits(&mut text[5..7], instant.month());
        digits(&mut text[8..10], instant.day());
        digits(&mut text[11..13], instant.hour());
        digits(&mut text[14..16], instant.minute());
        digits(&mut text[17..19], instant.second());
        digits(&mut text[20..26], micros);
        // As many digits of the second as it has, by threes.
        let end = match micros {
            0 => 19,
            micros if micros % 1_000 == 0 => 23,
            _ => 26,
        };
        text[end] = b'Z';
        let text = str::from_utf8(&text[..=end]).expect("digits are ASCII");
        serializer.serialize_str(text)
    }
}

impl JsonSchema for JsonTime {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Timestamp::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Timestamp::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_instant_is_written_as_chrono_writes_it(
            seconds in -63_000_000_000i64..254_000_000_000,
            nanos in prop_oneof![Just(0), (0u32..1_000).prop_map(|n| n * 1_000_000), (0u32..1_000_000).prop_map(|n| n * 1_000), 0u32..1_000_000_000],
        ) {
            let instant = DateTime::from_timestamp(seconds, nanos).unwrap();
            let written = serde_json::to_string(&JsonTime(instant)).unwrap();
            prop_assert_eq!(written, serde_json::to_string(&instant).unwrap());
        }
    }
}
