//! Responses and headers of both eras.

use actix_web::{
    HttpResponse,
    body::BoxBody,
    http::header::{HeaderMap, HeaderName},
};
use mcp_protocol::{
    answer::{Answer, ToolAnswer},
    era::Era,
    headers::{Field, Headers},
    jsonrpc::{Id, Incoming},
    rpc_error::{RpcError, code},
    status,
    version::ProtocolVersion,
};
use resource_server::{cause::Cause, principal::Principal, scope::ScopeSet};

use super::{json_response, streamed_resource};
use crate::{
    budgets::Use,
    dispatch::Failure,
    http::{
        auth::authenticate::Caller,
        edge::{body::BodyWithGuard, error::HttpError},
        state::AppState,
    },
    metrics::Outcome,
};

pub(crate) static SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
static PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
static MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
static MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What a resource that is sent in parts takes of the memory for answers, in bytes: a part and what it becomes
/// when it is written as JSON.
const LONGEST_PART: usize = 512 * 1_024;

/// The HTTP response for an outcome.
pub(crate) fn respond(
    outcome: Result<Answer, Failure>,
    id: &Id,
    version: ProtocolVersion,
    caller: &Caller,
    state: &AppState,
) -> Result<HttpResponse, HttpError> {
    let over = |over| HttpError::OverBudget {
        id: Some(id.clone()),
        over,
    };
    let wire = state.dispatcher.wire_format();
    let era = Era::of(version);
    match outcome {
        Ok(Answer::Streamed(document)) => {
            let taken = caller
                .account
                .take(Use::Answers, LONGEST_PART)
                .map_err(over)?;
            let response = streamed_resource::response(&document, id, version, wire);
            let guard = (taken, caller.held());
            Ok(response.map_body(|_, body| BoxBody::new(BodyWithGuard { body, guard })))
        }
        Ok(Answer::Ready(result)) => Ok(json_response::ready(result, id)),
        Ok(answer) => match wire.response(id, &answer, version) {
            Ok(response) => {
                let mut response =
                    json_response::json_of(&caller.account, response).map_err(over)?;
                if let Answer::Tool(ToolAnswer::Failed(_)) = answer {
                    response.extensions_mut().insert(Outcome::ToolError);
                }
                Ok(response)
            }
            Err(error) => respond(Err(error.into()), id, version, caller, state),
        },
        Err(Failure::Rpc(error)) => Err(HttpError::Rpc {
            status: status::of_error(era, &error),
            id: Some(id.clone()),
            error,
        }),
        Err(Failure::Forbidden { needed }) => Err(forbidden(
            id.clone(),
            needed,
            version,
            &caller.context.principal,
        )),
        Err(Failure::Busy) => Err(HttpError::Busy(Some(id.clone()))),
        Err(Failure::ShareUsedUp { message }) => Err(HttpError::ShareUsedUp {
            id: id.clone(),
            message,
        }),
        Err(Failure::Unavailable {
            code,
            message,
            source,
        }) => Err(HttpError::Unavailable {
            id: id.clone(),
            code,
            message,
            source,
        }),
        Err(Failure::Internal { source }) => Err(HttpError::Internal {
            status: status::of_error(era, &RpcError::new(code::INTERNAL_ERROR, "")),
            id: Some(id.clone()),
            source,
        }),
    }
}

/// The challenge for scopes that the token lacks; an outage if they are only withheld because the cached
/// introspection result is stale.
pub(crate) fn forbidden(
    id: impl Into<Option<Id>>,
    needed: ScopeSet,
    version: ProtocolVersion,
    principal: &Principal,
) -> HttpError {
    if !needed.minus(principal.scopes).is_empty()
        && principal.scopes.union(principal.withheld).contains(needed)
    {
        return HttpError::IssuerUnavailable {
            retry_after: None,
            source: Cause::new("the introspection result is too old for anything but reading"),
        };
    }
    let needed = if Era::of(version).replaces_scopes() {
        needed.union(principal.scopes)
    } else {
        needed
    };
    HttpError::Forbidden {
        id: id.into(),
        needed,
    }
}

pub(crate) fn mcp_headers(headers: &HeaderMap) -> Headers<'_> {
    let field =
        |name: &HeaderName| Field::gather(headers.get_all(name).map(|value| value.as_bytes()));
    Headers {
        protocol_version: field(&PROTOCOL_VERSION),
        method: field(&MCP_METHOD),
        name: field(&MCP_NAME),
        session_id: field(&SESSION_ID),
    }
}

pub(crate) fn id_of(incoming: &Incoming<'_>) -> Option<Id> {
    match incoming {
        Incoming::Request(request) => Some(request.id.clone()),
        Incoming::Notification(_) | Incoming::Response(_) => None,
    }
}

pub(crate) fn accepted() -> HttpResponse {
    HttpResponse::Accepted().finish()
}
