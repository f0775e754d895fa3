//! Signs documents, for a fuzzer cannot guess a signature: without this nothing behind it would be reached.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair};

/// The key that signs. It is used nowhere else.
pub(crate) fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed has 32 bytes")
}

/// The public key as a JWK.
pub(crate) fn jwk(key: &Ed25519KeyPair) -> String {
    let x = URL_SAFE_NO_PAD.encode(key.public_key());
    format!(r#"{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"k1","x":"{x}"}}"#)
}

/// A compact JWS (RFC 7515 §7.1).
pub(crate) fn sign(key: &Ed25519KeyPair, header: &[u8], payload: &[u8]) -> String {
    let header = URL_SAFE_NO_PAD.encode(header);
    let payload = URL_SAFE_NO_PAD.encode(payload);
    let signed = format!("{header}.{payload}");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// The document of an input: with `!` in front, a line with the header and the payload, which are signed here; `$` in
/// the header stands for the public key. Otherwise the input itself.
pub(crate) fn document(data: &[u8]) -> Option<String> {
    let Some(parts) = data.strip_prefix(b"!") else {
        return str::from_utf8(data).ok().map(str::to_owned);
    };
    let end = parts.iter().position(|byte| *byte == b'\n')?;
    let key = key();
    let header = str::from_utf8(&parts[..end]).ok()?.replace('$', &jwk(&key));
    Some(sign(&key, header.as_bytes(), &parts[end + 1..]))
}

/// Header and payload of a document that was accepted.
pub(crate) fn members(document: &str) -> (serde_json::Value, serde_json::Value) {
    let parts: Vec<&str> = document.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!("an accepted document has three parts");
    };
    let decoded = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
        assert_eq!(URL_SAFE_NO_PAD.encode(&bytes), part, "in one way only");
        bytes
    };
    assert_eq!(decoded(signature).len(), 64, "a signature of Ed25519");
    let json = |part| serde_json::from_slice(&decoded(part)).expect("accepted members are JSON");
    (json(header), json(payload))
}
