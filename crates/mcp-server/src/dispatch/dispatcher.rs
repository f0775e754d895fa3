//! The dispatcher: it begins calls.

use std::{future::Future, pin::Pin, rc::Rc, sync::Arc};

use super::{
    failure::Failure,
    recording::{self, Recording},
};
use crate::features::{
    call_record::CallRecord,
    catalogue::Catalogue,
    changes::Changes,
    context::{Environment, ReadContext},
    conversation::Client,
    replay_store::ReplayStore,
    target::Target,
};
use mcp_protocol::{
    answer::Answer,
    envelope::Params,
    jsonrpc::RpcError,
    method::Method,
    outgoing::{ClientCapabilities, ProgressToken},
    request_state::Sealer,
    version::ProtocolVersion,
    wire_format::WireFormat,
};
use resource_server::{
    clock::Timestamp,
    principal::Principal,
    scope::{ScopeSet, Scopes},
    trace_context::Trace,
};

/// Begins calls: finds the feature, compares its scopes with the token's, reads what is needed, and
/// returns what does the rest.
pub struct Dispatcher {
    catalogue: Catalogue,
    environment: Arc<Environment>,
    sealer: Sealer,
    replay_store: Arc<dyn ReplayStore>,
    changes: Changes,
    on_call: Vec<OnCall>,
}

/// What a dispatcher is made of.
pub struct DispatcherSettings {
    /// The features.
    pub catalogue: Catalogue,
    /// What all calls have in common.
    pub environment: Environment,
    /// Seals what clients carry between two rounds of a call.
    pub sealer: Sealer,
    /// Remembers which sealed states were used.
    pub replay_store: Arc<dyn ReplayStore>,
    /// Tells sessions and streams of changes.
    pub changes: Changes,
    /// Called when a call of a declared feature has ended, in whichever way.
    pub on_call: Vec<OnCall>,
}

/// See [`DispatcherSettings::on_call`].
pub type OnCall = Box<dyn Fn(CallRecord) + Send + Sync>;

/// A request that the protocol has admitted.
pub struct Call<'a> {
    /// What is asked for.
    pub method: Method,
    /// What it is about.
    pub target: Result<Target, RpcError>,
    /// In which revision.
    pub version: ProtocolVersion,
    /// With which parameters.
    pub params: &'a Params<'a>,
    /// The token of the progress notifications that the client asks for, if it does.
    pub progress_token: Option<ProgressToken>,
    /// In which HTTP request, for the log.
    pub trace: Trace,
    /// On whose behalf, according to the token of this very request.
    pub principal: Arc<Principal>,
    /// What the client can do for the server.
    pub capabilities: ClientCapabilities,
    /// The client's end of the call.
    pub client: Rc<dyn Client>,
}

/// A call that was begun.
pub enum Begun {
    /// It was answered at once.
    Answered(Answer),
    /// It has all that it needs to go on; dropping it cancels it.
    UnderWay(Work),
}

/// A call under way.
pub type Work = Pin<Box<dyn Future<Output = Result<Answer, Failure>>>>;

impl Dispatcher {
    /// A dispatcher.
    #[must_use]
    pub fn new(settings: DispatcherSettings) -> Self {
        Self {
            catalogue: settings.catalogue,
            environment: Arc::new(settings.environment),
            sealer: settings.sealer,
            replay_store: settings.replay_store,
            changes: settings.changes,
            on_call: settings.on_call,
        }
    }

    /// The features.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The declared scopes.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.environment.scopes
    }

    /// Gives answers the shape of a revision.
    #[must_use]
    pub fn wire(&self) -> &WireFormat {
        self.catalogue.wire()
    }

    /// Tells sessions and streams of changes.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The current instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.environment.clock.now()
    }

    /// Whether a principal's token has ended.
    #[must_use]
    pub fn has_ended(&self, principal: &Principal) -> bool {
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

    pub(crate) fn record(&self, record: &CallRecord) {
        for on_call in &self.on_call {
            on_call(record.clone());
        }
    }

    /// Refuses, before anything runs, what the token does not reach.
    pub(crate) fn require(&self, principal: &Principal, needed: ScopeSet) -> Result<(), Failure> {
        self.scopes()
            .require(principal.scopes, needed)
            .map_err(|needed| Failure::Forbidden { needed })
    }

    /// Finds what a request is about.
    ///
    /// # Errors
    /// Those of [`Target::find`].
    pub fn find(
        &self,
        method: Method,
        params: &Params<'_>,
        version: ProtocolVersion,
    ) -> Result<Target, RpcError> {
        Target::find(&self.catalogue, method, params, version)
    }

    /// Begins a call, and records what becomes of it.
    ///
    /// # Errors
    /// See [`Failure`]. Nothing has been done then.
    pub fn begin(self: &Arc<Self>, call: Call<'_>) -> Result<Begun, Failure> {
        let target = match &call.target {
            Ok(target) => *target,
            Err(error) => return Err(error.clone().into()),
        };
        // A call of nothing that is declared is not recorded: no client adds names to what is kept.
        let Some(feature) = target.feature(&self.catalogue, call.method) else {
            return self.start(target, &call);
        };
        let (call, recording) = Recording::begin(self, call, feature);
        match self.start(target, &call) {
            Ok(Begun::UnderWay(work)) => Ok(Begun::UnderWay(recording.of_work(work))),
            outcome => {
                recording.end(recording::outcome_of_begin(&outcome));
                outcome
            }
        }
    }

    fn start(self: &Arc<Self>, target: Target, call: &Call<'_>) -> Result<Begun, Failure> {
        let granted = call.principal.scopes;
        let has = self.wire().capabilities();
        match (call.method, target) {
            (Method::Ping, _) => Ok(Begun::Answered(Answer::Empty)),
            (Method::Discover, _) => Ok(Begun::Answered(Answer::Ready(self.catalogue.discovery()))),
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
                self.list_resources(call).map(Begun::UnderWay)
            }
            (_, Target::Resource(_) | Target::Template(_)) => {
                self.read_resource(call).map(Begun::UnderWay)
            }
            (_, Target::PromptCompletion(_) | Target::TemplateCompletion(_)) => {
                self.complete(target, call).map(Begun::UnderWay)
            }
            (_, Target::Prompt(place)) => self.get_prompt(place, call).map(Begun::UnderWay),
            (_, Target::Tool(place)) => self.call_tool(place, call).map(Begun::UnderWay),
            // Subscriptions and log levels belong to a stream or a session, which looks at them first;
            // and what was not declared is not served.
            _ => Err(RpcError::method_not_found().into()),
        }
    }
}

#[cfg(test)]
impl Dispatcher {
    /// One of a server with a template that is listed one by one, on this thread.
    pub(crate) fn of_test() -> Self {
        use crate::features::{
            catalogue::Features,
            replay_store::ReplayMemory,
            resource::{Contents, DeclaredTemplate, ResourceTemplate},
            tool_error::ToolError,
        };
        use mcp_protocol::server_info::ServerInfo;
        use resource_server::clock::Clock;

        struct Report;

        impl ResourceTemplate for Report {
            const URI_TEMPLATE: &'static str = "files://reports/{id}";
            const NAME: &'static str = "report";
            const DESCRIPTION: &'static str = "A report.";
            const SCOPES: &'static [&'static str] = &["files:read"];
            const LISTED: bool = true;

            type Id = i64;

            async fn read(&self, _: ReadContext, _: i64) -> Result<Contents, ToolError> {
                Ok(Contents::text(""))
            }
        }

        let features = Features {
            templates: vec![DeclaredTemplate::new(Report)],
            ..Features::default()
        };
        let (scopes, clock) = (
            crate::samples::scopes(),
            Clock::manual(chrono::DateTime::UNIX_EPOCH),
        );
        let info = ServerInfo::new("files", "1.0.0");
        let catalogue = Catalogue::new(features, scopes.clone(), info);
        Self::new(DispatcherSettings {
            catalogue: catalogue.expect("the declarations are right"),
            replay_store: Arc::new(ReplayMemory::new(clock.clone())),
            environment: Environment { scopes, clock },
            sealer: Sealer::random(),
            changes: Changes::start(&actix_rt::Arbiter::current()),
            on_call: Vec::new(),
        })
    }
}
