//! The bus between the processes that share a database: `LISTEN` and `NOTIFY` on a connection of its own, so that
//! no writing transaction notifies, which would make commits wait for each other.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use secrecy::SecretString;

use crate::storage::{NOTIFICATION_LONGEST, Notifications, StorageError};
use mcp_server::bus::{Bus, Link, News, Origin};

/// The shortest time between two notifications.
const BETWEEN: Duration = Duration::from_millis(10);

/// How often it is looked whether a notification has arrived: libpq can only be asked. While there are some, more
/// often.
const POLL: Duration = Duration::from_millis(15);
const POLL_BUSY: Duration = Duration::from_millis(3);

/// How long after a notification there may be more.
const BUSY: Duration = Duration::from_millis(500);

/// How often a process checks that its own notifications come back to it.
const PROBE: Duration = Duration::from_secs(10);

/// How long one may take before the connection counts as broken.
const LATE: Duration = Duration::from_secs(5);

/// The pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Connects the processes that share a database. Clones are the same bus.
#[derive(Clone)]
pub struct DatabaseBus(Arc<Inner>);

struct Inner {
    url: SecretString,
    /// Whether the first attempt to connect has ended, well or not.
    has_tried: Mutex<bool>,
    tried: Condvar,
}

/// Why a connection is no longer used.
enum Ended {
    ServerStops,
    Failed(String),
}

impl DatabaseBus {
    /// The bus of this database. The URL must lead to PostgreSQL itself and not to a pooler that lends connections
    /// for single transactions: nobody can listen on such a connection.
    #[must_use]
    pub fn new(url: SecretString) -> Self {
        Self(Arc::new(Inner {
            url,
            has_tried: Mutex::new(false),
            tried: Condvar::new(),
        }))
    }

    /// Waits on this thread until the first attempt to connect has ended, but no longer than this. What is opened
    /// afterwards misses nothing.
    pub fn has_tried(&self, limit: Duration) {
        let mut has_tried = self.0.has_tried.lock();
        let not_yet = |has_tried: &mut bool| !*has_tried;
        self.0.tried.wait_while_for(&mut has_tried, not_yet, limit);
    }
}

impl Bus for DatabaseBus {
    fn start(&self, link: Link) {
        let inner = Arc::clone(&self.0);
        thread::Builder::new()
            .name("bus".to_owned())
            .spawn(move || inner.run(&link))
            .expect("the operating system starts threads");
    }
}

impl Inner {
    fn run(&self, link: &Link) {
        let mut unsent = None;
        let mut is_told = false;
        let mut pause = FIRST_PAUSE;
        loop {
            let ended = match Notifications::listen(&self.url) {
                Ok(connection) => {
                    let mut conversation = Conversation::new(link, connection, &mut unsent);
                    let ended = conversation.hold(|| {
                        if is_told {
                            log::info!("the bus is connected again");
                        }
                        (is_told, pause) = (false, FIRST_PAUSE);
                        self.end_of_attempt();
                    });
                    link.set_connected(false);
                    ended
                }
                Err(error) => Ended::Failed(error.with_cause()),
            };
            self.end_of_attempt();
            match ended {
                Ended::ServerStops => return,
                Ended::Failed(reason) if !is_told => {
                    log::warn!(
                        "the bus to the other processes is not connected, so that their changes are not heard until it is: {reason}"
                    );
                    is_told = true;
                }
                Ended::Failed(_) => {}
            }
            if link.pause(pause) {
                return;
            }
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    fn end_of_attempt(&self) {
        *self.has_tried.lock() = true;
        self.tried.notify_all();
    }
}

/// The use of one connection.
struct Conversation<'a> {
    link: &'a Link,
    connection: Notifications,
    /// What was taken from the link, until it is known to be sent.
    unsent: &'a mut Option<String>,
    sent_at: Instant,
    received_at: Option<Instant>,
    /// Since when nothing of what was sent has come back.
    silent_since: Option<Instant>,
}

impl<'a> Conversation<'a> {
    fn new(link: &'a Link, connection: Notifications, unsent: &'a mut Option<String>) -> Self {
        Self {
            link,
            connection,
            unsent,
            sent_at: Instant::now(),
            received_at: None,
            silent_since: None,
        }
    }

    /// Sends and receives until the connection breaks or the server stops. `is_heard` is called once, when this
    /// process hears what is sent.
    fn hold(&mut self, mut is_heard: impl FnMut()) -> Ended {
        match self.exchange(&mut is_heard) {
            Ok(ended) => ended,
            Err(error) => Ended::Failed(error.with_cause()),
        }
    }

    fn exchange(&mut self, is_heard: &mut impl FnMut()) -> Result<Ended, StorageError> {
        let mut is_connected = false;
        // What is left has a lower number than a probe would have, so it would be taken for one that came before.
        if self.unsent.is_none() {
            *self.unsent = Some(self.link.probe());
        }
        self.send_unsent()?;
        loop {
            let has_come_back = self.receive()?;
            if has_come_back && !is_connected {
                is_connected = true;
                is_heard();
                self.link.set_connected(true);
                // Whatever was said before this connection listened.
                self.link.missed();
            }
            if self
                .silent_since
                .is_some_and(|since| since.elapsed() > LATE)
            {
                return Ok(Ended::Failed(
                    "what is sent on its connection does not come back; behind a pooler, EPICME_DATABASE_DIRECT_URL must lead to PostgreSQL itself"
                        .to_owned(),
                ));
            }
            let next_at = self.sent_at + BETWEEN;
            let wait = next_at.saturating_duration_since(Instant::now());
            let poll = self.poll();
            if !wait.is_zero() && !self.link.pause(wait.min(poll)) {
                continue;
            }
            if self.unsent.is_none() {
                *self.unsent = self.link.take(NOTIFICATION_LONGEST);
            }
            if self.unsent.is_none() && self.sent_at.elapsed() > PROBE {
                *self.unsent = Some(self.link.probe());
            }
            if self.unsent.is_some() {
                self.send_unsent()?;
            } else if self.link.wait(poll) == News::Stopping {
                return Ok(Ended::ServerStops);
            }
        }
    }

    /// Sends what was taken. It is kept until that has succeeded: it may be sent twice, and whoever has received it
    /// already knows that.
    fn send_unsent(&mut self) -> Result<(), StorageError> {
        if let Some(text) = &*self.unsent {
            self.connection.send(text)?;
            *self.unsent = None;
        }
        self.sent_at = Instant::now();
        self.silent_since.get_or_insert(self.sent_at);
        Ok(())
    }

    /// Passes on what has arrived; returns whether something of this process was among it.
    fn receive(&mut self) -> Result<bool, StorageError> {
        let mut has_come_back = false;
        while let Some(text) = self.connection.arrived()? {
            match self.link.received(&text) {
                Origin::Own => {
                    has_come_back = true;
                    self.silent_since = None;
                }
                Origin::Other => self.received_at = Some(Instant::now()),
                Origin::Unknown => {}
            }
        }
        Ok(has_come_back)
    }

    fn poll(&self) -> Duration {
        let is_busy =
            self.silent_since.is_some() || self.received_at.is_some_and(|at| at.elapsed() < BUSY);
        if is_busy { POLL_BUSY } else { POLL }
    }
}
