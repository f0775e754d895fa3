//! The open documents: what this server is, and how to authenticate to it.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, ETAG, EntityTag, IF_NONE_MATCH},
    web::{Bytes, Data, Payload},
};
use sha2::{Digest, Sha256};

use super::{Site, error::HttpError};
use crate::oauth::metadata::ProtectedResourceMetadata;

/// How long the documents may be kept: they change with the configuration alone.
const CACHEABLE: &str = "public, max-age=3600";

/// The documents, made once.
pub struct Discovery {
    protected_resource: Bytes,
    protected_resource_tag: String,
    front_page: Bytes,
    relays_authorization_server: bool,
}

impl Discovery {
    /// The documents of a server with this metadata. `relays_authorization_server` serves a copy of
    /// the issuer's own metadata to 2025-03-26 clients, which look for it here.
    #[must_use]
    pub fn new(
        metadata: &ProtectedResourceMetadata,
        headline: &str,
        mcp_url: &str,
        relays_authorization_server: bool,
    ) -> Self {
        let document =
            serde_json::to_vec(metadata).expect("the metadata is made of strings and lists");
        let digest = Sha256::digest(&document);
        let tag = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        Self {
            protected_resource: document.into(),
            protected_resource_tag: tag,
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
pub(super) async fn protected_resource(request: HttpRequest, site: Data<Site>) -> HttpResponse {
    let tag = EntityTag::new_strong(site.discovery.protected_resource_tag.clone());
    let known = request
        .headers()
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|tags| tags.split(',').any(|known| is_known(known.trim(), &tag)));
    let mut response = if known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header((CACHE_CONTROL, CACHEABLE))
        .insert_header((ETAG, tag.to_string()));
    if known {
        return response.finish();
    }
    response
        .content_type("application/json")
        .body(site.discovery.protected_resource.clone())
}

/// Compares weakly (RFC 9110 §13.1.2): a proxy that compresses makes the tag a weak one.
fn is_known(known: &str, tag: &EntityTag) -> bool {
    known == "*"
        || known
            .parse::<EntityTag>()
            .is_ok_and(|known| known.weak_eq(tag))
}

/// The issuer's own metadata, for clients of 2025-03-26, which take this server for their
/// authorization server. A modern client must not use it: its issuer is another host.
pub(super) async fn authorization_server(request: HttpRequest, site: Data<Site>) -> HttpResponse {
    if !site.discovery.relays_authorization_server {
        return HttpError::NoSuchPath.respond(&request);
    }
    match site.auth.metadata().await {
        Ok(document) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "public, max-age=300"))
            .content_type("application/json")
            .body(document.to_string()),
        Err(error) => HttpError::from(error).respond(&request),
    }
}

/// What a person sees who opens the server in a browser.
pub(super) async fn front_page(site: Data<Site>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, CACHEABLE))
        .content_type("text/plain; charset=utf-8")
        .body(site.discovery.front_page.clone())
}

pub(super) async fn other_method(request: HttpRequest, body: Payload) -> HttpResponse {
    HttpError::MethodNotAllowed {
        allow: "GET, HEAD, OPTIONS",
    }
    .respond_unread(&request, body)
    .await
}
