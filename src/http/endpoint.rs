//! `/mcp`: the one endpoint of both eras.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderMap, HeaderName},
    web::{Data, Payload},
};

use super::{
    Site,
    access::{self, note},
    authenticate::authenticate,
    batch, body, document,
    error::HttpError,
    legacy, modern, whole,
};
use crate::{
    cause::Cause,
    domain::{principal::Principal, scope::ScopeSet, trace_context::TraceParent},
    features::{dispatch::Failure, target::Target},
    mcp::{
        answer::{Answer, ToolAnswer},
        envelope::Params,
        era::{self, Era},
        headers::{Field, Headers},
        jsonrpc::{self, Id, Incoming, Posted, RpcError, code},
        method::Method,
        status,
        version::ProtocolVersion,
    },
    metrics::{self, Outcome},
};

pub(super) static SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
static PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
static MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
static MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");

/// One message from the client.
pub(super) async fn post(
    request: HttpRequest,
    mut payload: Payload,
    site: Data<Site>,
) -> HttpResponse {
    match answer(&request, &mut payload, &site).await {
        Ok(response) => response,
        Err(error) => error.respond_unread(&request, payload).await,
    }
}

/// The stream on which a legacy server may speak unasked, or the rest of one that was lost (L-20,
/// L-22). A modern client has neither (T-28).
pub(super) async fn get(request: HttpRequest, payload: Payload, site: Data<Site>) -> HttpResponse {
    let outcome = async {
        let caller = authenticate(&request, &site).await?;
        let sessions = legacy_sessions(&request, &site)?;
        body::check_accepts_stream(&request)?;
        legacy::listen(&request, &site, sessions, &caller).await
    };
    match outcome.await {
        Ok(response) => response,
        Err(error) => error.respond_unread(&request, payload).await,
    }
}

/// Ends a legacy session (L-09).
pub(super) async fn delete(
    request: HttpRequest,
    payload: Payload,
    site: Data<Site>,
) -> HttpResponse {
    let outcome = async {
        let caller = authenticate(&request, &site).await?;
        let sessions = legacy_sessions(&request, &site)?;
        legacy::close(&request, sessions, &caller)
    };
    match outcome.await {
        Ok(response) => response,
        Err(error) => error.respond_unread(&request, payload).await,
    }
}

pub(super) async fn other_method(request: HttpRequest, payload: Payload) -> HttpResponse {
    HttpError::MethodNotAllowed {
        allow: "GET, POST, DELETE, OPTIONS",
    }
    .respond_unread(&request, payload)
    .await
}

async fn answer(
    request: &HttpRequest,
    payload: &mut Payload,
    site: &Site,
) -> Result<HttpResponse, HttpError> {
    let mut caller = authenticate(request, site).await?;
    body::check_media_types(request)?;
    let body = body::read(request, payload, body::LONGEST_BODY, site.body_timeout).await?;
    let headers = mcp_headers(request.headers());
    let incoming = match jsonrpc::read(&body)? {
        Posted::One(incoming) => incoming,
        Posted::Batch(members) => {
            note(request, |info| {
                info.method = metrics::Method::Batch;
                info.era = metrics::Era::Legacy;
            });
            return batch::answer(&members, &headers, &caller, site).await;
        }
    };
    let refused = |error| HttpError::Rpc {
        status: status::of_refused_envelope(&error),
        id: id_of(&incoming),
        error,
    };
    let params = incoming.params().map_err(refused)?;
    let era = era::classify(&incoming, &params, &headers).map_err(refused)?;
    // A request has one trace: the header's, if it has one, for the authorization server was told that.
    let parent = || TraceParent::parse(&params.trace_parent()?);
    caller.trace.parent = caller.trace.parent.or_else(parent);
    let found = find(&incoming, &params, era, site);
    note(request, |info| {
        info.trace = caller.trace;
        note_message(info, &incoming, era);
        info.feature = found.as_ref().and_then(|(method, target)| {
            let target = target.as_ref().ok()?;
            target.feature(site.dispatcher.catalogue(), *method)
        });
    });
    let target = found.map(|(_, target)| target);
    match (era, incoming) {
        (Era::Modern, Incoming::Request(message)) => {
            modern::answer(&message, params, target, &headers, &caller, site).await
        }
        // Nothing that a modern client may notify us of concerns us (D-16).
        (Era::Modern, Incoming::Notification(_) | Incoming::Response(_)) => Ok(accepted()),
        (Era::Legacy, incoming) => {
            legacy::answer(incoming, &params, target, &headers, &caller, site).await
        }
    }
}

/// Notes what a message asks for, for the access log and the metrics.
fn note_message(info: &mut access::RequestInfo, incoming: &Incoming<'_>, era: Era) {
    info.era = match era {
        Era::Modern => metrics::Era::Modern,
        Era::Legacy => metrics::Era::Legacy,
    };
    info.method = match incoming {
        Incoming::Request(message) => metrics::Method::of_request(&message.method),
        Incoming::Notification(_) => metrics::Method::Notification,
        Incoming::Response(_) => metrics::Method::Response,
    };
}

/// What a request asks for, and what it is about.
fn find(
    incoming: &Incoming<'_>,
    params: &Params<'_>,
    era: Era,
    site: &Site,
) -> Option<(Method, Result<Target, RpcError>)> {
    let Incoming::Request(message) = incoming else {
        return None;
    };
    let method = Method::named(&message.method)?;
    // All that depends on the revision is the error code for a URI that leads nowhere.
    let version = match era {
        Era::Modern => ProtocolVersion::V2026_07_28,
        Era::Legacy => ProtocolVersion::V2025_11_25,
    };
    Some((method, site.dispatcher.find(method, params, version)))
}

/// Gives an outcome the status and the body of its era.
pub(super) fn respond(
    outcome: Result<Answer, Failure>,
    id: &Id,
    version: ProtocolVersion,
    principal: &Principal,
    site: &Site,
) -> Result<HttpResponse, HttpError> {
    let wire = site.dispatcher.wire();
    let era = Era::of(version);
    match outcome {
        Ok(Answer::Document(document)) => Ok(document::response(&document, id, version, wire)),
        Ok(Answer::Ready(result)) => Ok(whole::ready(result, id)),
        Ok(answer) => match wire.response(id, &answer, version) {
            Ok(response) => {
                let mut response = whole::json(response);
                if let Answer::Tool(ToolAnswer::Failed(_)) = answer {
                    response.extensions_mut().insert(Outcome::ToolError);
                }
                Ok(response)
            }
            Err(error) => respond(Err(error.into()), id, version, principal, site),
        },
        Err(Failure::Rpc(error)) => Err(HttpError::Rpc {
            status: status::of_error(era, &error),
            id: Some(id.clone()),
            error,
        }),
        Err(Failure::Forbidden { needed }) => {
            Err(forbidden(id.clone(), needed, version, principal))
        }
        Err(Failure::Busy) => Err(HttpError::Busy(Some(id.clone()))),
        Err(Failure::Unavailable { message, source }) => Err(HttpError::Unavailable {
            id: id.clone(),
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

/// The challenge of a client of this revision, whose token lacks something of what is needed; or our
/// outage, if the token would have had it.
pub(super) fn forbidden(
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
            source: Cause::new("the token was last asked about too long ago to do more than read"),
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

/// The sessions, for a method that modern clients have not.
fn legacy_sessions<'a>(
    request: &HttpRequest,
    site: &'a Site,
) -> Result<&'a crate::session::Sessions, HttpError> {
    let is_modern = era::has_modern_header(&mcp_headers(request.headers()));
    match &site.sessions {
        Some(sessions) if !is_modern => Ok(sessions),
        _ => Err(HttpError::MethodNotAllowed { allow: "POST" }),
    }
}

pub(super) fn mcp_headers(headers: &HeaderMap) -> Headers<'_> {
    let field =
        |name: &HeaderName| Field::gather(headers.get_all(name).map(|value| value.as_bytes()));
    Headers {
        protocol_version: field(&PROTOCOL_VERSION),
        method: field(&MCP_METHOD),
        name: field(&MCP_NAME),
        session_id: field(&SESSION_ID),
    }
}

pub(super) fn id_of(incoming: &Incoming<'_>) -> Option<Id> {
    match incoming {
        Incoming::Request(request) => Some(request.id.clone()),
        Incoming::Notification(_) | Incoming::Response(_) => None,
    }
}

pub(super) fn accepted() -> HttpResponse {
    HttpResponse::Accepted().finish()
}
