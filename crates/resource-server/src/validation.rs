//! Validates the claims of a token, whether they come from an introspection reply (RFC 7662 §2.2) or from the
//! token itself (RFC 9068 §4). Pure functions; callers pass the time.

use derive_more::{Display, Error};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    claim::{Audience, CLOCK_SKEW, NumericDate},
    clock::Timestamp,
    dpop::proof::ProofFault,
    fingerprint::fingerprint,
    jose::{jws::JwsFault, keys::Thumbprint},
    principal::{Credential, Principal, UserId},
    scope::{ScopeSet, Scopes},
    url::{IssuerUrl, ResourceUri},
};

/// The longest `sub`, `client_id` and `username` that are accepted, in bytes.
const LONGEST_NAME: usize = 1_024;

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
    /// `token_type` is not that of an access token.
    #[display("not an access token")]
    WrongType,
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

/// An introspection reply (RFC 7662 §2.2). Members that are not listed are ignored.
#[derive(Debug)]
pub struct IntrospectionReply {
    /// Whether the token is currently active. The only REQUIRED member.
    pub active: bool,
    /// The members of an active token.
    pub claims: Claims,
}

/// The optional members of an introspection reply, and the claims of a JWT access token, which have the
/// same names.
#[derive(Debug, Default, Deserialize)]
pub struct Claims {
    scope: Option<String>,
    pub(crate) client_id: Option<String>,
    username: Option<String>,
    token_type: Option<String>,
    pub(crate) exp: Option<NumericDate>,
    nbf: Option<NumericDate>,
    pub(crate) iat: Option<NumericDate>,
    pub(crate) sub: Option<String>,
    pub(crate) aud: Option<Audience>,
    pub(crate) iss: Option<String>,
    cnf: Option<Value>,
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
    /// Whether a token without `aud` is accepted, for an issuer that never sends it. Such a token needs
    /// `token_type`, because some servers introspect refresh tokens as active without both members.
    pub audience_may_be_absent: bool,
    /// The declared scopes; others in a token are ignored.
    pub scopes: Scopes,
}

/// Reads the body of an introspection reply.
///
/// The other members of an inactive token are ignored (RFC 7662 §2.2).
///
/// # Errors
/// The body is not a JSON object, `active` is not a boolean, or another member of an active token has the
/// wrong type: a fault of the authorization server, not of the token.
pub fn read_reply(body: &[u8]) -> Result<IntrospectionReply, serde_json::Error> {
    #[derive(Deserialize)]
    struct Active {
        active: bool,
    }
    // serde would also deserialize the struct from a JSON array.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(serde::de::Error::custom("not an object"));
    }
    let Active { active } = serde_json::from_slice(body)?;
    let claims = if active {
        serde_json::from_slice(body)?
    } else {
        Claims::default()
    };
    Ok(IntrospectionReply { active, claims })
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
    if claims
        .iss
        .is_some_and(|iss| iss != expected.issuer.as_str())
    {
        return Err(Refusal::WrongIssuer);
    }
    let bound_to = claims
        .cnf
        .map(|confirmation| bound_key(&confirmation).ok_or(Refusal::SenderConstrained))
        .transpose()?;
    let may_be_access_token = claims.token_type.as_deref().map_or(
        claims.aud.is_some() || !expected.audience_may_be_absent,
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
    let for_us = match &claims.aud {
        None => expected.audience_may_be_absent,
        Some(audience) => audience.any(|audience| expected.resource.is_named_by(audience)),
    };
    if !for_us {
        return Err(Refusal::WrongAudience);
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
            .map(|list| expected.scopes.parse(list))
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
fn bound_key(confirmation: &Value) -> Option<Thumbprint> {
    let confirmation = confirmation.as_object()?;
    let thumbprint = confirmation.get("jkt")?.as_str()?;
    (confirmation.len() == 1)
        .then(|| Thumbprint::parse(thumbprint))
        .flatten()
}

/// Whether a name can be stored: many databases cannot hold NUL.
pub(crate) fn is_usable_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST_NAME && !name.contains('\0')
}

/// RFC 6749 §7.1 names the type `Bearer`; some servers answer with the token type identifiers of
/// RFC 8693 §3 or of RFC 7009 §2.1 instead.
fn is_access_token_type(token_type: &str) -> bool {
    [
        "Bearer",
        "access_token",
        "urn:ietf:params:oauth:token-type:access_token",
    ]
    .iter()
    .any(|known| token_type.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn expectation() -> ExpectedClaims {
        ExpectedClaims {
            issuer: "https://issuer.example".parse().unwrap(),
            resource: "https://files.example/mcp".parse().unwrap(),
            audience_may_be_absent: false,
            scopes: Scopes::of_test(),
        }
    }

    fn now() -> Timestamp {
        DateTime::from_timestamp(1_000_000, 0).unwrap()
    }

    fn verdict(changes: Value) -> Result<Principal, Refusal> {
        let principal = validated(changes)?.principal;
        check_presentation(&principal, None)?;
        Ok(principal)
    }

    fn validated(changes: Value) -> Result<ValidToken, Refusal> {
        let mut reply = json!({
            "active": true,
            "sub": "ada",
            "client_id": "host",
            "scope": "files:read user:write",
            "aud": "https://files.example/mcp",
            "iss": "https://issuer.example",
            "token_type": "Bearer",
            "exp": 1_000_060,
        });
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                reply.as_object_mut().unwrap().remove(name);
            } else {
                reply[name] = value.clone();
            }
        }
        let reply = read_reply(reply.to_string().as_bytes()).unwrap();
        validate_claims(reply, &expectation(), Credential([0; 32]), now())
    }

    #[test]
    fn a_good_token_names_its_user_and_its_scopes() {
        let principal = verdict(json!({})).unwrap();
        assert_eq!(principal.subject, "ada");
        assert_eq!(principal.client.as_deref(), Some("host"));
        assert_eq!(Scopes::of_test().list(principal.scopes), "files:read");
        assert_eq!(principal.expires_at.unwrap().timestamp(), 1_000_060);
    }

    #[test]
    fn optional_members_may_be_absent() {
        let principal = verdict(json!({
            "client_id": null, "scope": null, "iss": null, "token_type": null, "exp": null
        }))
        .unwrap();
        assert!(principal.scopes.is_empty());
        assert_eq!(principal.client, None);
    }

    /// A-19.
    #[test]
    fn each_fault_of_a_token_has_its_refusal() {
        for (changes, refusal) in [
            (json!({"active": false}), Refusal::Inactive),
            (json!({"exp": 1_000_000}), Refusal::Expired),
            (json!({"exp": 999_999.5}), Refusal::Expired),
            (json!({"exp": -1e300}), Refusal::Expired),
            (json!({"nbf": 1_000_031}), Refusal::NotYetValid),
            (
                json!({"iss": "https://issuer.example/"}),
                Refusal::WrongIssuer,
            ),
            (
                json!({"aud": "https://other.example/mcp"}),
                Refusal::WrongAudience,
            ),
            (
                json!({"aud": "https://files.example/mcp/"}),
                Refusal::WrongAudience,
            ),
            (
                json!({"aud": "https://files.example"}),
                Refusal::WrongAudience,
            ),
            (json!({"aud": []}), Refusal::WrongAudience),
            (json!({"aud": null}), Refusal::WrongAudience),
            (json!({"token_type": "refresh_token"}), Refusal::WrongType),
            (json!({"token_type": "DPoP"}), Refusal::WrongType),
            (json!({"cnf": {"jkt": "x"}}), Refusal::SenderConstrained),
            (json!({"sub": null}), Refusal::NoSubject),
            (json!({"sub": ""}), Refusal::NoSubject),
            (json!({"sub": "a\u{0}b"}), Refusal::NoSubject),
        ] {
            assert_eq!(verdict(changes.clone()), Err(refusal), "{changes}");
        }
    }

    #[test]
    fn a_bound_token_is_accepted_with_a_proof_of_its_key_alone() {
        const KEY: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        let key = Thumbprint::parse(KEY).unwrap();
        let other = Thumbprint::parse(&KEY.replace('0', "1")).unwrap();
        let bound = validated(json!({"cnf": {"jkt": KEY}, "token_type": "DPoP"}));
        let bound = bound.unwrap().principal;
        assert_eq!(check_presentation(&bound, Some(&key)), Ok(()));
        assert_eq!(
            check_presentation(&bound, Some(&other)),
            Err(Refusal::WrongKey)
        );
        assert_eq!(
            check_presentation(&bound, None),
            Err(Refusal::SenderConstrained)
        );
        let unbound = validated(json!({})).unwrap().principal;
        assert_eq!(
            check_presentation(&unbound, Some(&key)),
            Err(Refusal::WrongKey)
        );
        for confirmation in [
            json!({}),
            json!({"jkt": KEY, "x5t#S256": KEY}),
            json!({"jkt": KEY.get(1..)}),
            json!({"jkt": 1}),
            json!(KEY),
        ] {
            let verdict = validated(json!({"cnf": confirmation}));
            assert_eq!(verdict, Err(Refusal::SenderConstrained), "{confirmation}");
        }
    }

    /// A-09.
    #[test]
    fn the_audience_may_be_one_of_several_and_its_host_in_capitals() {
        assert!(verdict(json!({"aud": ["x", "https://files.example/mcp"]})).is_ok());
        assert!(verdict(json!({"aud": "HTTPS://Files.Example/mcp"})).is_ok());
        assert!(verdict(json!({"nbf": 1_000_029})).is_ok());
    }

    #[test]
    fn where_the_audience_may_be_absent_the_type_may_not() {
        let lenient = ExpectedClaims {
            audience_may_be_absent: true,
            ..expectation()
        };
        let verdict = |reply: serde_json::Value| {
            let reply = read_reply(reply.to_string().as_bytes()).unwrap();
            validate_claims(reply, &lenient, Credential([0; 32]), now()).map(|_| ())
        };
        let access = json!({"active": true, "sub": "a", "token_type": "Bearer"});
        assert_eq!(verdict(access), Ok(()));
        let refresh = json!({"active": true, "sub": "a"});
        assert_eq!(verdict(refresh), Err(Refusal::WrongType));
        let elsewhere = json!({"active": true, "sub": "a", "token_type": "Bearer", "aud": "x"});
        assert_eq!(verdict(elsewhere), Err(Refusal::WrongAudience));
    }

    #[test]
    fn an_invalid_reply_is_an_error() {
        for body in [
            "",
            "[]",
            "{}",
            "null",
            "<html>",
            r#"{"active":"true"}"#,
            r#"{"active":1}"#,
            r#"{"active":true,"sub":7}"#,
            r#"{"active":true,"exp":"soon"}"#,
        ] {
            assert!(read_reply(body.as_bytes()).is_err(), "{body}");
        }
        assert!(read_reply(br#"{"active":false,"sub":7}"#).is_ok());
    }

    proptest! {
        #[test]
        fn nothing_is_accepted_at_or_past_its_end(exp in 0i64..2_000_000, now in 0i64..2_000_000) {
            let reply = json!({"active": true, "sub": "a", "aud": "https://files.example/mcp", "exp": exp});
            let reply = read_reply(reply.to_string().as_bytes()).unwrap();
            let accepted = validate_claims(reply, &expectation(), Credential([0; 32]), DateTime::from_timestamp(now, 0).unwrap()).is_ok();
            prop_assert_eq!(accepted, now < exp);
        }

        #[test]
        fn any_body_is_read_or_refused(body: Vec<u8>) {
            let _ = read_reply(&body);
        }
    }
}
