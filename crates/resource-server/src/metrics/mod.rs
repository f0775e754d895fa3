//! *Purpose:* counters, histograms and labels, and the Prometheus text format.
//!
//! *Used by:* `auth`, and servers for their own metrics.
//!
//! *Invariants:* no lock, no look-up by name and no allocation when something is counted; no label whose
//! values a client could add to; nothing global: each server counts for itself.
//!
//! *Start reading at* [`AuthMetrics`].

mod auth;
mod counting;
mod label;
mod text;

pub use self::{
    auth::{AuthMetrics, CacheResult, CircuitState, Introspection, Refresh},
    counting::{Counters, Histogram},
    label::Label,
    text::Text,
};
