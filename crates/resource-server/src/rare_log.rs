//! Log lines that an attacker could repeat at will are written once in a while.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::TimeDelta;

use crate::clock::Timestamp;

/// The shortest time between two lines.
const INTERVAL: TimeDelta = TimeDelta::seconds(10);

/// Decides whether a line is written, and counts the others.
#[derive(Debug)]
pub(crate) struct RareLog {
    /// In milliseconds since 1970.
    last: AtomicI64,
    left_out: AtomicU64,
}

impl Default for RareLog {
    fn default() -> Self {
        Self {
            last: AtomicI64::new(i64::MIN),
            left_out: AtomicU64::new(0),
        }
    }
}

impl RareLog {
    /// The number of lines that were left out since the last one, if this one is to be written. A clock that
    /// was set back does not silence it.
    pub(crate) fn due(&self, now: Timestamp) -> Option<u64> {
        let now = now.timestamp_millis();
        let last = self.last.load(Ordering::Relaxed);
        let since = now.saturating_sub(last);
        let is_due = !(0..INTERVAL.num_milliseconds()).contains(&since);
        let order = Ordering::Relaxed;
        if is_due && self.last.compare_exchange(last, now, order, order).is_ok() {
            return Some(self.left_out.swap(0, order));
        }
        self.left_out.fetch_add(1, order);
        None
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn one_line_in_ten_seconds_says_how_many_were_left_out() {
        let log = RareLog::default();
        let due = |seconds| log.due(DateTime::from_timestamp(seconds, 0).unwrap());
        assert_eq!(due(1_000), Some(0));
        for _ in 0..7 {
            assert_eq!(due(1_009), None);
        }
        assert_eq!(due(1_010), Some(7));
        assert_eq!(due(10), Some(0), "the clock was set back");
    }
}
