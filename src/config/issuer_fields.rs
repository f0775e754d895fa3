//! What can be told of an issuer: by which keys, by which members of the file, and how it is shown.

use super::{IssuerConfig, options::Source, read::EffectiveValue, units};
use crate::oauth::client_authentication::SecretSource;

/// One thing that is told of an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Issuer,
    TokenPrefixes,
    MetadataUrl,
    IntrospectionUrl,
    Authentication,
    ClientId,
    ClientKeyId,
    ClientSecret,
    ClientSecretFile,
    Signed,
    Cache,
    CacheEntries,
    NegativeCache,
    Stale,
    Timeout,
    Jwt,
    Algorithms,
    KeySetUrl,
    AudienceOptional,
}

/// What of an issuer is told by a key of its own.
pub(super) const KEYS: [(Field, &str); 18] = [
    (Field::Issuer, "EPICME_ISSUER"),
    (Field::MetadataUrl, "EPICME_ISSUER_METADATA_URL"),
    (Field::IntrospectionUrl, "EPICME_INTROSPECTION_URL"),
    (Field::Authentication, "EPICME_INTROSPECTION_AUTHENTICATION"),
    (Field::ClientId, "EPICME_INTROSPECTION_CLIENT_ID"),
    (Field::ClientKeyId, "EPICME_INTROSPECTION_CLIENT_KEY_ID"),
    (Field::ClientSecret, "EPICME_INTROSPECTION_CLIENT_SECRET"),
    (
        Field::ClientSecretFile,
        "EPICME_INTROSPECTION_CLIENT_SECRET_FILE",
    ),
    (Field::Signed, "EPICME_INTROSPECTION_SIGNED"),
    (Field::Cache, "EPICME_INTROSPECTION_CACHE"),
    (Field::CacheEntries, "EPICME_INTROSPECTION_CACHE_ENTRIES"),
    (Field::NegativeCache, "EPICME_INTROSPECTION_NEGATIVE_CACHE"),
    (Field::Stale, "EPICME_INTROSPECTION_STALE"),
    (Field::Timeout, "EPICME_INTROSPECTION_TIMEOUT"),
    (Field::Jwt, "EPICME_JWT"),
    (Field::Algorithms, "EPICME_JWT_ALGORITHMS"),
    (Field::KeySetUrl, "EPICME_JWKS_URL"),
    (Field::AudienceOptional, "EPICME_AUDIENCE_OPTIONAL"),
];

/// What of an issuer is told by a member of its object in the file.
pub(super) const MEMBERS: [(Field, &str); 18] = [
    (Field::Issuer, "issuer"),
    (Field::TokenPrefixes, "tokenPrefixes"),
    (Field::MetadataUrl, "metadataUrl"),
    (Field::IntrospectionUrl, "introspection.url"),
    (Field::Authentication, "introspection.authentication"),
    (Field::ClientId, "introspection.clientId"),
    (Field::ClientKeyId, "introspection.clientKeyId"),
    (Field::ClientSecretFile, "introspection.clientSecretFile"),
    (Field::Signed, "introspection.signed"),
    (Field::Cache, "introspection.cache"),
    (Field::CacheEntries, "introspection.cacheEntries"),
    (Field::NegativeCache, "introspection.negativeCache"),
    (Field::Stale, "introspection.stale"),
    (Field::Timeout, "introspection.timeout"),
    (Field::Jwt, "jwt"),
    (Field::Algorithms, "jwt.algorithms"),
    (Field::KeySetUrl, "jwksUrl"),
    (Field::AudienceOptional, "audienceOptional"),
];

/// The name of one thing among these.
pub(super) fn name(names: &[(Field, &'static str)], field: Field) -> Option<&'static str> {
    names
        .iter()
        .find(|(named, _)| *named == field)
        .map(|(_, name)| *name)
}

/// What a key that tells of an issuer has in effect.
pub(super) fn shown_by_key(issuer: &IssuerConfig, key: &str) -> Option<String> {
    let (field, _) = KEYS.iter().find(|(_, name)| *name == key)?;
    shown(issuer, *field)
}

/// What the file has in effect.
pub(super) fn shown_by_file(issuers: &[IssuerConfig]) -> Vec<EffectiveValue> {
    let issuers = issuers.iter().enumerate();
    issuers
        .flat_map(|(at, issuer)| {
            MEMBERS.iter().filter_map(move |(field, member)| {
                shown(issuer, *field).map(|value| EffectiveValue {
                    key: format!("issuers[{at}].{member}").into(),
                    value,
                    source: Source::File,
                })
            })
        })
        .collect()
}

/// Nothing for what has no effect: a client where nobody is asked, algorithms where nothing is verified.
fn shown(issuer: &IssuerConfig, field: Field) -> Option<String> {
    let switch = |on: bool| Some(units::show_switch(on).to_owned());
    let url = |url: &Option<url::Url>| {
        let found = || "(from the issuer's metadata)".to_owned();
        Some(url.as_ref().map_or_else(found, ToString::to_string))
    };
    let client = issuer.client.as_ref();
    let jwt = issuer.jwt.as_ref();
    match field {
        Field::Issuer => Some(issuer.url.to_string()),
        Field::TokenPrefixes => Some(issuer.token_prefixes.join(" ")),
        Field::MetadataUrl => {
            let usual = || "(under the issuer's own URL)".to_owned();
            Some(
                issuer
                    .metadata_url
                    .as_ref()
                    .map_or_else(usual, ToString::to_string),
            )
        }
        Field::IntrospectionUrl => client.and_then(|_| url(&issuer.introspection_url)),
        Field::Authentication => client.map(|client| client.method.as_str().to_owned()),
        Field::ClientId => client.map(|client| client.client_id.clone()),
        Field::ClientKeyId => client.and_then(|client| client.key_id.clone()),
        Field::ClientSecret => client.map(|_| "***".to_owned()),
        Field::ClientSecretFile => client.and_then(|client| match &client.secret {
            SecretSource::Given(_) => None,
            SecretSource::File(path) => Some(path.display().to_string()),
        }),
        Field::Signed => switch(issuer.signed_replies),
        Field::Cache => Some(units::show(issuer.cache_lifetime)),
        Field::CacheEntries => Some(issuer.cache_entries.to_string()),
        Field::NegativeCache => Some(units::show(issuer.negative_cache_lifetime)),
        Field::Stale => Some(units::show(issuer.stale)),
        Field::Timeout => Some(units::show(issuer.timeout)),
        Field::Jwt => Some(
            match jwt {
                None => "off",
                Some(jwt) if jwt.introspected => "introspected",
                Some(_) => "on",
            }
            .to_owned(),
        ),
        Field::Algorithms => jwt.map(|jwt| {
            let names: Vec<_> = jwt
                .algorithms
                .iter()
                .map(|algorithm| algorithm.as_str())
                .collect();
            names.join(" ")
        }),
        Field::KeySetUrl => url(&issuer.keys_url),
        Field::AudienceOptional => switch(issuer.audience_may_be_absent),
    }
}
