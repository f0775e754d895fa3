//! What a feature has at hand: the user behind the request, the scopes, and the client's end of the call.

use std::sync::Arc;

use super::conversation::Conversation;
use resource_server::{
    clock::{Clock, Timestamp},
    principal::Principal,
    scope::Scopes,
};

/// What all calls of a server have in common.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The declared scopes.
    pub scopes: Scopes,
    /// The server's clock.
    pub clock: Clock,
}

/// The context of something that is read and never talks to the client: a resource, a list, a
/// completion.
#[derive(Clone, Debug)]
pub struct ReadContext {
    principal: Arc<Principal>,
    environment: Arc<Environment>,
}

/// The context of a call that may talk to the client before its answer: a tool or a prompt.
#[derive(Clone, Debug)]
pub struct Context {
    reads: ReadContext,
    conversation: Conversation,
}

impl ReadContext {
    pub(crate) fn new(principal: Arc<Principal>, environment: Arc<Environment>) -> Self {
        Self {
            principal,
            environment,
        }
    }

    /// The user and the client behind the token of this very request.
    #[must_use]
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// Whether the token has these scopes. What every call of a feature needs is declared; this is for
    /// what is done besides.
    #[must_use]
    pub fn may(&self, scopes: &[&str]) -> bool {
        let declared = &self.environment.scopes;
        let needed = declared.set(scopes);
        needed.is_ok_and(|needed| declared.require(self.principal.scopes, needed).is_ok())
    }

    /// The names of the scopes that the token has, of those that this server declares.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.environment.scopes.names(self.principal.scopes)
    }

    /// The current time, by the server's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.environment.clock.now()
    }

    /// Whether the token has expired since the request was let in.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        let end = self.principal.expires_at;
        end.is_some_and(|end| end <= self.now())
    }
}

impl Context {
    pub(crate) fn new(reads: ReadContext, conversation: Conversation) -> Self {
        Self {
            reads,
            conversation,
        }
    }

    /// The client's end of this call: progress, log messages, questions.
    #[must_use]
    pub fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// The same context for something that only reads.
    #[must_use]
    pub fn reads(&self) -> &ReadContext {
        &self.reads
    }

    /// See [`ReadContext::principal`].
    #[must_use]
    pub fn principal(&self) -> &Arc<Principal> {
        self.reads.principal()
    }

    /// See [`ReadContext::may`].
    #[must_use]
    pub fn may(&self, scopes: &[&str]) -> bool {
        self.reads.may(scopes)
    }
}
