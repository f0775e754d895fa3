//! Completions: suggestions for arguments of prompts and ids of resource templates (MCP, Completion).

use std::{future::Future, pin::Pin, sync::Arc};

use super::{
    context::ReadContext,
    declaration::{DeclarationError, FeatureScopes},
    tool_error::ToolError,
};
use mcp_protocol::answer::Completion;
use resource_server::scope::{ScopeSet, Scopes};

/// Suggests values for a prefix. Clones share the function.
#[derive(Clone)]
pub struct Completer {
    scopes: FeatureScopes,
    suggest: Arc<Suggest>,
}

type Suggest = dyn Fn(ReadContext, String) -> CompletionFuture + Send + Sync;

/// Suggestions, being computed.
pub type CompletionFuture = Pin<Box<dyn Future<Output = Result<Completion, ToolError>>>>;

impl Completer {
    /// A completer from a function of the context and the prefix that was typed. `scopes` are needed in
    /// addition to those of the prompt or template, because suggestions reveal data.
    #[must_use]
    pub fn new<F>(
        scopes: &'static [&'static str],
        suggest: impl Fn(ReadContext, String) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Completion, ToolError>> + 'static,
    {
        Self {
            scopes: FeatureScopes::of(scopes),
            suggest: Arc::new(move |context, typed| Box::pin(suggest(context, typed))),
        }
    }

    pub(crate) fn resolve(
        &mut self,
        scopes: &Scopes,
        kind: &str,
        name: &str,
    ) -> Result<(), DeclarationError> {
        self.scopes.resolve(scopes, kind, name)
    }

    /// The scopes that it needs in addition to those of the prompt or template.
    #[must_use]
    pub(crate) fn scopes(&self) -> ScopeSet {
        self.scopes.set()
    }

    /// Suggests values for what has been typed.
    #[must_use]
    pub fn suggest(&self, context: ReadContext, typed: String) -> CompletionFuture {
        (self.suggest)(context, typed)
    }
}
