//! What the clients of one thread share.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use tokio::{sync::watch, time::Instant};

use crate::{measure::Recorder, plan::Plan, progress::Gauges};

/// How far the test has come. All threads watch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Preparing,
    /// The load begins at that moment.
    Loading(Instant),
    /// The test was interrupted.
    Stopped,
}

/// What the clients of one thread have in common.
pub(crate) struct Shared {
    pub(crate) plan: Arc<Plan>,
    pub(crate) recorder: RefCell<Recorder>,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) answers: Cell<u64>,
}

impl Shared {
    /// How many bytes an answer may have.
    pub(crate) fn most_answer(&self) -> usize {
        let kib = usize::try_from(self.plan.options.max_answer);
        kib.unwrap_or(usize::MAX / 1_024) * 1_024
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.phase.borrow() == Phase::Stopped
    }
}
