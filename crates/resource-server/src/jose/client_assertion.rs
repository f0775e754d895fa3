//! How this server proves who it is with a key of its own: `private_key_jwt` (RFC 7523 §2.2, OpenID
//! Connect Core §9).

use chrono::TimeDelta;
use derive_more::{Debug, Display, Error};
use jsonwebtoken::{EncodingKey, Header};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{crypto, keys::Algorithm};
use crate::clock::Timestamp;

/// The value of `client_assertion_type` (RFC 7523 §2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is good for: one call, and what the clocks differ.
const LIFETIME: TimeDelta = TimeDelta::seconds(60);

/// A private key to authenticate with. It is never printed.
#[derive(Clone, Debug)]
#[debug("ClientKey({})", self.algorithm.as_str())]
pub struct ClientKey {
    key: EncodingKey,
    algorithm: Algorithm,
    id: Option<String>,
}

/// Why a text is no key to sign with. Nothing of the text is in it.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum ClientKeyFault {
    /// Not PEM, or of another kind: `RSA PRIVATE KEY`, `EC PRIVATE KEY`, an encrypted or a public key.
    #[display("is not a PEM document of the kind PRIVATE KEY (PKCS#8, not encrypted)")]
    NotPkcs8,
    /// PKCS#8 of a key that nothing here signs with.
    #[display(
        "is neither an RSA key of 2048 to 4096 bits nor a key of P-256, P-384 or Ed25519 with its public part"
    )]
    Unsupported,
    /// The key cannot sign with the algorithm that was asked for.
    #[display("cannot sign with that algorithm")]
    Algorithm,
}

/// The key did not sign. It did when it was read, so the machine has no random bytes.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
#[display("the client assertion could not be signed")]
pub struct SigningFault;

#[derive(Serialize)]
struct AssertionClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
}

impl ClientKey {
    /// Reads a private key. `id` becomes `kid`, by which the authorization server finds the public key.
    /// Without an algorithm it is the usual one of the key: RS256 for RSA, the only one for others.
    ///
    /// # Errors
    /// Why the text is no key to sign with.
    pub fn from_pem(
        pem: &SecretString,
        algorithm: Option<Algorithm>,
        id: Option<String>,
    ) -> Result<Self, ClientKeyFault> {
        let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(pem.expose_secret().as_bytes())
            .map_err(|_| ClientKeyFault::NotPkcs8)?;
        let (key, able) =
            crypto::private_key(pkcs8.secret_pkcs8_der()).ok_or(ClientKeyFault::Unsupported)?;
        let algorithm = match algorithm {
            Some(algorithm) => Some(algorithm),
            None => Algorithm::ALL
                .into_iter()
                .find(|algorithm| algorithm.of_jsonwebtoken() == able[0]),
        };
        let algorithm = algorithm
            .filter(|algorithm| able.contains(&algorithm.of_jsonwebtoken()))
            .ok_or(ClientKeyFault::Algorithm)?;
        Ok(Self { key, algorithm, id })
    }

    /// An assertion that the client is who it says, for one audience, good for a minute. `token_id` is
    /// random and never used again (RFC 7523 §3, 7).
    ///
    /// # Errors
    /// The machine has no random bytes.
    pub fn assertion(
        &self,
        client_id: &str,
        audience: &str,
        token_id: &str,
        now: Timestamp,
    ) -> Result<SecretString, SigningFault> {
        let header = Header {
            kid: self.id.clone(),
            ..Header::new(self.algorithm.of_jsonwebtoken())
        };
        let claims = AssertionClaims {
            iss: client_id,
            sub: client_id,
            aud: audience,
            iat: now.timestamp(),
            exp: (now + LIFETIME).timestamp(),
            jti: token_id,
        };
        crypto::install();
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map(SecretString::from)
            .map_err(|_| SigningFault)
    }
}

#[cfg(test)]
#[path = "client_assertion_tests.rs"]
mod tests;
