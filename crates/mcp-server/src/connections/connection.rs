//! The open connections, and what each of them waits for.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::Waker,
    time::Duration,
};

use futures_util::{future::AbortHandle, task::AtomicWaker};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::registry::{Eviction, Limits, Registry};
use crate::{
    budgets::{Budgets, Payer, Taken, Use},
    metrics::{Closed, ConnectionMetrics},
};
use resource_server::{limits::Source, principal::UserId};

/// How much of what has come and was not yet taken for a request is counted with its connection and not against the
/// budget of heads, in bytes.
const SMALL_HEAD: usize = 16 * 1_024;

/// How much is read ahead while a request is being answered, in bytes: of its body, or of requests that a client sends
/// without waiting for the answer. The rest waits at the operating system.
const MOST_AHEAD: usize = 64 * 1_024;

/// How often the log says how many connections were closed for want of room.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections of everybody; fewer if the limit of open files is too low for them.
    pub in_all: usize,
    /// Connections of one source (an IPv4 address or an IPv6 /64) that have brought no good token and have no
    /// request that is being answered; at most half of all. Trusted proxies have no such limit.
    pub per_source: usize,
    /// Open files that the program keeps for itself, such as the connections to its database.
    pub reserved_descriptors: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            in_all: 8_000,
            per_source: 2_000,
            reserved_descriptors: 0,
        }
    }
}

/// How long a connection may keep the server waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the rest of a head that has begun.
    pub(crate) head: Duration,
    /// For taking a byte of what is being written.
    pub(crate) write: Duration,
}

/// The open connections of a listener. Clones are the same ones.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry<Handle>>,
    budgets: Arc<Budgets>,
    metrics: Arc<ConnectionMetrics>,
    patience: Patience,
    /// Milliseconds since the start, as of the last round of [`watch`]: reading it costs less than a clock.
    now: AtomicU64,
}

/// What the registry knows of a connection.
struct Handle {
    activity: Arc<Activity>,
    close: AbortHandle,
}

/// What a connection is doing. Times are those of [`Inner::now`]; 0 is never.
#[derive(Debug, Default)]
struct Activity {
    /// Requests whose handler runs.
    requests: AtomicU32,
    /// When the first byte of a head came that is not complete.
    head_since: AtomicU64,
    /// When the client last took something.
    written_at: AtomicU64,
    /// Since when the client has taken nothing of what is being written.
    stalled_since: AtomicU64,
    /// Closed because the client takes nothing: what the operating system still holds for it is discarded.
    discards: AtomicBool,
}

/// One connection. It is forgotten when it is dropped.
pub(crate) struct Connection {
    connections: Connections,
    id: u64,
    activity: Arc<Activity>,
    proven: AtomicBool,
    /// The bytes that have come and that nothing has taken: of a head that is not complete, of a body, or of later
    /// requests.
    unclaimed: AtomicUsize,
    /// What they take of the budget of heads.
    taken: Mutex<Taken>,
    /// Waits until more may be read.
    reader: AtomicWaker,
}

impl Connections {
    /// No connection yet. Must be called within an actix arbiter, which looks after the connections.
    pub(super) fn start_with(
        limits: Limits,
        patience: Patience,
        budgets: Arc<Budgets>,
        metrics: Arc<ConnectionMetrics>,
    ) -> Self {
        let inner = Arc::new(Inner {
            registry: Mutex::new(Registry::new(limits)),
            budgets,
            metrics,
            patience,
            now: AtomicU64::new(1),
        });
        actix_rt::spawn(watch(Arc::downgrade(&inner)));
        Self(inner)
    }

    /// Admits a connection of this peer; `None` if there is no room for it. `close` ends it.
    pub(super) fn admit(
        &self,
        peer: IpAddr,
        is_trusted: bool,
        close: AbortHandle,
    ) -> Option<Arc<Connection>> {
        let source = Source::from(peer);
        let activity = Arc::new(Activity::default());
        let handle = Handle {
            activity: Arc::clone(&activity),
            close,
        };
        let limited = (!is_trusted).then_some(source);
        let admitted = self.0.registry.lock().admit(limited, |_| handle);
        let Ok((id, evicted)) = admitted else {
            self.0.metrics.closed(Closed::Refused);
            return None;
        };
        self.0.metrics.opened();
        self.close(evicted);
        // A trusted proxy brings the requests of many.
        let account = if is_trusted {
            self.0.budgets.account_of_nobody()
        } else {
            self.0.budgets.account(Payer::Source(source))
        };
        Some(Arc::new(Connection {
            connections: self.clone(),
            id,
            activity,
            proven: AtomicBool::new(false),
            unclaimed: AtomicUsize::new(0),
            taken: Mutex::new(account.nothing(Use::Heads)),
            reader: AtomicWaker::new(),
        }))
    }

    fn close(&self, evicted: Option<(Eviction, Handle)>) {
        if let Some((why, handle)) = evicted {
            self.0.metrics.closed(match why {
                Eviction::Source => Closed::Source,
                Eviction::Full => Closed::Full,
                Eviction::User => Closed::User,
            });
            handle.close.abort();
        }
    }

    fn now(&self) -> u64 {
        self.0.now.load(Relaxed)
    }
}

impl Connection {
    /// A request has come. The connection waits for its handler until the result is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.activity.requests.fetch_add(1, Relaxed);
        self.head_is_complete();
        if !self.proven.load(Relaxed) {
            self.connections.0.registry.lock().asks(self.id);
        }
        Busy(Arc::clone(self))
    }

    /// It has brought a good token of this user.
    pub(crate) fn prove(&self, user: UserId) {
        if self.proven.load(Relaxed) || self.proven.swap(true, Relaxed) {
            return;
        }
        let evicted = self.connections.0.registry.lock().prove(self.id, user);
        self.connections.close(evicted);
    }

    /// Whether more may be read now. If not, the waker is called when it may.
    pub(super) fn may_read(&self, waker: &Waker) -> bool {
        if self.activity.requests.load(Relaxed) == 0 {
            return true;
        }
        let unclaimed = self.unclaimed.load(Relaxed);
        if unclaimed < SMALL_HEAD
            || unclaimed < MOST_AHEAD && self.taken.lock().resize(MOST_AHEAD).is_ok()
        {
            return true;
        }
        self.reader.register(waker);
        false
    }

    /// Bytes have come. `false` if there is no memory for them.
    pub(super) fn has_read(&self, bytes: usize) -> bool {
        let unclaimed = self.unclaimed.load(Relaxed) + bytes;
        self.unclaimed.store(unclaimed, Relaxed);
        let activity = &self.activity;
        if activity.requests.load(Relaxed) > 0 {
            return true;
        }
        if activity.head_since.load(Relaxed) == 0 {
            activity.head_since.store(self.connections.now(), Relaxed);
        }
        if unclaimed <= SMALL_HEAD {
            return true;
        }
        let has_room = self.taken.lock().resize(unclaimed).is_ok();
        if !has_room {
            self.connections.0.metrics.closed(Closed::Memory);
        }
        has_room
    }

    /// No head is waited for: it has come, or what came was none.
    pub(super) fn head_is_complete(&self) {
        self.activity.head_since.store(0, Relaxed);
        self.claim();
    }

    /// What has come was taken for a request.
    pub(crate) fn claim(&self) {
        let unclaimed = self.unclaimed.swap(0, Relaxed);
        if unclaimed >= SMALL_HEAD {
            self.taken.lock().clear();
            self.reader.wake();
        }
    }

    /// The client has taken something of what is being written.
    pub(super) fn has_written(&self) {
        self.activity
            .written_at
            .store(self.connections.now(), Relaxed);
        if self.activity.stalled_since.load(Relaxed) != 0 {
            self.activity.stalled_since.store(0, Relaxed);
        }
    }

    /// The client takes nothing at the moment.
    pub(super) fn has_stalled(&self) {
        if self.activity.stalled_since.load(Relaxed) == 0 {
            let now = self.connections.now();
            self.activity.stalled_since.store(now, Relaxed);
        }
    }

    /// Whether what was not sent is to be discarded.
    pub(super) fn discards(&self) -> bool {
        self.activity.discards.load(Relaxed)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let inner = &self.connections.0;
        inner.registry.lock().remove(self.id);
        inner.metrics.ended();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.id)
    }
}

/// A connection whose handler runs.
pub(crate) struct Busy(Arc<Connection>);

impl Drop for Busy {
    fn drop(&mut self) {
        let connection = &self.0;
        let now = connection.connections.now();
        connection.activity.written_at.store(now, Relaxed);
        connection.activity.requests.fetch_sub(1, Relaxed);
        connection.reader.wake();
        if !connection.proven.load(Relaxed) {
            let evicted = connection
                .connections
                .0
                .registry
                .lock()
                .answered(connection.id);
            connection.connections.close(evicted);
        }
    }
}

impl Activity {
    /// Why a connection has kept the server waiting for too long.
    fn overdue(&self, now: u64, patience: Patience) -> Option<Closed> {
        let waits_longer = |since: u64, limit: Duration| {
            since != 0 && u128::from(now.saturating_sub(since)) > limit.as_millis()
        };
        if waits_longer(self.stalled_since.load(Relaxed), patience.write) {
            return Some(Closed::WriteStalled);
        }
        // A head may come while the answer before it is being sent.
        let head_since = self.head_since.load(Relaxed);
        let waits_since = head_since.max(self.written_at.load(Relaxed));
        let is_late = head_since != 0
            && self.requests.load(Relaxed) == 0
            && waits_longer(waits_since, patience.head);
        is_late.then_some(Closed::SlowHead)
    }
}

/// Closes the connections that keep the server waiting, until the last of [`Connections`] is dropped. One timer
/// for all costs less than several for each.
async fn watch(connections: Weak<Inner>) {
    let (began, mut reported, mut told) = (Instant::now(), Instant::now(), 0);
    loop {
        let Some(inner) = connections.upgrade() else {
            return;
        };
        let shortest = inner.patience.head.min(inner.patience.write);
        let now = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        inner.now.store(now.max(1), Relaxed);
        for handle in inner.registry.lock().handles() {
            if let Some(why) = handle.activity.overdue(now, inner.patience) {
                handle.activity.stalled_since.store(0, Relaxed);
                handle.activity.head_since.store(0, Relaxed);
                handle
                    .activity
                    .discards
                    .store(why == Closed::WriteStalled, Relaxed);
                inner.metrics.closed(why);
                handle.close.abort();
            }
        }
        if reported.elapsed() >= REPORT_INTERVAL {
            let closed = inner.metrics.closed_for_room();
            if closed > told {
                log::warn!(
                    "{} connections were closed in the last minute to make room for others; {} are open",
                    closed - told,
                    inner.metrics.open()
                );
            }
            (reported, told) = (Instant::now(), closed);
        }
        drop(inner);
        sleep((shortest / 8).clamp(Duration::from_millis(5), Duration::from_secs(1))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budgets::MemoryLimits;

    const PATIENCE: Patience = Patience {
        head: Duration::from_millis(10),
        write: Duration::from_millis(30),
    };

    fn admitted(connections: &Connections, number: u8) -> Arc<Connection> {
        let (close, _) = AbortHandle::new_pair();
        let peer = IpAddr::from([127, 0, 0, number]);
        connections.admit(peer, false, close).unwrap()
    }

    #[actix_rt::test]
    async fn heads_that_do_not_end_take_a_quarter_of_the_memory_for_them_and_none_of_another_source()
     {
        let budgets = Budgets::new(MemoryLimits {
            heads: 1 << 20,
            ..MemoryLimits::default()
        });
        let limits = Limits {
            in_all: 100,
            per_source: 100,
            per_user: 100,
        };
        let metrics = Arc::<ConnectionMetrics>::default();
        let connections =
            Connections::start_with(limits, PATIENCE, Arc::clone(&budgets), Arc::clone(&metrics));
        let mut hostile = Vec::new();
        loop {
            let connection = admitted(&connections, 1);
            let has_room = (0..16).all(|_| connection.has_read(8_192));
            hostile.push(connection);
            if !has_room {
                break;
            }
        }
        assert_eq!(hostile.len(), 3, "each takes 112 KiB of 256 KiB");
        let user = admitted(&connections, 2);
        assert!((0..16).all(|_| user.has_read(8_192)));
        assert!(budgets.usage(Use::Heads).0 > 0);
        // A head that has come is counted no more, and what comes after it has to wait.
        let _busy = user.begin();
        let waker = futures_util::task::noop_waker();
        let mut ahead = 0;
        while user.may_read(&waker) {
            assert!(user.has_read(8_192));
            ahead += 8_192;
        }
        assert_eq!(ahead, MOST_AHEAD);
        user.claim();
        assert!(user.may_read(&waker), "its body was taken");
        drop(hostile);
        assert_eq!(budgets.usage(Use::Heads).0, 0);
        assert_eq!(metrics.open(), 1);
    }

    #[test]
    fn a_connection_is_overdue_by_its_head_or_by_what_its_client_does_not_take() {
        let activity = Activity::default();
        assert_eq!(activity.overdue(1_000, PATIENCE), None, "it is idle");
        activity.head_since.store(100, Relaxed);
        assert_eq!(activity.overdue(110, PATIENCE), None);
        assert_eq!(activity.overdue(111, PATIENCE), Some(Closed::SlowHead));
        activity.written_at.store(105, Relaxed);
        assert_eq!(
            activity.overdue(115, PATIENCE),
            None,
            "it is being answered"
        );
        activity.requests.store(1, Relaxed);
        assert_eq!(activity.overdue(1_000, PATIENCE), None, "a handler runs");
        activity.stalled_since.store(100, Relaxed);
        assert_eq!(activity.overdue(130, PATIENCE), None);
        assert_eq!(activity.overdue(131, PATIENCE), Some(Closed::WriteStalled));
    }
}
