//! The client's end of a call within a session: its stream, its questions, its answer.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use chrono::TimeDelta;
use tokio::sync::oneshot;

use super::{
    Authorized,
    questions::Questions,
    streams::{Frames, Streams},
};
use crate::{
    dispatch::{Dispatcher, Failure},
    features::conversation::{AnswerFuture, Client, FollowUp, NoAnswer},
};
use mcp_protocol::{
    answer::Answer,
    jsonrpc::{self, Id},
    logging::Level,
    outgoing::ServerRequest,
    version::ProtocolVersion,
};
use resource_server::{principal::Principal, revocation::ActiveUse};

/// How long a client, or the person in front of it, may think about a question.
const ANSWER_LIFETIME: TimeDelta = TimeDelta::minutes(5);

/// What becomes of a call.
pub enum Reply {
    /// It answered before it had anything else to say.
    Whole(Result<Answer, Failure>),
    /// It spoke first; the answer comes at the end of its stream.
    Stream(Frames),
    /// The client called it off, and wants no answer.
    Cancelled,
}

/// What the calls of a session share: its streams, its open questions, its log level. All on one thread.
pub(crate) struct Wire {
    pub(crate) streams: RefCell<Streams>,
    pub(crate) questions: Rc<Questions>,
    pub(crate) log_level: Cell<Level>,
}

/// The client's end of one call. Its stream is opened when there is something to say on it.
pub(crate) struct CallClient {
    wire: Rc<Wire>,
    quiet: bool,
    stream: Cell<Option<u32>>,
    reply: RefCell<Option<oneshot::Sender<Reply>>>,
    principal: Arc<Principal>,
    active_use: Rc<ActiveUse>,
    dispatcher: Arc<Dispatcher>,
    follow_up: Cell<Option<FollowUp>>,
}

impl CallClient {
    /// The client's end of a call by this principal, and where its reply comes out. A `quiet` one can
    /// only be answered.
    pub(crate) fn new(
        wire: Rc<Wire>,
        quiet: bool,
        authorized: Authorized,
        dispatcher: Arc<Dispatcher>,
    ) -> (Rc<Self>, oneshot::Receiver<Reply>) {
        let (reply, replied) = oneshot::channel();
        let client = Rc::new(Self {
            wire,
            quiet,
            stream: Cell::new(None),
            reply: RefCell::new(Some(reply)),
            principal: authorized.principal,
            active_use: Rc::new(authorized.active_use),
            dispatcher,
            follow_up: Cell::new(None),
        });
        (client, replied)
    }

    /// What the call wants done after it, if anything.
    pub(crate) fn follow_up(&self) -> Option<FollowUp> {
        self.follow_up.take()
    }

    /// What says that the call's token was cut off.
    pub(crate) fn active_use(&self) -> Rc<ActiveUse> {
        Rc::clone(&self.active_use)
    }

    /// Comes when the call's token is cut off while the call has a stream. One that has none is about
    /// to answer, and whatever it was let in to do is done.
    pub(crate) async fn revoked_while_streaming(&self) {
        self.active_use.revoked().await;
        if self.stream.get().is_none() {
            std::future::pending().await
        }
    }

    fn say(&self, json: &str) {
        // It could open a stream.
        if self.active_use.is_revoked() {
            return;
        }
        let mut streams = self.wire.streams.borrow_mut();
        let stream = self.stream.get().unwrap_or_else(|| {
            let (stream, frames) = streams.open(self.principal.scopes);
            self.stream.set(Some(stream));
            if let Some(reply) = self.reply.borrow_mut().take() {
                // A client that has left can resume the stream.
                let _ = reply.send(Reply::Stream(frames));
            }
            stream
        });
        streams.say(stream, json);
    }

    /// Says what became of the call, on its stream if it has one.
    pub(crate) fn finish(
        &self,
        outcome: Result<Answer, Failure>,
        id: &Id,
        version: ProtocolVersion,
    ) {
        match self.stream.get() {
            None => {
                if let Some(reply) = self.reply.borrow_mut().take() {
                    let _ = reply.send(Reply::Whole(outcome));
                }
            }
            Some(stream) => {
                self.say(&last_message(outcome, id, version, &self.dispatcher));
                self.wire.streams.borrow_mut().end(stream);
            }
        }
    }
}

/// The answer to a request, where it is a message among others.
#[must_use]
pub fn last_message(
    outcome: Result<Answer, Failure>,
    id: &Id,
    version: ProtocolVersion,
    dispatcher: &Dispatcher,
) -> String {
    let result = outcome
        .map_err(|failure| failure.in_band(dispatcher.scopes()))
        .and_then(|answer| dispatcher.wire().result(&answer, version));
    match result {
        Ok(result) => jsonrpc::success(id, &result),
        Err(error) => jsonrpc::failure(Some(id), &error),
    }
}

impl Drop for CallClient {
    /// A call that was cancelled leaves its stream without an answer (L-24).
    fn drop(&mut self) {
        if let Some(stream) = self.stream.get() {
            self.wire.streams.borrow_mut().end(stream);
        }
    }
}

impl Client for CallClient {
    fn notify(&self, message: String) {
        if !self.quiet {
            self.say(&message);
        }
    }

    fn admits(&self, level: Level) -> bool {
        level >= self.wire.log_level.get()
    }

    fn ask(&self, question: &ServerRequest) -> AnswerFuture {
        if self.quiet || self.active_use.is_revoked() {
            return Box::pin(std::future::ready(Err(NoAnswer::Unanswered)));
        }
        let questions = &self.wire.questions;
        let scopes = self.principal.scopes;
        let answer = questions.ask(question, ANSWER_LIFETIME, scopes, |request| {
            self.say(request)
        });
        let (principal, dispatcher) = (Arc::clone(&self.principal), Arc::clone(&self.dispatcher));
        let active_use = Rc::clone(&self.active_use);
        Box::pin(async move {
            let answer = answer.await?;
            // A token that ended while its user thought about it allows nothing any more.
            if active_use.is_revoked() || dispatcher.has_ended(&principal) {
                Err(NoAnswer::Unanswered)
            } else {
                Ok(answer)
            }
        })
    }

    fn after(&self, follow_up: FollowUp) {
        self.follow_up.set(Some(follow_up));
    }
}
