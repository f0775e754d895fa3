//! Keys for tests. They sign with `ring` directly, not with the code under test.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chrono::DateTime;
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
        RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
        RsaPublicKeyComponents,
    },
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Map, Value, json};

use super::keys::{Algorithm, KeySet};
use crate::clock::Timestamp;

/// `ring` cannot generate RSA keys. This one is used nowhere else.
const RSA: &str = include_str!("testdata/rsa-2048.pem");

/// The current time in tests.
pub(crate) fn now() -> Timestamp {
    DateTime::from_timestamp(1_000_000, 0).unwrap()
}

/// A key pair and its algorithm.
pub(crate) struct TestKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) pkcs8: Vec<u8>,
}

impl TestKey {
    /// A new key; for RSA the fixed one.
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = match algorithm {
            Algorithm::Es256 | Algorithm::Es384 => {
                EcdsaKeyPair::generate_pkcs8(curve(algorithm), &random)
                    .unwrap()
                    .as_ref()
                    .to_vec()
            }
            Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random)
                .unwrap()
                .as_ref()
                .to_vec(),
            _ => PrivatePkcs8KeyDer::from_pem_slice(RSA.as_bytes())
                .unwrap()
                .secret_pkcs8_der()
                .to_vec(),
        };
        Self { algorithm, pkcs8 }
    }

    pub(crate) fn pem(&self) -> String {
        let base64 = STANDARD.encode(&self.pkcs8);
        format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n")
    }

    pub(crate) fn jwk(&self) -> Map<String, Value> {
        let random = SystemRandom::new();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let elliptic = |name: &str, length: usize| {
            let key =
                EcdsaKeyPair::from_pkcs8(curve(self.algorithm), &self.pkcs8, &random).unwrap();
            let (x, y) = key.public_key().as_ref()[1..].split_at(length);
            json!({"kty": "EC", "crv": name, "x": text(x), "y": text(y)})
        };
        let jwk = match self.algorithm {
            Algorithm::Es256 => elliptic("P-256", 32),
            Algorithm::Es384 => elliptic("P-384", 48),
            Algorithm::EdDsa => {
                let key = Ed25519KeyPair::from_pkcs8(&self.pkcs8).unwrap();
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(key.public_key().as_ref())})
            }
            _ => {
                let key = RsaKeyPair::from_pkcs8(&self.pkcs8).unwrap();
                let key: RsaPublicKeyComponents<Vec<u8>> = key.public().into();
                json!({"kty": "RSA", "n": text(&key.n), "e": text(&key.e)})
            }
        };
        jwk.as_object().unwrap().clone()
    }

    /// A set with only this key, with the id `k1`.
    pub(crate) fn key_set(&self) -> KeySet {
        let mut jwk = self.jwk();
        jwk.insert("kid".to_owned(), json!("k1"));
        key_set(&[Value::Object(jwk)]).unwrap()
    }

    /// A signed document of this type.
    pub(crate) fn signed(&self, media_type: &str, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm.as_str(), "kid": "k1", "typ": media_type});
        self.compact(&header.to_string(), &claims.to_string())
    }

    /// Signs header and payload as given.
    pub(crate) fn compact(&self, header: &str, payload: &str) -> String {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", text(header.as_bytes()), text(payload.as_bytes()));
        let signature = self.sign(signed.as_bytes());
        format!("{signed}.{}", text(&signature))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let key = RsaKeyPair::from_pkcs8(&self.pkcs8).unwrap();
            let mut signature = vec![0; key.public().modulus_len()];
            key.sign(encoding, &random, message, &mut signature)
                .unwrap();
            signature
        };
        match self.algorithm {
            Algorithm::Rs256 => rsa(&RSA_PKCS1_SHA256),
            Algorithm::Rs384 => rsa(&RSA_PKCS1_SHA384),
            Algorithm::Rs512 => rsa(&RSA_PKCS1_SHA512),
            Algorithm::Ps256 => rsa(&RSA_PSS_SHA256),
            Algorithm::Ps384 => rsa(&RSA_PSS_SHA384),
            Algorithm::Ps512 => rsa(&RSA_PSS_SHA512),
            Algorithm::Es256 | Algorithm::Es384 => {
                EcdsaKeyPair::from_pkcs8(curve(self.algorithm), &self.pkcs8, &random)
                    .unwrap()
                    .sign(&random, message)
                    .unwrap()
                    .as_ref()
                    .to_vec()
            }
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(&self.pkcs8)
                .unwrap()
                .sign(message)
                .as_ref()
                .to_vec(),
        }
    }
}

/// A set of these keys.
pub(crate) fn key_set(keys: &[Value]) -> Result<KeySet, super::keys::KeySetFault> {
    KeySet::read(json!({"keys": keys}).to_string().as_bytes())
}

/// Changes members; a null removes one.
pub(crate) fn changed(members: &Value, changes: &Value) -> Value {
    let mut members = members.clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.as_object_mut().unwrap().remove(name);
        } else {
            members[name] = value.clone();
        }
    }
    members
}

fn curve(algorithm: Algorithm) -> &'static EcdsaSigningAlgorithm {
    if algorithm == Algorithm::Es256 {
        &ECDSA_P256_SHA256_FIXED_SIGNING
    } else {
        &ECDSA_P384_SHA384_FIXED_SIGNING
    }
}
