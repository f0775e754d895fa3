//! *Purpose:* sessions of the legacy revisions, one actor for each, and the `subscriptions/listen` streams of
//! MCP 2026-07-28.
//!
//! *Used by:* `http`, `server`.
//!
//! *Invariants:* a session id is a name, not a credential: every call brings the principal of its own token.
//! Sessions, streams, calls, pending requests and stored events are limited.
//!
//! *Start reading at* [`Sessions`] and [`SessionHandle`], then `actor.rs` (one handler for each message),
//! `calls.rs`, `server_requests.rs` and `follow_ups.rs`. `registry.rs` and `streams.rs` do no I/O.

mod actor;
mod calls;
mod follow_ups;
mod listen;
mod registry;
mod server_requests;
pub(crate) mod streams;

use std::{fmt, sync::Arc, time::Duration};

use actix::{Actor, Addr};
use chrono::TimeDelta;
use derive_more::{Display, Error};
use futures_util::future::join_all;
use parking_lot::{Mutex, MutexGuard};
use serde_json::value::RawValue;

use self::{
    actor::{BeginShutdown, Call, Cancel, Close, HandleResponse, Listen, Negotiated, SessionActor},
    registry::{Limits, Registry},
};
use crate::{
    budgets::{Account, Held},
    dispatch::{Dispatcher, Failure},
    features::target::Target,
    request_context::RequestContext,
};
use mcp_protocol::{
    envelope::OwnedParams, jsonrpc::Id, method::Method, outgoing::ClientCapabilities,
    rpc_error::RpcError, sse::EventId, version::ProtocolVersion,
};
use resource_server::{
    clock::{Clock, ClockWatch},
    gate::{Gate, Permit},
    principal::Principal,
    revocation::ActiveUse,
    scope::ScopeSet,
};

#[cfg(test)]
pub(crate) use self::streams::Frame;
pub(crate) use self::{
    calls::{Reply, response_message},
    listen::{Listeners, Listening},
    registry::SessionId,
    streams::EventReceiver,
};

/// Calls of one session that may run at once.
const CALLS_IN_FLIGHT: usize = 32;

/// Batches of one session that may run at once. They outlive their connections, so nothing else limits them.
const BATCHES_IN_FLIGHT: usize = 8;

/// Clients of a user that may have as many sessions as a client may.
const CLIENTS_PER_USER: usize = 5;

/// How long a call or a batch waits for one of them to end.
const FAILFAST: Duration = Duration::from_millis(250);

/// How often expired sessions are removed. An expired session is never found; this only frees its memory.
const SWEEP: TimeDelta = TimeDelta::seconds(15);

/// Why a session cannot be used.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub(crate) enum SessionError {
    /// There is no such session, it belongs to somebody else, or it has ended. The client must not learn
    /// which.
    #[display("unknown session")]
    Unknown,
    /// There are too many sessions, streams, or batches of one session.
    #[display("too many sessions, streams or batches")]
    Full,
}

/// Limits of sessions of the legacy revisions.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// Open sessions of all users.
    pub in_all: usize,
    /// Open sessions of one user with one client. One more closes the one of them that has been idle for longest,
    /// because some hosts open a session for each call and never close one. With all its clients a user may have
    /// five times as many; then clients that have none are refused one, so that none takes another's.
    pub per_user: usize,
    /// How long a session lives without being used.
    pub idle: Duration,
    /// The maximum age of a session.
    pub lifetime: Duration,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            in_all: 20_000,
            per_user: 200,
            idle: Duration::from_secs(30 * 60),
            lifetime: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// Opens, finds and closes sessions.
#[derive(Clone)]
pub(crate) struct Sessions(Arc<Inner>);

struct Inner {
    registry: Arc<Mutex<Registry<SessionRef>>>,
    dispatcher: Arc<Dispatcher>,
    clock: Clock,
}

/// The registry's entry of a session. The actor lives as long as this address.
#[derive(Clone)]
struct SessionRef {
    address: Addr<SessionActor>,
    gate: Gate,
    batches: Gate,
    version: ProtocolVersion,
}

/// A request within a session.
pub(crate) struct SessionRequest {
    /// The caller, by the token of this request, and the HTTP request.
    pub context: RequestContext,
    /// Resolves when the token is revoked.
    pub active_use: ActiveUse,
    /// What it holds of its user's budgets until the call has ended.
    pub held: Held,
    /// The id, for the response and for a cancellation.
    pub id: Id,
    /// The method.
    pub method: Method,
    /// The feature that it names.
    pub target: Result<Target, RpcError>,
    /// Its parameters.
    pub params: OwnedParams,
}

/// A session of the caller.
#[derive(Clone)]
pub(crate) struct SessionHandle(SessionRef);

impl Sessions {
    /// Creates the registry and starts the removal of expired sessions.
    ///
    /// # Panics
    /// Outside an actix arbiter.
    #[must_use]
    pub(crate) fn start(
        settings: SessionSettings,
        dispatcher: Arc<Dispatcher>,
        clock: Clock,
    ) -> Self {
        let limits = Limits {
            in_all: settings.in_all,
            per_client: settings.per_user,
            per_user: settings.per_user.saturating_mul(CLIENTS_PER_USER),
            idle: TimeDelta::from_std(settings.idle).unwrap_or(TimeDelta::MAX),
            lifetime: TimeDelta::from_std(settings.lifetime).unwrap_or(TimeDelta::MAX),
        };
        let registry = Arc::new(Mutex::new(Registry::new(limits)));
        actix_rt::spawn(sweep(Arc::downgrade(&registry), clock.clone()));
        Self(Arc::new(Inner {
            registry,
            dispatcher,
            clock,
        }))
    }

    /// Opens a session for a principal. It ends when its user or client is revoked. Its actor runs on the
    /// calling thread, where the connection of the client is.
    ///
    /// # Errors
    /// [`SessionError::Full`].
    pub(crate) fn open(
        &self,
        principal: &Principal,
        version: ProtocolVersion,
        capabilities: ClientCapabilities,
        active_use: ActiveUse,
        account: Account,
    ) -> Result<SessionId, SessionError> {
        let id = SessionId::random();
        let (dispatcher, clock) = (Arc::clone(&self.0.dispatcher), self.0.clock.clone());
        let mut registry = self.lock();
        // Checked first, so that no actor is started in vain.
        let owner = principal.owner();
        if !registry.has_room(&owner, self.0.clock.now()) {
            return Err(SessionError::Full);
        }
        let scopes = principal.scopes;
        let registration = Registration {
            registry: Arc::downgrade(&self.0.registry),
            id,
        };
        let negotiated = Negotiated {
            version,
            capabilities,
        };
        let address = SessionActor::new(
            negotiated,
            scopes,
            dispatcher,
            clock,
            active_use,
            registration,
            account,
        )
        .start();
        let session = SessionRef {
            address,
            gate: Gate::new(CALLS_IN_FLIGHT, FAILFAST),
            batches: Gate::new(BATCHES_IN_FLIGHT, FAILFAST),
            version,
        };
        let evicted = registry.open(id, owner, session, self.0.clock.now());
        drop(registry);
        for session in evicted {
            session.close();
        }
        Ok(id)
    }

    /// Finds a session of the principal and marks it as used.
    ///
    /// # Errors
    /// [`SessionError::Unknown`].
    pub(crate) fn find(
        &self,
        id: &str,
        principal: &Principal,
    ) -> Result<SessionHandle, SessionError> {
        let id = SessionId::parse(id).ok_or(SessionError::Unknown)?;
        self.lock()
            .find(&id, &principal.owner(), self.0.clock.now())
            .map(SessionHandle)
            .ok_or(SessionError::Unknown)
    }

    /// Whether a session belongs to somebody else. For the audit log only: the client must not learn it.
    #[must_use]
    pub(crate) fn is_anothers(&self, id: &str, principal: &Principal) -> bool {
        SessionId::parse(id).is_some_and(|id| self.lock().is_anothers(&id, &principal.owner()))
    }

    /// Closes a session of the principal.
    ///
    /// # Errors
    /// [`SessionError::Unknown`].
    pub(crate) fn close(&self, id: &str, principal: &Principal) -> Result<(), SessionError> {
        let id = SessionId::parse(id).ok_or(SessionError::Unknown)?;
        let session = self
            .lock()
            .close(&id, &principal.owner(), self.0.clock.now())
            .ok_or(SessionError::Unknown)?;
        session.close();
        Ok(())
    }

    /// Closes standalone streams and cancels requests to clients, so that calls in progress can complete.
    pub(crate) async fn begin_shutdown(&self) {
        let sessions: Vec<_> = self.lock().sessions().cloned().collect();
        let retired = sessions
            .iter()
            .map(|session| session.address.send(BeginShutdown));
        // A session that has ended meanwhile needs no shutdown.
        drop(join_all(retired).await);
    }

    /// The number of open sessions.
    #[must_use]
    pub(crate) fn open_sessions(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Registry<SessionRef>> {
        self.0.registry.lock()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sessions({} open)", self.open_sessions())
    }
}

impl SessionHandle {
    /// The negotiated revision.
    #[must_use]
    pub(crate) fn version(&self) -> ProtocolVersion {
        self.0.version
    }

    /// Reserves a slot for a batch, until the permit is dropped.
    ///
    /// # Errors
    /// [`SessionError::Full`] if no slot became free in time.
    pub(crate) async fn admit_batch(&self) -> Result<Permit, SessionError> {
        self.0.batches.admit().await.map_err(|_| SessionError::Full)
    }

    /// Calls a method.
    ///
    /// # Errors
    /// [`SessionError::Unknown`] if the session ends before it responds.
    pub(crate) async fn call(&self, request: SessionRequest) -> Result<Reply, SessionError> {
        self.ask(request, false).await
    }

    /// Calls a method whose reply must not be a stream: notifications and requests to the client are dropped.
    ///
    /// # Errors
    /// [`SessionError::Unknown`] if the session ends before it responds.
    pub(crate) async fn call_without_stream(
        &self,
        request: SessionRequest,
    ) -> Result<Reply, SessionError> {
        self.ask(request, true).await
    }

    async fn ask(&self, request: SessionRequest, quiet: bool) -> Result<Reply, SessionError> {
        let Ok(permit) = self.0.gate.admit().await else {
            return Ok(Reply::Complete(Err(Failure::Busy)));
        };
        self.0
            .address
            .send(Call {
                request,
                quiet,
                permit,
            })
            .await
            .map_err(|_| SessionError::Unknown)
    }

    /// Cancels a request of the client.
    ///
    /// # Errors
    /// [`SessionError::Unknown`] if the session has ended.
    pub(crate) async fn cancel(&self, id: Id) -> Result<(), SessionError> {
        self.0
            .address
            .send(Cancel { id })
            .await
            .map_err(|_| SessionError::Unknown)
    }

    /// Passes on the client's response to a request of the session. It is accepted if its token has the
    /// scopes of the token for which the request was sent; otherwise these scopes are returned.
    ///
    /// # Errors
    /// [`SessionError::Unknown`] if the session has ended.
    pub(crate) async fn handle_response(
        &self,
        id: Id,
        result: Option<Box<RawValue>>,
        granted: ScopeSet,
    ) -> Result<Result<(), ScopeSet>, SessionError> {
        self.0
            .address
            .send(HandleResponse {
                id,
                result,
                granted,
            })
            .await
            .map_err(|_| SessionError::Unknown)
    }

    /// Opens the standalone stream, or resumes a stream after an event; `None` if it cannot be resumed.
    ///
    /// # Errors
    /// [`SessionError::Unknown`] if the session has ended.
    pub(crate) async fn listen(
        &self,
        principal: Arc<Principal>,
        after: Option<EventId>,
    ) -> Result<Option<EventReceiver>, SessionError> {
        self.0
            .address
            .send(Listen { principal, after })
            .await
            .map_err(|_| SessionError::Unknown)
    }
}

impl SessionRef {
    /// Does not wait: the registry has removed the session already.
    fn close(self) {
        drop(self.address.try_send(Close));
    }
}

/// The registry entry of a session, so that the session can remove it when it is revoked.
struct Registration {
    registry: std::sync::Weak<Mutex<Registry<SessionRef>>>,
    id: SessionId,
}

impl Registration {
    /// Removes the entry.
    fn forget(&self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.lock().remove(&self.id);
        }
    }
}

/// Removes expired sessions until the last handle is dropped. One timer for all sessions costs less than one
/// for each.
async fn sweep(registry: std::sync::Weak<Mutex<Registry<SessionRef>>>, clock: Clock) {
    let clock_watch = ClockWatch::new(clock.clone());
    loop {
        clock.reaches(clock.now() + SWEEP).await;
        let Some(registry) = registry.upgrade() else {
            return;
        };
        if let Some(by) = clock_watch.jumped()
            && by < TimeDelta::zero()
        {
            registry.lock().clock_set_back(-by);
        }
        let expired = registry.lock().expire(clock.now());
        for session in expired {
            session.close();
        }
    }
}
