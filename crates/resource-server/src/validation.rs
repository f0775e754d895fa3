//! What a token is worth: the one verdict on its claims, whether an introspection reply has them
//! (RFC 7662 §2.2) or the token itself (RFC 9068 §4).

use derive_more::{Display, Error};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    claim::{Audience, CLOCK_SKEW, NumericDate},
    dpop::proof::ProofFault,
    jose::{jws::JwsFault, keys::Thumbprint},
    url::{IssuerUrl, ResourceUri},
};
use crate::{
    clock::Timestamp,
    fingerprint::fingerprint,
    principal::{Credential, Principal, UserId},
    scope::{ScopeSet, Scopes},
};

/// The longest `sub` and `client_id` that are accepted, in bytes; both are kept.
const LONGEST_NAME: usize = 1_024;

/// Why a request is refused for its credentials. Each variant is the client's to mend; what is the
/// authorization server's fault or ours is no refusal.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum Refusal {
    /// No bearer credential was sent.
    #[display("no bearer token")]
    Missing,
    /// There is a bearer credential that cannot be one.
    #[display("malformed credential: {_0}")]
    Malformed(#[error(not(source))] &'static str),
    /// It is no token of any authorization server that is known here; none was asked.
    #[display("token of no known issuer")]
    NobodysToken,
    /// The authorization server says that the token is not active.
    #[display("inactive token")]
    Inactive,
    /// `exp` has passed.
    #[display("expired token")]
    Expired,
    /// `nbf`, or of a JWT `iat`, has not come.
    #[display("token not valid yet")]
    NotYetValid,
    /// It is a JWT that is not what it has to be, or that the issuer did not sign.
    #[display("JWT refused: {_0}")]
    Unverified(#[error(not(source))] JwsFault),
    /// It is a JWT without a claim that RFC 9068 §2.2 requires.
    #[display("JWT without a usable {_0}")]
    Incomplete(#[error(not(source))] &'static str),
    /// `iss` is not the issuer that was asked.
    #[display("token of another issuer")]
    WrongIssuer,
    /// `aud` does not name this resource.
    #[display("token for another audience")]
    WrongAudience,
    /// `token_type` says that this is no access token.
    #[display("not an access token")]
    WrongType,
    /// The token is bound to a key (`cnf`), which its presentation does not prove.
    #[display("sender-constrained token without a proof of its key")]
    SenderConstrained,
    /// The proof of the key is no good, or was used before.
    #[display("{_0}")]
    Proof(#[error(not(source))] ProofFault),
    /// The proof is made with a key that the token is not bound to (RFC 9449 §7.1).
    #[display("token of another key than the proof's")]
    WrongKey,
    /// There is no usable `sub`, so there is nobody whose journal it could be.
    #[display("token without a subject")]
    NoSubject,
    /// Good credentials, which do not reach so far.
    #[display("insufficient scope")]
    TooFewScopes {
        /// What has to be granted, as the challenge names it.
        needed: ScopeSet,
    },
}

/// An introspection reply, as far as it concerns us. Members that are not listed are ignored.
#[derive(Debug)]
pub struct IntrospectionReply {
    /// Whether the token is currently active. The only REQUIRED member.
    pub active: bool,
    /// The members of an active token.
    pub claims: Claims,
}

/// The OPTIONAL members of an introspection reply, and the claims of a JWT access token, which have
/// the same names.
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

/// A token that is accepted, if it is presented as it has to be: see [`check_presentation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidToken {
    /// Whom it speaks for.
    pub principal: Principal,
    /// Before when it is not accepted, the skew of clocks allowed for.
    pub not_before: Option<Timestamp>,
}

/// What a token has to be to be accepted here.
#[derive(Clone, Debug)]
pub struct ExpectedClaims {
    /// The issuer that is asked.
    pub issuer: IssuerUrl,
    /// The resource that a token has to be meant for (RFC 8707).
    pub resource: ResourceUri,
    /// Whether a token without `aud` is accepted, for an issuer that is known to send none. Such a
    /// token has to say that it is an access token: some servers mark a refresh token by nothing but
    /// the absence of both `aud` and `token_type`.
    pub audience_may_be_absent: bool,
    /// The scopes that are declared here; a token keeps no others.
    pub scopes: Scopes,
}

/// Reads the body of an introspection reply.
///
/// The members of an inactive token are not read: RFC 7662 §2.2 forbids them to mean anything.
///
/// # Errors
/// The body is not JSON, `active` is not a boolean, or a member of an active token is not of its
/// type: the authorization server's fault, not the token's.
pub fn read_reply(body: &[u8]) -> Result<IntrospectionReply, serde_json::Error> {
    #[derive(Deserialize)]
    struct Active {
        active: bool,
    }
    // serde would take an array for an object whose names were left out.
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

/// Decides whether a token is accepted, for whom it speaks, and which key its presenter has to prove.
/// Pure: the same claims and the same time give the same verdict.
///
/// # Errors
/// The [`Refusal`] that applies; which one is for the log, a client learns only that the token is
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

/// Decides whether a token that is accepted was presented as it has to be. `proved` is the key of the
/// proof that came with it.
///
/// # Errors
/// [`Refusal::SenderConstrained`] if it is bound to a key and came by itself: RFC 9449 §7.2 forbids to
/// accept it. [`Refusal::WrongKey`] if it is bound to another key than the proof's, or to none (§7.1).
pub fn check_presentation(
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

/// The key in `cnf` (RFC 9449 §6.1). A confirmation by any other method, alone or beside it, is one
/// that nothing here can prove.
fn bound_key(confirmation: &Value) -> Option<Thumbprint> {
    let confirmation = confirmation.as_object()?;
    let thumbprint = confirmation.get("jkt")?.as_str()?;
    (confirmation.len() == 1)
        .then(|| Thumbprint::parse(thumbprint))
        .flatten()
}

/// Names are kept in PostgreSQL's text, which cannot hold NUL.
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
            resource: "https://journal.example/mcp".parse().unwrap(),
            audience_may_be_absent: false,
            scopes: Scopes::of_test(),
        }
    }

    fn now() -> Timestamp {
        DateTime::from_timestamp(1_000_000, 0).unwrap()
    }

    fn verdict(changes: Value) -> Result<Principal, Refusal> {
        let principal = judged(changes)?.principal;
        check_presentation(&principal, None)?;
        Ok(principal)
    }

    fn judged(changes: Value) -> Result<ValidToken, Refusal> {
        let mut reply = json!({
            "active": true,
            "sub": "ada",
            "client_id": "host",
            "scope": "files:read user:write",
            "aud": "https://journal.example/mcp",
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
                json!({"aud": "https://journal.example/mcp/"}),
                Refusal::WrongAudience,
            ),
            (
                json!({"aud": "https://journal.example"}),
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
        let bound = judged(json!({"cnf": {"jkt": KEY}, "token_type": "DPoP"}));
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
        let unbound = judged(json!({})).unwrap().principal;
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
            let verdict = judged(json!({"cnf": confirmation}));
            assert_eq!(verdict, Err(Refusal::SenderConstrained), "{confirmation}");
        }
    }

    /// A-09.
    #[test]
    fn the_audience_may_be_one_of_several_and_its_host_in_capitals() {
        assert!(verdict(json!({"aud": ["x", "https://journal.example/mcp"]})).is_ok());
        assert!(verdict(json!({"aud": "HTTPS://Journal.Example/mcp"})).is_ok());
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
    fn nonsense_is_no_verdict() {
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
            let reply = json!({"active": true, "sub": "a", "aud": "https://journal.example/mcp", "exp": exp});
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
