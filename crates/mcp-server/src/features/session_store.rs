//! The store of what sessions gather and of those that have ended, for sessions that any process continues.

use std::{
    collections::{BTreeSet, HashMap},
    future::{Future, ready},
    pin::Pin,
};

use chrono::TimeDelta;
use parking_lot::Mutex;

use super::tool_error::ToolError;
use mcp_protocol::logging::Level;
use resource_server::{clock::Timestamp, principal::UserId};

pub use mcp_protocol::session_id::SessionName;

/// The number of sessions of one user that are remembered. Those that began first give way.
pub const SESSIONS_PER_USER: usize = 1_000;

/// The number of resources that one session can subscribe to.
pub const SUBSCRIPTIONS_PER_SESSION: usize = 100;

/// The answers of one user that wait to be fetched by the process that asked.
pub const ANSWERS_PER_USER: usize = 32;

/// How long an answer is kept: much longer than the message takes that tells of it.
pub const ANSWER_RETENTION: TimeDelta = TimeDelta::minutes(5);

/// The number of sessions that the store in memory remembers.
const CAPACITY: usize = 100_000;

/// A session of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredSession {
    /// The user.
    pub user: UserId,
    /// The session.
    pub name: SessionName,
    /// When its lifetime ends. It need not be remembered any longer.
    pub until: Timestamp,
}

/// What a session has gathered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Whether the client has ended it (MCP 2025-11-25, Transports, Session Management).
    pub ended: bool,
    /// The log level, if the client has set one (MCP, Logging).
    pub log_level: Option<Level>,
    /// The resources that it is subscribed to, as the client wrote them (MCP, Resources, Subscriptions).
    pub subscriptions: Vec<String>,
}

/// A change of what a session has gathered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionChange {
    /// The client has set the log level.
    LogLevel(Level),
    /// It is subscribed to this resource.
    Subscribed(String),
    /// It is no longer subscribed to this resource.
    Unsubscribed(String),
    /// The client has ended it. Nothing else is remembered of it.
    Ended,
}

/// The result of a [`SessionStore`].
pub type SessionFuture<T> = Pin<Box<dyn Future<Output = Result<T, ToolError>>>>;

/// Remembers what sessions of the legacy revisions have gathered, and which have ended, until their lifetime is
/// over. It is asked when a process continues a session that began in another, or before the process was
/// restarted, and told when a client sets something or ends the session: never for an ordinary call. The servers
/// behind one URL need a common store.
pub trait SessionStore: Send + Sync {
    /// What a session has gathered; nothing, if the store has not heard of it.
    ///
    /// # Errors
    /// If the store cannot tell. The session is not continued then.
    fn load(&self, user: UserId, name: SessionName) -> SessionFuture<Gathered>;

    /// Keeps the answer to a question, which is too long to be told otherwise, for the process that asked, for
    /// [`ANSWER_RETENTION`]. `false` if there are [`ANSWERS_PER_USER`] of the user already.
    ///
    /// # Errors
    /// If it may not have been stored.
    fn keep_answer(
        &self,
        session: StoredSession,
        question: String,
        answer: String,
    ) -> SessionFuture<bool>;

    /// Takes an answer out of the store; `None` if there is none.
    ///
    /// # Errors
    /// If the store cannot tell.
    fn take_answer(
        &self,
        session: StoredSession,
        question: String,
    ) -> SessionFuture<Option<String>>;

    /// Remembers a change. `false` if the session has as many subscriptions as it may have
    /// ([`SUBSCRIPTIONS_PER_SESSION`]), or has ended. Of one user's sessions at least [`SESSIONS_PER_USER`] have
    /// to be remembered.
    ///
    /// # Errors
    /// If the change may not have been stored. The client is told so.
    fn change(&self, session: StoredSession, change: SessionChange) -> SessionFuture<bool>;
}

/// A store in the memory of this process, for a server that runs as one process.
#[derive(Default)]
pub struct InMemorySessionStore(Mutex<Sessions>);

#[derive(Default)]
struct Sessions {
    by_user: HashMap<UserId, HashMap<SessionName, (Timestamp, Gathered)>>,
    /// All of them, in the order in which they give way.
    by_end: BTreeSet<(Timestamp, UserId, SessionName)>,
}

impl SessionStore for InMemorySessionStore {
    fn load(&self, user: UserId, name: SessionName) -> SessionFuture<Gathered> {
        let sessions = self.0.lock();
        let of_user = sessions.by_user.get(&user);
        let gathered = of_user
            .and_then(|of_user| of_user.get(&name))
            .map(|(_, gathered)| gathered.clone());
        Box::pin(ready(Ok(gathered.unwrap_or_default())))
    }

    fn change(&self, session: StoredSession, change: SessionChange) -> SessionFuture<bool> {
        Box::pin(ready(Ok(self.0.lock().change(session, change))))
    }

    /// There is no process that would fetch it.
    fn keep_answer(&self, _: StoredSession, _: String, _: String) -> SessionFuture<bool> {
        Box::pin(ready(Ok(false)))
    }

    fn take_answer(&self, _: StoredSession, _: String) -> SessionFuture<Option<String>> {
        Box::pin(ready(Ok(None)))
    }
}

impl Sessions {
    fn change(&mut self, session: StoredSession, change: SessionChange) -> bool {
        let StoredSession { user, name, until } = session;
        let of_user = self.by_user.entry(user).or_default();
        let (kept_until, gathered) = of_user
            .entry(name)
            .or_insert_with(|| (until, Gathered::default()));
        self.by_end.insert((*kept_until, user, name));
        let has_changed = gathered.change(change);
        if of_user.len() > SESSIONS_PER_USER {
            let first = of_user
                .iter()
                .min_by_key(|(name, (until, _))| (*until, **name));
            if let Some((first, until)) = first.map(|(name, (until, _))| (*name, *until)) {
                self.forget(user, first, until);
            }
        }
        while self.by_end.len() > CAPACITY
            && let Some((until, user, name)) = self.by_end.pop_first()
        {
            self.forget(user, name, until);
        }
        has_changed
    }

    fn forget(&mut self, user: UserId, name: SessionName, until: Timestamp) {
        self.by_end.remove(&(until, user, name));
        if let Some(of_user) = self.by_user.get_mut(&user) {
            of_user.remove(&name);
            if of_user.is_empty() {
                self.by_user.remove(&user);
            }
        }
    }
}

impl Gathered {
    /// `false` if there is no room for it, or the session has ended.
    fn change(&mut self, change: SessionChange) -> bool {
        if self.ended {
            return false;
        }
        match change {
            SessionChange::LogLevel(level) => self.log_level = Some(level),
            SessionChange::Subscribed(uri) => {
                if self.subscriptions.contains(&uri) {
                    return true;
                }
                if self.subscriptions.len() >= SUBSCRIPTIONS_PER_SESSION {
                    return false;
                }
                self.subscriptions.push(uri);
            }
            SessionChange::Unsubscribed(uri) => self.subscriptions.retain(|other| *other != uri),
            SessionChange::Ended => {
                *self = Self {
                    ended: true,
                    ..Self::default()
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn session(subject: &str, number: u16) -> StoredSession {
        let mut name = [0; 12];
        name[..2].copy_from_slice(&number.to_be_bytes());
        StoredSession {
            user: UserId::derive("i", subject),
            name: SessionName::from_bytes(name),
            until: DateTime::from_timestamp(i64::from(number), 0).unwrap(),
        }
    }

    async fn loaded(store: &InMemorySessionStore, session: StoredSession) -> Gathered {
        store.load(session.user, session.name).await.unwrap()
    }

    #[actix_rt::test]
    async fn what_a_session_gathers_is_there_until_it_ends() {
        let store = InMemorySessionStore::default();
        let one = session("ann", 1);
        let tell = async |change| store.change(one, change).await.unwrap();
        assert_eq!(loaded(&store, one).await, Gathered::default());
        for number in 0..SUBSCRIPTIONS_PER_SESSION {
            assert!(tell(SessionChange::Subscribed(number.to_string())).await);
        }
        assert!(!tell(SessionChange::Subscribed("one more".to_owned())).await);
        assert!(tell(SessionChange::Subscribed("7".to_owned())).await);
        for number in 1..SUBSCRIPTIONS_PER_SESSION {
            assert!(tell(SessionChange::Unsubscribed(number.to_string())).await);
        }
        assert!(tell(SessionChange::LogLevel(Level::Debug)).await);
        let expected = Gathered {
            ended: false,
            log_level: Some(Level::Debug),
            subscriptions: vec!["0".to_owned()],
        };
        assert_eq!(loaded(&store, one).await, expected);
        assert_eq!(loaded(&store, session("bob", 1)).await, Gathered::default());
        assert!(tell(SessionChange::Ended).await);
        assert!(!tell(SessionChange::LogLevel(Level::Info)).await);
        let ended = Gathered {
            ended: true,
            ..Gathered::default()
        };
        assert_eq!(loaded(&store, one).await, ended);
    }

    /// PF-06.
    #[actix_rt::test]
    async fn a_users_first_sessions_give_way_and_nobody_elses() {
        let store = InMemorySessionStore::default();
        let bobs = session("bob", 0);
        store.change(bobs, SessionChange::Ended).await.unwrap();
        let most = u16::try_from(SESSIONS_PER_USER).unwrap();
        for number in 0..most + 10 {
            let one = session("ann", number);
            assert!(store.change(one, SessionChange::Ended).await.unwrap());
        }
        assert!(loaded(&store, bobs).await.ended);
        assert!(!loaded(&store, session("ann", 9)).await.ended);
        assert!(loaded(&store, session("ann", 10)).await.ended);
        assert_eq!(store.0.lock().by_end.len(), SESSIONS_PER_USER + 1);
    }
}
