use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::jose::{
    keys::Algorithm,
    test_keys::{TestKey, changed, now},
};

fn read(key: &TestKey, token: &str) -> Result<Logout, LogoutFault> {
    let issuer = "https://issuer.example".parse().unwrap();
    let expected = ExpectedLogout {
        issuer: &issuer,
        client_id: Some("files"),
        audiences: &[],
    };
    read_logout_token(token, &key.key_set(), expected, now())
}

fn good() -> Value {
    json!({
        "iss": "https://issuer.example",
        "aud": "files",
        "iat": 1_000_000,
        "exp": 1_000_120,
        "jti": "l1",
        "sub": "ada",
        "sid": "s1",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    })
}

fn read_changed(changes: &Value) -> Result<Logout, LogoutFault> {
    let key = TestKey::new(Algorithm::Es256);
    read(&key, &key.signed(TYPE, &changed(&good(), changes)))
}

#[test]
fn a_valid_token_names_subject_and_session() {
    let logout = read_changed(&json!({})).unwrap();
    let expected = Logout {
        issuer: "https://issuer.example".to_owned(),
        subject: Some("ada".to_owned()),
        session: Some("s1".to_owned()),
        token_id: "l1".to_owned(),
        until: now() + TimeDelta::seconds(120),
    };
    assert_eq!(logout, expected);
    assert_eq!(read_changed(&json!({"sid": null})).unwrap().session, None);
    assert_eq!(read_changed(&json!({"sub": null})).unwrap().subject, None);
}

#[test]
fn each_fault_of_a_token_has_its_name() {
    use LogoutFault::{
        Incomplete, NoEvent, NoSubjectOrSession, Nonce, NotOfNow, WrongAudience, WrongIssuer,
    };
    let long = "a".repeat(LONGEST_NAME + 1);
    for (changes, fault) in [
        (json!({"iss": null}), Incomplete),
        (json!({"aud": null}), Incomplete),
        (json!({"iat": null}), Incomplete),
        (json!({"jti": null}), Incomplete),
        (json!({"jti": ""}), Incomplete),
        (json!({"jti": long}), Incomplete),
        (json!({"sub": long}), Incomplete),
        (json!({"sid": ""}), Incomplete),
        (json!({"sid": 7}), Incomplete),
        (json!({"events": null}), Incomplete),
        (json!({"events": [EVENT]}), Incomplete),
        (json!({"events": {}}), NoEvent),
        (json!({"events": {EVENT: true}}), NoEvent),
        (json!({"iss": "https://other.example"}), WrongIssuer),
        (json!({"aud": "https://files.example/mcp"}), WrongAudience),
        (json!({"exp": 1_000_000}), NotOfNow),
        (json!({"iat": 999_700}), NotOfNow),
        (json!({"iat": 999_700, "exp": null}), NotOfNow),
        (json!({"iat": 1_000_031}), NotOfNow),
        (json!({"iat": 1e300}), NotOfNow),
        (json!({"sub": null, "sid": null}), NoSubjectOrSession),
        (json!({"nonce": "n"}), Nonce),
    ] {
        assert_eq!(read_changed(&changes).unwrap_err(), fault, "{changes}");
    }
    for changes in [
        json!({"aud": ["other", "files"]}),
        json!({"iat": 999_701}),
        json!({"iat": 1_000_030}),
        json!({"sub": "a".repeat(LONGEST_NAME)}),
    ] {
        assert!(read_changed(&changes).is_ok(), "{changes}");
    }
}

#[test]
fn a_nonce_is_forbidden_even_if_it_is_null() {
    let key = TestKey::new(Algorithm::Es256);
    let mut claims = good();
    claims["nonce"] = Value::Null;
    let fault = read(&key, &key.signed(TYPE, &claims)).unwrap_err();
    assert_eq!(fault, LogoutFault::Nonce);
}

#[test]
fn a_token_without_an_end_ends_five_minutes_after_it_was_made() {
    let logout = read_changed(&json!({"exp": null})).unwrap();
    assert_eq!(logout.until, now() + TimeDelta::minutes(5));
    let logout = read_changed(&json!({"exp": 2_000_000})).unwrap();
    assert_eq!(logout.until, now() + TimeDelta::minutes(5));
}

#[test]
fn the_type_may_be_left_out_but_not_be_another() {
    let key = TestKey::new(Algorithm::EdDsa);
    let untyped = key.compact(r#"{"alg":"EdDSA","kid":"k1"}"#, &good().to_string());
    assert!(read(&key, &untyped).is_ok());
    for media_type in ["logout+jwt", "application/logout+jwt", "JWT"] {
        assert!(read(&key, &key.signed(media_type, &good())).is_ok());
    }
    let fault = read(&key, &key.signed("at+jwt", &good())).unwrap_err();
    assert_eq!(fault, LogoutFault::Jws(JwsFault::Type));
}

#[test]
fn length_is_bounded() {
    let long = "a".repeat(LONGEST_LOGOUT_TOKEN + 1);
    let fault = read(&TestKey::new(Algorithm::EdDsa), &long).unwrap_err();
    assert_eq!(fault, LogoutFault::Jws(JwsFault::TooLong));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_refused(token in "\\PC{0,200}") {
        prop_assert!(read(&TestKey::new(Algorithm::EdDsa), &token).is_err());
    }

    #[test]
    fn what_is_accepted_is_refused_from_until_on(iat in 999_600i64..1_000_100, lifetime in proptest::option::of(0i64..600)) {
        let key = TestKey::new(Algorithm::EdDsa);
        let exp = lifetime.map(|lifetime| iat + lifetime);
        let token = key.signed(TYPE, &changed(&good(), &json!({"iat": iat, "exp": exp})));
        if let Ok(logout) = read(&key, &token) {
            let issuer = "https://issuer.example".parse().unwrap();
            let expected = ExpectedLogout { issuer: &issuer, client_id: Some("files"), audiences: &[] };
            let at = |now| read_logout_token(&token, &key.key_set(), expected, now);
            prop_assert!(now() < logout.until);
            prop_assert!(at(logout.until - TimeDelta::seconds(1)).is_ok());
            prop_assert_eq!(at(logout.until), Err(LogoutFault::NotOfNow));
        }
    }
}

#[test]
fn the_logouts_of_further_clients_count_where_they_are_named() {
    let key = TestKey::new(Algorithm::Es256);
    let issuer: IssuerUrl = "https://issuer.example".parse().unwrap();
    let also = ["app".to_owned()];
    let claims = |aud: Value| {
        json!({
            "iss": issuer.as_str(), "aud": aud, "sub": "ada", "jti": "d1",
            "iat": 1_000_000, "exp": 1_000_060,
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        })
    };
    let accepts = |client_id, audiences, aud| {
        let header = r#"{"alg":"ES256","kid":"k1","typ":"logout+jwt"}"#;
        let token = key.compact(header, &claims(aud).to_string());
        let expected = ExpectedLogout {
            issuer: &issuer,
            client_id,
            audiences,
        };
        read_logout_token(&token, &key.key_set(), expected, now()).is_ok()
    };
    assert!(accepts(Some("files"), &also[..], json!("app")));
    assert!(accepts(Some("files"), &also[..], json!(["x", "files"])));
    assert!(accepts(None, &also[..], json!("app")));
    assert!(!accepts(None, &[], json!("")));
    assert!(!accepts(Some("files"), &[], json!("app")));
    assert!(!accepts(None, &also[..], json!("files")));
}
