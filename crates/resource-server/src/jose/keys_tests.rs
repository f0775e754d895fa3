use proptest::prelude::*;

use super::*;
use crate::jose::test_keys::{TestKey, changed, key_set};

fn fault(key: &Value, changes: &Value) -> Option<KeyFault> {
    PublicKey::from_jwk(changed(key, changes).as_object().unwrap()).err()
}

fn jwk(algorithm: Algorithm) -> Value {
    Value::Object(TestKey::new(algorithm).jwk())
}

#[test]
fn thumbprints_are_those_of_the_specifications() {
    let thumbprint = |jwk: Value| {
        Thumbprint::of(jwk.as_object().unwrap())
            .unwrap()
            .to_string()
    };
    // RFC 7638 §3.1.
    let rsa = json!({
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    });
    assert_eq!(
        thumbprint(rsa),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
    // RFC 9449 §4.1 and §6.1.
    let elliptic = json!({
        "kty": "EC",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        "crv": "P-256",
    });
    assert_eq!(
        thumbprint(elliptic),
        "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    );
    // RFC 8037 appendix A.3.
    let edwards = json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    assert_eq!(
        thumbprint(edwards),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}

#[test]
fn an_algorithm_has_one_name_and_no_symmetric_one_is_known() {
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
    }
    for name in [
        "none", "None", "", "HS256", "HS384", "HS512", "ES256K", "es256", "RSA-OAEP",
    ] {
        assert_eq!(Algorithm::parse(name), None, "{name}");
    }
}

#[test]
fn a_key_is_public_and_meant_to_verify() {
    let key = jwk(Algorithm::Es256);
    for (changes, expected) in [
        (json!({}), None),
        (
            json!({"use": "sig", "key_ops": ["verify"], "alg": "ES256", "x5c": ["ignored"]}),
            None,
        ),
        (json!({"use": "enc"}), Some(KeyFault::Use)),
        (json!({"use": 1}), Some(KeyFault::Malformed)),
        (json!({"key_ops": ["sign"]}), Some(KeyFault::Use)),
        (json!({"key_ops": []}), Some(KeyFault::Use)),
        (json!({"key_ops": "verify"}), Some(KeyFault::Malformed)),
        (json!({"alg": "ES384"}), Some(KeyFault::Type)),
        (json!({"alg": "RS256"}), Some(KeyFault::Type)),
        (json!({"alg": "HS256"}), Some(KeyFault::Type)),
        (json!({"alg": "ECDH-ES"}), Some(KeyFault::Type)),
        (json!({"kty": "RSA"}), Some(KeyFault::Type)),
        (json!({"kty": "OKP"}), Some(KeyFault::Type)),
        (json!({"kty": null}), Some(KeyFault::Type)),
        (json!({"crv": "P-521"}), Some(KeyFault::Type)),
        (json!({"crv": "P-384"}), Some(KeyFault::Malformed)),
        (json!({"x": null}), Some(KeyFault::Malformed)),
        (json!({"y": "AAAA"}), Some(KeyFault::Malformed)),
        (json!({"y": "!"}), Some(KeyFault::Malformed)),
        (json!({"kid": 7}), Some(KeyFault::Malformed)),
    ] {
        assert_eq!(fault(&key, &changes), expected, "{changes}");
    }
    for member in PRIVATE_MEMBERS {
        let changes = json!({member: "AQAB"});
        assert_eq!(fault(&key, &changes), Some(KeyFault::NotPublic), "{member}");
    }
    let symmetric = json!({"kty": "oct", "k": "AQAB"});
    assert_eq!(fault(&symmetric, &json!({})), Some(KeyFault::NotPublic));
}

#[test]
fn an_rsa_key_has_2048_bits_at_least_and_8192_at_most() {
    let modulus = |first: u8, length: usize| {
        let mut modulus = vec![0xff; length];
        modulus[0] = first;
        json!({"n": URL_SAFE_NO_PAD.encode(modulus)})
    };
    let key = jwk(Algorithm::Rs256);
    for (changes, expected) in [
        (modulus(0x80, 256), None),
        (modulus(0x7f, 256), Some(KeyFault::Size)),
        (modulus(0xff, 128), Some(KeyFault::Size)),
        (modulus(0x00, 257), None),
        (modulus(0xff, 1_024), None),
        (modulus(0x01, 1_025), Some(KeyFault::Size)),
        (json!({"n": ""}), Some(KeyFault::Size)),
    ] {
        assert_eq!(fault(&key, &changes), expected, "{changes}");
    }
}

#[test]
fn keys_that_cannot_be_used_are_passed_over() {
    let good = jwk(Algorithm::Es256);
    let private = changed(&good, &json!({"d": "AQAB"}));
    let keys = key_set(&[json!(7), json!({"kty": "AKP"}), private.clone(), good]).unwrap();
    assert_eq!(keys.0.len(), 1);
    let none = key_set(&[json!({"kty": "oct", "k": "AQAB"}), private]);
    assert_eq!(none.unwrap_err(), KeySetFault::NoUsableKey);
}

#[test]
fn a_key_set_is_an_object_with_an_array_within_its_bounds() {
    for text in [
        "",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":[],"keys":[]}"#,
        "<html>",
    ] {
        let fault = KeySet::read(text.as_bytes()).unwrap_err();
        assert_eq!(fault, KeySetFault::NotAKeySet, "{text}");
    }
    let key = jwk(Algorithm::EdDsa);
    assert!(key_set(&vec![key.clone(); MOST_KEYS]).is_ok());
    let many = key_set(&vec![key.clone(); MOST_KEYS + 1]);
    assert_eq!(many.unwrap_err(), KeySetFault::TooManyKeys);

    let mut text = json!({"keys": [key]}).to_string();
    text.push_str(&" ".repeat(LONGEST_KEY_SET - text.len()));
    assert!(KeySet::read(text.as_bytes()).is_ok());
    text.push(' ');
    let long = KeySet::read(text.as_bytes());
    assert_eq!(long.unwrap_err(), KeySetFault::TooLong);
}

#[test]
fn the_key_is_the_one_of_that_id_and_that_algorithm() {
    let named = |algorithm, id: &str| changed(&jwk(algorithm), &json!({"kid": id}));
    let keys = key_set(&[
        named(Algorithm::Es256, "a"),
        named(Algorithm::Es256, "b"),
        changed(&named(Algorithm::Rs256, "c"), &json!({"alg": "PS256"})),
        named(Algorithm::EdDsa, "a"),
        named(Algorithm::EdDsa, "d"),
        named(Algorithm::EdDsa, "d"),
    ])
    .unwrap();
    let found = |id: Option<&str>, algorithm| {
        let found = keys.find(id, algorithm);
        found.map(|key| (key.id.clone().unwrap(), key.key_type))
    };
    let is = |id: &str, key_type| Ok((id.to_owned(), key_type));
    assert_eq!(found(Some("b"), Algorithm::Es256), is("b", KeyType::P256));
    assert_eq!(
        found(Some("a"), Algorithm::EdDsa),
        is("a", KeyType::Ed25519)
    );
    assert_eq!(found(Some("c"), Algorithm::Ps256), is("c", KeyType::Rsa));
    assert_eq!(found(None, Algorithm::Ps256), is("c", KeyType::Rsa));
    assert_eq!(found(Some("c"), Algorithm::Rs256), Err(NoKey::Unfit));
    assert_eq!(found(Some("b"), Algorithm::Es384), Err(NoKey::Unfit));
    assert_eq!(found(Some("x"), Algorithm::Es256), Err(NoKey::Unknown));
    assert_eq!(found(Some("d"), Algorithm::EdDsa), Err(NoKey::Ambiguous));
    assert_eq!(found(None, Algorithm::Es256), Err(NoKey::Ambiguous));
    assert_eq!(found(None, Algorithm::Es384), Err(NoKey::Unknown));
}

proptest! {
    #[test]
    fn any_text_is_a_key_set_or_is_refused(text: Vec<u8>) {
        let _ = KeySet::read(&text);
    }

    #[test]
    fn any_members_are_a_key_or_are_refused(
        kty in "RSA|EC|OKP|oct", crv in "P-256|P-384|Ed25519", x in "[A-Za-z0-9_-]{0,70}"
    ) {
        let jwk = json!({"kty": kty, "crv": crv, "x": x, "y": x, "n": x, "e": x});
        if let Ok(key) = PublicKey::from_jwk(jwk.as_object().unwrap()) {
            for algorithm in Algorithm::ALL {
                prop_assert!(!key.verifies(algorithm, "a.b", &x));
            }
        }
    }
}
