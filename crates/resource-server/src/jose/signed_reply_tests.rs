use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    jose::{
        keys::Algorithm,
        test_keys::{TestKey, changed, now},
    },
    principal::Credential,
    validation::{ExpectedClaims, Refusal, validate_claims},
};

fn read(key: &TestKey, body: &str) -> Result<IntrospectionReply, SignedReplyFault> {
    let issuer = "https://issuer.example".parse().unwrap();
    let expected = ExpectedReply {
        issuer: &issuer,
        client_id: "files",
        resource: &"https://files.example/mcp".parse().unwrap(),
    };
    read_signed_reply(body.as_bytes(), &key.key_set(), expected, now())
}

fn good() -> Value {
    json!({
        "iss": "https://issuer.example",
        "aud": "files",
        "iat": 1_000_000,
        "token_introspection": {
            "active": true,
            "sub": "ada",
            "aud": "https://files.example/mcp",
            "exp": 1_000_060,
        },
    })
}

fn read_changed(changes: &Value) -> Result<IntrospectionReply, SignedReplyFault> {
    let key = TestKey::new(Algorithm::Es256);
    read(&key, &key.signed(TYPE, &changed(&good(), changes)))
}

#[test]
fn the_reply_inside_is_judged_as_any_other() {
    let expected = ExpectedClaims {
        issuer: "https://issuer.example".parse().unwrap(),
        resource: "https://files.example/mcp".parse().unwrap(),
        rules: crate::token_rules::TokenRules::default(),
        scopes: crate::scope::Scopes::of_test(),
    };
    let judged = |reply| validate_claims(reply, &expected, Credential([0; 32]), now());
    let reply = read_changed(&json!({})).unwrap();
    assert_eq!(judged(reply).unwrap().principal.subject, "ada");
    let inactive = json!({"token_introspection": {"active": false, "sub": 7}});
    let reply = read_changed(&inactive).unwrap();
    assert_eq!(judged(reply), Err(Refusal::Inactive));
    // What stands outside of the member is about the reply, and not about the token.
    let elsewhere =
        json!({"token_introspection": {"active": true}, "sub": "ada", "exp": 1_000_060});
    let reply = read_changed(&elsewhere).unwrap();
    assert_eq!(judged(reply), Err(Refusal::WrongAudience));
}

#[test]
fn each_fault_of_a_reply_has_its_name() {
    use SignedReplyFault::{Incomplete, NoReply, NotOfNow, WrongAudience, WrongIssuer};
    for (changes, fault) in [
        (json!({"iss": null}), Incomplete),
        (json!({"aud": null}), Incomplete),
        (json!({"iat": null}), Incomplete),
        (json!({"token_introspection": null}), Incomplete),
        (json!({"token_introspection": []}), Incomplete),
        (json!({"iss": "https://issuer.example/"}), WrongIssuer),
        (json!({"aud": "https://files.example"}), WrongAudience),
        (json!({"aud": ["other"]}), WrongAudience),
        (json!({"iat": 999_699}), NotOfNow),
        (json!({"iat": 1_000_031}), NotOfNow),
        (json!({"token_introspection": {}}), NoReply),
        (json!({"token_introspection": {"active": "true"}}), NoReply),
        (
            json!({"token_introspection": {"active": true, "sub": 7}}),
            NoReply,
        ),
    ] {
        assert_eq!(read_changed(&changes).unwrap_err(), fault, "{changes}");
    }
    for changes in [
        json!({"aud": ["other", "files"]}),
        json!({"iat": 999_700}),
        json!({"iat": 1_000_030}),
    ] {
        assert!(read_changed(&changes).is_ok(), "{changes}");
    }
}

#[test]
fn a_reply_is_signed_and_nothing_else() {
    let key = TestKey::new(Algorithm::Ps256);
    for (body, fault) in [
        (
            good()["token_introspection"].to_string(),
            JwsFault::NotCompact,
        ),
        ("e30.e30.e30.e30.e30".to_owned(), JwsFault::Encrypted),
        (key.signed("JWT", &good()), JwsFault::Type),
        (
            key.compact(
                r#"{"alg":"none","typ":"token-introspection+jwt"}"#,
                &good().to_string(),
            ),
            JwsFault::Algorithm,
        ),
        (
            TestKey::new(Algorithm::Es256).signed(TYPE, &good()),
            JwsFault::UnfitKey,
        ),
    ] {
        let read = read(&key, &body).unwrap_err();
        assert_eq!(read, SignedReplyFault::Jws(fault), "{body}");
    }
    let bytes = read_signed_reply(
        b"\xff",
        &key.key_set(),
        ExpectedReply {
            issuer: &"https://issuer.example".parse().unwrap(),
            client_id: "files",
            resource: &"https://files.example/mcp".parse().unwrap(),
        },
        now(),
    );
    assert_eq!(
        bytes.unwrap_err(),
        SignedReplyFault::Jws(JwsFault::NotCompact)
    );
}

/// RFC 9701 §5: `aud` identifies the resource server.
#[test]
fn a_reply_for_the_resource_is_for_this_server() {
    for audience in [
        json!("https://files.example/mcp"),
        json!(["https://files.example/mcp", "other"]),
    ] {
        assert!(
            read_changed(&json!({"aud": audience})).is_ok(),
            "{audience}"
        );
    }
    for audience in [json!("https://files.example"), json!("other"), json!([])] {
        let refused = read_changed(&json!({"aud": audience})).unwrap_err();
        assert_eq!(refused, SignedReplyFault::WrongAudience, "{audience}");
    }
}

#[test]
fn length_is_bounded() {
    let long = "a".repeat(LONGEST_SIGNED_REPLY + 1);
    let fault = read(&TestKey::new(Algorithm::EdDsa), &long).unwrap_err();
    assert_eq!(fault, SignedReplyFault::Jws(JwsFault::TooLong));
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(body in "\\PC{0,200}") {
        prop_assert!(read(&TestKey::new(Algorithm::EdDsa), &body).is_err());
    }
}
