//! What a session has gathered: its subscriptions and its log level, and where they are kept for other processes.

use std::{collections::VecDeque, sync::Arc};

use chrono::TimeDelta;

use super::shared::Shared;
use crate::features::{
    changes::Change, session_store::StoredSession, subscriptions::Subscriptions,
};
use mcp_protocol::logging::Level;
use resource_server::clock::Timestamp;

/// The log level until the client sets one (MCP, Logging, leaves it to the server): ordinary calls are then
/// answered without a stream.
pub(crate) const LOG_LEVEL: Level = Level::Warning;

/// How long, and how many, changes are remembered for a subscription of which this process hears late.
const LATE: TimeDelta = TimeDelta::seconds(2);
const RECENT_CHANGES: usize = 64;

/// Where what a session gathers is kept.
#[derive(Clone)]
pub(crate) struct Kept {
    /// Distinguishes what this process sends in the session from what others do.
    pub(crate) instance: u64,
    pub(crate) session: StoredSession,
    pub(crate) shared: Arc<Shared>,
}

/// What a session has gathered.
pub(crate) struct Gathering {
    pub(crate) subscriptions: Subscriptions,
    kept: Option<Kept>,
    /// The number of changes here and elsewhere so far. What was read before the latest of them is read again.
    pub(crate) changes: u64,
    /// Resources that have changed just now.
    recent: VecDeque<(Timestamp, Arc<str>)>,
}

impl Gathering {
    pub(crate) fn new(kept: Option<Kept>) -> Self {
        Self {
            subscriptions: Subscriptions::default(),
            kept,
            changes: 0,
            recent: VecDeque::new(),
        }
    }

    /// Where it is kept.
    pub(crate) fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    /// Remembers changes for a moment.
    pub(crate) fn note(&mut self, changes: &[Change], now: Timestamp) {
        if self.kept.is_none() {
            return;
        }
        for change in changes {
            if let Change::Updated(uri) = change {
                self.note_one(uri, now);
            }
        }
    }

    fn note_one(&mut self, uri: &Arc<str>, now: Timestamp) {
        let is_past = |(at, _): &(Timestamp, Arc<str>)| now - *at > LATE;
        while self.recent.front().is_some_and(is_past) || self.recent.len() >= RECENT_CHANGES {
            self.recent.pop_front();
        }
        self.recent.push_back((now, Arc::clone(uri)));
    }

    /// Whether a resource may have changed while this process did not know of the subscription yet.
    pub(crate) fn may_have_missed(&self, canonical: &str) -> bool {
        self.recent.len() >= RECENT_CHANGES
            || self.recent.iter().any(|(_, uri)| **uri == *canonical)
    }
}
