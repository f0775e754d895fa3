//! The metrics of a resource server.

use std::time::Duration;

use super::{
    counting::{Counters, Histogram},
    label::Label,
    text::Text,
};
use crate::metric_label;

/// Counters and histograms of one guard.
#[derive(Debug)]
pub struct AuthMetrics {
    introspections: Counters,
    introspection_durations: Histogram,
    introspection_cache: Counters,
    refreshes: Counters,
}

metric_label! {
    /// The outcome of an introspection (RFC 7662).
    Introspection {
        /// The token is active.
        Active = "active",
        /// The token is not active.
        Inactive = "inactive",
        /// The authorization server is unreachable, too slow, or answered 502, 503 or 504.
        Unavailable = "unavailable",
        /// Its response about the token is not usable: an error, too long, or not an introspection reply.
        InvalidResponse = "nonsense",
        /// It answered that there were too many requests (429).
        RateLimited = "rate_limited",
        /// Not called, because the circuit is open.
        CircuitOpen = "circuit_open",
        /// Not called, because the source of the request has to wait.
        SourceWaits = "source_waits",
    }
}

metric_label! {
    /// The result of a look-up in the token cache.
    CacheResult {
        /// An active token.
        Hit = "hit",
        /// No entry.
        Miss = "miss",
        /// A refused token.
        NegativeHit = "negative_hit",
        /// A stale active token, used while the authorization server is unavailable.
        Stale = "stale",
        /// No entry, but an introspection was in flight.
        Coalesced = "coalesced",
    }
}

metric_label! {
    /// The outcome of checking a token in use again before its cached result ends.
    Refresh {
        /// It is active.
        Renewed = "renewed",
        /// It is refused.
        Refused = "refused",
        /// It could not be checked; the earlier result is used until its end.
        Failed = "failed",
        /// Not begun, because too many were being checked.
        Skipped = "skipped",
    }
}

metric_label! {
    /// The state of a circuit breaker.
    CircuitState {
        /// Calls are made.
        Closed = "closed",
        /// One call is made as a probe.
        HalfOpen = "half_open",
        /// No calls are made.
        Open = "open",
    }
}

impl Default for AuthMetrics {
    fn default() -> Self {
        Self {
            introspections: Counters::new(Introspection::ALL.len()),
            introspection_durations: Histogram::new(),
            introspection_cache: Counters::new(CacheResult::ALL.len()),
            refreshes: Counters::new(Refresh::ALL.len()),
        }
    }
}

impl AuthMetrics {
    /// Counts an introspection.
    pub(crate) fn introspection(&self, outcome: Introspection, took: Duration) {
        self.introspections.add(outcome.index());
        self.introspection_durations.observe(took);
    }

    /// Counts an introspection that was skipped.
    pub(crate) fn introspection_skipped(&self, why: Introspection) {
        self.introspections.add(why.index());
    }

    /// Counts a look-up in the cache.
    pub(crate) fn introspection_cache(&self, result: CacheResult) {
        self.introspection_cache.add(result.index());
    }

    /// Counts the refresh of a token.
    pub(crate) fn refresh(&self, result: Refresh) {
        self.refreshes.add(result.index());
    }

    /// Writes all families in the Prometheus text format.
    pub fn write(&self, text: &mut Text) {
        let name = "introspections_total";
        let help = "Tokens that an authorization server was asked about.";
        text.family(name, "counter", help);
        for outcome in Introspection::ALL {
            let count = self.introspections.get(outcome.index());
            text.sample(name, &[("outcome", outcome.as_str())], count);
        }
        let name = "introspection_duration_seconds";
        let help = "How long an introspection took, a second try included.";
        text.family(name, "histogram", help);
        self.introspection_durations.write(text, name, &[]);
        let name = "introspection_cache_total";
        let help = "Tokens that were looked up, by what was known of them.";
        text.family(name, "counter", help);
        for result in CacheResult::ALL {
            let count = self.introspection_cache.get(result.index());
            text.sample(name, &[("result", result.as_str())], count);
        }
        let name = "introspection_refreshes_total";
        let help = "Tokens in use that were checked again before their cached result ended.";
        text.family(name, "counter", help);
        for result in Refresh::ALL {
            let count = self.refreshes.get(result.index());
            text.sample(name, &[("result", result.as_str())], count);
        }
    }
}
