//! Metrics of the connections of a listener.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use resource_server::metrics::{Counters, Label, Text};

use super::labels::Closed;

/// The counts of the connections of a listener.
#[derive(Debug)]
pub(crate) struct ConnectionMetrics {
    open: AtomicU64,
    most: AtomicU64,
    closed: Counters,
}

impl Default for ConnectionMetrics {
    fn default() -> Self {
        Self {
            open: AtomicU64::new(0),
            most: AtomicU64::new(0),
            closed: Counters::new(Closed::ALL.len()),
        }
    }
}

impl ConnectionMetrics {
    /// Says how many connections are served at once.
    pub(crate) fn limited_to(&self, most: usize) {
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        self.most.store(most, Relaxed);
    }

    /// A connection is served.
    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    /// A connection that was served has ended.
    pub(crate) fn ended(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    /// Counts a connection that the server closes.
    pub(crate) fn closed(&self, why: Closed) {
        self.closed.add(why.index());
    }

    /// The connections that are served.
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Relaxed)
    }

    /// The connections that were closed, or not served, because there were too many.
    pub(crate) fn closed_for_room(&self) -> u64 {
        let kinds = [Closed::Source, Closed::Full, Closed::User, Closed::Refused];
        kinds.iter().map(|why| self.closed.get(why.index())).sum()
    }

    pub(super) fn write(&self, text: &mut Text) {
        let name = "connections_open";
        text.family(name, "gauge", "Connections that are open.");
        text.sample(name, &[], self.open());
        let name = "connections_limit";
        text.family(name, "gauge", "How many of them are served at once.");
        text.sample(name, &[], self.most.load(Relaxed));
        let name = "connections_closed_total";
        let help = "Connections that the server closed, by reason.";
        text.family(name, "counter", help);
        for why in Closed::ALL {
            let labels = [("reason", why.as_str())];
            text.sample(name, &labels, self.closed.get(why.index()));
        }
    }
}
