//! Logout tokens (OpenID Connect Back-Channel Logout 1.0): an issuer says that somebody is gone.

use chrono::TimeDelta;
use derive_more::{Display, Error};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    jws::{JwsFault, Unverified, unverified_claims},
    keys::KeySet,
};
use crate::clock::Timestamp;
use crate::{
    claim::{Audience, CLOCK_SKEW, NumericDate},
    url::IssuerUrl,
};

/// The longest logout token that is read, in bytes.
pub const LONGEST_LOGOUT_TOKEN: usize = 8 * 1024;

/// The longest `sub`, `sid` and `jti` that are accepted, in bytes; all three are kept.
const LONGEST_NAME: usize = 1_024;

/// §2.4.
const TYPE: &str = "logout+jwt";

/// The member of `events` that makes a JWT a logout token (§2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// How old a logout token may be, so that those that were seen need not be remembered for long.
const LONGEST_AGE: TimeDelta = TimeDelta::minutes(5);

/// Who is to be logged out: the sessions of the subject, or the one session, or that session of the
/// subject, where both are named. One of them always is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logout {
    /// The issuer that says so.
    pub issuer: String,
    /// `sub`.
    pub subject: Option<String>,
    /// `sid`.
    pub session: Option<String>,
    /// `jti`, by which a token that comes again is known.
    pub token_id: String,
    /// From when on the same token would be refused, so that its `jti` may be forgotten.
    pub until: Timestamp,
}

/// Why a logout token is not believed. The sentence may be shown to the issuer (§2.8).
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum LogoutFault {
    /// It is no document that one of the issuer's keys signed. [`JwsFault::UnknownKey`] may be cured by
    /// fetching the keys anew.
    #[display("the logout token is refused: {_0}")]
    Jws(#[error(not(source))] JwsFault),
    /// A claim that §2.4 requires is missing, is not of its type, or is too long.
    #[display("the logout token lacks a usable iss, aud, iat, jti or events")]
    Incomplete,
    /// `iss` is another issuer.
    #[display("the logout token is from another issuer")]
    WrongIssuer,
    /// `aud` does not name this server.
    #[display("the logout token is for another client")]
    WrongAudience,
    /// `exp` has passed, or `iat` is too long ago or in the future.
    #[display("the logout token is not of now")]
    NotOfNow,
    /// `events` does not say that this is a logout.
    #[display("the logout token has no back-channel logout event")]
    NoEvent,
    /// Neither `sub` nor `sid`.
    #[display("the logout token names neither a subject nor a session")]
    Nobody,
    /// `nonce` is there, which §2.4 forbids: this may be an ID token.
    #[display("the logout token has a nonce")]
    Nonce,
}

/// What a logout token has to say.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedLogout<'a> {
    /// The issuer whose keys are tried.
    pub issuer: &'a IssuerUrl,
    /// The client id of this server at that issuer.
    pub client_id: &'a str,
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

/// Which issuer a logout token claims to be from. Nobody has verified that: it says whose keys to try,
/// and nothing more.
#[must_use]
pub fn peek_issuer(token: &str) -> Option<String> {
    match unverified_claims(token, LONGEST_LOGOUT_TOKEN)?.remove("iss") {
        Some(Value::String(issuer)) => Some(issuer),
        _ => None,
    }
}

/// Verifies a logout token (§2.6). That its `jti` was not seen before, the caller has to check.
///
/// `typ` may be absent, or the `JWT` that says no more: §2.4 only recommends the type, and issuers in
/// the field leave it out. What tells a logout token from an ID token, then, is `events`, which no ID
/// token has, and `nonce`. `exp` may be absent, for only errata set 1 (December 2023) requires it, and
/// older issuers do not send it; the bound on the age stands in for it.
///
/// # Errors
/// Why it is not believed.
pub fn read_logout_token(
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
    if !claims.aud.any(|audience| audience == expected.client_id) {
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
        return Err(LogoutFault::Nobody);
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
