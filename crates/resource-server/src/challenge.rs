//! Telling a client what is wrong with its credentials, and what to do about it.

use std::fmt;

use crate::scope::{ScopeSet, Scopes};
use crate::{bearer::Scheme, jose::keys::Algorithm, validation::Refusal};

/// What a client reads of a token that is not accepted, whatever the reason: the reason is in the
/// log, where it helps nobody who probes.
pub const INVALID_TOKEN: &str = "The access token is invalid or expired";

/// What every challenge of a server says, whatever the refusal.
#[derive(Clone, Debug)]
pub struct Challenger {
    /// The `realm` (RFC 9110 §11.5).
    pub realm: String,
    /// The scopes of the server.
    pub scopes: Scopes,
    /// The scopes that a client should ask for to begin with.
    pub baseline: ScopeSet,
    /// Where the protected resource metadata is (RFC 9728 §5.1).
    pub resource_metadata: String,
    /// Whether a token may be presented with a proof of its key (RFC 9449).
    pub accepts_proofs: bool,
}

/// A refusal as the client sees it: a status, and a `WWW-Authenticate` field (RFC 6750 §3,
/// RFC 9728 §5.1).
#[derive(Clone, Debug)]
pub struct Challenge<'a> {
    /// 400, 401 or 403.
    pub status: u16,
    /// The `error` code of RFC 6750 §3.1 or RFC 9449 §7.1; absent if no credential came.
    pub error: Option<&'static str>,
    /// What is wrong, in words.
    pub description: String,
    /// The scopes to ask for; absent where asking would not help.
    pub scope: Option<ScopeSet>,
    /// How the credentials came, which is what the error is about.
    pub scheme: Scheme,
    /// The server that says so.
    pub challenger: &'a Challenger,
}

impl Challenger {
    /// The challenge for a refusal of credentials that came by this scheme.
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
            | Refusal::WrongType
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
            scheme,
            challenger: self,
        }
    }
}

impl Challenge<'_> {
    /// The `error` code for a body, which has one even where the header has none.
    #[must_use]
    pub fn body_error(&self) -> &'static str {
        self.error.unwrap_or("unauthorized")
    }
}

/// The value of one `WWW-Authenticate` field.
struct Field<'a> {
    challenge: &'a Challenge<'a>,
    scheme: Scheme,
}

impl Challenge<'_> {
    /// The values of the `WWW-Authenticate` fields. Whoever has to bring another token is told of every
    /// way to present it, bearer first, which is the one that every client knows; whoever has the right
    /// token but not its scope, of the way that it came.
    pub fn fields(&self) -> impl Iterator<Item = String> {
        let schemes: &[Scheme] = if self.status == 401 && self.challenger.accepts_proofs {
            &[Scheme::Bearer, Scheme::Dpop]
        } else {
            std::slice::from_ref(&self.scheme)
        };
        schemes.iter().map(|scheme| {
            let field = Field {
                challenge: self,
                scheme: *scheme,
            };
            field.to_string()
        })
    }
}

impl fmt::Display for Field<'_> {
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
            write!(f, ", scope={}", Quoted(&challenger.scopes.list(scope)))?;
        }
        let metadata = Quoted(&challenger.resource_metadata);
        write!(f, ", resource_metadata={metadata}")
    }
}

/// A quoted-string (RFC 9110 §5.6.4), narrowed to the characters that RFC 6750 §3 allows in an
/// `error_description`; any other becomes a space.
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
        }
    }

    fn challenge(refusal: Refusal) -> String {
        let challenger = challenger(false);
        let challenge = challenger.challenge(refusal, Scheme::Bearer);
        challenge.fields().collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn where_proofs_are_taken_both_schemes_are_named_and_the_error_is_about_the_one_that_was_used()
    {
        let challenger = challenger(true);
        let scopes = challenger.baseline;
        let fields = |refusal, scheme| {
            let challenge = challenger.challenge(refusal, scheme);
            challenge.fields().collect::<Vec<_>>()
        };
        let algorithms = Algorithm::ALL.map(Algorithm::as_str).join(" ");
        let rest = format!(r#", scope="files:read", resource_metadata="{METADATA}""#);
        let error = r#", error="invalid_token", error_description="The access token is invalid or expired""#;
        let (bearer, dpop) = (r#"Bearer realm="Files""#, r#"DPoP realm="Files""#);
        let algs = format!(r#", algs="{algorithms}""#);
        assert_eq!(
            fields(Refusal::Missing, Scheme::Bearer),
            [format!("{bearer}{rest}"), format!("{dpop}{algs}{rest}")]
        );
        assert_eq!(
            fields(Refusal::SenderConstrained, Scheme::Bearer),
            [
                format!("{bearer}{error}{rest}"),
                format!("{dpop}{algs}{rest}")
            ]
        );
        assert_eq!(
            fields(Refusal::Inactive, Scheme::Dpop),
            [
                format!("{bearer}{rest}"),
                format!("{dpop}{error}{algs}{rest}")
            ]
        );
        let proof = fields(Refusal::Proof(ProofFault::Nonce), Scheme::Dpop);
        assert!(proof[1].contains(r#"error="use_dpop_nonce""#), "{proof:?}");
        let needed = Refusal::InsufficientScope { needed: scopes };
        assert_eq!(fields(needed, Scheme::Dpop).len(), 1);
        assert!(fields(needed, Scheme::Dpop)[0].starts_with("DPoP "));
        assert!(fields(needed, Scheme::Bearer)[0].starts_with("Bearer "));
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
