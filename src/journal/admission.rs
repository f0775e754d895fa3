//! A message that was admitted, as it travels to a JournalActor.

use std::{sync::Arc, time::Instant};

use actix::Message;
use tokio::sync::oneshot;

use resource_server::gate::Permit;

use super::{cancellation::Reading, pacing::Turn, shares::Share};

/// A message with its permit, which counts against the bound on admitted messages until the work has
/// ended.
///
/// It carries the sender of its answer instead of being sent by `Addr::send`, which cancels a message
/// when its caller leaves: right for a read, wrong for a write.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Admitted<M: Message> {
    pub(super) message: M,
    pub(super) permit: Place,
    pub(super) answer: oneshot::Sender<M::Result>,
    /// For a read: where the actor says which connection it runs on, so that it can be cancelled.
    pub(super) reading: Option<Arc<Reading>>,
    /// When it was admitted. Its wait for a connection is measured from here.
    pub(super) since: Instant,
}

/// A message's place among those under way. Held for its drop.
pub(super) struct Place {
    _permit: Permit,
    _share: Option<Share>,
    /// Of a heavy message.
    turn: Option<Turn>,
}

impl Place {
    pub(super) const fn new(permit: Permit, share: Option<Share>, turn: Option<Turn>) -> Self {
        Self {
            _permit: permit,
            _share: share,
            turn,
        }
    }

    /// The message is executed from now on.
    pub(super) fn begin(&mut self) {
        if let Some(turn) = &mut self.turn {
            turn.begin();
        }
    }
}
