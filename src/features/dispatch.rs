//! From a method and its parameters to an answer, the same way in both eras.

use std::{future::Future, pin::Pin, rc::Rc, sync::Arc};

use derive_more::Display;

use super::{
    catalogue::Catalogue,
    conversation::{Client, Conversation, Round},
    tool::{Context, ToolError},
};
use crate::{
    actors::journal::JournalHandle,
    domain::{
        clock::Clock,
        journal::{Cause, JournalError},
        principal::Principal,
        scope::ScopeSet,
    },
    mcp::{
        answer::{Answer, ToolAnswer},
        envelope::{Params, is_object},
        jsonrpc::{RpcError, code},
        method::Method,
        outgoing::Abilities,
        request_state::{Binding, Sealer},
        version::ProtocolVersion,
    },
};

/// Why there is no answer.
#[derive(Debug, Display)]
pub enum Failure {
    /// The request is wrong, in the protocol's words.
    #[display("{}", _0.message)]
    Rpc(RpcError),
    /// The token does not reach so far. Found before anything ran.
    #[display("the call needs {needed}")]
    Forbidden {
        /// Everything that this call needs.
        needed: ScopeSet,
    },
    /// As much is under way as may be; try again soon.
    #[display("the journal is busy")]
    Busy,
    /// The journal's database is out of reach; try again later.
    #[display("the journal is unavailable")]
    Unavailable {
        /// Why, for the log alone.
        source: Cause,
    },
    /// Our fault.
    #[display("internal error")]
    Internal {
        /// Why, for the log alone.
        source: Cause,
    },
}

impl Failure {
    /// The failure as the last message of a stream, whose status has long been sent. The words for
    /// what is not the client's fault are fixed; the cause is for the log.
    #[must_use]
    pub fn in_band(self) -> RpcError {
        let (text, cause) = match self {
            Self::Rpc(error) => return error,
            Self::Forbidden { needed } => {
                return RpcError::invalid_request(format!("This needs a token with: {needed}"));
            }
            Self::Busy => ("The server is busy; try again soon", None),
            Self::Unavailable { source } => (
                "The journal cannot be reached at the moment; try again later",
                Some(source),
            ),
            Self::Internal { source } => ("Something went wrong on the server", Some(source)),
        };
        log::warn!(
            "a call failed after its stream began: {text}{}",
            cause.map(|cause| format!(": {cause}")).unwrap_or_default()
        );
        RpcError::new(code::INTERNAL_ERROR, text)
    }
}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Self {
        Self::Rpc(error)
    }
}

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
    /// A dispatcher over a catalogue and a journal.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>, journal: JournalHandle, clock: Clock) -> Self {
        Self {
            catalogue,
            journal,
            sealer: Sealer::new(),
            clock,
        }
    }

    /// The catalogue.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Begins a call. The order is the ladder's: lookup, scope, parameters, and only then the work.
    ///
    /// # Errors
    /// See [`Failure`]. Nothing has been done then.
    pub fn begin(self: &Arc<Self>, call: Call<'_>) -> Result<Begun, Failure> {
        match call.method {
            Method::Ping => Ok(Begun::Answered(Answer::Empty)),
            Method::Discover => Ok(Begun::Answered(Answer::Ready(self.catalogue.discovery()))),
            Method::ListTools => {
                if call.params.cursor.is_some() {
                    // The list is one page, so no cursor was ever given out.
                    return Err(RpcError::invalid_params("Invalid params: unknown cursor").into());
                }
                let list = self
                    .catalogue
                    .tool_list(call.principal.scopes, call.version);
                Ok(Begun::Answered(Answer::Ready(list)))
            }
            Method::CallTool => self.call_tool(call).map(Begun::UnderWay),
        }
    }

    fn call_tool(self: &Arc<Self>, call: Call<'_>) -> Result<Work, Failure> {
        let params = call.params;
        let name = Params::string(params.name, "name")?;
        let tool = self.catalogue.tool(&name).ok_or_else(|| {
            let name: String = name.chars().take(128).collect();
            RpcError::invalid_params(format!("Unknown tool: {name}"))
        })?;
        self.catalogue
            .policy()
            .require(call.principal.scopes, tool.scopes_of_call(params.arguments))
            .map_err(|needed| Failure::Forbidden { needed })?;
        if params
            .arguments
            .is_some_and(|arguments| !is_object(arguments))
        {
            return Err(
                RpcError::invalid_params("Invalid params: arguments must be an object").into(),
            );
        }
        let binding = (call.abilities.any() || params.request_state.is_some())
            .then(|| Binding::new(&call.principal, "tools/call", &name, params.arguments));
        let work = tool.call(
            Context {
                conversation: self.conversation(&call, binding.as_ref())?,
                principal: call.principal,
                journal: self.journal.clone(),
            },
            params.arguments,
        );
        let dispatcher = Arc::clone(self);
        Ok(Box::pin(async move {
            match work.await {
                Ok(output) => Ok(Answer::Tool(ToolAnswer::Done(output))),
                Err(error) => dispatcher.explain(error, binding.as_ref()),
            }
        }))
    }

    /// The conversation of a call. What a modern client brought back is opened here, once.
    fn conversation(
        &self,
        call: &Call<'_>,
        binding: Option<&Binding>,
    ) -> Result<Conversation, RpcError> {
        let token = call.params.progress_token();
        if !call.version.is_modern() {
            return Ok(Conversation::at_once(
                token,
                call.abilities,
                Rc::clone(&call.client),
            ));
        }
        let carried = match (call.params.request_state, binding) {
            (Some(state), Some(binding)) => {
                let state = Params::string(Some(state), "requestState")?;
                Some(self.sealer.open(binding, &state, self.clock.now())?)
            }
            _ => None,
        };
        Ok(Conversation::in_rounds(
            token,
            call.abilities,
            &call.client,
            Round::read(carried, call.params.input_responses)?,
        ))
    }

    fn explain(&self, error: ToolError, binding: Option<&Binding>) -> Result<Answer, Failure> {
        match error {
            ToolError::BadArguments(reason) => Ok(Answer::Tool(ToolAnswer::Failed(reason))),
            ToolError::BadRequest(error) => Err(error.into()),
            ToolError::Journal(error) => told_to_the_model(error),
            ToolError::InputRequired { questions, carry } => {
                let binding = binding.ok_or_else(|| Failure::Internal {
                    source: Cause::new("a question to a client that can answer none"),
                })?;
                Ok(Answer::InputRequired {
                    questions,
                    state: self.sealer.seal(binding, &carry, self.clock.now()),
                })
            }
        }
    }
}

/// What a model can mend is told to it; the rest is the client's or the operator's business.
fn told_to_the_model(error: JournalError) -> Result<Answer, Failure> {
    let text = match error {
        JournalError::NoSuchEntry(id) => format!("There is no entry {id}."),
        JournalError::NoSuchTag(id) => format!("There is no tag {id}."),
        JournalError::TagNameTaken => {
            "There is a tag of that name already; names are compared without regard to case."
                .to_owned()
        }
        JournalError::IdempotencyKeyReused => {
            "`idempotencyKey` was used within the last 24 hours with other arguments; choose another key for another write."
                .to_owned()
        }
        JournalError::Busy => return Err(Failure::Busy),
        JournalError::Unavailable { source } => return Err(Failure::Unavailable { source }),
        JournalError::Corrupt { source } => return Err(Failure::Internal { source }),
    };
    Ok(Answer::Tool(ToolAnswer::Failed(text)))
}
