//! Ids as arguments of prompts, which are strings (MCP, Prompts).

use serde::{Deserialize, Deserializer};

use crate::domain::journal::{EntryId, TagId};
use mcp_server::features::{arguments::validated_string, uri::ResourceId};

/// An id, written as a string: arguments of prompts have no other type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdText(i64);

impl From<IdText> for EntryId {
    fn from(id: IdText) -> Self {
        Self(id.0)
    }
}

impl<'de> Deserialize<'de> for IdText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        validated_string(deserializer, "an id, such as \"7\"", |text| {
            i64::parse(text.trim()).map(Self)
        })
    }
}

/// Ids of tags with commas between them, `MAX` at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdList<const MAX: usize>(Vec<i64>);

impl<const MAX: usize> From<IdList<MAX>> for Vec<TagId> {
    fn from(ids: IdList<MAX>) -> Self {
        ids.0.into_iter().map(TagId).collect()
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for IdList<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        validated_string(
            deserializer,
            format_args!("a list of at most {MAX} ids, such as \"3,7\""),
            |text| {
                if text.split(',').nth(MAX).is_some() {
                    return None;
                }
                text.split(',')
                    .map(|id| i64::parse(id.trim()))
                    .collect::<Option<_>>()
                    .map(Self)
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, from_value, json};

    use super::*;
    use mcp_server::features::prompt::unless_blank;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Sample {
        #[serde(default, deserialize_with = "unless_blank")]
        ids: Option<IdList<3>>,
    }

    fn ids(value: &Value) -> Option<Option<Vec<i64>>> {
        let sample: Sample = from_value(json!({ "ids": value })).ok()?;
        Some(sample.ids.map(|ids| ids.0))
    }

    #[test]
    fn a_list_of_ids_is_read_to_the_letter_and_a_blank_is_none() {
        assert_eq!(ids(&json!("3")), Some(Some(vec![3])));
        assert_eq!(ids(&json!("3, 7,9")), Some(Some(vec![3, 7, 9])));
        assert_eq!(ids(&json!("")), Some(None));
        assert_eq!(ids(&json!("  ")), Some(None));
        for refused in [
            json!(","),
            json!("3,"),
            json!("03"),
            json!("-3"),
            json!("3;7"),
            json!("1,2,3,4"),
            json!("three"),
            json!(3),
            json!([3]),
            json!(null),
        ] {
            assert_eq!(ids(&refused), None, "{refused}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = ids(&json!(text));
        }
    }
}
