//! Which authorization server a token belongs to. A token is shown to that one alone, and never tried
//! around: whoever is shown a token could use it.

use std::collections::HashMap;

use crate::{bearer::BearerToken, url::IssuerUrl};

/// How one issuer's tokens are told from others'.
#[derive(Clone, Debug)]
pub struct IssuerTokens {
    /// The issuer.
    pub issuer: IssuerUrl,
    /// What its opaque tokens begin with; empty if nothing is known of them.
    pub prefixes: Vec<String>,
}

/// The way from a token to its issuer, which is given by its place among the issuers.
#[derive(Clone, Debug)]
pub struct Routes {
    by_prefix: Vec<(String, usize)>,
    by_issuer: HashMap<String, usize>,
    only: Option<usize>,
}

impl Routes {
    /// The ways to these issuers. Where there is one issuer without prefixes, it is every token's that
    /// does not name another.
    #[must_use]
    pub fn new(issuers: &[IssuerTokens]) -> Self {
        let mut by_prefix: Vec<_> = issuers
            .iter()
            .enumerate()
            .flat_map(|(place, tokens)| {
                tokens
                    .prefixes
                    .iter()
                    .map(move |prefix| (prefix.clone(), place))
            })
            .collect();
        // The longest prefix that fits says the most.
        by_prefix.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        let by_issuer = issuers
            .iter()
            .enumerate()
            .map(|(place, tokens)| (tokens.issuer.as_str().to_owned(), place))
            .collect();
        let only = match issuers {
            [tokens] if tokens.prefixes.is_empty() => Some(0),
            _ => None,
        };
        Self {
            by_prefix,
            by_issuer,
            only,
        }
    }

    /// The issuer whose token this is. `claimed` gives the `iss` of a token that is a JWT, which nobody
    /// has verified: it decides whom to ask, and nothing else. It is not read where a prefix decides.
    #[must_use]
    pub fn issuer_of(
        &self,
        token: &BearerToken,
        claimed: impl FnOnce() -> Option<String>,
    ) -> Option<usize> {
        let prefixed = self
            .by_prefix
            .iter()
            .find(|(prefix, _)| token.expose().starts_with(prefix.as_str()));
        if let Some((_, place)) = prefixed {
            return Some(*place);
        }
        match claimed() {
            Some(claimed) => self.by_issuer.get(&claimed).copied(),
            None => self.only,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bearer::Presentation;

    fn token(text: &str) -> BearerToken {
        Presentation::from_authorization([format!("Bearer {text}").as_bytes()].into_iter())
            .unwrap()
            .token
    }

    fn tokens(issuer: &str, prefixes: &[&str]) -> IssuerTokens {
        IssuerTokens {
            issuer: issuer.parse().unwrap(),
            prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
        }
    }

    #[test]
    fn one_issuer_is_every_tokens_that_names_no_other() {
        let routes = Routes::new(&[tokens("https://a.example", &[])]);
        assert_eq!(routes.issuer_of(&token("x"), || None), Some(0));
        let claims = |issuer| routes.issuer_of(&token("x"), || Some(String::from(issuer)));
        assert_eq!(claims("https://a.example"), Some(0));
        assert_eq!(claims("https://b.example"), None);
    }

    #[test]
    fn of_several_the_prefix_or_the_claim_decides_and_nothing_is_tried_around() {
        let routes = Routes::new(&[
            tokens("https://a.example", &["a_"]),
            tokens("https://b.example", &["b_", "a_b_"]),
            tokens("https://c.example", &[]),
        ]);
        for (text, claimed, place) in [
            ("a_1", None, Some(0)),
            ("b_1", None, Some(1)),
            ("a_b_1", None, Some(1)),
            ("c_1", None, None),
            ("c_1", Some("https://c.example"), Some(2)),
            ("c_1", Some("https://c.example/"), None),
            ("a_1", Some("https://c.example"), Some(0)),
            ("A_1", None, None),
        ] {
            assert_eq!(
                routes.issuer_of(&token(text), || claimed.map(str::to_owned)),
                place,
                "{text} {claimed:?}"
            );
        }
    }

    #[test]
    fn an_issuer_with_prefixes_is_not_shown_what_has_none_of_them() {
        let routes = Routes::new(&[tokens("https://a.example", &["a_"])]);
        assert_eq!(routes.issuer_of(&token("x"), || None), None);
    }
}
