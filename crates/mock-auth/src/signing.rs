//! What this server signs (RFC 7515): its keys, and the access tokens that are JWTs (RFC 9068). It has
//! `ring` below it and no JOSE crate, for the resource server has one, and each is to check the other.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{grants::Token, secret, settings::TokenFormat};

/// The algorithm of all that is signed here.
pub(crate) const ALGORITHM: &str = "ES256";

/// A key pair of P-256, and its public half as a JWK.
struct SigningKey {
    pair: EcdsaKeyPair,
    id: String,
    jwk: Value,
}

impl SigningKey {
    fn generate() -> Self {
        let random = SystemRandom::new();
        let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::generate_pkcs8(curve, &random)
            .ok()
            .and_then(|pkcs8| EcdsaKeyPair::from_pkcs8(curve, pkcs8.as_ref(), &random).ok())
            .expect("the operating system has random bytes");
        let id = secret::random_name();
        // An uncompressed point: one byte that says so, and two coordinates (SEC 1 §2.3.3).
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({
            "kty": "EC",
            "crv": "P-256",
            "alg": ALGORITHM,
            "use": "sig",
            "kid": id,
            "x": URL_SAFE_NO_PAD.encode(x),
            "y": URL_SAFE_NO_PAD.encode(y),
        });
        Self { pair, id, jwk }
    }
}

/// Writes tokens, and signs whatever this server says under its name.
pub(crate) struct Writer {
    pub(crate) issuer: String,
    /// How access tokens are written that nobody asked for in another form.
    pub(crate) format: TokenFormat,
    key: SigningKey,
    /// The key that was used before: what it signed can still be verified.
    retired: Option<Value>,
}

impl Writer {
    pub(crate) fn new(issuer: String, format: TokenFormat) -> Self {
        Self {
            issuer,
            format,
            key: SigningKey::generate(),
            retired: None,
        }
    }

    /// The public keys as a JWK Set (RFC 7517 §5).
    pub(crate) fn key_set(&self) -> Value {
        let keys: Vec<_> = [Some(&self.key.jwk), self.retired.as_ref()]
            .into_iter()
            .flatten()
            .collect();
        json!({ "keys": keys })
    }

    /// Signs with a new key from now on. Of the old ones the last stays published.
    pub(crate) fn rotate(&mut self) {
        let old = std::mem::replace(&mut self.key, SigningKey::generate());
        self.retired = Some(old.jwk);
    }

    /// A signed document of this type.
    pub(crate) fn sign(&self, media_type: &str, claims: &Value) -> String {
        let header = json!({"alg": ALGORITHM, "kid": self.key.id, "typ": media_type});
        let [header, claims] =
            [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self
            .key
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .expect("the operating system has random bytes");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// The text of a token: a JWT if it has the id of one, else random.
    pub(crate) fn write(&self, prefix: &str, token: &Token) -> SecretString {
        match &token.jti {
            Some(jti) => self.sign("at+jwt", &self.claims(token, jti)).into(),
            None => secret::random(prefix),
        }
    }

    /// RFC 9068 §2.2.
    fn claims(&self, token: &Token, jti: &str) -> Value {
        let grant = &token.grant;
        let mut claims = json!({
            "iss": self.issuer,
            "sub": grant.subject,
            "client_id": grant.client_id,
            "scope": grant.scope,
            "exp": token.expires.timestamp(),
            "iat": token.issued.timestamp(),
            "jti": jti,
        });
        if let Some(key) = &grant.key {
            claims["cnf"] = json!({"jkt": key});
        }
        match grant.audience.as_slice() {
            [] => {}
            [one] => claims["aud"] = json!(one),
            many => claims["aud"] = json!(many),
        }
        claims
    }
}
