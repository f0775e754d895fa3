//! Selects the authorization server that a token is sent to. It is sent to that one only, because every
//! server that receives a token could use it.

use std::collections::HashMap;

use crate::{bearer::BearerToken, url::IssuerUrl};

/// How the tokens of one issuer are recognised.
#[derive(Clone, Debug)]
pub(crate) struct IssuerTokens {
    /// The issuer.
    pub(crate) issuer: IssuerUrl,
    /// The prefixes of its opaque tokens; empty if they have none.
    pub(crate) prefixes: Vec<String>,
}

/// Maps a token to the index of its issuer.
#[derive(Clone, Debug)]
pub(crate) struct IssuerSelector {
    by_prefix: Vec<(String, usize)>,
    by_issuer: HashMap<String, usize>,
    only: Option<usize>,
}

impl IssuerSelector {
    /// A selector among these issuers. A single issuer without prefixes is selected for every token that
    /// does not name another issuer.
    #[must_use]
    pub(crate) fn new(issuers: &[IssuerTokens]) -> Self {
        let mut by_prefix: Vec<_> = issuers
            .iter()
            .enumerate()
            .flat_map(|(index, tokens)| {
                tokens
                    .prefixes
                    .iter()
                    .map(move |prefix| (prefix.clone(), index))
            })
            .collect();
        // The longest matching prefix wins.
        by_prefix.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        let by_issuer = issuers
            .iter()
            .enumerate()
            .map(|(index, tokens)| (tokens.issuer.as_str().to_owned(), index))
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

    /// The index of the issuer of a token. `claimed` returns the unverified `iss` of a token that is a JWT;
    /// it selects the issuer and decides nothing else. It is not called if a prefix matches.
    #[must_use]
    pub(crate) fn select(
        &self,
        token: &BearerToken,
        claimed: impl FnOnce() -> Option<String>,
    ) -> Option<usize> {
        let prefixed = self
            .by_prefix
            .iter()
            .find(|(prefix, _)| token.expose().starts_with(prefix.as_str()));
        if let Some((_, index)) = prefixed {
            return Some(*index);
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
    fn a_single_issuer_is_selected_unless_the_token_names_another() {
        let selector = IssuerSelector::new(&[tokens("https://a.example", &[])]);
        assert_eq!(selector.select(&token("x"), || None), Some(0));
        let claims = |issuer| selector.select(&token("x"), || Some(String::from(issuer)));
        assert_eq!(claims("https://a.example"), Some(0));
        assert_eq!(claims("https://b.example"), None);
    }

    #[test]
    fn the_prefix_or_the_claim_selects_among_several() {
        let selector = IssuerSelector::new(&[
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
                selector.select(&token(text), || claimed.map(str::to_owned)),
                place,
                "{text} {claimed:?}"
            );
        }
    }

    #[test]
    fn an_issuer_with_prefixes_receives_no_other_tokens() {
        let selector = IssuerSelector::new(&[tokens("https://a.example", &["a_"])]);
        assert_eq!(selector.select(&token("x"), || None), None);
    }
}
