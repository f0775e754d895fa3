//! Arguments that are a date or a time.

use std::borrow::Cow;

use chrono::DateTime;
use jiff::{
    civil::{self, Date},
    tz::TimeZone,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use mcp_server::features::arguments::validated_string;
use resource_server::clock::Timestamp;

/// A date, which stands for its first instant in a time zone, or a time, with an offset or in that time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrTime {
    /// `2026-07-28`
    Day(Date),
    /// `2026-07-28T09:30:00`
    Local(civil::DateTime),
    /// `2026-07-28T09:30:00+02:00`
    Instant(Timestamp),
}

/// A time zone by its name in the IANA database. UTC if none is named.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl DateOrTime {
    /// The time, or the first instant of the date. A date beyond the calendar gives the last representable time,
    /// because people write such a date for "no end".
    #[must_use]
    pub fn instant(self, zone: &Zone) -> Timestamp {
        let (time, year) = match self {
            Self::Instant(instant) => return instant,
            // If a change of clocks skips midnight, the day begins after the change.
            Self::Day(day) => {
                let midnight = day.to_zoned(zone.0.clone());
                let start = midnight.and_then(|midnight| midnight.start_of_day());
                (start, day.year())
            }
            // A time that a change of clocks skips is as much later; of one that it repeats, the first counts.
            Self::Local(time) => (time.to_zoned(zone.0.clone()), time.year()),
        };
        let time = time.ok().map(|time| time.timestamp());
        time.and_then(|time| DateTime::from_timestamp_micros(time.as_microsecond()))
            .unwrap_or(if year > 0 {
                Timestamp::MAX_UTC
            } else {
                Timestamp::MIN_UTC
            })
    }

    fn parse(text: &str) -> Option<Self> {
        if text.len() > 64 {
            return None;
        }
        // jiff's parser accepts further forms, which mean something else elsewhere.
        if text.len() == 10 {
            return text.parse().ok().map(Self::Day);
        }
        if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
            return Some(Self::Instant(instant.to_utc()));
        }
        // Without its offset, as models write the time on a user's clock.
        let (date, time) = text.split_at_checked(10)?;
        let has_form = date.as_bytes()[4] == b'-'
            && time.starts_with(['T', 't', ' '])
            && time.as_bytes().get(3) == Some(&b':')
            && time[1..]
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b':' | b'.'));
        has_form
            .then(|| text.parse().ok().map(Self::Local))
            .flatten()
    }
}

impl Zone {
    /// Its name, if it is not UTC.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.iana_name().filter(|name| *name != "UTC")
    }
}

/// From one time on, and before another.
pub type Span = (Option<Timestamp>, Option<Timestamp>);

/// The period between two dates or times, either of which may be absent.
///
/// # Errors
/// A sentence that names the argument at fault.
pub fn span(from: Option<DateOrTime>, to: Option<DateOrTime>, zone: &Zone) -> Result<Span, String> {
    let (from, to) = (
        from.map(|moment| moment.instant(zone)),
        to.map(|moment| moment.instant(zone)),
    );
    match (from, to) {
        (Some(start), Some(end)) if start > end => {
            Err("Invalid arguments: `from` must not be later than `to`.".to_owned())
        }
        _ => Ok((from, to)),
    }
}

impl<'de> Deserialize<'de> for DateOrTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        validated_string(
            deserializer,
            "a date (2026-07-28), an RFC 3339 time (2026-07-28T09:30:00Z), or a time without an offset (2026-07-28T09:30:00)",
            Self::parse,
        )
    }
}

impl JsonSchema for DateOrTime {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // No format: not every provider of models takes one.
        json_schema!({
            "type": "string",
            "maxLength": 64,
            "examples": ["2026-07-28", "2026-07-28T09:30:00+02:00"],
        })
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        validated_string(
            deserializer,
            "the IANA name of a time zone, such as Europe/Berlin",
            |name| {
                (name.len() <= 64)
                    .then(|| TimeZone::get(name).ok())
                    .flatten()
                    .map(Self)
            },
        )
    }
}

impl JsonSchema for Zone {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Zone".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": 64 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start(day: &str, zone: &str) -> String {
        let zone = Zone(TimeZone::get(zone).unwrap());
        DateOrTime::parse(day).unwrap().instant(&zone).to_rfc3339()
    }

    #[test]
    fn a_day_begins_when_its_zone_says() {
        assert_eq!(start("2026-07-28", "UTC"), "2026-07-28T00:00:00+00:00");
        assert_eq!(
            start("2026-07-28", "Europe/Berlin"),
            "2026-07-27T22:00:00+00:00"
        );
        assert_eq!(
            start("2026-12-28", "Europe/Berlin"),
            "2026-12-27T23:00:00+00:00"
        );
        // No midnight that day: the clocks went from 00:00 to 01:00.
        assert_eq!(
            start("2018-11-04", "America/Sao_Paulo"),
            "2018-11-04T03:00:00+00:00"
        );
    }

    #[test]
    fn an_instant_is_the_same_in_every_zone() {
        assert_eq!(
            start("2026-07-28T09:30:00+02:00", "Asia/Tokyo"),
            "2026-07-28T07:30:00+00:00"
        );
    }

    #[test]
    fn a_time_without_an_offset_is_that_of_the_zone() {
        for (time, zone, instant) in [
            (
                "2026-07-28T09:30:00",
                "Europe/Berlin",
                "2026-07-28T07:30:00+00:00",
            ),
            (
                "2026-12-28 09:30",
                "Europe/Berlin",
                "2026-12-28T08:30:00+00:00",
            ),
            (
                "2026-07-28t09:30:00.250",
                "UTC",
                "2026-07-28T09:30:00.250+00:00",
            ),
            // 02:30 does not exist that day, and happens twice on the other.
            (
                "2026-03-29T02:30:00",
                "Europe/Berlin",
                "2026-03-29T01:30:00+00:00",
            ),
            (
                "2026-10-25T02:30:00",
                "Europe/Berlin",
                "2026-10-25T00:30:00+00:00",
            ),
        ] {
            assert_eq!(start(time, zone), instant, "{time} {zone}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-02-30",
            "28.07.2026",
            "2026-7-28",
            "20260728",
            "20260728T093000",
            "2026-07-28T25:00:00",
            "2026-07-28T09",
            "2026-07-28T",
            "2026-07-28T09:30:00[Europe/Berlin]",
            "2026-07-28 09:30:00 pm",
        ] {
            assert_eq!(DateOrTime::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = DateOrTime::parse(&text);
        }

        #[test]
        fn any_day_of_the_calendar_has_a_beginning(year in -9999i16..=9999, month in 1i8..=12, day in 1i8..=28) {
            let moment = DateOrTime::Day(Date::new(year, month, day).unwrap());
            let _ = moment.instant(&Zone::default());
        }
    }
}
