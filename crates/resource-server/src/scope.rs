//! The scopes that a server declares, and sets of them.

use std::{fmt, sync::Arc};

use derive_more::{Display, Error};

/// The most scopes that one server can declare.
const MOST_SCOPES: usize = 64;

/// The scopes of one server: their names, their descriptions, and which include others. Sets of them are
/// numbers, so that decisions look up no names.
///
/// Names are case-sensitive (RFC 6749 §3.3). Clones share one declaration.
///
/// ```
/// use resource_server::scope::Scopes;
///
/// let scopes = Scopes::declare([("files:read", "Read files"), ("files:write", "Change files")])?
///     .implying("files:write", &["files:read"])?;
/// let granted = scopes.parse("files:write openid");
/// let needed = scopes.set(&["files:read"])?;
/// assert!(scopes.require(granted, needed).is_ok());
/// assert_eq!(scopes.list(granted), "files:write");
/// # Ok::<(), resource_server::scope::ScopeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scopes(Arc<Declared>);

#[derive(Clone, Debug, Default)]
struct Declared {
    scopes: Vec<Scope>,
    /// Broad scopes and the ones they include (MCP 2026-07-28, Authorization).
    implications: Vec<(ScopeSet, ScopeSet)>,
}

/// One declared scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The scope token (RFC 6749 §3.3).
    pub name: String,
    /// A description for users, such as on a consent page.
    pub description: String,
}

/// A set of declared scopes. The names are in the [`Scopes`] that it was made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(u64);

/// An invalid declaration or use of scopes.
#[derive(Clone, Debug, Display, Error, PartialEq, Eq)]
pub enum ScopeError {
    /// Not a scope token: RFC 6749 §3.3 allows one or more characters of visible ASCII except `"` and `\`.
    #[display("{_0:?} is not a scope token (RFC 6749 §3.3)")]
    Malformed(#[error(not(source))] String),
    /// A name was declared twice.
    #[display("the scope {_0} is declared twice")]
    Doubled(#[error(not(source))] String),
    /// More than 64 scopes were declared.
    #[display("a server can declare at most {MOST_SCOPES} scopes")]
    TooMany,
    /// A name was used without a declaration.
    #[display("the scope {_0} is not declared")]
    Undeclared(#[error(not(source))] String),
}

impl Scopes {
    /// Declares scopes by name and description. Their order is kept in metadata and challenges.
    ///
    /// # Errors
    /// See [`ScopeError`].
    pub fn declare<N: Into<String>, D: Into<String>>(
        scopes: impl IntoIterator<Item = (N, D)>,
    ) -> Result<Self, ScopeError> {
        let mut declared = Declared::default();
        for (name, description) in scopes {
            let scope = Scope {
                name: name.into(),
                description: description.into(),
            };
            if !is_scope_token(&scope.name) {
                return Err(ScopeError::Malformed(scope.name));
            }
            if declared.scopes.iter().any(|known| known.name == scope.name) {
                return Err(ScopeError::Doubled(scope.name));
            }
            if declared.scopes.len() == MOST_SCOPES {
                return Err(ScopeError::TooMany);
            }
            declared.scopes.push(scope);
        }
        Ok(Self(Arc::new(declared)))
    }

    /// Makes `broad` include `narrow`, transitively. By default no scope includes another.
    ///
    /// # Errors
    /// [`ScopeError::Undeclared`].
    pub fn implying(mut self, broad: &str, narrow: &[&str]) -> Result<Self, ScopeError> {
        let implication = (self.set(&[broad])?, self.set(narrow)?);
        Arc::make_mut(&mut self.0).implications.push(implication);
        Ok(self)
    }

    /// The set of these scopes.
    ///
    /// # Errors
    /// [`ScopeError::Undeclared`] with the first undeclared name.
    pub fn set(&self, names: &[&str]) -> Result<ScopeSet, ScopeError> {
        names.iter().try_fold(ScopeSet::EMPTY, |set, name| {
            let scope = self.find(name);
            let scope = scope.ok_or_else(|| ScopeError::Undeclared((*name).to_owned()))?;
            Ok(set.union(scope))
        })
    }

    /// Every declared scope.
    #[must_use]
    pub fn all(&self) -> ScopeSet {
        match self.0.scopes.len() {
            MOST_SCOPES => ScopeSet(u64::MAX),
            count => ScopeSet((1 << count) - 1),
        }
    }

    /// Reads a `scope` value: names separated by white space. Undeclared scopes are ignored.
    #[must_use]
    pub fn parse(&self, list: &str) -> ScopeSet {
        self.parse_with(list, "")
    }

    /// The same of names that may begin with this.
    #[must_use]
    pub fn parse_with(&self, list: &str, prefix: &str) -> ScopeSet {
        let read = |name: &str| {
            let bare = name.strip_prefix(prefix).and_then(|name| self.find(name));
            bare.or_else(|| self.find(name))
        };
        list.split_ascii_whitespace()
            .filter_map(read)
            .fold(ScopeSet::EMPTY, ScopeSet::union)
    }

    /// The scopes of a set, in the order of declaration.
    pub fn scopes(&self, set: ScopeSet) -> impl Iterator<Item = &Scope> {
        self.0
            .scopes
            .iter()
            .enumerate()
            .filter(move |(index, _)| set.0 & (1 << index) != 0)
            .map(|(_, scope)| scope)
    }

    /// The names of a set, in the order of declaration.
    pub fn names(&self, set: ScopeSet) -> impl Iterator<Item = &str> {
        self.scopes(set).map(|scope| scope.name.as_str())
    }

    /// A set as a `scope` value: names separated by spaces (RFC 6749 §3.3).
    #[must_use]
    pub fn list(&self, set: ScopeSet) -> String {
        Vec::from_iter(self.names(set)).join(" ")
    }

    /// The same with this before each name.
    #[must_use]
    pub fn list_with(&self, set: ScopeSet, prefix: &str) -> String {
        let names = self.names(set).map(|name| format!("{prefix}{name}"));
        Vec::from_iter(names).join(" ")
    }

    /// Checks that the granted scopes include the needed ones.
    ///
    /// # Errors
    /// All of `needed` if any of them is missing, so that a client can request them together.
    #[inline]
    pub fn require(&self, granted: ScopeSet, needed: ScopeSet) -> Result<(), ScopeSet> {
        if granted.contains(needed)
            || !self.0.implications.is_empty() && self.expand(granted).contains(needed)
        {
            Ok(())
        } else {
            Err(needed)
        }
    }

    /// The declared scopes that are neither granted nor included in a granted one, in the order of declaration.
    pub fn lacking(&self, granted: ScopeSet) -> impl Iterator<Item = &Scope> {
        self.scopes(self.all().minus(self.expand(granted)))
    }

    fn expand(&self, granted: ScopeSet) -> ScopeSet {
        let mut expanded = granted;
        loop {
            let implications = self.0.implications.iter();
            let next = implications
                .filter(|(broad, _)| expanded.contains(*broad))
                .fold(expanded, |set, (_, narrow)| set.union(*narrow));
            if next == expanded {
                return expanded;
            }
            expanded = next;
        }
    }

    fn find(&self, name: &str) -> Option<ScopeSet> {
        let index = self.0.scopes.iter().position(|scope| scope.name == name)?;
        Some(ScopeSet(1 << index))
    }
}

/// RFC 6749 §3.3: `1*( %x21 / %x23-5B / %x5D-7E )`.
fn is_scope_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

impl ScopeSet {
    /// No scope.
    pub const EMPTY: Self = Self(0);

    /// The scopes in either set.
    #[must_use]
    #[inline]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The scopes in both sets.
    #[must_use]
    #[inline]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The scopes of this set that are not in the other.
    #[must_use]
    #[inline]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every scope of the other set is in this one.
    #[must_use]
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set is empty.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
impl Scopes {
    /// `files:read`, `files:write`, `people:read`.
    pub(crate) fn of_test() -> Self {
        let names = ["files:read", "files:write", "people:read"];
        Self::declare(names.map(|name| (name, ""))).expect("they are scope tokens")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(names: &[&str]) -> ScopeSet {
        Scopes::of_test().set(names).unwrap()
    }

    #[test]
    fn white_space_and_unknown_scopes_leave_no_trace() {
        let scopes = Scopes::of_test();
        let read = scopes.parse("  people:read   user:write\tFILES:WRITE files:read files:read ");
        assert_eq!(scopes.list(read), "files:read people:read");
        assert_eq!(scopes.parse(""), ScopeSet::EMPTY);
    }

    #[test]
    fn what_is_not_declared_is_named() {
        let error = Scopes::of_test().set(&["files:read", "files:burn"]);
        let error = error.unwrap_err();
        assert_eq!(error, ScopeError::Undeclared("files:burn".to_owned()));
        assert_eq!(error.to_string(), "the scope files:burn is not declared");
        assert!(Scopes::of_test().implying("x", &[]).is_err());
    }

    #[test]
    fn a_scope_is_declared_once_and_as_rfc_6749_writes_it() {
        let declare = |names: &[&str]| Scopes::declare(names.iter().map(|name| (*name, "")));
        for name in ["", "a b", "a\"", "a\\b", "ä", "a\n"] {
            let refused = declare(&[name]).unwrap_err();
            assert_eq!(refused, ScopeError::Malformed(name.to_owned()));
        }
        assert!(matches!(declare(&["a", "a"]), Err(ScopeError::Doubled(_))));
        let many: Vec<String> = (0..=64).map(|number| format!("s{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let most = declare(&many[..64]).unwrap();
        assert_eq!(most.names(most.all()).count(), 64);
        assert_eq!(declare(&many).unwrap_err(), ScopeError::TooMany);
    }

    /// A-14.
    #[test]
    fn nothing_implies_anything_unless_it_is_declared_to() {
        let scopes = Scopes::of_test();
        let (read, write) = (set(&["files:read"]), set(&["files:write"]));
        assert_eq!(scopes.require(write, read), Err(read));
        assert_eq!(scopes.require(write, write), Ok(()));
        assert_eq!(
            scopes.require(write, read.union(write)),
            Err(read.union(write))
        );
    }

    /// A-14.
    #[test]
    fn implications_chain_and_may_go_in_a_circle() {
        let scopes = Scopes::of_test()
            .implying("people:read", &["files:write"])
            .and_then(|scopes| scopes.implying("files:write", &["files:read"]))
            .and_then(|scopes| scopes.implying("files:read", &["people:read"]))
            .unwrap();
        let read = set(&["files:read"]);
        assert_eq!(scopes.require(set(&["people:read"]), read), Ok(()));
        assert_eq!(scopes.require(ScopeSet::EMPTY, read), Err(read));
    }

    proptest! {
        #[test]
        fn a_list_survives_being_written_and_read(bits in 0u64..8) {
            let scopes = Scopes::of_test();
            let set = ScopeSet(bits);
            prop_assert_eq!(scopes.parse(&scopes.list(set)), set);
        }

        #[test]
        fn a_list_with_a_prefix_survives_too(bits in 0u64..8, prefix in "[!#-Z]{0,20}") {
            let scopes = Scopes::of_test();
            let set = ScopeSet(bits);
            prop_assert_eq!(scopes.parse_with(&scopes.list_with(set, &prefix), &prefix), set);
            prop_assert_eq!(scopes.parse_with(&scopes.list(set), &prefix), set);
        }

        #[test]
        fn any_list_is_read(list in "\\PC{0,60}", prefix in "\\PC{0,6}") {
            let scopes = Scopes::of_test();
            prop_assert!(scopes.all().contains(scopes.parse_with(&list, &prefix)));
        }
    }
}
