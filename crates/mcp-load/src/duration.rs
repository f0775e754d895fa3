//! Durations of the command line.

use std::time::Duration;

use jiff::SignedDuration;

/// The longest duration of an option.
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Reads `250ms`, `30s`, `5m`, `2h`, `1h30m`, and 0: the friendly format of [`jiff::fmt::friendly`].
///
/// # Errors
/// A sentence for the command line.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let wrong = |_| "write it like 250ms, 30s, 5m or 2h".to_owned();
    let duration: SignedDuration = text.parse().map_err(wrong)?;
    if duration > LONGEST {
        return Err("a week is the longest".to_owned());
    }
    Duration::try_from(duration).map_err(|_| "a duration is not negative".to_owned())
}

/// The same the other way round, for people.
pub(crate) fn shown(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds.is_multiple_of(1_000) {
        format!("{}s", milliseconds / 1_000)
    } else {
        format!("{milliseconds}ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("0ms", 0),
            ("007s", 7_000),
            ("250ms", 250),
            ("30s", 30_000),
            ("90s", 90_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("168h", 604_800_000),
            ("604800000ms", 604_800_000),
            ("1.5s", 1_500),
            ("1h30m", 5_400_000),
            ("2 minutes", 120_000),
        ] {
            assert_eq!(
                parse(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1s ago",
            "1d",
            "1000h",
            "604801s",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
