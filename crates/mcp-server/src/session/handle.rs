//! The handle of a session: what a request does with its actor.

use std::sync::Arc;

use actix::Addr;
use serde_json::value::RawValue;

use super::{
    SessionError, SessionRequest,
    actor::{BeginShutdown, Call, Cancel, Close, HandleResponse, Listen, SessionActor},
    calls::Reply,
    heard::Heard,
    news::{Answer, News},
    server_requests::Elsewhere,
    shared::Shared,
    streams::EventReceiver,
    unavailable,
};
use crate::{dispatch::Failure, features::session_store::StoredSession};
use mcp_protocol::{jsonrpc::Id, sse::EventId, version::ProtocolVersion};
use resource_server::{
    gate::{Gate, Permit},
    principal::Principal,
    scope::{ScopeSet, Scopes},
};

/// The registry's entry of a session. The actor lives as long as this address.
#[derive(Clone)]
pub(super) struct SessionRef {
    pub(super) address: Addr<SessionActor>,
    pub(super) gate: Gate,
    pub(super) batches: Gate,
    pub(super) version: ProtocolVersion,
    pub(super) stored: StoredSession,
    pub(super) shared: Option<Arc<Shared>>,
}

/// A session of the caller.
#[derive(Clone)]
pub(crate) struct SessionHandle(pub(super) SessionRef);

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
        declared: &Scopes,
    ) -> Result<Result<(), ScopeSet>, SessionError> {
        let message = HandleResponse {
            id,
            result,
            granted,
        };
        let handled = self.0.address.send(message).await;
        match handled.map_err(|_| SessionError::Unknown)? {
            Err(needed) => Ok(Err(needed)),
            Ok(None) => Ok(Ok(())),
            Ok(Some(elsewhere)) => self
                .pass_on(elsewhere, declared.list(granted))
                .await
                .map(Ok),
        }
    }

    /// Passes a response on to the process that waits for it.
    async fn pass_on(
        &self,
        Elsewhere { id, result }: Elsewhere,
        scopes: String,
    ) -> Result<(), SessionError> {
        let Some(shared) = &self.0.shared else {
            return Ok(());
        };
        let answer = Answer {
            question: id.to_string(),
            scopes,
            result,
        };
        let passed_on = shared.pass_on(self.0.stored, answer).await;
        match passed_on.map_err(|error| unavailable(&error))? {
            true => Ok(()),
            false => Err(SessionError::Full),
        }
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
    /// Passes on what another process tells. Does not wait.
    #[expect(
        clippy::disallowed_methods,
        reason = "must arrive even if the mailbox is full; each is of a request that another process admitted"
    )]
    pub(super) fn hear(&self, news: News) {
        self.address.do_send(Heard(news));
    }

    /// For a session that is opened while the server shuts down. Its mailbox is empty.
    pub(super) fn begin_shutdown(&self) {
        drop(self.address.try_send(BeginShutdown));
    }

    /// Does not wait: the registry has removed the session already.
    pub(super) fn close(self) {
        drop(self.address.try_send(Close));
    }
}
