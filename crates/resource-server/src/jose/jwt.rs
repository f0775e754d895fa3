//! Access tokens that are JWTs (RFC 9068): read and verified here, judged where all tokens are.

use derive_more::{Display, Error};
use serde_json::{Map, Value};

use super::{
    jws::{JwsFault, Unverified, unverified_claims},
    keys::{Algorithm, KeySet},
};
use crate::clock::Timestamp;
use crate::{
    bearer::{BearerToken, LONGEST_TOKEN},
    claim::{CLOCK_SKEW, NumericDate},
    validation::{Claims, IntrospectionReply, Refusal, is_usable_name},
};

/// RFC 9068 §2.1. It keeps an ID token, and any other JWT of the same issuer, from being taken for
/// an access token.
const TYPE: &str = "at+jwt";

/// What a token says of how it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHeader {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `kid`: which key of the issuer to verify with.
    pub key_id: Option<String>,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum TokenFault {
    /// It is not signed with a key that we know, so the keys may have changed. A caller who has just
    /// fetched them refuses it: [`TokenFault::refusal`].
    #[display("the token's key is not in the key set")]
    UnknownKey,
    /// The client has to bring another.
    #[display("{_0}")]
    Refused(#[error(not(source))] Refusal),
}

impl TokenFault {
    /// The refusal, once there is no newer key set to try.
    #[must_use]
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::UnknownKey => Refusal::Unverified(JwsFault::UnknownKey),
            Self::Refused(refusal) => refusal,
        }
    }
}

impl From<JwsFault> for TokenFault {
    fn from(fault: JwsFault) -> Self {
        match fault {
            JwsFault::UnknownKey => Self::UnknownKey,
            fault => Self::Refused(Refusal::Unverified(fault)),
        }
    }
}

/// Which issuer a token claims to be from, if it is shaped like a JWT. Nobody has verified that: it
/// says whose keys to try, and nothing more.
#[must_use]
pub fn peek_issuer(token: &BearerToken) -> Option<String> {
    match unverified_claims(token.expose(), LONGEST_TOKEN)?.remove("iss") {
        Some(Value::String(issuer)) => Some(issuer),
        _ => None,
    }
}

/// The key and the algorithm that a token names, so that the caller can have the keys ready. Not
/// verified either.
///
/// # Errors
/// The token is no signed JWT that could be accepted.
pub fn header(token: &BearerToken) -> Result<TokenHeader, JwsFault> {
    Unverified::read(token.expose(), LONGEST_TOKEN).map(|token| TokenHeader {
        algorithm: token.header.algorithm,
        key_id: token.header.key_id,
    })
}

/// Verifies an access token (RFC 9068 §4) with the issuer's keys, and gives its claims in the form
/// of the reply that the issuer would give if it were asked. That it is for us, from the right issuer
/// and in its time, [`validate_claims`](super::validate_claims::validate_claims) decides, as of every token.
///
/// # Errors
/// What is wrong with the token. Nothing here is the issuer's fault: keys that cannot be used are no
/// [`KeySet`].
pub fn access_token(
    token: &BearerToken,
    keys: &KeySet,
    now: Timestamp,
) -> Result<IntrospectionReply, TokenFault> {
    let members = Unverified::read(token.expose(), LONGEST_TOKEN)?
        .of_type(&[Some(TYPE)])?
        .verified_by(keys)?;
    claims(members, now)
        .map(|claims| IntrospectionReply {
            active: true,
            claims,
        })
        .map_err(TokenFault::Refused)
}

/// The claims, if all that RFC 9068 §2.2 requires are there. `jti` may be absent: nothing here needs
/// it, and issuers in the field leave it out.
fn claims(members: Map<String, Value>, now: Timestamp) -> Result<Claims, Refusal> {
    let claims: Claims = serde_json::from_value(Value::Object(members))
        .map_err(|_| Refusal::Unverified(JwsFault::Payload))?;
    let client = claims.client_id.as_deref();
    for (name, is_there) in [
        ("iss", claims.iss.is_some()),
        ("exp", claims.exp.is_some()),
        ("aud", claims.aud.is_some()),
        ("sub", claims.sub.is_some()),
        ("client_id", client.is_some_and(is_usable_name)),
        ("iat", claims.iat.is_some()),
    ] {
        if !is_there {
            return Err(Refusal::Incomplete(name));
        }
    }
    let issued = claims.iat.map(NumericDate::instant);
    if issued.is_some_and(|issued| issued > now + CLOCK_SKEW) {
        return Err(Refusal::NotYetValid);
    }
    Ok(claims)
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
