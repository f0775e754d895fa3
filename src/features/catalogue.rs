//! Every feature there is, and who may see which.

use std::sync::{Arc, OnceLock};

use serde_json::json;

use super::{
    prompt::DeclaredPrompt,
    prompts,
    resource::{DeclaredResource, DeclaredTemplate, Listing, Located},
    resources,
    tool::DeclaredTool,
    tools,
    uri::Uri,
};
use crate::{
    domain::scope::ScopeSet,
    mcp::{outgoing::notification, shape, version::ProtocolVersion},
    oauth::policy::ScopePolicy,
};

/// All features, in the order in which lists show them, and the policy that says which scopes
/// suffice for which.
pub struct Catalogue {
    tools: Vec<DeclaredTool>,
    resources: Vec<DeclaredResource>,
    templates: Vec<DeclaredTemplate>,
    prompts: Vec<DeclaredPrompt>,
    policy: ScopePolicy,
    tool_lists: Lists,
    template_lists: Lists,
    prompt_lists: Lists,
    discovery: Arc<str>,
}

/// Declarations, in the order in which lists show them.
#[derive(Default)]
pub struct Features {
    /// What models call.
    pub tools: Vec<DeclaredTool>,
    /// What is read at a URI of its own.
    pub resources: Vec<DeclaredResource>,
    /// What is read at one of many URIs.
    pub templates: Vec<DeclaredTemplate>,
    /// What people choose.
    pub prompts: Vec<DeclaredPrompt>,
}

impl Features {
    /// The journal's.
    #[must_use]
    pub fn of_the_journal() -> Self {
        Self {
            tools: tools::all(),
            resources: resources::all(),
            templates: resources::templates(),
            prompts: prompts::all(),
        }
    }
}

/// A list of declarations depends on the scopes and the revision alone, so each of the few that there
/// can be is made once.
struct Lists(Vec<OnceLock<Arc<str>>>);

impl Lists {
    fn new() -> Self {
        let kinds = ScopeSet::COMBINATIONS * ProtocolVersion::ALL.len();
        Self((0..kinds).map(|_| OnceLock::new()).collect())
    }

    fn get(
        &self,
        granted: ScopeSet,
        version: ProtocolVersion,
        make: impl FnOnce() -> String,
    ) -> Arc<str> {
        let index = granted.index() * ProtocolVersion::ALL.len() + version as usize;
        Arc::clone(self.0[index].get_or_init(|| make().into()))
    }
}

impl Catalogue {
    /// The journal's features under a scope policy.
    #[must_use]
    pub fn new(policy: ScopePolicy) -> Self {
        Self::of(Features::of_the_journal(), policy)
    }

    /// Features under a scope policy.
    #[must_use]
    pub fn of(features: Features, policy: ScopePolicy) -> Self {
        let Features {
            tools,
            resources,
            templates,
            prompts,
        } = features;
        Self {
            tools,
            resources,
            templates,
            prompts,
            policy,
            tool_lists: Lists::new(),
            template_lists: Lists::new(),
            prompt_lists: Lists::new(),
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
        self.tool_lists.get(granted, version, || {
            let (visible, is_whole) = self.visible(granted, &self.tools, DeclaredTool::scopes);
            let descriptors = visible.into_iter().map(|tool| &tool.descriptor);
            shape::tool_list(descriptors, is_whole, version)
        })
    }

    /// The result of `resources/templates/list` for a token with these scopes.
    #[must_use]
    pub fn template_list(&self, granted: ScopeSet, version: ProtocolVersion) -> Arc<str> {
        self.template_lists.get(granted, version, || {
            let (visible, is_whole) =
                self.visible(granted, &self.templates, DeclaredTemplate::scopes);
            let descriptors = visible.into_iter().map(|template| &template.descriptor);
            shape::template_list(descriptors, is_whole, version)
        })
    }

    /// The result of `prompts/list` for a token with these scopes.
    #[must_use]
    pub fn prompt_list(&self, granted: ScopeSet, version: ProtocolVersion) -> Arc<str> {
        self.prompt_lists.get(granted, version, || {
            let (visible, is_whole) = self.visible(granted, &self.prompts, DeclaredPrompt::scopes);
            let descriptors = visible.into_iter().map(|prompt| &prompt.descriptor);
            shape::prompt_list(descriptors, is_whole, version)
        })
    }

    /// What a client of a session hears when its token has other scopes than the one before: one
    /// notification for each kind of list that is another now.
    #[must_use]
    pub fn changed_lists(
        &self,
        before: ScopeSet,
        now: ScopeSet,
        version: ProtocolVersion,
    ) -> Vec<String> {
        if before == now {
            return Vec::new();
        }
        let tools = self.tool_list(before, version) != self.tool_list(now, version);
        // A list of resources has those of its own and those of templates that are listed one by one;
        // of the templates themselves there is no other notification.
        let uris = |granted| -> Vec<_> {
            let resources = self.resources_for(granted).into_iter();
            resources.map(|one| &one.descriptor.uri).collect()
        };
        let resources = uris(before) != uris(now)
            || self.template_list(before, version) != self.template_list(now, version);
        let prompts = self.prompt_list(before, version) != self.prompt_list(now, version);
        [
            (tools, "notifications/tools/list_changed"),
            (prompts, "notifications/prompts/list_changed"),
            (resources, "notifications/resources/list_changed"),
        ]
        .into_iter()
        .filter(|(changed, _)| *changed)
        .map(|(_, method)| notification(method, &json!({})))
        .collect()
    }

    /// The resources that a token with these scopes may read.
    #[must_use]
    pub fn resources_for(&self, granted: ScopeSet) -> Vec<&DeclaredResource> {
        self.visible(granted, &self.resources, DeclaredResource::scopes)
            .0
    }

    /// How the resources of templates are listed for a token with these scopes. There is one template
    /// at most whose resources are listed, so that a cursor is a place in one list.
    #[must_use]
    pub fn listing_for(&self, granted: ScopeSet) -> Option<Listing> {
        self.visible(granted, &self.templates, DeclaredTemplate::scopes)
            .0
            .into_iter()
            .find_map(DeclaredTemplate::listing)
    }

    /// What a token needs for the list of resources to show more than what is always there.
    #[must_use]
    pub fn scopes_of_listing(&self) -> Option<ScopeSet> {
        self.templates
            .iter()
            .find(|template| template.listing().is_some())
            .map(DeclaredTemplate::scopes)
    }

    /// What is shown to a token with these scopes, and whether that is everything.
    fn visible<'a, T>(
        &self,
        granted: ScopeSet,
        all: &'a [T],
        scopes: fn(&T) -> ScopeSet,
    ) -> (Vec<&'a T>, bool) {
        let visible: Vec<_> = all
            .iter()
            .filter(|one| self.policy.require(granted, scopes(one)).is_ok())
            .collect();
        let is_whole = visible.len() == all.len();
        (visible, is_whole)
    }

    /// What a URI leads to, hidden or not.
    #[must_use]
    pub fn locate(&self, uri: &str) -> Option<Located<'_>> {
        let uri = Uri::parse(uri)?;
        let of_template = |template| {
            DeclaredTemplate::id_in(template, uri).map(|id| Located::OfTemplate(template, id))
        };
        self.resources
            .iter()
            .find(|resource| resource.is_at(uri))
            .map(Located::Resource)
            .or_else(|| self.templates.iter().find_map(of_template))
    }

    /// The template that is written so, hidden or not.
    #[must_use]
    pub fn template(&self, uri_template: &str) -> Option<&DeclaredTemplate> {
        self.templates
            .iter()
            .find(|template| template.descriptor.uri_template == uri_template)
    }

    /// The prompt of that name, hidden or not.
    #[must_use]
    pub fn prompt(&self, name: &str) -> Option<&DeclaredPrompt> {
        self.prompts.iter().find(|prompt| prompt.name() == name)
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

    /// All resources that have a URI of their own.
    pub fn resources(&self) -> impl Iterator<Item = &DeclaredResource> {
        self.resources.iter()
    }

    /// All templates.
    pub fn templates(&self) -> impl Iterator<Item = &DeclaredTemplate> {
        self.templates.iter()
    }

    /// All prompts.
    pub fn prompts(&self) -> impl Iterator<Item = &DeclaredPrompt> {
        self.prompts.iter()
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
        for list in [
            Catalogue::tool_list,
            Catalogue::template_list,
            Catalogue::prompt_list,
        ] {
            let kept_for = |granted| {
                let list = list(&catalogue, granted, ProtocolVersion::V2026_07_28);
                let list: Value = serde_json::from_str(&list).unwrap();
                list["ttlMs"].as_u64().unwrap()
            };
            assert!(kept_for(ScopeSet::ALL) > 0);
            assert_eq!(kept_for(ScopeSet::of(&[Scope::EntriesRead])), 0);
        }
    }

    #[test]
    fn at_most_one_template_is_listed_one_by_one() {
        let catalogue = Catalogue::new(ScopePolicy::default());
        let listed = catalogue
            .templates()
            .filter(|template| template.listing().is_some());
        assert!(listed.count() <= 1);
    }

    #[test]
    fn what_an_update_lets_out_its_schema_lets_out_too() {
        let catalogue = Catalogue::new(ScopePolicy::default());
        for name in ["update_entry", "update_tag"] {
            let schema = &catalogue.tool(name).unwrap().descriptor.input_schema;
            assert_eq!(schema["required"], serde_json::json!(["id"]), "{name}");
            for (field, rule) in schema["properties"].as_object().unwrap() {
                assert!(
                    rule.get("default").is_none(),
                    "{name}: {field} has no default"
                );
            }
        }
    }
}
