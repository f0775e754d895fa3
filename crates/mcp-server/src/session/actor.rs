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
    gathering::{Gathering, Kept, LOG_LEVEL},
    listen::scopes_now,
    news::News,
    server_requests::{Elsewhere, ServerRequests},
    streams::{EventReceiver, STANDALONE_STREAM, Streams},
};
use crate::{
    budgets::Account,
    dispatch::{self, Dispatched, Dispatcher, Failure},
    features::{
        changes::{ChangePublished, Published},
        conversation::{FollowUp, Peer},
        session_store::Gathered,
    },
};
use mcp_protocol::{
    answer::Answer, jsonrpc::Id, method::Method, outgoing::ClientCapabilities, rpc_error::RpcError,
    session_id::SessionStart, sse::EventId, version::ProtocolVersion,
};
use resource_server::{
    clock::Clock,
    gate::Permit,
    principal::{Principal, UserId},
    revocation::ActiveUse,
    scope::ScopeSet,
};

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

/// The client's response to a request of the session; returned if another process may have sent the request. The
/// error contains the scopes that the token lacks for it.
#[derive(Message)]
#[rtype(result = "Result<Option<Elsewhere>, ScopeSet>")]
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

/// What a session begins with, in this process.
pub(crate) struct Beginning {
    pub(crate) start: SessionStart,
    /// What it has gathered in other processes.
    pub(crate) gathered: Gathered,
    /// Of the token of the request that opens or continues it.
    pub(crate) scopes: ScopeSet,
    /// Ends it when its owner is revoked.
    pub(crate) active_use: ActiveUse,
    pub(crate) registration: Registration,
    pub(crate) account: Account,
    /// Where what it gathers is kept, if other processes may continue it.
    pub(crate) kept: Option<Kept>,
}

/// One session. It ends when the registry drops its address, or when its owner is revoked.
pub(crate) struct SessionActor {
    pub(super) version: ProtocolVersion,
    capabilities: ClientCapabilities,
    active_use: ActiveUse,
    registration: Registration,
    // Of the token of the last request.
    scopes: ScopeSet,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) io: Rc<SessionIo>,
    pub(super) gathering: Gathering,
    // The principal that opened the standalone stream; before that, nothing is sent on it.
    pub(super) listener: Option<Arc<Principal>>,
    in_progress: HashMap<String, SpawnHandle>,
    follow_ups: FollowUps,
}

impl SessionActor {
    pub(crate) fn new(beginning: Beginning, dispatcher: Arc<Dispatcher>, clock: Clock) -> Self {
        let Beginning {
            start,
            gathered,
            scopes,
            active_use,
            registration,
            account,
            kept,
        } = beginning;
        let instance = kept.as_ref().map_or(0, |kept| kept.instance);
        let has_priming_events = start.version.has_priming_events();
        let mut session = Self {
            version: start.version,
            capabilities: start.capabilities,
            active_use,
            registration,
            scopes,
            dispatcher,
            io: Rc::new(SessionIo {
                streams: RefCell::new(Streams::new(has_priming_events, account, instance)),
                server_requests: ServerRequests::new(clock, instance),
                log_level: Cell::new(LOG_LEVEL),
            }),
            gathering: Gathering::new(kept),
            listener: None,
            in_progress: HashMap::new(),
            follow_ups: FollowUps::default(),
        };
        session.take_gathered(&gathered);
        session
    }

    /// Ends the session in this process.
    pub(super) fn end(&self, context: &mut Context<Self>) {
        self.registration.forget();
        context.stop();
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let revocation = self.active_use.revoked().into_actor(self);
        context.spawn(revocation.map(|(), session, context| {
            session.end(context);
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
        if self.note_scopes(scopes) {
            let scopes = self.dispatcher.scopes().list(scopes);
            self.tell(&News::Scopes(scopes));
        }
        if let Method::Subscribe | Method::Unsubscribe | Method::SetLogLevel = request.method {
            return self.gather(request, permit);
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
    /// a step-up, or after a refresh with fewer scopes. Whether the scopes differ.
    pub(super) fn note_scopes(&mut self, scopes: ScopeSet) -> bool {
        let before = std::mem::replace(&mut self.scopes, scopes);
        let catalogue = self.dispatcher.catalogue();
        let mut streams = self.io.streams.borrow_mut();
        for notification in catalogue.changed_lists(before, scopes, self.version) {
            streams.send(STANDALONE_STREAM, &notification);
        }
        before != scopes
    }
}

impl Handler<ChangePublished> for SessionActor {
    type Result = ();

    fn handle(
        &mut self,
        ChangePublished(published, _): ChangePublished,
        context: &mut Context<Self>,
    ) {
        let Some(listener) = &self.listener else {
            return;
        };
        let granted = scopes_now(listener, &self.dispatcher);
        match &published {
            Published::Changes(changes) => self.gathering.note(changes, self.dispatcher.now()),
            // What others stored of the session may have been missed as well.
            Published::Anything => Self::reload(context),
        }
        self.notify_of(granted, &published);
    }
}

impl SessionActor {
    /// Notifies the client of changes, if it is subscribed to them and a token with these scopes may know of
    /// them.
    pub(super) fn notify_of(&self, granted: ScopeSet, published: &Published) {
        let catalogue = self.dispatcher.catalogue();
        let subscriptions = &self.gathering.subscriptions;
        let mut streams = self.io.streams.borrow_mut();
        for notification in subscriptions.notifications(catalogue, granted, published) {
            streams.send(STANDALONE_STREAM, &notification.message(None));
        }
    }
}

pub(super) fn reply_now(
    outcome: Result<Answer, Failure>,
) -> ResponseActFuture<SessionActor, Reply> {
    Box::pin(actix::fut::ready(Reply::Complete(outcome)))
}

impl Handler<Cancel> for SessionActor {
    type Result = ();

    fn handle(&mut self, cancel: Cancel, context: &mut Context<Self>) {
        // Another process may run it.
        if !self.cancel(&cancel.id, context)
            && let Ok(id) = RawValue::from_string(cancel.id.as_json().to_owned())
        {
            self.tell(&News::Cancelled(id));
        }
    }
}

impl SessionActor {
    /// Cancels a request that is in progress here. That of an unknown or completed one is ignored (MCP 2025-11-25,
    /// Cancellation).
    pub(super) fn cancel(&mut self, id: &Id, context: &mut Context<Self>) -> bool {
        let handle = self.in_progress.remove(id.as_json());
        handle.is_some_and(|handle| context.cancel_future(handle))
    }

    /// Tells the other processes that have the session.
    fn tell(&self, news: &News) {
        if let Some(kept) = self.gathering.kept() {
            // What does not reach them is as if the client had not sent it, or had sent it later.
            let _ = kept.shared.tell(kept.session.name, news);
        }
    }
}

impl Handler<HandleResponse> for SessionActor {
    type Result = Result<Option<Elsewhere>, ScopeSet>;

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
        let mut streams = self.io.streams.borrow_mut();
        let has_gap = is_standalone && listen.after.is_some_and(|after| !streams.has_sent(after));
        let events = match listen.after {
            None => Some(streams.open_standalone(scopes)),
            Some(_) if has_gap => Some(streams.open_standalone_after_gap(scopes)),
            Some(after) => streams.resume(after, scopes),
        };
        drop(streams);
        if is_standalone && events.is_some() {
            if self.listener.is_none() {
                self.watch(listen.principal.user, context);
            }
            let catalogue = self.dispatcher.catalogue();
            self.gathering.subscriptions.add_list(catalogue, scopes);
            self.listener = Some(listen.principal);
        }
        if has_gap {
            self.look_again();
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
