//! `/mcp`: the one endpoint of both eras.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
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
};
use mcp_protocol::{
    envelope::Params,
    era::{self, Era},
    jsonrpc::{self, Body, Incoming, RpcError},
    method::Method,
    status,
    version::ProtocolVersion,
};
use resource_server::trace_context::TraceParent;

/// One message from the client.
pub(crate) async fn post(
    request: HttpRequest,
    mut payload: Payload,
    site: Data<AppState>,
) -> HttpResponse {
    match answer(&request, &mut payload, &site).await {
        Ok(response) => response,
        Err(error) => error.respond_unread(&request, payload).await,
    }
}

/// The stream on which a legacy server may speak unasked, or the rest of one that was lost (L-20,
/// L-22). A modern client has neither (T-28).
pub(crate) async fn get(
    request: HttpRequest,
    payload: Payload,
    site: Data<AppState>,
) -> HttpResponse {
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
pub(crate) async fn delete(
    request: HttpRequest,
    payload: Payload,
    site: Data<AppState>,
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

pub(crate) async fn other_method(request: HttpRequest, payload: Payload) -> HttpResponse {
    HttpError::MethodNotAllowed {
        allow: "GET, POST, DELETE, OPTIONS",
    }
    .respond_unread(&request, payload)
    .await
}

async fn answer(
    request: &HttpRequest,
    payload: &mut Payload,
    site: &AppState,
) -> Result<HttpResponse, HttpError> {
    let mut caller = authenticate(request, site).await?;
    body::check_media_types(request)?;
    let body = body::read(request, payload, body::LONGEST_BODY, site.body_timeout).await?;
    let headers = mcp_headers(request.headers());
    let incoming = match jsonrpc::read(&body)? {
        Body::One(incoming) => incoming,
        Body::Batch(members) => {
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

/// What a request asks for, and what it is about.
fn find(
    incoming: &Incoming<'_>,
    params: &Params<'_>,
    era: Era,
    site: &AppState,
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

/// The sessions, for a method that modern clients have not.
fn legacy_sessions<'a>(
    request: &HttpRequest,
    site: &'a AppState,
) -> Result<&'a crate::session::Sessions, HttpError> {
    let is_modern = era::has_modern_header(&mcp_headers(request.headers()));
    match &site.sessions {
        Some(sessions) if !is_modern => Ok(sessions),
        _ => Err(HttpError::MethodNotAllowed { allow: "POST" }),
    }
}
