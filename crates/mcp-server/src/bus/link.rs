//! What a bus has of its server: where it takes what is to be sent, and where it leaves what it receives.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use super::{
    envelope::{Envelopes, Opened},
    message::{Message, SessionMessage},
    metrics::{BusMetrics, LookAgain, Received},
    outbox::{Awaited, Batch, Outbox},
};
use crate::features::changes::Changes;
use resource_server::principal::UserId;

/// Messages that were received and have not been passed on to sessions and streams.
const MOST_UNDER_WAY: usize = 1_024;

/// Own texts whose return is awaited, to measure the lag.
const MOST_AWAITED: usize = 256;

/// Why [`Link::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The time is up.
    Nothing,
    /// There is something to send.
    Something,
    /// The server stops, and everything was taken: the bus should end, and drop the link.
    Stopping,
}

/// Who sent a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This process.
    Own,
    /// Another process of this server.
    Other,
    /// Somebody else, or a process with other sealing keys. The text was ignored.
    Unknown,
}

/// What a bus has of its server. Dropping it says that the bus has ended.
pub struct Link {
    outbox: Arc<Outbox>,
    envelopes: Envelopes,
    receivers: Receivers,
    metrics: Arc<BusMetrics>,
    next: AtomicU64,
    awaited: Mutex<VecDeque<(u64, Instant)>>,
    under_way: Arc<UnderWay>,
    _ended: oneshot::Sender<()>,
}

/// What is done with what other processes tell.
pub(crate) struct Receivers {
    /// Notifies the sessions and streams of this process.
    pub(crate) changes: Changes,
    /// Reads what is new in the store of revocations.
    pub(crate) revocations: Box<dyn Fn() + Send + Sync>,
    /// Passes a message on to a session, if this process has it. It must not block.
    pub(crate) session: Box<dyn Fn(SessionMessage) + Send + Sync>,
    /// Has sessions looked up in their store again. It must not block.
    pub(crate) sessions_missed: Box<dyn Fn() + Send + Sync>,
}

/// Bounds what was received and has not been passed on.
struct UnderWay {
    slots: Arc<Semaphore>,
    /// Whether there was more.
    overflowed: AtomicBool,
    changes: Changes,
    metrics: Arc<BusMetrics>,
}

/// A message that is being passed on.
struct Slot {
    _permit: tokio::sync::OwnedSemaphorePermit,
    under_way: Arc<UnderWay>,
}

impl Link {
    /// The link, and what resolves when the bus has dropped it.
    pub(crate) fn new(
        outbox: Arc<Outbox>,
        envelopes: Envelopes,
        receivers: Receivers,
        metrics: Arc<BusMetrics>,
    ) -> (Self, oneshot::Receiver<()>) {
        let (ended, has_ended) = oneshot::channel();
        let under_way = Arc::new(UnderWay {
            slots: Arc::new(Semaphore::new(MOST_UNDER_WAY)),
            overflowed: AtomicBool::new(false),
            changes: receivers.changes.clone(),
            metrics: Arc::clone(&metrics),
        });
        let link = Self {
            outbox,
            envelopes,
            receivers,
            metrics,
            next: AtomicU64::new(1),
            awaited: Mutex::default(),
            under_way,
            _ended: ended,
        };
        (link, has_ended)
    }

    /// Waits on the calling thread until there is something to send, the server stops, or the time is up.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> News {
        match self.outbox.wait(limit) {
            Awaited::Nothing => News::Nothing,
            Awaited::Something => News::Something,
            Awaited::Stopping => News::Stopping,
        }
    }

    /// Waits on the calling thread for this time, such as between two attempts to connect. Returns whether the
    /// server stops, and then returns at once.
    #[must_use]
    pub fn pause(&self, time: Duration) -> bool {
        self.outbox.wait_for_stop(time)
    }

    /// Takes what is to be sent, as one text of at most `longest` bytes, which must be at least 4,096. What does not
    /// fit comes with the next one. A text of which nobody knows whether it was sent may be sent again.
    #[must_use]
    pub fn take(&self, longest: usize) -> Option<String> {
        let Batch { messages, since } = self.outbox.take(self.envelopes.room(longest))?;
        Some(self.write(messages, since))
    }

    /// A text without a message. If it comes back, this process hears what is sent.
    #[must_use]
    pub fn probe(&self) -> String {
        self.write(Vec::new(), Instant::now())
    }

    fn write(&self, messages: Vec<Message>, since: Instant) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut awaited = self.awaited.lock();
        if awaited.len() >= MOST_AWAITED {
            awaited.pop_front();
        }
        awaited.push_back((number, since));
        self.metrics.sent();
        self.envelopes.write(number, messages)
    }

    /// Takes a text that came, and passes its messages on. Does not block, and may be called with anything.
    pub fn received(&self, text: &str) -> Origin {
        match self.envelopes.open(text) {
            Opened::Own(number) => {
                self.metrics.received(Received::Own);
                self.came_back(number);
                Origin::Own
            }
            Opened::Repeated => {
                self.metrics.received(Received::Repeated);
                Origin::Other
            }
            Opened::Messages(messages) => {
                self.metrics.received(Received::Ok);
                for message in messages {
                    self.pass_on(message);
                }
                Origin::Other
            }
            Opened::Unreadable => {
                let count = self.metrics.received(Received::Unreadable);
                // Anybody may be able to send on the bus.
                if count.is_power_of_two() {
                    log::warn!(
                        "{count} messages on the bus so far are from no process with the same sealing keys, and were ignored"
                    );
                }
                Origin::Unknown
            }
        }
    }

    /// Messages of other processes may have been missed: everything that may have changed is looked at again.
    pub fn missed(&self) {
        self.look_again(None, LookAgain::Missed);
        (self.receivers.revocations)();
        (self.receivers.sessions_missed)();
    }

    /// Whether this process hears the others, for the metrics.
    pub fn set_connected(&self, connected: bool) {
        self.metrics.set_connected(connected);
    }

    fn came_back(&self, number: u64) {
        let mut awaited = self.awaited.lock();
        while let Some((sent, since)) = awaited.front().copied()
            && sent <= number
        {
            awaited.pop_front();
            if sent == number {
                self.metrics.lag(since.elapsed());
            }
        }
    }

    fn pass_on(&self, message: Message) {
        match message {
            Message::Changes(user, changes) => match Slot::reserve(&self.under_way) {
                Some(slot) => self.receivers.changes.deliver(user, changes, slot),
                None => self.under_way.overflows(),
            },
            Message::LookAgain(user) => self.look_again(user, LookAgain::Told),
            Message::RevocationsChanged => (self.receivers.revocations)(),
            Message::Session(message) => (self.receivers.session)(message),
            Message::SessionsMissed => (self.receivers.sessions_missed)(),
        }
    }

    fn look_again(&self, user: Option<UserId>, why: LookAgain) {
        self.metrics.look_again(why);
        match Slot::reserve(&self.under_way) {
            Some(slot) => self.receivers.changes.deliver_anything(user, slot),
            None => self.under_way.overflows(),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.metrics.set_connected(false);
    }
}

impl UnderWay {
    /// There was no slot: when one is dropped, everything is looked at again.
    fn overflows(self: &Arc<Self>) {
        self.overflowed.store(true, Ordering::SeqCst);
        // In case the last one was dropped just before.
        drop(Slot::reserve(self));
    }
}

impl Slot {
    fn reserve(under_way: &Arc<UnderWay>) -> Option<Self> {
        let permit = Arc::clone(&under_way.slots).try_acquire_owned().ok()?;
        Some(Self {
            _permit: permit,
            under_way: Arc::clone(under_way),
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.under_way.overflowed.swap(false, Ordering::SeqCst) {
            self.under_way.metrics.look_again(LookAgain::Overflow);
            self.under_way.changes.deliver_anything(None, ());
        }
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
