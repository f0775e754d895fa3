//! The metadata of an authorization server (RFC 8414), reduced to the members that a resource server needs.

use std::sync::Arc;

use actix_web::http::Uri;
use serde_json::{Map, Value};
use url::Url;

use super::{destinations::Destinations, http_client::invalid_response, settings::IssuerSettings};
use crate::{auth::error::AuthError, printable::printable, url::endpoint};

/// The endpoints that a resource server calls, and the document itself.
pub(crate) struct Metadata {
    /// The JSON text as it was received.
    pub(crate) document: Arc<str>,
    /// `introspection_endpoint`, or why it cannot be called.
    pub(crate) introspection: Result<Uri, AuthError>,
    /// `jwks_uri`, or why it cannot be called.
    pub(crate) keys: Result<Uri, AuthError>,
    /// `token_endpoint`, which is not called.
    pub(crate) token_endpoint: Option<String>,
}

impl Metadata {
    /// Reads the metadata of the issuer with these settings.
    ///
    /// # Errors
    /// [`AuthError::InvalidResponse`] if it is not a JSON object, belongs to another issuer (RFC 8414 §3.3), or
    /// names an endpoint without https for an issuer with https (RFC 8414 §2).
    pub(crate) fn read(
        body: &[u8],
        settings: &IssuerSettings,
        destinations: &Destinations,
    ) -> Result<Self, AuthError> {
        let text =
            str::from_utf8(body).map_err(|_| invalid_response("metadata that is not UTF-8"))?;
        let members: Map<String, Value> = serde_json::from_str(text)
            .map_err(|_| invalid_response("metadata that is not a JSON object"))?;
        if members.get("issuer").and_then(Value::as_str) != Some(settings.url.as_str()) {
            return Err(invalid_response("metadata of another issuer"));
        }
        if settings.url.as_str().starts_with("https:") {
            require_https(&members, settings)?;
        }
        let usable = |name: &str| {
            let text = members.get(name).and_then(Value::as_str);
            let text = text.ok_or_else(|| {
                invalid_response(format!("the issuer's metadata names no {name}"))
            })?;
            let refused =
                |why: String| invalid_response(format!("{name} of the issuer's metadata: {why}"));
            let url = endpoint(text, &settings.plain_http_hosts);
            let url = url.map_err(|fault| refused(fault.to_string()))?;
            let checked = destinations.check(&url);
            checked.map_err(|not_allowed| refused(not_allowed.to_string()))?;
            uri(&url)
        };
        Ok(Self {
            introspection: usable("introspection_endpoint"),
            keys: usable("jwks_uri"),
            token_endpoint: members
                .get("token_endpoint")
                .and_then(Value::as_str)
                .map(str::to_owned),
            document: text.into(),
        })
    }
}

impl Metadata {
    /// Whether it has every endpoint that these settings need it for.
    pub(crate) fn suffices(&self, settings: &IssuerSettings) -> bool {
        let introspects = settings.client.is_some() && settings.introspection_url.is_none();
        let verifies = settings.jwt.is_some() || settings.signed_replies;
        (!introspects || self.introspection.is_ok())
            && (!verifies || settings.keys_url.is_some() || self.keys.is_ok())
    }
}

/// Checks every endpoint, also those that only clients call: this server relays the document to them.
fn require_https(members: &Map<String, Value>, settings: &IssuerSettings) -> Result<(), AuthError> {
    let aliases = members
        .get("mtls_endpoint_aliases")
        .and_then(Value::as_object);
    let all = members.iter().chain(aliases.into_iter().flatten());
    for (name, value) in all {
        if !name.ends_with("_endpoint") && name != "jwks_uri" {
            continue;
        }
        let Some(url) = value.as_str().and_then(|text| Url::parse(text).ok()) else {
            continue;
        };
        let hosts = settings.plain_http_hosts.names();
        let is_plain_host = hosts.iter().any(|host| url.host_str() == Some(host));
        if url.scheme() != "https" && !is_plain_host {
            return Err(invalid_response(format!(
                "the issuer's metadata names {} without https, and the issuer has https",
                printable(name)
            )));
        }
    }
    Ok(())
}

/// Converts a URL to the type that the HTTP client takes.
pub(crate) fn uri(url: &Url) -> Result<Uri, AuthError> {
    Uri::try_from(url.as_str()).map_err(|_| invalid_response("invalid endpoint URL"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::url::PlainHttpHosts;

    fn read(changes: Value, plain: &[&str]) -> Result<Metadata, AuthError> {
        let mut settings = IssuerSettings::new("https://login.example".parse().unwrap());
        let plain = plain.iter().map(|host| (*host).to_owned()).collect();
        settings.plain_http_hosts = PlainHttpHosts::read(plain).unwrap();
        let mut document = json!({
            "issuer": "https://login.example",
            "introspection_endpoint": "https://login.example/introspect",
            "jwks_uri": "https://keys.example/jwks",
        });
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        let destinations = Destinations::of(&settings);
        Metadata::read(document.to_string().as_bytes(), &settings, &destinations)
    }

    #[test]
    fn an_issuer_with_https_names_no_endpoint_without_it() {
        assert!(read(json!({}), &[]).is_ok());
        for name in [
            "introspection_endpoint",
            "jwks_uri",
            "revocation_endpoint",
            "authorization_endpoint",
            "token_endpoint",
            "registration_endpoint",
            "one_of_tomorrow_endpoint",
        ] {
            for url in [
                "http://login.example/x",
                "HTTP://127.0.0.1/x",
                "ftp://login.example/x",
            ] {
                let error = read(json!({ name: url }), &[]).err().unwrap().to_string();
                assert!(
                    error.contains(&format!("names {name} without https")),
                    "{error}"
                );
            }
            assert!(
                read(
                    json!({ name: "http://auth.internal/x" }),
                    &["auth.internal"]
                )
                .is_ok()
            );
        }
        let aliases = json!({ "mtls_endpoint_aliases": { "token_endpoint": "http://a.example/" } });
        assert!(read(aliases, &[]).is_err());
        assert!(read(json!({ "service_documentation": "http://a.example/" }), &[]).is_ok());
    }

    #[test]
    fn an_endpoint_that_cannot_be_called_says_why() {
        let metadata = read(json!({ "jwks_uri": "https://10.0.0.1/jwks" }), &[]).unwrap();
        assert!(metadata.introspection.is_ok());
        let error = metadata.keys.unwrap_err().to_string();
        assert!(
            error.contains("jwks_uri") && error.contains("10.0.0.1"),
            "{error}"
        );
        let metadata = read(json!({ "introspection_endpoint": 7 }), &[]).unwrap();
        let error = metadata.introspection.unwrap_err().to_string();
        assert!(error.contains("names no introspection_endpoint"), "{error}");
    }
}
