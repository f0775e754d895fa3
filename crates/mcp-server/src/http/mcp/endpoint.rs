//! The MCP endpoint.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web::{Bytes, Data, Payload},
};

use super::{
    batch, legacy, modern,
    reply::{accepted, id_of, mcp_headers},
};
use crate::http::{
    auth::authenticate::authenticate,
    edge::{
        body,
        error::HttpError,
        request_info::{self, note},
    },
    state::AppState,
};
use crate::{
    features::target::Target,
    metrics::{self},
    telemetry::ACCESS,
};
use mcp_protocol::{
    envelope::Params,
    era::{self, Era},
    jsonrpc::{self, Body, Incoming},
    method::Method,
    rpc_error::RpcError,
    status,
    version::ProtocolVersion,
};
use resource_server::{printable::printable, trace_context::TraceParent};

/// Receives one message, or a batch.
pub(crate) async fn post(
    request: HttpRequest,
    mut payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let mut read = Bytes::new();
    match answer(&request, &mut payload, &state, &mut read).await {
        Ok(response) => response,
        Err(error) => error.respond_after(&request, payload, &read).await,
    }
}

/// Opens the standalone stream of a session, or resumes a stream (legacy revisions only; MCP 2025-11-25,
/// Transports).
pub(crate) async fn get(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let outcome = async {
        let caller = authenticate(&request, &state).await?;
        let sessions = legacy_sessions(&request, &state)?;
        body::check_accepts_stream(&request)?;
        legacy::listen(&request, &state, sessions, &caller).await
    };
    match outcome.await {
        Ok(response) => response,
        Err(error) => error.respond_unread(&request, payload).await,
    }
}

/// What [`get`] would answer, without its stream (RFC 9110 §9.3.2).
pub(crate) async fn head(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let outcome = async {
        let caller = authenticate(&request, &state).await?;
        let sessions = legacy_sessions(&request, &state)?;
        body::check_accepts_stream(&request)?;
        let headers = mcp_headers(request.headers());
        legacy::find(&headers, &caller, sessions, &state, None).await
    };
    match outcome.await {
        Ok(_) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "text/event-stream"))
            .insert_header((CACHE_CONTROL, "no-store"))
            .finish(),
        Err(error) => error.respond_unread(&request, payload).await,
    }
}

/// Closes a session (MCP 2025-11-25, Transports, Session Management).
pub(crate) async fn delete(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let outcome = async {
        let caller = authenticate(&request, &state).await?;
        let sessions = legacy_sessions(&request, &state)?;
        legacy::close(&request, sessions, &caller, &state).await
    };
    match outcome.await {
        Ok(response) => response,
        Err(error) => error.respond_unread(&request, payload).await,
    }
}

pub(crate) async fn other_method(request: HttpRequest, payload: Payload) -> HttpResponse {
    HttpError::MethodNotAllowed {
        allow: "GET, HEAD, POST, DELETE, OPTIONS",
    }
    .respond_unread(&request, payload)
    .await
}

async fn answer(
    request: &HttpRequest,
    payload: &mut Payload,
    state: &AppState,
    read: &mut Bytes,
) -> Result<HttpResponse, HttpError> {
    let mut caller = authenticate(request, state).await?;
    caller.accepts = body::check_media_types(request)?;
    let times = state.body_times;
    let account = &caller.account;
    let body = body::read(request, payload, body::LONGEST_BODY, times, account).await?;
    caller.body = body.taken.map(Arc::new);
    *read = body.bytes;
    let body = &*read;
    let headers = mcp_headers(request.headers());
    let incoming = match jsonrpc::read(body)? {
        Body::Single(incoming) => incoming,
        Body::Batch(members) => {
            note(request, |info| {
                info.method = metrics::Method::Batch;
                info.era = metrics::Era::Legacy;
            });
            return batch::answer(&members, &headers, &caller, state).await;
        }
    };
    let refused = |error| HttpError::Rpc {
        status: status::of_refused_envelope(&error),
        id: id_of(&incoming),
        error,
    };
    let params = incoming.params().map_err(refused)?;
    let era = era::classify(&incoming, &params, &headers).map_err(refused)?;
    // The header takes precedence, because the authorization server was sent that trace.
    let parent = || TraceParent::parse(&params.trace_parent()?);
    let trace = &mut caller.context.trace;
    trace.parent = trace.parent.or_else(parent);
    let trace = *trace;
    let found = find(&incoming, &params, era, state);
    let is_logged = log::log_enabled!(target: ACCESS, log::Level::Info);
    let claimed_client = is_logged.then(|| params.claimed_client()).flatten();
    note(request, |info| {
        info.trace = trace;
        info.claimed_client = claimed_client.map(|name| printable(&name).into_owned());
        note_message(info, &incoming, era);
        info.feature = found.as_ref().and_then(|(method, target)| {
            let target = target.as_ref().ok()?;
            target.feature(state.dispatcher.catalogue(), *method)
        });
    });
    let target = found.map(|(_, target)| target);
    match (era, incoming) {
        (Era::Modern, Incoming::Request(message)) => {
            modern::answer(&message, params, target, &headers, &caller, state).await
        }
        // No notification of a modern client has an effect here.
        (Era::Modern, Incoming::Notification(_) | Incoming::Response(_)) => Ok(accepted()),
        (Era::Legacy, incoming) => {
            legacy::answer(incoming, &params, target, &headers, &caller, state).await
        }
    }
}

/// Stores the method and the era for the access log and the metrics.
fn note_message(info: &mut request_info::RequestInfo, incoming: &Incoming<'_>, era: Era) {
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

/// The method of a request, and the feature that it names.
fn find(
    incoming: &Incoming<'_>,
    params: &Params<'_>,
    era: Era,
    state: &AppState,
) -> Option<(Method, Result<Target, RpcError>)> {
    let Incoming::Request(message) = incoming else {
        return None;
    };
    let method = Method::named(&message.method)?;
    // Only the error code for an unknown URI depends on the revision.
    let version = match era {
        Era::Modern => ProtocolVersion::V2026_07_28,
        Era::Legacy => ProtocolVersion::V2025_11_25,
    };
    Some((method, state.dispatcher.find(method, params, version)))
}

/// The sessions, unless the client is modern.
fn legacy_sessions<'a>(
    request: &HttpRequest,
    state: &'a AppState,
) -> Result<&'a crate::session::Sessions, HttpError> {
    let is_modern = era::has_modern_header(&mcp_headers(request.headers()));
    match &state.sessions {
        Some(sessions) if !is_modern => Ok(sessions),
        _ => Err(HttpError::MethodNotAllowed { allow: "POST" }),
    }
}
