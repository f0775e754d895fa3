//! Keeps what sessions have set in PostgreSQL, for all processes.

use crate::journal::{
    ChangeSession, JournalHandle, JournalMessage, KeepAnswer, LoadSession, TakeAnswer,
};
use mcp_server::features::{
    session_store::{
        Gathered, SessionChange, SessionFuture, SessionName, SessionStore, StoredSession,
    },
    tool_error::ToolError,
};
use resource_server::principal::UserId;

impl SessionStore for JournalHandle {
    fn load(&self, user: UserId, name: SessionName) -> SessionFuture<Gathered> {
        ask(self, LoadSession { user, name })
    }

    fn change(&self, session: StoredSession, change: SessionChange) -> SessionFuture<bool> {
        ask(self, ChangeSession { session, change })
    }

    fn keep_answer(
        &self,
        session: StoredSession,
        question: String,
        answer: String,
    ) -> SessionFuture<bool> {
        let message = KeepAnswer {
            session,
            question,
            answer,
        };
        ask(self, message)
    }

    fn take_answer(
        &self,
        session: StoredSession,
        question: String,
    ) -> SessionFuture<Option<String>> {
        ask(self, TakeAnswer { session, question })
    }
}

fn ask<M: JournalMessage>(journal: &JournalHandle, message: M) -> SessionFuture<M::Reply> {
    let journal = journal.clone();
    Box::pin(async move { journal.ask(message).await.map_err(ToolError::from) })
}
