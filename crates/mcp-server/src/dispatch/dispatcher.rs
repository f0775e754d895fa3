//! The dispatcher: from a method and its parameters to the feature that answers.

use std::sync::Arc;

use super::{
    call::{Call, Dispatched, OnCall},
    failure::Failure,
    recording::{self, Recorder, Recording},
};
use crate::{
    audit::AuditLog,
    features::{
        catalogue::Catalogue,
        changes::Changes,
        context::{Environment, ReadContext},
        replay_store::ReplayStore,
        target::Target,
        tool::DeclaredTool,
    },
    metrics::ToolMetrics,
};
use mcp_protocol::{
    answer::Answer, envelope::Params, method::Method, request_state::Sealer, rpc_error::RpcError,
    version::ProtocolVersion, wire_format::WireFormat,
};
use resource_server::{
    clock::Timestamp,
    principal::Principal,
    scope::{ScopeSet, Scopes},
};

/// Dispatches calls: finds the feature, compares its scopes with those of the token, reads the parameters,
/// and returns the future that does the rest.
pub(crate) struct Dispatcher {
    catalogue: Catalogue,
    environment: Arc<Environment>,
    sealer: Sealer,
    replay_store: Arc<dyn ReplayStore>,
    changes: Changes,
    recorder: Arc<Recorder>,
}

/// The parts of a dispatcher.
pub(crate) struct DispatcherSettings {
    /// The features.
    pub catalogue: Catalogue,
    /// What all calls share.
    pub environment: Environment,
    /// Encrypts request states.
    pub sealer: Sealer,
    /// Remembers used request states.
    pub replay_store: Arc<dyn ReplayStore>,
    /// Notifies sessions and streams of changes.
    pub changes: Changes,
    /// Called after each call of a declared feature, whatever its outcome.
    pub on_call: Vec<OnCall>,
    /// The audit log.
    pub audit: AuditLog,
}

impl Dispatcher {
    /// A dispatcher.
    #[must_use]
    pub(crate) fn new(settings: DispatcherSettings) -> Self {
        let tools = settings.catalogue.tools().map(DeclaredTool::name);
        let tools = ToolMetrics::new(tools.map(str::to_owned).collect());
        let recorder = Recorder {
            on_call: settings.on_call,
            audit: settings.audit,
            clock: settings.environment.clock.clone(),
            tools: Arc::new(tools),
        };
        Self {
            catalogue: settings.catalogue,
            environment: Arc::new(settings.environment),
            sealer: settings.sealer,
            replay_store: settings.replay_store,
            changes: settings.changes,
            recorder: Arc::new(recorder),
        }
    }

    /// The features.
    #[must_use]
    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The calls of the tools.
    #[must_use]
    pub(crate) fn tool_metrics(&self) -> &Arc<ToolMetrics> {
        &self.recorder.tools
    }

    /// The declared scopes.
    #[must_use]
    pub(crate) fn scopes(&self) -> &Scopes {
        &self.environment.scopes
    }

    /// Serialises answers for a revision.
    #[must_use]
    pub(crate) fn wire_format(&self) -> &WireFormat {
        self.catalogue.wire_format()
    }

    /// Notifies sessions and streams of changes.
    #[must_use]
    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The current time.
    #[must_use]
    pub(crate) fn now(&self) -> Timestamp {
        self.environment.clock.now()
    }

    /// Whether the token of a principal has expired.
    #[must_use]
    pub(crate) fn has_ended(&self, principal: &Principal) -> bool {
        principal.expires_at.is_some_and(|end| end <= self.now())
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    pub(crate) fn replay_store(&self) -> &dyn ReplayStore {
        &*self.replay_store
    }

    pub(crate) fn read_context(&self, principal: &Arc<Principal>) -> ReadContext {
        ReadContext::new(Arc::clone(principal), Arc::clone(&self.environment))
    }

    /// Checks the scopes of a token.
    pub(crate) fn require(&self, principal: &Principal, needed: ScopeSet) -> Result<(), Failure> {
        self.scopes()
            .require(principal.scopes, needed)
            .map_err(|needed| Failure::Forbidden { needed })
    }

    /// Finds the feature that a request names.
    ///
    /// # Errors
    /// See [`Target::find`].
    pub(crate) fn find(
        &self,
        method: Method,
        params: &Params<'_>,
        version: ProtocolVersion,
    ) -> Result<Target, RpcError> {
        Target::find(&self.catalogue, method, params, version)
    }

    /// Starts a call and records its outcome.
    ///
    /// # Errors
    /// See [`Failure`]. The feature has not run then.
    pub(crate) fn dispatch(self: &Arc<Self>, call: Call<'_>) -> Result<Dispatched, Failure> {
        let target = match &call.target {
            Ok(target) => *target,
            Err(error) => return Err(error.clone().into()),
        };
        // Only calls of declared features are recorded, so that clients cannot add names.
        let Some(feature) = target.feature(&self.catalogue, call.method) else {
            return self.start(target, &call);
        };
        let tool = match target {
            Target::Tool(index) => Some(index),
            _ => None,
        };
        let (call, recording) = Recording::begin(&self.recorder, call, feature, tool);
        match self.start(target, &call) {
            Ok(Dispatched::Pending(pending)) => Ok(Dispatched::Pending(recording.wrap(pending))),
            outcome => {
                recording.end(recording::end_of_dispatch(&outcome));
                outcome
            }
        }
    }

    fn start(self: &Arc<Self>, target: Target, call: &Call<'_>) -> Result<Dispatched, Failure> {
        let principal = &call.context.principal;
        let granted = principal.scopes;
        let granted_or_withheld = granted.union(principal.withheld);
        let has = self.wire_format().capabilities();
        match (call.method, target) {
            (Method::Ping, _) => Ok(Dispatched::Ready(Answer::Empty)),
            (Method::Discover, _) => {
                let discovery = self.catalogue.discovery(granted_or_withheld, call.version);
                Ok(Dispatched::Ready(Answer::Ready(discovery)))
            }
            (Method::ListTools, _) if has.tools => Self::one_page(call.params, || {
                self.catalogue.tool_list(granted, call.version)
            }),
            (Method::ListResourceTemplates, _) if has.resources => {
                Self::one_page(call.params, || {
                    self.catalogue.template_list(granted, call.version)
                })
            }
            (Method::ListPrompts, _) if has.prompts => Self::one_page(call.params, || {
                self.catalogue.prompt_list(granted, call.version)
            }),
            (Method::ListResources, _) if has.resources => {
                self.list_resources(call).map(Dispatched::Pending)
            }
            (_, Target::Resource(_) | Target::Template(_)) => {
                self.read_resource(call).map(Dispatched::Pending)
            }
            (_, Target::PromptCompletion(_) | Target::TemplateCompletion(_)) => {
                self.complete(target, call).map(Dispatched::Pending)
            }
            (_, Target::Prompt(index)) => self.get_prompt(index, call).map(Dispatched::Pending),
            (_, Target::Tool(index)) => self.call_tool(index, call).map(Dispatched::Pending),
            // Subscriptions and log levels are handled by the stream or the session before this; the other
            // methods need features that are not declared.
            _ => Err(RpcError::method_not_found().into()),
        }
    }
}

#[cfg(test)]
impl Dispatcher {
    /// One of a server with a template that is listed one by one, on this thread.
    pub(crate) fn of_test() -> Self {
        use crate::features::{presentation::Presentation, replay_store::InMemoryReplayStore};
        use resource_server::clock::Clock;

        let catalogue = crate::samples::catalogue();
        let scopes = catalogue.scopes().clone();
        let clock = Clock::manual(chrono::DateTime::UNIX_EPOCH);
        Self::new(DispatcherSettings {
            catalogue,
            replay_store: Arc::new(InMemoryReplayStore::new(clock.clone())),
            environment: Environment {
                scopes,
                clock,
                presentation: Presentation::default(),
            },
            audit: AuditLog::of_test(),
            sealer: Sealer::random(),
            changes: Changes::start(&actix_rt::Arbiter::current()),
            on_call: Vec::new(),
        })
    }
}
