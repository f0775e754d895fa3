//! What a call wants done with the client after its answer, on the session's own stream.

use std::{pin::pin, rc::Rc};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use chrono::TimeDelta;
use futures_util::future::select;

use super::{actor::SessionActor, calls::Wire, listen::scopes_now, streams::GENERAL};
use crate::features::conversation::{AnswerFuture, Client, Conversation, FollowUp};
use mcp_protocol::{logging::Level, outgoing::ServerRequest};
use resource_server::{revocation::ActiveUse, scope::ScopeSet};

/// How long a client's model, and its user, may take to answer.
const ANSWER_LIFETIME: TimeDelta = TimeDelta::minutes(1);

/// One follow-up is done at a time, and not again for the same key: a call that is repeated under its
/// idempotency key has nothing new to follow up.
#[derive(Default)]
pub(crate) struct FollowUps {
    under_way: bool,
    last: Option<String>,
}

impl SessionActor {
    /// Does a follow-up, if somebody listens whose token may see it, the client can do what it needs,
    /// and no other is under way. `scopes` are those of the call's token.
    pub(crate) fn follow_up(
        &mut self,
        follow_up: FollowUp,
        scopes: ScopeSet,
        active_use: Rc<ActiveUse>,
        context: &mut Context<Self>,
    ) {
        let FollowUp {
            key,
            needs,
            scopes: shown,
            run,
        } = follow_up;
        if self.follow_ups.under_way
            || self.follow_ups.last.as_ref() == Some(&key)
            || !self.wire.streams.borrow().has_listener()
        {
            return;
        }
        let client = Rc::new(SessionClient {
            wire: Rc::clone(&self.wire),
            scopes,
        });
        let conversation = Conversation::at_once(None, self.capabilities, client);
        let listener = self.listener.as_ref().map_or(ScopeSet::EMPTY, |listener| {
            scopes_now(listener, &self.dispatcher)
        });
        let declared = self.dispatcher.scopes();
        let may_listen = declared
            .set(shown)
            .is_ok_and(|shown| declared.require(listener, shown).is_ok());
        if !may_listen || !conversation.can(needs) {
            return;
        }
        self.follow_ups = FollowUps {
            under_way: true,
            last: Some(key),
        };
        let done = run(conversation);
        // What the call's token allowed ends with it, and so does this.
        let run = async move {
            select(done, pin!(active_use.revoked())).await;
        };
        context.spawn(run.into_actor(self).map(|(), session, _| {
            session.follow_ups.under_way = false;
        }));
    }
}

/// The client's end of what belongs to no call: the session's own stream.
struct SessionClient {
    wire: Rc<Wire>,
    /// Those of the call that it follows.
    scopes: ScopeSet,
}

impl SessionClient {
    fn say(&self, json: &str) {
        self.wire.streams.borrow_mut().say(GENERAL, json);
    }
}

impl Client for SessionClient {
    fn notify(&self, message: String) {
        self.say(&message);
    }

    fn admits(&self, level: Level) -> bool {
        level >= self.wire.log_level.get()
    }

    fn ask(&self, question: &ServerRequest) -> AnswerFuture {
        let questions = &self.wire.questions;
        questions.ask(question, ANSWER_LIFETIME, self.scopes, |request| {
            self.say(request);
        })
    }
}
