//! What this server signs (RFC 7515): its keys, and the access tokens that are JWTs (RFC 9068). It has
//! `ring` below it and no JOSE crate, for the resource server has one, and each is to check the other.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{grants::Token, secret, settings::TokenFormat, user::User};

/// The algorithm of all that is signed here.
pub(crate) const ALGORITHM: &str = "ES256";

/// A key pair of P-256, and its public half as a JWK.
struct SigningKey {
    pair: EcdsaKeyPair,
    id: String,
    jwk: Value,
    /// Both halves (RFC 5958): a secret.
    document: Vec<u8>,
}

/// The keys as they are kept: a secret.
#[derive(Deserialize, Serialize)]
pub(crate) struct SavedKeys {
    id: String,
    /// PKCS #8 in base64url.
    document: String,
    /// The public half of the key before.
    retired: Option<Value>,
}

impl SigningKey {
    fn generate() -> Self {
        let random = SystemRandom::new();
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .ok()
            .and_then(|document| Self::read(secret::random_name(), document.as_ref().to_vec()))
            .expect("the operating system has random bytes")
    }

    /// Reads both halves; `None` if they are none of this curve.
    fn read(id: String, document: Vec<u8>) -> Option<Self> {
        let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_pkcs8(curve, &document, &SystemRandom::new()).ok()?;
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
        Some(Self {
            pair,
            id,
            jwk,
            document,
        })
    }
}

/// Writes tokens, and signs whatever this server says under its name.
pub(crate) struct Writer {
    pub(crate) issuer: String,
    /// How access tokens are written that nobody asked for in another form.
    pub(crate) format: TokenFormat,
    /// Whose claims go into JWT access tokens.
    pub(crate) users: Arc<[User]>,
    key: SigningKey,
    /// The key that was used before: what it signed can still be verified.
    retired: Option<Value>,
}

impl Writer {
    pub(crate) fn new(issuer: String, format: TokenFormat, users: Arc<[User]>) -> Self {
        Self {
            issuer,
            format,
            users,
            key: SigningKey::generate(),
            retired: None,
        }
    }

    /// The keys, to be kept.
    pub(crate) fn to_saved(&self) -> SavedKeys {
        SavedKeys {
            id: self.key.id.clone(),
            document: URL_SAFE_NO_PAD.encode(&self.key.document),
            retired: self.retired.clone(),
        }
    }

    /// Goes on with keys that were kept. Says whether they are any.
    pub(crate) fn go_on_with(&mut self, saved: SavedKeys) -> bool {
        let document = URL_SAFE_NO_PAD.decode(&saved.document);
        let key = document
            .ok()
            .and_then(|document| SigningKey::read(saved.id, document));
        let Some(key) = key else {
            return false;
        };
        self.key = key;
        self.retired = saved.retired;
        true
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
        let user = self.users.iter().find(|user| user.subject == grant.subject);
        for (name, value) in user.iter().flat_map(|user| &user.claims) {
            claims[name] = value.clone();
        }
        if !grant.details.is_empty() {
            claims["authorization_details"] = json!(grant.details);
        }
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
