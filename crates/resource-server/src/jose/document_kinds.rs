//! Tests that no signed document is accepted as one of another type (RFC 8725 §2.8, §3.12), even if it has all
//! claims of every type and the same key.

use serde_json::{Value, json};

use super::{
    jwt::{AccessTokens, access_token},
    keys::Algorithm,
    logout_token::{ExpectedLogout, read_logout_token},
    signed_reply::{ExpectedReply, read_signed_reply},
    test_keys::{TestKey, now},
};
use crate::{
    bearer::Presentation,
    dpop::proof::{ProvedRequest, Window, verify_proof},
    token_rules::{JwtType, TokenRules},
    url::IssuerUrl,
};

/// The readers that accept a document with this `typ` and the claims of all types.
fn accepted_as(media_type: Option<&str>, types: &[JwtType]) -> Vec<&'static str> {
    let key = TestKey::new(Algorithm::Es256);
    let keys = key.key_set();
    let issuer: IssuerUrl = "https://issuer.example".parse().unwrap();
    let presented = Presentation::from_authorization([&b"Bearer abc"[..]].into_iter())
        .unwrap()
        .token;
    let mut header = json!({"alg": "ES256", "kid": "k1", "jwk": key.jwk()});
    if let Some(media_type) = media_type {
        header["typ"] = media_type.into();
    }
    let claims: Value = json!({
        "iss": issuer.as_str(),
        "aud": ["https://files.example/mcp", "files"],
        "sub": "ada",
        "sid": "s1",
        "client_id": "files",
        "iat": 1_000_000,
        "exp": 1_000_060,
        "jti": "d1",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        "token_introspection": {"active": true},
        "htm": "POST",
        "htu": "https://files.example/mcp",
        "ath": "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0",
    });
    let document = key.compact(&header.to_string(), &claims.to_string());
    let field = format!("Bearer {document}");
    let token = Presentation::from_authorization([field.as_bytes()].into_iter())
        .unwrap()
        .token;
    let reply = ExpectedReply {
        issuer: &issuer,
        client_id: "files",
        resource: &"https://files.example/mcp".parse().unwrap(),
    };
    let logout = ExpectedLogout {
        issuer: &issuer,
        client_id: Some("files"),
        audiences: &[],
    };
    let request = ProvedRequest {
        method: "POST",
        url: "https://files.example/mcp",
        token: &presented,
        window: Window::default(),
        nonces: None,
    };
    [
        (
            "access token",
            access_token(
                &token,
                &keys,
                AccessTokens {
                    types,
                    rules: &TokenRules::default(),
                },
                now(),
            )
            .is_ok(),
        ),
        (
            "signed reply",
            read_signed_reply(document.as_bytes(), &keys, reply, now()).is_ok(),
        ),
        (
            "logout token",
            read_logout_token(&document, &keys, logout, now()).is_ok(),
        ),
        ("proof", verify_proof(&document, &request, now()).is_ok()),
    ]
    .into_iter()
    .filter_map(|(kind, accepted)| accepted.then_some(kind))
    .collect()
}

#[test]
fn a_document_is_accepted_as_its_own_kind_alone() {
    for (media_type, kinds) in [
        (Some("at+jwt"), vec!["access token"]),
        (Some("token-introspection+jwt"), vec!["signed reply"]),
        (Some("logout+jwt"), vec!["logout token"]),
        (Some("dpop+jwt"), vec!["proof"]),
        // `typ` is optional for logout tokens; `events` identifies them.
        (Some("JWT"), vec!["logout token"]),
        (None, vec!["logout token"]),
        (Some("secevent+jwt"), vec![]),
        (Some("oauth-authz-req+jwt"), vec![]),
    ] {
        assert_eq!(
            accepted_as(media_type, &[JwtType::AccessToken]),
            kinds,
            "{media_type:?}"
        );
        // Accepting every type does not make an access token of a document that is another.
        assert_eq!(
            accepted_as(media_type, &JwtType::ALL),
            kinds,
            "{media_type:?}"
        );
    }
}
