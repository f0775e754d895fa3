//! Short texts of which something can be seen.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use crate::domain::names::is_visible;
use mcp_server::features::arguments::{Text, validated_string};

/// A text of 1 to `MAX` characters without NUL, at least one of them neither white space nor invisible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visible<const MAX: usize>(String);

impl<const MAX: usize> From<Visible<MAX>> for String {
    fn from(text: Visible<MAX>) -> Self {
        text.0
    }
}

impl<const MAX: usize> AsRef<str> for Visible<MAX> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The same, or an empty text, which counts as none: models send it where they have nothing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<const MAX: usize>(Option<String>);

impl<const MAX: usize> Note<MAX> {
    /// The text, if there is one.
    #[must_use]
    pub fn text(self) -> Option<String> {
        self.0
    }
}

/// Whether a text has from 1 to `max` characters, no NUL, and something to see.
fn is_short_text(text: &str, max: usize) -> bool {
    text.chars().nth(max).is_none() && !text.contains('\0') && is_visible(text)
}

impl<'de, const MAX: usize> Deserialize<'de> for Visible<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        validated_string(
            deserializer,
            format_args!(
                "a string of 1 to {MAX} characters, without NUL, at least one of them visible"
            ),
            |text| is_short_text(text, MAX).then(|| Self(text.to_owned())),
        )
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Note<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        validated_string(
            deserializer,
            format_args!(
                "a string of 0 to {MAX} characters, without NUL, at least one of them visible if there are any"
            ),
            |text| {
                if text.is_empty() {
                    return Some(Self(None));
                }
                is_short_text(text, MAX).then(|| Self(Some(text.to_owned())))
            },
        )
    }
}

impl<const MAX: usize> JsonSchema for Visible<MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Visible{MAX}").into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // No pattern that every reader of schemas understands says what can be seen.
        Text::<1, MAX>::json_schema(generator)
    }
}

impl<const MAX: usize> JsonSchema for Note<MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Note{MAX}").into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Text::<0, MAX>::json_schema(generator)
    }
}
