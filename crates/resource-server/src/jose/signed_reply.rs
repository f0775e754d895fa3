//! Signed introspection replies (RFC 9701). Every error is a fault of the authorization server, not of the
//! client whose token was introspected.

use chrono::TimeDelta;
use derive_more::{Display, Error};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    jws::{JwsFault, Unverified},
    keys::KeySet,
};
use crate::{
    claim::{Audience, CLOCK_SKEW, NumericDate},
    clock::Timestamp,
    url::{IssuerUrl, ResourceUri},
    validation::{IntrospectionReply, read_reply},
};

/// The media type for `Accept`, and of a signed reply (RFC 9701 §4, §5).
pub const MEDIA_TYPE: &str = "application/token-introspection+jwt";

/// The longest reply that is read, in bytes.
pub(crate) const LONGEST_SIGNED_REPLY: usize = 64 * 1024;

/// RFC 9701 §5.
const TYPE: &str = "token-introspection+jwt";

/// The largest age of a reply. An older one was made for another request, and the token may have been revoked
/// since.
const LONGEST_AGE: TimeDelta = TimeDelta::minutes(5);

/// Why a signed reply is not accepted. The messages contain nothing of the reply.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum SignedReplyFault {
    /// It is not signed by the issuer. After [`JwsFault::UnknownKey`] newer keys may help;
    /// [`JwsFault::Encrypted`] means that the authorization server is configured to encrypt.
    #[display("the signed introspection reply is refused: {_0}")]
    Jws(#[error(not(source))] JwsFault),
    /// A claim of RFC 9701 §5 is missing or has the wrong type.
    #[display("the signed introspection reply lacks iss, aud, iat or token_introspection")]
    Incomplete,
    /// `iss` is another issuer.
    #[display("the signed introspection reply is from another issuer")]
    WrongIssuer,
    /// `aud` does not name this server.
    #[display("the signed introspection reply is for another resource server")]
    WrongAudience,
    /// `iat` is too old, or in the future.
    #[display("the signed introspection reply is not of now")]
    NotOfNow,
    /// `token_introspection` is not an introspection reply.
    #[display("the signed introspection reply has no introspection reply in it")]
    NoReply,
}

/// The claims that a signed reply needs.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedReply<'a> {
    /// The issuer.
    pub issuer: &'a IssuerUrl,
    /// The client id of this resource server.
    pub client_id: &'a str,
    /// The identifier of this resource server, which names it as well (RFC 9701 §5: `aud` "MUST identify the resource
    /// server receiving the token introspection response").
    pub resource: &'a ResourceUri,
}

#[derive(Deserialize)]
struct ReplyClaims {
    iss: String,
    aud: Audience,
    iat: NumericDate,
    token_introspection: Map<String, Value>,
}

/// Verifies a signed reply, and returns the introspection reply in it.
///
/// # Errors
/// See [`SignedReplyFault`].
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
    let names_us =
        |audience: &str| audience == expected.client_id || expected.resource.is_named_by(audience);
    if !claims.aud.any(names_us) {
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
