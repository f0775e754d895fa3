//! How a session gathers: the requests that change its subscriptions and its log level. Where other processes may
//! continue the session, what they change is stored before they are answered, and read again when another process has
//! changed it.

use std::sync::Arc;

use actix::{
    ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture, WrapFuture,
};

use super::{
    SessionRequest,
    actor::{SessionActor, reply_now},
    calls::Reply,
    gathering::LOG_LEVEL,
    listen::scopes_now,
};
use crate::{
    dispatch::{Failure, failure},
    features::{
        changes::{Change, Published},
        session_store::{Gathered, SessionChange, StoredSession},
        subscriptions::{NotSubscribable, too_many},
    },
};
use mcp_protocol::{answer::Answer, envelope::Params, logging::Level, method::Method, wire_format};
use resource_server::gate::Permit;

/// Another process may have changed what the session gathered, or ended it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Reload;

impl SessionActor {
    /// Answers `resources/subscribe`, `resources/unsubscribe` and `logging/setLevel`, when what they change is
    /// stored.
    pub(super) fn gather(
        &mut self,
        request: SessionRequest,
        permit: Permit,
    ) -> ResponseActFuture<Self, Reply> {
        let change = match self.change(&request) {
            Ok(change) => change,
            Err(failure) => return reply_now(Err(failure)),
        };
        self.gathering.changes += 1;
        let Some(kept) = self.gathering.kept().cloned() else {
            return reply_now(Ok(Answer::Empty));
        };
        let told = change.clone();
        let stored = async move {
            let _until_stored = (request, permit);
            kept.shared.change(kept.session, told).await
        };
        Box::pin(
            stored
                .into_actor(self)
                .map(|stored, session, context: &mut Context<Self>| {
                    session.gathering.changes += 1;
                    if !matches!(stored, Ok(true)) {
                        // Whatever the reason, the store knows what there is.
                        context.notify(Reload);
                    }
                    Reply::Complete(match (stored, change) {
                        (Ok(false), SessionChange::Subscribed(_)) => Err(too_many().into()),
                        (Ok(_), _) => Ok(Answer::Empty),
                        (Err(error), _) => Err(failure(error)),
                    })
                }),
        )
    }

    /// Changes what is gathered in this process.
    fn change(&mut self, request: &SessionRequest) -> Result<SessionChange, Failure> {
        let params = request.params.borrow();
        if request.method == Method::SetLogLevel {
            // MCP 2025-11-25, Logging.
            let level = Level::read(params.level, "level")?;
            self.io.log_level.set(level);
            return Ok(SessionChange::LogLevel(level));
        }
        let uri = Params::string(params.uri, "uri")?.into_owned();
        let subscriptions = &mut self.gathering.subscriptions;
        if request.method == Method::Unsubscribe {
            subscriptions.remove(&uri);
            return Ok(SessionChange::Unsubscribed(uri));
        }
        let catalogue = self.dispatcher.catalogue();
        match subscriptions.add(catalogue, request.context.principal.scopes, &uri) {
            Ok(()) => Ok(SessionChange::Subscribed(uri)),
            Err(NotSubscribable::NotFound) => {
                Err(wire_format::resource_not_found(&uri, self.version).into())
            }
            Err(NotSubscribable::Forbidden { needed }) => Err(Failure::Forbidden { needed }),
            Err(NotSubscribable::TooMany(error)) => Err(error.into()),
        }
    }

    /// Takes what the store has of the session.
    pub(super) fn take_gathered(&mut self, gathered: &Gathered) {
        self.io
            .log_level
            .set(gathered.log_level.unwrap_or(LOG_LEVEL));
        let catalogue = self.dispatcher.catalogue();
        let subscriptions = &mut self.gathering.subscriptions;
        let new = subscriptions.replace(catalogue, &gathered.subscriptions);
        if let Some(listener) = &self.listener {
            let granted = scopes_now(listener, &self.dispatcher);
            for canonical in new {
                if self.gathering.may_have_missed(&canonical) {
                    let change = Change::updated(canonical);
                    self.notify_of(granted, &Published::Changes(Arc::new([change])));
                }
            }
        }
    }

    /// Tells the client that everything it is subscribed to may have changed: some of it went unnoticed.
    pub(super) fn look_again(&self) {
        let Some(listener) = &self.listener else {
            return;
        };
        let granted = scopes_now(listener, &self.dispatcher);
        self.notify_of(granted, &Published::Anything);
    }

    /// Reads what the store has of the session.
    pub(super) fn reload(context: &mut Context<Self>) {
        context.notify(Reload);
    }
}

impl Handler<Reload> for SessionActor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Reload, _: &mut Context<Self>) -> Self::Result {
        let Some(kept) = self.gathering.kept().cloned() else {
            return Box::pin(actix::fut::ready(()));
        };
        self.gathering.changes += 1;
        let changes = self.gathering.changes;
        let loaded = async move {
            let StoredSession { user, name, .. } = kept.session;
            kept.shared.load(user, name).await
        };
        Box::pin(
            loaded
                .into_actor(self)
                .map(move |loaded, session, context| match loaded {
                    Ok(gathered) if gathered.ended => session.end(context),
                    // What was read may be older than what was changed meanwhile.
                    Ok(_) if session.gathering.changes != changes => context.notify(Reload),
                    Ok(gathered) => session.take_gathered(&gathered),
                    Err(error) => {
                        log::warn!("what a session gathered elsewhere cannot be read: {error}");
                    }
                }),
        )
    }
}
