//! Tools and prompts: what a call needs, and what it says to the client before its answer.

use std::{rc::Rc, sync::Arc};

use super::{
    dispatcher::{Call, Dispatcher, Work},
    failure::{Failure, failure, sentence},
};
use crate::features::{
    context::Context,
    conversation::{Client, Conversation, NeedsClient, Round, Step},
    replay_store::StateNonce,
    tool_error::ToolError,
};
use mcp_protocol::{
    answer::{Answer, ToolAnswer},
    envelope::Params,
    json::object::is_object,
    jsonrpc::RpcError,
    outgoing::ClientCapability,
    request_state::{self, Binding, Opened},
    version::ProtocolVersion,
    wire_format,
};
use resource_server::{cause::Cause, principal::UserId};

impl Dispatcher {
    pub(crate) fn call_tool(
        self: &Arc<Self>,
        place: usize,
        call: &Call<'_>,
    ) -> Result<Work, Failure> {
        let params = call.params;
        let tool = self.catalogue().tool(place);
        self.require(&call.principal, tool.scopes_of_call(params.arguments))?;
        check_arguments(params)?;
        let (context, responder) = self.context(call, "tools/call", tool.name())?;
        let work = tool.call(context, params.arguments);
        let failed = |reason| Answer::Tool(ToolAnswer::Failed(reason));
        Ok(Box::pin(async move {
            responder.use_state_up().await?;
            match work.await {
                Ok(output) => Ok(Answer::Tool(ToolAnswer::Done(output))),
                Err(ToolError::NeedsClient(NeedsClient::TooManyOpen)) => {
                    Ok(failed(TOO_MANY_OPEN.into()))
                }
                Err(ToolError::NeedsClient(needs)) => {
                    responder.explain(needs, wire_format::unable_for_tool)
                }
                Err(error) => sentence(error).map(failed),
            }
        }))
    }

    pub(crate) fn get_prompt(
        self: &Arc<Self>,
        place: usize,
        call: &Call<'_>,
    ) -> Result<Work, Failure> {
        let params = call.params;
        let prompt = self.catalogue().prompt(place);
        self.require(&call.principal, prompt.scopes())?;
        check_arguments(params)?;
        let (context, responder) = self.context(call, "prompts/get", prompt.name())?;
        let work = prompt.get(context, params.arguments);
        Ok(Box::pin(async move {
            responder.use_state_up().await?;
            match work.await {
                Ok(output) => Ok(Answer::Prompt(output)),
                Err(ToolError::NeedsClient(needs)) => {
                    responder.explain(needs, wire_format::unable_for_prompt)
                }
                Err(error) => Err(RpcError::invalid_params(sentence(error)?).into()),
            }
        }))
    }

    /// What a feature has at hand, and what answers the client if the feature needs it first.
    fn context(
        self: &Arc<Self>,
        call: &Call<'_>,
        method: &str,
        name: &str,
    ) -> Result<(Context, InputRequired), RpcError> {
        let (params, principal) = (call.params, &call.principal);
        let binding = (call.capabilities.any() || params.request_state.is_some()).then(|| {
            let user = principal.user.as_uuid();
            let client = principal.client.as_deref();
            Binding::new(user.as_bytes(), client, method, name, params.arguments)
        });
        let (conversation, used_state) = self.conversation(call, binding.as_ref())?;
        let responder = InputRequired {
            dispatcher: Arc::clone(self),
            client: Rc::clone(&call.client),
            binding,
            used_state: used_state.map(|nonce| (principal.user, nonce)),
            version: call.version,
        };
        let context = Context::new(self.read_context(principal), conversation);
        Ok((context, responder))
    }

    /// The conversation of a call, and the state that its answers came with, if any did. A state
    /// without an answer confirms nothing, and need not be used up.
    fn conversation(
        &self,
        call: &Call<'_>,
        binding: Option<&Binding>,
    ) -> Result<(Conversation, Option<StateNonce>), RpcError> {
        let token = call.progress_token.clone();
        if !call.version.asks_in_rounds() {
            let client = Rc::clone(&call.client);
            return Ok((
                Conversation::at_once(token, call.capabilities, client),
                None,
            ));
        }
        let opened = match (call.params.request_state, binding) {
            (Some(state), Some(binding)) => {
                let state = Params::string(Some(state), "requestState")?;
                let opened = self.sealer().open(binding, &state, self.now());
                Some(opened.inspect_err(|_| call.client.overhear(Step::StateRefused))?)
            }
            _ => None,
        };
        let (carried, nonce) = opened
            .map(|Opened { carried, nonce }| (carried, nonce))
            .unzip();
        let round = Round::read(carried, call.params.input_responses)?;
        let used = nonce.filter(|_| !round.answers.is_empty());
        let conversation = Conversation::in_rounds(token, call.capabilities, &call.client, round);
        Ok((conversation, used))
    }
}

/// Answers the client of a call for what a feature needs of it first.
struct InputRequired {
    dispatcher: Arc<Dispatcher>,
    client: Rc<dyn Client>,
    binding: Option<Binding>,
    used_state: Option<(UserId, StateNonce)>,
    version: ProtocolVersion,
}

impl InputRequired {
    /// Marks the state as used: after everything that can be refused without asking the store, and
    /// before the feature does anything. What fails from here on leaves the state used, so that the
    /// client has to ask again; what it confirms is done at most once.
    async fn use_state_up(&self) -> Result<(), Failure> {
        let Some((user, nonce)) = self.used_state else {
            return Ok(());
        };
        let store = self.dispatcher.replay_store();
        match store.mark_used(user, nonce).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.client.overhear(Step::StateRefused);
                Err(request_state::refused().into())
            }
            Err(error) => Err(failure(error)),
        }
    }

    /// `unable` says what a client is answered that cannot do what is needed.
    fn explain(
        &self,
        needs: NeedsClient,
        unable: fn(ClientCapability, ProtocolVersion) -> Result<Answer, RpcError>,
    ) -> Result<Answer, Failure> {
        match needs {
            NeedsClient::InputRequired { questions, carry } => {
                let binding = self.binding.as_ref().ok_or_else(|| Failure::Internal {
                    source: Cause::new("a question to a client that can answer none"),
                })?;
                let (sealer, now) = (self.dispatcher.sealer(), self.dispatcher.now());
                Ok(Answer::InputRequired {
                    questions,
                    state: sealer.seal(binding, &carry, now),
                })
            }
            NeedsClient::BadAnswer(error) => Err(error.into()),
            NeedsClient::Unable(ability) => Ok(unable(ability, self.version)?),
            NeedsClient::TooManyOpen => Err(RpcError::invalid_request(TOO_MANY_OPEN).into()),
        }
    }
}

/// What the client of a call reads that could not ask.
const TOO_MANY_OPEN: &str = "Too many questions to the client are open in this session; call again when one of them has been answered.";

fn check_arguments(params: &Params<'_>) -> Result<(), RpcError> {
    match params.arguments {
        Some(arguments) if !is_object(arguments) => Err(RpcError::invalid_params(
            "Invalid params: arguments must be an object",
        )),
        _ => Ok(()),
    }
}
