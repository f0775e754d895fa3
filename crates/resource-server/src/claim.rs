//! The JSON types of claims (RFC 7519 §2, §4.1).

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::clock::Timestamp;

/// The accepted clock skew for `nbf` and `iat`. There is none for `exp`.
pub(crate) const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(30);

/// Seconds since the epoch (RFC 7519 §2), which may have a fraction.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum NumericDate {
    Whole(i64),
    Fraction(f64),
}

/// RFC 7519 §4.1.3: `aud` is an array of strings, or one string.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl NumericDate {
    /// The instant; values out of range become the earliest or the latest one.
    pub(crate) fn instant(self) -> Timestamp {
        let seconds = match self {
            Self::Whole(seconds) => seconds,
            #[expect(
                clippy::cast_possible_truncation,
                reason = "`as` saturates, and NaN becomes 0, which is expired"
            )]
            Self::Fraction(seconds) => seconds.floor() as i64,
        };
        DateTime::from_timestamp(seconds, 0).unwrap_or(if seconds < 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        })
    }

    /// Whether this instant lies at most `back` before `now`, and at most `ahead` after it.
    pub(crate) fn is_within(self, back: TimeDelta, ahead: TimeDelta, now: Timestamp) -> bool {
        let age = now.signed_duration_since(self.instant());
        -ahead <= age && age <= back
    }
}

impl Audience {
    /// The audiences.
    pub(crate) fn names(&self) -> &[String] {
        match self {
            Self::One(audience) => std::slice::from_ref(audience),
            Self::Many(audiences) => audiences,
        }
    }

    /// Whether any of the audiences matches.
    pub(crate) fn any(&self, matches: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::One(audience) => matches(audience),
            Self::Many(audiences) => audiences.iter().any(|audience| matches(audience)),
        }
    }
}

/// Reads `scope`: a list in one string (RFC 7662 §2.2, RFC 9068 §2.2.3), or an array of strings, as some servers
/// have it. An element is one scope, so that one with a space in it is none.
pub(crate) fn scope_list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Ok(Option::<ScopeList>::deserialize(deserializer)?.map(ScopeList::text))
}

/// The same of a claim that no RFC has: what is not such a list is not there.
pub(crate) fn scope_list_or_nothing<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(ScopeList::deserialize(value).ok().map(ScopeList::text))
}

/// Reads a text of a claim that no RFC has: what is not text is not there.
pub(crate) fn text_or_nothing<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ScopeList {
    Text(String),
    Array(Vec<String>),
}

impl ScopeList {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Array(scopes) => {
                let whole = |scope: &String| !scope.contains(char::is_whitespace);
                let scopes: Vec<_> = scopes.into_iter().filter(whole).collect();
                scopes.join(" ")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_a_text_or_an_array_of_texts() {
        #[derive(Deserialize)]
        struct Claims {
            #[serde(default, deserialize_with = "scope_list")]
            scope: Option<String>,
        }
        let read = |json: &str| serde_json::from_str::<Claims>(json).map(|claims| claims.scope);
        for (json, expected) in [
            (r#"{"scope":"a b"}"#, Some("a b")),
            (r#"{"scope":["a","b"]}"#, Some("a b")),
            (r#"{"scope":["a b","c"]}"#, Some("c")),
            (r#"{"scope":[]}"#, Some("")),
            (r#"{"scope":null}"#, None),
            ("{}", None),
        ] {
            assert_eq!(read(json).unwrap().as_deref(), expected, "{json}");
        }
        for json in [r#"{"scope":7}"#, r#"{"scope":["a",7]}"#, r#"{"scope":{}}"#] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_date_out_of_range_is_the_end_of_time_and_in_no_window() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let (back, ahead) = (TimeDelta::seconds(300), TimeDelta::seconds(30));
        for (date, within) in [
            ("999700", true),
            ("999699", false),
            ("999699.9", false),
            ("1000030", true),
            ("1000031", false),
            ("9223372036854775807", false),
            ("-9223372036854775808", false),
            ("1e300", false),
            ("-1e300", false),
        ] {
            let read: NumericDate = serde_json::from_str(date).unwrap();
            assert_eq!(read.is_within(back, ahead, now), within, "{date}");
        }
    }
}
