//! A second reading of claims: whatever was accepted obeys these rules.

use chrono::DateTime;
use resource_server::{
    clock::Timestamp,
    principal::{Credential, Principal},
    scope::Scopes,
    token_rules::TokenRules,
    validation::{ExpectedClaims, IntrospectionReply, validate_claims},
};
use serde_json::Value;

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const RESOURCE: &str = "https://files.example/mcp";

/// How far `nbf` and `iat` may be in the future, in seconds.
const SKEW: f64 = 30.0;

pub(crate) fn now() -> Timestamp {
    DateTime::from_timestamp(1_000_000, 0).expect("a time of the calendar")
}

fn scopes() -> Scopes {
    Scopes::declare([
        ("files:read", "Read files"),
        ("files:write", "Change files"),
    ])
    .expect("they are well-formed")
}

/// Validates the claims of a reply, and checks what is accepted.
pub(crate) fn validated(reply: IntrospectionReply, members: Option<&Value>) -> Option<Principal> {
    let expected = ExpectedClaims {
        issuer: ISSUER.parse().expect("an issuer"),
        resource: RESOURCE.parse().expect("a resource"),
        rules: TokenRules::default(),
        scopes: scopes(),
    };
    let active = reply.active;
    let token = validate_claims(reply, &expected, Credential([0; 32]), now()).ok()?;
    assert!(active, "an inactive token is accepted");
    let principal = token.principal;
    assert!(principal.expires_at.is_none_or(|end| end > now()));
    assert!(token.not_before.is_none_or(|start| start <= now()));
    for name in [
        Some(&principal.subject),
        principal.client.as_ref(),
        principal.username.as_ref(),
    ]
    .into_iter()
    .flatten()
    {
        assert!((1..=1_024).contains(&name.len()) && !name.contains('\0'));
    }
    if let Some(members) = members {
        check(members, &principal);
    }
    Some(principal)
}

/// Checks a principal against the members that it was made from.
fn check(members: &Value, principal: &Principal) {
    let text = |name| members.get(name).and_then(Value::as_str);
    let number = |name| members.get(name).and_then(Value::as_f64);
    assert_eq!(text("sub"), Some(principal.subject.as_str()));
    assert!(text("iss").is_none_or(|iss| iss == ISSUER));
    let now = 1_000_000.0;
    assert!(number("exp").is_none_or(|exp| exp.floor() > now), "expired");
    assert!(
        number("nbf").is_none_or(|nbf| nbf.floor() <= now + SKEW),
        "not yet valid"
    );
    let audiences = match &members["aud"] {
        Value::Array(audiences) => audiences.clone(),
        audience => vec![audience.clone()],
    };
    assert!(
        audiences.iter().filter_map(Value::as_str).any(names_us),
        "for another audience"
    );
    let granted: Vec<&str> = match &members["scope"] {
        Value::Array(scopes) => scopes.iter().filter_map(Value::as_str).collect(),
        Value::String(scopes) => vec![scopes.as_str()],
        _ => Vec::new(),
    };
    let granted: Vec<&str> = granted
        .iter()
        .flat_map(|list| list.split_ascii_whitespace())
        .collect();
    for scope in scopes().names(principal.scopes) {
        assert!(granted.contains(&scope), "{scope} was not granted");
    }
    if let Some(key) = &principal.bound_key {
        assert_eq!(members["cnf"]["jkt"].as_str(), Some(key.as_str()));
    } else {
        assert!(
            members.get("cnf").is_none_or(Value::is_null),
            "a bound token without its key"
        );
    }
}

/// Whether an audience names this resource: as text, with scheme and host in either case.
fn names_us(audience: &str) -> bool {
    let origin = "https://files.example".len();
    audience.get(origin..) == Some("/mcp")
        && audience[..origin].eq_ignore_ascii_case("https://files.example")
}
