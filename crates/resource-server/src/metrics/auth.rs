//! What a resource server counts.

use std::time::Duration;

use super::{
    counting::{Counters, Histogram},
    label::Label,
    text::Text,
};
use crate::metric_label;

/// What the AuthActors of one server have counted since it started.
#[derive(Debug)]
pub struct AuthMetrics {
    introspections: Counters,
    introspection_durations: Histogram,
    introspection_cache: Counters,
}

metric_label! {
    /// What became of an introspection (RFC 7662).
    Introspection {
        /// The authorization server vouches for the token.
        Active = "active",
        /// It does not.
        Inactive = "inactive",
        /// It could not be reached, or had an error of its own, or took too long.
        Unavailable = "unavailable",
        /// It answered what it should not, or refuses us.
        Nonsense = "invalid_response",
        /// It was not asked: it failed several times in a row.
        CircuitOpen = "circuit_open",
    }
}

metric_label! {
    /// What was known of a token before anybody was asked.
    CacheResult {
        /// That it is good.
        Hit = "hit",
        /// Nothing.
        Miss = "miss",
        /// That it is no good.
        NegativeHit = "negative_hit",
        /// That it was good, which has to do while its authorization server cannot be asked.
        Stale = "stale",
        /// Nothing, but somebody was asking already.
        Coalesced = "coalesced",
    }
}

metric_label! {
    /// Whether an authorization server is asked.
    CircuitState {
        /// It is.
        Closed = "closed",
        /// One call is let through to find out.
        HalfOpen = "half_open",
        /// It is left alone for a while.
        Open = "open",
    }
}

impl Default for AuthMetrics {
    fn default() -> Self {
        Self {
            introspections: Counters::new(Introspection::ALL.len()),
            introspection_durations: Histogram::new(),
            introspection_cache: Counters::new(CacheResult::ALL.len()),
        }
    }
}

impl AuthMetrics {
    /// An authorization server was asked about a token.
    pub fn introspection(&self, outcome: Introspection, took: Duration) {
        self.introspections.add(outcome.index());
        self.introspection_durations.observe(took);
    }

    /// An authorization server was not asked about a token, because its circuit is open.
    pub fn introspection_left_out(&self) {
        self.introspections.add(Introspection::CircuitOpen.index());
    }

    /// A token was looked up in the cache.
    pub fn introspection_cache(&self, result: CacheResult) {
        self.introspection_cache.add(result.index());
    }

    /// Writes all of it, as Prometheus reads it.
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
    }
}
