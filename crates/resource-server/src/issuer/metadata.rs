//! The metadata of an authorization server (RFC 8414), reduced to the members that a resource server needs.

use std::sync::Arc;

use actix_web::http::Uri;
use serde::Deserialize;
use url::Url;

use super::{http_client::invalid_response, settings::IssuerSettings};
use crate::{auth::error::AuthError, url::endpoint};

/// The endpoints that a resource server calls, and the document itself.
pub(crate) struct Metadata {
    /// The JSON text as it was received.
    pub(crate) document: Arc<str>,
    /// `introspection_endpoint`, unless it is missing or may not be called.
    pub(crate) introspection: Option<Uri>,
    /// `jwks_uri`, unless it is missing or may not be called.
    pub(crate) keys: Option<Uri>,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    introspection_endpoint: Option<String>,
    jwks_uri: Option<String>,
}

impl Metadata {
    /// Reads the metadata of the issuer with these settings.
    ///
    /// # Errors
    /// [`AuthError::InvalidResponse`] if it is not a JSON object or belongs to another issuer
    /// (RFC 8414 §3.3).
    pub(crate) fn read(body: &[u8], settings: &IssuerSettings) -> Result<Self, AuthError> {
        let text =
            str::from_utf8(body).map_err(|_| invalid_response("metadata that is not UTF-8"))?;
        // serde would also deserialize the struct from a JSON array.
        let document: Document = text
            .trim_start()
            .starts_with('{')
            .then(|| serde_json::from_str(text).ok())
            .flatten()
            .ok_or_else(|| invalid_response("metadata that is not a JSON object with an issuer"))?;
        if document.issuer != settings.url.as_str() {
            return Err(invalid_response("metadata of another issuer"));
        }
        let usable =
            |url: Option<String>| uri(&endpoint(&url?, &settings.plain_http_hosts).ok()?).ok();
        Ok(Self {
            introspection: usable(document.introspection_endpoint),
            keys: usable(document.jwks_uri),
            document: text.into(),
        })
    }
}

/// Converts a URL to the type that the HTTP client takes.
pub(crate) fn uri(url: &Url) -> Result<Uri, AuthError> {
    Uri::try_from(url.as_str()).map_err(|_| invalid_response("invalid endpoint URL"))
}
