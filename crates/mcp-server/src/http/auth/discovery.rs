//! The public documents: the front page and how to authenticate.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::CACHE_CONTROL,
    web::{Data, Payload},
};

use crate::http::{edge::error::HttpError, state::AppState};

/// The documents change only with the configuration.
const CACHEABLE: &str = "public, max-age=3600";

/// The protected resource metadata (RFC 9728 §3).
pub(crate) async fn protected_resource(
    request: HttpRequest,
    state: Data<AppState>,
) -> HttpResponse {
    state.guard.document().response(&request)
}

/// The issuer's metadata, for clients of MCP 2025-03-26, which expect it at the resource server
/// (Authorization, Server Metadata Discovery). Later clients must not use it: its issuer is another host (RFC
/// 8414 §3.3).
pub(crate) async fn authorization_server(
    request: HttpRequest,
    state: Data<AppState>,
) -> HttpResponse {
    if !state.discovery.relays_authorization_server {
        return HttpError::NoSuchPath.respond(&request);
    }
    match state.guard.issuer_metadata(&request).await {
        Ok(document) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "public, max-age=300"))
            .content_type("application/json")
            .body(document.to_string()),
        Err(error) => HttpError::from(error).respond(&request),
    }
}

/// The page at `/` for browsers.
pub(crate) async fn front_page(state: Data<AppState>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, CACHEABLE))
        .content_type("text/plain; charset=utf-8")
        .body(state.discovery.front_page.clone())
}

pub(crate) async fn other_method(request: HttpRequest, body: Payload) -> HttpResponse {
    HttpError::MethodNotAllowed {
        allow: "GET, HEAD, OPTIONS",
    }
    .respond_unread(&request, body)
    .await
}
