//! Challenges: the `WWW-Authenticate` field of RFC 6750 §3, RFC 9449 §7.1 and RFC 9728 §5.1.

use std::fmt;

use crate::{
    bearer::Scheme,
    jose::keys::Algorithm,
    scope::{ScopeSet, Scopes},
    validation::Refusal,
};

/// The description of every refused token. The reason is only in the log, so that it does not help an
/// attacker who probes tokens.
pub(crate) const INVALID_TOKEN: &str = "The access token is invalid or expired";

/// The settings of challenges.
#[derive(Clone, Debug)]
pub struct Challenger {
    /// The `realm` (RFC 9110 §11.5).
    pub realm: String,
    /// The declared scopes.
    pub scopes: Scopes,
    /// The scopes that a client without a token should request.
    pub baseline: ScopeSet,
    /// The URL of the protected resource metadata (RFC 9728 §5.1).
    pub resource_metadata: String,
    /// Whether DPoP proofs are accepted (RFC 9449).
    pub accepts_proofs: bool,
    /// What the first issuer puts before the names of scopes, and so do challenges.
    pub scope_prefix: String,
}

/// The response to a refusal.
#[derive(Clone, Debug)]
pub struct Challenge<'a> {
    /// 400, 401 or 403.
    pub status: u16,
    /// The `error` code of RFC 6750 §3.1 or RFC 9449 §7.1; `None` if there were no credentials.
    pub error: Option<&'static str>,
    /// The `error_description`.
    pub description: String,
    /// The scopes to request; `None` if other scopes would not help.
    pub scope: Option<ScopeSet>,
    /// What the issuer of the token puts before their names.
    pub scope_prefix: &'a str,
    /// The scheme of the credentials.
    pub scheme: Scheme,
    /// The settings.
    pub challenger: &'a Challenger,
}

impl Challenger {
    /// The challenge for credentials that were refused and used this scheme.
    #[must_use]
    pub fn challenge(&self, refusal: Refusal, scheme: Scheme) -> Challenge<'_> {
        let baseline = self.baseline;
        let (status, error, description, scope) = match refusal {
            Refusal::Missing => (
                401,
                None,
                "An access token is required; send it as Authorization: Bearer".to_owned(),
                Some(baseline),
            ),
            Refusal::Malformed(what) => (
                400,
                Some("invalid_request"),
                format!("The credentials are malformed: {what}"),
                None,
            ),
            Refusal::UnknownIssuer
            | Refusal::Inactive
            | Refusal::Expired
            | Refusal::NotYetValid
            | Refusal::WrongIssuer
            | Refusal::WrongAudience
            | Refusal::Contradicted(_)
            | Refusal::WrongType
            | Refusal::OtherUse(_)
            | Refusal::SenderConstrained
            | Refusal::WrongKey
            | Refusal::Unverified(_)
            | Refusal::Incomplete(_)
            | Refusal::NoSubject => (
                401,
                Some("invalid_token"),
                INVALID_TOKEN.to_owned(),
                Some(baseline),
            ),
            Refusal::Proof(fault) => (401, Some(fault.code()), fault.to_string(), Some(baseline)),
            Refusal::InsufficientScope { needed } => (
                403,
                Some("insufficient_scope"),
                format!("This needs a token with: {}", self.scopes.list(needed)),
                Some(needed),
            ),
        };
        Challenge {
            status,
            error,
            description,
            scope,
            scope_prefix: &self.scope_prefix,
            scheme,
            challenger: self,
        }
    }
}

impl Challenge<'_> {
    /// The `error` code for the JSON body, which always has one.
    #[must_use]
    pub fn body_error(&self) -> &'static str {
        self.error.unwrap_or("unauthorized")
    }
}

/// The challenge of one scheme.
struct OfScheme<'a> {
    challenge: &'a Challenge<'a>,
    scheme: Scheme,
}

impl Challenge<'_> {
    /// The value of the `WWW-Authenticate` field: for 401 a challenge for each accepted scheme, `Bearer` first because
    /// every client supports it; otherwise one, for the scheme of the request.
    ///
    /// They share one field (RFC 9110 §11.6.1), because some HTTP clients read one field of a name alone.
    #[must_use]
    pub fn field(&self) -> String {
        let schemes: &[Scheme] = if self.status == 401 && self.challenger.accepts_proofs {
            &[Scheme::Bearer, Scheme::Dpop]
        } else {
            std::slice::from_ref(&self.scheme)
        };
        let challenges = schemes.iter().map(|scheme| {
            let of_scheme = OfScheme {
                challenge: self,
                scheme: *scheme,
            };
            of_scheme.to_string()
        });
        challenges.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for OfScheme<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { challenge, scheme } = self;
        let challenger = challenge.challenger;
        write!(f, "{} realm={}", scheme.as_str(), Quoted(&challenger.realm))?;
        if let Some(error) = challenge.error
            && *scheme == challenge.scheme
        {
            write!(f, ", error={}", Quoted(error))?;
            write!(f, ", error_description={}", Quoted(&challenge.description))?;
        }
        if *scheme == Scheme::Dpop {
            let algorithms = Algorithm::ALL.map(Algorithm::as_str).join(" ");
            write!(f, ", algs={}", Quoted(&algorithms))?;
        }
        if let Some(scope) = challenge.scope {
            let scopes = challenger.scopes.list_with(scope, challenge.scope_prefix);
            write!(f, ", scope={}", Quoted(&scopes))?;
        }
        let metadata = Quoted(&challenger.resource_metadata);
        write!(f, ", resource_metadata={metadata}")
    }
}

/// A quoted-string (RFC 9110 §5.6.4) of the characters that RFC 6750 §3 allows in an `error_description`;
/// others are replaced by a space.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                ' '..='~' => write!(f, "{character}")?,
                _ => f.write_str(" ")?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{dpop::proof::ProofFault, jose::jws::JwsFault};

    const METADATA: &str = "https://files.example/.well-known/oauth-protected-resource/mcp";

    fn challenger(accepts_proofs: bool) -> Challenger {
        let scopes = Scopes::of_test();
        Challenger {
            realm: "Files".to_owned(),
            baseline: scopes.set(&["files:read"]).unwrap(),
            scopes,
            resource_metadata: METADATA.to_owned(),
            accepts_proofs,
            scope_prefix: String::new(),
        }
    }

    fn challenge(refusal: Refusal) -> String {
        let challenger = challenger(false);
        let challenge = challenger.challenge(refusal, Scheme::Bearer);
        challenge.field()
    }

    #[test]
    fn with_dpop_one_field_offers_both_schemes_and_the_error_stands_in_the_one_that_was_used() {
        let challenger = challenger(true);
        let scopes = challenger.baseline;
        let field = |refusal, scheme| challenger.challenge(refusal, scheme).field();
        let algorithms = Algorithm::ALL.map(Algorithm::as_str).join(" ");
        let rest = format!(r#", scope="files:read", resource_metadata="{METADATA}""#);
        let error = r#", error="invalid_token", error_description="The access token is invalid or expired""#;
        let (bearer, dpop) = (r#"Bearer realm="Files""#, r#"DPoP realm="Files""#);
        let algs = format!(r#", algs="{algorithms}""#);
        assert_eq!(
            field(Refusal::Missing, Scheme::Bearer),
            format!("{bearer}{rest}, {dpop}{algs}{rest}")
        );
        assert_eq!(
            field(Refusal::SenderConstrained, Scheme::Bearer),
            format!("{bearer}{error}{rest}, {dpop}{algs}{rest}")
        );
        assert_eq!(
            field(Refusal::Inactive, Scheme::Dpop),
            format!("{bearer}{rest}, {dpop}{error}{algs}{rest}")
        );
        let proof = field(Refusal::Proof(ProofFault::Nonce), Scheme::Dpop);
        let (_, of_dpop) = proof.split_once(", DPoP ").unwrap();
        assert!(of_dpop.contains(r#"error="use_dpop_nonce""#), "{proof}");
        let needed = Refusal::InsufficientScope { needed: scopes };
        let of_dpop = field(needed, Scheme::Dpop);
        assert!(of_dpop.starts_with("DPoP ") && !of_dpop.contains("Bearer "));
        let of_bearer = field(needed, Scheme::Bearer);
        assert!(of_bearer.starts_with("Bearer ") && !of_bearer.contains("DPoP "));
    }

    #[test]
    fn scopes_have_the_names_that_the_issuer_gives_them() {
        let challenger = Challenger {
            scope_prefix: "api://files/".to_owned(),
            ..challenger(false)
        };
        let field = |challenge: Challenge<'_>| challenge.field();
        let missing = challenger.challenge(Refusal::Missing, Scheme::Bearer);
        assert!(field(missing).contains(r#"scope="api://files/files:read""#));
        let needed = challenger.scopes.set(&["files:write", "files:read"]);
        let needed = needed.unwrap();
        let refusal = Refusal::InsufficientScope { needed };
        let of_another = Challenge {
            scope_prefix: "other/",
            ..challenger.challenge(refusal, Scheme::Bearer)
        };
        let said = field(of_another);
        assert!(
            said.contains(r#"scope="other/files:read other/files:write""#),
            "{said}"
        );
    }

    #[test]
    fn a_missing_token_is_no_error() {
        assert_eq!(
            challenge(Refusal::Missing),
            format!(r#"Bearer realm="Files", scope="files:read", resource_metadata="{METADATA}""#)
        );
    }

    #[test]
    fn every_bad_token_gets_the_same_words() {
        for refusal in [
            Refusal::UnknownIssuer,
            Refusal::Inactive,
            Refusal::Expired,
            Refusal::NotYetValid,
            Refusal::WrongIssuer,
            Refusal::WrongAudience,
            Refusal::WrongType,
            Refusal::OtherUse("it has nonce"),
            Refusal::SenderConstrained,
            Refusal::WrongKey,
            Refusal::Unverified(JwsFault::Signature),
            Refusal::Incomplete("exp"),
            Refusal::NoSubject,
        ] {
            assert_eq!(
                challenge(refusal),
                format!(
                    r#"Bearer realm="Files", error="invalid_token", error_description="The access token is invalid or expired", scope="files:read", resource_metadata="{METADATA}""#
                )
            );
        }
    }

    #[test]
    fn a_step_up_names_all_scopes_at_once() {
        let needed = Scopes::of_test().set(&["files:write", "files:read"]);
        let needed = needed.unwrap();
        assert_eq!(
            challenge(Refusal::InsufficientScope { needed }),
            format!(
                r#"Bearer realm="Files", error="insufficient_scope", error_description="This needs a token with: files:read files:write", scope="files:read files:write", resource_metadata="{METADATA}""#
            )
        );
    }

    /// Reads a quoted-string back, to the closing quote.
    fn unquote(quoted: &str) -> Option<String> {
        let mut text = String::new();
        let mut characters = quoted.strip_prefix('"')?.chars();
        loop {
            match characters.next()? {
                '"' => return characters.next().is_none().then_some(text),
                '\\' => text.push(characters.next()?),
                other => text.push(other),
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_escapes_its_quotes(text in "\\PC*", visible in "[ -~]*") {
            prop_assert!(unquote(&Quoted(&text).to_string()).is_some());
            prop_assert_eq!(unquote(&Quoted(&visible).to_string()), Some(visible));
        }
    }
}
