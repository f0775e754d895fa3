//! Rules for single values, beyond their kind.

use std::{convert::Infallible, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use url::Url;

use super::sections::SealingKey;
use crate::scopes::{self, JournalScopes};
use resource_server::{
    address_range::{AddressRange, NotARange},
    jose::keys::Algorithm,
    url::{PlainHttpHosts, UrlFault, endpoint as endpoint_of},
    validation::is_usable_name,
};

/// The shortest secret that cannot be guessed, in bytes.
const SHORTEST_SECRET: usize = 16;

/// The most prefixes of one issuer's tokens.
const MOST_PREFIXES: usize = 20;

/// The longest prefix, in bytes.
const LONGEST_PREFIX: usize = 100;

/// An endpoint of an issuer.
pub(super) fn endpoint(text: &str, plain: &PlainHttpHosts) -> Result<Url, String> {
    endpoint_of(text, plain).map_err(|fault| match fault {
        // Whoever reads this looks for our key.
        UrlFault::EndpointNotSecure => "must use https (http is allowed on a loopback host and on \
            those of EPICME_PLAIN_HTTP_HOSTS only)"
            .to_owned(),
        fault => fault.to_string(),
    })
}

pub(super) fn any_text(text: &str) -> Result<String, Infallible> {
    Ok(text.to_owned())
}

pub(super) fn client_id(text: &str) -> Result<String, &'static str> {
    is_usable_name(text)
        .then(|| text.to_owned())
        .ok_or("must be client ids of 1 to 1,024 bytes, separated by spaces")
}

pub(super) fn any_secret(secret: SecretString) -> Result<SecretString, Infallible> {
    Ok(secret)
}

/// An origin as a browser writes it (RFC 6454 §6.2), because it is compared to the letter.
pub(super) fn origin(text: &str) -> Result<String, &'static str> {
    Url::parse(text)
        .is_ok_and(|url| url.origin().ascii_serialization() == text)
        .then(|| text.to_owned())
        .ok_or("must be origins such as https://app.example or http://localhost:6274, in lower case, without a path")
}

pub(super) fn range(text: &str) -> Result<AddressRange, NotARange> {
    text.parse()
}

pub(super) fn scopes(text: &str) -> Result<JournalScopes, String> {
    if text.trim().is_empty() {
        return Err("must name at least one scope".to_owned());
    }
    let (declared, tokens) = (scopes::declared(), text.split_ascii_whitespace());
    declared
        .set(&Vec::from_iter(tokens))
        .map(JournalScopes)
        .map_err(|_| format!("must be one or more of {}", declared.list(declared.all())))
}

pub(super) fn collector(text: &str) -> Result<Url, &'static str> {
    Url::parse(text)
        .ok()
        .filter(|url| {
            ["http", "https"].contains(&url.scheme())
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        })
        .ok_or("must be an http or https URL without a query, such as http://127.0.0.1:4318")
}

/// Rejects what cannot be a database URL at all; libpq checks the rest.
pub(super) fn database_url(url: SecretString) -> Result<SecretString, &'static str> {
    let text = url.expose_secret();
    if text.is_empty() {
        return Err("must not be empty");
    }
    let is_address =
        text.starts_with("postgresql://") || text.starts_with("postgres://") || text.contains('=');
    is_address
        .then_some(url)
        .ok_or("must be a libpq URL, such as postgresql://epicme@db.internal/epicme")
}

pub(super) fn revocation_secret(secret: SecretString) -> Result<SecretString, &'static str> {
    (secret.expose_secret().len() >= SHORTEST_SECRET)
        .then_some(secret)
        .ok_or("must have at least 16 characters; `openssl rand -base64 32` makes a good one")
}

pub(super) fn sealing_key(text: SecretString) -> Result<SealingKey, &'static str> {
    let bytes = STANDARD.decode(text.expose_secret()).ok();
    bytes
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .map(|key| Arc::new(SecretBox::new(Box::new(key))))
        .ok_or("must be 32 bytes in Base64; `openssl rand -base64 32` makes such a key")
}

/// Prefixes that a token can have (RFC 6750 §2.1).
pub(super) fn prefixes(prefixes: Vec<String>) -> Result<Vec<String>, &'static str> {
    let is_prefix = |prefix: &String| {
        (1..=LONGEST_PREFIX).contains(&prefix.len())
            && prefix
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
    };
    (prefixes.len() <= MOST_PREFIXES && prefixes.iter().all(is_prefix))
        .then_some(prefixes)
        .ok_or("must be at most 20 prefixes of tokens, each of 1 to 100 letters, digits or -._~+/=")
}

pub(super) fn algorithms(names: Vec<String>) -> Result<Vec<Algorithm>, String> {
    let algorithms: Option<Vec<_>> = names.iter().map(|name| Algorithm::parse(name)).collect();
    algorithms
        .filter(|algorithms| !algorithms.is_empty())
        .ok_or_else(|| {
            let all = Algorithm::ALL.map(Algorithm::as_str).join(" ");
            format!("must be one or more of {all}")
        })
}

pub(super) fn names_of_algorithms(algorithms: &[Algorithm]) -> Vec<String> {
    let names = algorithms.iter().map(|algorithm| algorithm.as_str());
    names.map(str::to_owned).collect()
}
