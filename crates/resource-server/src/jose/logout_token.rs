//! Logout tokens (OpenID Connect Back-Channel Logout 1.0). § are its sections.

use chrono::TimeDelta;
use derive_more::{Display, Error};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    jws::{JwsFault, Unverified, unverified_claims},
    keys::KeySet,
};
use crate::{
    claim::{Audience, CLOCK_SKEW, NumericDate},
    clock::Timestamp,
    url::IssuerUrl,
};

/// The longest logout token that is read, in bytes.
pub(crate) const LONGEST_LOGOUT_TOKEN: usize = 8 * 1024;

/// The longest `sub`, `sid` and `jti` that are accepted, in bytes.
const LONGEST_NAME: usize = 1_024;

/// §2.4.
const TYPE: &str = "logout+jwt";

/// The member of `events` that makes a JWT a logout token (§2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The largest age of a logout token, so that its `jti` is only remembered for a short time.
const LONGEST_AGE: TimeDelta = TimeDelta::minutes(5);

/// A verified logout token. It has `sub`, `sid`, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logout {
    /// The issuer.
    pub(crate) issuer: String,
    /// `sub`.
    pub(crate) subject: Option<String>,
    /// `sid`.
    pub(crate) session: Option<String>,
    /// `jti`.
    pub(crate) token_id: String,
    /// The instant from which the token is refused, so that its `jti` may be forgotten.
    pub(crate) until: Timestamp,
}

/// Why a logout token is not accepted. The message may be sent to the issuer (§2.8).
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum LogoutFault {
    /// It is not signed by the issuer. After [`JwsFault::UnknownKey`] newer keys may help.
    #[display("the logout token is refused: {_0}")]
    Jws(#[error(not(source))] JwsFault),
    /// A claim that §2.4 requires is missing, has the wrong type, or is too long.
    #[display("the logout token lacks a usable iss, aud, iat, jti or events")]
    Incomplete,
    /// `iss` is another issuer.
    #[display("the logout token is from another issuer")]
    WrongIssuer,
    /// `aud` does not name this server.
    #[display("the logout token is for another client")]
    WrongAudience,
    /// `exp` has passed, or `iat` is too old or in the future.
    #[display("the logout token is not of now")]
    NotOfNow,
    /// `events` has no logout event.
    #[display("the logout token has no back-channel logout event")]
    NoEvent,
    /// Neither `sub` nor `sid`.
    #[display("the logout token names neither a subject nor a session")]
    NoSubjectOrSession,
    /// `nonce` is present, which §2.4 forbids: it may be an ID token.
    #[display("the logout token has a nonce")]
    Nonce,
}

/// The claims that a logout token needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExpectedLogout<'a> {
    /// The issuer whose keys verify it.
    pub(crate) issuer: &'a IssuerUrl,
    /// The client id of this server at that issuer, if it has one.
    pub(crate) client_id: Option<&'a str>,
    /// Further client ids whose logouts count here.
    pub(crate) audiences: &'a [String],
}

#[derive(Deserialize)]
struct LogoutClaims {
    iss: String,
    aud: Audience,
    iat: NumericDate,
    exp: Option<NumericDate>,
    jti: String,
    events: Map<String, Value>,
    sub: Option<String>,
    sid: Option<String>,
}

/// The unverified `iss` of a logout token. Only for selecting the issuer whose keys verify it.
#[must_use]
pub(crate) fn peek_issuer(token: &str) -> Option<String> {
    match unverified_claims(token, LONGEST_LOGOUT_TOKEN)?.remove("iss") {
        Some(Value::String(issuer)) => Some(issuer),
        _ => None,
    }
}

/// Verifies a logout token (§2.6). The caller checks that its `jti` was not used before.
///
/// `typ` may be missing or `JWT`: §2.4 only recommends `logout+jwt`, and many issuers omit it. Then `events`,
/// which no ID token has, and the absence of `nonce` distinguish it from an ID token. `exp` may be missing,
/// because only errata set 1 (December 2023) requires it; the largest age replaces it.
///
/// # Errors
/// See [`LogoutFault`].
pub(crate) fn read_logout_token(
    token: &str,
    keys: &KeySet,
    expected: ExpectedLogout<'_>,
    now: Timestamp,
) -> Result<Logout, LogoutFault> {
    let members = Unverified::read(token, LONGEST_LOGOUT_TOKEN)?
        .of_type(&[Some(TYPE), Some("JWT"), None])?
        .verified_by(keys)?;
    if members.contains_key("nonce") {
        return Err(LogoutFault::Nonce);
    }
    let claims: LogoutClaims =
        serde_json::from_value(Value::Object(members)).map_err(|_| LogoutFault::Incomplete)?;
    if claims.iss != expected.issuer.as_str() {
        return Err(LogoutFault::WrongIssuer);
    }
    let is_expected = |audience: &str| {
        expected.client_id == Some(audience) || expected.audiences.iter().any(|one| one == audience)
    };
    if !claims.aud.any(is_expected) {
        return Err(LogoutFault::WrongAudience);
    }
    let oldest = claims.iat.instant().checked_add_signed(LONGEST_AGE);
    let until = claims
        .exp
        .map(NumericDate::instant)
        .into_iter()
        .chain(oldest)
        .min()
        .filter(|until| now < *until && claims.iat.is_within(LONGEST_AGE, CLOCK_SKEW, now))
        .ok_or(LogoutFault::NotOfNow)?;
    if !claims.events.get(EVENT).is_some_and(Value::is_object) {
        return Err(LogoutFault::NoEvent);
    }
    let names = [Some(&claims.jti), claims.sub.as_ref(), claims.sid.as_ref()];
    let usable = |name: &&String| !name.is_empty() && name.len() <= LONGEST_NAME;
    if !names.iter().flatten().all(usable) {
        return Err(LogoutFault::Incomplete);
    }
    if claims.sub.is_none() && claims.sid.is_none() {
        return Err(LogoutFault::NoSubjectOrSession);
    }
    Ok(Logout {
        issuer: claims.iss,
        subject: claims.sub,
        session: claims.sid,
        token_id: claims.jti,
        until,
    })
}

impl From<JwsFault> for LogoutFault {
    fn from(fault: JwsFault) -> Self {
        Self::Jws(fault)
    }
}

#[cfg(test)]
#[path = "logout_token_tests.rs"]
mod tests;
