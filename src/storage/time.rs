//! Times as PostgreSQL stores them: whole microseconds, within its range.

use diesel::data_types::PgTimestamp;

use crate::domain::page::TimeCursor;
use resource_server::clock::Timestamp;

use super::error::StorageError;

/// Microseconds between the Unix epoch and PostgreSQL's, which is 2000-01-01.
const EPOCHS_APART: i64 = 946_684_800_000_000;
/// 4714-11-24 BC, the first instant that a `timestamptz` can hold.
const FIRST: i64 = -211_813_488_000_000_000;

pub(super) const INFINITE_PAST: PgTimestamp = PgTimestamp(i64::MIN);
pub(super) const INFINITE_FUTURE: PgTimestamp = PgTimestamp(i64::MAX);

/// An instant for the database. What lies before its range becomes an infinity, which compares as
/// the instant would have: a cursor says whatever a client likes, and must not be an error here. Its
/// range ends in the year 294276, after the last microsecond that 64 bits count from 1970.
pub(super) const fn from_micros(micros: i64) -> PgTimestamp {
    let shifted = micros.saturating_sub(EPOCHS_APART);
    if shifted < FIRST {
        INFINITE_PAST
    } else {
        PgTimestamp(shifted)
    }
}

pub(super) fn from_instant(instant: Timestamp) -> PgTimestamp {
    from_micros(instant.timestamp_micros())
}

pub(super) fn to_instant(kept: PgTimestamp) -> Result<Timestamp, StorageError> {
    kept.0
        .checked_add(EPOCHS_APART)
        .and_then(Timestamp::from_timestamp_micros)
        .ok_or_else(|| StorageError::corrupt("a time lies outside the calendar"))
}

/// The position of a row in a list that is ordered by time.
pub(super) fn cursor(created_at: Timestamp, id: i64) -> TimeCursor {
    TimeCursor {
        micros: created_at.timestamp_micros(),
        id,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_postgresql_cannot_hold_becomes_an_infinity() {
        assert_eq!(from_micros(i64::MIN), INFINITE_PAST);
        assert!(from_micros(i64::MAX).0 < 9_223_371_331_200_000_000);
    }

    proptest! {
        #[test]
        fn an_instant_comes_back_to_the_microsecond(micros in -62_135_596_800_000_000i64..253_402_300_800_000_000) {
            let back = to_instant(from_micros(micros)).unwrap();
            prop_assert_eq!(back.timestamp_micros(), micros);
        }

        #[test]
        fn the_order_of_instants_is_kept(a: i64, b: i64) {
            prop_assert!(a > b || from_micros(a).0 <= from_micros(b).0);
        }
    }
}
