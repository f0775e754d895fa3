//! What is told of an authorization server before it is first asked.

use std::time::Duration;

use url::Url;

use super::client_authentication::ClientAuthentication;
use crate::{
    auth::token_cache::CacheSettings,
    jose::keys::Algorithm,
    url::{IssuerUrl, PlainHttpHosts},
};

/// How to reach the authorization server, and as whom.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// Its identifier.
    pub url: IssuerUrl,
    /// What its opaque tokens begin with; empty if nothing is known of them.
    pub token_prefixes: Vec<String>,
    /// Where its metadata is; `None` looks for it under the identifier (RFC 8414 §3.1).
    pub metadata_url: Option<Url>,
    /// Hosts on which endpoints that the metadata names may be reached by http.
    pub plain_http_hosts: PlainHttpHosts,
    /// Its introspection endpoint; `None` finds it in the issuer's metadata.
    pub introspection_url: Option<Url>,
    /// As whom introspection is called; `None` if the issuer's tokens are verified by its keys alone.
    pub client: Option<ClientAuthentication>,
    /// Whether introspection replies have to be signed (RFC 9701).
    pub signed_replies: bool,
    /// How its tokens that are JWTs are verified; `None` has every token introspected.
    pub jwt: Option<JwtSettings>,
    /// Its key set; `None` finds it in the issuer's metadata.
    pub keys_url: Option<Url>,
    /// How long an introspection may take, from the first connection to the last byte, a second try
    /// included.
    pub timeout: Duration,
    /// How long what it said is believed.
    pub cache: CacheSettings,
    /// Whether a token without `aud` is accepted.
    pub audience_may_be_absent: bool,
}

impl IssuerSettings {
    /// An authorization server with this identifier, which nobody is known to as yet: without a client
    /// to introspect as and without JWTs, no token of it is accepted.
    #[must_use]
    pub fn new(url: IssuerUrl) -> Self {
        Self {
            url,
            token_prefixes: Vec::new(),
            metadata_url: None,
            plain_http_hosts: PlainHttpHosts::default(),
            introspection_url: None,
            client: None,
            signed_replies: false,
            jwt: None,
            keys_url: None,
            timeout: Duration::from_secs(3),
            cache: CacheSettings::default(),
            audience_may_be_absent: false,
        }
    }
}

/// How tokens that are JWTs are verified (RFC 9068).
#[derive(Clone, Debug)]
pub struct JwtSettings {
    /// The algorithms that are accepted.
    pub algorithms: Vec<Algorithm>,
    /// Whether the issuer is asked as well: a token that was revoked is found to be so.
    pub introspected: bool,
}
