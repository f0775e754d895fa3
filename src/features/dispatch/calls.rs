//! Tools and prompts: what a call needs, and what it says to the client before its answer.

use std::{rc::Rc, sync::Arc};

use super::{
    Call, Dispatcher, Failure, Work,
    failure::{failure, sentence, unknown},
    require,
};
use crate::{
    cause::Cause,
    features::{
        conversation::{Client, Conversation, Round, Step, Unheard},
        prompt::PromptError,
        tool::{Context, ToolError},
    },
    journal::UseRequestState,
    mcp::{
        answer::{Answer, ToolAnswer},
        envelope::Params,
        jsonrpc::RpcError,
        object::is_object,
        outgoing::Ability,
        request_state::{self, Binding, Opened},
        shape,
        version::ProtocolVersion,
    },
};

impl Dispatcher {
    pub(super) fn call_tool(self: &Arc<Self>, call: &Call<'_>) -> Result<Work, Failure> {
        let params = call.params;
        let name = Params::string(params.name, "name")?;
        let tool = self
            .catalogue
            .tool(&name)
            .ok_or_else(|| unknown("tool", &name))?;
        let needed = tool.scopes_of_call(params.arguments);
        require(&self.catalogue, &call.principal, needed)?;
        check_arguments(params)?;
        let (context, back) = self.context(call, "tools/call", &name)?;
        let work = tool.call(context, params.arguments);
        let failed = |reason| Answer::Tool(ToolAnswer::Failed(reason));
        Ok(Box::pin(async move {
            back.use_up().await?;
            match work.await {
                Ok(output) => Ok(Answer::Tool(ToolAnswer::Done(output))),
                Err(ToolError::BadArguments(reason) | ToolError::Failed(reason)) => {
                    Ok(failed(reason))
                }
                Err(ToolError::Unheard(Unheard::TooManyOpen)) => Ok(failed(TOO_MANY_OPEN.into())),
                Err(ToolError::Unheard(unheard)) => back.explain(unheard, shape::unable_for_tool),
                Err(ToolError::Journal(error)) => sentence(error).map(failed),
            }
        }))
    }

    pub(super) fn get_prompt(self: &Arc<Self>, call: &Call<'_>) -> Result<Work, Failure> {
        let params = call.params;
        let name = Params::string(params.name, "name")?;
        let prompt = self
            .catalogue
            .prompt(&name)
            .ok_or_else(|| unknown("prompt", &name))?;
        require(&self.catalogue, &call.principal, prompt.scopes())?;
        check_arguments(params)?;
        let (context, back) = self.context(call, "prompts/get", &name)?;
        let work = prompt.get(context, params.arguments);
        let refused = |reason| RpcError::invalid_params(reason).into();
        Ok(Box::pin(async move {
            back.use_up().await?;
            match work.await {
                Ok(output) => Ok(Answer::Prompt(output)),
                Err(PromptError::BadArguments(reason)) => Err(refused(reason)),
                Err(PromptError::Unheard(unheard)) => {
                    back.explain(unheard, shape::unable_for_prompt)
                }
                Err(PromptError::Journal(error)) => Err(refused(sentence(error)?)),
            }
        }))
    }

    /// What a feature has at hand, and the way back to the client for what it needs of it first.
    fn context(
        self: &Arc<Self>,
        call: &Call<'_>,
        method: &str,
        name: &str,
    ) -> Result<(Context, WayBack), RpcError> {
        let params = call.params;
        let binding = (call.abilities.any() || params.request_state.is_some())
            .then(|| Binding::new(&call.principal, method, name, params.arguments));
        let (conversation, used) = self.conversation(call, binding.as_ref())?;
        let context = Context {
            conversation,
            principal: Arc::clone(&call.principal),
            journal: self.journal.clone(),
        };
        let back = WayBack {
            dispatcher: Arc::clone(self),
            client: Rc::clone(&call.client),
            binding,
            used,
            version: call.version,
        };
        Ok((context, back))
    }

    /// The conversation of a call, and the state that its answers came with, if any did. A state
    /// without an answer confirms nothing, and need not be used up.
    fn conversation(
        &self,
        call: &Call<'_>,
        binding: Option<&Binding>,
    ) -> Result<(Conversation, Option<UseRequestState>), RpcError> {
        let token = call.progress_token.clone();
        if !call.version.asks_in_rounds() {
            let client = Rc::clone(&call.client);
            return Ok((Conversation::at_once(token, call.abilities, client), None));
        }
        let opened = match (call.params.request_state, binding) {
            (Some(state), Some(binding)) => {
                let state = Params::string(Some(state), "requestState")?;
                let opened = self.sealer.open(binding, &state, self.clock.now());
                Some(opened.inspect_err(|_| call.client.overhear(Step::StateRefused))?)
            }
            _ => None,
        };
        let (carried, nonce) = opened
            .map(|Opened { carried, nonce }| (carried, nonce))
            .unzip();
        let round = Round::read(carried, call.params.input_responses)?;
        let user = call.principal.user;
        let used = nonce
            .filter(|_| !round.answers.is_empty())
            .map(|nonce| UseRequestState { user, nonce });
        let conversation = Conversation::in_rounds(token, call.abilities, &call.client, round);
        Ok((conversation, used))
    }
}

/// The way back to the client of a call, for what a feature needs of it first.
struct WayBack {
    dispatcher: Arc<Dispatcher>,
    client: Rc<dyn Client>,
    binding: Option<Binding>,
    used: Option<UseRequestState>,
    version: ProtocolVersion,
}

impl WayBack {
    /// Has the journal remember that the state was used: after everything that can be refused without
    /// a look at the journal, and before the feature does anything. What fails from here on leaves the
    /// state used, so that the client has to ask again; what it confirms is done at most once (P-06).
    async fn use_up(&self) -> Result<(), Failure> {
        let Some(state) = &self.used else {
            return Ok(());
        };
        match self.dispatcher.journal.ask(state.clone()).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.client.overhear(Step::StateRefused);
                Err(request_state::refused().into())
            }
            Err(error) => Err(failure(error)),
        }
    }

    /// `unable` says what a client hears that cannot do what is needed.
    fn explain(
        &self,
        unheard: Unheard,
        unable: fn(Ability, ProtocolVersion) -> Result<Answer, RpcError>,
    ) -> Result<Answer, Failure> {
        match unheard {
            Unheard::InputRequired { questions, carry } => {
                let binding = self.binding.as_ref().ok_or_else(|| Failure::Internal {
                    source: Cause::new("a question to a client that can answer none"),
                })?;
                let Dispatcher { sealer, clock, .. } = &*self.dispatcher;
                Ok(Answer::InputRequired {
                    questions,
                    state: sealer.seal(binding, &carry, clock.now()),
                })
            }
            Unheard::BadAnswer(error) => Err(error.into()),
            Unheard::Unable(ability) => Ok(unable(ability, self.version)?),
            Unheard::TooManyOpen => Err(RpcError::invalid_request(TOO_MANY_OPEN).into()),
        }
    }
}

/// What a call is told that could not ask.
const TOO_MANY_OPEN: &str = "Too many questions to the client are open in this session; call again when one of them has been answered.";

fn check_arguments(params: &Params<'_>) -> Result<(), RpcError> {
    match params.arguments {
        Some(arguments) if !is_object(arguments) => Err(RpcError::invalid_params(
            "Invalid params: arguments must be an object",
        )),
        _ => Ok(()),
    }
}
