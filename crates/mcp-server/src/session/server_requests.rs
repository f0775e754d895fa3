//! The requests of a session that wait for the client's response.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, hash_map::Entry},
    fmt,
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
    /// Of the ids.
    instance: u64,
}

/// A request that waits for its response.
struct PendingRequest {
    /// The scopes that a token must have for its response to be accepted.
    needed: ScopeSet,
    asked: oneshot::Sender<Box<RawValue>>,
}

impl ServerRequests {
    /// No requests yet. `instance` is written in their ids, unless it is 0, so that none is taken for one of another
    /// process.
    pub(crate) fn new(clock: Clock, instance: u64) -> Rc<Self> {
        Rc::new(Self {
            open: RefCell::default(),
            next: Cell::new(1),
            shutting_down: Cell::new(false),
            clock,
            instance,
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
        let id = QuestionId {
            instance: self.instance,
            number,
        };
        send(&outgoing::request(&id.to_string(), question));
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
    /// without a result counts as a refusal. Returns a response to a request that another process may have sent.
    ///
    /// # Errors
    /// Those of [`ServerRequests::answer`].
    pub(crate) fn handle_response(
        &self,
        id: &Id,
        result: Option<Box<RawValue>>,
        granted: ScopeSet,
    ) -> Result<Option<Elsewhere>, ScopeSet> {
        match id.as_text().and_then(|id| QuestionId::parse(&id)) {
            None => Ok(None),
            Some(id) if id.instance == self.instance => {
                self.answer(id, result, granted).map(|()| None)
            }
            Some(id) => Ok(Some(Elsewhere { id, result })),
        }
    }

    /// Whether this request waits for its response.
    pub(crate) fn awaits(&self, id: QuestionId) -> bool {
        id.instance == self.instance && self.open.borrow().contains_key(&id.number)
    }

    /// Takes the response to a request of this process; to any other nothing happens.
    ///
    /// # Errors
    /// The scopes that the token needs, if it lacks any: without them its user must not confirm the
    /// operation. The request stays pending.
    pub(crate) fn answer(
        &self,
        id: QuestionId,
        result: Option<Box<RawValue>>,
        granted: ScopeSet,
    ) -> Result<(), ScopeSet> {
        if id.instance != self.instance {
            return Ok(());
        }
        let mut open = self.open.borrow_mut();
        let Entry::Occupied(waiting) = open.entry(id.number) else {
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

/// A response to a request of another process.
pub(crate) struct Elsewhere {
    pub(crate) id: QuestionId,
    pub(crate) result: Option<Box<RawValue>>,
}

/// The id of a request. It is written as a string, and so never equal to a number of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuestionId {
    /// Of the process and session that wait for the answer; 0 where one process alone continues the session, and then
    /// not written.
    pub(crate) instance: u64,
    pub(crate) number: u64,
}

impl QuestionId {
    /// Parses an id, in its canonical form alone: no `+1`, no leading zero.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("s-")?;
        let id = match rest.split_once('-') {
            None => Self {
                instance: 0,
                number: rest.parse().ok()?,
            },
            Some((instance, number)) => Self {
                instance: u64::from_str_radix(instance, 16).ok()?,
                number: number.parse().ok()?,
            },
        };
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for QuestionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.instance {
            0 => write!(f, "s-{}", self.number),
            instance => write!(f, "s-{instance:016x}-{}", self.number),
        }
    }
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
