//! The peer of a call within a session: its stream, its requests to the client, its reply.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use chrono::TimeDelta;
use tokio::sync::oneshot;

use super::{
    server_requests::ServerRequests,
    streams::{EventReceiver, Streams},
};
use crate::{
    budgets::Held,
    dispatch::{Dispatcher, Failure},
    features::conversation::{FollowUp, Peer, PeerError, ResponseFuture},
};
use mcp_protocol::{
    answer::Answer,
    jsonrpc::{self, Id},
    logging::Level,
    outgoing::ServerRequest,
    version::ProtocolVersion,
};
use resource_server::{principal::Principal, revocation::ActiveUse};

/// How long a client, or its user, may take to respond to a request.
const ANSWER_LIFETIME: TimeDelta = TimeDelta::minutes(5);

/// The reply to a call.
pub(crate) enum Reply {
    /// The answer; nothing was sent before it.
    Complete(Result<Answer, Failure>),
    /// A stream, which ends with the answer.
    Stream(EventReceiver),
    /// The client cancelled the call and expects no answer.
    Cancelled,
}

/// What the calls of a session share. All on one thread.
pub(crate) struct SessionIo {
    pub(crate) streams: RefCell<Streams>,
    pub(crate) server_requests: Rc<ServerRequests>,
    pub(crate) log_level: Cell<Level>,
}

/// The peer of one call. Its stream is opened by its first message.
pub(crate) struct CallPeer {
    io: Rc<SessionIo>,
    quiet: bool,
    stream: Cell<Option<u32>>,
    reply: RefCell<Option<oneshot::Sender<Reply>>>,
    principal: Arc<Principal>,
    active_use: Rc<ActiveUse>,
    #[expect(dead_code, reason = "held for its drop")]
    held: Held,
    dispatcher: Arc<Dispatcher>,
    follow_up: Cell<Option<FollowUp>>,
}

impl CallPeer {
    /// The peer of a call by this principal, and the receiver of its reply. A `quiet` one drops notifications
    /// and requests.
    pub(crate) fn new(
        io: Rc<SessionIo>,
        quiet: bool,
        principal: Arc<Principal>,
        active_use: ActiveUse,
        held: Held,
        dispatcher: Arc<Dispatcher>,
    ) -> (Rc<Self>, oneshot::Receiver<Reply>) {
        let (reply, replied) = oneshot::channel();
        let client = Rc::new(Self {
            io,
            quiet,
            stream: Cell::new(None),
            reply: RefCell::new(Some(reply)),
            principal,
            active_use: Rc::new(active_use),
            held,
            dispatcher,
            follow_up: Cell::new(None),
        });
        (client, replied)
    }

    /// The follow-up that the call asked for, if any.
    pub(crate) fn follow_up(&self) -> Option<FollowUp> {
        self.follow_up.take()
    }

    /// Resolves when the token of the call is revoked.
    pub(crate) fn active_use(&self) -> Rc<ActiveUse> {
        Rc::clone(&self.active_use)
    }

    /// Resolves when the token of the call is revoked while the call has a stream. A call without one is
    /// about to answer.
    pub(crate) async fn revoked_while_streaming(&self) {
        self.active_use.revoked().await;
        if self.stream.get().is_none() {
            std::future::pending().await
        }
    }

    fn send(&self, json: &str) {
        // Not even to open a stream.
        if self.active_use.is_revoked() {
            return;
        }
        let mut streams = self.io.streams.borrow_mut();
        let stream = self.stream.get().unwrap_or_else(|| {
            let (stream, events) = streams.open(self.principal.scopes);
            self.stream.set(Some(stream));
            if let Some(reply) = self.reply.borrow_mut().take() {
                // A client that has disconnected can resume the stream.
                let _ = reply.send(Reply::Stream(events));
            }
            stream
        });
        streams.send(stream, json);
    }

    /// Sends the answer, on the stream if there is one.
    pub(crate) fn finish(
        &self,
        outcome: Result<Answer, Failure>,
        id: &Id,
        version: ProtocolVersion,
    ) {
        match self.stream.get() {
            None => {
                if let Some(reply) = self.reply.borrow_mut().take() {
                    let _ = reply.send(Reply::Complete(outcome));
                }
            }
            Some(stream) => {
                self.send(&response_message(outcome, id, version, &self.dispatcher));
                self.io.streams.borrow_mut().end(stream);
            }
        }
    }
}

/// The JSON-RPC response, where it is sent on a stream or in a batch.
#[must_use]
pub(crate) fn response_message(
    outcome: Result<Answer, Failure>,
    id: &Id,
    version: ProtocolVersion,
    dispatcher: &Dispatcher,
) -> String {
    let result = outcome
        .map_err(|failure| failure.in_band(dispatcher.scopes()))
        .and_then(|answer| dispatcher.wire_format().result(&answer, version));
    match result {
        Ok(result) => jsonrpc::success(id, &result),
        Err(error) => jsonrpc::failure(Some(id), &error),
    }
}

impl Drop for CallPeer {
    /// A cancelled call leaves its stream without an answer (MCP 2025-11-25, Cancellation).
    fn drop(&mut self) {
        if let Some(stream) = self.stream.get() {
            self.io.streams.borrow_mut().end(stream);
        }
    }
}

impl Peer for CallPeer {
    fn notify(&self, message: String) {
        if !self.quiet {
            self.send(&message);
        }
    }

    fn admits(&self, level: Level) -> bool {
        level >= self.io.log_level.get()
    }

    fn ask(&self, question: &ServerRequest) -> ResponseFuture {
        if self.quiet || self.active_use.is_revoked() {
            return Box::pin(std::future::ready(Err(PeerError::Unanswered)));
        }
        let server_requests = &self.io.server_requests;
        let scopes = self.principal.scopes;
        let answer = server_requests.ask(question, ANSWER_LIFETIME, scopes, |request| {
            self.send(request)
        });
        let (principal, dispatcher) = (Arc::clone(&self.principal), Arc::clone(&self.dispatcher));
        let active_use = Rc::clone(&self.active_use);
        Box::pin(async move {
            let answer = answer.await?;
            // The token may have expired or been revoked meanwhile.
            if active_use.is_revoked() || dispatcher.has_ended(&principal) {
                Err(PeerError::Unanswered)
            } else {
                Ok(answer)
            }
        })
    }

    fn after(&self, follow_up: FollowUp) {
        self.follow_up.set(Some(follow_up));
    }
}
