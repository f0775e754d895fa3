use serde_json::{Value, json};

use super::*;
use crate::jose::{
    jws::Unverified,
    test_keys::{TestKey, now},
};

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

fn assertion(key: &ClientKey) -> String {
    let assertion = key.assertion("files", "https://issuer.example", "a1", now());
    assertion.unwrap().expose_secret().to_owned()
}

#[test]
fn what_every_kind_of_key_signs_is_verified() {
    for algorithm in Algorithm::ALL {
        let pair = TestKey::new(algorithm);
        let key = ClientKey::from_pem(&secret(&pair.pem()), Some(algorithm), Some("k1".to_owned()));
        let assertion = assertion(&key.unwrap());
        let read = Unverified::read(&assertion, 4_096).unwrap();
        assert_eq!(read.header.algorithm, algorithm);
        assert_eq!(read.header.key_id.as_deref(), Some("k1"));
        let claims = read.verified_by(&pair.key_set()).map(Value::Object);
        let expected = json!({
            "iss": "files",
            "sub": "files",
            "aud": "https://issuer.example",
            "iat": 1_000_000,
            "exp": 1_000_060,
            "jti": "a1",
        });
        assert_eq!(claims, Ok(expected), "{algorithm:?}");
    }
}

#[test]
fn a_key_has_its_usual_algorithm_and_no_id_unless_it_is_given() {
    for (algorithm, usual) in [
        (Algorithm::Ps512, Algorithm::Rs256),
        (Algorithm::Es256, Algorithm::Es256),
        (Algorithm::Es384, Algorithm::Es384),
        (Algorithm::EdDsa, Algorithm::EdDsa),
    ] {
        let pem = secret(&TestKey::new(algorithm).pem());
        let assertion = assertion(&ClientKey::from_pem(&pem, None, None).unwrap());
        let read = Unverified::read(&assertion, 4_096).unwrap();
        assert_eq!(read.header.algorithm, usual);
        assert_eq!(read.header.key_id, None);
    }
}

#[test]
fn a_key_signs_with_no_algorithm_of_another_kind() {
    let elliptic = secret(&TestKey::new(Algorithm::Es256).pem());
    for algorithm in [Algorithm::Es384, Algorithm::Rs256, Algorithm::EdDsa] {
        let fault = ClientKey::from_pem(&elliptic, Some(algorithm), None).unwrap_err();
        assert_eq!(fault, ClientKeyFault::Algorithm);
    }
}

#[test]
fn an_edwards_key_needs_no_public_part() {
    // RFC 8410 §10.3.
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    assert!(ClientKey::from_pem(&secret(pem), None, None).is_ok());
}

#[test]
fn what_is_no_private_key_is_refused_without_being_shown() {
    let pem = TestKey::new(Algorithm::EdDsa).pem();
    for (text, fault) in [
        (String::new(), ClientKeyFault::NotPkcs8),
        ("hunter2".to_owned(), ClientKeyFault::NotPkcs8),
        (
            pem.replace("PRIVATE", "RSA PRIVATE"),
            ClientKeyFault::NotPkcs8,
        ),
        (
            pem.replace("PRIVATE", "ENCRYPTED PRIVATE"),
            ClientKeyFault::NotPkcs8,
        ),
        (pem.replace("PRIVATE", "PUBLIC"), ClientKeyFault::NotPkcs8),
        (pem.replace("MF", "AA"), ClientKeyFault::Unsupported),
    ] {
        let refused = ClientKey::from_pem(&secret(&text), None, None).unwrap_err();
        assert_eq!(refused, fault, "{text}");
        assert!(!format!("{refused} {refused:?}").contains("hunter2"));
    }
}

#[test]
fn a_key_is_not_printed() {
    let pair = TestKey::new(Algorithm::Es256);
    let key = ClientKey::from_pem(&secret(&pair.pem()), None, None).unwrap();
    assert_eq!(format!("{key:?}"), "ClientKey(ES256)");
}
