//! The actor of one legacy session: its messages, and what each does.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    pin::pin,
    rc::Rc,
    sync::Arc,
};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message,
    ResponseActFuture, SpawnHandle, WrapFuture,
};
use futures_util::future::{Either, select};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Authorized, KnownAs,
    calls::{CallClient, Reply, Wire},
    follow_ups::FollowUps,
    listen::scopes_now,
    questions::Questions,
    streams::{Frames, GENERAL, Streams},
};
use crate::{
    dispatch::{self, Begun, Dispatcher, Failure},
    features::{
        changes::ChangePublished,
        conversation::Client,
        subscriptions::{NotSubscribable, Subscriptions},
        target::Target,
    },
};
use mcp_protocol::{
    answer::Answer,
    envelope::{OwnedParams, Params},
    jsonrpc::{Id, RpcError},
    logging::Level,
    method::Method,
    outgoing::ClientCapabilities,
    sse::EventId,
    version::ProtocolVersion,
    wire_format,
};
use resource_server::{
    clock::Clock,
    gate::Permit,
    principal::{Principal, UserId},
    revocation::ActiveUse,
    scope::ScopeSet,
};

/// How much a message has to matter while the client has not said (Logging leaves it to the server):
/// so much that ordinary calls are answered without a stream.
const LOG_LEVEL: Level = Level::Warning;

/// Answer a request within the session.
#[derive(Message)]
#[rtype(result = "Reply")]
pub(crate) struct Call {
    /// Who asks, by the token of this very request.
    pub(crate) authorized: Authorized,
    /// The request's id, for its answer and for a cancellation.
    pub(crate) id: Id,
    /// For what.
    pub(crate) method: Method,
    /// About which feature.
    pub(crate) target: Result<Target, RpcError>,
    /// With which parameters.
    pub(crate) params: OwnedParams,
    /// Whether it can only be answered: a call in a batch has no stream.
    pub(crate) quiet: bool,
    /// The place behind the session's gate, held until the call has ended.
    pub(crate) permit: Permit,
}

/// Take note of a notification.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Note {
    pub(crate) method: String,
    pub(crate) params: Option<Box<RawValue>>,
}

/// Take the client's answer to a question; or say what its token lacks, if it lacks some of what the
/// answer needs.
#[derive(Message)]
#[rtype(result = "Result<(), ScopeSet>")]
pub(crate) struct Settle {
    pub(crate) id: Id,
    pub(crate) result: Option<Box<RawValue>>,
    pub(crate) granted: ScopeSet,
}

/// Open the general stream, or go on with one after an event. `None` if there is nothing to go on
/// with.
#[derive(Message)]
#[rtype(result = "Option<Frames>")]
pub(crate) struct Listen {
    pub(crate) principal: Arc<Principal>,
    pub(crate) after: Option<EventId>,
}

/// End the session and whatever it is doing.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Close;

/// The server stops: let go of what waits for the client, so that calls under way come to an end.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Retire;

/// What `initialize` settled.
pub(crate) struct Terms {
    pub(crate) version: ProtocolVersion,
    pub(crate) capabilities: ClientCapabilities,
}

/// One legacy session. It ends when the registry lets go of it, or its owner is cut off.
pub(crate) struct SessionActor {
    version: ProtocolVersion,
    pub(crate) capabilities: ClientCapabilities,
    active_use: ActiveUse,
    known_as: KnownAs,
    // Of the last request's token.
    scopes: ScopeSet,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) wire: Rc<Wire>,
    watching: Subscriptions,
    // Whose token opened the general stream; nobody is told anything before.
    pub(crate) listener: Option<Arc<Principal>>,
    under_way: HashMap<String, SpawnHandle>,
    pub(crate) follow_ups: FollowUps,
}

impl SessionActor {
    pub(crate) fn new(
        terms: Terms,
        scopes: ScopeSet,
        dispatcher: Arc<Dispatcher>,
        clock: Clock,
        active_use: ActiveUse,
        known_as: KnownAs,
    ) -> Self {
        let Terms {
            version,
            capabilities,
        } = terms;
        Self {
            version,
            capabilities,
            active_use,
            known_as,
            scopes,
            dispatcher,
            wire: Rc::new(Wire {
                streams: RefCell::new(Streams::new(version.primes_streams())),
                questions: Questions::new(clock),
                log_level: Cell::new(LOG_LEVEL),
            }),
            watching: Subscriptions::default(),
            listener: None,
            under_way: HashMap::new(),
            follow_ups: FollowUps::default(),
        }
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let revocation = self.active_use.revoked().into_actor(self);
        context.spawn(revocation.map(|(), session, context| {
            session.known_as.forget();
            context.stop();
        }));
    }
}

impl Handler<Call> for SessionActor {
    // Ends with the session: a read for a client that has left is of no use, and a write runs to
    // its end where it is done.
    type Result = ResponseActFuture<Self, Reply>;

    fn handle(&mut self, call: Call, context: &mut Context<Self>) -> Self::Result {
        let key = call.id.as_json().to_owned();
        if self.under_way.contains_key(&key) {
            let error = RpcError::invalid_request(
                "Invalid request: a request with this id is under way in this session",
            );
            return whole(Err(error.into()));
        }
        self.note_scopes(call.authorized.principal.scopes);
        if let Method::Subscribe | Method::Unsubscribe = call.method {
            return whole(self.subscribe(&call));
        }
        if call.method == Method::SetLogLevel {
            return whole(self.set_log_level(&call));
        }
        let principal = Arc::clone(&call.authorized.principal);
        let trace = call.authorized.trace;
        let (client, replied) = CallClient::new(
            Rc::clone(&self.wire),
            call.quiet,
            call.authorized,
            Arc::clone(&self.dispatcher),
        );
        let params = call.params.borrow();
        let begun = self.dispatcher.begin(dispatch::Call {
            method: call.method,
            target: call.target,
            version: self.version,
            params: &params,
            progress_token: params.progress_token(),
            trace,
            principal: Arc::clone(&principal),
            capabilities: self.capabilities,
            client: Rc::clone(&client) as Rc<dyn Client>,
        });
        let work = match begun {
            Ok(Begun::UnderWay(work)) => work,
            Ok(Begun::Answered(answer)) => return whole(Ok(answer)),
            Err(failure) => return whole(Err(failure)),
        };
        let (id, version, permit) = (call.id, self.version, call.permit);
        let run = async move {
            let _permit = permit;
            let revocation = client.revoked_while_streaming();
            match select(work, pin!(revocation)).await {
                Either::Left((outcome, _)) => client.finish(outcome, &id, version),
                Either::Right(((), _)) => return None,
            }
            client
                .follow_up()
                .map(|follow_up| (follow_up, client.active_use()))
        };
        let ended = key.clone();
        let handle = context.spawn(
            run.into_actor(self)
                .map(move |follow_up, session, context| {
                    session.under_way.remove(&ended);
                    if let Some((follow_up, active_use)) = follow_up {
                        session.follow_up(follow_up, principal.scopes, active_use, context);
                    }
                }),
        );
        self.under_way.insert(key, handle);
        let replied = async { replied.await.unwrap_or(Reply::Cancelled) };
        Box::pin(replied.into_actor(self))
    }
}

impl SessionActor {
    /// Has this session told of changes, for as long as it lives.
    fn watch(&self, user: UserId, context: &mut Context<Self>) {
        let changes = self.dispatcher.changes().clone();
        let subscriber = context.address().recipient();
        let watching = async move {
            if let Err(error) = changes.subscribe(user, subscriber).await {
                log::warn!("a session is not told of changes: {error}");
            }
        };
        context.spawn(watching.into_actor(self));
    }

    /// Tells the client of the lists that are others under the token of this request than under the
    /// one before: after a step-up, or a refresh that asked for less.
    fn note_scopes(&mut self, scopes: ScopeSet) {
        let before = std::mem::replace(&mut self.scopes, scopes);
        let catalogue = self.dispatcher.catalogue();
        let mut streams = self.wire.streams.borrow_mut();
        for told in catalogue.changed_lists(before, scopes, self.version) {
            streams.say(GENERAL, &told);
        }
    }

    /// For the whole session, from now on (L-27).
    fn set_log_level(&self, call: &Call) -> Result<Answer, Failure> {
        let params = call.params.borrow();
        self.wire.log_level.set(Level::read(params.level, "level")?);
        Ok(Answer::Empty)
    }

    fn subscribe(&mut self, call: &Call) -> Result<Answer, Failure> {
        let params = call.params.borrow();
        let uri = Params::string(params.uri, "uri")?;
        if call.method == Method::Unsubscribe {
            self.watching.remove(&uri);
            return Ok(Answer::Empty);
        }
        let catalogue = self.dispatcher.catalogue();
        match self
            .watching
            .add(catalogue, call.authorized.principal.scopes, &uri)
        {
            Ok(()) => Ok(Answer::Empty),
            Err(NotSubscribable::NotFound) => {
                Err(wire_format::resource_not_found(&uri, self.version).into())
            }
            Err(NotSubscribable::Forbidden { needed }) => Err(Failure::Forbidden { needed }),
            Err(NotSubscribable::TooMany(error)) => Err(error.into()),
        }
    }
}

impl Handler<ChangePublished> for SessionActor {
    type Result = ();

    fn handle(&mut self, ChangePublished(change): ChangePublished, _: &mut Context<Self>) {
        let Some(listener) = &self.listener else {
            return;
        };
        let granted = scopes_now(listener, &self.dispatcher);
        let catalogue = self.dispatcher.catalogue();
        let mut streams = self.wire.streams.borrow_mut();
        for told in self.watching.notifications(catalogue, granted, &change) {
            streams.say(GENERAL, &told.message(None));
        }
    }
}

fn whole(outcome: Result<Answer, Failure>) -> ResponseActFuture<SessionActor, Reply> {
    Box::pin(actix::fut::ready(Reply::Whole(outcome)))
}

impl Handler<Note> for SessionActor {
    type Result = ();

    fn handle(&mut self, note: Note, context: &mut Context<Self>) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Cancelled<'a> {
            #[serde(borrow)]
            request_id: &'a RawValue,
        }
        if note.method != "notifications/cancelled" {
            return;
        }
        // A cancellation that comes too late, or of nothing, is no error (L-24).
        let cancelled = note
            .params
            .as_deref()
            .and_then(|params| serde_json::from_str::<Cancelled<'_>>(params.get()).ok())
            .and_then(|cancelled| Id::parse(cancelled.request_id))
            .and_then(|id| self.under_way.remove(id.as_json()));
        if let Some(handle) = cancelled {
            context.cancel_future(handle);
        }
    }
}

impl Handler<Settle> for SessionActor {
    type Result = Result<(), ScopeSet>;

    fn handle(&mut self, settle: Settle, _: &mut Context<Self>) -> Self::Result {
        let questions = &self.wire.questions;
        questions.settle(&settle.id, settle.result, settle.granted)
    }
}

impl Handler<Listen> for SessionActor {
    type Result = Option<Frames>;

    fn handle(&mut self, listen: Listen, context: &mut Context<Self>) -> Self::Result {
        let scopes = listen.principal.scopes;
        let general = listen.after.is_none_or(|after| after.stream == GENERAL);
        let mut kept = self.wire.streams.borrow_mut();
        let frames = match listen.after {
            None => Some(kept.open_general(scopes)),
            Some(after) => kept.resume(after, scopes),
        };
        drop(kept);
        // Whoever is refused is not who listens.
        if general && frames.is_some() {
            if self.listener.is_none() {
                self.watch(listen.principal.user, context);
            }
            self.watching.add_list(self.dispatcher.catalogue(), scopes);
            self.listener = Some(listen.principal);
        }
        if frames.is_some() {
            self.note_scopes(scopes);
        }
        if self.wire.questions.are_retired() {
            self.wire.streams.borrow_mut().end(GENERAL);
        }
        frames
    }
}

impl Handler<Close> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: Close, context: &mut Context<Self>) {
        context.stop();
    }
}

impl Handler<Retire> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: Retire, _: &mut Context<Self>) {
        self.wire.questions.retire();
        self.wire.streams.borrow_mut().end(GENERAL);
    }
}
