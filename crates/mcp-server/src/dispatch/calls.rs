//! Tools and prompts: the context of a call, and the responses to what a feature needs of the client.

use std::{rc::Rc, sync::Arc};

use super::{
    call::{Call, PendingAnswer},
    dispatcher::Dispatcher,
    failure::{Failure, failure, sentence},
};
use crate::features::{
    context::Context,
    conversation::{AuditEvent, ClientInput, Conversation, NeedsClient, Peer},
    replay_store::StateNonce,
    tool_error::ToolError,
};
use mcp_protocol::{
    answer::{Answer, ToolAnswer},
    envelope::Params,
    json::object::is_object,
    outgoing::ClientCapability,
    request_state::{self, Binding, Opened},
    rpc_error::RpcError,
    version::ProtocolVersion,
    wire_format,
};
use resource_server::{cause::Cause, principal::UserId};

impl Dispatcher {
    pub(crate) fn call_tool(
        self: &Arc<Self>,
        index: usize,
        call: &Call<'_>,
    ) -> Result<PendingAnswer, Failure> {
        let params = call.params;
        let tool = self.catalogue().tool(index);
        self.require(
            &call.context.principal,
            tool.scopes_of_call(params.arguments),
        )?;
        check_arguments(params)?;
        let (context, responder) = self.context(call, "tools/call", tool.name())?;
        let pending = tool.call(context, params.arguments);
        let failed = |reason| Answer::Tool(ToolAnswer::Failed(reason));
        Ok(Box::pin(async move {
            responder.use_state_up().await?;
            match pending.await {
                Ok(output) => Ok(Answer::Tool(ToolAnswer::Done(output))),
                Err(ToolError::NeedsClient(NeedsClient::TooManyPending)) => {
                    Ok(failed(TOO_MANY_PENDING.into()))
                }
                Err(ToolError::NeedsClient(needs)) => {
                    responder.explain(needs, wire_format::unsupported_by_tool)
                }
                Err(error) => sentence(error).map(failed),
            }
        }))
    }

    pub(crate) fn get_prompt(
        self: &Arc<Self>,
        index: usize,
        call: &Call<'_>,
    ) -> Result<PendingAnswer, Failure> {
        let params = call.params;
        let prompt = self.catalogue().prompt(index);
        self.require(&call.context.principal, prompt.scopes())?;
        check_arguments(params)?;
        let (context, responder) = self.context(call, "prompts/get", prompt.name())?;
        let pending = prompt.get(context, params.arguments);
        Ok(Box::pin(async move {
            responder.use_state_up().await?;
            match pending.await {
                Ok(output) => Ok(Answer::Prompt(output)),
                Err(ToolError::NeedsClient(needs)) => {
                    responder.explain(needs, wire_format::unsupported_by_prompt)
                }
                Err(error) => Err(RpcError::invalid_params(sentence(error)?).into()),
            }
        }))
    }

    /// The context of a feature, and what responds to the client if the feature needs it first.
    fn context(
        self: &Arc<Self>,
        call: &Call<'_>,
        method: &str,
        name: &str,
    ) -> Result<(Context, InputRequired), RpcError> {
        let (params, principal) = (call.params, &call.context.principal);
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

    /// The conversation of a call, and the nonce of its request state if the client sent responses. A state
    /// without a response confirms nothing and need not be marked as used.
    fn conversation(
        &self,
        call: &Call<'_>,
        binding: Option<&Binding>,
    ) -> Result<(Conversation, Option<StateNonce>), RpcError> {
        let token = call.progress_token.clone();
        if !call.version.has_multi_round_trips() {
            let client = Rc::clone(&call.client);
            return Ok((Conversation::inline(token, call.capabilities, client), None));
        }
        let opened = match (call.params.request_state, binding) {
            (Some(state), Some(binding)) => {
                let state = Params::string(Some(state), "requestState")?;
                let opened = self.sealer().open(binding, &state, self.now());
                Some(opened.inspect_err(|_| call.client.audit(AuditEvent::StateRefused))?)
            }
            _ => None,
        };
        let (state, nonce) = opened
            .map(|Opened { payload, nonce }| (payload, nonce))
            .unzip();
        let input = ClientInput::read(state, call.params.input_responses)?;
        let used = nonce.filter(|_| !input.responses.is_empty());
        let conversation =
            Conversation::multi_round_trip(token, call.capabilities, &call.client, input);
        Ok((conversation, used))
    }
}

/// Responds to the client if a feature needs it first.
struct InputRequired {
    dispatcher: Arc<Dispatcher>,
    client: Rc<dyn Peer>,
    binding: Option<Binding>,
    used_state: Option<(UserId, StateNonce)>,
    version: ProtocolVersion,
}

impl InputRequired {
    /// Marks the state as used: after all checks that need no store, and before the feature runs. If the call
    /// fails after this, the state stays used and the client has to start over, so what it confirms is done
    /// at most once.
    async fn use_state_up(&self) -> Result<(), Failure> {
        let Some((user, nonce)) = self.used_state else {
            return Ok(());
        };
        let store = self.dispatcher.replay_store();
        match store.mark_used(user, nonce).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.client.audit(AuditEvent::StateRefused);
                Err(request_state::refused().into())
            }
            Err(error) => Err(failure(error)),
        }
    }

    /// The answer for what a feature needs. `unsupported` gives the answer to a client without the
    /// capability.
    fn explain(
        &self,
        needs: NeedsClient,
        unsupported: fn(ClientCapability, ProtocolVersion) -> Result<Answer, RpcError>,
    ) -> Result<Answer, Failure> {
        match needs {
            NeedsClient::InputRequired { requests, state } => {
                let binding = self.binding.as_ref().ok_or_else(|| Failure::Internal {
                    source: Cause::new("a request to a client without capabilities"),
                })?;
                let (sealer, now) = (self.dispatcher.sealer(), self.dispatcher.now());
                Ok(Answer::InputRequired {
                    requests,
                    state: sealer.seal(binding, &state, now),
                })
            }
            NeedsClient::BadAnswer(error) => Err(error.into()),
            NeedsClient::Unsupported(capability) => Ok(unsupported(capability, self.version)?),
            NeedsClient::TooManyPending => Err(RpcError::invalid_request(TOO_MANY_PENDING).into()),
        }
    }
}

/// The answer if a request could not be sent to the client.
const TOO_MANY_PENDING: &str = "Too many questions to the client are open in this session; call again when one of them has been answered.";

fn check_arguments(params: &Params<'_>) -> Result<(), RpcError> {
    match params.arguments {
        Some(arguments) if !is_object(arguments) => Err(RpcError::invalid_params(
            "Invalid params: arguments must be an object",
        )),
        _ => Ok(()),
    }
}
