//! Public keys: key sets of authorization servers (RFC 7517), and the key of a DPoP proof.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use derive_more::{Display, Error};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{crypto, json};

/// The longest key set that is read, in bytes.
pub(crate) const LONGEST_KEY_SET: usize = 64 * 1024;

/// The most keys that a key set may have.
pub(crate) const MOST_KEYS: usize = 100;

/// The accepted sizes of an RSA modulus, in bits. RFC 7518 §3.3 requires at least 2048; the upper bound limits
/// the cost of a verification.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// Members that only a private or symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The supported signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1). `none` and symmetric algorithms are not
/// supported, because a verifier could forge their signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// EdDSA on Ed25519.
    EdDsa,
}

/// The type of key of an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyType {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// A public key that verifies signatures.
#[derive(Clone)]
pub(crate) struct PublicKey {
    id: Option<String>,
    key_type: KeyType,
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

/// The usable keys of a JWK Set.
#[derive(Clone, Debug)]
pub struct KeySet(Vec<PublicKey>);

/// Why a key set cannot be used: a fault of the authorization server.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum KeySetFault {
    /// Longer than 65,536 bytes.
    #[display("the key set is longer than 65536 bytes")]
    TooLong,
    /// Not a JSON object with an array `keys` (RFC 7517 §5), or ambiguous.
    #[display("the key set is not a JSON object with an array of keys")]
    NotAKeySet,
    /// More than 100 keys.
    #[display("the key set has more than 100 keys")]
    TooManyKeys,
    /// No key in it can verify signatures.
    #[display("the key set has no key that verifies a signature with an accepted algorithm")]
    NoUsableKey,
}

/// Why a JWK is not used.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum KeyFault {
    /// It has a private or symmetric member.
    #[display("the key is not a public key")]
    NotPublic,
    /// Its `kty`, `crv` or `alg` is not supported, or they do not match.
    #[display("the key is of a type that is not accepted")]
    Type,
    /// `use` or `key_ops` does not allow verification.
    #[display("the key is not meant to verify signatures")]
    Use,
    /// A member is missing or invalid.
    #[display("the key is malformed")]
    Malformed,
    /// An RSA modulus below 2048 bits (RFC 7518 §3.3), or above 8192.
    #[display("the key has too few or too many bits")]
    Size,
}

/// Why no key of a set can be selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// No key has the id, or without an id no key matches. A newer set may have it.
    Unknown,
    /// The key with the id is for another algorithm.
    Unfit,
    /// There is no id, and several keys match.
    Ambiguous,
}

/// A JWK SHA-256 thumbprint (RFC 7638), in base64url as `cnf.jkt` has it (RFC 9449 §6.1).
#[derive(Clone, Debug, Display, PartialEq, Eq, Hash)]
pub(crate) struct Thumbprint(String);

impl Algorithm {
    /// Every supported algorithm.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// The name in `alg`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm with this name, if it is supported. Names are case-sensitive (RFC 7515 §4.1.1).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }

    const fn key_type(self) -> KeyType {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => {
                KeyType::Rsa
            }
            Self::Es256 => KeyType::P256,
            Self::Es384 => KeyType::P384,
            Self::EdDsa => KeyType::Ed25519,
        }
    }

    /// The same algorithm in `jsonwebtoken`.
    pub(crate) const fn of_jsonwebtoken(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Rs384 => jsonwebtoken::Algorithm::RS384,
            Self::Rs512 => jsonwebtoken::Algorithm::RS512,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::Ps384 => jsonwebtoken::Algorithm::PS384,
            Self::Ps512 => jsonwebtoken::Algorithm::PS512,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Es384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

impl PublicKey {
    /// Reads a JWK (RFC 7517 §4).
    ///
    /// # Errors
    /// The first rule that the key breaks.
    pub(crate) fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, KeyFault> {
        if PRIVATE_MEMBERS
            .iter()
            .any(|member| jwk.contains_key(*member))
        {
            return Err(KeyFault::NotPublic);
        }
        let may_verify = optional_text(jwk, "use")?.is_none_or(|purpose| purpose == "sig")
            && match jwk.get("key_ops") {
                None => true,
                Some(Value::Array(operations)) => operations.contains(&"verify".into()),
                Some(_) => return Err(KeyFault::Malformed),
            };
        if !may_verify {
            return Err(KeyFault::Use);
        }
        let key_type = key_type(jwk)?;
        let algorithm = match optional_text(jwk, "alg")? {
            None => None,
            Some(name) => Some(
                Algorithm::parse(name)
                    .filter(|algorithm| algorithm.key_type() == key_type)
                    .ok_or(KeyFault::Type)?,
            ),
        };
        let key = match key_type {
            KeyType::Rsa => rsa_key(jwk)?,
            KeyType::P256 => elliptic_key(jwk, 32)?,
            KeyType::P384 => elliptic_key(jwk, 48)?,
            KeyType::Ed25519 => DecodingKey::from_ed_der(&bytes_of_length(jwk, "x", 32)?),
        };
        Ok(Self {
            id: optional_text(jwk, "kid")?.map(str::to_owned),
            key_type,
            algorithm,
            key,
        })
    }

    /// Whether the key may be used with an algorithm: type and `alg` have to match.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        self.key_type == algorithm.key_type() && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// Verifies a signature in base64url.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &str, signature: &str) -> bool {
        crypto::install();
        self.fits(algorithm)
            && jsonwebtoken::crypto::verify(
                signature,
                message.as_bytes(),
                &self.key,
                algorithm.of_jsonwebtoken(),
            )
            .unwrap_or(false)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?}, {:?})", self.key_type, self.id)
    }
}

impl KeySet {
    /// Reads a JWK Set. Unusable keys are ignored (RFC 7517 §5).
    ///
    /// # Errors
    /// See [`KeySetFault`].
    pub fn read(text: &[u8]) -> Result<Self, KeySetFault> {
        if text.len() > LONGEST_KEY_SET {
            return Err(KeySetFault::TooLong);
        }
        let document = json::object(text).ok_or(KeySetFault::NotAKeySet)?;
        let Some(Value::Array(keys)) = document.get("keys") else {
            return Err(KeySetFault::NotAKeySet);
        };
        if keys.len() > MOST_KEYS {
            return Err(KeySetFault::TooManyKeys);
        }
        let usable: Vec<_> = keys
            .iter()
            .filter_map(Value::as_object)
            .filter_map(|jwk| PublicKey::from_jwk(jwk).ok())
            .collect();
        if usable.is_empty() {
            return Err(KeySetFault::NoUsableKey);
        }
        Ok(Self(usable))
    }

    /// The id and the type of each key, for people.
    pub(crate) fn described(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|key| {
            let id = key.id.as_deref().unwrap_or("(no kid)");
            match key.algorithm {
                Some(algorithm) => format!("{id}/{}", algorithm.as_str()),
                None => format!("{id}/{:?}", key.key_type),
            }
        })
    }

    /// Whether any key may be used with an algorithm.
    pub(crate) fn has_key_for(&self, algorithm: Algorithm) -> bool {
        self.0.iter().any(|key| key.fits(algorithm))
    }

    /// The key to verify with. Without an id exactly one has to match: OpenID Connect Core §10.1 requires `kid`
    /// for sets with several keys.
    pub(crate) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<&PublicKey, NoKey> {
        let mut named = self
            .0
            .iter()
            .filter(|key| id.is_none() || key.id.as_deref() == id)
            .peekable();
        if named.peek().is_none() {
            return Err(NoKey::Unknown);
        }
        let mut fitting = named.filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (Some(_), Some(_)) => Err(NoKey::Ambiguous),
            (None, _) if id.is_none() => Err(NoKey::Unknown),
            (None, _) => Err(NoKey::Unfit),
        }
    }
}

impl Thumbprint {
    /// The thumbprint of a key: the hash of its required members in the order of their names, without
    /// white space (RFC 7638 §3).
    ///
    /// # Errors
    /// The key is of a type that is not accepted, or a member is missing.
    pub(crate) fn of(jwk: &Map<String, Value>) -> Result<Self, KeyFault> {
        let text = |name| optional_text(jwk, name)?.ok_or(KeyFault::Malformed);
        // The members are in lexicographic order, whether or not the map preserves insertion order.
        let required = match key_type(jwk)? {
            KeyType::Rsa => json!({"e": text("e")?, "kty": "RSA", "n": text("n")?}),
            KeyType::P256 | KeyType::P384 => {
                json!({"crv": text("crv")?, "kty": "EC", "x": text("x")?, "y": text("y")?})
            }
            KeyType::Ed25519 => json!({"crv": "Ed25519", "kty": "OKP", "x": text("x")?}),
        };
        Ok(Self(
            URL_SAFE_NO_PAD.encode(Sha256::digest(required.to_string())),
        ))
    }

    /// Reads `cnf.jkt`; `None` if it is malformed.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let hash = URL_SAFE_NO_PAD.decode(text).ok()?;
        (hash.len() == 32).then(|| Self(text.to_owned()))
    }

    /// The value of `cnf.jkt`.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn key_type(jwk: &Map<String, Value>) -> Result<KeyType, KeyFault> {
    match (optional_text(jwk, "kty")?, optional_text(jwk, "crv")?) {
        (Some("RSA"), None) => Ok(KeyType::Rsa),
        (Some("EC"), Some("P-256")) => Ok(KeyType::P256),
        (Some("EC"), Some("P-384")) => Ok(KeyType::P384),
        (Some("OKP"), Some("Ed25519")) => Ok(KeyType::Ed25519),
        _ => Err(KeyFault::Type),
    }
}

fn rsa_key(jwk: &Map<String, Value>) -> Result<DecodingKey, KeyFault> {
    let (modulus, exponent) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
    // Some servers prefix the sign octet of DER (RFC 7518 §6.3.1.1 mentions it).
    let modulus = modulus.strip_prefix(&[0]).unwrap_or(&modulus);
    let bits = modulus.first().map_or(0, |first| {
        modulus.len() * 8 - first.leading_zeros() as usize
    });
    if !RSA_BITS.contains(&bits) {
        return Err(KeyFault::Size);
    }
    Ok(DecodingKey::from_rsa_raw_components(modulus, &exponent))
}

/// A point, whose coordinates have a fixed length (RFC 7518 §6.2.1.2), uncompressed.
fn elliptic_key(jwk: &Map<String, Value>, length: usize) -> Result<DecodingKey, KeyFault> {
    let mut point = vec![4];
    point.extend(bytes_of_length(jwk, "x", length)?);
    point.extend(bytes_of_length(jwk, "y", length)?);
    Ok(DecodingKey::from_ec_der(&point))
}

fn bytes_of_length(
    jwk: &Map<String, Value>,
    name: &str,
    length: usize,
) -> Result<Vec<u8>, KeyFault> {
    bytes(jwk, name).and_then(|bytes| {
        (bytes.len() == length)
            .then_some(bytes)
            .ok_or(KeyFault::Malformed)
    })
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, KeyFault> {
    let text = optional_text(jwk, name)?.ok_or(KeyFault::Malformed)?;
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| KeyFault::Malformed)
}

fn optional_text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, KeyFault> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(KeyFault::Malformed),
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
