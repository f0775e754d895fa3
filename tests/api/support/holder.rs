//! A client that holds a key, and proves it (RFC 9449).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{RESOURCE, TestApp};

pub(crate) struct Holder(EcdsaKeyPair);

impl Holder {
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        Self(key.unwrap())
    }

    fn jwk(&self) -> Value {
        let point = &self.0.public_key().as_ref()[1..];
        let coordinate = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "crv": "P-256", "kty": "EC", "x": coordinate(&point[..32]), "y": coordinate(&point[32..]) })
    }

    /// What a token is bound by (`cnf.jkt`).
    pub(crate) fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.jwk().to_string()))
    }

    /// A token of this user that is bound to the key.
    pub(crate) fn token(&self, app: &TestApp, subject: &str) -> String {
        app.token_with(json!({
            "sub": subject, "token_type": "DPoP", "cnf": { "jkt": self.thumbprint() },
        }))
    }

    /// The claims of a proof that is good for a POST with this token now.
    pub(crate) fn claims(app: &TestApp, token: &str, id: &str) -> Value {
        json!({
            "htm": "POST",
            "htu": RESOURCE,
            "iat": app.clock.now().timestamp(),
            "jti": id,
            "ath": URL_SAFE_NO_PAD.encode(Sha256::digest(token)),
        })
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self
            .0
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A proof that is good for a POST with this token now.
    pub(crate) fn proof(&self, app: &TestApp, token: &str, id: &str) -> String {
        self.sign(&Self::claims(app, token, id))
    }
}
