//! Compact JSON Web Signatures (RFC 7515 §7.1), read strictly: ambiguous documents are refused.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use derive_more::{Display, Error};
use serde_json::{Map, Value};

use super::{
    json,
    keys::{Algorithm, KeySet, NoKey, PublicKey},
};

/// Why a text is not a valid signed document.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum JwsFault {
    /// Longer than the limit for its type.
    #[display("it is too long")]
    TooLong,
    /// Not three parts in base64url (RFC 7515 §7.1).
    #[display("it is not three parts in base64url without padding")]
    NotCompact,
    /// Five parts: an encrypted document (RFC 7516 §7.1). This server has no decryption key.
    #[display("it is encrypted, and only signed documents are read")]
    Encrypted,
    /// The header is not a JSON object, or a member has the wrong type.
    #[display("its header is not a JSON object with well-formed members, each there once")]
    Header,
    /// The payload is not a JSON object.
    #[display("its payload is not a JSON object with members that are each there once")]
    Payload,
    /// `crit` is present, and no extension is supported (RFC 7515 §4.1.11).
    #[display("its header has a critical extension, and none is understood")]
    Critical,
    /// `alg` is missing or not accepted (RFC 8725 §3.1).
    #[display("its algorithm is not accepted")]
    Algorithm,
    /// `typ` is that of another type of document (RFC 8725 §3.11).
    #[display("its type (typ) is wrong")]
    Type,
    /// The key set has no key with this id.
    #[display("its key is not in the key set")]
    UnknownKey,
    /// The key with this id is for another algorithm.
    #[display("its key is not for its algorithm")]
    UnfitKey,
    /// It names no key, and several keys match.
    #[display("it does not say which of several keys signed it")]
    AmbiguousKey,
    /// The signature is wrong.
    #[display("its signature is wrong")]
    Signature,
}

/// A document whose signature is not verified yet.
pub(crate) struct Unverified<'a> {
    pub(crate) header: Header,
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// The protected header. `jku` and `x5u` are ignored: the signer does not choose a server that is called.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    pub(crate) media_type: Option<String>,
    /// Only for documents that contain their key; others ignore it.
    pub(crate) jwk: Option<Map<String, Value>>,
}

impl<'a> Unverified<'a> {
    /// Reads a document of at most `longest` bytes, up to its header.
    pub(crate) fn read(text: &'a str, longest: usize) -> Result<Self, JwsFault> {
        if text.len() > longest {
            return Err(JwsFault::TooLong);
        }
        let [header, payload, signature] = parts(text)?;
        let signed = &text[..header.len() + 1 + payload.len()];
        if [payload, signature]
            .into_iter()
            .any(|part| decoded(part).is_none())
        {
            return Err(JwsFault::NotCompact);
        }
        let header = decoded(header).ok_or(JwsFault::NotCompact)?;
        Ok(Self {
            header: Header::read(&header)?,
            signed,
            payload,
            signature,
        })
    }

    /// Refuses a document with another `typ`. `None` among the accepted ones makes it optional.
    pub(crate) fn of_type(self, accepted: &[Option<&str>]) -> Result<Self, JwsFault> {
        let media_type = self.header.media_type.as_deref().map(full_media_type);
        accepted
            .iter()
            .any(|accepted| match (accepted, &media_type) {
                (None, None) => true,
                (Some(accepted), Some(media_type)) => full_media_type(accepted) == *media_type,
                _ => false,
            })
            .then_some(self)
            .ok_or(JwsFault::Type)
    }

    /// Verifies the signature with a key of the set, and returns the members of the payload.
    pub(crate) fn verified_by(&self, keys: &KeySet) -> Result<Map<String, Value>, JwsFault> {
        let key = keys
            .find(self.header.key_id.as_deref(), self.header.algorithm)
            .map_err(|no_key| match no_key {
                NoKey::Unknown => JwsFault::UnknownKey,
                NoKey::Unfit => JwsFault::UnfitKey,
                NoKey::Ambiguous => JwsFault::AmbiguousKey,
            })?;
        self.verified_with(key)
    }

    /// Verifies the signature with this key, and returns the members of the payload.
    pub(crate) fn verified_with(&self, key: &PublicKey) -> Result<Map<String, Value>, JwsFault> {
        if !key.fits(self.header.algorithm) {
            return Err(JwsFault::UnfitKey);
        }
        if !key.verifies(self.header.algorithm, self.signed, self.signature) {
            return Err(JwsFault::Signature);
        }
        decoded(self.payload)
            .and_then(|payload| json::object(&payload))
            .ok_or(JwsFault::Payload)
    }
}

impl Header {
    fn read(header: &[u8]) -> Result<Self, JwsFault> {
        let members = json::object(header).ok_or(JwsFault::Header)?;
        if members.contains_key("crit") {
            return Err(JwsFault::Critical);
        }
        let text = |name| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(JwsFault::Header),
        };
        Ok(Self {
            algorithm: text("alg")?
                .and_then(|name| Algorithm::parse(&name))
                .ok_or(JwsFault::Algorithm)?,
            key_id: text("kid")?,
            media_type: text("typ")?,
            jwk: match members.get("jwk") {
                None => None,
                Some(Value::Object(jwk)) => Some(jwk.clone()),
                Some(_) => return Err(JwsFault::Header),
            },
        })
    }
}

/// The unverified claims of a document in the form of a JWS with JSON objects. Only for selecting an issuer.
pub(crate) fn unverified_claims(text: &str, longest: usize) -> Option<Map<String, Value>> {
    if text.len() > longest {
        return None;
    }
    let [header, payload, signature] = parts(text).ok()?;
    decoded(signature)?;
    json::object(&decoded(header)?)?;
    json::object(&decoded(payload)?)
}

fn parts(text: &str) -> Result<[&str; 3], JwsFault> {
    let mut parts = text.split('.');
    let first = [parts.next(), parts.next(), parts.next()];
    match (first, parts.count()) {
        ([Some(header), Some(payload), Some(signature)], 0) => Ok([header, payload, signature]),
        (_, 2) => Err(JwsFault::Encrypted),
        _ => Err(JwsFault::NotCompact),
    }
}

fn decoded(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// RFC 7515 §4.1.9: `application/` may be omitted; media types are case-insensitive.
pub(crate) fn full_media_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    if name.contains('/') {
        name
    } else {
        format!("application/{name}")
    }
}

#[cfg(test)]
#[path = "jws_tests.rs"]
mod tests;
