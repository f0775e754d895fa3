//! The scopes that this server can grant.

use std::sync::Arc;

use crate::settings::Scope;

/// The declared scopes, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Grantable(Arc<[Scope]>);

impl Grantable {
    /// # Errors
    /// There is no scope, one is declared twice, or one is no scope token (RFC 6749 §3.3).
    pub(crate) fn new(declared: Vec<Scope>) -> Result<Self, String> {
        if declared.is_empty() {
            return Err("there has to be one scope at least".to_owned());
        }
        for (i, scope) in declared.iter().enumerate() {
            let name = &scope.name;
            if name.is_empty() || name.contains(' ') || !is_well_formed(name) {
                return Err(format!("not a scope token: {name:?}"));
            }
            if declared[..i].iter().any(|other| other.name == *name) {
                return Err(format!("the scope {name} is declared twice"));
            }
        }
        Ok(Self(declared.into()))
    }

    pub(crate) fn all(&self) -> Scopes {
        self.pick_where(|_| true)
    }

    /// Reads a `scope` value; `None` if it breaks the grammar of RFC 6749 §3.3. Scope tokens that are not
    /// declared here, such as `openid` and `offline_access`, are left out, as §3.3 allows, and the
    /// reply's `scope` tells the client: clients ask for these as a habit.
    pub(crate) fn parse(&self, list: &str) -> Option<Scopes> {
        is_well_formed(list).then(|| self.pick(list.split(' ')))
    }

    /// The scopes among these tokens.
    pub(crate) fn pick<'a>(&self, tokens: impl Iterator<Item = &'a str>) -> Scopes {
        let tokens: Vec<&str> = tokens.collect();
        self.pick_where(|scope| tokens.contains(&scope))
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.iter().map(|scope| scope.name.as_str()).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    fn pick_where(&self, is_wanted: impl Fn(&str) -> bool) -> Scopes {
        let names = self.iter().map(|scope| &scope.name);
        Scopes(names.filter(|name| is_wanted(name)).cloned().collect())
    }
}

/// Whether a `scope` value keeps to the grammar of RFC 6749 §3.3.
pub(crate) fn is_well_formed(list: &str) -> bool {
    list.bytes()
        .all(|byte| byte == b' ' || matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// Some of the [`Grantable`] scopes, in their order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scopes(Vec<String>);

impl Scopes {
    /// The scopes in both.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let in_both = self.0.iter().filter(|scope| other.contains(scope));
        Self(in_both.cloned().collect())
    }

    /// Whether this token is among them.
    pub(crate) fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|other| other == scope)
    }

    /// Whether all of them are in a `scope` value.
    pub(crate) fn are_in(&self, list: &str) -> bool {
        let all: Vec<&str> = list.split(' ').collect();
        self.0.iter().all(|scope| all.contains(&scope.as_str()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &String> {
        self.0.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The `scope` value.
    pub(crate) fn to_text(&self) -> String {
        self.0.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::settings::five_scopes;

    fn grantable() -> Grantable {
        Grantable::new(five_scopes()).unwrap()
    }

    #[test]
    fn unknown_scopes_are_left_out_and_bad_grammar_is_refused() {
        let all = grantable();
        let scopes = all.parse("openid tags:read  offline_access user:read tags:read");
        assert_eq!(scopes.unwrap().to_text(), "user:read tags:read");
        assert_eq!(all.parse("tags:read\ttags:write"), None);
        assert_eq!(all.parse("tags:\"read"), None);
    }

    #[test]
    fn a_declaration_that_no_client_could_ask_for_is_refused() {
        for (names, fault) in [
            (&[][..], "one scope"),
            (&[""], "scope token"),
            (&["a b"], "scope token"),
            (&["a\"b"], "scope token"),
            (&["a", "b", "a"], "twice"),
        ] {
            let declared = names.iter().map(|name| Scope::new(name, "Do it")).collect();
            let error = Grantable::new(declared).unwrap_err();
            assert!(error.contains(fault), "{names:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_narrower_set_is_always_covered(a in "(user:read|tags:read|entries:write| ){0,6}", b in "(user:read|tags:write| ){0,6}") {
            let all = grantable();
            let (a, b) = (all.parse(&a).unwrap(), all.parse(&b).unwrap());
            let both = a.and(&b);
            prop_assert!(both.are_in(&a.to_text()) && both.are_in(&b.to_text()));
            prop_assert_eq!(all.parse(&a.to_text()).unwrap(), a);
        }
    }
}
