//! Which scopes satisfy which.

use crate::domain::scope::{Scope, ScopeSet};

/// Decides whether what a token carries is enough for what an operation needs.
///
/// MCP 2026-07-28, Authorization, has a server account for scopes that imply others. The type can
/// say so; the built-in policy declares no implication, because a client that may append to a
/// journal need not be able to read it.
#[derive(Clone, Debug, Default)]
pub struct ScopePolicy {
    implications: Vec<(Scope, ScopeSet)>,
}

impl ScopePolicy {
    /// This policy, in which `broad` implies every scope of `narrow`, and what those imply.
    #[must_use]
    pub fn implying(mut self, broad: Scope, narrow: ScopeSet) -> Self {
        self.implications.push((broad, narrow));
        self
    }

    /// What is missing of `needed` for somebody who was granted `granted`.
    ///
    /// # Errors
    /// The whole of `needed`, so that a client can ask for all of it at once, if any scope of it is
    /// missing.
    pub fn require(&self, granted: ScopeSet, needed: ScopeSet) -> Result<(), ScopeSet> {
        if self.expand(granted).contains(needed) {
            Ok(())
        } else {
            Err(needed)
        }
    }

    fn expand(&self, granted: ScopeSet) -> ScopeSet {
        let mut expanded = granted;
        loop {
            let next = self
                .implications
                .iter()
                .filter(|(broad, _)| expanded.contains(ScopeSet::of(&[*broad])))
                .fold(expanded, |set, (_, narrow)| set.union(*narrow));
            if next == expanded {
                return expanded;
            }
            expanded = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: ScopeSet = ScopeSet::of(&[Scope::EntriesRead]);
    const WRITE: ScopeSet = ScopeSet::of(&[Scope::EntriesWrite]);

    ///
    #[test]
    fn the_built_in_policy_lets_write_imply_nothing() {
        let policy = ScopePolicy::default();
        assert_eq!(policy.require(WRITE, READ), Err(READ));
        assert_eq!(policy.require(WRITE, WRITE), Ok(()));
        assert_eq!(
            policy.require(WRITE, READ.union(WRITE)),
            Err(READ.union(WRITE))
        );
    }

    ///
    #[test]
    fn implications_chain_and_may_go_in_a_circle() {
        let policy = ScopePolicy::default()
            .implying(Scope::TagsWrite, WRITE)
            .implying(Scope::EntriesWrite, READ)
            .implying(Scope::EntriesRead, ScopeSet::of(&[Scope::TagsWrite]));
        assert_eq!(
            policy.require(ScopeSet::of(&[Scope::TagsWrite]), READ),
            Ok(())
        );
        assert_eq!(policy.require(ScopeSet::EMPTY, READ), Err(READ));
    }
}
