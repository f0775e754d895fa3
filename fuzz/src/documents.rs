//! What an authorization server answers, and the challenges to clients.

use std::collections::BTreeSet;

use resource_server::{
    Issuer,
    bearer::Scheme,
    challenge::Challenger,
    fuzzing::read_issuer_metadata,
    jose::{jws::JwsFault, keys::KeySet},
    scope::{ScopeSet, Scopes},
    validation::{Refusal, read_reply},
};
use serde_json::Value;
use url::{Host, Url};

use crate::claims;

/// The body of an introspection reply.
pub fn introspection(data: &[u8]) -> bool {
    let Ok(reply) = read_reply(data) else {
        return false;
    };
    // A second reader fails on what the first passes over, such as a number that is too large.
    let members: Option<Value> = serde_json::from_slice(data).ok();
    if let Some(members) = &members {
        assert_eq!(members["active"].as_bool(), Some(reply.active));
    }
    let principal = claims::validated(reply, members.as_ref());
    if let Some(members) = members {
        let again = read_reply(members.to_string().as_bytes()).expect("the same members");
        assert_eq!(claims::validated(again, Some(&members)), principal);
    }
    principal.is_some()
}

/// The metadata of an issuer, and a key set.
pub fn issuer_metadata(data: &[u8]) -> bool {
    let settings = Issuer::introspecting(claims::ISSUER, "files", "secret").settings();
    let settings = settings.expect("an issuer").clone();
    if KeySet::read(data).is_ok() {
        let set: Value = serde_json::from_slice(data).expect("JSON");
        let keys = set["keys"].as_array().expect("an array").len();
        assert!((1..=100).contains(&keys) && data.len() <= 64 * 1024);
    }
    let Ok(metadata) = read_issuer_metadata(data, &settings) else {
        return false;
    };
    assert_eq!(
        metadata.document.as_bytes(),
        data,
        "it is relayed to the letter"
    );
    let members: Option<Value> = serde_json::from_slice(data).ok();
    if let Some(members) = members {
        assert_eq!(members["issuer"], claims::ISSUER);
    }
    for endpoint in [metadata.introspection, metadata.keys]
        .into_iter()
        .flatten()
    {
        let url = Url::parse(&endpoint).expect("a URL");
        assert!(url.scheme() == "https" || is_loopback(&url), "{endpoint}");
        assert!(
            url.username().is_empty() && url.password().is_none(),
            "{endpoint}"
        );
        assert!(url.fragment().is_none(), "{endpoint}");
    }
    true
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Lines: the realm, the URL of the metadata, then a scope each. Whatever they contain, the fields are challenges by the
/// grammar, and say what they should.
pub fn challenge(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let realm = lines.next().unwrap_or_default().to_owned();
    let resource_metadata = lines.next().unwrap_or_default().to_owned();
    let declared: Vec<_> = lines.map(|name| (name, "")).collect();
    let Ok(scopes) = Scopes::declare(declared) else {
        return false;
    };
    let challenger = Challenger {
        realm: realm.clone(),
        baseline: scopes.all(),
        scopes,
        resource_metadata: resource_metadata.clone(),
        accepts_proofs: data.len().is_multiple_of(2),
        scope_prefix: String::new(),
    };
    let names = challenger.scopes.list(challenger.scopes.all());
    for refusal in [
        Refusal::Missing,
        Refusal::Malformed("no token after the scheme"),
        Refusal::Expired,
        Refusal::Unverified(JwsFault::Signature),
        Refusal::InsufficientScope {
            needed: challenger.baseline,
        },
        Refusal::InsufficientScope {
            needed: ScopeSet::EMPTY,
        },
    ] {
        let challenge = challenger.challenge(refusal, Scheme::Bearer);
        assert!(matches!(challenge.status, 400 | 401 | 403));
        let field = challenge.field();
        let mut rest = field.as_str();
        while !rest.is_empty() {
            let (scheme, parameters, after) = parse(rest).expect("RFC 9110 §11.6.1");
            rest = after;
            let is_dpop = scheme == "DPoP";
            assert!(is_dpop || scheme == "Bearer", "{scheme}");
            let value = |name: &str| {
                let found = parameters.iter().find(|(known, _)| known == name);
                found.map(|(_, value)| value.as_str())
            };
            assert_eq!(value("realm"), Some(printable(&realm).as_str()));
            assert_eq!(
                value("resource_metadata"),
                Some(printable(&resource_metadata).as_str())
            );
            assert_eq!(value("algs").is_some(), is_dpop);
            assert_eq!(value("error"), challenge.error.filter(|_| !is_dpop));
            if let Some(scope) = challenge.scope {
                assert_eq!(
                    value("scope"),
                    Some(if scope.is_empty() { "" } else { &names })
                );
            }
        }
    }
    true
}

fn printable(text: &str) -> String {
    let visible = |character| {
        if matches!(character, ' '..='~') {
            character
        } else {
            ' '
        }
    };
    text.chars().map(visible).collect()
}

/// Names and values.
type Parameters = Vec<(String, String)>;

/// The first challenge of RFC 9110 §11.6.1 whose parameters are all quoted-strings (§5.6.4), each there once, and the
/// challenges behind it.
fn parse(field: &str) -> Option<(String, Parameters, &str)> {
    let (scheme, mut rest) = field.split_once(' ')?;
    let (mut parameters, mut names) = (Vec::new(), BTreeSet::new());
    loop {
        let (name, value) = rest.split_once("=\"")?;
        let is_token = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_token) || !names.insert(name.to_owned()) {
            return None;
        }
        let (mut text, mut characters) = (String::new(), value.char_indices());
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => text.push(characters.next()?.1),
                (_, character @ ' '..='~') => text.push(character),
                _ => return None,
            }
        };
        parameters.push((name.to_owned(), text));
        match &value[end + 1..] {
            "" => return Some((scheme.to_owned(), parameters, "")),
            more => rest = more.strip_prefix(", ")?,
        }
        if rest.starts_with("DPoP ") {
            return Some((scheme.to_owned(), parameters, rest));
        }
    }
}
