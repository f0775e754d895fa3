//! **Lives here:** the `SessionActor`, one per legacy MCP session, and the registry that finds it.
//!
//! **May enter:** `http`, `app`.
//!
//! **Never here:** a credential: a session id is a name, and every call brings the principal of its
//! own token; a modern request, which has no session.
//!
//! **Begin with** this file: messages, handles, actor; then `actor.rs` (what each message does),
//! `calls.rs`, `questions.rs` and `follow_ups.rs` (what it does it with), and `registry.rs`, which is
//! pure.

mod actor;
mod calls;
mod follow_ups;
mod listen;
mod questions;
mod registry;
mod streams;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix::{Actor, Addr};
use chrono::TimeDelta;
use derive_more::{Display, Error};
use futures_util::future::join_all;
use serde_json::value::RawValue;

use self::{
    actor::{Call, Close, Listen, Note, Retire, SessionActor, Settle, Terms},
    registry::{Limits, Registry},
};
use crate::{
    dispatch::{Dispatcher, Failure},
    features::target::Target,
};
use mcp_protocol::{
    envelope::OwnedParams,
    jsonrpc::{Id, RpcError},
    method::Method,
    outgoing::ClientCapabilities,
    sse::EventId,
    version::ProtocolVersion,
};
use resource_server::{clock::Clock, principal::Principal, scope::ScopeSet, trace_context::Trace};
use resource_server::{
    gate::{Gate, Permit},
    revocation::ActiveUse,
};

pub use self::{
    calls::{Reply, last_message},
    listen::{Listeners, Listening},
    registry::SessionId,
    streams::Frames,
};

/// How many calls of one session may be under way at once.
const CALLS_IN_FLIGHT: usize = 32;

/// How many batches of one session may be under way at once. They go on without their connections,
/// so that nothing else counts them.
const BATCHES_IN_FLIGHT: usize = 8;

/// How long a call or a batch waits for one of them to end.
const FAILFAST: Duration = Duration::from_millis(250);

/// How often sessions that have expired are looked for. A session that has expired is not found
/// meanwhile either; this only frees its memory.
const SWEEP: TimeDelta = TimeDelta::seconds(15);

/// Why there is no session to speak to.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum SessionError {
    /// There is no such session, or it is somebody else's, or it has ended: nobody can tell which.
    #[display("unknown session")]
    Unknown,
    /// There are as many sessions, or streams, or batches of one session, as there may be.
    #[display("too many sessions, streams or batches")]
    Full,
}

/// How many sessions there may be, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// Sessions in all.
    pub in_all: usize,
    /// Sessions per user. At one more, the user's longest idle one gives way: some hosts open a
    /// session for each call and never close one.
    pub per_user: usize,
    /// How long a session lives without being used.
    pub idle: Duration,
    /// How long a session lives at most.
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
pub struct Sessions(Arc<Inner>);

struct Inner {
    registry: Arc<Mutex<Registry<Link>>>,
    dispatcher: Arc<Dispatcher>,
    clock: Clock,
}

/// What the registry keeps of a session. Its address is the only lasting one.
#[derive(Clone)]
struct Link {
    address: Addr<SessionActor>,
    gate: Gate,
    batches: Gate,
    version: ProtocolVersion,
}

/// Who something is done for, by the token of the very request, and what says that the token was cut
/// off.
pub struct Authorized {
    /// Who.
    pub principal: Arc<Principal>,
    /// For as long as it lasts.
    pub active_use: ActiveUse,
    /// In which HTTP request, for the log.
    pub trace: Trace,
}

/// A request within a session, read.
pub struct SessionRequest {
    /// Its id.
    pub id: Id,
    /// What is asked for.
    pub method: Method,
    /// What it is about.
    pub target: Result<Target, RpcError>,
    /// With which parameters.
    pub params: OwnedParams,
}

/// A session that was found to be the caller's.
#[derive(Clone)]
pub struct SessionHandle(Link);

impl Sessions {
    /// Starts the sweep of sessions that have expired.
    ///
    /// # Panics
    /// Outside an actix arbiter.
    #[must_use]
    pub fn start(settings: SessionSettings, dispatcher: Arc<Dispatcher>, clock: Clock) -> Self {
        let limits = Limits {
            in_all: settings.in_all,
            per_user: settings.per_user,
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

    /// Opens a session for a principal. It ends when its user or client is cut off. Its actor runs on the
    /// calling thread: hosts keep their connection, and what comes on it needs no other thread then.
    ///
    /// # Errors
    /// [`SessionError::Full`].
    pub fn open(
        &self,
        principal: &Principal,
        version: ProtocolVersion,
        capabilities: ClientCapabilities,
        active_use: ActiveUse,
    ) -> Result<SessionId, SessionError> {
        let id = SessionId::random();
        let (dispatcher, clock) = (Arc::clone(&self.0.dispatcher), self.0.clock.clone());
        let mut registry = self.lock();
        // Asked first, so that no actor is started for nothing.
        if !registry.has_room(principal.user, self.0.clock.now()) {
            return Err(SessionError::Full);
        }
        let scopes = principal.scopes;
        let known_as = KnownAs {
            registry: Arc::downgrade(&self.0.registry),
            id,
        };
        let terms = Terms {
            version,
            capabilities,
        };
        let address =
            SessionActor::new(terms, scopes, dispatcher, clock, active_use, known_as).start();
        let link = Link {
            address,
            gate: Gate::new(CALLS_IN_FLIGHT, FAILFAST),
            batches: Gate::new(BATCHES_IN_FLIGHT, FAILFAST),
            version,
        };
        let gave_way = registry.open(id, principal.owner(), link, self.0.clock.now());
        drop(registry);
        for link in gave_way {
            link.close();
        }
        Ok(id)
    }

    /// Finds the principal's own session, and notes that it is in use.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], whatever the reason.
    pub fn find(&self, id: &str, principal: &Principal) -> Result<SessionHandle, SessionError> {
        let id = SessionId::parse(id).ok_or(SessionError::Unknown)?;
        self.lock()
            .find(&id, &principal.owner(), self.0.clock.now())
            .map(SessionHandle)
            .ok_or(SessionError::Unknown)
    }

    /// Whether a session is somebody else's, for the audit log alone: the one who asks must not learn.
    #[must_use]
    pub fn is_anothers(&self, id: &str, principal: &Principal) -> bool {
        SessionId::parse(id).is_some_and(|id| self.lock().is_anothers(&id, &principal.owner()))
    }

    /// Ends the principal's own session.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], whatever the reason.
    pub fn close(&self, id: &str, principal: &Principal) -> Result<(), SessionError> {
        let id = SessionId::parse(id).ok_or(SessionError::Unknown)?;
        let link = self
            .lock()
            .close(&id, &principal.owner(), self.0.clock.now())
            .ok_or(SessionError::Unknown)?;
        link.close();
        Ok(())
    }

    /// Lets go of everything that waits for a client: general streams end, and questions go without
    /// an answer, so that calls under way can be waited for. The server is about to stop.
    pub async fn retire(&self) {
        let links: Vec<_> = self.lock().links().cloned().collect();
        let retired = links.iter().map(|link| link.address.send(Retire));
        // A session that ends before it hears of it needs not hear of it.
        drop(join_all(retired).await);
    }

    /// How many sessions are open.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Registry<Link>> {
        lock(&self.0.registry)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sessions({} open)", self.open_sessions())
    }
}

impl SessionHandle {
    /// The revision that the session negotiated.
    #[must_use]
    pub fn version(&self) -> ProtocolVersion {
        self.0.version
    }

    /// Takes a place for a batch, which keeps it until the batch has ended.
    ///
    /// # Errors
    /// [`SessionError::Full`] if no place came free in time.
    pub async fn admit_batch(&self) -> Result<Permit, SessionError> {
        self.0.batches.admit().await.map_err(|_| SessionError::Full)
    }

    /// Asks the session.
    ///
    /// # Errors
    /// If the session ends before it answers.
    pub async fn call(
        &self,
        authorized: Authorized,
        request: SessionRequest,
    ) -> Result<Reply, SessionError> {
        self.ask(authorized, request, false).await
    }

    /// Asks the session for an answer and nothing but: nothing is said on the way, and the reply is
    /// never a stream.
    ///
    /// # Errors
    /// If the session ends before it answers.
    pub async fn call_quietly(
        &self,
        authorized: Authorized,
        request: SessionRequest,
    ) -> Result<Reply, SessionError> {
        self.ask(authorized, request, true).await
    }

    async fn ask(
        &self,
        authorized: Authorized,
        request: SessionRequest,
        quiet: bool,
    ) -> Result<Reply, SessionError> {
        let SessionRequest {
            id,
            method,
            target,
            params,
        } = request;
        let Ok(permit) = self.0.gate.admit().await else {
            return Ok(Reply::Whole(Err(Failure::Busy)));
        };
        self.0
            .address
            .send(Call {
                authorized,
                id,
                method,
                target,
                params,
                quiet,
                permit,
            })
            .await
            .map_err(|_| SessionError::Unknown)
    }

    /// Hands the session a notification.
    ///
    /// # Errors
    /// If the session ends before it takes it.
    pub async fn note(
        &self,
        method: String,
        params: Option<Box<RawValue>>,
    ) -> Result<(), SessionError> {
        self.0
            .address
            .send(Note { method, params })
            .await
            .map_err(|_| SessionError::Unknown)
    }

    /// Hands the session the client's answer to a question of its. It counts if the token that it came
    /// with reaches as far as the one that the question was for; else what it needs comes back.
    ///
    /// # Errors
    /// If the session ends before it takes it.
    pub async fn settle(
        &self,
        id: Id,
        result: Option<Box<RawValue>>,
        granted: ScopeSet,
    ) -> Result<Result<(), ScopeSet>, SessionError> {
        self.0
            .address
            .send(Settle {
                id,
                result,
                granted,
            })
            .await
            .map_err(|_| SessionError::Unknown)
    }

    /// Opens the session's general stream, or goes on with one after an event; `None` if there is
    /// nothing to go on with.
    ///
    /// # Errors
    /// If the session ends before it answers.
    pub async fn listen(
        &self,
        principal: Arc<Principal>,
        after: Option<EventId>,
    ) -> Result<Option<Frames>, SessionError> {
        self.0
            .address
            .send(Listen { principal, after })
            .await
            .map_err(|_| SessionError::Unknown)
    }
}

impl Link {
    /// Nobody waits for the end: the registry has forgotten the session already.
    fn close(self) {
        drop(self.address.try_send(Close));
    }
}

/// What a session is known as, so that it can leave when it is cut off.
struct KnownAs {
    registry: std::sync::Weak<Mutex<Registry<Link>>>,
    id: SessionId,
}

impl KnownAs {
    /// Has the session be found no more.
    fn forget(&self) {
        if let Some(registry) = self.registry.upgrade() {
            lock(&registry).remove(&self.id);
        }
    }
}

/// A poisoned lock is taken all the same: the registry's own methods leave no half-done change
/// behind, and refusing every session for good would be worse.
fn lock(registry: &Mutex<Registry<Link>>) -> MutexGuard<'_, Registry<Link>> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Frees expired sessions until the last handle is gone. One timer for all sessions costs less than
/// one for each.
async fn sweep(registry: std::sync::Weak<Mutex<Registry<Link>>>, clock: Clock) {
    loop {
        clock.reaches(clock.now() + SWEEP).await;
        let Some(registry) = registry.upgrade() else {
            return;
        };
        let expired = lock(&registry).expire(clock.now());
        for link in expired {
            link.close();
        }
    }
}
