//! JSON-RPC batches (MCP 2025-03-26 only). A batch is accepted or refused as a whole; an accepted one is
//! answered message by message.

use std::{collections::HashSet, sync::Arc};

use actix_web::HttpResponse;
use futures_util::{StreamExt, stream};
use serde_json::value::RawValue;

use super::{
    json_response, legacy,
    reply::{accepted, forbidden},
};
use crate::http::{auth::authenticate::Caller, edge::error::HttpError, state::AppState};
use crate::{
    budgets::{Account, Held, Taken},
    dispatch::{Dispatcher, Failure},
    features::target::Target,
    request_context::RequestContext,
    session::{Reply, SessionError, SessionHandle, SessionRequest, response_message},
};
use mcp_protocol::{
    envelope::OwnedParams,
    headers::{Field, Headers},
    jsonrpc::{self, Id, Incoming},
    method::Method,
    rpc_error::RpcError,
    version::ProtocolVersion,
};
use resource_server::{cause::Cause, principal::Principal, revocation::ActiveUse, scope::ScopeSet};

/// The maximum number of messages.
const LONGEST: usize = 20;

/// Messages of a batch that run at once, so that it leaves capacity for other requests.
const AT_ONCE: usize = 4;

pub(crate) async fn answer(
    members: &[&RawValue],
    headers: &Headers<'_>,
    caller: &Caller,
    state: &AppState,
) -> Result<HttpResponse, HttpError> {
    caller.accepts.need_json()?;
    let principal = &caller.context.principal;
    let not_supported =
        || refused("Invalid request: batches are not supported; send one message per POST");
    let Some(sessions) = &state.sessions else {
        return Err(not_supported());
    };
    if headers.session_id == Field::Absent {
        return Err(not_supported());
    }
    let session = legacy::find(headers, caller, sessions, state, None).await?;
    if !session.version().has_batches() {
        return Err(not_supported());
    }
    let version = session.version();
    let messages: Vec<_> = read(members)?
        .iter()
        .map(|message| Message::of(message, version, &state.dispatcher))
        .collect();
    check_scopes(&messages, version, &state.dispatcher, principal)?;
    let permit = session
        .admit_batch()
        .await
        .map_err(|error| HttpError::session(error, None))?;
    let dispatcher = Arc::clone(&state.dispatcher);
    let callers: Vec<_> = messages
        .iter()
        .map(|_| {
            (
                caller.context.clone(),
                legacy::active_use(caller, state),
                caller.held(),
            )
        })
        .collect();
    let account = caller.account.clone();
    let run = async move {
        let _permit = permit;
        run(messages, session, callers, &account, &dispatcher).await
    };
    // Like a single call of a session, a batch goes on when the connection is closed (MCP 2025-03-26,
    // Transports, Streamable HTTP).
    let answers = actix_web::rt::spawn(run)
        .await
        .map_err(|error| HttpError::Internal {
            status: 500,
            id: None,
            source: Cause::new(error),
        })?
        .map_err(|error| HttpError::session(error, None))?;
    if answers.is_empty() {
        return Ok(accepted());
    }
    let texts: Vec<_> = answers.iter().map(|answer| answer.text.as_str()).collect();
    let document = format!("[{}]", texts.join(","));
    // Counted as a whole from here on.
    drop(answers);
    Ok(json_response::json_of(&caller.account, document)?)
}

/// Reads the messages. None of them has been executed yet.
pub(crate) fn read<'a>(members: &[&'a RawValue]) -> Result<Vec<Incoming<'a>>, HttpError> {
    if !(1..=LONGEST).contains(&members.len()) {
        return Err(refused(&format!(
            "Invalid request: a batch must have 1 to {LONGEST} messages"
        )));
    }
    let messages = members
        .iter()
        .map(|member| jsonrpc::read_member(member))
        .collect::<Result<Vec<_>, _>>()
        // Without an id: the client waits for a response to the batch.
        .map_err(|failed| refused(&failed.error.message))?;
    let mut ids = HashSet::new();
    for message in &messages {
        let is_new = match message {
            Incoming::Request(request) if request.method == "initialize" => {
                return Err(refused(
                    "Invalid request: initialize must not be part of a batch",
                ));
            }
            Incoming::Request(request) => ids.insert(request.id.as_json()),
            Incoming::Notification(_) | Incoming::Response(_) => true,
        };
        if !is_new {
            return Err(refused(
                "Invalid request: the requests of a batch must have different ids",
            ));
        }
        if message
            .params()
            .is_ok_and(|params| params.claims_envelope())
        {
            return Err(refused(
                "Invalid request: a batch has no place for requests of another revision",
            ));
        }
    }
    Ok(messages)
}

/// Refuses the batch, before any of it runs, if the token lacks a scope for any message. The challenge names
/// the scopes of all messages, so that one step-up is enough.
fn check_scopes(
    messages: &[Message],
    version: ProtocolVersion,
    dispatcher: &Dispatcher,
    principal: &Principal,
) -> Result<(), HttpError> {
    let catalogue = dispatcher.catalogue();
    let (mut all, mut lacking) = (ScopeSet::EMPTY, None);
    for message in messages {
        if let Message::Request {
            id, target, params, ..
        } = message
            && let Ok(target) = target
        {
            let needed = target.scopes(catalogue, &params.borrow());
            all = all.union(needed);
            if lacking.is_none()
                && dispatcher
                    .scopes()
                    .require(principal.scopes, needed)
                    .is_err()
            {
                lacking = Some(id.clone());
            }
        }
    }
    match lacking {
        None => Ok(()),
        Some(id) => Err(forbidden(id, all, version, principal)),
    }
}

/// A message of an accepted batch.
#[expect(
    clippy::large_enum_variant,
    reason = "most messages of a batch are requests"
)]
enum Message {
    Request {
        id: Id,
        method: Option<Method>,
        target: Result<Target, RpcError>,
        params: OwnedParams,
    },
    Cancellation {
        id: Id,
    },
    OtherNotification,
    Response {
        id: Id,
        result: Option<Box<RawValue>>,
    },
}

impl Message {
    fn of(incoming: &Incoming<'_>, version: ProtocolVersion, dispatcher: &Dispatcher) -> Self {
        match incoming {
            Incoming::Request(request) => {
                let method = Method::find(&request.method, version);
                let params = request.params();
                let target = match (method, &params) {
                    (Some(method), Ok(params)) => dispatcher.find(method, params, version),
                    (_, Err(error)) => Err(error.clone()),
                    (None, Ok(_)) => Ok(Target::Method),
                };
                Self::Request {
                    id: request.id.clone(),
                    method,
                    target,
                    params: params.as_ref().map(OwnedParams::from).unwrap_or_default(),
                }
            }
            Incoming::Notification(notification) => {
                let params = incoming.params().unwrap_or_default();
                match legacy::cancelled_request(&notification.method, &params) {
                    Some(id) => Self::Cancellation { id },
                    None => Self::OtherNotification,
                }
            }
            Incoming::Response(response) => Self::Response {
                id: response.id.clone(),
                result: response.result.map(ToOwned::to_owned),
            },
        }
    }
}

/// A response, and what it takes of the budget until the whole batch has been answered.
struct CountedText {
    text: String,
    #[expect(dead_code, reason = "held for its drop")]
    taken: Option<Taken>,
}

/// The caller of one message.
type MessageCaller = (RequestContext, ActiveUse, Held);

/// The responses in the order of the requests.
///
/// # Errors
/// If the session ends meanwhile.
async fn run(
    messages: Vec<Message>,
    session: SessionHandle,
    callers: Vec<MessageCaller>,
    account: &Account,
    dispatcher: &Dispatcher,
) -> Result<Vec<CountedText>, SessionError> {
    let mut answers = stream::iter(messages.into_iter().zip(callers))
        .map(|(message, caller)| run_one(message, &session, caller, account, dispatcher))
        .buffered(AT_ONCE);
    let mut texts = Vec::new();
    while let Some(answer) = answers.next().await {
        texts.extend(answer?);
    }
    Ok(texts)
}

async fn run_one(
    message: Message,
    session: &SessionHandle,
    (context, active_use, held): MessageCaller,
    account: &Account,
    dispatcher: &Dispatcher,
) -> Result<Option<CountedText>, SessionError> {
    let version = session.version();
    match message {
        Message::Cancellation { id } => {
            session.cancel(id).await?;
            Ok(None)
        }
        Message::OtherNotification => Ok(None),
        Message::Response { id, result } => {
            // A response has no reply, so one that is refused is ignored.
            let _ = session
                .handle_response(id, result, context.principal.scopes, dispatcher.scopes())
                .await?;
            Ok(None)
        }
        Message::Request {
            id,
            method,
            target,
            params,
        } => {
            let outcome = match method {
                None => Err(Failure::Rpc(RpcError::method_not_found())),
                Some(method) => {
                    let request = SessionRequest {
                        context,
                        active_use,
                        held,
                        id: id.clone(),
                        method,
                        target,
                        params,
                    };
                    match session.call_without_stream(request).await? {
                        Reply::Complete(outcome) => outcome,
                        // The client cancelled it and expects no answer.
                        Reply::Cancelled | Reply::Stream(_) => return Ok(None),
                    }
                }
            };
            let text = response_message(outcome, &id, version, dispatcher);
            let counted = match account.take_for_answer(text.len()) {
                Ok(taken) => CountedText {
                    text,
                    taken: Some(taken),
                },
                Err(over) => CountedText {
                    text: response_message(Err(over.into()), &id, version, dispatcher),
                    taken: None,
                },
            };
            Ok(Some(counted))
        }
    }
}

fn refused(message: &str) -> HttpError {
    legacy::bad_request(RpcError::invalid_request(message), None)
}
