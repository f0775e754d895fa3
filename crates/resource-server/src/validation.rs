//! Validates the claims of a token, whether they come from an introspection reply (RFC 7662 §2.2) or from the
//! token itself (RFC 9068 §4). Pure functions; callers pass the time.

use derive_more::{Display, Error};
use serde_json::Value;

use crate::{
    claim::{Audience, CLOCK_SKEW, NumericDate},
    clock::Timestamp,
    dpop::proof::ProofFault,
    fingerprint::fingerprint,
    jose::{jws::JwsFault, keys::Thumbprint},
    principal::{Credential, Principal, UserId},
    scope::{ScopeSet, Scopes},
    token_rules::{AbsentAudience, TokenRules},
    url::{IssuerUrl, ResourceUri},
};

pub use crate::claims::{Claims, IntrospectionReply, is_usable_name, read_reply};

/// Why the credentials of a request are refused. The client has to send others; a fault of the
/// authorization server or of this server is never a refusal.
///
/// ```
/// use resource_server::{bearer::Presentation, validation::Refusal};
///
/// let read = Presentation::from_authorization([&b"Basic YTpi"[..]].into_iter());
/// assert_eq!(read.unwrap_err(), Refusal::Missing);
/// ```
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum Refusal {
    /// No bearer token was sent.
    #[display("no bearer token")]
    Missing,
    /// The credentials are malformed (RFC 6750 §3.1 `invalid_request`).
    #[display("malformed credential: {_0}")]
    Malformed(#[error(not(source))] &'static str),
    /// It is not a token of a configured issuer; none was called.
    #[display("token of an unknown issuer")]
    UnknownIssuer,
    /// The token is not active (RFC 7662 §2.2), or was revoked here.
    #[display("inactive token")]
    Inactive,
    /// `exp` has passed.
    #[display("expired token")]
    Expired,
    /// `nbf`, or `iat` of a JWT, is in the future.
    #[display("token not valid yet")]
    NotYetValid,
    /// It is an invalid JWT, or not signed by the issuer.
    #[display("JWT refused: {_0}")]
    Unverified(#[error(not(source))] JwsFault),
    /// It is a JWT that lacks a claim that RFC 9068 §2.2 requires.
    #[display("JWT without a usable {_0}")]
    Incomplete(#[error(not(source))] &'static str),
    /// `iss` is another issuer.
    #[display("token of another issuer")]
    WrongIssuer,
    /// `aud` does not name this resource.
    #[display("token for another audience")]
    WrongAudience,
    /// The JWT and the introspection reply about it contradict each other.
    #[display("the JWT and the introspection reply about it disagree on {_0}")]
    Contradicted(#[error(not(source))] &'static str),
    /// `token_type` is not that of an access token.
    #[display("not an access token")]
    WrongType,
    /// It was accepted by a relaxed rule for its `typ` or its audience, and has the signs of another use: of an ID
    /// token, for example.
    #[display("a token of another use than access: {_0}")]
    OtherUse(#[error(not(source))] &'static str),
    /// The token is bound to a key (`cnf`), and was presented without a proof (RFC 9449 §7.2).
    #[display("sender-constrained token without a proof of its key")]
    SenderConstrained,
    /// The DPoP proof is invalid, or was used before.
    #[display("{_0}")]
    Proof(#[error(not(source))] ProofFault),
    /// The token is not bound to the key of the proof (RFC 9449 §7.1).
    #[display("token of another key than the proof's")]
    WrongKey,
    /// There is no usable `sub`, so that the user cannot be identified.
    #[display("token without a subject")]
    NoSubject,
    /// The token is valid, but lacks scopes (RFC 6750 §3.1 `insufficient_scope`).
    #[display("insufficient scope")]
    InsufficientScope {
        /// The scopes that the operation requires.
        needed: ScopeSet,
    },
}

/// A valid token. If it is bound to a key, it also needs a proof (RFC 9449 §7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidToken {
    /// The user and the client.
    pub principal: Principal,
    /// `nbf`, less the accepted clock skew.
    pub not_before: Option<Timestamp>,
}

/// The claims that a token needs.
#[derive(Clone, Debug)]
pub struct ExpectedClaims {
    /// The issuer.
    pub issuer: IssuerUrl,
    /// The resource: the required audience (RFC 8707 §2).
    pub resource: ResourceUri,
    /// What is accepted beyond the RFCs.
    pub rules: TokenRules,
    /// The declared scopes; others in a token are ignored.
    pub scopes: Scopes,
}

impl ExpectedClaims {
    /// Whether the audience names the resource: `Some(true)`; or is accepted by a rule: `Some(false)`.
    fn is_ours(&self, audience: &Audience) -> Option<bool> {
        if audience.any(|audience| self.resource.is_named_by(audience)) {
            return Some(true);
        }
        let further = &self.rules.audiences;
        audience
            .any(|audience| further.contains(audience))
            .then_some(false)
    }
}

/// Joins the claims of a verified JWT with the introspection reply about it, so that the stricter of the two
/// decides: the earliest `exp`, the latest `nbf`, the scopes that both grant. A member that only one of them has
/// is taken from it, so that a reply of `{"active":true}` alone is enough.
///
/// # Errors
/// [`Refusal::Inactive`]; [`Refusal::Contradicted`] if `iss`, `sub`, `client_id` or `cnf` differ;
/// [`Refusal::WrongAudience`] if the `aud` of the reply is not an accepted one. The `aud` of the JWT remains
/// to be checked by [`validate_claims`].
pub(crate) fn join_claims(
    mut jwt: Claims,
    reply: IntrospectionReply,
    expected: &ExpectedClaims,
) -> Result<IntrospectionReply, Refusal> {
    if !reply.active {
        return Err(Refusal::Inactive);
    }
    let reply = reply.claims;
    if let Some(audience) = &reply.aud
        && expected.is_ours(audience).is_none()
    {
        return Err(Refusal::WrongAudience);
    }
    jwt.scope = match (jwt.scope, reply.scope) {
        (Some(granted), Some(current)) => Some(common_scopes(&granted, &current)),
        (granted, current) => granted.or(current),
    };
    jwt.client_id = agreed("client_id", jwt.client_id, reply.client_id)?;
    jwt.username = reply.username.or(jwt.username);
    jwt.token_type = reply.token_type.or(jwt.token_type);
    jwt.exp = extreme(jwt.exp, reply.exp, Ord::min);
    jwt.nbf = extreme(jwt.nbf, reply.nbf, Ord::max);
    jwt.iat = extreme(jwt.iat, reply.iat, Ord::min);
    jwt.sub = agreed("sub", jwt.sub, reply.sub)?;
    jwt.aud = jwt.aud.or(reply.aud);
    jwt.iss = agreed("iss", jwt.iss, reply.iss)?;
    jwt.cnf = agreed("cnf", jwt.cnf, reply.cnf)?;
    Ok(IntrospectionReply {
        active: true,
        claims: jwt,
        is_unsupported: false,
    })
}

fn agreed<T: PartialEq>(
    name: &'static str,
    one: Option<T>,
    other: Option<T>,
) -> Result<Option<T>, Refusal> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(Refusal::Contradicted(name)),
        (one, other) => Ok(one.or(other)),
    }
}

fn extreme(
    one: Option<NumericDate>,
    other: Option<NumericDate>,
    choose: impl FnOnce(Timestamp, Timestamp) -> Timestamp,
) -> Option<NumericDate> {
    match (one, other) {
        (Some(one), Some(other)) => {
            let chosen = choose(one.instant(), other.instant());
            Some(if chosen == one.instant() { one } else { other })
        }
        (one, other) => one.or(other),
    }
}

/// The scopes of both lists.
fn common_scopes(granted: &str, current: &str) -> String {
    let common = |scope: &&str| {
        current
            .split_ascii_whitespace()
            .any(|other| other == *scope)
    };
    Vec::from_iter(granted.split_ascii_whitespace().filter(common)).join(" ")
}

/// Validates the claims of a token, and derives the principal.
///
/// # Errors
/// The first rule that the token breaks. The reason is for the log; a client only learns that the token is
/// invalid or expired.
pub fn validate_claims(
    reply: IntrospectionReply,
    expected: &ExpectedClaims,
    credential: Credential,
    now: Timestamp,
) -> Result<ValidToken, Refusal> {
    if !reply.active {
        return Err(Refusal::Inactive);
    }
    let claims = reply.claims;
    let rules = &expected.rules;
    if claims
        .iss
        .as_ref()
        .is_some_and(|iss| iss != expected.issuer.as_str())
    {
        return Err(Refusal::WrongIssuer);
    }
    let bound_to = claims
        .cnf
        .as_ref()
        .map(|confirmation| bound_key(confirmation).ok_or(Refusal::SenderConstrained))
        .transpose()?;
    // Some servers write that nothing was asked for as an empty array.
    let audience = claims.aud.as_ref().filter(|aud| !aud.names().is_empty());
    let may_be_access_token = claims.token_type.as_deref().map_or(
        audience.is_some() || rules.absent_audience != AbsentAudience::WithTokenType,
        |token_type| {
            is_access_token_type(token_type)
                || bound_to.is_some() && token_type.eq_ignore_ascii_case("DPoP")
        },
    );
    if !may_be_access_token {
        return Err(Refusal::WrongType);
    }
    let expires_at = claims.exp.map(NumericDate::instant);
    if expires_at.is_some_and(|end| end <= now) {
        return Err(Refusal::Expired);
    }
    let not_before = claims.nbf.map(|start| {
        let start = start.instant();
        start.checked_sub_signed(CLOCK_SKEW).unwrap_or(start)
    });
    if not_before.is_some_and(|start| start > now) {
        return Err(Refusal::NotYetValid);
    }
    let is_named = match audience {
        None => (rules.absent_audience != AbsentAudience::Refused)
            .then_some(claims.token_type.is_some()),
        Some(audience) => expected.is_ours(audience),
    };
    // A token that names this resource was issued for calls of it; one that got here otherwise has to look like it.
    if !is_named.ok_or(Refusal::WrongAudience)?
        && let Some(sign) = claims.other_use()
    {
        return Err(Refusal::OtherUse(sign));
    }
    let subject = claims
        .sub
        .filter(|sub| is_usable_name(sub))
        .ok_or(Refusal::NoSubject)?;
    let issuer = expected.issuer.as_str().to_owned();
    let principal = Principal {
        user: UserId::derive(&issuer, &subject),
        issuer,
        fingerprint: fingerprint(&subject),
        subject,
        client: claims.client_id.filter(|client| is_usable_name(client)),
        username: claims.username.filter(|name| is_usable_name(name)),
        scopes: claims
            .scope
            .as_deref()
            .map(|list| expected.scopes.parse_with(list, &rules.scope_prefix))
            .unwrap_or_default(),
        withheld: ScopeSet::EMPTY,
        expires_at,
        issued_at: claims.iat.map(NumericDate::instant),
        bound_key: bound_to.map(|key| key.as_str().to_owned()),
        credential,
    };
    Ok(ValidToken {
        principal,
        not_before,
    })
}

/// Checks the presentation of a valid token. `proved` is the key of the DPoP proof, if there was one.
///
/// # Errors
/// [`Refusal::SenderConstrained`] if the token is bound to a key and there is no proof (RFC 9449 §7.2);
/// [`Refusal::WrongKey`] if it is bound to another key, or to none (§7.1).
pub(crate) fn check_presentation(
    principal: &Principal,
    proved: Option<&Thumbprint>,
) -> Result<(), Refusal> {
    match (&principal.bound_key, proved) {
        (None, None) => Ok(()),
        (Some(key), Some(proved)) if key == proved.as_str() => Ok(()),
        (Some(_), None) => Err(Refusal::SenderConstrained),
        (_, Some(_)) => Err(Refusal::WrongKey),
    }
}

/// The key in `cnf` (RFC 9449 §6.1). `None` if there is any other confirmation method, which cannot be
/// verified here.
pub(crate) fn bound_key(confirmation: &Value) -> Option<Thumbprint> {
    let confirmation = confirmation.as_object()?;
    let thumbprint = confirmation.get("jkt")?.as_str()?;
    (confirmation.len() == 1)
        .then(|| Thumbprint::parse(thumbprint))
        .flatten()
}

/// RFC 6749 §7.1 names the type `Bearer`; some servers answer with the token type identifiers of
/// RFC 8693 §3 or of RFC 7009 §2.1 instead.
pub(crate) fn is_access_token_type(token_type: &str) -> bool {
    [
        "Bearer",
        "access_token",
        "urn:ietf:params:oauth:token-type:access_token",
    ]
    .iter()
    .any(|known| token_type.eq_ignore_ascii_case(known))
}

#[cfg(test)]
#[path = "validation_tests.rs"]
mod tests;
