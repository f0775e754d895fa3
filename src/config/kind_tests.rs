use proptest::prelude::*;

use super::*;

fn read<T>(kind: &impl Kind<T>, text: &str) -> Result<T, String> {
    kind.parse(&Raw::Text(text.into()))
}

#[test]
fn a_duration_has_a_unit() {
    for (text, millis) in [
        ("0", 0),
        ("0s", 0),
        ("250ms", 250),
        ("007s", 7_000),
        ("60s", 60_000),
        ("5m", 300_000),
        ("2h", 7_200_000),
        ("1h 30m", 5_400_000),
        ("1.5s", 1_500),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in [
        "",
        "5",
        "s",
        "-5s",
        "5d",
        "1y",
        "5s ago",
        "PT5S",
        "forever",
        "99999999999999999999s",
        "18446744073709551615h",
    ] {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn a_duration_stays_within_its_bounds() {
    let kind = Time::at_least(50).at_most(30);
    assert_eq!(read(&kind, "30s"), Ok(Duration::from_secs(30)));
    assert_eq!(read(&kind, "0").unwrap_err(), "must be at least 50ms");
    assert_eq!(
        read(&kind, "31s").unwrap_err(),
        "must not be longer than 30s"
    );
}

#[test]
fn a_choice_names_every_word() {
    let kind = Choice(&[("off", 0), ("on", 1), ("nonce", 2)]);
    assert_eq!(read(&kind, "nonce"), Ok(2));
    assert_eq!(kind.show(&1), "on");
    assert_eq!(read(&kind, "no").unwrap_err(), "must be off, on or nonce");
}

#[test]
fn a_count_and_a_limit_are_whole_numbers_in_their_bounds() {
    for (text, count, limit) in [
        ("0", None, Some(0)),
        ("1", Some(1), Some(1)),
        ("1000", Some(1_000), Some(1_000)),
        ("1001", None, None),
        ("99999999999", None, None),
        ("", None, None),
        ("-1", None, None),
        ("1.5", None, None),
        ("60/m", None, None),
    ] {
        assert_eq!(
            read::<NonZeroU32>(&Count(1_000), text)
                .ok()
                .map(NonZeroU32::get),
            count,
            "{text}"
        );
        let read = read(&Limit(1_000), text).ok();
        assert_eq!(
            read.map(|limit| limit.map_or(0, NonZeroU32::get)),
            limit,
            "{text}"
        );
    }
}

proptest! {
    #[test]
    fn a_duration_reads_back_what_it_shows(millis in 0u64..10_000_000_000) {
        let value = Duration::from_millis(millis);
        prop_assert_eq!(duration(&shown(value)), Ok(value));
    }

    /// The syntax of the first release: digits and one of four units.
    #[test]
    fn a_whole_number_and_a_unit_are_a_duration(number in 0u64..3_000_000_000_000, unit in 0usize..4) {
        let (unit, millis) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)][unit];
        let value = Duration::from_millis(number.checked_mul(millis).unwrap());
        prop_assert_eq!(duration(&format!("{number}{unit}")), Ok(value));
    }

    #[test]
    fn no_text_is_too_much_for_a_kind(text in "\\PC{0,40}") {
        let _: Result<Duration, _> = read(&Time::ANY, &text);
        let _: Result<NonZeroU32, _> = read(&Count(10), &text);
        let _: Result<bool, _> = read(&Switch, &text);
        let _: Result<SocketAddr, _> = read(&Text(address), &text);
    }
}
