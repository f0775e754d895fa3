//! A reader of signed tokens that shares nothing with the server but `ring`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;

/// What a valid signature covers.
#[derive(Debug)]
pub(crate) struct Jws {
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

/// Verifies a compact JWS (RFC 7515 §5.2) by the key of the set that its header names. `None` if the set has no such key.
///
/// Panics if the text is no JWS of ES256, or if the signature is wrong.
pub(crate) fn verify(token: &str, key_set: &Value) -> Option<Jws> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("no compact JWS: {token}");
    };
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let json = |part: &str| serde_json::from_slice::<Value>(&bytes(part)).unwrap();
    let (read, claims_read) = (json(header), json(claims));
    assert_eq!(read["alg"], "ES256");
    let mut keys = key_set["keys"].as_array().unwrap().iter();
    let key = keys.find(|key| key["kid"] == read["kid"])?;
    // An uncompressed point (SEC 1 §2.3.3).
    let mut point = vec![4];
    for coordinate in ["x", "y"] {
        point.extend(bytes(key[coordinate].as_str().unwrap()));
    }
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(format!("{header}.{claims}").as_bytes(), &bytes(signature))
        .expect("the signature is of the key that the header names");
    Some(Jws {
        header: read,
        claims: claims_read,
    })
}
