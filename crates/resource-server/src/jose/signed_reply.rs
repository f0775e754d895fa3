//! Introspection replies that are signed (RFC 9701). Whatever is wrong with one is the authorization
//! server's fault: the client whose token was asked about had no part in it.

use chrono::TimeDelta;
use derive_more::{Display, Error};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    jws::{JwsFault, Unverified},
    keys::KeySet,
};
use crate::clock::Timestamp;
use crate::{
    claim::{Audience, CLOCK_SKEW, NumericDate},
    url::IssuerUrl,
    validation::{IntrospectionReply, read_reply},
};

/// The media type to ask for in `Accept`, and that a signed reply has (RFC 9701 §4, §5).
pub const MEDIA_TYPE: &str = "application/token-introspection+jwt";

/// The longest reply that is read, in bytes.
pub const LONGEST_SIGNED_REPLY: usize = 64 * 1024;

/// RFC 9701 §5.
const TYPE: &str = "token-introspection+jwt";

/// How old a reply may be. It answers a request that is at most seconds old; an older one was made for
/// another request, and the token may have been revoked since.
const LONGEST_AGE: TimeDelta = TimeDelta::minutes(5);

/// Why a signed reply is not believed. The text has nothing of the reply in it.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum SignedReplyFault {
    /// It is no document that one of the issuer's keys signed. [`JwsFault::UnknownKey`] may be cured by
    /// fetching the keys anew; [`JwsFault::Encrypted`] says that the server was told to encrypt.
    #[display("the signed introspection reply is refused: {_0}")]
    Jws(#[error(not(source))] JwsFault),
    /// A claim of RFC 9701 §5 is missing, or is not of its type.
    #[display("the signed introspection reply lacks iss, aud, iat or token_introspection")]
    Incomplete,
    /// `iss` is not the issuer that was asked.
    #[display("the signed introspection reply is from another issuer")]
    WrongIssuer,
    /// `aud` does not name this server.
    #[display("the signed introspection reply is for another resource server")]
    WrongAudience,
    /// `iat` is too long ago, or in the future.
    #[display("the signed introspection reply is not of now")]
    NotOfNow,
    /// `token_introspection` is no introspection reply.
    #[display("the signed introspection reply has no introspection reply in it")]
    NoReply,
}

/// What a signed reply has to say.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedReply<'a> {
    /// The issuer that was asked.
    pub issuer: &'a IssuerUrl,
    /// The client id with which it was asked.
    pub client_id: &'a str,
}

#[derive(Deserialize)]
struct ReplyClaims {
    iss: String,
    aud: Audience,
    iat: NumericDate,
    token_introspection: Map<String, Value>,
}

/// Reads the body of a signed reply, and gives the reply in it, which is judged as any other.
///
/// # Errors
/// Why it is not believed: an outage, never a refusal of the token.
pub fn read_signed_reply(
    body: &[u8],
    keys: &KeySet,
    expected: ExpectedReply<'_>,
    now: Timestamp,
) -> Result<IntrospectionReply, SignedReplyFault> {
    let text = str::from_utf8(body).map_err(|_| JwsFault::NotCompact)?;
    let members = Unverified::read(text, LONGEST_SIGNED_REPLY)?
        .of_type(&[Some(TYPE)])?
        .verified_by(keys)?;
    let claims: ReplyClaims =
        serde_json::from_value(Value::Object(members)).map_err(|_| SignedReplyFault::Incomplete)?;
    if claims.iss != expected.issuer.as_str() {
        return Err(SignedReplyFault::WrongIssuer);
    }
    if !claims.aud.any(|audience| audience == expected.client_id) {
        return Err(SignedReplyFault::WrongAudience);
    }
    if !claims.iat.is_within(LONGEST_AGE, CLOCK_SKEW, now) {
        return Err(SignedReplyFault::NotOfNow);
    }
    let reply = Value::Object(claims.token_introspection).to_string();
    read_reply(reply.as_bytes()).map_err(|_| SignedReplyFault::NoReply)
}

impl From<JwsFault> for SignedReplyFault {
    fn from(fault: JwsFault) -> Self {
        Self::Jws(fault)
    }
}

#[cfg(test)]
#[path = "signed_reply_tests.rs"]
mod tests;
