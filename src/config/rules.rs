//! Rules for single values, beyond their kind.

use std::{collections::BTreeSet, convert::Infallible, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use url::Url;

use super::{sections::SealingKey, spelling};
use crate::{
    scopes::{self, JournalScopes},
    storage::{self, PlainDatabaseHosts},
};
use resource_server::{
    address_range::{AddressRange, NotARange},
    jose::keys::Algorithm,
    token_rules::{ClientClaim, JwtType, ScopeClaim},
    url::{IssuerUrl, PlainHttpHosts, PublicUrl, UrlFault, endpoint as endpoint_of},
    validation::is_usable_name,
};

/// The shortest secret that cannot be guessed, in bytes.
const SHORTEST_SECRET: usize = 16;

/// The most prefixes of one issuer's tokens.
const MOST_PREFIXES: usize = 20;

/// The longest prefix, in bytes.
const LONGEST_PREFIX: usize = 100;

/// The most audiences besides the resource.
const MOST_AUDIENCES: usize = 20;

/// The longest prefix of scopes, in bytes.
const LONGEST_PREFIX_OF_SCOPES: usize = 200;

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

/// The base URL, to which the path of the endpoint is added.
pub(super) fn public_url(text: &str) -> Result<PublicUrl, String> {
    let url: PublicUrl = text.parse().map_err(|fault: UrlFault| fault.to_string())?;
    let path = url.path();
    for added in ["/mcp", "/.well-known/oauth-protected-resource"] {
        if let Some(base) = path.strip_suffix(added) {
            let right = format!("{}{base}", url.origin());
            return Err(format!(
                "must not end in {added}, which the server adds to it: write {right}"
            ));
        }
    }
    Ok(url)
}

/// An issuer identifier, and not the URL of its metadata.
pub(super) fn issuer(text: &str) -> Result<IssuerUrl, String> {
    let url: IssuerUrl = text.parse().map_err(|fault: UrlFault| fault.to_string())?;
    match spelling::issuer_of_metadata(text) {
        Some(right) => Err(format!(
            "must be the issuer identifier, not the URL of its metadata: write {right}, if that is what the metadata \
             has as issuer"
        )),
        None => Ok(url),
    }
}

/// A host as clients send it in `Host`: a name or an address, and a port if it is not the usual one.
pub(super) fn host(text: &str) -> Result<String, String> {
    if spelling::is_host(text) {
        return Ok(text.to_owned());
    }
    let rule = "must be hosts such as journal.example or journal.example:8443, without a scheme, a path or a wildcard";
    Err(spelling::with_right(rule, spelling::host(text)))
}

/// Hosts whose endpoints may be reached by http.
pub(super) fn plain_http_hosts(names: Vec<String>) -> Result<PlainHttpHosts, String> {
    let right = names.iter().find_map(|name| spelling::bare_host(name));
    PlainHttpHosts::read(names).map_err(|fault| spelling::with_right(&fault.to_string(), right))
}

/// An id that one side chose and the other compares.
pub(super) fn id(text: &str) -> Result<String, &'static str> {
    let is_whole = text.trim() == text && !text.contains(char::is_control);
    is_whole
        .then(|| text.to_owned())
        .ok_or("must not begin or end with white space, or contain a line break")
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
pub(super) fn origin(text: &str) -> Result<String, String> {
    let right = spelling::origin(text);
    if right.as_deref() == Some(text) {
        return Ok(text.to_owned());
    }
    let rule = "must be origins such as https://app.example, http://localhost:6274 or tauri://localhost, in lower case, without a path or wildcard";
    Err(spelling::with_right(rule, right))
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

pub(super) fn collector(text: &str) -> Result<Url, String> {
    const ADDED: &str = "/v1/traces";
    if let Some(right) = text.trim_end_matches('/').strip_suffix(ADDED) {
        return Err(format!(
            "must not end in {ADDED}, which is added to it: write {right}"
        ));
    }
    Url::parse(text)
        .ok()
        .filter(|url| {
            ["http", "https"].contains(&url.scheme())
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        })
        .ok_or_else(|| {
            "must be an http or https URL without a query, such as http://127.0.0.1:4318".to_owned()
        })
}

/// What libpq reads as it was meant, and what leads to another machine with TLS only, unless that is one of these.
pub(super) fn database_url(
    url: &SecretString,
    plain: &PlainDatabaseHosts,
) -> Result<SecretString, String> {
    storage::protected(url, plain)
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

/// Audiences that tokens may have besides this resource.
pub(super) fn audiences(audiences: Vec<String>) -> Result<BTreeSet<String>, &'static str> {
    let is_audience =
        |audience: &String| is_usable_name(audience) && !audience.contains(char::is_control);
    (audiences.len() <= MOST_AUDIENCES && audiences.iter().all(is_audience))
        .then(|| audiences.into_iter().collect())
        .ok_or("must be at most 20 audiences of 1 to 1,024 bytes, separated by spaces")
}

pub(super) fn client_claims(names: Vec<String>) -> Result<Vec<ClientClaim>, String> {
    named(&names, &ClientClaim::ALL, |claim| claim.as_str())
}

pub(super) fn scope_claims(names: Vec<String>) -> Result<Vec<ScopeClaim>, String> {
    named(&names, &ScopeClaim::ALL, |claim| claim.as_str())
}

pub(super) fn jwt_types(names: Vec<String>) -> Result<Vec<JwtType>, String> {
    named(&names, &JwtType::ALL, |kind| kind.as_str())
}

/// One or more of a few things by their names, each once.
fn named<T: Copy + PartialEq>(
    names: &[String],
    all: &[T],
    name_of: impl Fn(T) -> &'static str,
) -> Result<Vec<T>, String> {
    let mut found = Vec::new();
    for name in names {
        match all.iter().find(|one| name_of(**one) == name) {
            Some(one) if !found.contains(one) => found.push(*one),
            _ => {
                found.clear();
                break;
            }
        }
    }
    if found.is_empty() {
        let all = all.iter().map(|one| name_of(*one));
        let all = Vec::from_iter(all).join(" ");
        return Err(format!("must be one or more of {all}, each once"));
    }
    Ok(found)
}

/// What can begin a scope token (RFC 6749 §3.3).
pub(super) fn scope_prefix(prefix: &str) -> Result<String, &'static str> {
    let is_of_scope = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    (prefix.len() <= LONGEST_PREFIX_OF_SCOPES && prefix.bytes().all(is_of_scope))
        .then(|| prefix.to_owned())
        .ok_or("must be at most 200 characters of visible ASCII, without quotation marks and backslashes")
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
