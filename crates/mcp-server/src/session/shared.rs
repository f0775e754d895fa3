//! What the processes that continue each other's sessions share: the store of what sessions gather, and the bus.

use std::sync::Arc;

use super::news::{Answer, News};
use crate::{
    bus::{Outbox, SessionMessage},
    features::{
        session_store::{Gathered, SessionChange, SessionName, SessionStore, StoredSession},
        tool_error::ToolError,
    },
};
use mcp_protocol::session_id::SessionSealer;
use resource_server::principal::UserId;

/// What the processes share.
pub(crate) struct Shared {
    store: Arc<dyn SessionStore>,
    /// To the other processes; `None` if there is no bus.
    outbox: Option<Arc<Outbox>>,
}

/// How session ids are sealed, and whether sessions go on in other processes.
pub(crate) struct Continuity {
    pub(super) sealer: SessionSealer,
    pub(super) shared: Option<Arc<Shared>>,
}

impl Continuity {
    /// Every process with the keys, and this store, continues the sessions. They tell each other of them by the bus,
    /// if there is one.
    pub(crate) fn across_processes(
        current: &[u8; 32],
        previous: Option<&[u8; 32]>,
        store: Arc<dyn SessionStore>,
        outbox: Option<Arc<Outbox>>,
    ) -> Self {
        Self {
            sealer: SessionSealer::new(current, previous),
            shared: Some(Arc::new(Shared::new(store, outbox))),
        }
    }

    /// Sessions end with this process.
    pub(crate) fn of_this_process() -> Self {
        Self {
            sealer: SessionSealer::random(),
            shared: None,
        }
    }
}

impl Shared {
    pub(crate) fn new(store: Arc<dyn SessionStore>, outbox: Option<Arc<Outbox>>) -> Self {
        Self { store, outbox }
    }

    /// What a session has gathered.
    ///
    /// # Errors
    /// That of the store.
    pub(crate) async fn load(
        &self,
        user: UserId,
        name: SessionName,
    ) -> Result<Gathered, ToolError> {
        self.store.load(user, name).await
    }

    /// Stores a change, then tells the other processes; `false` if there is no room for it.
    ///
    /// # Errors
    /// That of the store.
    pub(crate) async fn change(
        &self,
        session: StoredSession,
        change: SessionChange,
    ) -> Result<bool, ToolError> {
        let news = match change {
            SessionChange::Ended => News::Ended,
            _ => News::Gathered,
        };
        let stored = self.store.change(session, change).await?;
        if stored && !self.tell(session.name, &news) && self.outbox.is_some() {
            log::warn!("the other processes could not be told of a session: too much waits");
        }
        Ok(stored)
    }

    /// Passes an answer on to the process that waits for it, by way of the store if it is long. `false` if too much
    /// waits.
    ///
    /// # Errors
    /// That of the store.
    pub(crate) async fn pass_on(
        &self,
        session: StoredSession,
        answer: Answer,
    ) -> Result<bool, ToolError> {
        // Without a bus nobody else can have asked.
        if self.outbox.is_none() {
            return Ok(true);
        }
        let text = serde_json::to_string(&answer).map_err(ToolError::internal)?;
        let question = answer.question.clone();
        if self.tell(session.name, &News::Answered(answer)) {
            return Ok(true);
        }
        let kept = self.store.keep_answer(session, question.clone(), text);
        Ok(kept.await? && self.tell(session.name, &News::AnswerKept(question)))
    }

    /// Takes a long answer out of the store.
    ///
    /// # Errors
    /// That of the store.
    pub(crate) async fn fetch_answer(
        &self,
        session: &StoredSession,
        question: &str,
    ) -> Result<Option<String>, ToolError> {
        self.store.take_answer(*session, question.to_owned()).await
    }

    /// Tells the other processes. `false` if there is no bus, if the news is too long, or if too much waits.
    pub(crate) fn tell(&self, name: SessionName, news: &News) -> bool {
        let Some(outbox) = &self.outbox else {
            return false;
        };
        let Ok(what) = serde_json::to_string(news) else {
            return false;
        };
        outbox.for_session(SessionMessage {
            id: name.to_string(),
            what,
        })
    }
}
