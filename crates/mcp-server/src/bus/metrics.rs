//! What the bus counts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::metrics::{Histogram, Label, MetricSource, Text};
use resource_server::{metric_label, metrics::Counters};

metric_label! {
    /// What became of a text that was received.
    Received {
        /// Its messages were passed on.
        Ok = "ok",
        /// This process sent it.
        Own = "own",
        /// It had come before.
        Repeated = "repeated",
        /// It is from no process with the same keys.
        Unreadable = "unreadable",
    }
}

metric_label! {
    /// Why streams and sessions were asked to look at everything again.
    LookAgain {
        /// This process did not listen for a while.
        Missed = "missed",
        /// Another process could not say what has changed.
        Told = "told",
        /// More was received than could be passed on.
        Overflow = "overflow",
    }
}

/// The counters of the bus.
pub(crate) struct BusMetrics {
    connected: AtomicBool,
    sent: AtomicU64,
    received: Counters,
    look_again: Counters,
    lag: Histogram,
}

impl Default for BusMetrics {
    fn default() -> Self {
        Self {
            connected: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            received: Counters::new(Received::ALL.len()),
            look_again: Counters::new(LookAgain::ALL.len()),
            lag: Histogram::new(),
        }
    }
}

impl BusMetrics {
    pub(super) fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
    }

    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many there were of this kind.
    pub(super) fn received(&self, what: Received) -> u64 {
        self.received.add(what.index());
        self.received.get(what.index())
    }

    pub(super) fn look_again(&self, why: LookAgain) {
        self.look_again.add(why.index());
    }

    pub(super) fn lag(&self, lag: std::time::Duration) {
        self.lag.observe(lag);
    }
}

impl MetricSource for BusMetrics {
    fn write(&self, text: &mut Text) {
        let name = "bus_connected";
        text.family(name, "gauge", "Whether this process hears the others.");
        let connected = self.connected.load(Ordering::Relaxed);
        text.sample(name, &[], u8::from(connected));
        let name = "bus_sent_total";
        text.family(name, "counter", "Texts sent to the other processes.");
        text.sample(name, &[], self.sent.load(Ordering::Relaxed));
        let name = "bus_received_total";
        text.family(name, "counter", "Texts received, by what became of them.");
        for what in Received::ALL {
            let count = self.received.get(what.index());
            text.sample(name, &[("outcome", what.as_str())], count);
        }
        let name = "bus_look_again_total";
        let help =
            "How often clients were notified of everything, because changes may have been missed.";
        text.family(name, "counter", help);
        for why in LookAgain::ALL {
            let count = self.look_again.get(why.index());
            text.sample(name, &[("cause", why.as_str())], count);
        }
        let name = "bus_lag_seconds";
        let help = "From a change in this process until its own message about it comes back.";
        text.family(name, "histogram", help);
        self.lag.write(text, name, &[]);
    }
}
