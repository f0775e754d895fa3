//! Messages of legacy revisions: `initialize`, or within a session.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, HeaderName},
};

use super::{
    json_response, open_stream,
    reply::{SESSION_ID, accepted, forbidden, id_of, mcp_headers, respond},
    stream_authorization::StreamAuthorization,
};
use crate::http::{
    auth::authenticate::Caller, edge::error::HttpError, ops::scrape::counted, state::AppState,
};
use crate::{
    audit::{Event, Origin},
    features::target::Target,
    metrics::StreamKind,
    session::{Adopter, Reply, SessionError, SessionHandle, SessionRequest, Sessions},
};
use mcp_protocol::{
    envelope::{OwnedParams, Params},
    era::{self, Era},
    headers::{Field, Headers},
    jsonrpc::{self, Id, Incoming, Request},
    method::Method,
    outgoing::ClientCapabilities,
    rpc_error::RpcError,
    sse::EventId,
    status,
    version::ProtocolVersion,
};
use resource_server::revocation::ActiveUse;

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(crate) async fn answer(
    incoming: Incoming<'_>,
    params: &Params<'_>,
    target: Option<Result<Target, RpcError>>,
    headers: &Headers<'_>,
    caller: &Caller,
    state: &AppState,
) -> Result<HttpResponse, HttpError> {
    let principal = &caller.context.principal;
    let id = id_of(&incoming);
    let Some(sessions) = &state.sessions else {
        return Err(bad_request(era::legacy_is_off(&incoming, headers), id));
    };
    let message = match incoming {
        Incoming::Request(message) if message.method == "initialize" => {
            caller.accepts.need_json()?;
            return open(&message, headers, caller, state, sessions);
        }
        Incoming::Request(message) => {
            caller.accepts.need_json()?;
            message
        }
        Incoming::Notification(notification) => {
            let session = find(headers, caller, sessions, state, None).await?;
            if let Some(id) = cancelled_request(&notification.method, params) {
                let cancelled = session.cancel(id).await;
                cancelled.map_err(|error| HttpError::session(error, None))?;
            }
            return Ok(accepted());
        }
        Incoming::Response(response) => {
            let session = find(headers, caller, sessions, state, None).await?;
            let result = response.result.map(ToOwned::to_owned);
            return match session
                .handle_response(
                    response.id,
                    result,
                    principal.scopes,
                    state.dispatcher.scopes(),
                )
                .await
                .map_err(|error| HttpError::session(error, None))?
            {
                Ok(()) => Ok(accepted()),
                Err(needed) => Err(forbidden(None, needed, session.version(), principal)),
            };
        }
    };
    let session = find(headers, caller, sessions, state, id.clone()).await?;
    let version = session.version();
    let Some(method) = Method::find(&message.method, version) else {
        let unknown = Err(RpcError::method_not_found().into());
        return respond(unknown, &message.id, version, caller, state);
    };
    let request = SessionRequest {
        context: caller.context.clone(),
        active_use: active_use(caller, state),
        held: caller.held(),
        id: message.id.clone(),
        method,
        target: target.unwrap_or(Ok(Target::Method)),
        params: OwnedParams::from(params),
    };
    let reply = if caller.accepts.stream {
        session.call(request).await
    } else {
        session.call_without_stream(request).await
    };
    let reply = reply.map_err(|error| HttpError::session(error, id))?;
    match reply {
        Reply::Complete(outcome) => respond(outcome, &message.id, version, caller, state),
        Reply::Stream(frames) => {
            let authorization = StreamAuthorization::of_call(caller, state);
            let response =
                open_stream::of_frames(frames, state.heartbeat_interval, authorization, || ());
            Ok(counted(response, StreamKind::Call, caller.held(), state))
        }
        Reply::Cancelled => Ok(accepted()),
    }
}

/// Registers a call's use of its token, which ends if the token is revoked.
pub(crate) fn active_use(caller: &Caller, state: &AppState) -> ActiveUse {
    let principal = &caller.context.principal;
    state.guard.auth().active_use(principal, caller.epoch)
}

/// The request that a notification cancels, if it does (MCP 2025-11-25, Cancellation).
pub(crate) fn cancelled_request(method: &str, params: &Params<'_>) -> Option<Id> {
    match method {
        "notifications/cancelled" => Id::parse(params.request_id?),
        _ => None,
    }
}

/// Opens a session (MCP 2025-11-25, Lifecycle, Initialization).
fn open(
    message: &Request<'_>,
    headers: &Headers<'_>,
    caller: &Caller,
    state: &AppState,
    sessions: &Sessions,
) -> Result<HttpResponse, HttpError> {
    let id = || Some(message.id.clone());
    let (version, capabilities) =
        negotiate(message, headers).map_err(|error| bad_request(error, id()))?;
    let principal = &caller.context.principal;
    let active_use = state
        .guard
        .auth()
        .active_use_of_owner(principal, caller.epoch);
    let session = sessions
        .open(
            principal,
            version,
            capabilities,
            active_use,
            caller.account.clone(),
        )
        .map_err(|error| HttpError::session(error, id()))?;
    state.audit.log(
        Event::SessionOpened,
        Origin::of(&caller.context).speaking(version),
    );
    let mut response = json_response::json(jsonrpc::success(
        &message.id,
        &state
            .dispatcher
            .catalogue()
            .initialized(principal.scopes.union(principal.withheld), version),
    ));
    response.headers_mut().insert(
        SESSION_ID.clone(),
        session
            .to_string()
            .parse()
            .expect("a session id is visible ASCII"),
    );
    Ok(response)
}

/// Validates `initialize`; the negotiated revision and the client's capabilities.
fn negotiate(
    message: &Request<'_>,
    headers: &Headers<'_>,
) -> Result<(ProtocolVersion, ClientCapabilities), RpcError> {
    let params = message.params()?;
    let requested = params.requested_version()?;
    // The body negotiates. What the field names is of no account: some clients send that of their last session.
    if headers.protocol_version == Field::Several {
        era::check_legacy_version(headers.protocol_version, None)?;
    }
    let version = ProtocolVersion::negotiate(&requested);
    let capabilities = params
        .capabilities
        .map(ClientCapabilities::read)
        .unwrap_or_default();
    Ok((version, capabilities.within(version)))
}

/// Opens the standalone stream, or resumes a stream.
pub(crate) async fn listen(
    request: &HttpRequest,
    state: &AppState,
    sessions: &Sessions,
    caller: &Caller,
) -> Result<HttpResponse, HttpError> {
    let principal = &caller.context.principal;
    let headers = mcp_headers(request.headers());
    let session = find(&headers, caller, sessions, state, None).await?;
    let last_event_ids = request.headers().get_all(&LAST_EVENT_ID);
    let after = match Field::gather(last_event_ids.map(|id| id.as_bytes())) {
        Field::Absent => None,
        // Several would name different events.
        field @ (Field::One(_) | Field::Several) => Some(
            field
                .text()
                .and_then(EventId::parse)
                .ok_or(HttpError::NotResumable)?,
        ),
    };
    let frames = session
        .listen(Arc::clone(principal), after)
        .await
        .map_err(|error| HttpError::session(error, None))?
        .ok_or(HttpError::NotResumable)?;
    let authorization = StreamAuthorization::of_stream(caller, state);
    // Listening keeps the session from expiring.
    let (sessions, principal) = (sessions.clone(), Arc::clone(principal));
    let session_id = named_session(&headers).unwrap_or_default().to_owned();
    let in_use = move || sessions.touch(&session_id, &principal);
    let response = open_stream::of_frames(frames, state.heartbeat_interval, authorization, in_use);
    Ok(counted(response, StreamKind::Session, (), state))
}

/// Closes a session (MCP 2025-11-25, Transports, Session Management).
pub(crate) async fn close(
    request: &HttpRequest,
    sessions: &Sessions,
    caller: &Caller,
    state: &AppState,
) -> Result<HttpResponse, HttpError> {
    let principal = &caller.context.principal;
    let headers = mcp_headers(request.headers());
    let version = find(&headers, caller, sessions, state, None)
        .await?
        .version();
    let session_id = named_session(&headers).ok_or(HttpError::NoSession(None))?;
    sessions
        .close(session_id, principal)
        .await
        .map_err(|error| HttpError::session(error, None))?;
    state.audit.log(
        Event::SessionClosed,
        Origin::of(&caller.context).speaking(version),
    );
    Ok(HttpResponse::NoContent()
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish())
}

/// The session that a message names. It must belong to the caller, and the message must have its revision.
pub(crate) async fn find(
    headers: &Headers<'_>,
    caller: &Caller,
    sessions: &Sessions,
    state: &AppState,
    id: Option<Id>,
) -> Result<SessionHandle, HttpError> {
    let principal = &caller.context.principal;
    era::check_legacy_version(headers.protocol_version, None)
        .map_err(|error| bad_request(error, id.clone()))?;
    let named = named_session(headers).ok_or_else(|| HttpError::NoSession(id.clone()))?;
    let found = match sessions.find(named, principal) {
        Err(SessionError::Unknown) => {
            let adopter = Adopter {
                principal,
                account: &caller.account,
                auth: state.guard.auth(),
                epoch: caller.epoch,
            };
            sessions.adopt(named, &adopter).await
        }
        found => found,
    };
    let session = found.map_err(|error| {
        if error != SessionError::Unknown {
            return HttpError::session(error, id.clone());
        }
        state.audit.log(
            Event::SessionRefused {
                to_stranger: sessions.is_anothers(named, principal),
            },
            Origin::of(&caller.context),
        );
        HttpError::session(error, id.clone())
    })?;
    era::check_legacy_version(headers.protocol_version, Some(session.version()))
        .map_err(|error| bad_request(error, id))?;
    Ok(session)
}

fn named_session<'a>(headers: &Headers<'a>) -> Option<&'a str> {
    match headers.session_id {
        // A value that is not text is as unknown as any other.
        field @ Field::One(_) => Some(field.text().unwrap_or_default()),
        Field::Absent | Field::Several => None,
    }
}

pub(crate) fn bad_request(error: RpcError, id: Option<Id>) -> HttpError {
    HttpError::Rpc {
        status: status::of_error(Era::Legacy, &error),
        id,
        error,
    }
}
