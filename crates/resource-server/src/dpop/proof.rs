//! Verifying DPoP proofs (RFC 9449 §4.3).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use derive_more::{Display, Error};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use super::nonce::Nonces;
use crate::{
    bearer::BearerToken,
    claim::{CLOCK_SKEW, NumericDate},
    clock::Timestamp,
    jose::{
        jws::{JwsFault, Unverified},
        keys::{KeyFault, PublicKey, Thumbprint},
    },
};

/// The longest proof that is read, in bytes.
pub(crate) const LONGEST_PROOF: usize = 8 * 1024;

/// The longest `jti` that is accepted, in bytes.
pub(crate) const LONGEST_TOKEN_ID: usize = 256;

/// RFC 9449 §4.2.
const TYPE: &str = "dpop+jwt";

/// The accepted range of `iat`, relative to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// How far in the past.
    pub(crate) back: TimeDelta,
    /// How far in the future, for clients whose clocks are ahead.
    pub(crate) ahead: TimeDelta,
}

/// The request that a proof belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProvedRequest<'a> {
    /// The HTTP method.
    pub(crate) method: &'a str,
    /// The URL as clients know it, independent of `Host`. Query and fragment are ignored.
    pub(crate) url: &'a str,
    /// The token of the request.
    pub(crate) token: &'a BearerToken,
    /// The accepted range of `iat`.
    pub(crate) window: Window,
    /// If present, the proof needs a nonce (§9).
    pub(crate) nonces: Option<&'a Nonces>,
}

/// A valid proof, except that its `jti` was not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// The key; compare it with the one that the token is bound to.
    pub(crate) thumbprint: Thumbprint,
    /// `jti`: the caller checks that it was not used before with this key (§11.1).
    pub(crate) token_id: String,
    /// `iat`.
    pub(crate) issued_at: Timestamp,
}

/// Why a proof is not accepted. The message is used in challenges.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum ProofFault {
    /// No `DPoP` field.
    #[display("the DPoP proof is missing")]
    Missing,
    /// More than one (§4.3, 1).
    #[display("there is more than one DPoP proof")]
    Several,
    /// Not a signed document of the right type, or a wrong signature (§4.3, 2 to 7).
    #[display("the DPoP proof is refused: {_0}")]
    Jws(#[error(not(source))] JwsFault),
    /// No usable public key in the header (§4.2 `jwk`; §4.3, 7).
    #[display("the DPoP proof's jwk is refused: {_0}")]
    Key(#[error(not(source))] KeyFault),
    /// A claim that §4.2 requires is missing, has the wrong type, or is too long.
    #[display("the DPoP proof lacks a usable htm, htu, iat, jti or ath")]
    Incomplete,
    /// `htm` is another method (§4.3, 8).
    #[display("the DPoP proof is for another method (htm)")]
    WrongMethod,
    /// `htu` is another URL (§4.3, 9).
    #[display("the DPoP proof is for another URL (htu)")]
    WrongUrl,
    /// `iat` is outside the window (§4.3, 11).
    #[display("the DPoP proof is too old, or from the future (iat)")]
    NotOfNow,
    /// `ath` is the hash of another token (§4.3, 12).
    #[display("the DPoP proof is for another access token (ath)")]
    WrongToken,
    /// `jti` was seen before (§11.1).
    #[display("the DPoP proof was used before (jti)")]
    Used,
    /// `nonce` is missing or was not issued recently (§9).
    #[display("the DPoP proof needs the nonce that the DPoP-Nonce field gives")]
    Nonce,
}

#[derive(Deserialize)]
struct ProofClaims {
    htm: String,
    htu: String,
    iat: NumericDate,
    jti: String,
    ath: String,
    nonce: Option<String>,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            back: TimeDelta::seconds(300),
            ahead: CLOCK_SKEW,
        }
    }
}

impl Proof {
    /// Key and `jti`. A thumbprint has a fixed length, so that different pairs have different texts.
    pub(crate) fn unique_id(&self) -> String {
        format!("{}{}", self.thumbprint.as_str(), self.token_id)
    }
}

impl ProofFault {
    /// The `error` code of a challenge (§7.1, §9).
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Nonce => "use_dpop_nonce",
            _ => "invalid_dpop_proof",
        }
    }
}

impl From<JwsFault> for ProofFault {
    fn from(fault: JwsFault) -> Self {
        Self::Jws(fault)
    }
}

/// Finds the one proof in all `DPoP` field values of a request.
///
/// # Errors
/// [`ProofFault::Missing`], [`ProofFault::Several`], or [`ProofFault::Jws`] if it is not text.
pub(crate) fn proof_in<'a>(
    mut fields: impl Iterator<Item = &'a [u8]>,
) -> Result<&'a str, ProofFault> {
    let field = fields.next().ok_or(ProofFault::Missing)?;
    // A proxy may have combined several fields (RFC 9110 §5.3).
    if fields.next().is_some() || field.contains(&b',') {
        return Err(ProofFault::Several);
    }
    str::from_utf8(field.trim_ascii()).map_err(|_| JwsFault::NotCompact.into())
}

/// Verifies a proof (§4.3). The caller checks that its `jti` was not used before, and that the token is bound
/// to its key.
///
/// # Errors
/// The first check that fails.
pub(crate) fn verify_proof(
    proof: &str,
    request: &ProvedRequest<'_>,
    now: Timestamp,
) -> Result<Proof, ProofFault> {
    let proof = Unverified::read(proof, LONGEST_PROOF)?.of_type(&[Some(TYPE)])?;
    let jwk = proof.header.jwk.as_ref();
    let jwk = jwk.ok_or(ProofFault::Key(KeyFault::Malformed))?;
    let key = PublicKey::from_jwk(jwk).map_err(ProofFault::Key)?;
    let thumbprint = Thumbprint::of(jwk).map_err(ProofFault::Key)?;
    let members = proof.verified_with(&key)?;
    let claims: ProofClaims =
        serde_json::from_value(Value::Object(members)).map_err(|_| ProofFault::Incomplete)?;
    if claims.jti.is_empty() || claims.jti.len() > LONGEST_TOKEN_ID {
        return Err(ProofFault::Incomplete);
    }
    // Methods are case-sensitive (RFC 9110 §9.1).
    if claims.htm != request.method {
        return Err(ProofFault::WrongMethod);
    }
    let expected = normalized(request.url);
    if expected.is_none() || normalized(&claims.htu) != expected {
        return Err(ProofFault::WrongUrl);
    }
    let Window { back, ahead } = request.window;
    if !claims.iat.is_within(back, ahead, now) {
        return Err(ProofFault::NotOfNow);
    }
    let token_hash = Sha256::digest(request.token.expose());
    if claims.ath != URL_SAFE_NO_PAD.encode(token_hash) {
        return Err(ProofFault::WrongToken);
    }
    if let Some(nonces) = request.nonces
        && !claims
            .nonce
            .is_some_and(|nonce| nonces.accepts(&nonce, now))
    {
        return Err(ProofFault::Nonce);
    }
    Ok(Proof {
        thumbprint,
        token_id: claims.jti,
        issued_at: claims.iat.instant(),
    })
}

/// A URL without query and fragment, which the comparison ignores (§4.3, 9), in the normal form of
/// RFC 3986 §6.2.2 and §6.2.3: case, default port, empty path and dot segments by the parser,
/// percent-encoding here.
fn normalized(text: &str) -> Option<String> {
    // The parser would repair these characters; here they make the URL invalid.
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    (matches!(url.scheme(), "http" | "https") && is_plain).then(|| {
        let origin = url.origin().ascii_serialization();
        format!("{origin}{}", normalized_path(url.path()))
    })
}

/// RFC 3986 §6.2.2.1 and §6.2.2.2: percent-encodings use upper-case digits, and unreserved characters are
/// decoded.
fn normalized_path(path: &str) -> String {
    let mut pieces = path.split('%');
    let mut normal = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let encoded = piece
            .get(..2)
            .and_then(|digits| Some((digits, u8::from_str_radix(digits, 16).ok()?)));
        match encoded {
            Some((_, byte)) if is_unreserved(byte) => {
                normal.push(char::from(byte));
                normal.push_str(&piece[2..]);
            }
            Some((digits, _)) => {
                normal.push('%');
                normal.push_str(&digits.to_ascii_uppercase());
                normal.push_str(&piece[2..]);
            }
            None => {
                // Unencoded it could form an encoding with what follows.
                normal.push_str("%25");
                normal.push_str(piece);
            }
        }
    }
    normal
}

/// RFC 3986 §2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
