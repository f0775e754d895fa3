//! Follow-ups: work that a tool wants done with the client after its answer, on the session's standalone
//! stream.

use std::{pin::pin, rc::Rc};

use chrono::TimeDelta;
use futures_util::future::{LocalBoxFuture, select};

use super::{calls::SessionIo, streams::STANDALONE_STREAM};
use crate::features::conversation::{Conversation, FollowUp, Peer, ResponseFuture};
use mcp_protocol::{
    logging::Level,
    outgoing::{ClientCapabilities, ServerRequest},
};
use resource_server::{
    revocation::ActiveUse,
    scope::{ScopeSet, Scopes},
};

/// How long a client's model, and its user, may take to answer.
const ANSWER_LIFETIME: TimeDelta = TimeDelta::minutes(1);

/// Runs one follow-up at a time, and none twice in a row for the same key: a call that is repeated under its
/// idempotency key has nothing new to follow up.
#[derive(Default)]
pub(crate) struct FollowUps {
    in_progress: bool,
    last: Option<String>,
}

/// The session for which a follow-up is done.
pub(crate) struct FollowUpContext<'a> {
    pub(crate) io: &'a Rc<SessionIo>,
    pub(crate) capabilities: ClientCapabilities,
    /// The scopes that the server declares.
    pub(crate) declared: &'a Scopes,
    /// The current scopes of the token that opened the standalone stream.
    pub(crate) listener_scopes: ScopeSet,
    /// The scopes of the token of the call.
    pub(crate) call_scopes: ScopeSet,
    /// Ends the follow-up when the token of the call is revoked.
    pub(crate) active_use: Rc<ActiveUse>,
}

impl FollowUps {
    /// Starts a follow-up. `None` if another is in progress, if the client lacks the capability, or if no
    /// client listens whose token has the scopes. After the future has completed, [`FollowUps::finished`]
    /// must be called.
    pub(crate) fn start(
        &mut self,
        follow_up: FollowUp,
        context: FollowUpContext<'_>,
    ) -> Option<LocalBoxFuture<'static, ()>> {
        let FollowUp {
            key,
            needs,
            scopes,
            run,
        } = follow_up;
        if self.in_progress
            || self.last.as_ref() == Some(&key)
            || !context.io.streams.borrow().has_listener()
        {
            return None;
        }
        let client = Rc::new(SessionPeer {
            io: Rc::clone(context.io),
            scopes: context.call_scopes,
        });
        let conversation = Conversation::inline(None, context.capabilities, client);
        let listener = context.listener_scopes;
        let may_listen = context
            .declared
            .set(scopes)
            .is_ok_and(|needed| context.declared.require(listener, needed).is_ok());
        if !may_listen || !conversation.can(needs) {
            return None;
        }
        *self = Self {
            in_progress: true,
            last: Some(key),
        };
        let done = run(conversation);
        let active_use = context.active_use;
        Some(Box::pin(async move {
            select(done, pin!(active_use.revoked())).await;
        }))
    }

    /// The follow-up has ended; another may start.
    pub(crate) fn finished(&mut self) {
        self.in_progress = false;
    }
}

/// Sends messages that belong to no call on the session's standalone stream.
struct SessionPeer {
    io: Rc<SessionIo>,
    /// Those of the call that is followed up.
    scopes: ScopeSet,
}

impl SessionPeer {
    fn send(&self, json: &str) {
        self.io.streams.borrow_mut().send(STANDALONE_STREAM, json);
    }
}

impl Peer for SessionPeer {
    fn notify(&self, message: String) {
        self.send(&message);
    }

    fn admits(&self, level: Level) -> bool {
        level >= self.io.log_level.get()
    }

    fn ask(&self, request: &ServerRequest) -> ResponseFuture {
        let server_requests = &self.io.server_requests;
        server_requests.ask(request, ANSWER_LIFETIME, self.scopes, |message| {
            self.send(message);
        })
    }
}
