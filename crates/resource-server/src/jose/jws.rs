//! Compact JSON Web Signatures (RFC 7515 §7.1), read strictly: whatever two readers could see
//! differently is refused.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use derive_more::{Display, Error};
use serde_json::{Map, Value};

use super::{
    json,
    keys::{Algorithm, KeySet, NoKey, PublicKey},
};

/// Why a text is not the signed document that it has to be.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum JwsFault {
    /// Longer than documents of its kind are.
    #[display("it is too long")]
    TooLong,
    /// Not three parts in base64url (RFC 7515 §7.1).
    #[display("it is not three parts in base64url without padding")]
    NotCompact,
    /// Five parts: an encrypted document (RFC 7516 §7.1). Nobody has a key of ours to encrypt with.
    #[display("it is encrypted, and only signed documents are read")]
    Encrypted,
    /// The header is not one JSON object, or one of its members is not of its type.
    #[display("its header is not a JSON object with well-formed members, each there once")]
    Header,
    /// The payload is not one JSON object.
    #[display("its payload is not a JSON object with members that are each there once")]
    Payload,
    /// `crit` names extensions, and none is understood (RFC 7515 §4.1.11).
    #[display("its header has a critical extension, and none is understood")]
    Critical,
    /// `alg` is missing or not accepted (RFC 8725 §3.1).
    #[display("its algorithm is not accepted")]
    Algorithm,
    /// `typ` says that it is another kind of document (RFC 8725 §3.11).
    #[display("its type (typ) is wrong")]
    Type,
    /// The key set has no key of that id.
    #[display("its key is not in the key set")]
    UnknownKey,
    /// The key of that id is not for that algorithm.
    #[display("its key is not for its algorithm")]
    UnfitKey,
    /// It names no key, and the set has several that fit.
    #[display("it does not say which of several keys signed it")]
    AmbiguousKey,
    /// The key did not make the signature.
    #[display("its signature is wrong")]
    Signature,
}

/// A document whose signature nobody has looked at yet.
pub(crate) struct Unverified<'a> {
    pub(crate) header: Header,
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// The protected header, as far as it concerns us. Where a key could be fetched from (`jku`, `x5u`)
/// is not read: the signer does not choose whom we ask.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    media_type: Option<String>,
    /// For the documents that carry their key; all others ignore it.
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

    /// Refuses a document that says that it is of another type. Documents that need not say their
    /// type have `None` among those that are accepted.
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

    /// The members of the payload, if one of the keys signed it.
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

    /// The members of the payload, if this key signed it.
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

/// What a document claims that nobody has verified, if it is shaped like one that is signed: header
/// and payload are objects. Good for routing, and for nothing else.
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

/// RFC 7515 §4.1.9: `application/` is left out where no other slash follows; media types are compared
/// without regard to case.
fn full_media_type(name: &str) -> String {
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
