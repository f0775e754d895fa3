//! The context of a call: the caller, the scopes of the token, and the connection to the client.

use std::{fmt::Display, sync::Arc};

use super::{conversation::Conversation, presentation::Presentation};
use resource_server::{
    clock::{Clock, Timestamp},
    principal::Principal,
    scope::{Scope, Scopes},
};

/// What all calls of a server share.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    /// The declared scopes.
    pub scopes: Scopes,
    /// The server's clock.
    pub clock: Clock,
    /// What clients are shown.
    pub presentation: Presentation,
}

/// The context of what only reads and sends nothing to the client before its answer: a resource, a list, a
/// completion, a prompt.
#[derive(Clone, Debug)]
pub struct ReadContext {
    principal: Arc<Principal>,
    environment: Arc<Environment>,
}

/// The context of a tool call, during which the tool may send messages to the client.
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

    /// The user and the client behind the token of this request.
    #[must_use]
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// Whether the token has these scopes. The scopes that every call needs are declared with the feature;
    /// this is for optional parts.
    #[must_use]
    pub fn may(&self, scopes: &[&str]) -> bool {
        let declared = &self.environment.scopes;
        let needed = declared.set(scopes);
        needed.is_ok_and(|needed| declared.require(self.principal.scopes, needed).is_ok())
    }

    /// The names of the scopes of the token, without those that this server does not declare.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.environment.scopes.names(self.principal.scopes)
    }

    /// The declared scopes that the token lacks. Those that are only withheld while the authorization server cannot be
    /// reached are not among them.
    pub fn lacking_scopes(&self) -> impl Iterator<Item = &Scope> {
        let granted = self.principal.scopes.union(self.principal.withheld);
        self.environment.scopes.lacking(granted)
    }

    /// The current time of the server's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.environment.clock.now()
    }

    /// Whether the token has expired since the request was authenticated.
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

    /// Progress, log messages and requests to the client.
    #[must_use]
    pub fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// Whether a tool should add links to resources to its result; see [`Presentation::resource_links`].
    #[must_use]
    pub fn sends_links(&self) -> bool {
        self.reads.environment.presentation.resource_links
    }

    /// Says for the audit log what the call is about, such as `note` and its id; several times if it is about
    /// several. Never a title or a text: the line is kept where only ids belong. A call of a tool that only
    /// reads is in the audit log if the tool says this.
    pub fn is_about(&self, kind: &'static str, id: impl Display) {
        self.conversation.is_about(kind, &id);
    }

    /// The context without the connection to the client.
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
