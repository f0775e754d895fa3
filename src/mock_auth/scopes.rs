//! The scopes that this server can grant.

/// Scope tokens and what the consent page says of them.
pub(super) const SCOPES: [(&str, &str); 5] = [
    ("user:read", "See your name and account id"),
    ("entries:read", "Read your journal entries"),
    ("entries:write", "Write, change and delete journal entries"),
    ("tags:read", "Read your tags"),
    ("tags:write", "Create, change and delete tags"),
];

/// Some of [`SCOPES`], in their order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scopes(Vec<&'static str>);

impl Scopes {
    pub(super) fn all() -> Self {
        Self(SCOPES.iter().map(|(scope, _)| *scope).collect())
    }

    /// Reads a `scope` value; `None` if it breaks the grammar of RFC 6749 §3.3. Scope tokens that this
    /// server does not know, such as `openid` and `offline_access`, are left out, as §3.3 allows, and the
    /// reply's `scope` tells the client: clients ask for these as a habit.
    pub(super) fn parse(list: &str) -> Option<Self> {
        let in_grammar =
            |byte: u8| byte == b' ' || matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        list.bytes()
            .all(in_grammar)
            .then(|| Self::pick(list.split(' ')))
    }

    /// The scopes among these tokens.
    pub(super) fn pick<'a>(tokens: impl Iterator<Item = &'a str>) -> Self {
        let tokens: Vec<&str> = tokens.collect();
        Self(
            SCOPES
                .iter()
                .map(|(scope, _)| *scope)
                .filter(|scope| tokens.contains(scope))
                .collect(),
        )
    }

    /// The scopes in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self::pick(self.0.iter().copied().filter(|scope| other.contains(scope)))
    }

    /// Whether this token is among them.
    pub(super) fn contains(&self, scope: &str) -> bool {
        self.0.contains(&scope)
    }

    /// Whether all of the other's are among them.
    pub(super) fn cover(&self, other: &Self) -> bool {
        other.0.iter().all(|scope| self.contains(scope))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The `scope` value.
    pub(super) fn to_text(&self) -> String {
        self.0.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unknown_scopes_are_left_out_and_bad_grammar_is_refused() {
        let scopes = Scopes::parse("openid tags:read  offline_access user:read tags:read").unwrap();
        assert_eq!(scopes.to_text(), "user:read tags:read");
        assert_eq!(Scopes::parse("tags:read\ttags:write"), None);
        assert_eq!(Scopes::parse("tags:\"read"), None);
    }

    proptest! {
        #[test]
        fn a_narrower_set_is_always_covered(a in "(user:read|tags:read|entries:write| ){0,6}", b in "(user:read|tags:write| ){0,6}") {
            let (a, b) = (Scopes::parse(&a).unwrap(), Scopes::parse(&b).unwrap());
            prop_assert!(a.cover(&a.and(&b)) && b.cover(&a.and(&b)));
            prop_assert_eq!(Scopes::parse(&a.to_text()).unwrap(), a);
        }
    }
}
