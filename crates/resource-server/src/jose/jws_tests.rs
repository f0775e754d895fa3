use proptest::prelude::*;
use ring::hmac;
use serde_json::json;

use super::*;
use crate::jose::test_keys::{TestKey, changed, key_set};

const LONGEST: usize = 4_096;

/// One key of each algorithm.
fn all_keys() -> impl Iterator<Item = TestKey> {
    Algorithm::ALL.into_iter().map(TestKey::new)
}

fn verified(text: &str, keys: &KeySet) -> Result<Map<String, Value>, JwsFault> {
    Unverified::read(text, LONGEST)?.verified_by(keys)
}

#[test]
fn every_accepted_algorithm_is_verified() {
    let claims = json!({"sub": "ada"});
    for key in all_keys() {
        let text = key.signed("at+jwt", &claims);
        let read = verified(&text, &key.key_set()).map(Value::Object);
        assert_eq!(read, Ok(claims.clone()), "{:?}", key.algorithm);
    }
}

#[test]
fn no_key_verifies_what_another_signed() {
    let keys: Vec<_> = all_keys().collect();
    for signer in &keys {
        let text = signer.signed("at+jwt", &json!({}));
        for other in keys.iter().filter(|key| key.pkcs8 != signer.pkcs8) {
            let read = verified(&text, &other.key_set());
            assert_eq!(read, Err(JwsFault::UnfitKey), "{:?}", other.algorithm);
        }
    }
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
        let text = TestKey::new(algorithm).signed("at+jwt", &json!({}));
        let other = TestKey::new(algorithm);
        assert_eq!(verified(&text, &other.key_set()), Err(JwsFault::Signature));
    }
}

#[test]
fn the_examples_of_rfc_7515_are_verified() {
    const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    for (key, header, signature) in [
        // Appendix A.2.
        (
            json!({
                "kty": "RSA",
                "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
                "e": "AQAB",
            }),
            "eyJhbGciOiJSUzI1NiJ9",
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        // Appendix A.3.
        (
            json!({
                "kty": "EC",
                "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            }),
            "eyJhbGciOiJFUzI1NiJ9",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
    ] {
        let keys = key_set(&[key]).unwrap();
        let claims = verified(&format!("{header}.{CLAIMS}.{signature}"), &keys).unwrap();
        assert_eq!(claims["iss"], "joe", "{header}");
    }
}

#[test]
fn the_example_of_rfc_8037_is_verified_as_far_as_it_goes() {
    let keys = key_set(&[json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    })])
    .unwrap();
    // Appendix A.4. Its payload is a sentence, which is what is refused here, and not its signature.
    let text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(verified(text, &keys), Err(JwsFault::Payload));
}

#[test]
fn no_algorithm_is_taken_for_another() {
    let key = TestKey::new(Algorithm::Rs256);
    let keys = key.key_set();
    for name in [
        "none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "rs256", "",
    ] {
        let header = json!({"alg": name, "kid": "k1"}).to_string();
        let text = key.compact(&header, "{}");
        let unsigned = format!("{}.", text.rsplit_once('.').unwrap().0);
        for text in [text, unsigned] {
            assert_eq!(verified(&text, &keys), Err(JwsFault::Algorithm), "{name}");
        }
    }
    // The public key as the secret of a symmetric algorithm, in each form in which it is published.
    for secret in [
        key.jwk()["n"].as_str().unwrap().to_owned(),
        Value::Object(key.jwk()).to_string(),
    ] {
        let text = TestKey::new(Algorithm::Es256).compact(r#"{"alg":"HS256","kid":"k1"}"#, "{}");
        let signed = text.rsplit_once('.').unwrap().0;
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&secret, signed.as_bytes()));
        let text = format!("{signed}.{signature}");
        assert_eq!(verified(&text, &keys), Err(JwsFault::Algorithm));
    }
    // The same key under another algorithm of its kind.
    let signature = key.compact(r#"{"alg":"PS256","kid":"k1"}"#, "{}");
    assert_eq!(verified(&signature, &keys), Err(JwsFault::Signature));
}

#[test]
fn a_key_that_the_document_brings_is_not_used() {
    let trusted = TestKey::new(Algorithm::Es256);
    let forger = TestKey::new(Algorithm::Es256);
    for header in [
        json!({"alg": "ES256", "kid": "k1", "jwk": forger.jwk()}),
        json!({"alg": "ES256", "jwk": forger.jwk(), "jku": "https://forger.example/jwks"}),
    ] {
        let text = forger.compact(&header.to_string(), "{}");
        assert_eq!(
            verified(&text, &trusted.key_set()),
            Err(JwsFault::Signature)
        );
    }
}

#[test]
fn a_signature_of_nothing_but_zeros_is_wrong() {
    let key = TestKey::new(Algorithm::Es256);
    let text = key.signed("at+jwt", &json!({}));
    let zeros = URL_SAFE_NO_PAD.encode([0; 64]);
    let text = format!("{}.{zeros}", text.rsplit_once('.').unwrap().0);
    assert_eq!(verified(&text, &key.key_set()), Err(JwsFault::Signature));
}

#[test]
fn each_fault_of_a_header_has_its_name() {
    let key = TestKey::new(Algorithm::EdDsa);
    let good = json!({"alg": "EdDSA", "kid": "k1"});
    for (changes, fault) in [
        (json!({"crit": ["exp"]}), JwsFault::Critical),
        (json!({"crit": []}), JwsFault::Critical),
        (json!({"crit": ["b64"], "b64": false}), JwsFault::Critical),
        (json!({"alg": null}), JwsFault::Algorithm),
        (json!({"alg": 7}), JwsFault::Header),
        (json!({"alg": ["EdDSA"]}), JwsFault::Header),
        (json!({"kid": 7}), JwsFault::Header),
        (json!({"typ": {}}), JwsFault::Header),
        (json!({"jwk": "k"}), JwsFault::Header),
        (json!({"kid": "k2"}), JwsFault::UnknownKey),
        (json!({"alg": "ES256"}), JwsFault::UnfitKey),
    ] {
        let text = key.compact(&changed(&good, &changes).to_string(), "{}");
        assert_eq!(verified(&text, &key.key_set()), Err(fault), "{changes}");
    }
    for header in [
        "",
        "[]",
        "null",
        r#"{"alg":"EdDSA","alg":"EdDSA"}"#,
        r#"{"alg":"none","alg":"EdDSA"}"#,
    ] {
        let text = key.compact(header, "{}");
        assert_eq!(
            verified(&text, &key.key_set()),
            Err(JwsFault::Header),
            "{header}"
        );
    }
    for payload in [
        "",
        "[]",
        "1",
        r#"{"sub":"a","sub":"b"}"#,
        "{\"a\":\"\\ud800\"}",
    ] {
        let text = key.compact(&good.to_string(), payload);
        assert_eq!(
            verified(&text, &key.key_set()),
            Err(JwsFault::Payload),
            "{payload}"
        );
    }
}

#[test]
fn only_three_parts_in_strict_base64url_are_a_document() {
    let key = TestKey::new(Algorithm::EdDsa);
    let good = key.compact(r#"{"alg":"EdDSA","kid":"k1"}"#, "{}");
    let [header, payload, signature] = parts(&good).unwrap();
    for text in [
        String::new(),
        "..".to_owned(),
        "a".to_owned(),
        format!("{header}.{payload}"),
        format!("{good}."),
        format!("{good}="),
        format!("{good} "),
        format!(" {good}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{header}.+/.{signature}"),
        format!("{header}.{payload}.{}\n", &signature[..85]),
    ] {
        let fault = verified(&text, &key.key_set()).unwrap_err();
        assert!(
            matches!(fault, JwsFault::NotCompact | JwsFault::Header),
            "{text}: {fault}"
        );
    }
    // The last digit of 64 bytes has four bits of no meaning, which have to be zero.
    let last = signature.chars().last().unwrap();
    let next = char::from(last as u8 + 1);
    let loose = format!("{}{next}", &good[..good.len() - 1]);
    assert_eq!(verified(&loose, &key.key_set()), Err(JwsFault::NotCompact));
    let encrypted = "e30.e30.e30.e30.e30";
    assert_eq!(
        verified(encrypted, &key.key_set()),
        Err(JwsFault::Encrypted)
    );
}

#[test]
fn length_is_bounded() {
    let key = TestKey::new(Algorithm::EdDsa);
    let text = key.signed("x", &json!({"a": "b".repeat(500)}));
    let read = |longest| Unverified::read(&text, longest).map(|_| ()).err();
    assert_eq!(read(text.len()), None);
    assert_eq!(read(text.len() - 1), Some(JwsFault::TooLong));
    assert!(unverified_claims(&text, text.len()).is_some());
    assert!(unverified_claims(&text, text.len() - 1).is_none());
}

#[test]
fn a_type_is_compared_as_a_media_type() {
    let key = TestKey::new(Algorithm::EdDsa);
    let is = |media_type: &str, accepted: &[Option<&str>]| {
        let text = key.signed(media_type, &json!({}));
        let text = Unverified::read(&text, LONGEST).unwrap();
        text.of_type(accepted).is_ok()
    };
    for same in [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/At+Jwt",
    ] {
        assert!(is(same, &[Some("at+jwt")]), "{same}");
    }
    for other in [
        "JWT",
        "at+jwt ",
        "text/at+jwt",
        "application/application/at+jwt",
        "",
        "at",
    ] {
        assert!(!is(other, &[Some("at+jwt"), None]), "{other}");
    }
    let untyped = key.compact(r#"{"alg":"EdDSA"}"#, "{}");
    let untyped = || Unverified::read(&untyped, LONGEST).unwrap();
    assert!(untyped().of_type(&[None]).is_ok());
    assert!(untyped().of_type(&[Some("at+jwt")]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_changed_bit_passes(which in 0usize..9, position: prop::sample::Index, bit in 0u8..8) {
        let key = TestKey::new(Algorithm::ALL[which]);
        let mut text = key.signed("at+jwt", &json!({"sub": "ada"})).into_bytes();
        let position = position.index(text.len());
        text[position] ^= 1 << bit;
        if let Ok(text) = str::from_utf8(&text) {
            prop_assert!(verified(text, &key.key_set()).is_err());
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}", parts in "[A-Za-z0-9_-]{0,80}(\\.[A-Za-z0-9_-]{0,80}){0,5}") {
        for text in [text, parts] {
            let _ = Unverified::read(&text, LONGEST);
            let _ = unverified_claims(&text, LONGEST);
        }
    }

    #[test]
    fn any_header_and_payload_are_read_or_refused(header in "\\PC{0,100}", payload: Vec<u8>) {
        let text = format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let _ = Unverified::read(&text, LONGEST);
        let _ = unverified_claims(&text, LONGEST);
    }
}
