//! The five scopes, and sets of them.

use std::fmt;

/// A permission that a token may carry. Matching is exact and case-sensitive, and none implies
/// another (RFC 6749 §3.3 leaves the meaning of scope tokens to the resource server).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Scope {
    /// `user:read`: who the token speaks for.
    UserRead = 1,
    /// `entries:read`: stored entries.
    EntriesRead = 1 << 1,
    /// `entries:write`: create entries, and with `entries:read` change and delete them.
    EntriesWrite = 1 << 2,
    /// `tags:read`: stored tags.
    TagsRead = 1 << 3,
    /// `tags:write`: create tags, and with `tags:read` change and delete them.
    TagsWrite = 1 << 4,
}

impl Scope {
    /// Every scope, in the order in which they are listed to clients.
    pub const ALL: [Self; 5] = [
        Self::UserRead,
        Self::EntriesRead,
        Self::EntriesWrite,
        Self::TagsRead,
        Self::TagsWrite,
    ];

    /// The scope token as it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserRead => "user:read",
            Self::EntriesRead => "entries:read",
            Self::EntriesWrite => "entries:write",
            Self::TagsRead => "tags:read",
            Self::TagsWrite => "tags:write",
        }
    }

    /// What a person reads on a consent page.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::UserRead => "See who you are",
            Self::EntriesRead => "Read your journal entries",
            Self::EntriesWrite => "Write journal entries",
            Self::TagsRead => "Read your tags",
            Self::TagsWrite => "Write tags",
        }
    }

    /// The scope that a scope token names, if it is one of ours.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == token)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes. Prints as the space-separated list of RFC 6749 §3.3, in the order of
/// [`Scope::ALL`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(u8);

impl ScopeSet {
    /// No scope.
    pub const EMPTY: Self = Self(0);
    /// All five.
    pub const ALL: Self = Self::of(&Scope::ALL);

    /// How many different sets there are.
    pub const COMBINATIONS: usize = 1 << Scope::ALL.len();

    /// A number below [`ScopeSet::COMBINATIONS`] for each set, for tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The set of the scopes listed.
    #[must_use]
    pub const fn of(scopes: &[Scope]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < scopes.len() {
            bits |= scopes[i] as u8;
            i += 1;
        }
        Self(bits)
    }

    /// Reads a `scope` value: split on white space, empty members dropped, scopes that are not ours
    /// left out, so that they take part in no decision.
    #[must_use]
    pub fn parse(list: &str) -> Self {
        list.split_ascii_whitespace()
            .filter_map(Scope::parse)
            .fold(Self::EMPTY, |set, scope| set.with(scope))
    }

    /// This set and one scope more.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope as u8)
    }

    /// The scopes in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The scopes of this set that are not in the other.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every scope of the other set is in this one.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is no scope in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.contains(Self::of(&[*scope])))
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, scope) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopeSet({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn white_space_and_unknown_scopes_leave_no_trace() {
        let set =
            ScopeSet::parse("  entries:read   user:write\tENTRIES:WRITE tags:read tags:read ");
        assert_eq!(set.to_string(), "entries:read tags:read");
        assert!(ScopeSet::parse("").is_empty());
    }

    proptest! {
        #[test]
        fn a_set_reads_back_what_it_prints(bits in 0u8..32) {
            let set = ScopeSet(bits);
            prop_assert_eq!(ScopeSet::parse(&set.to_string()), set);
        }

        #[test]
        fn union_contains_both_and_minus_takes_away(a in 0u8..32, b in 0u8..32) {
            let (a, b) = (ScopeSet(a), ScopeSet(b));
            prop_assert!(a.union(b).contains(a) && a.union(b).contains(b));
            prop_assert!(a.minus(b).iter().all(|scope| !b.contains(ScopeSet::of(&[scope]))));
            prop_assert_eq!(a.contains(b), b.minus(a).is_empty());
        }

        #[test]
        fn any_text_parses(list in ".*") {
            let _ = ScopeSet::parse(&list);
        }
    }
}
