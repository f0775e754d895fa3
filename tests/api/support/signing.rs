//! Keys that an issuer or a client signs with, by `ring` itself and not by way of the code that is tested.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        UnparsedPublicKey,
    },
};
use serde_json::{Value, json};

/// A key pair of P-256, for ES256.
pub(crate) struct SigningKey {
    id: String,
    pkcs8: Vec<u8>,
    pair: EcdsaKeyPair,
}

impl SigningKey {
    pub(crate) fn new(id: &str) -> Self {
        let random = SystemRandom::new();
        let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
        Self {
            id: id.to_owned(),
            pkcs8: pkcs8.as_ref().to_vec(),
            pair: EcdsaKeyPair::from_pkcs8(curve, pkcs8.as_ref(), &random).unwrap(),
        }
    }

    /// The private key, as an operator keeps it.
    pub(crate) fn pem(&self) -> String {
        let base64 = STANDARD.encode(&self.pkcs8);
        format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n")
    }

    /// The public key.
    pub(crate) fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kty": "EC", "crv": "P-256", "kid": self.id, "x": text(x), "y": text(y) })
    }

    /// A document of this type.
    pub(crate) fn sign(&self, media_type: &str, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "kid": self.id, "typ": media_type });
        self.sign_with(&header, claims)
    }

    /// A document under a header of the test's own.
    pub(crate) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", text(header), text(claims));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Header and claims of a document, if this key signed it.
    pub(crate) fn verified(&self, document: &str) -> Option<(Value, Value)> {
        let (signed, signature) = document.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key())
            .verify(signed.as_bytes(), &signature)
            .ok()?;
        let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        let (header, claims) = signed.split_once('.')?;
        Some((read(header)?, read(claims)?))
    }
}
