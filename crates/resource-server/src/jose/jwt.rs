//! JWT access tokens (RFC 9068): their signatures and required claims. [`validate_claims`] does the rest.
//!
//! [`validate_claims`]: crate::validation::validate_claims

use derive_more::{Display, Error};
use serde_json::{Map, Value};

use super::{
    jws::{JwsFault, Unverified, full_media_type, unverified_claims},
    keys::{Algorithm, KeySet},
};
use crate::{
    bearer::{BearerToken, LONGEST_TOKEN},
    claim::{CLOCK_SKEW, NumericDate},
    clock::Timestamp,
    token_rules::{AbsentAudience, JwtType, SubjectClaim, TokenRules},
    validation::{Claims, IntrospectionReply, Refusal, is_usable_name},
};

/// The algorithm and the key that a token names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenHeader {
    /// `alg`.
    pub(crate) algorithm: Algorithm,
    /// `kid`.
    pub(crate) key_id: Option<String>,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum TokenFault {
    /// The key is not in the key set, which may be outdated. If it is current, the token is refused:
    /// [`TokenFault::refusal`].
    #[display("the token's key is not in the key set")]
    UnknownKey,
    /// The token is refused.
    #[display("{_0}")]
    Refused(#[error(not(source))] Refusal),
}

impl TokenFault {
    /// The refusal, if there is no newer key set.
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

/// The unverified `iss` of a token that has the form of a JWT. Only for selecting the issuer whose keys verify
/// it.
#[must_use]
pub fn peek_issuer(token: &BearerToken) -> Option<String> {
    match unverified_claims(token.expose(), LONGEST_TOKEN)?.remove("iss") {
        Some(Value::String(issuer)) => Some(issuer),
        _ => None,
    }
}

/// The unverified `exp` of a token that has the form of a JWT. Only for how long its revocation is remembered:
/// if it is not signed by its issuer, it is refused anyway.
#[must_use]
pub fn peek_expiry(token: &str) -> Option<Timestamp> {
    let expiry = unverified_claims(token, LONGEST_TOKEN)?.remove("exp")?;
    serde_json::from_value::<NumericDate>(expiry)
        .ok()
        .map(NumericDate::instant)
}

/// The unverified algorithm and key that a token names.
///
/// # Errors
/// The token is not a JWS with an accepted algorithm.
pub(crate) fn header(token: &BearerToken) -> Result<TokenHeader, JwsFault> {
    Unverified::read(token.expose(), LONGEST_TOKEN).map(|token| TokenHeader {
        algorithm: token.header.algorithm,
        key_id: token.header.key_id,
    })
}

/// The kind of a `typ`, if it is one that can be accepted.
pub(crate) fn type_of(media_type: Option<&str>) -> Option<JwtType> {
    let full = media_type.map(full_media_type);
    JwtType::ALL
        .into_iter()
        .find(|kind| kind.media_type().map(full_media_type) == full)
}

/// The access tokens of an issuer: the types that they have, and how their claims are read.
#[derive(Clone, Copy, Debug)]
pub struct AccessTokens<'a> {
    /// The accepted types. [`JwtType::AccessToken`] distinguishes an access token from an ID token and other JWTs of
    /// the issuer (RFC 9068 §2.1); with another one, what shows that it is not an access token is refused.
    pub types: &'a [JwtType],
    /// How the claims are read.
    pub rules: &'a TokenRules,
}

/// Verifies an access token (RFC 9068 §4) with the keys of its issuer, and returns its claims in the form of an
/// introspection reply. Issuer, audience and times are checked by
/// [`validate_claims`](crate::validation::validate_claims).
///
/// # Errors
/// What is wrong with the token.
pub fn access_token(
    token: &BearerToken,
    keys: &KeySet,
    accepted: AccessTokens<'_>,
    now: Timestamp,
) -> Result<IntrospectionReply, TokenFault> {
    let token = Unverified::read(token.expose(), LONGEST_TOKEN)?;
    let kind = type_of(token.header.media_type.as_deref())
        .filter(|kind| accepted.types.contains(kind))
        .ok_or(JwsFault::Type)?;
    let members = token.verified_by(keys)?;
    claims(members, kind, accepted.rules, now)
        .map(|claims| IntrospectionReply {
            active: true,
            claims,
            is_unsupported: false,
        })
        .map_err(TokenFault::Refused)
}

/// The claims, if all that RFC 9068 §2.2 requires are present, except `jti`, which some issuers omit and which
/// is not used here.
fn claims(
    members: Map<String, Value>,
    kind: JwtType,
    rules: &TokenRules,
    now: Timestamp,
) -> Result<Claims, Refusal> {
    let claims: Claims = serde_json::from_value(Value::Object(members))
        .map_err(|_| Refusal::Unverified(JwsFault::Payload))?;
    let claims = claims.under(rules);
    if kind != JwtType::AccessToken
        && let Some(sign) = claims.other_use()
    {
        return Err(Refusal::OtherUse(sign));
    }
    let client = claims.client_id.as_deref();
    let needs_audience = rules.absent_audience != AbsentAudience::Accepted;
    let subject = match rules.subject {
        SubjectClaim::Subject => "sub",
        SubjectClaim::Username => "username",
    };
    for (name, is_there) in [
        ("iss", claims.iss.is_some()),
        ("exp", claims.exp.is_some()),
        ("aud", claims.aud.is_some() || !needs_audience),
        (subject, claims.sub.is_some()),
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
