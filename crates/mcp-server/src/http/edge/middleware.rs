//! The middleware of every route: request id, host, origin, CORS.

use std::sync::Arc;

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        ConnectionType,
        header::{
            self, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
            ACCESS_CONTROL_REQUEST_HEADERS, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
        },
    },
    middleware::Next,
    web::Data,
};

use super::{access_log::AccessLogGuard, error::HttpError, request_info, route_path::path_of};
use crate::{
    audit::{Event, Origin},
    connections::Connection,
    http::{
        paths::{is_probe, is_revocation},
        state::AppState,
    },
};

/// The header of the request id.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const ALLOWED_METHODS: &str = "GET, HEAD, POST, DELETE, OPTIONS";

/// Request headers for CORS, besides the `Mcp-Param-*` that the browser asks for.
const ALLOWED_HEADERS: &str = "Authorization, DPoP, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, \
    Mcp-Name, Mcp-Session-Id, Last-Event-ID, traceparent, tracestate, baggage";

/// Response headers that scripts may read. Without `WWW-Authenticate`, a client in a browser cannot discover
/// the authorization server.
const EXPOSED_HEADERS: &str =
    "WWW-Authenticate, DPoP-Nonce, Mcp-Session-Id, MCP-Protocol-Version, Retry-After, X-Request-Id";

/// Marks the listener of operators, which answers to any host: whoever uses it needs its secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OperatorsListener;

/// Middleware run for every request.
pub(crate) async fn run<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let connection = request.request().conn_data::<Arc<Connection>>();
    let _busy = connection.map(Connection::begin);
    let state = request
        .app_data::<Data<AppState>>()
        .cloned()
        .expect("every route has the AppState");
    let address = state.guard.source_address(request.request());
    let trace = request_info::begin(request.request(), address);
    let path = request.match_info().as_str();
    let under_mcp = state.is_endpoint(path);
    // Health checks of load balancers have the server's address as `Host`.
    let any_host = is_probe(path);
    let origin = Origin::anonymous(trace, address);
    let refused = if !any_host
        && !state.host_policy.admits_host(request.head())
        && request.app_data::<OperatorsListener>().is_none()
    {
        state.audit.log(Event::HostRefused, origin);
        Some(HttpError::Misdirected)
    } else if (under_mcp || is_revocation(path))
        && !state.host_policy.admits_origin(request.headers())
    {
        state.audit.log(Event::OriginRefused, origin);
        Some(HttpError::ForbiddenOrigin)
    } else {
        None
    };
    let log_guard = AccessLogGuard::new(request.request(), &state);
    let mut response = match refused {
        Some(error) => {
            let (request, body) = request.into_parts();
            let response = error.respond_unread(&request, body).await;
            ServiceResponse::new(request, response)
        }
        None => next.call(request).await?.map_into_boxed_body(),
    };
    let origin = response.request().headers().get(ORIGIN).cloned();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(trace.request_id.encode(&mut [0; _])) {
        headers.insert(REQUEST_ID.clone(), id);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if under_mcp {
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin.filter(|origin| {
            origin
                .to_str()
                .is_ok_and(|origin| state.host_policy.knows(origin))
        }) {
            allow_origin(headers, origin);
        }
    } else if path_of(response.request()).starts_with("/.well-known/") {
        allow_origin(response.headers_mut(), HeaderValue::from_static("*"));
    }
    if state.health.is_draining() {
        // RFC 9112 §9.6: whoever keeps the connection sends its next request over another, before this process
        // closes it. A request that meets the closing connection may not be sent again by a proxy.
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    log_guard.answered(response.response());
    Ok(response)
}

fn allow_origin(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(EXPOSED_HEADERS),
    );
}

/// Responds to a CORS preflight. Without authentication, because a preflight carries no token (Fetch,
/// CORS-preflight request).
pub(crate) async fn preflight(request: HttpRequest) -> HttpResponse {
    let asked_for = request
        .headers()
        .get(ACCESS_CONTROL_REQUEST_HEADERS)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let allowed = asked_for
        .split(',')
        .map(str::trim)
        .filter(|name| is_param_header(name))
        .take(32)
        .fold(ALLOWED_HEADERS.to_owned(), |list, name| {
            format!("{list}, {name}")
        });
    let state = request.app_data::<Data<AppState>>();
    let methods = if state.is_some_and(|state| state.is_endpoint(path_of(&request))) {
        ALLOWED_METHODS
    } else {
        "GET, HEAD, OPTIONS"
    };
    HttpResponse::NoContent()
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, methods))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, allowed))
        .insert_header((ACCESS_CONTROL_MAX_AGE, "7200"))
        .finish()
}

fn is_param_header(name: &str) -> bool {
    name.len() <= 64
        && name
            .get(..10)
            .is_some_and(|prefix| prefix.eq_ignore_ascii_case("mcp-param-"))
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
