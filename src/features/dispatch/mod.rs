//! **Lives here:** the way from a method and its parameters to an answer, the same in both eras.
//!
//! **May enter:** `http`, `actors::session`, `app`.
//!
//! **Never here:** a feature's own rules, the shape of an answer, a status.
//!
//! **Begin with** [`Dispatcher::begin`]. Then `calls.rs` (tools and prompts, which may have to ask the
//! client first) and `reads.rs` (lists, resources, completions, which never do).

mod calls;
mod failure;
mod reads;

use std::{future::Future, pin::Pin, rc::Rc, sync::Arc};

use super::{
    catalogue::Catalogue,
    conversation::Client,
    prompt::DeclaredPrompt,
    recording::{feature_of, recorded},
};
use crate::{
    domain::{
        activity::Feature,
        clock::{Clock, Timestamp},
        principal::Principal,
        scope::ScopeSet,
        trace_context::Trace,
    },
    journal::JournalHandle,
    mcp::{
        answer::Answer,
        completion::{Reference, Typed},
        envelope::Params,
        jsonrpc::RpcError,
        method::Method,
        outgoing::{Abilities, ProgressToken},
        request_state::Sealer,
        version::ProtocolVersion,
    },
};

use reads::{completed, one_page};

pub use failure::Failure;

/// Begins calls: finds the feature, holds its scopes against the token's, reads what is needed, and
/// hands back what runs then.
pub struct Dispatcher {
    catalogue: Arc<Catalogue>,
    journal: JournalHandle,
    sealer: Sealer,
    clock: Clock,
}

/// A request that the protocol has admitted.
pub struct Call<'a> {
    /// What is asked for.
    pub method: Method,
    /// In which revision.
    pub version: ProtocolVersion,
    /// With which parameters.
    pub params: &'a Params<'a>,
    /// Under which token the client wants to hear of progress, if it does.
    pub progress_token: Option<ProgressToken>,
    /// In which HTTP request, for the log.
    pub trace: Trace,
    /// By whom, according to the token of this very request.
    pub principal: Arc<Principal>,
    /// What the client can do for the server.
    pub abilities: Abilities,
    /// The client's end of the call.
    pub client: Rc<dyn Client>,
}

/// A call that was begun.
pub enum Begun {
    /// And ended at once.
    Answered(Answer),
    /// And has all that it needs to go on; dropping it cancels it.
    UnderWay(Work),
}

/// A call under way.
pub type Work = Pin<Box<dyn Future<Output = Result<Answer, Failure>>>>;

impl Dispatcher {
    /// A dispatcher over a catalogue and a journal. What clients carry between two rounds is sealed
    /// by the sealer.
    #[must_use]
    pub fn new(
        catalogue: Arc<Catalogue>,
        journal: JournalHandle,
        sealer: Sealer,
        clock: Clock,
    ) -> Self {
        Self {
            catalogue,
            journal,
            sealer,
            clock,
        }
    }

    /// The catalogue.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &JournalHandle {
        &self.journal
    }

    /// The current instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether a principal's token has ended.
    #[must_use]
    pub fn has_ended(&self, principal: &Principal) -> bool {
        principal.expires_at.is_some_and(|end| end <= self.now())
    }

    /// The declared feature that a request is of, for the log; `None` if it is of none.
    #[must_use]
    pub fn feature_of(&self, method: Method, params: &Params<'_>) -> Option<Feature> {
        feature_of(&self.catalogue, method, params)
    }

    /// What a call needs of its token, for a caller that has to know before anything runs. Nothing,
    /// if it is wrong in another way, which it will be told when it is begun.
    #[must_use]
    pub fn scopes_of(&self, method: Method, params: &Params<'_>) -> ScopeSet {
        let catalogue = &*self.catalogue;
        let name = || Params::string(params.name, "name").ok();
        let scopes = match method {
            Method::CallTool => name()
                .and_then(|name| catalogue.tool(&name))
                .map(|tool| tool.scopes_of_call(params.arguments)),
            Method::GetPrompt => name()
                .and_then(|name| catalogue.prompt(&name))
                .map(DeclaredPrompt::scopes),
            Method::ReadResource | Method::Subscribe => Params::string(params.uri, "uri")
                .ok()
                .and_then(|uri| catalogue.locate(&uri).map(|located| located.scopes())),
            Method::Complete => {
                let typed = Typed::read(params);
                let name = typed.as_ref().map_or("", |typed| &typed.name);
                Reference::read(params)
                    .and_then(|reference| completed(catalogue, &reference, name))
                    .map(|(scopes, _)| scopes)
                    .ok()
            }
            Method::Ping
            | Method::Discover
            | Method::ListTools
            | Method::ListResources
            | Method::ListResourceTemplates
            | Method::ListPrompts
            | Method::Listen
            | Method::Unsubscribe
            | Method::SetLogLevel => None,
        };
        scopes.unwrap_or(ScopeSet::EMPTY)
    }

    /// Begins a call, and records what becomes of it. The order is the ladder's: lookup, scope,
    /// parameters, and only then the work.
    ///
    /// # Errors
    /// See [`Failure`]. Nothing has been done then.
    pub fn begin(self: &Arc<Self>, call: &Call<'_>) -> Result<Begun, Failure> {
        recorded(self, call, Self::start)
    }

    fn start(self: &Arc<Self>, call: &Call<'_>) -> Result<Begun, Failure> {
        match call.method {
            Method::Ping => Ok(Begun::Answered(Answer::Empty)),
            Method::Discover => Ok(Begun::Answered(Answer::Ready(self.catalogue.discovery()))),
            Method::ListTools => one_page(call.params, || {
                self.catalogue
                    .tool_list(call.principal.scopes, call.version)
            }),
            Method::ListResourceTemplates => one_page(call.params, || {
                self.catalogue
                    .template_list(call.principal.scopes, call.version)
            }),
            Method::ListPrompts => one_page(call.params, || {
                self.catalogue
                    .prompt_list(call.principal.scopes, call.version)
            }),
            Method::ListResources => self.list_resources(call).map(Begun::UnderWay),
            Method::ReadResource => self.read_resource(call).map(Begun::UnderWay),
            Method::Complete => self.complete(call).map(Begun::UnderWay),
            Method::GetPrompt => self.get_prompt(call).map(Begun::UnderWay),
            Method::CallTool => self.call_tool(call).map(Begun::UnderWay),
            // These belong to a stream or a session, which have looked at them before.
            Method::Listen | Method::Subscribe | Method::Unsubscribe | Method::SetLogLevel => {
                Err(RpcError::method_not_found().into())
            }
        }
    }
}

/// Refuses, before anything runs, what the token does not reach.
fn require(catalogue: &Catalogue, principal: &Principal, needed: ScopeSet) -> Result<(), Failure> {
    catalogue
        .policy()
        .require(principal.scopes, needed)
        .map_err(|needed| Failure::Forbidden { needed })
}
