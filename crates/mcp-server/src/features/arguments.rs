//! Deserialisation of the arguments of tools and prompts. A type validates while it deserialises, and
//! describes the same rule in the JSON Schema.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, Visitor},
};
use serde_json::{Value, value::RawValue};
use serde_path_to_error::Segment;

/// A string of `MIN` to `MAX` characters (Unicode scalar values, as JSON Schema counts them) without NUL,
/// which many databases cannot store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> From<Text<MIN, MAX>> for String {
    fn from(text: Text<MIN, MAX>) -> Self {
        text.0
    }
}

impl<const MIN: usize, const MAX: usize> AsRef<str> for Text<MIN, MAX> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// An id: an integer from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(i64);

impl From<Id> for i64 {
    fn from(id: Id) -> Self {
        id.0
    }
}

/// The schema of an argument that `null` clears, for `#[schemars(with = …)]` on a field that is read by [`clearable`].
/// That of an `Option` does not mention `null`: whoever has no value leaves the argument out.
#[derive(Clone, Copy, Debug)]
pub struct Clearable<T>(PhantomData<T>);

/// Marks the schema of a [`Clearable`], until the schema is made portable.
pub(super) const NULL_CLEARS: &str = "x-null-clears";

/// An array of at most `MAX` items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpTo<T, const MAX: usize>(pub Vec<T>);

/// Deserialises the arguments of a tool; absent ones are an empty object.
///
/// # Errors
/// A sentence that names the argument and its rule, but does not repeat its value.
pub fn read<T: DeserializeOwned>(raw: Option<&RawValue>) -> Result<T, String> {
    read_for("tool", raw)
}

/// Deserialises the arguments of a `kind`, which is `tool` or `prompt`.
///
/// # Errors
/// See [`read`].
pub fn read_for<T: DeserializeOwned>(kind: &str, raw: Option<&RawValue>) -> Result<T, String> {
    // Some clients write null for no arguments.
    let text = raw.map_or("{}", RawValue::get);
    let text = if text == "null" { "{}" } else { text };
    serde_json::from_str(text).map_err(|_| {
        // Read again, with the path of the error. Deserialising from a `Value` keeps positions out of
        // the message; it does not report a duplicate name.
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let explained = serde_path_to_error::deserialize::<_, Value>(&mut deserializer)
            .map_err(|error| unreadable(&error))
            .and_then(|value| {
                serde_path_to_error::deserialize::<_, T>(value)
                    .map(|_| "each argument may appear only once".to_owned())
                    .map_err(|error| {
                        explain(kind, &error.path().to_string(), &error.inner().to_string())
                    })
            });
        let (Ok(reason) | Err(reason)) = explained;
        format!("Invalid arguments: {reason}.")
    })
}

/// Explains well-formed JSON that cannot be represented: an unpaired surrogate, a number out of range, or
/// nesting that is too deep.
fn unreadable(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let finding = error.inner().to_string();
    let reason = finding.split(" at line ").next().unwrap_or_default();
    // A name that cannot be read cannot be repeated.
    if let Some(Segment::Unknown) = error.path().iter().next_back() {
        return format!("an argument's name cannot be read as JSON: {reason}");
    }
    let path: String = error.path().to_string().chars().take(60).collect();
    format!("`{path}` cannot be read as JSON: {reason}")
}

/// Rephrases an error of serde. What precedes `expected` may contain the value, so it is left out.
fn explain(kind: &str, path: &str, finding: &str) -> String {
    if let Some(name) = between_ticks(finding, "missing field `") {
        return format!("`{name}` is required");
    }
    if let Some(name) = between_ticks(finding, "unknown field `") {
        let name: String = name.chars().take(60).collect();
        let known = finding.rsplit_once("expected").map_or_else(
            || "there are none".to_owned(),
            |(_, known)| {
                let known = known.trim_start_matches(" one of").trim();
                let are = if known.matches('`').count() == 2 {
                    "is"
                } else {
                    "are"
                };
                format!("there {are} {}", known.replace("` or `", "` and `"))
            },
        );
        return format!("`{name}` is not an argument of this {kind}; {known}");
    }
    let rule = finding
        .rsplit_once("expected ")
        .map_or(finding, |(_, rule)| rule)
        .trim_start_matches("must be ");
    let rule = match rule {
        "a sequence" => "an array",
        other => other,
    };
    if path == "." {
        format!("they must be {rule}")
    } else if rule.starts_with("must not be ") {
        format!("`{path}` {rule}")
    } else {
        format!("`{path}` must be {rule}")
    }
}

fn between_ticks<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.split('`').next()
}

/// Deserialises an optional argument whose absence keeps what is there, and which must not be `null`. Its field also
/// needs `skip_serializing_if`, so that the schema has no default of `null`; `!default` would make the argument required.
///
/// # Errors
/// That of `null` says to leave it out; the others are those of the deserializer.
pub fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    match Option::deserialize(deserializer)? {
        Some(value) => Ok(Some(value)),
        None => Err(de::Error::custom(
            "must not be null; leave it out to keep it",
        )),
    }
}

/// Deserialises an optional argument: `null` clears a field, absence keeps it. Its field also needs
/// `skip_serializing_if`, like that of [`not_null`], and the schema of [`Clearable`].
///
/// # Errors
/// Errors of the deserializer.
pub fn clearable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Deserialises an integer with a function that returns `None` for invalid ones.
///
/// # Errors
/// `must be`, followed by the rule.
pub fn validated_integer<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    rule: &'static str,
    read: impl FnOnce(i64) -> Option<T>,
) -> Result<T, D::Error> {
    deserializer.deserialize_i64(IntegerVisitor(rule, read))
}

/// A visitor that reports `rule` for everything that is invalid.
struct StringVisitor<R, F> {
    rule: R,
    read: F,
}

impl<'de, T, R: fmt::Display, F: FnOnce(&str) -> Option<T>> Visitor<'de> for StringVisitor<R, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rule.fmt(f)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        let Self { rule, read } = self;
        read(text).ok_or_else(|| E::custom(format_args!("must be {rule}")))
    }
}

/// Deserialises a string with a function that returns `None` for invalid ones.
///
/// # Errors
/// `must be`, followed by the rule.
pub fn validated_string<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    rule: impl fmt::Display,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(StringVisitor { rule, read })
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Text<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        validated_string(
            deserializer,
            format_args!("a string of {MIN} to {MAX} characters, without NUL"),
            |text| {
                let long_enough = text.chars().take(MIN).count() == MIN;
                let short_enough = text.chars().nth(MAX).is_none();
                (long_enough && short_enough && !text.contains('\0')).then(|| Self(text.to_owned()))
            },
        )
    }
}

impl<const MIN: usize, const MAX: usize> JsonSchema for Text<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Text{MIN}To{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": MIN,
            "maxLength": MAX,
            "pattern": r"^[^\u0000]*$",
        })
    }
}

struct IntegerVisitor<F>(&'static str, F);

impl<'de, T, F: FnOnce(i64) -> Option<T>> Visitor<'de> for IntegerVisitor<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let Self(rule, read) = self;
        read(number).ok_or_else(|| E::custom(format_args!("must be {rule}")))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        let rule = self.0;
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Err(E::custom(format_args!("must be {rule}"))),
        }
    }

    /// `7.0` and `2e1` are integers to JSON Schema, and some models write them so.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        let rule = self.0;
        // Beyond, a double may stand for another integer than was written.
        if number.fract() == 0.0 && number.abs() <= MOST_EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "it is an integer in range")]
            return self.visit_i64(number as i64);
        }
        Err(E::custom(format_args!("must be {rule}")))
    }
}

/// Up to here a double has every integer: 2^53 - 1.
const MOST_EXACT: f64 = 9_007_199_254_740_991.0;

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        validated_integer(deserializer, "an integer from 1 up", |number| {
            (number >= 1).then_some(Self(number))
        })
    }
}

impl JsonSchema for Id {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1 })
    }
}

impl<T: JsonSchema> JsonSchema for Clearable<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Clearable{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [generator.subschema_for::<T>(), { "type": "null" }],
            (NULL_CLEARS): true,
        })
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for UpTo<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::deserialize(deserializer)?;
        if items.len() > MAX {
            return Err(de::Error::custom(format_args!(
                "must be an array of at most {MAX} items"
            )));
        }
        Ok(Self(items))
    }
}

impl<T: JsonSchema, const MAX: usize> JsonSchema for UpTo<T, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("UpTo{MAX}{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "maxItems": MAX,
            "items": generator.subschema_for::<T>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{json, value::to_raw_value};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[expect(dead_code, reason = "only that it deserialises is looked at")]
    struct Sample {
        title: Text<1, 3>,
        entry_id: Option<Id>,
        tags: Option<UpTo<Id, 2>>,
        #[serde(default, deserialize_with = "clearable")]
        mood: Option<Option<Text<1, 3>>>,
        #[serde(default, deserialize_with = "not_null")]
        flag: Option<bool>,
    }

    fn refusal(arguments: &str) -> String {
        let raw: Box<RawValue> = serde_json::from_str(arguments).unwrap();
        read::<Sample>(Some(&raw)).unwrap_err()
    }

    #[test]
    fn what_no_value_can_hold_is_named_with_its_place() {
        for (arguments, reason) in [
            (
                r#"{"title":"\ud800 secret"}"#,
                "`title` cannot be read as JSON: unexpected end of hex escape",
            ),
            (
                r#"{"title":"\udc00"}"#,
                "`title` cannot be read as JSON: lone leading surrogate in hex escape",
            ),
            (
                r#"{"title":"a","\ud800":1}"#,
                "an argument's name cannot be read as JSON: unexpected end of hex escape",
            ),
            (
                r#"{"title":"a","tags":[1,1e999]}"#,
                "`tags[1]` cannot be read as JSON: number out of range",
            ),
        ] {
            assert_eq!(
                refusal(arguments),
                format!("Invalid arguments: {reason}."),
                "{arguments}"
            );
        }
    }

    #[test]
    fn each_rule_is_named_with_its_argument_and_without_the_value() {
        for (arguments, reason) in [
            ("{}", "`title` is required"),
            (
                r#"{"title":"secret"}"#,
                "`title` must be a string of 1 to 3 characters, without NUL",
            ),
            (
                r#"{"title":""}"#,
                "`title` must be a string of 1 to 3 characters, without NUL",
            ),
            (
                r#"{"title":"a\u0000"}"#,
                "`title` must be a string of 1 to 3 characters, without NUL",
            ),
            (
                r#"{"title":7}"#,
                "`title` must be a string of 1 to 3 characters, without NUL",
            ),
            (
                r#"{"title":null}"#,
                "`title` must be a string of 1 to 3 characters, without NUL",
            ),
            (
                r#"{"title":"a","entryId":0}"#,
                "`entryId` must be an integer from 1 up",
            ),
            (
                r#"{"title":"a","entryId":1.5}"#,
                "`entryId` must be an integer from 1 up",
            ),
            (
                r#"{"title":"a","entryId":1e300}"#,
                "`entryId` must be an integer from 1 up",
            ),
            (
                r#"{"title":"a","entryId":"1"}"#,
                "`entryId` must be an integer from 1 up",
            ),
            (
                r#"{"title":"a","entryId":18446744073709551615}"#,
                "`entryId` must be an integer from 1 up",
            ),
            (
                r#"{"title":"a","tags":[1,0]}"#,
                "`tags[1]` must be an integer from 1 up",
            ),
            (
                r#"{"title":"a","tags":[1,2,3]}"#,
                "`tags` must be an array of at most 2 items",
            ),
            (r#"{"title":"a","tags":"1"}"#, "`tags` must be an array"),
            (
                r#"{"title":"a","flag":null}"#,
                "`flag` must not be null; leave it out to keep it",
            ),
            (r#"{"title":"a","flag":1}"#, "`flag` must be a boolean"),
            (
                r#"{"title":"a","title":"b"}"#,
                "each argument may appear only once",
            ),
            (
                r#"{"title":"a","userId":1}"#,
                "`userId` is not an argument of this tool; there are `title`, `entryId`, `tags`, `mood`, `flag`",
            ),
        ] {
            assert_eq!(
                refusal(arguments),
                format!("Invalid arguments: {reason}."),
                "{arguments}"
            );
        }
    }

    #[test]
    fn absent_and_null_are_told_apart_where_it_matters() {
        let read = |value: Value| read::<Sample>(Some(&to_raw_value(&value).unwrap())).unwrap();
        assert_eq!(read(json!({"title": "a"})).mood, None);
        assert_eq!(read(json!({"title": "a", "mood": null})).mood, Some(None));
        assert!(
            read(json!({"title": "a", "mood": "x"}))
                .mood
                .unwrap()
                .is_some()
        );
        assert_eq!(read(json!({"title": "äöü"})).title.as_ref(), "äöü");
    }

    proptest! {
        #[test]
        fn a_refused_value_is_never_repeated(title in "[a-z]{9,20}", flag in "[a-z]{9,20}") {
            let said = refusal(&json!({"title": title, "flag": flag}).to_string());
            prop_assert!(!said.contains(&title) && !said.contains(&flag));
        }
    }
}
