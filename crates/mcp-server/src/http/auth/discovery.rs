//! The open documents: what this server is, and how to authenticate to it.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::CACHE_CONTROL,
    web::{Bytes, Data, Payload},
};

use crate::http::{edge::error::HttpError, state::AppState};

/// How long the documents may be kept: they change with the configuration alone.
const CACHEABLE: &str = "public, max-age=3600";

/// The documents, made once.
pub struct Discovery {
    front_page: Bytes,
    relays_authorization_server: bool,
}

impl Discovery {
    /// The documents of a server. `relays_authorization_server` serves a copy of the issuer's own
    /// metadata to 2025-03-26 clients, which look for it here.
    #[must_use]
    pub fn new(headline: &str, mcp_url: &str, relays_authorization_server: bool) -> Self {
        Self {
            front_page: format!(
                "{headline}\n\n\
                 Connect an MCP host to {mcp_url}\n\
                 The client discovers the sign-in flow automatically.\n"
            )
            .into(),
            relays_authorization_server,
        }
    }
}

/// RFC 9728 §3. The same body in every form of the path.
pub(crate) async fn protected_resource(request: HttpRequest, site: Data<AppState>) -> HttpResponse {
    site.guard.document().response(&request)
}

/// The issuer's own metadata, for clients of 2025-03-26, which take this server for their
/// authorization server. A modern client must not use it: its issuer is another host.
pub(crate) async fn authorization_server(
    request: HttpRequest,
    site: Data<AppState>,
) -> HttpResponse {
    if !site.discovery.relays_authorization_server {
        return HttpError::NoSuchPath.respond(&request);
    }
    match site.guard.auth().metadata().await {
        Ok(document) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "public, max-age=300"))
            .content_type("application/json")
            .body(document.to_string()),
        Err(error) => HttpError::from(error).respond(&request),
    }
}

/// What a person sees who opens the server in a browser.
pub(crate) async fn front_page(site: Data<AppState>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, CACHEABLE))
        .content_type("text/plain; charset=utf-8")
        .body(site.discovery.front_page.clone())
}

pub(crate) async fn other_method(request: HttpRequest, body: Payload) -> HttpResponse {
    HttpError::MethodNotAllowed {
        allow: "GET, HEAD, OPTIONS",
    }
    .respond_unread(&request, body)
    .await
}
