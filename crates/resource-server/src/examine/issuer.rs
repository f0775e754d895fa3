//! What an authorization server answers.

use actix_web::http::StatusCode;
use serde_json::{Map, Value};
use url::Url;

use super::{
    Examiner,
    finding::{Finding, Findings, Setting},
};
use crate::{
    issuer::{
        IssuerSettings,
        client::IssuerClient,
        metadata::{Metadata, uri},
    },
    jose::keys::Algorithm,
    printable::printable,
};

/// Whether something is needed for the check of a token.
#[derive(Clone, Copy)]
struct Needs {
    metadata: bool,
    keys: bool,
}

impl Examiner {
    /// Asks the issuer at this index for its metadata and its keys, and about a random string.
    ///
    /// # Panics
    /// If there is no such issuer.
    pub async fn issuer(&self, index: usize) -> Vec<Finding> {
        let client = &*self.issuers[index];
        let settings = &client.state().settings;
        let mut found = Findings::default();
        let needs_keys = settings.jwt.is_some() || settings.signed_replies;
        let needs = Needs {
            metadata: settings.client.is_some() && settings.introspection_url.is_none()
                || needs_keys && settings.keys_url.is_none(),
            keys: needs_keys,
        };
        let metadata = metadata(client, needs, &mut found).await;
        if settings.client.is_some() {
            introspection_endpoint(client, metadata.as_ref(), &mut found);
        }
        keys(client, metadata.as_ref(), needs, &mut found).await;
        let is_asked = match &settings.introspection_url {
            Some(_) => true,
            None => metadata.is_some_and(|metadata| metadata.introspection.is_ok()),
        };
        if settings.client.is_some() && is_asked {
            introspection(client, &mut found).await;
        }
        found.0
    }
}

/// Fetches the metadata from the URLs at which it may be, and compares its issuer with the configured one.
async fn metadata(client: &IssuerClient, needs: Needs, found: &mut Findings) -> Option<Metadata> {
    let state = client.state();
    let settings = &state.settings;
    let mut search = client.metadata_search();
    while let Some(url) = search.next_url() {
        let fetched = match uri(&url) {
            Ok(uri) => client.http().fetch(&uri).await,
            Err(error) => Err(error),
        };
        if let Some(metadata) = search.found(&url, fetched, settings, &state.destinations) {
            found.ok(format!(
                "the metadata at {url} names the issuer {}",
                settings.url
            ));
            return Some(metadata);
        }
    }
    let refusal = match search.best() {
        Ok(metadata) => {
            found.ok(format!("the metadata names the issuer {}", settings.url));
            return Some(metadata);
        }
        Err(refusal) => refusal,
    };
    let error = &refusal.error;
    match (&refusal.url, refusal.status) {
        (Some(url), Some(StatusCode::OK)) => match named_issuer(&refusal.body) {
            Some(named) if named != settings.url.as_str() => {
                other_issuer(url.as_str(), &named, settings.url.as_str(), found);
            }
            _ => found.wrong(
                format!("the metadata at {url} cannot be used: {error}"),
                Some(Setting::MetadataUrl),
                "it has to be the JSON document of RFC 8414",
            ),
        },
        (Some(url), Some(status)) => found.wrong(
            format!(
                "the metadata at {url} is answered with status {}",
                status.as_u16()
            ),
            Some(Setting::MetadataUrl),
            "the URL in a browser has to show a JSON document; if the metadata is elsewhere, set its URL",
        ),
        (Some(url), None) => found.wrong(
            format!("the metadata at {url} cannot be fetched: {error}"),
            Some(Setting::Issuer),
            "is the authorization server up, and does this machine reach it; is the issuer's URL right",
        ),
        (None, _) => no_metadata(settings, needs, found),
    }
    None
}

/// There is none at any of its URLs.
fn no_metadata(settings: &IssuerSettings, needs: Needs, found: &mut Findings) {
    let urls = match &settings.metadata_url {
        Some(url) => vec![url.clone()],
        None => settings.url.metadata_urls(),
    };
    let missing = Vec::from_iter(urls.iter().map(Url::to_string));
    let text = format!("there is no metadata at {}", missing.join(", "));
    if needs.metadata {
        let advice =
            "correct the issuer's URL, or set the URL of the metadata, or those of the endpoints";
        found.wrong(text, Some(Setting::MetadataUrl), advice);
    } else {
        let advice = "tokens can be checked without it, but clients find no way to sign in";
        found.warning(text, Some(Setting::MetadataUrl), advice);
    }
}

fn other_issuer(url: &str, named: &str, expected: &str, found: &mut Findings) {
    let named = printable(named);
    let hint = if named.trim_end_matches('/') == expected.trim_end_matches('/') {
        "they differ by the slash at the end, which counts (RFC 8414 §3.3): "
    } else if named.eq_ignore_ascii_case(expected) {
        "they differ by capital letters, which count (RFC 8414 §3.3): "
    } else {
        ""
    };
    found.wrong(
        format!("the metadata at {url} is of the issuer {named}, and {expected} is expected"),
        Some(Setting::Issuer),
        format!("{hint}if that is the authorization server, set the issuer to {named}"),
    );
}

fn named_issuer(body: &[u8]) -> Option<String> {
    let members: Map<String, Value> = serde_json::from_slice(body).ok()?;
    members.get("issuer")?.as_str().map(str::to_owned)
}

fn introspection_endpoint(
    client: &IssuerClient,
    metadata: Option<&Metadata>,
    found: &mut Findings,
) {
    let configured = client.state().settings.introspection_url.as_ref();
    let endpoint = match (configured, metadata) {
        (Some(url), _) => Ok(url.to_string()),
        (None, Some(metadata)) => metadata.introspection.as_ref().map(ToString::to_string),
        // The metadata is the fault.
        (None, None) => return,
    };
    match endpoint {
        Ok(url) => found.ok(format!("the introspection endpoint is {url}")),
        Err(error) => found.wrong(
            format!("there is no introspection endpoint: {error}"),
            Some(Setting::IntrospectionUrl),
            "set it, or verify JWTs with the issuer's keys if it does not introspect",
        ),
    }
}

async fn keys(
    client: &IssuerClient,
    metadata: Option<&Metadata>,
    needs: Needs,
    found: &mut Findings,
) {
    let settings = &client.state().settings;
    if settings.keys_url.is_none() && metadata.is_none_or(|metadata| metadata.keys.is_err()) {
        match (needs.keys, metadata.map(|metadata| &metadata.keys)) {
            (true, Some(Err(error))) => found.wrong(
                format!("there is no key set: {error}"),
                Some(Setting::KeysUrl),
                "set its URL",
            ),
            (false, Some(Err(_))) => {
                found.ok("there is no key set, and none is needed to check tokens");
            }
            // The metadata is the fault.
            (_, Some(Ok(_)) | None) => {}
        }
        return;
    }
    let keys = match client.keys().await {
        Ok(keys) => keys,
        Err(error) => {
            let text = format!("the keys cannot be fetched: {error}");
            if needs.keys {
                found.wrong(
                    text,
                    Some(Setting::KeysUrl),
                    "no JWT can be verified without them",
                );
            } else {
                found.warning(
                    text,
                    Some(Setting::KeysUrl),
                    "only logout tokens need them here",
                );
            }
            return;
        }
    };
    let shown: Vec<_> = keys
        .described()
        .map(|key| printable(&key).into_owned())
        .collect();
    found.ok(format!("the keys were fetched: {}", shown.join(" ")));
    if let Some(jwt) = &settings.jwt
        && !jwt
            .algorithms
            .iter()
            .any(|algorithm| keys.has_key_for(*algorithm))
    {
        let accepted = jwt
            .algorithms
            .iter()
            .map(|algorithm| Algorithm::as_str(*algorithm));
        found.wrong(
            format!(
                "no key is for an accepted algorithm ({})",
                Vec::from_iter(accepted).join(" ")
            ),
            Some(Setting::Algorithms),
            "accept the algorithm of the keys",
        );
    }
}

/// Introspects a string that is no token: the answer says whether the credentials are accepted.
async fn introspection(client: &IssuerClient, found: &mut Findings) {
    let state = client.state();
    state.first_answer.asking();
    match client.introspect_random().await {
        Ok(reply) if reply.is_unsupported => found.warning(
            "a random string was introspected, and the answer is unsupported_token_type",
            Some(Setting::Jwt),
            "the server may introspect some kinds of tokens only; try one with a token file",
        ),
        Ok(reply) if reply.active => found.wrong(
            "a random string was introspected, and the answer is that it is an active token",
            Some(Setting::IntrospectionUrl),
            "that is no introspection endpoint: with it, everybody would be let in",
        ),
        Ok(_) => found.ok("a random string was introspected, and is not active, as expected"),
        Err(failed) if state.first_answer.has_rejected_client() => found.wrong(
            format!("the introspection endpoint rejects this server's credentials ({})", failed.error),
            Some(Setting::Credentials),
            "are client id, secret and method those of a client that may introspect; is the secret's file the current one",
        ),
        Err(failed) if !state.first_answer.lacks_introspection() => found.warning(
            format!("a random string was introspected, and the answer is no introspection reply ({})", failed.error),
            Some(Setting::IntrospectionUrl),
            "RFC 7662 §2.2 has active:false for it; a token that this server does not know is answered 503 here, not 401",
        ),
        Err(failed) => found.wrong(
            format!("a random string could not be introspected: {}", failed.error),
            Some(Setting::IntrospectionUrl),
            "is the authorization server up, and is this its introspection endpoint (RFC 7662)",
        ),
    }
}
