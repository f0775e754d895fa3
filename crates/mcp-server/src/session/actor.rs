//! The actor of one session of a legacy revision: its messages and their handlers.

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
use serde_json::value::RawValue;

use super::{
    Registration, SessionRequest,
    calls::{CallPeer, Reply, SessionIo},
    follow_ups::{FollowUpContext, FollowUps},
    listen::scopes_now,
    server_requests::ServerRequests,
    streams::{EventReceiver, STANDALONE_STREAM, Streams},
};
use crate::{
    budgets::Account,
    dispatch::{self, Dispatched, Dispatcher, Failure},
    features::{
        changes::ChangePublished,
        conversation::{FollowUp, Peer},
        subscriptions::{NotSubscribable, Subscriptions},
    },
};
use mcp_protocol::{
    answer::Answer, envelope::Params, jsonrpc::Id, logging::Level, method::Method,
    outgoing::ClientCapabilities, rpc_error::RpcError, sse::EventId, version::ProtocolVersion,
    wire_format,
};
use resource_server::{
    clock::Clock,
    gate::Permit,
    principal::{Principal, UserId},
    revocation::ActiveUse,
    scope::ScopeSet,
};

/// The log level until the client sets one (MCP, Logging, leaves it to the server): ordinary calls are then
/// answered without a stream.
const LOG_LEVEL: Level = Level::Warning;

/// A request within the session.
#[derive(Message)]
#[rtype(result = "Reply")]
pub(crate) struct Call {
    /// The request.
    pub(crate) request: SessionRequest,
    /// Whether it has no stream because it is part of a batch.
    pub(crate) quiet: bool,
    /// A permit of the session's gate, held until the call has ended.
    pub(crate) permit: Permit,
}

/// Cancels a request (`notifications/cancelled`).
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Cancel {
    pub(crate) id: Id,
}

/// The client's response to a request of the session. The error contains the scopes that the token lacks for
/// it.
#[derive(Message)]
#[rtype(result = "Result<(), ScopeSet>")]
pub(crate) struct HandleResponse {
    pub(crate) id: Id,
    pub(crate) result: Option<Box<RawValue>>,
    pub(crate) granted: ScopeSet,
}

/// Opens the standalone stream, or resumes a stream after an event. `None` if it cannot be resumed.
#[derive(Message)]
#[rtype(result = "Option<EventReceiver>")]
pub(crate) struct Listen {
    pub(crate) principal: Arc<Principal>,
    pub(crate) after: Option<EventId>,
}

/// Ends the session and its calls.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Close;

/// The server shuts down: pending requests to the client are cancelled, so that calls can complete.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct BeginShutdown;

/// The result of `initialize`.
pub(crate) struct Negotiated {
    pub(crate) version: ProtocolVersion,
    pub(crate) capabilities: ClientCapabilities,
}

/// One session. It ends when the registry drops its address, or when its owner is revoked.
pub(crate) struct SessionActor {
    version: ProtocolVersion,
    capabilities: ClientCapabilities,
    active_use: ActiveUse,
    registration: Registration,
    // Of the token of the last request.
    scopes: ScopeSet,
    dispatcher: Arc<Dispatcher>,
    io: Rc<SessionIo>,
    subscriptions: Subscriptions,
    // The principal that opened the standalone stream; before that, nothing is sent on it.
    listener: Option<Arc<Principal>>,
    in_progress: HashMap<String, SpawnHandle>,
    follow_ups: FollowUps,
}

impl SessionActor {
    pub(crate) fn new(
        negotiated: Negotiated,
        scopes: ScopeSet,
        dispatcher: Arc<Dispatcher>,
        clock: Clock,
        active_use: ActiveUse,
        registration: Registration,
        account: Account,
    ) -> Self {
        let Negotiated {
            version,
            capabilities,
        } = negotiated;
        Self {
            version,
            capabilities,
            active_use,
            registration,
            scopes,
            dispatcher,
            io: Rc::new(SessionIo {
                streams: RefCell::new(Streams::new(version.has_priming_events(), account)),
                server_requests: ServerRequests::new(clock),
                log_level: Cell::new(LOG_LEVEL),
            }),
            subscriptions: Subscriptions::default(),
            listener: None,
            in_progress: HashMap::new(),
            follow_ups: FollowUps::default(),
        }
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let revocation = self.active_use.revoked().into_actor(self);
        context.spawn(revocation.map(|(), session, context| {
            session.registration.forget();
            context.stop();
        }));
    }
}

impl Handler<Call> for SessionActor {
    // Ends with the session: a read is of no use after that, and a write that was accepted completes.
    type Result = ResponseActFuture<Self, Reply>;

    fn handle(&mut self, call: Call, context: &mut Context<Self>) -> Self::Result {
        let Call {
            request,
            quiet,
            permit,
        } = call;
        let key = request.id.as_json().to_owned();
        if self.in_progress.contains_key(&key) {
            let error = RpcError::invalid_request(
                "Invalid request: a request with this id is under way in this session",
            );
            return reply_now(Err(error.into()));
        }
        let scopes = request.context.principal.scopes;
        self.note_scopes(scopes);
        if let Method::Subscribe | Method::Unsubscribe = request.method {
            return reply_now(self.subscribe(&request));
        }
        if request.method == Method::SetLogLevel {
            return reply_now(self.set_log_level(&request));
        }
        let (client, replied) = CallPeer::new(
            Rc::clone(&self.io),
            quiet,
            Arc::clone(&request.context.principal),
            request.active_use,
            request.held,
            Arc::clone(&self.dispatcher),
        );
        let params = request.params.borrow();
        let dispatched = self.dispatcher.dispatch(dispatch::Call {
            method: request.method,
            target: request.target,
            version: self.version,
            params: &params,
            progress_token: params.progress_token(),
            context: request.context,
            capabilities: self.capabilities,
            client: Rc::clone(&client) as Rc<dyn Peer>,
        });
        let pending = match dispatched {
            Ok(Dispatched::Pending(pending)) => pending,
            Ok(Dispatched::Ready(answer)) => return reply_now(Ok(answer)),
            Err(failure) => return reply_now(Err(failure)),
        };
        let (id, version) = (request.id, self.version);
        let run = async move {
            let _permit = permit;
            let revocation = client.revoked_while_streaming();
            match select(pending, pin!(revocation)).await {
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
                    session.in_progress.remove(&ended);
                    if let Some((follow_up, active_use)) = follow_up {
                        session.follow_up(follow_up, scopes, active_use, context);
                    }
                }),
        );
        self.in_progress.insert(key, handle);
        let replied = async { replied.await.unwrap_or(Reply::Cancelled) };
        Box::pin(replied.into_actor(self))
    }
}

impl SessionActor {
    /// Starts a follow-up of a call whose token has these scopes, if it can be done now.
    fn follow_up(
        &mut self,
        follow_up: FollowUp,
        call_scopes: ScopeSet,
        active_use: Rc<ActiveUse>,
        context: &mut Context<Self>,
    ) {
        let listener = self.listener.as_ref();
        let started = self.follow_ups.start(
            follow_up,
            FollowUpContext {
                io: &self.io,
                capabilities: self.capabilities,
                declared: self.dispatcher.scopes(),
                listener_scopes: listener.map_or(ScopeSet::EMPTY, |listener| {
                    scopes_now(listener, &self.dispatcher)
                }),
                call_scopes,
                active_use,
            },
        );
        if let Some(run) = started {
            context.spawn(run.into_actor(self).map(|(), session, _| {
                session.follow_ups.finished();
            }));
        }
    }

    /// Subscribes this session to changes, for as long as it lives.
    fn watch(&self, user: UserId, context: &mut Context<Self>) {
        let changes = self.dispatcher.changes().clone();
        let subscriber = context.address().recipient();
        let subscriptions = async move {
            if let Err(error) = changes.subscribe(user, subscriber).await {
                log::warn!("a session cannot subscribe to changes: {error}");
            }
        };
        context.spawn(subscriptions.into_actor(self));
    }

    /// Notifies the client of lists that differ between the token of this request and the previous one: after
    /// a step-up, or after a refresh with fewer scopes.
    fn note_scopes(&mut self, scopes: ScopeSet) {
        let before = std::mem::replace(&mut self.scopes, scopes);
        let catalogue = self.dispatcher.catalogue();
        let mut streams = self.io.streams.borrow_mut();
        for notification in catalogue.changed_lists(before, scopes, self.version) {
            streams.send(STANDALONE_STREAM, &notification);
        }
    }

    /// Sets the log level of the session (MCP 2025-11-25, Logging).
    fn set_log_level(&self, request: &SessionRequest) -> Result<Answer, Failure> {
        let params = request.params.borrow();
        self.io.log_level.set(Level::read(params.level, "level")?);
        Ok(Answer::Empty)
    }

    fn subscribe(&mut self, request: &SessionRequest) -> Result<Answer, Failure> {
        let params = request.params.borrow();
        let uri = Params::string(params.uri, "uri")?;
        if request.method == Method::Unsubscribe {
            self.subscriptions.remove(&uri);
            return Ok(Answer::Empty);
        }
        let catalogue = self.dispatcher.catalogue();
        match self
            .subscriptions
            .add(catalogue, request.context.principal.scopes, &uri)
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

    fn handle(&mut self, ChangePublished(published): ChangePublished, _: &mut Context<Self>) {
        let Some(listener) = &self.listener else {
            return;
        };
        let granted = scopes_now(listener, &self.dispatcher);
        let catalogue = self.dispatcher.catalogue();
        let mut streams = self.io.streams.borrow_mut();
        for notification in self
            .subscriptions
            .notifications(catalogue, granted, &published)
        {
            streams.send(STANDALONE_STREAM, &notification.message(None));
        }
    }
}

fn reply_now(outcome: Result<Answer, Failure>) -> ResponseActFuture<SessionActor, Reply> {
    Box::pin(actix::fut::ready(Reply::Complete(outcome)))
}

impl Handler<Cancel> for SessionActor {
    type Result = ();

    fn handle(&mut self, cancel: Cancel, context: &mut Context<Self>) {
        // A cancellation of an unknown or completed request is ignored (MCP 2025-11-25, Cancellation).
        if let Some(handle) = self.in_progress.remove(cancel.id.as_json()) {
            context.cancel_future(handle);
        }
    }
}

impl Handler<HandleResponse> for SessionActor {
    type Result = Result<(), ScopeSet>;

    fn handle(&mut self, message: HandleResponse, _: &mut Context<Self>) -> Self::Result {
        let server_requests = &self.io.server_requests;
        server_requests.handle_response(&message.id, message.result, message.granted)
    }
}

impl Handler<Listen> for SessionActor {
    type Result = Option<EventReceiver>;

    fn handle(&mut self, listen: Listen, context: &mut Context<Self>) -> Self::Result {
        let scopes = listen.principal.scopes;
        let is_standalone = listen
            .after
            .is_none_or(|after| after.stream == STANDALONE_STREAM);
        let mut kept = self.io.streams.borrow_mut();
        let events = match listen.after {
            None => Some(kept.open_standalone(scopes)),
            Some(after) => kept.resume(after, scopes),
        };
        drop(kept);
        if is_standalone && events.is_some() {
            if self.listener.is_none() {
                self.watch(listen.principal.user, context);
            }
            self.subscriptions
                .add_list(self.dispatcher.catalogue(), scopes);
            self.listener = Some(listen.principal);
        }
        if events.is_some() {
            self.note_scopes(scopes);
        }
        if self.io.server_requests.is_shutting_down() {
            self.io.streams.borrow_mut().end(STANDALONE_STREAM);
        }
        events
    }
}

impl Handler<Close> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: Close, context: &mut Context<Self>) {
        context.stop();
    }
}

impl Handler<BeginShutdown> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: BeginShutdown, _: &mut Context<Self>) {
        self.io.server_requests.begin_shutdown();
        self.io.streams.borrow_mut().end(STANDALONE_STREAM);
    }
}
