//! Arguments of tools, and the types that they are made of.

use chrono::{DateTime, Datelike};
use epicme::{
    arguments::{
        dates::{DateOrTime, Zone, span},
        pages::{After, Limit},
    },
    domain::page::{Cursor, NameCursor, TimeCursor},
};
use mcp_server::features::arguments::{Id, Text, UpTo, clearable, not_null, read};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, value::RawValue};

/// One argument of each type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Arguments {
    title: Text<1, 20>,
    #[serde(default, deserialize_with = "clearable")]
    mood: Option<Option<Text<0, 10>>>,
    #[serde(default, deserialize_with = "not_null")]
    is_favorite: Option<bool>,
    tags: Option<UpTo<Id, 3>>,
    limit: Option<Limit>,
    cursor: Option<After<TimeCursor>>,
    from: Option<DateOrTime>,
    to: Option<DateOrTime>,
    time_zone: Option<Zone>,
}

/// The arguments of a call, as JSON.
pub fn arguments(data: &[u8]) -> bool {
    let Ok(raw) = serde_json::from_slice::<&RawValue>(data) else {
        return false;
    };
    match read::<Arguments>(Some(raw)) {
        Err(reason) => {
            assert!(
                reason.starts_with("Invalid arguments: ") && reason.ends_with('.'),
                "{reason}"
            );
            assert!(reason.len() <= 1_000, "{} bytes", reason.len());
            if let Ok(Value::Object(members)) = serde_json::from_str(raw.get()) {
                // Duplicates are gone from the members, so only they can be well-formed here.
                let text = Value::Object(members.clone()).to_string();
                let again = serde_json::from_str::<Box<RawValue>>(&text).expect("JSON");
                let accepted = read::<Arguments>(Some(&again)).is_ok();
                assert_eq!(accepted, is_well_formed(&members), "{text}: {reason}");
            }
            false
        }
        Ok(arguments) => {
            let members: Map<String, Value> = serde_json::from_str(raw.get()).expect("an object");
            assert!(is_well_formed(&members), "{members:?}");
            let text = |name: &str| members.get(name).and_then(Value::as_str);
            assert_eq!(text("title"), Some(arguments.title.as_ref()));
            let mood = arguments.mood.flatten().map(String::from);
            assert_eq!(text("mood"), mood.as_deref());
            assert_eq!(
                members.get("isFavorite").and_then(Value::as_bool),
                arguments.is_favorite
            );
            let tags = arguments
                .tags
                .map(|tags| tags.0.into_iter().map(i64::from).collect());
            let named = members.get("tags").and_then(Value::as_array);
            let named = named.map(|ids| ids.iter().filter_map(whole).collect::<Vec<_>>());
            assert_eq!(tags, named);
            let limit = arguments.limit.map(|limit| i64::from(limit.0.get()));
            assert_eq!(members.get("limit").and_then(whole), limit);
            let cursor = arguments.cursor.map(|after| after.0.encode());
            assert_eq!(text("cursor"), cursor.as_deref());
            let zone = arguments.time_zone.unwrap_or_default();
            if let Ok((Some(from), Some(to))) = span(arguments.from, arguments.to, &zone) {
                assert!(from <= to);
            }
            true
        }
    }
}

/// An integer, also as `7.0` or `2e1`, as far as a double has every one.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value
            .as_f64()
            .filter(|number| value.is_f64() && number.fract() == 0.0)?;
        #[expect(clippy::cast_possible_truncation, reason = "it is in range")]
        (number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
    })
}

/// The rules once more, by hand.
fn is_well_formed(members: &Map<String, Value>) -> bool {
    let id = |value: &Value| whole(value).is_some_and(|id| id >= 1);
    let text = |value: &Value, lengths: std::ops::RangeInclusive<usize>| {
        let text = value.as_str();
        text.is_some_and(|text| lengths.contains(&text.chars().count()) && !text.contains('\0'))
    };
    members.contains_key("title")
        && members.iter().all(|(name, value)| match name.as_str() {
            "title" => text(value, 1..=20),
            "mood" => value.is_null() || text(value, 0..=10),
            "isFavorite" => value.is_boolean(),
            "tags" => {
                let ids = value.as_array();
                value.is_null() || ids.is_some_and(|ids| ids.len() <= 3 && ids.iter().all(id))
            }
            "limit" => {
                value.is_null() || whole(value).is_some_and(|limit| (1..=200).contains(&limit))
            }
            "cursor" => {
                let text = value.as_str();
                value.is_null() || text.is_some_and(|text| TimeCursor::decode(text).is_some())
            }
            "from" | "to" => value.is_null() || parsed::<DateOrTime>(value).is_some(),
            "timeZone" => value.is_null() || parsed::<Zone>(value).is_some(),
            _ => false,
        })
}

fn parsed<T: DeserializeOwned>(value: &Value) -> Option<T> {
    value.as_str()?;
    serde_json::from_value(value.clone()).ok()
}

/// A date or a time, then in further lines another one and the name of a time zone.
pub fn dates(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else {
        return false;
    };
    let mut lines = text.split('\n').map(|line| Value::String(line.to_owned()));
    let mut next = || lines.next().unwrap_or_default();
    let (text, other, zone) = (next(), next(), next());
    let zone: Zone = parsed(&zone).unwrap_or_default();
    assert!(zone.name().is_none_or(|name| name.len() <= 64));
    let Some(date) = parsed::<DateOrTime>(&text) else {
        return false;
    };
    let text = text.as_str().unwrap_or_default();
    match date {
        DateOrTime::Day(day) => assert_eq!(day.to_string(), text, "in one way only"),
        DateOrTime::Local(time) => {
            let (day, _) = text.split_at(10);
            assert_eq!(time.date().to_string(), day, "{text}");
            assert!(DateTime::parse_from_rfc3339(text).is_err(), "{text}");
        }
        DateOrTime::Instant(instant) => {
            // Another reader of RFC 3339, whose calendar ends some hours earlier.
            if let Ok(read) = text.parse::<jiff::Timestamp>() {
                let second = read.as_nanosecond().div_euclid(1_000_000_000);
                assert_eq!(second, i128::from(instant.timestamp()), "{text}");
            }
            assert!((-1..=10_000).contains(&instant.year()), "{text}");
            let again = DateTime::parse_from_rfc3339(&instant.to_rfc3339());
            assert!(
                again.is_err() || again.is_ok_and(|again| again == instant),
                "{text}"
            );
        }
    }
    let other: Option<DateOrTime> = parsed(&other);
    match span(Some(date), other, &zone) {
        Ok((Some(from), to)) => assert!(to.is_none_or(|to| from <= to)),
        Ok((None, _)) => panic!("the beginning is lost"),
        Err(_) => {
            let swapped = other.expect("there is an end");
            assert!(span(Some(swapped), Some(date), &zone).is_ok());
        }
    }
    true
}

/// The cursor of a page.
pub fn cursor(data: &[u8]) -> bool {
    // Every position has a cursor that names it.
    if let Some((head, name)) = data.split_first_chunk::<8>() {
        let id = i64::from_be_bytes(*head);
        if let Some((micros, _)) = name.split_first_chunk::<8>() {
            let position = TimeCursor {
                micros: i64::from_be_bytes(*micros),
                id,
            };
            assert_eq!(TimeCursor::decode(&position.encode()), Some(position));
        }
        let folded_name = String::from_utf8_lossy(name).replace('\0', "");
        if folded_name.len() <= 1_024 {
            let position = NameCursor { folded_name, id };
            assert_eq!(NameCursor::decode(&position.encode()), Some(position));
        }
    }
    let Ok(text) = str::from_utf8(data) else {
        return false;
    };
    let (by_time, by_name) = (TimeCursor::decode(text), NameCursor::decode(text));
    if let Some(position) = &by_time {
        assert_eq!(position.encode(), text, "in one way only");
    }
    if let Some(position) = &by_name {
        assert_eq!(position.encode(), text, "in one way only");
        assert!(position.folded_name.len() <= 1_030 && !position.folded_name.contains('\0'));
    }
    by_time.is_some() || by_name.is_some()
}
