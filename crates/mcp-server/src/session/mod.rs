//! *Purpose:* sessions of the legacy revisions, one actor for each, and the `subscriptions/listen` streams of
//! MCP 2026-07-28.
//!
//! *Used by:* `http`, `server`.
//!
//! *Invariants:* a session id is a name, not a credential: every call brings the principal of its own token.
//! Sessions, streams, calls, pending requests and stored events are limited.
//!
//! *Start reading at* [`Sessions`] and [`SessionHandle`], then `actor.rs` (one handler for each message),
//! `calls.rs`, `server_requests.rs`, `gather.rs` and `follow_ups.rs`. `adoption.rs` continues sessions of other
//! processes. `registry.rs` and `streams.rs` do no I/O.

mod actor;
mod adoption;
mod calls;
mod follow_ups;
mod gather;
mod gathering;
mod handle;
mod heard;
mod limits;
mod listen;
mod news;
mod registry;
mod server_requests;
mod shared;
pub(crate) mod streams;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix::Actor;
use chrono::TimeDelta;
use derive_more::{Display, Error};
use futures_util::future::join_all;
use parking_lot::{Mutex, MutexGuard};

use self::{
    actor::{BeginShutdown, Beginning, SessionActor},
    gathering::Kept,
    handle::SessionRef,
    limits::Limits,
    registry::{Registry, Since},
    shared::Shared,
};
use crate::{
    budgets::{Account, Held},
    dispatch::Dispatcher,
    features::{
        session_store::{Gathered, SessionChange, StoredSession},
        target::Target,
        tool_error::ToolError,
    },
    request_context::RequestContext,
};
use mcp_protocol::{
    envelope::OwnedParams,
    jsonrpc::Id,
    method::Method,
    outgoing::ClientCapabilities,
    random,
    rpc_error::RpcError,
    session_id::{SessionId, SessionOwner, SessionSealer, SessionStart},
    version::ProtocolVersion,
};
use resource_server::{
    clock::{Clock, ClockWatch},
    gate::Gate,
    principal::Principal,
    revocation::ActiveUse,
};

#[cfg(test)]
pub(crate) use self::streams::Frame;
pub(crate) use self::{
    adoption::Adopter,
    calls::{Reply, response_message},
    handle::SessionHandle,
    listen::{Listeners, Listening},
    shared::Continuity,
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
    /// Nobody can tell at the moment whether the session has ended.
    #[display("the store of sessions cannot be asked")]
    Unavailable,
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
    /// How long a process keeps a session that is not used. Where the sealing keys are set, the session goes on when it
    /// is used again, in this or any other process; otherwise it ends.
    pub idle: Duration,
    /// The maximum age of a session, in all processes.
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
    sealer: SessionSealer,
    /// What is shared with other processes; `None` if none has the key, so that sessions end with this one.
    shared: Option<Arc<Shared>>,
    is_shutting_down: AtomicBool,
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

impl Sessions {
    /// Creates the registry and starts the removal of expired sessions.
    ///
    /// # Panics
    /// Outside an actix arbiter.
    #[must_use]
    pub(crate) fn start(
        settings: SessionSettings,
        continuity: Continuity,
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
            sealer: continuity.sealer,
            shared: continuity.shared,
            is_shutting_down: AtomicBool::new(false),
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
        let start = SessionStart {
            version,
            capabilities,
            begun_at: self.0.clock.now(),
        };
        let id = self.0.sealer.seal(&sealed_for(principal), &start);
        let since = self.lock().since();
        let opening = Opening {
            id,
            start,
            gathered: Gathered::default(),
            principal,
            active_use,
            account,
        };
        self.insert(opening, since).map(|_| id)
    }

    /// Adds a session to the registry and starts its actor, unless another request has done so meanwhile. `since` was
    /// read before it was known that the session has not ended.
    ///
    /// # Errors
    /// [`SessionError::Full`].
    fn insert(&self, opening: Opening<'_>, since: Since) -> Result<Inserted, SessionError> {
        let Opening {
            id,
            start,
            gathered,
            principal,
            active_use,
            account,
        } = opening;
        let name = id.name();
        let owner = principal.owner();
        let (dispatcher, clock) = (Arc::clone(&self.0.dispatcher), self.0.clock.clone());
        let now = clock.now();
        let mut registry = self.lock();
        if registry.may_have_ended_since(since, &name) {
            return Ok(Inserted::MayHaveEnded);
        }
        let was_doubted = registry.is_doubted(&id);
        if let Some(session) = registry.confirm(&id, &owner, since, now) {
            return Ok(Inserted::WasThere {
                session,
                was_doubted,
            });
        }
        // Checked first, so that no actor is started in vain.
        if !registry.has_room(&owner, now) {
            return Err(SessionError::Full);
        }
        let stored = StoredSession {
            user: principal.user,
            name,
            until: registry.limits().end_of(start.begun_at),
        };
        let kept = self.0.shared.as_ref().map(|shared| Kept {
            instance: new_instance(),
            session: stored,
            shared: Arc::clone(shared),
        });
        let beginning = Beginning {
            start,
            gathered,
            scopes: principal.scopes,
            active_use,
            registration: Registration {
                registry: Arc::downgrade(&self.0.registry),
                id,
            },
            account,
            kept,
        };
        let session = SessionRef {
            address: SessionActor::new(beginning, dispatcher, clock).start(),
            gate: Gate::new(CALLS_IN_FLIGHT, FAILFAST),
            batches: Gate::new(BATCHES_IN_FLIGHT, FAILFAST),
            version: start.version,
            stored,
            shared: self.0.shared.clone(),
        };
        if self.0.is_shutting_down.load(Ordering::SeqCst) {
            session.begin_shutdown();
        }
        let evicted = registry.open(id, owner, session.clone(), start.begun_at, now);
        drop(registry);
        for session in evicted {
            session.close();
        }
        Ok(Inserted::New(session))
    }

    /// Finds a session of the principal in this process and marks it as used. See also [`Sessions::adopt`].
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

    /// Marks a session of the principal as used.
    pub(crate) fn touch(&self, id: &str, principal: &Principal) {
        if let Some(id) = SessionId::parse(id) {
            let now = self.0.clock.now();
            self.lock().touch(&id, &principal.owner(), now);
        }
    }

    /// Whether a session belongs to somebody else. For the audit log only: the client must not learn it.
    #[must_use]
    pub(crate) fn is_anothers(&self, id: &str, principal: &Principal) -> bool {
        SessionId::parse(id).is_some_and(|id| self.lock().is_anothers(&id, &principal.owner()))
    }

    /// Closes a session of the principal, in all processes. It goes on to the end if the caller leaves.
    ///
    /// # Errors
    /// [`SessionError::Unknown`]; [`SessionError::Unavailable`] if the end may not have been stored.
    pub(crate) async fn close(&self, id: &str, principal: &Principal) -> Result<(), SessionError> {
        let id = SessionId::parse(id).ok_or(SessionError::Unknown)?;
        let (sessions, owner) = (self.clone(), principal.owner());
        let closed = actix_rt::spawn(async move {
            let now = sessions.0.clock.now();
            let found = sessions.lock().find(&id, &owner, now);
            let SessionRef { stored, .. } = found.ok_or(SessionError::Unknown)?;
            if let Some(shared) = &sessions.0.shared {
                // First, so that this process does not adopt it again meanwhile.
                let change = shared.change(stored, SessionChange::Ended).await;
                change.map_err(|error| unavailable(&error))?;
            }
            let ended = sessions.lock().end(&stored.name);
            ended.ok_or(SessionError::Unknown).map(SessionRef::close)
        });
        closed.await.unwrap_or(Err(SessionError::Unavailable))
    }

    /// Closes standalone streams and cancels requests to clients, so that calls in progress can complete.
    pub(crate) async fn begin_shutdown(&self) {
        let sessions: Vec<_> = {
            // Of a session that is opened meanwhile either this or `insert` takes notice, which has the lock too.
            let registry = self.lock();
            self.0.is_shutting_down.store(true, Ordering::SeqCst);
            registry.sessions().cloned().collect()
        };
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

/// A session that is opened or continued.
struct Opening<'a> {
    id: SessionId,
    start: SessionStart,
    gathered: Gathered,
    principal: &'a Principal,
    active_use: ActiveUse,
    account: Account,
}

/// What became of an [`Opening`].
enum Inserted {
    New(SessionRef),
    /// Another request was first, or something may have been missed of it until now.
    WasThere {
        session: SessionRef,
        was_doubted: bool,
    },
    /// It has to be asked again whether the session has ended.
    MayHaveEnded,
}

/// For whom the id of a session is sealed.
fn sealed_for(principal: &Principal) -> SessionOwner {
    SessionOwner::new(
        principal.user.as_uuid().as_bytes(),
        principal.client.as_deref(),
    )
}

/// A random number that is not 0.
///
/// # Panics
/// If the operating system provides no random bytes.
fn new_instance() -> u64 {
    u64::from_ne_bytes(random::bytes()) | 1 << 63
}

fn unavailable(error: &ToolError) -> SessionError {
    log::warn!("the store of sessions cannot be asked: {error}");
    SessionError::Unavailable
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
