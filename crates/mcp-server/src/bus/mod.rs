//! *Purpose:* the processes of one server tell each other what changed: resources, revocations, and what happens in
//! legacy sessions.
//!
//! *Used by:* programs implement [`Bus`]; `server` starts it; `features::changes`, `session` and revocations send
//! through `outbox.rs`.
//!
//! *Invariants:* a message decides nothing: it makes others look again, with the token that each of their clients
//! has. Nobody waits for the bus. What waits to be sent, and what was received and is not yet passed on, is
//! bounded; what does not fit becomes a request to look again.
//!
//! *Start reading at* [`Bus`], then `outbox.rs` (what is sent), `envelope.rs` (how it is written) and `link.rs`
//! (what happens with what is received).

mod envelope;
mod link;
mod message;
mod metrics;
mod outbox;

use std::sync::Arc;

pub use self::link::{Link, News, Origin};
pub(crate) use self::{
    envelope::Envelopes, link::Receivers, message::SessionMessage, metrics::BusMetrics,
    outbox::Outbox,
};

/// Carries messages between the processes of one server: see [`Server::bus`](crate::server::Server::bus).
///
/// A bus is a thread (or a task) that does two things with its [`Link`], until [`Link::wait`] says that the server
/// stops: it sends each text of [`Link::take`] to all processes, and passes on each text that comes with
/// [`Link::received`]. If texts may have been missed, because the connection was away, it calls [`Link::missed`]
/// once it listens again.
///
/// The texts need not be kept for processes that do not listen at the moment, and a process may receive its own:
/// they are recognised.
///
/// ```
/// use std::{sync::{Arc, Mutex}, thread, time::Duration};
/// use mcp_server::bus::{Bus, Link, News};
///
/// /// Connects servers within one process.
/// #[derive(Default)]
/// struct InProcess(Arc<Mutex<Vec<Arc<Link>>>>);
///
/// impl Bus for InProcess {
///     fn start(&self, link: Link) {
///         let (link, all) = (Arc::new(link), Arc::clone(&self.0));
///         all.lock().unwrap().push(Arc::clone(&link));
///         link.set_connected(true);
///         thread::spawn(move || {
///             while link.wait(Duration::from_secs(1)) != News::Stopping {
///                 while let Some(text) = link.take(8_000) {
///                     for other in &*all.lock().unwrap() {
///                         other.received(&text);
///                     }
///                 }
///             }
///         });
///     }
/// }
/// ```
pub trait Bus: Send + Sync {
    /// Starts to carry messages; called once, when the server is built. Must not block. The server's shutdown waits
    /// for a moment until the link is dropped.
    fn start(&self, link: Link);
}

impl<B: Bus + ?Sized> Bus for Arc<B> {
    fn start(&self, link: Link) {
        (**self).start(link);
    }
}
