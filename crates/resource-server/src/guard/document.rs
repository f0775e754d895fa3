//! The HTTP resource for protected resource metadata (RFC 9728 §3).

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, Resource,
    http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, ETAG, EntityTag, IF_NONE_MATCH},
    web::{self, Bytes},
};
use sha2::{Digest, Sha256};

use crate::metadata::ProtectedResourceMetadata;

/// The document changes only with the configuration.
const CACHEABLE: &str = "public, max-age=3600";

/// The serialized document. Clones share it.
#[derive(Clone, Debug)]
pub struct MetadataDocument(Arc<Serialized>);

#[derive(Debug)]
struct Serialized {
    body: Bytes,
    tag: EntityTag,
}

impl MetadataDocument {
    /// Serializes the metadata.
    ///
    /// # Panics
    /// Never: the metadata consists of strings and lists.
    #[must_use]
    pub(crate) fn new(metadata: &ProtectedResourceMetadata) -> Self {
        let body = serde_json::to_vec(metadata).expect("strings and lists can be serialized");
        let digest = Sha256::digest(&body);
        let tag: String = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self(Arc::new(Serialized {
            body: body.into(),
            tag: EntityTag::new_strong(tag),
        }))
    }

    /// The response to a request: 200, or 304 if `If-None-Match` matches (RFC 9110 §13.1.2).
    #[must_use]
    pub fn response(&self, request: &HttpRequest) -> HttpResponse {
        let Serialized { body, tag } = &*self.0;
        let is_known = request
            .headers()
            .get(IF_NONE_MATCH)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|tags| tags.split(',').any(|known| is_same(known.trim(), tag)));
        let mut response = if is_known {
            HttpResponse::NotModified()
        } else {
            HttpResponse::Ok()
        };
        response
            .insert_header((CACHE_CONTROL, CACHEABLE))
            .insert_header((ETAG, tag.to_string()));
        if is_known {
            return response.finish();
        }
        response.content_type("application/json").body(body.clone())
    }

    /// A route that serves the document to web pages of any origin.
    pub(super) fn at(self, path: &str) -> Resource {
        let document = move |request: HttpRequest| {
            let mut response = self.response(&request);
            let any = actix_web::http::header::HeaderValue::from_static("*");
            response
                .headers_mut()
                .insert(ACCESS_CONTROL_ALLOW_ORIGIN, any);
            std::future::ready(response)
        };
        web::resource(path)
            .route(web::get().to(document.clone()))
            .route(web::head().to(document))
    }
}

/// Weak comparison (RFC 9110 §13.1.2): a compressing proxy turns the tag into a weak one.
fn is_same(known: &str, tag: &EntityTag) -> bool {
    known == "*"
        || known
            .parse::<EntityTag>()
            .is_ok_and(|known| known.weak_eq(tag))
}
