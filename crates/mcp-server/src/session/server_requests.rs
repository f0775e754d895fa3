//! The requests of a session that wait for the client's response.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, hash_map::Entry},
    rc::Rc,
};

use chrono::TimeDelta;
use serde_json::value::RawValue;
use tokio::{select, sync::oneshot};

use crate::features::conversation::{PeerError, ResponseFuture};
use mcp_protocol::{
    jsonrpc::Id,
    outgoing::{self, ServerRequest},
};
use resource_server::{clock::Clock, scope::ScopeSet};

/// Requests of one session that may be pending at once.
const MAX_PENDING: usize = 16;

/// The pending requests of one session. All on one thread.
pub(crate) struct ServerRequests {
    open: RefCell<HashMap<u64, PendingRequest>>,
    next: Cell<u64>,
    shutting_down: Cell<bool>,
    clock: Clock,
}

/// A request that waits for its response.
struct PendingRequest {
    /// The scopes that a token must have for its response to be accepted.
    needed: ScopeSet,
    asked: oneshot::Sender<Box<RawValue>>,
}

impl ServerRequests {
    pub(crate) fn new(clock: Clock) -> Rc<Self> {
        Rc::new(Self {
            open: RefCell::default(),
            next: Cell::new(1),
            shutting_down: Cell::new(false),
            clock,
        })
    }

    /// Sends a request, and waits up to `lifetime` for a response under a token with the `needed` scopes.
    pub(crate) fn ask(
        self: &Rc<Self>,
        question: &ServerRequest,
        lifetime: TimeDelta,
        needed: ScopeSet,
        send: impl FnOnce(&str),
    ) -> ResponseFuture {
        let refused = |why| -> ResponseFuture { Box::pin(std::future::ready(Err(why))) };
        if self.shutting_down.get() {
            return refused(PeerError::Unanswered);
        }
        if self.open.borrow().len() >= MAX_PENDING {
            return refused(PeerError::TooManyPending);
        }
        let number = self.next.get();
        self.next.set(number + 1);
        let (asked, answer) = oneshot::channel();
        self.open
            .borrow_mut()
            .insert(number, PendingRequest { needed, asked });
        let open = PendingGuard {
            server_requests: Rc::clone(self),
            number,
        };
        let too_late = self.clock.reaches(self.clock.now() + lifetime);
        send(&outgoing::request(&pending_id(number), question));
        Box::pin(async move {
            let _open = open;
            select! {
                biased;
                answer = answer => answer.map_err(|_| PeerError::Unanswered),
                () = too_late => Err(PeerError::Unanswered),
            }
        })
    }

    /// Handles a response of the client. A response to an unknown request is ignored (JSON-RPC 2.0 §5); one
    /// without a result counts as a refusal.
    ///
    /// # Errors
    /// The scopes that the token needs, if it lacks any: without them its user must not confirm the
    /// operation. The request stays pending.
    pub(crate) fn handle_response(
        &self,
        id: &Id,
        result: Option<Box<RawValue>>,
        granted: ScopeSet,
    ) -> Result<(), ScopeSet> {
        let number = id.as_text().and_then(|id| {
            let number: u64 = id.strip_prefix("s-")?.parse().ok()?;
            // Only the canonical form: no `+1`, no leading zero.
            (pending_id(number) == id).then_some(number)
        });
        let Some(number) = number else { return Ok(()) };
        let mut open = self.open.borrow_mut();
        let Entry::Occupied(waiting) = open.entry(number) else {
            return Ok(());
        };
        if !granted.contains(waiting.get().needed) {
            return Err(waiting.get().needed);
        }
        let PendingRequest { asked, .. } = waiting.remove();
        if let Some(result) = result {
            // The call may have ended.
            let _ = asked.send(result);
        }
        Ok(())
    }

    /// Cancels all pending requests, which counts as a refusal, and refuses further ones.
    pub(crate) fn begin_shutdown(&self) {
        self.shutting_down.set(true);
        self.open.borrow_mut().clear();
    }

    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutting_down.get()
    }
}

/// The id of a request. It is a string, and so never equal to a number of the client.
fn pending_id(number: u64) -> String {
    format!("s-{number}")
}

/// Removes the request when nobody waits for it any more.
struct PendingGuard {
    server_requests: Rc<ServerRequests>,
    number: u64,
}

impl Drop for PendingGuard {
    fn drop(&mut self) {
        self.server_requests.open.borrow_mut().remove(&self.number);
    }
}
