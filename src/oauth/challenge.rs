//! Telling a client what is wrong with its credentials, and what to do about it.

use std::fmt;

use super::judge::Refusal;
use crate::domain::scope::ScopeSet;

/// What a client reads of a token that is not accepted, whatever the reason: the reason is in the
/// log, where it helps nobody who probes.
pub const INVALID_TOKEN: &str = "The access token is invalid or expired";

/// A refusal as the client sees it: a status, and a `WWW-Authenticate` field (RFC 6750 §3,
/// RFC 9728 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// 400, 401 or 403.
    pub status: u16,
    /// The `error` code of RFC 6750 §3.1; absent if no bearer credential came.
    pub error: Option<&'static str>,
    /// What is wrong, in words.
    pub description: String,
    /// The scopes to ask for; absent where asking would not help.
    pub scope: Option<ScopeSet>,
    /// Where the protected resource metadata is.
    pub resource_metadata: String,
}

impl Challenge {
    /// The challenge for a refusal. `baseline` is what a client should ask for to begin with.
    #[must_use]
    pub fn new(refusal: Refusal, baseline: ScopeSet, resource_metadata: &str) -> Self {
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
            Refusal::NobodysToken
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
            Refusal::TooFewScopes { needed } => (
                403,
                Some("insufficient_scope"),
                format!("This needs a token with: {needed}"),
                Some(needed),
            ),
        };
        Self {
            status,
            error,
            description,
            scope,
            resource_metadata: resource_metadata.to_owned(),
        }
    }

    /// The `error` code for a body, which has one even where the header has none.
    #[must_use]
    pub fn body_error(&self) -> &'static str {
        self.error.unwrap_or("unauthorized")
    }
}

/// The value of the `WWW-Authenticate` field.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer realm=\"EpicMe\"")?;
        if let Some(error) = self.error {
            write!(f, ", error={}", Quoted(error))?;
            write!(f, ", error_description={}", Quoted(&self.description))?;
        }
        if let Some(scope) = self.scope {
            write!(f, ", scope={}", Quoted(&scope.to_string()))?;
        }
        write!(f, ", resource_metadata={}", Quoted(&self.resource_metadata))
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

    use super::{super::jws::JwsFault, *};
    use crate::domain::scope::Scope;

    const METADATA: &str = "https://journal.example/.well-known/oauth-protected-resource/mcp";

    fn challenge(refusal: Refusal) -> String {
        Challenge::new(refusal, ScopeSet::of(&[Scope::EntriesRead]), METADATA).to_string()
    }

    #[test]
    fn a_missing_token_is_no_error() {
        assert_eq!(
            challenge(Refusal::Missing),
            format!(
                r#"Bearer realm="EpicMe", scope="entries:read", resource_metadata="{METADATA}""#
            )
        );
    }

    #[test]
    fn every_bad_token_gets_the_same_words() {
        for refusal in [
            Refusal::NobodysToken,
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
                    r#"Bearer realm="EpicMe", error="invalid_token", error_description="The access token is invalid or expired", scope="entries:read", resource_metadata="{METADATA}""#
                )
            );
        }
    }

    #[test]
    fn a_step_up_names_all_scopes_at_once() {
        let needed = ScopeSet::of(&[Scope::EntriesWrite, Scope::EntriesRead]);
        assert_eq!(
            challenge(Refusal::TooFewScopes { needed }),
            format!(
                r#"Bearer realm="EpicMe", error="insufficient_scope", error_description="This needs a token with: entries:read entries:write", scope="entries:read entries:write", resource_metadata="{METADATA}""#
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
