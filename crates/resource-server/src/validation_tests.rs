//! Tests of the rules for claims.

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn expectation() -> ExpectedClaims {
    ExpectedClaims {
        issuer: "https://issuer.example".parse().unwrap(),
        resource: "https://files.example/mcp".parse().unwrap(),
        rules: crate::token_rules::TokenRules::default(),
        scopes: Scopes::of_test(),
    }
}

fn now() -> Timestamp {
    DateTime::from_timestamp(1_000_000, 0).unwrap()
}

fn verdict(changes: Value) -> Result<Principal, Refusal> {
    let principal = validated(changes)?.principal;
    check_presentation(&principal, None)?;
    Ok(principal)
}

fn validated(changes: Value) -> Result<ValidToken, Refusal> {
    let mut reply = json!({
        "active": true,
        "sub": "ada",
        "client_id": "host",
        "scope": "files:read user:write",
        "aud": "https://files.example/mcp",
        "iss": "https://issuer.example",
        "token_type": "Bearer",
        "exp": 1_000_060,
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            reply.as_object_mut().unwrap().remove(name);
        } else {
            reply[name] = value.clone();
        }
    }
    let reply = read_reply(reply.to_string().as_bytes()).unwrap();
    validate_claims(reply, &expectation(), Credential([0; 32]), now())
}

#[test]
fn a_good_token_names_its_user_and_its_scopes() {
    let principal = verdict(json!({})).unwrap();
    assert_eq!(principal.subject, "ada");
    assert_eq!(principal.client.as_deref(), Some("host"));
    assert_eq!(Scopes::of_test().list(principal.scopes), "files:read");
    assert_eq!(principal.expires_at.unwrap().timestamp(), 1_000_060);
}

#[test]
fn optional_members_may_be_absent() {
    let principal = verdict(json!({
        "client_id": null, "scope": null, "iss": null, "token_type": null, "exp": null
    }))
    .unwrap();
    assert!(principal.scopes.is_empty());
    assert_eq!(principal.client, None);
}

/// A-19.
#[test]
fn each_fault_of_a_token_has_its_refusal() {
    for (changes, refusal) in [
        (json!({"active": false}), Refusal::Inactive),
        (json!({"exp": 1_000_000}), Refusal::Expired),
        (json!({"exp": 999_999.5}), Refusal::Expired),
        (json!({"exp": -1e300}), Refusal::Expired),
        (json!({"nbf": 1_000_031}), Refusal::NotYetValid),
        (
            json!({"iss": "https://issuer.example/"}),
            Refusal::WrongIssuer,
        ),
        (
            json!({"aud": "https://other.example/mcp"}),
            Refusal::WrongAudience,
        ),
        (
            json!({"aud": "https://files.example/mcp/"}),
            Refusal::WrongAudience,
        ),
        (
            json!({"aud": "https://files.example"}),
            Refusal::WrongAudience,
        ),
        (json!({"aud": []}), Refusal::WrongAudience),
        (json!({"aud": null}), Refusal::WrongAudience),
        (json!({"token_type": "refresh_token"}), Refusal::WrongType),
        (json!({"token_type": "DPoP"}), Refusal::WrongType),
        (json!({"cnf": {"jkt": "x"}}), Refusal::SenderConstrained),
        (json!({"sub": null}), Refusal::NoSubject),
        (json!({"sub": ""}), Refusal::NoSubject),
        (json!({"sub": "a\u{0}b"}), Refusal::NoSubject),
    ] {
        assert_eq!(verdict(changes.clone()), Err(refusal), "{changes}");
    }
}

#[test]
fn a_bound_token_is_accepted_with_a_proof_of_its_key_alone() {
    const KEY: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    let key = Thumbprint::parse(KEY).unwrap();
    let other = Thumbprint::parse(&KEY.replace('0', "1")).unwrap();
    let bound = validated(json!({"cnf": {"jkt": KEY}, "token_type": "DPoP"}));
    let bound = bound.unwrap().principal;
    assert_eq!(check_presentation(&bound, Some(&key)), Ok(()));
    assert_eq!(
        check_presentation(&bound, Some(&other)),
        Err(Refusal::WrongKey)
    );
    assert_eq!(
        check_presentation(&bound, None),
        Err(Refusal::SenderConstrained)
    );
    let unbound = validated(json!({})).unwrap().principal;
    assert_eq!(
        check_presentation(&unbound, Some(&key)),
        Err(Refusal::WrongKey)
    );
    for confirmation in [
        json!({}),
        json!({"jkt": KEY, "x5t#S256": KEY}),
        json!({"jkt": KEY.get(1..)}),
        json!({"jkt": 1}),
        json!(KEY),
    ] {
        let verdict = validated(json!({"cnf": confirmation}));
        assert_eq!(verdict, Err(Refusal::SenderConstrained), "{confirmation}");
    }
}

/// The verdict by other rules.
fn by(rules: TokenRules, changes: Value) -> Result<Principal, Refusal> {
    let mut reply = json!({
        "active": true,
        "sub": "ada",
        "scope": "files:read",
        "aud": "https://files.example/mcp",
        "token_type": "Bearer",
    });
    for (name, value) in changes.as_object().unwrap() {
        reply[name] = value.clone();
    }
    let reply = read_reply(reply.to_string().as_bytes())
        .unwrap()
        .under(&rules);
    let expected = ExpectedClaims {
        rules,
        ..expectation()
    };
    validate_claims(reply, &expected, Credential([0; 32]), now()).map(|valid| valid.principal)
}

#[test]
fn a_further_audience_is_accepted_to_the_letter_alone() {
    let rules = || TokenRules {
        audiences: ["api://files".to_owned(), "177@p".to_owned()].into(),
        ..TokenRules::default()
    };
    for audience in [
        json!("api://files"),
        json!(["x", "177@p"]),
        json!("https://files.example/mcp"),
    ] {
        assert!(by(rules(), json!({"aud": audience})).is_ok(), "{audience}");
        let is_ours = audience == json!("https://files.example/mcp");
        let strict = by(TokenRules::default(), json!({"aud": audience}));
        assert_eq!(strict.is_ok(), is_ours, "{audience}");
    }
    for audience in [
        "api://files/",
        "API://files",
        "api://file",
        "177",
        " 177@p",
        "",
    ] {
        let refused = by(rules(), json!({"aud": audience}));
        assert_eq!(refused.unwrap_err(), Refusal::WrongAudience, "{audience}");
    }
}

#[test]
fn a_further_audience_is_none_of_id_tokens() {
    let rules = || TokenRules {
        audiences: ["host".to_owned()].into(),
        ..TokenRules::default()
    };
    for (changes, sign) in [
        (json!({"aud": "host", "nonce": "n"}), "it has nonce"),
        (json!({"aud": "host", "at_hash": "h"}), "it has at_hash"),
        (json!({"aud": "host", "scope": null}), "it has no scope"),
        (
            json!({"aud": "host", "token_use": "refresh_token"}),
            "its token_use is not access",
        ),
    ] {
        assert_eq!(
            by(rules(), changes.clone()),
            Err(Refusal::OtherUse(sign)),
            "{changes}"
        );
    }
    // One that names this resource needs no such signs.
    assert!(by(rules(), json!({"scope": null})).is_ok());
}

#[test]
fn a_token_without_audience_and_type_is_accepted_where_the_operator_says_so() {
    let neither = json!({"aud": null, "token_type": null});
    let rules = |absent_audience| TokenRules {
        absent_audience,
        ..TokenRules::default()
    };
    for (absent_audience, verdict) in [
        (AbsentAudience::Refused, Err(Refusal::WrongAudience)),
        (AbsentAudience::WithTokenType, Err(Refusal::WrongType)),
        (AbsentAudience::Accepted, Ok("ada".to_owned())),
    ] {
        let found = by(rules(absent_audience), neither.clone());
        assert_eq!(
            found.map(|principal| principal.subject),
            verdict,
            "{absent_audience:?}"
        );
    }
    for (changes, refusal) in [
        (
            json!({"aud": "https://other.example", "token_type": null}),
            Refusal::WrongAudience,
        ),
        (
            json!({"aud": null, "token_type": "refresh_token"}),
            Refusal::WrongType,
        ),
        (
            json!({"aud": null, "token_type": null, "scope": null}),
            Refusal::OtherUse("it has no scope"),
        ),
    ] {
        let found = by(rules(AbsentAudience::Accepted), changes.clone());
        assert_eq!(found, Err(refusal), "{changes}");
    }
}

#[test]
fn the_prefix_of_scopes_is_taken_off() {
    let rules = |prefix: &str| TokenRules {
        scope_prefix: prefix.to_owned(),
        ..TokenRules::default()
    };
    let granted = |prefix: &str, scope: &str| {
        let principal = by(rules(prefix), json!({"scope": scope})).unwrap();
        Scopes::of_test().list(principal.scopes)
    };
    let prefixed = "api://files/files:read api://files/files:write openid api://other/people:read";
    assert_eq!(granted("api://files/", prefixed), "files:read files:write");
    assert_eq!(granted("api://files/", "people:read"), "people:read");
    assert_eq!(granted("", prefixed), "");
}

/// A-09.
#[test]
fn the_audience_may_be_one_of_several_and_its_host_in_capitals() {
    assert!(verdict(json!({"aud": ["x", "https://files.example/mcp"]})).is_ok());
    assert!(verdict(json!({"aud": "HTTPS://Files.Example/mcp"})).is_ok());
    assert!(verdict(json!({"nbf": 1_000_029})).is_ok());
}

#[test]
fn where_the_audience_may_be_absent_the_type_may_not() {
    let lenient = ExpectedClaims {
        rules: crate::token_rules::TokenRules {
            absent_audience: crate::token_rules::AbsentAudience::WithTokenType,
            ..crate::token_rules::TokenRules::default()
        },
        ..expectation()
    };
    let verdict = |reply: serde_json::Value| {
        let reply = read_reply(reply.to_string().as_bytes()).unwrap();
        validate_claims(reply, &lenient, Credential([0; 32]), now()).map(|_| ())
    };
    let access = json!({"active": true, "sub": "a", "token_type": "Bearer"});
    assert_eq!(verdict(access), Ok(()));
    let refresh = json!({"active": true, "sub": "a"});
    assert_eq!(verdict(refresh), Err(Refusal::WrongType));
    let elsewhere = json!({"active": true, "sub": "a", "token_type": "Bearer", "aud": "x"});
    assert_eq!(verdict(elsewhere), Err(Refusal::WrongAudience));
}

/// The claims of a JWT and a reply about it, as each of them changes the usual one.
fn joined(jwt: Value, reply: Value) -> Result<Principal, Refusal> {
    const USUAL: fn() -> Value = || {
        json!({
            "sub": "ada", "client_id": "host", "iss": "https://issuer.example", "exp": 1_000_060,
            "aud": "https://files.example/mcp", "scope": "files:read files:write",
        })
    };
    let mut claims = USUAL();
    for (name, value) in jwt.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    let jwt: Claims = serde_json::from_value(claims).unwrap();
    let mut members = json!({ "active": true });
    for (name, value) in reply.as_object().unwrap() {
        members[name] = value.clone();
    }
    let reply = read_reply(members.to_string().as_bytes()).unwrap();
    let joined = join_claims(jwt, reply, &expectation())?;
    validate_claims(joined, &expectation(), Credential([0; 32]), now()).map(|valid| valid.principal)
}

#[test]
fn a_reply_that_says_nothing_but_active_is_enough_for_a_jwt() {
    let principal = joined(json!({}), json!({})).unwrap();
    assert_eq!(principal.subject, "ada");
    assert_eq!(principal.client.as_deref(), Some("host"));
    assert_eq!(
        Scopes::of_test().list(principal.scopes),
        "files:read files:write"
    );
    assert_eq!(principal.expires_at.unwrap().timestamp(), 1_000_060);
}

#[test]
fn a_jwt_and_a_reply_that_contradict_each_other_are_refused() {
    const KEY: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    let bound = json!({ "jkt": KEY });
    let other = json!({ "jkt": KEY.replace('0', "1") });
    for (jwt, reply, refusal) in [
        (json!({}), json!({"active": false}), Refusal::Inactive),
        (
            json!({}),
            json!({"iss": "https://other.example"}),
            Refusal::Contradicted("iss"),
        ),
        (
            json!({}),
            json!({"sub": "bob"}),
            Refusal::Contradicted("sub"),
        ),
        (
            json!({}),
            json!({"client_id": "guest"}),
            Refusal::Contradicted("client_id"),
        ),
        (
            json!({"cnf": bound}),
            json!({"cnf": other}),
            Refusal::Contradicted("cnf"),
        ),
        (
            json!({"cnf": bound}),
            json!({"cnf": {"x5t#S256": KEY}}),
            Refusal::Contradicted("cnf"),
        ),
        (
            json!({}),
            json!({"cnf": {"x5t#S256": KEY}}),
            Refusal::SenderConstrained,
        ),
        (
            json!({}),
            json!({"aud": "https://other.example"}),
            Refusal::WrongAudience,
        ),
        (json!({}), json!({"aud": []}), Refusal::WrongAudience),
        (
            json!({"aud": "https://other.example"}),
            json!({"aud": "https://files.example/mcp"}),
            Refusal::WrongAudience,
        ),
        (json!({}), json!({"exp": 1_000_000}), Refusal::Expired),
        (
            json!({"exp": 1_000_000}),
            json!({"exp": 2_000_000}),
            Refusal::Expired,
        ),
        (json!({}), json!({"nbf": 1_000_100}), Refusal::NotYetValid),
        (
            json!({"nbf": 1_000_100}),
            json!({"nbf": 1}),
            Refusal::NotYetValid,
        ),
        (
            json!({}),
            json!({"token_type": "refresh_token"}),
            Refusal::WrongType,
        ),
    ] {
        assert_eq!(
            joined(jwt.clone(), reply.clone()),
            Err(refusal),
            "{jwt} {reply}"
        );
    }
}

#[test]
fn of_a_jwt_and_a_reply_the_stricter_decides() {
    const KEY: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    for (jwt, reply) in [
        (json!({"cnf": {"jkt": KEY}}), json!({})),
        (
            json!({}),
            json!({"cnf": {"jkt": KEY}, "token_type": "DPoP"}),
        ),
        (json!({"cnf": {"jkt": KEY}}), json!({"cnf": {"jkt": KEY}})),
    ] {
        let principal = joined(jwt.clone(), reply.clone()).unwrap();
        assert_eq!(principal.bound_key.as_deref(), Some(KEY), "{jwt} {reply}");
    }
    for (jwt, reply, scopes) in [
        (
            json!({}),
            json!({"scope": "files:read user:write"}),
            "files:read",
        ),
        (json!({}), json!({"scope": ""}), ""),
        (
            json!({"scope": "files:read"}),
            json!({"scope": "files:write"}),
            "",
        ),
        (
            json!({"scope": null}),
            json!({"scope": "files:write"}),
            "files:write",
        ),
    ] {
        let principal = joined(jwt.clone(), reply.clone()).unwrap();
        assert_eq!(
            Scopes::of_test().list(principal.scopes),
            scopes,
            "{jwt} {reply}"
        );
    }
    for (jwt, reply) in [(1_000_060, 1_000_030), (1_000_030, 1_000_060)] {
        let principal = joined(json!({"exp": jwt}), json!({"exp": reply})).unwrap();
        assert_eq!(principal.expires_at.unwrap().timestamp(), 1_000_030);
    }
}

#[test]
fn an_invalid_reply_is_an_error() {
    for body in [
        "",
        "[]",
        "{}",
        "null",
        "<html>",
        r#"{"active":"true"}"#,
        r#"{"active":1}"#,
        r#"{"active":true,"sub":7}"#,
        r#"{"active":true,"exp":"soon"}"#,
    ] {
        assert!(read_reply(body.as_bytes()).is_err(), "{body}");
    }
    assert!(read_reply(br#"{"active":false,"sub":7}"#).is_ok());
}

proptest! {
    #[test]
    fn nothing_is_accepted_at_or_past_its_end(exp in 0i64..2_000_000, now in 0i64..2_000_000) {
        let reply = json!({"active": true, "sub": "a", "aud": "https://files.example/mcp", "exp": exp});
        let reply = read_reply(reply.to_string().as_bytes()).unwrap();
        let accepted = validate_claims(reply, &expectation(), Credential([0; 32]), DateTime::from_timestamp(now, 0).unwrap()).is_ok();
        prop_assert_eq!(accepted, now < exp);
    }

    #[test]
    fn any_body_is_read_or_refused(body: Vec<u8>) {
        let _ = read_reply(&body);
    }
}
