//! Tags that the client's model suggests for a new entry, once the call that wrote it has ended.

use std::{pin::pin, rc::Rc, sync::Arc};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use chrono::TimeDelta;
use futures_util::future::select;

use super::{actor::SessionActor, calls::Wire, listen::scopes_now, streams::GENERAL};
use crate::{
    auth::OpenUse,
    domain::{journal::EntryId, scope::ScopeSet},
    features::{
        conversation::{AnswerFuture, Client, Conversation},
        suggesting::Suggesting,
    },
    mcp::{logging::Level, outgoing::Question},
};

/// How long a client's model may think about tags, and its user about whether it may.
const SUGGESTION_LIFETIME: TimeDelta = TimeDelta::minutes(1);

/// Tags are suggested for one entry at a time, and not again for the same one: a call that is repeated
/// under its idempotency key writes nothing new.
#[derive(Default)]
pub(super) struct Suggestion {
    under_way: bool,
    last: Option<EntryId>,
}

impl SessionActor {
    /// Has the client's model suggest tags, on the general stream, for the stream of the call has
    /// ended. Where nobody listens, or one suggestion is under way, there is none.
    pub(super) fn suggest_tags(
        &mut self,
        suggesting: Suggesting,
        open_use: Rc<OpenUse>,
        context: &mut Context<Self>,
    ) {
        let entry = Some(suggesting.entry);
        if self.suggestion.under_way
            || self.suggestion.last == entry
            || !self.wire.streams.borrow().has_listener()
        {
            return;
        }
        let client = Rc::new(GeneralClient {
            wire: Rc::clone(&self.wire),
            scopes: suggesting.principal.scopes,
        });
        let conversation = Conversation::at_once(None, self.abilities, client);
        let listener = self.listener.as_ref().map_or(ScopeSet::EMPTY, |listener| {
            scopes_now(listener, &self.dispatcher)
        });
        if !suggesting.is_possible(&conversation, listener, &self.dispatcher) {
            return;
        }
        self.suggestion = Suggestion {
            under_way: true,
            last: entry,
        };
        let suggested = suggesting.run(conversation, Arc::clone(&self.dispatcher));
        // What the call's token allowed ends with it, and so does this.
        let run = async move {
            select(pin!(suggested), pin!(open_use.cut_off())).await;
        };
        context.spawn(run.into_actor(self).map(|(), session, _| {
            session.suggestion.under_way = false;
        }));
    }
}

/// The client's end of what belongs to no call: the general stream.
struct GeneralClient {
    wire: Rc<Wire>,
    /// Those of the call that it follows.
    scopes: ScopeSet,
}

impl GeneralClient {
    fn say(&self, json: &str) {
        self.wire.streams.borrow_mut().say(GENERAL, json);
    }
}

impl Client for GeneralClient {
    fn notify(&self, message: String) {
        self.say(&message);
    }

    fn admits(&self, level: Level) -> bool {
        level >= self.wire.log_level.get()
    }

    fn ask(&self, question: &Question) -> AnswerFuture {
        let questions = &self.wire.questions;
        questions.ask(question, SUGGESTION_LIFETIME, self.scopes, |request| {
            self.say(request);
        })
    }
}
