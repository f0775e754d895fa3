//! Client authentication with a private key: `private_key_jwt` (RFC 7523 §2.2, OpenID Connect Core §9).

use chrono::TimeDelta;
use derive_more::{Debug, Display, Error};
use jsonwebtoken::{EncodingKey, Header};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{crypto, keys::Algorithm};
use crate::clock::Timestamp;

/// The value of `client_assertion_type` (RFC 7523 §2.2).
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The lifetime of an assertion: one call, and the clock skew.
const LIFETIME: TimeDelta = TimeDelta::seconds(60);

/// A private key for client authentication. It is never printed.
#[derive(Clone, Debug)]
#[debug("ClientKey({})", self.algorithm.as_str())]
pub struct ClientKey {
    key: EncodingKey,
    algorithm: Algorithm,
    id: Option<String>,
}

/// Why a private key cannot be used. The messages contain nothing of the key.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum ClientKeyFault {
    /// Not PEM, or of another kind: `RSA PRIVATE KEY`, `EC PRIVATE KEY`, an encrypted or a public key.
    #[display("is not a PEM document of the kind PRIVATE KEY (PKCS#8, not encrypted)")]
    NotPkcs8,
    /// PKCS#8 of an unsupported type of key.
    #[display(
        "is neither an RSA key of 2048 to 4096 bits nor a key of P-256, P-384 or Ed25519 with its public part"
    )]
    Unsupported,
    /// The key cannot sign with the requested algorithm.
    #[display("cannot sign with that algorithm")]
    Algorithm,
}

/// Signing failed, because the operating system has no random bytes.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
#[display("the client assertion could not be signed")]
pub(crate) struct SigningFault;

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
    /// Reads a private key in PEM. `id` becomes `kid`. The default algorithm is RS256 for RSA keys, and the only
    /// possible one for others.
    ///
    /// # Errors
    /// See [`ClientKeyFault`].
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

    /// A client assertion for one audience, valid for a minute. `token_id` has to be unique (RFC 7523 §3, 7).
    ///
    /// # Errors
    /// See [`SigningFault`].
    pub(crate) fn assertion(
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
