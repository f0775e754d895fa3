//! `/mcp`: the one endpoint of both eras.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderMap, HeaderName},
    },
    web::{Data, Payload},
};

use super::{Site, authenticate::authenticate, body, error::HttpError};
use crate::{
    domain::principal::Principal,
    features::{
        dispatch::{Failure, dispatch},
        tool::Context,
    },
    mcp::{
        answer::Answer,
        envelope::Params,
        era::{self, Era},
        headers::{Field, Headers},
        jsonrpc::{self, Id, Incoming, Request, RpcError, code},
        method::Method,
        shape, status,
        version::ProtocolVersion,
    },
};

static SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
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

/// The stream on which a legacy server may speak unasked. There is none yet, which every revision
/// allows (L-20); a modern client has none at all (T-28).
pub(super) async fn get(request: HttpRequest, payload: Payload, site: Data<Site>) -> HttpResponse {
    match authenticate(&request, &site).await {
        Ok(_) => {
            HttpError::MethodNotAllowed {
                allow: if is_modern(&request) || site.sessions.is_none() {
                    "POST"
                } else {
                    "POST, DELETE"
                },
            }
            .respond_unread(&request, payload)
            .await
        }
        Err(error) => error.respond_unread(&request, payload).await,
    }
}

/// Ends a legacy session (L-09).
pub(super) async fn delete(
    request: HttpRequest,
    payload: Payload,
    site: Data<Site>,
) -> HttpResponse {
    match close(&request, &site).await {
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
    let principal = authenticate(request, site).await?;
    body::check_media_types(request)?;
    let body = body::read(request, payload).await?;
    let headers = mcp_headers(request.headers());
    let incoming = jsonrpc::read(&body)?;
    let era = era::classify(&incoming, &headers).map_err(|error| HttpError::Rpc {
        status: status::of_refused_envelope(&error),
        id: id_of(&incoming),
        error,
    })?;
    match (era, incoming) {
        (Era::Modern, Incoming::Request(message)) => {
            modern(&message, &headers, principal, site).await
        }
        // Nothing that a modern client may notify us of concerns us (D-16).
        (Era::Modern, Incoming::Notification(_) | Incoming::Response) => Ok(accepted()),
        (Era::Legacy, incoming) => legacy(incoming, &headers, principal, site).await,
    }
}

async fn modern(
    message: &Request<'_>,
    headers: &Headers<'_>,
    principal: Arc<Principal>,
    site: &Site,
) -> Result<HttpResponse, HttpError> {
    let admitted = era::admit(message, headers).map_err(|error| HttpError::Rpc {
        status: status::of_refused_envelope(&error),
        id: Some(message.id.clone()),
        error,
    })?;
    let context = Context {
        principal: Arc::clone(&principal),
        journal: site.journal.clone(),
    };
    let outcome = dispatch(
        &site.catalogue,
        admitted.method,
        admitted.version,
        &admitted.params,
        context,
    )
    .await;
    respond(outcome, &message.id, admitted.version, &principal)
}

async fn legacy(
    incoming: Incoming<'_>,
    headers: &Headers<'_>,
    principal: Arc<Principal>,
    site: &Site,
) -> Result<HttpResponse, HttpError> {
    let id = id_of(&incoming);
    let bad_request = |error| HttpError::Rpc {
        status: status::of_error(Era::Legacy, &error),
        id: id.clone(),
        error,
    };
    let Some(sessions) = &site.sessions else {
        return Err(bad_request(era::legacy_is_off(&incoming, headers)));
    };
    if let Incoming::Request(message) = &incoming
        && message.method == "initialize"
    {
        let version = initialize(message, headers).map_err(bad_request)?;
        let session = sessions
            .open(&principal, version)
            .map_err(|error| HttpError::session(error, id.clone()))?;
        let mut response = json(jsonrpc::success(&message.id, &shape::initialized(version)));
        response.headers_mut().insert(
            SESSION_ID.clone(),
            session
                .to_string()
                .parse()
                .expect("a session id is visible ASCII"),
        );
        return Ok(response);
    }
    era::check_legacy_version(headers.protocol_version, None).map_err(bad_request)?;
    let session_id = named_session(headers).ok_or_else(|| HttpError::NoSession(id.clone()))?;
    let session = sessions
        .find(session_id, &principal)
        .map_err(|error| HttpError::session(error, id.clone()))?;
    era::check_legacy_version(headers.protocol_version, Some(session.version()))
        .map_err(bad_request)?;
    let Incoming::Request(message) = incoming else {
        // A notification, or a response that nobody waits for: taken note of (L-12).
        return Ok(accepted());
    };
    let version = session.version();
    let outcome = match Method::find(&message.method, version) {
        None => Err(RpcError::method_not_found().into()),
        Some(method) => session
            .call(
                Arc::clone(&principal),
                method,
                message.params.map(ToOwned::to_owned),
            )
            .await
            .map_err(|error| HttpError::session(error, id))?,
    };
    respond(outcome, &message.id, version, &principal)
}

/// Checks an `initialize`, and says which revision the session gets.
fn initialize(message: &Request<'_>, headers: &Headers<'_>) -> Result<ProtocolVersion, RpcError> {
    let params = Params::read(message.params)?;
    let requested = params.requested_version()?;
    let version = ProtocolVersion::negotiate(&requested);
    era::check_legacy_version(headers.protocol_version, ProtocolVersion::parse(&requested))?;
    Ok(version)
}

async fn close(request: &HttpRequest, site: &Site) -> Result<HttpResponse, HttpError> {
    let principal = authenticate(request, site).await?;
    let (false, Some(sessions)) = (is_modern(request), &site.sessions) else {
        return Err(HttpError::MethodNotAllowed { allow: "POST" });
    };
    let headers = mcp_headers(request.headers());
    let bad_request = |error| HttpError::Rpc {
        status: status::of_error(Era::Legacy, &error),
        id: None,
        error,
    };
    era::check_legacy_version(headers.protocol_version, None).map_err(bad_request)?;
    let session_id = named_session(&headers).ok_or(HttpError::NoSession(None))?;
    let session = sessions
        .find(session_id, &principal)
        .map_err(|error| HttpError::session(error, None))?;
    era::check_legacy_version(headers.protocol_version, Some(session.version()))
        .map_err(bad_request)?;
    sessions
        .close(session_id, &principal)
        .map_err(|error| HttpError::session(error, None))?;
    Ok(HttpResponse::NoContent()
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish())
}

/// Gives an outcome the status and the body of its era.
fn respond(
    outcome: Result<Answer, Failure>,
    id: &Id,
    version: ProtocolVersion,
    principal: &Principal,
) -> Result<HttpResponse, HttpError> {
    let era = Era::of(version);
    match outcome {
        Ok(answer) => Ok(json(jsonrpc::success(id, &shape::result(&answer, version)))),
        Err(Failure::Rpc(error)) => Err(HttpError::Rpc {
            status: status::of_error(era, &error),
            id: Some(id.clone()),
            error,
        }),
        Err(Failure::Forbidden { needed }) => {
            let needed = if era.replaces_scopes() {
                needed.union(principal.scopes)
            } else {
                needed
            };
            Err(HttpError::Forbidden {
                id: id.clone(),
                needed,
            })
        }
        Err(Failure::Busy) => Err(HttpError::Busy(Some(id.clone()))),
        Err(Failure::Unavailable { source }) => Err(HttpError::JournalUnavailable {
            id: id.clone(),
            source,
        }),
        Err(Failure::Internal { source }) => Err(HttpError::Internal {
            status: status::of_error(era, &RpcError::new(code::INTERNAL_ERROR, "")),
            id: Some(id.clone()),
            source,
        }),
    }
}

fn named_session<'a>(headers: &Headers<'a>) -> Option<&'a str> {
    match headers.session_id {
        // A value that is no text cannot be a session's; it is as unknown as any other.
        field @ Field::One(_) => Some(field.text().unwrap_or_default()),
        Field::Absent | Field::Several => None,
    }
}

fn is_modern(request: &HttpRequest) -> bool {
    mcp_headers(request.headers())
        .protocol_version
        .text()
        .and_then(ProtocolVersion::parse)
        .is_some_and(ProtocolVersion::is_modern)
}

fn mcp_headers(headers: &HeaderMap) -> Headers<'_> {
    let field =
        |name: &HeaderName| Field::gather(headers.get_all(name).map(|value| value.as_bytes()));
    Headers {
        protocol_version: field(&PROTOCOL_VERSION),
        method: field(&MCP_METHOD),
        name: field(&MCP_NAME),
        session_id: field(&SESSION_ID),
    }
}

fn id_of(incoming: &Incoming<'_>) -> Option<Id> {
    match incoming {
        Incoming::Request(request) => Some(request.id.clone()),
        Incoming::Notification(_) | Incoming::Response => None,
    }
}

fn json(body: String) -> HttpResponse {
    HttpResponse::build(StatusCode::OK)
        .insert_header((CACHE_CONTROL, "no-store"))
        .content_type("application/json")
        .body(body)
}

fn accepted() -> HttpResponse {
    HttpResponse::Accepted().finish()
}
