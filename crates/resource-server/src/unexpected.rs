//! What the log says of a token that is refused: what was expected, and what was found. It comes from strangers, so it
//! is escaped and cut, and it is left out where it repeats the token.

use std::borrow::Cow;

use crate::{
    printable::printable,
    validation::{Claims, ExpectedClaims, Refusal},
};

/// The audiences of a token that are logged.
const MOST_AUDIENCES: usize = 4;

/// What stands in the log for text that repeats the token.
const THE_TOKEN: &str = "(the token)";

/// What stands for a claim that is not there.
const NOTHING: &str = "(none)";

/// The issuer and the audiences that claims name.
#[derive(Debug, Default)]
pub(crate) struct Named {
    issuer: Option<String>,
    audiences: Vec<String>,
    further_audiences: usize,
}

impl Named {
    pub(crate) fn by(claims: &Claims) -> Self {
        let audiences = claims.aud.as_ref().map_or(&[][..], |aud| aud.names());
        Self {
            issuer: claims.iss.clone(),
            audiences: audiences.iter().take(MOST_AUDIENCES).cloned().collect(),
            further_audiences: audiences.len().saturating_sub(MOST_AUDIENCES),
        }
    }

    /// What is of use to whoever looks for the reason of a refusal: the name of the claim, what was expected, and what
    /// was found. `None` if the refusal is not about the issuer or the audience.
    pub(crate) fn told(
        &self,
        refusal: Refusal,
        expected: &ExpectedClaims,
        token: &str,
    ) -> Option<(&'static str, String, String)> {
        match refusal {
            Refusal::WrongIssuer | Refusal::Contradicted("iss") => {
                let found = self.issuer.as_deref();
                let found = found.map_or(Cow::Borrowed(NOTHING), |iss| loggable(iss, token));
                let expected = printable(expected.issuer.as_str());
                Some(("iss", expected.into_owned(), found.into_owned()))
            }
            Refusal::WrongAudience => {
                let audiences = self.audiences.iter().map(|aud| loggable(aud, token));
                let mut found = audiences.collect::<Vec<_>>().join(",");
                if self.further_audiences > 0 {
                    found.push_str(&format!(",(and {} more)", self.further_audiences));
                }
                if found.is_empty() {
                    NOTHING.clone_into(&mut found);
                }
                let resource = std::iter::once(expected.resource.as_str());
                let further = expected.rules.audiences.iter().map(String::as_str);
                let expected = Vec::from_iter(resource.chain(further).map(printable)).join(",");
                Some(("aud", expected, found))
            }
            _ => None,
        }
    }
}

/// Text of an authorization server or a token, for the log: visible ASCII, 128 characters at most, and never the token
/// or a part of it that is long enough to be of use.
pub(crate) fn loggable<'a>(text: &'a str, token: &str) -> Cow<'a, str> {
    let is_part = text.len() >= 8 && token.contains(text);
    if is_part || !token.is_empty() && text.contains(token) {
        return Cow::Borrowed(THE_TOKEN);
    }
    printable(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_forges_a_line_or_tells_the_token(
            text in ".{0,40}", token in "[!-~]{8,40}", before in any::<bool>(), after in any::<bool>(),
        ) {
            for text in [
                text.clone(),
                format!("{}{token}{}", if before { &text } else { "" }, if after { &text } else { "" }),
                token[1..].to_owned(),
            ] {
                let logged = loggable(&text, &token);
                prop_assert!(logged.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
                prop_assert!(!logged.contains(&token));
                prop_assert!(logged.len() <= 1_280);
            }
        }
    }

    #[test]
    fn an_ordinary_name_is_logged_as_it_is() {
        assert_eq!(
            loggable("https://other.example/mcp", "opaque-token"),
            "https://other.example/mcp"
        );
        assert_eq!(loggable("invalid_client", "opaque-token"), "invalid_client");
        assert_eq!(loggable("opaque-t", "opaque-token"), THE_TOKEN);
    }
}
