//! Sources that wait before an authorization server is asked about their unknown tokens again. Callers pass the
//! time.

use std::time::Duration;

use chrono::TimeDelta;
use parking_lot::Mutex;
use quick_cache::sync::Cache;

use crate::{clock::Timestamp, limits::Source};

/// The number of sources that are remembered. One that is forgotten waits no longer.
const SOURCES: usize = 10_000;

/// The number of consecutive calls without a response after which a source waits, and for how long.
const UNANSWERED: u32 = 5;
const PAUSE: TimeDelta = TimeDelta::seconds(5);

/// The shortest time between two calls for unknown tokens while the authorization server limits the rate of
/// this server, and not of one source.
const INTERVAL: TimeDelta = TimeDelta::milliseconds(200);

/// Within this time, status 429 for tokens of two sources means this server.
const MEMORY: TimeDelta = TimeDelta::seconds(60);

/// The sources that wait. Known tokens do not: they are few, and their users did nothing.
pub(crate) struct Waits {
    sources: Cache<Source, Waiting>,
    all: Mutex<Throttle>,
}

#[derive(Clone, Copy, Default)]
struct Waiting {
    until: Timestamp,
    unanswered: u32,
}

/// The rate limit of the authorization server for this server as a whole.
#[derive(Default)]
struct Throttle {
    until: Timestamp,
    next: Timestamp,
    last: Option<(Source, Timestamp)>,
}

impl Waits {
    pub(crate) fn new() -> Self {
        Self {
            sources: Cache::new(SOURCES),
            all: Mutex::default(),
        }
    }

    /// Admits a call for an unknown token of a source.
    ///
    /// # Errors
    /// The time until the next call is admitted.
    pub(crate) fn admit(&self, source: &Source, now: Timestamp) -> Result<(), Duration> {
        if let Some(waiting) = self.sources.get(source)
            && now < waiting.until
        {
            return Err((waiting.until - now).to_std().unwrap_or_default());
        }
        let mut all = self.all.lock();
        if now < all.until {
            if now < all.next {
                return Err((all.next - now).to_std().unwrap_or_default());
            }
            all.next = now + INTERVAL;
        }
        Ok(())
    }

    /// Forgets who waits: by the clock that was set, some would wait for too long.
    pub(crate) fn forget(&self) {
        self.sources.clear();
        *self.all.lock() = Throttle::default();
    }

    /// The authorization server answered 429 to an unknown token of a source, which waits for as long as the
    /// response says. If another source was told the same, this server as a whole is meant: then unknown
    /// tokens of all sources are asked about at a low rate.
    pub(crate) fn rate_limited(&self, source: Source, wait: Duration, now: Timestamp) {
        let until = now + TimeDelta::from_std(wait).unwrap_or(PAUSE);
        let waiting = Waiting {
            until,
            unanswered: 0,
        };
        self.sources.insert(source, waiting);
        let mut all = self.all.lock();
        let is_of_all = all
            .last
            .is_some_and(|(other, at)| other != source && now - at < MEMORY);
        if is_of_all {
            all.until = all.until.max(until);
        }
        all.last = Some((source, now));
    }

    /// A call for an unknown token of a source got no response. A source with several such calls waits, so
    /// that tokens that make the authorization server hang hold few of its connections.
    pub(crate) fn unanswered(&self, source: Source, now: Timestamp) {
        let mut waiting = self.sources.get(&source).unwrap_or_default();
        waiting.unanswered = waiting.unanswered.saturating_add(1);
        if waiting.unanswered >= UNANSWERED {
            waiting.until = waiting.until.max(now + PAUSE);
        }
        self.sources.insert(source, waiting);
    }

    /// A call for an unknown token of a source got a response.
    pub(crate) fn answered(&self, source: &Source) {
        if self
            .sources
            .get(source)
            .is_some_and(|waiting| waiting.unanswered > 0)
        {
            self.sources.remove(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use chrono::DateTime;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        DateTime::from_timestamp_millis(1_785_499_200_000 + millis).unwrap()
    }

    fn source(n: u32) -> Source {
        IpAddr::from(Ipv4Addr::from(n)).into()
    }

    #[test]
    fn a_source_that_is_rate_limited_waits_and_others_do_not() {
        let waits = Waits::new();
        waits.rate_limited(source(1), Duration::from_secs(30), at(0));
        let left = waits.admit(&source(1), at(1_000));
        assert_eq!(left, Err(Duration::from_secs(29)));
        for _ in 0..100 {
            assert_eq!(waits.admit(&source(2), at(1_000)), Ok(()));
        }
        assert_eq!(waits.admit(&source(1), at(30_000)), Ok(()));
    }

    #[test]
    fn a_limit_of_this_server_slows_others_down_and_stops_none() {
        let waits = Waits::new();
        for n in 1..=2 {
            waits.rate_limited(source(n), Duration::from_secs(30), at(0));
        }
        let admitted = (0..2_000).filter(|step| waits.admit(&source(3), at(step * 5)).is_ok());
        assert_eq!(admitted.count(), 50, "in ten seconds");
        assert_eq!(waits.admit(&source(3), at(30_000)), Ok(()));
        assert_eq!(waits.admit(&source(3), at(30_000)), Ok(()));
    }

    #[test]
    fn a_source_whose_tokens_get_no_response_waits_and_is_tried_again() {
        let waits = Waits::new();
        for _ in 0..4 {
            waits.unanswered(source(1), at(0));
        }
        assert_eq!(waits.admit(&source(1), at(0)), Ok(()));
        waits.unanswered(source(1), at(0));
        assert_eq!(waits.admit(&source(1), at(0)), Err(Duration::from_secs(5)));
        assert_eq!(waits.admit(&source(2), at(0)), Ok(()));
        assert_eq!(waits.admit(&source(1), at(5_000)), Ok(()));
        waits.unanswered(source(1), at(5_000));
        assert!(waits.admit(&source(1), at(9_999)).is_err());
        waits.answered(&source(1));
        assert_eq!(waits.admit(&source(1), at(9_999)), Ok(()));
    }

    #[test]
    fn many_sources_stay_within_the_bound() {
        let waits = Waits::new();
        for n in 0..100_000 {
            waits.unanswered(source(n), at(0));
        }
        assert!(waits.sources.len() <= SOURCES, "{}", waits.sources.len());
    }
}
