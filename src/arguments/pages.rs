//! Arguments of lists: page size and cursor.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::domain::{
    journal::{EntryId, TagId},
    page::{Cursor, PageLimit},
};
use mcp_server::features::arguments::{Id, validated_integer, validated_string};

impl From<Id> for EntryId {
    fn from(id: Id) -> Self {
        Self(id.into())
    }
}

impl From<Id> for TagId {
    fn from(id: Id) -> Self {
        Self(id.into())
    }
}

/// How many items a page has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit(pub PageLimit);

/// The cursor of the next page, from an earlier page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After<C>(pub C);

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        validated_integer(deserializer, "an integer from 1 to 200", |number| {
            let number = u16::try_from(number).ok();
            number.and_then(PageLimit::new).map(Self)
        })
    }
}

impl JsonSchema for Limit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": PageLimit::MAX })
    }
}

impl<'de, C: Cursor> Deserialize<'de> for After<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        validated_string(
            deserializer,
            "the nextCursor of an earlier page of this list",
            |text| C::decode(text).map(Self),
        )
    }
}

impl<C> JsonSchema for After<C> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Cursor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_1_to_200_items() {
        let read = |text: &str| serde_json::from_str::<Limit>(text).map(|limit| limit.0);
        assert!(read("1").is_ok() && read("200").is_ok());
        for refused in ["0", "201", "-1", "1.5", "\"1\"", "null"] {
            let error = read(refused).unwrap_err().to_string();
            assert!(error.contains("an integer from 1 to 200"), "{error}");
        }
    }
}
