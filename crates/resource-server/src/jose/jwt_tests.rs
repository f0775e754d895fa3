use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    bearer::Presentation,
    jose::test_keys::{TestKey, changed, key_set, now},
    principal::{Credential, Principal},
    token_rules::ClientClaim,
    validation::{ExpectedClaims, check_presentation, validate_claims},
};

fn bearer(text: &str) -> BearerToken {
    let field = format!("Bearer {text}");
    Presentation::from_authorization([field.as_bytes()].into_iter())
        .unwrap()
        .token
}

/// What RFC 9068 has, and nothing beyond.
fn strict() -> AccessTokens<'static> {
    static STRICT: LazyLock<TokenRules> = LazyLock::new(TokenRules::default);
    AccessTokens {
        types: &[JwtType::AccessToken],
        rules: &STRICT,
    }
}

fn good() -> Value {
    json!({
        "iss": "https://issuer.example",
        "aud": "https://files.example/mcp",
        "sub": "ada",
        "client_id": "host",
        "exp": 1_000_060,
        "iat": 1_000_000,
        "jti": "t1",
        "scope": "files:read",
    })
}

fn judged(reply: IntrospectionReply) -> Result<Principal, Refusal> {
    let expected = ExpectedClaims {
        issuer: "https://issuer.example".parse().unwrap(),
        resource: "https://files.example/mcp".parse().unwrap(),
        rules: crate::token_rules::TokenRules {
            absent_audience: crate::token_rules::AbsentAudience::WithTokenType,
            ..crate::token_rules::TokenRules::default()
        },
        scopes: crate::scope::Scopes::of_test(),
    };
    let principal = validate_claims(reply, &expected, Credential([0; 32]), now())?.principal;
    check_presentation(&principal, None)?;
    Ok(principal)
}

/// The whole way: verified, then judged.
fn accepted(claims: &Value) -> Result<Principal, Refusal> {
    let key = TestKey::new(Algorithm::Es256);
    let token = bearer(&key.signed("at+jwt", claims));
    access_token(&token, &key.key_set(), strict(), now())
        .map_err(TokenFault::refusal)
        .and_then(judged)
}

#[test]
fn a_good_token_names_its_user_and_its_scopes() {
    let principal = accepted(&good()).unwrap();
    assert_eq!(principal.subject, "ada");
    assert_eq!(principal.client.as_deref(), Some("host"));
    assert_eq!(
        crate::scope::Scopes::of_test().list(principal.scopes),
        "files:read"
    );
    assert_eq!(principal.expires_at.unwrap().timestamp(), 1_000_060);
}

#[test]
fn each_fault_of_a_token_has_its_refusal() {
    for (changes, refusal) in [
        (json!({"iss": null}), Refusal::Incomplete("iss")),
        (json!({"exp": null}), Refusal::Incomplete("exp")),
        (json!({"aud": null}), Refusal::Incomplete("aud")),
        (json!({"sub": null}), Refusal::Incomplete("sub")),
        (json!({"client_id": null}), Refusal::Incomplete("client_id")),
        (json!({"client_id": ""}), Refusal::Incomplete("client_id")),
        (json!({"iat": null}), Refusal::Incomplete("iat")),
        (
            json!({"iss": "https://issuer.example/"}),
            Refusal::WrongIssuer,
        ),
        (
            json!({"aud": "https://other.example"}),
            Refusal::WrongAudience,
        ),
        // As if it were not there.
        (json!({"aud": []}), Refusal::WrongType),
        (json!({"sub": ""}), Refusal::NoSubject),
        (json!({"exp": 1_000_000}), Refusal::Expired),
        (json!({"exp": 999_999.9}), Refusal::Expired),
        (json!({"nbf": 1_000_031}), Refusal::NotYetValid),
        (json!({"iat": 1_000_031}), Refusal::NotYetValid),
        (
            json!({"cnf": {"x5t#S256": "x"}}),
            Refusal::SenderConstrained,
        ),
        (
            json!({"exp": "soon"}),
            Refusal::Unverified(JwsFault::Payload),
        ),
        (json!({"sub": 7}), Refusal::Unverified(JwsFault::Payload)),
        (json!({"aud": [7]}), Refusal::Unverified(JwsFault::Payload)),
    ] {
        assert_eq!(
            accepted(&changed(&good(), &changes)),
            Err(refusal),
            "{changes}"
        );
    }
    for changes in [
        json!({"jti": null, "scope": null}),
        json!({"iat": 1_000_030, "nbf": 1_000_030}),
        json!({"aud": ["https://other.example", "https://files.example/mcp"]}),
    ] {
        assert!(accepted(&changed(&good(), &changes)).is_ok(), "{changes}");
    }
}

#[test]
fn a_claim_that_is_there_and_null_is_not_there() {
    let key = TestKey::new(Algorithm::EdDsa);
    for name in ["iss", "exp", "aud", "sub", "client_id", "iat"] {
        let mut claims = good();
        claims[name] = Value::Null;
        let token = bearer(&key.signed("at+jwt", &claims));
        let fault = access_token(&token, &key.key_set(), strict(), now()).unwrap_err();
        assert_eq!(fault.refusal(), Refusal::Incomplete(name));
    }
}

#[test]
fn an_unknown_key_is_distinguished_from_an_invalid_token() {
    let key = TestKey::new(Algorithm::Es256);
    let other = TestKey::new(Algorithm::Es256);
    let mut jwk = other.jwk();
    jwk.insert("kid".to_owned(), json!("k2"));
    let keys = key_set(&[Value::Object(jwk)]).unwrap();
    let token = bearer(&key.signed("at+jwt", &good()));
    let fault = access_token(&token, &keys, strict(), now()).unwrap_err();
    assert_eq!(fault, TokenFault::UnknownKey);
    assert_eq!(fault.refusal(), Refusal::Unverified(JwsFault::UnknownKey));
    let fault = access_token(&token, &other.key_set(), strict(), now()).unwrap_err();
    assert_eq!(
        fault,
        TokenFault::Refused(Refusal::Unverified(JwsFault::Signature))
    );
}

#[test]
fn the_type_has_to_be_said() {
    let key = TestKey::new(Algorithm::EdDsa);
    let read = |token: &str| access_token(&bearer(token), &key.key_set(), strict(), now());
    for media_type in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        assert!(
            read(&key.signed(media_type, &good())).is_ok(),
            "{media_type}"
        );
    }
    let untyped = key.compact(r#"{"alg":"EdDSA","kid":"k1"}"#, &good().to_string());
    for token in [untyped, key.signed("JWT", &good())] {
        let refusal = Refusal::Unverified(JwsFault::Type);
        assert_eq!(read(&token).unwrap_err(), TokenFault::Refused(refusal));
    }
}

/// Reads claims in a document of this type by these rules.
fn read_as(
    header: &Value,
    changes: &Value,
    types: &[JwtType],
    rules: &TokenRules,
) -> Result<Claims, Refusal> {
    let key = TestKey::new(Algorithm::EdDsa);
    let mut header = header.clone();
    header["alg"] = "EdDSA".into();
    header["kid"] = "k1".into();
    let claims = changed(&good(), changes);
    let token = bearer(&key.compact(&header.to_string(), &claims.to_string()));
    access_token(&token, &key.key_set(), AccessTokens { types, rules }, now())
        .map(|reply| reply.claims)
        .map_err(TokenFault::refusal)
}

#[test]
fn a_type_is_accepted_where_the_settings_say_so_and_no_other() {
    let rules = TokenRules::default();
    let none = json!({});
    for (header, kind) in [
        (json!({"typ": "at+jwt"}), JwtType::AccessToken),
        (json!({"typ": "JWT"}), JwtType::Jwt),
        (json!({"typ": "jwt"}), JwtType::Jwt),
        (json!({}), JwtType::Absent),
    ] {
        for accepted in JwtType::ALL {
            let read = read_as(&header, &none, &[accepted], &rules);
            assert_eq!(read.is_ok(), accepted == kind, "{header} {accepted:?}");
        }
        assert!(read_as(&header, &none, &JwtType::ALL, &rules).is_ok());
    }
    for header in [
        json!({"typ": "logout+jwt"}),
        json!({"typ": ""}),
        json!({"typ": "none"}),
    ] {
        let read = read_as(&header, &none, &JwtType::ALL, &rules);
        let refusal = Refusal::Unverified(JwsFault::Type);
        assert_eq!(read.err(), Some(refusal), "{header}");
    }
}

#[test]
fn an_id_token_is_refused_whatever_types_are_accepted() {
    let rules = TokenRules::default();
    for (changes, sign) in [
        (json!({"nonce": "n"}), "it has nonce"),
        (json!({"nonce": 7}), "it has nonce"),
        (json!({"at_hash": "h"}), "it has at_hash"),
        (json!({"c_hash": "h"}), "it has c_hash"),
        (json!({"events": {}}), "it has events"),
        (json!({"token_use": "id"}), "its token_use is not access"),
        (
            json!({"token_use": ["access"]}),
            "its token_use is not access",
        ),
        (json!({"typ": "ID"}), "its typ is not Bearer"),
        (json!({"typ": "Refresh"}), "its typ is not Bearer"),
        (json!({"typ": "Offline"}), "its typ is not Bearer"),
        (json!({"scope": null}), "it has no scope"),
        (json!({"scope": " "}), "it has no scope"),
    ] {
        for header in [json!({"typ": "JWT"}), json!({})] {
            let read = read_as(&header, &changes, &JwtType::ALL, &rules);
            assert_eq!(read.err(), Some(Refusal::OtherUse(sign)), "{changes}");
        }
        // An access token says by its type what it is.
        assert!(read_as(&json!({"typ": "at+jwt"}), &changes, &JwtType::ALL, &rules).is_ok());
    }
    for changes in [
        json!({"token_use": "access", "typ": "Bearer"}),
        json!({"nonce": null}),
    ] {
        assert!(read_as(&json!({"typ": "JWT"}), &changes, &JwtType::ALL, &rules).is_ok());
    }
}

#[test]
fn a_jwt_needs_the_claims_that_its_rules_name() {
    let types = [JwtType::AccessToken];
    let header = json!({"typ": "at+jwt"});
    let party = json!({"client_id": null, "azp": "host"});
    let refusal = read_as(&header, &party, &types, &TokenRules::default());
    assert_eq!(refusal.err(), Some(Refusal::Incomplete("client_id")));
    let rules = TokenRules {
        client_claims: vec![ClientClaim::ClientId, ClientClaim::AuthorizedParty],
        ..TokenRules::default()
    };
    let read = read_as(&header, &party, &types, &rules).unwrap();
    assert_eq!(read.client_id.as_deref(), Some("host"));
    let rules = TokenRules {
        subject: SubjectClaim::Username,
        ..TokenRules::default()
    };
    let refusal = read_as(&header, &json!({}), &types, &rules);
    assert_eq!(refusal.err(), Some(Refusal::Incomplete("username")));
    let anonymous = json!({"aud": null});
    for (absent_audience, is_read) in [
        (AbsentAudience::Refused, false),
        (AbsentAudience::WithTokenType, false),
        (AbsentAudience::Accepted, true),
    ] {
        let rules = TokenRules {
            absent_audience,
            ..TokenRules::default()
        };
        let read = read_as(&header, &anonymous, &types, &rules);
        assert_eq!(read.is_ok(), is_read, "{absent_audience:?}");
    }
}

#[test]
fn the_issuer_and_the_key_are_seen_before_anything_is_verified() {
    let key = TestKey::new(Algorithm::Es256);
    let token = bearer(&key.signed("at+jwt", &good()));
    assert_eq!(
        peek_issuer(&token).as_deref(),
        Some("https://issuer.example")
    );
    let expected = TokenHeader {
        algorithm: Algorithm::Es256,
        key_id: Some("k1".to_owned()),
    };
    assert_eq!(header(&token), Ok(expected));
    for opaque in [
        "1:abC:x_-".to_owned(),
        "a.b.c".to_owned(),
        "e30.e30".to_owned(),
        "e30.e30.e30.e30.e30".to_owned(),
        key.signed("at+jwt", &json!({"iss": 7})),
        key.signed("at+jwt", &json!({})),
        key.compact("{}", "[]"),
    ] {
        assert_eq!(peek_issuer(&bearer(&opaque)), None, "{opaque}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_accepted_at_or_past_its_end(exp in 999_900i64..1_000_100) {
        let accepted = accepted(&changed(&good(), &json!({"exp": exp, "iat": 0}))).is_ok();
        prop_assert_eq!(accepted, 1_000_000 < exp);
    }

    #[test]
    fn any_token_is_read_or_refused(token in "[!#-+\\--~]{1,200}") {
        let token = bearer(&token);
        let keys = TestKey::new(Algorithm::EdDsa).key_set();
        prop_assert!(access_token(&token, &keys, strict(), now()).is_err());
        let _ = (peek_issuer(&token), header(&token));
    }
}
