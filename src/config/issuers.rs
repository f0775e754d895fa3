//! Authorization servers. Keys describe one, `EPICME_ISSUERS_FILE` one or more; the rules are the same.

use secrecy::{ExposeSecret, SecretString};

use super::{
    issuers_file,
    key::Key,
    keys::{self, CLIENT, ISSUER, KEYS},
    options::Source,
    parts::{Client, JwtMode},
    reader::Reader,
    sections::{IssuerConfig, Verification},
};
use resource_server::{
    address_range::AddressRange,
    issuer::{AssertionAudience, ClientAuthentication, ClientAuthenticationMethod, SecretSource},
    jose::client_assertion::ClientKey,
    url::PlainHttpHosts,
};

/// The issuers, from the file if there is one, otherwise from the keys.
pub(super) fn issuers(reader: &mut Reader<'_>) -> Option<Vec<IssuerConfig>> {
    let issuers = keys::issuers_keys(reader)?;
    // Hosts that are wrong hide no other fault.
    let plain = issuers.plain_http_hosts.unwrap_or_default();
    let private = issuers.private_addresses.unwrap_or_default();
    let Some(path) = issuers.file? else {
        return issuer(reader, &plain, &private).map(|issuer| vec![issuer]);
    };
    refuse_keys_of_one_issuer(reader);
    let document = issuers_file::read(reader, &path)?;
    let mut configs = Vec::new();
    for (at, members) in document.issuers.iter().enumerate() {
        let mut issuer_reader = reader.of_issuer(at, &members.options);
        for (member, reason) in &members.faults {
            issuer_reader.fault_of_member(member, reason.as_str());
        }
        configs.push(match members.is_object {
            true => issuer(&mut issuer_reader, &plain, &private),
            false => None,
        });
        reader.absorb(issuer_reader);
    }
    issuers_file::require_distinct(reader, &document.issuers);
    configs
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .filter(|configs| !configs.is_empty())
}

/// The file says everything about every issuer: a key besides it would have no effect.
fn refuse_keys_of_one_issuer(reader: &mut Reader<'_>) {
    let keys = KEYS.iter().filter(|key| key.member.is_some());
    for key in keys {
        for name in [Some(key.name.to_owned()), key.file_name()] {
            let Some(name) = name else { continue };
            if reader.source(&name) != Source::Default {
                reader.fault_of_name(
                    &name,
                    "is set, and so is EPICME_ISSUERS_FILE, which describes every issuer; remove one of them",
                );
            }
        }
    }
}

/// One issuer. All of it is read before it is given up, so that no fault hides another.
fn issuer(
    reader: &mut Reader<'_>,
    plain: &PlainHttpHosts,
    private: &[AddressRange],
) -> Option<IssuerConfig> {
    let client = keys::client_values(reader)?;
    let verification = verification(reader, &client);
    let types = client.types.clone();
    let issuer = keys::issuer(reader, plain, private, client.signed, types, verification)?;
    if issuer.verification.client().is_none() {
        reader.hide(&[
            &ISSUER.introspection_url,
            &CLIENT.method,
            &CLIENT.client_id,
            &CLIENT.key_id,
            &CLIENT.assertion_audience,
            &CLIENT.secret,
        ]);
    }
    if matches!(issuer.verification, Verification::Introspection(_)) {
        reader.hide(&[&CLIENT.algorithms, &CLIENT.types]);
    }
    Some(issuer)
}

fn verification(reader: &mut Reader<'_>, values: &Client) -> Option<Verification> {
    let is_set = |key: &Key| reader.is_set(key);
    let has_client = is_set(&CLIENT.client_id) || is_set(&CLIENT.secret);
    let client = if values.jwt == Some(JwtMode::On) && !has_client {
        reader.require(
            &CLIENT.signed,
            values.signed != Some(true),
            "is on, but there is no client to introspect with",
        );
        None
    } else {
        Some(client(reader, values))
    };
    let algorithms = values.algorithms.clone();
    Some(match values.jwt? {
        JwtMode::Off => Verification::Introspection(client??),
        JwtMode::On => Verification::Jwt {
            algorithms: algorithms?,
            opaque: match client {
                Some(client) => Some(client?),
                None => None,
            },
        },
        JwtMode::Introspected => Verification::JwtThenIntrospection {
            algorithms: algorithms?,
            client: client??,
        },
    })
}

fn client(reader: &mut Reader<'_>, values: &Client) -> Option<ClientAuthentication> {
    let client_id = values
        .client_id
        .clone()
        .flatten()
        .filter(|id| !id.is_empty());
    // A signed response names the client that it is for (RFC 9701 §5).
    let is_needed =
        values.method != Some(ClientAuthenticationMethod::Bearer) || values.signed == Some(true);
    reader.require(
        &CLIENT.client_id,
        client_id.is_some() || !is_needed,
        "is required",
    );
    let key_id = values.key_id.clone().flatten();
    reader.require(
        &CLIENT.key_id,
        key_id.is_none()
            || values
                .method
                .is_none_or(|method| method == ClientAuthenticationMethod::PrivateKeyJwt),
        "is for private_key_jwt only",
    );
    reader.require(
        &CLIENT.assertion_audience,
        values.assertion_audience != Some(AssertionAudience::TokenEndpoint)
            || values
                .method
                .is_none_or(|method| method == ClientAuthenticationMethod::PrivateKeyJwt),
        "is for private_key_jwt only",
    );
    let secret = secret(reader, values);
    Some(ClientAuthentication {
        method: values.method?,
        client_id: if is_needed {
            client_id?
        } else {
            client_id.unwrap_or_default()
        },
        secret: secret?,
        key_id,
        assertion_audience: values.assertion_audience?,
    })
}

fn secret(reader: &mut Reader<'_>, values: &Client) -> Option<SecretSource> {
    let key = &CLIENT.secret;
    let Some(secret) = values.secret.as_ref()? else {
        let rule = reader.required(key);
        return reader.fault(key, rule);
    };
    if let Err(rule) = check_secret(secret, values.method) {
        return reader.fault(key, rule);
    }
    Some(match reader.file_of(key) {
        Some(path) => SecretSource::File(path),
        None => SecretSource::Given(secret.clone()),
    })
}

fn check_secret(
    secret: &SecretString,
    method: Option<ClientAuthenticationMethod>,
) -> Result<(), String> {
    let text = secret.expose_secret();
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    match method {
        Some(ClientAuthenticationMethod::PrivateKeyJwt) => ClientKey::from_pem(secret, None, None)
            .map(|_| ())
            .map_err(|fault| fault.to_string()),
        Some(ClientAuthenticationMethod::Bearer)
            if !text.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Err("must be a token without spaces, on one line".to_owned())
        }
        // A secret has visible ASCII and spaces (RFC 6749, Appendix A.2).
        _ if text.contains(char::is_control) => {
            Err("must not have a line break or another control character".to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "issuers_tests.rs"]
mod tests;
