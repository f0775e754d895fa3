//! **Lives here:** the `SessionActor`, one per legacy MCP session, and the registry that finds it.
//!
//! **May enter:** `http`, `app`.
//!
//! **Never here:** a credential: a session id is a name, and every call brings the principal of its
//! own token; a modern request, which has no session.
//!
//! **Begin with** this file: messages, handles, actor; then `registry.rs`, which is pure.

mod registry;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, Handler, Message, ResponseActFuture, WrapFuture,
};
use actix_rt::Arbiter;
use chrono::TimeDelta;
use derive_more::{Display, Error};
use serde_json::value::RawValue;

use self::registry::{Limits, Registry};
use super::{
    gate::{Gate, Permit},
    journal::JournalHandle,
};
use crate::{
    domain::{clock::Clock, principal::Principal},
    features::{
        catalogue::Catalogue,
        dispatch::{Failure, dispatch},
        tool::Context,
    },
    mcp::{answer::Answer, envelope::Params, method::Method, version::ProtocolVersion},
};

pub use self::registry::SessionId;

/// How many calls of one session may be under way at once.
const CALLS_IN_FLIGHT: usize = 32;

/// How long a call waits for one of them to end.
const FAILFAST: Duration = Duration::from_millis(250);

/// How often sessions that have expired are looked for. A session that has expired is not found
/// meanwhile either; this only frees its memory.
const SWEEP: Duration = Duration::from_secs(15);

/// Answer a request within the session.
#[derive(Message)]
#[rtype(result = "Result<Answer, Failure>")]
struct Call {
    /// Who asks, by the token of this very request.
    principal: Arc<Principal>,
    /// For what.
    method: Method,
    /// With which parameters.
    params: Option<Box<RawValue>>,
    /// The place behind the session's gate, held until the answer is there.
    permit: Permit,
}

/// End the session and whatever it is doing.
#[derive(Message)]
#[rtype(result = "()")]
struct Close;

/// Why there is no session to speak to.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum SessionError {
    /// There is no such session, or it is somebody else's, or it has ended: nobody can tell which.
    #[display("unknown session")]
    Unknown,
    /// There are as many sessions as there may be.
    #[display("too many sessions")]
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
    /// On how many threads sessions run.
    pub threads: usize,
}

/// Opens, finds and closes sessions.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    registry: Arc<Mutex<Registry<Link>>>,
    arbiters: Vec<Arbiter>,
    catalogue: Arc<Catalogue>,
    journal: JournalHandle,
    clock: Clock,
}

/// What the registry keeps of a session. Its address is the only lasting one.
#[derive(Clone)]
struct Link {
    address: Addr<SessionActor>,
    gate: Gate,
    version: ProtocolVersion,
}

/// A session that was found to be the caller's.
#[derive(Clone)]
pub struct SessionHandle(Link);

impl Sessions {
    /// Starts the threads that sessions run on, and the sweep.
    ///
    /// # Panics
    /// Outside an actix `System`.
    #[must_use]
    pub fn start(
        settings: SessionSettings,
        catalogue: Arc<Catalogue>,
        journal: JournalHandle,
        clock: Clock,
    ) -> Self {
        let limits = Limits {
            in_all: settings.in_all,
            per_user: settings.per_user,
            idle: TimeDelta::from_std(settings.idle).unwrap_or(TimeDelta::MAX),
            lifetime: TimeDelta::from_std(settings.lifetime).unwrap_or(TimeDelta::MAX),
        };
        let registry = Arc::new(Mutex::new(Registry::new(limits)));
        let arbiters: Vec<_> = (0..settings.threads.max(1))
            .map(|_| Arbiter::new())
            .collect();
        arbiters[0].spawn(sweep(Arc::downgrade(&registry), clock.clone()));
        Self(Arc::new(Inner {
            registry,
            arbiters,
            catalogue,
            journal,
            clock,
        }))
    }

    /// Opens a session for a principal.
    ///
    /// # Errors
    /// [`SessionError::Full`].
    pub fn open(
        &self,
        principal: &Principal,
        version: ProtocolVersion,
    ) -> Result<SessionId, SessionError> {
        let id = SessionId::random();
        let arbiter = &self.0.arbiters[id.spread(self.0.arbiters.len())];
        let (catalogue, journal) = (Arc::clone(&self.0.catalogue), self.0.journal.clone());
        let mut registry = self.lock();
        // Asked first, so that no actor is started for nothing.
        if !registry.has_room(principal.user, self.0.clock.now()) {
            return Err(SessionError::Full);
        }
        let address = SessionActor::start_in_arbiter(&arbiter.handle(), move |_| SessionActor {
            version,
            catalogue,
            journal,
        });
        let link = Link {
            address,
            gate: Gate::new(CALLS_IN_FLIGHT, FAILFAST),
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

    /// How many sessions are open.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Registry<Link>> {
        lock(&self.0.registry)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
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

    /// Asks the session.
    ///
    /// # Errors
    /// The outer one if the session ends before it answers, else the call's own.
    pub async fn call(
        &self,
        principal: Arc<Principal>,
        method: Method,
        params: Option<Box<RawValue>>,
    ) -> Result<Result<Answer, Failure>, SessionError> {
        let Ok(permit) = self.0.gate.admit().await else {
            return Ok(Err(Failure::Busy));
        };
        self.0
            .address
            .send(Call {
                principal,
                method,
                params,
                permit,
            })
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

/// A poisoned lock is taken all the same: the registry's own methods leave no half-done change
/// behind, and refusing every session for good would be worse.
fn lock(registry: &Mutex<Registry<Link>>) -> MutexGuard<'_, Registry<Link>> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Frees expired sessions until the last handle is gone. One timer for all sessions costs less than
/// one for each.
async fn sweep(registry: std::sync::Weak<Mutex<Registry<Link>>>, clock: Clock) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(registry) = registry.upgrade() else {
            return;
        };
        let expired = lock(&registry).expire(clock.now());
        for link in expired {
            link.close();
        }
    }
}

/// One legacy session. It ends when the registry lets go of it.
struct SessionActor {
    version: ProtocolVersion,
    catalogue: Arc<Catalogue>,
    journal: JournalHandle,
}

impl Actor for SessionActor {
    type Context = actix::Context<Self>;
}

impl Handler<Call> for SessionActor {
    // Ends with the session: a read for a client that has left is of no use, and a write runs to
    // its end in the journal.
    type Result = ResponseActFuture<Self, Result<Answer, Failure>>;

    fn handle(&mut self, call: Call, _: &mut Self::Context) -> Self::Result {
        let catalogue = Arc::clone(&self.catalogue);
        let version = self.version;
        let context = Context {
            principal: call.principal,
            journal: self.journal.clone(),
        };
        let answer = async move {
            let _permit = call.permit;
            let params = Params::read(call.params.as_deref())?;
            dispatch(&catalogue, call.method, version, &params, context).await
        };
        Box::pin(answer.into_actor(self).map(|answer, _, _| answer))
    }
}

impl Handler<Close> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: Close, context: &mut Self::Context) {
        context.stop();
    }
}
