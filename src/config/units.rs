//! Small values: durations with units, switches, lists.

use std::{num::NonZeroUsize, time::Duration};

/// Reads a duration with its unit: `250ms`, `30s`, `5m`, `24h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let rule = || "must be a whole number and a unit: ms, s, m or h (such as 30s)".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| rule())?;
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    millis.map(Duration::from_millis).ok_or_else(rule)
}

/// Writes a duration the way it is read.
pub(super) fn show(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0s".to_owned(),
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        _ => format!("{millis}ms"),
    }
}

/// Reads a switch.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off".to_owned()),
    }
}

/// Writes a switch the way it is read.
pub(super) fn show_switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// Reads how many there may be of something.
pub(super) fn count(text: &str) -> Result<NonZeroUsize, &'static str> {
    let count = text.parse().ok();
    count
        .filter(|count: &NonZeroUsize| count.get() <= 1_000_000)
        .ok_or("must be a whole number from 1 to 1000000")
}

/// Reads a list whose items are separated by spaces or commas.
pub(super) fn list(text: &str) -> Vec<String> {
    text.split([' ', ','])
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Writes a list the way it is read.
pub(super) fn joined(items: &[impl ToString]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    items.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_has_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7_200)));
        for text in [
            "",
            "5",
            "s",
            "-5s",
            "1.5s",
            "5 s",
            "5d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_duration_reads_back_what_it_shows(millis in 0u64..10_000_000_000) {
            let value = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show(value)), Ok(value));
        }
    }
}
