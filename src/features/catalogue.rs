//! Every feature there is, and who may see which.

use std::sync::{Arc, OnceLock};

use super::{tool::DeclaredTool, tools};
use crate::{
    domain::scope::ScopeSet,
    mcp::{shape, version::ProtocolVersion},
    oauth::policy::ScopePolicy,
};

/// All features, in the order in which lists show them, and the policy that says which scopes
/// suffice for which.
pub struct Catalogue {
    tools: Vec<DeclaredTool>,
    policy: ScopePolicy,
    // A list depends on the scopes and the revision alone, so each of the few that there can be is
    // made once.
    tool_lists: Vec<OnceLock<Arc<str>>>,
    discovery: Arc<str>,
}

impl Catalogue {
    /// The catalogue under a scope policy.
    #[must_use]
    pub fn new(policy: ScopePolicy) -> Self {
        let kinds_of_list = ScopeSet::COMBINATIONS * ProtocolVersion::ALL.len();
        Self {
            tools: tools::all(),
            policy,
            tool_lists: (0..kinds_of_list).map(|_| OnceLock::new()).collect(),
            discovery: shape::discover().into(),
        }
    }

    /// The result of `server/discover`.
    #[must_use]
    pub fn discovery(&self) -> Arc<str> {
        Arc::clone(&self.discovery)
    }

    /// The result of `tools/list` for a token with these scopes.
    #[must_use]
    pub fn tool_list(&self, granted: ScopeSet, version: ProtocolVersion) -> Arc<str> {
        let index = granted.index() * ProtocolVersion::ALL.len() + version as usize;
        let list = self.tool_lists[index].get_or_init(|| {
            let visible: Vec<_> = self
                .tools
                .iter()
                .filter(|tool| self.policy.require(granted, tool.scopes()).is_ok())
                .map(|tool| &tool.descriptor)
                .collect();
            let is_whole = visible.len() == self.tools.len();
            shape::tool_list(visible.into_iter(), is_whole, version).into()
        });
        Arc::clone(list)
    }

    /// The tool of that name, hidden or not.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&DeclaredTool> {
        self.tools.iter().find(|tool| tool.name() == name)
    }

    /// All tools.
    pub fn tools(&self) -> impl Iterator<Item = &DeclaredTool> {
        self.tools.iter()
    }

    /// Which scopes suffice for which.
    #[must_use]
    pub fn policy(&self) -> &ScopePolicy {
        &self.policy
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::domain::scope::Scope;

    #[test]
    fn a_list_that_a_step_up_would_lengthen_is_not_to_be_kept() {
        let catalogue = Catalogue::new(ScopePolicy::default());
        let kept_for = |granted| {
            let list = catalogue.tool_list(granted, ProtocolVersion::V2026_07_28);
            let list: Value = serde_json::from_str(&list).unwrap();
            list["ttlMs"].as_u64().unwrap()
        };
        assert!(kept_for(ScopeSet::ALL) > 0);
        assert_eq!(kept_for(ScopeSet::of(&[Scope::EntriesRead])), 0);
    }
}
