//! A client that holds a key, and proves it (RFC 9449).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{RESOURCE, SigningKey, TestApp};

pub(crate) struct DpopClient(SigningKey);

impl DpopClient {
    pub(crate) fn new() -> Self {
        Self(SigningKey::new("proof"))
    }

    /// The public key, with the members that its thumbprint is made of (RFC 7638 §3.2).
    fn jwk(&self) -> Value {
        let mut jwk = self.0.jwk();
        jwk.as_object_mut().unwrap().remove("kid");
        jwk
    }

    /// What a token is bound by (`cnf.jkt`).
    pub(crate) fn thumbprint(&self) -> String {
        let mut jwk = self.jwk();
        jwk.sort_all_objects();
        URL_SAFE_NO_PAD.encode(Sha256::digest(jwk.to_string()))
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
        self.0.sign_with(&header, claims)
    }

    /// A proof that is good for a POST with this token now.
    pub(crate) fn proof(&self, app: &TestApp, token: &str, id: &str) -> String {
        self.sign(&Self::claims(app, token, id))
    }
}
