//! The settings of an authorization server.

use std::time::Duration;

use url::Url;

use super::client_authentication::ClientAuthentication;
use crate::{
    address_range::AddressRange,
    auth::token_cache::CacheSettings,
    jose::keys::Algorithm,
    token_rules::{JwtType, TokenRules},
    url::{IssuerUrl, PlainHttpHosts},
};

/// The settings of one authorization server. [`Issuer`](super::Issuer) builds them.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// Its identifier (RFC 8414 §2).
    pub url: IssuerUrl,
    /// The prefixes of its opaque tokens; needed with several issuers that have opaque tokens.
    pub token_prefixes: Vec<String>,
    /// The URL of its metadata; `None` derives it from the identifier (RFC 8414 §3.1).
    pub metadata_url: Option<Url>,
    /// Hosts whose endpoints in the metadata may use plain HTTP.
    pub plain_http_hosts: PlainHttpHosts,
    /// Addresses that are not on the internet, at which endpoints of its metadata may be all the same. Hosts that
    /// another setting names may have private and loopback addresses without it.
    pub private_addresses: Vec<AddressRange>,
    /// Its introspection endpoint; `None` takes it from the metadata.
    pub introspection_url: Option<Url>,
    /// The client authentication for introspection; `None` if tokens are only verified as JWTs.
    pub client: Option<ClientAuthentication>,
    /// Whether introspection replies have to be signed (RFC 9701).
    pub signed_replies: bool,
    /// The verification of JWT access tokens; `None` introspects every token.
    pub jwt: Option<JwtSettings>,
    /// The URL of its key set; `None` takes it from the metadata.
    pub keys_url: Option<Url>,
    /// The time limit of an introspection, connecting and one retry included. Default: 3 s.
    pub timeout: Duration,
    /// The cache of results.
    pub cache: CacheSettings,
    /// What is accepted of its tokens beyond the RFCs. Default: nothing.
    pub rules: TokenRules,
    /// The audiences of logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4) that are accepted besides the
    /// client id of `client`: the client ids with which people sign in at the issuer.
    pub logout_audiences: Vec<String>,
}

impl IssuerSettings {
    /// The default settings. They accept no token until `client` or `jwt` is set.
    #[must_use]
    pub fn new(url: IssuerUrl) -> Self {
        Self {
            url,
            token_prefixes: Vec::new(),
            metadata_url: None,
            plain_http_hosts: PlainHttpHosts::default(),
            private_addresses: Vec::new(),
            introspection_url: None,
            client: None,
            signed_replies: false,
            jwt: None,
            keys_url: None,
            timeout: Duration::from_secs(3),
            cache: CacheSettings::default(),
            rules: TokenRules::default(),
            logout_audiences: Vec::new(),
        }
    }
}

/// The verification of JWT access tokens (RFC 9068).
#[derive(Clone, Debug)]
pub struct JwtSettings {
    /// The accepted signature algorithms.
    pub algorithms: Vec<Algorithm>,
    /// Whether a verified token is introspected as well, so that its revocation is noticed.
    pub introspected: bool,
    /// The accepted types (`typ`). [`JwtType::AccessToken`] alone is what RFC 9068 §4 has.
    pub types: Vec<JwtType>,
}
