//! The catalogue: all features of a server, and which tokens see which.

use std::sync::Arc;

use quick_cache::sync::Cache;
use serde_json::json;

use super::{
    declaration::DeclarationError,
    presentation::{self, Presentation},
    prompt::DeclaredPrompt,
    resource::{DeclaredResource, DeclaredTemplate, Located},
    target::Target,
    tool::DeclaredTool,
    uri::Uri,
};
use mcp_protocol::{
    outgoing::notification,
    server_info::{Capabilities, ServerInfo},
    version::ProtocolVersion,
    wire_format::WireFormat,
};
use resource_server::scope::{ScopeSet, Scopes};

/// The number of cached lists of each kind: one for each set of scopes and each revision. Tokens of one
/// client have the same scopes, so there are few.
const LISTS: usize = 256;

/// All features, in the order of the lists.
pub struct Catalogue {
    tools: Vec<DeclaredTool>,
    resources: Vec<DeclaredResource>,
    templates: Vec<DeclaredTemplate>,
    prompts: Vec<DeclaredPrompt>,
    scopes: Scopes,
    wire_format: WireFormat,
    tool_lists: Lists,
    template_lists: Lists,
    prompt_lists: Lists,
    discoveries: Lists,
    presentation: Presentation,
}

/// Declarations, in the order of the lists.
#[derive(Default)]
pub struct Features {
    /// The tools.
    pub tools: Vec<DeclaredTool>,
    /// The resources with a fixed URI.
    pub resources: Vec<DeclaredResource>,
    /// The resource templates.
    pub templates: Vec<DeclaredTemplate>,
    /// The prompts.
    pub prompts: Vec<DeclaredPrompt>,
}

impl Features {
    /// Resolves the names of scopes in all declarations.
    fn resolve(&mut self, scopes: &Scopes) -> Result<(), DeclarationError> {
        let tools = self.tools.iter_mut().map(|tool| tool.resolve(scopes));
        let resources = self.resources.iter_mut().map(|one| one.resolve(scopes));
        let templates = self.templates.iter_mut().map(|one| one.resolve(scopes));
        let prompts = self.prompts.iter_mut().map(|one| one.resolve(scopes));
        let mut all = tools.chain(resources).chain(templates).chain(prompts);
        all.try_for_each(|resolved| resolved)?;
        self.check_names()
    }

    fn check_names(&self) -> Result<(), DeclarationError> {
        let tools = self.tools.iter().map(DeclaredTool::name);
        let resources = self.resources.iter().map(|one| &*one.descriptor.uri);
        let templates = self.templates.iter();
        let templates = templates.map(|one| &*one.descriptor.uri_template);
        let prompts = self.prompts.iter().map(DeclaredPrompt::name);
        unique("tool", tools)?;
        unique("resource", resources)?;
        unique("resource template", templates)?;
        unique("prompt", prompts)?;
        let mut listed = self.templates.iter().filter(|one| one.is_listed()).skip(1);
        listed.next().map_or(Ok(()), |second| {
            let template = second.descriptor.uri_template.clone();
            Err(DeclarationError::SecondListing(template))
        })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            tools: !self.tools.is_empty(),
            resources: !self.resources.is_empty() || !self.templates.is_empty(),
            prompts: !self.prompts.is_empty(),
            completions: self.templates.iter().any(|one| one.completer().is_some())
                || self.prompts.iter().any(DeclaredPrompt::has_completers),
        }
    }
}

fn unique<'a>(
    kind: &'static str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), DeclarationError> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name) {
            let name = name.to_owned();
            return Err(DeclarationError::Duplicate { kind, name });
        }
    }
    Ok(())
}

/// A list depends only on the scopes and the revision, so it is serialised once for each.
struct Lists(Cache<(ScopeSet, ProtocolVersion), Arc<str>>);

impl Lists {
    fn new() -> Self {
        Self(Cache::new(LISTS))
    }

    fn get(
        &self,
        granted: ScopeSet,
        version: ProtocolVersion,
        make: impl FnOnce() -> String,
    ) -> Arc<str> {
        let key = (granted, version);
        self.0.get(&key).unwrap_or_else(|| {
            let list = Arc::<str>::from(make());
            self.0.insert(key, Arc::clone(&list));
            list
        })
    }
}

impl Catalogue {
    /// The catalogue of a server with these features and scopes.
    ///
    /// # Errors
    /// See [`DeclarationError`].
    pub fn new(
        mut features: Features,
        scopes: Scopes,
        info: ServerInfo,
        presentation: Presentation,
    ) -> Result<Self, DeclarationError> {
        features.resolve(&scopes)?;
        let wire_format = WireFormat::new(info, features.capabilities());
        let Features {
            tools,
            resources,
            templates,
            prompts,
        } = features;
        Ok(Self {
            tools,
            resources,
            templates,
            prompts,
            scopes,
            tool_lists: Lists::new(),
            template_lists: Lists::new(),
            prompt_lists: Lists::new(),
            discoveries: Lists::new(),
            wire_format,
            presentation,
        })
    }

    /// Serialises answers for a revision.
    #[must_use]
    pub(crate) fn wire_format(&self) -> &WireFormat {
        &self.wire_format
    }

    /// The result of `server/discover` for a token with these scopes.
    #[must_use]
    pub(crate) fn discovery(&self, granted: ScopeSet, version: ProtocolVersion) -> Arc<str> {
        self.discoveries.get(granted, version, || {
            self.wire_format.discover(self.lacking(granted).as_deref())
        })
    }

    /// The result of `initialize` for a token with these scopes.
    #[must_use]
    pub(crate) fn initialized(&self, granted: ScopeSet, version: ProtocolVersion) -> String {
        let lacking = self.lacking(granted);
        self.wire_format.initialized(version, lacking.as_deref())
    }

    fn lacking(&self, granted: ScopeSet) -> Option<String> {
        presentation::lacking(&self.scopes, granted, self.presentation)
    }

    /// The result of `tools/list` for a token with these scopes.
    #[must_use]
    pub(crate) fn tool_list(&self, granted: ScopeSet, version: ProtocolVersion) -> Arc<str> {
        self.tool_lists.get(granted, version, || {
            let (visible, is_complete) = self.visible(granted, &self.tools, DeclaredTool::scopes);
            let descriptors = visible.into_iter().map(|tool| &tool.descriptor);
            self.wire_format
                .tool_list(descriptors, is_complete, version)
        })
    }

    /// The result of `resources/templates/list` for a token with these scopes.
    #[must_use]
    pub(crate) fn template_list(&self, granted: ScopeSet, version: ProtocolVersion) -> Arc<str> {
        self.template_lists.get(granted, version, || {
            let (visible, is_complete) =
                self.visible(granted, &self.templates, DeclaredTemplate::scopes);
            let descriptors = visible.into_iter().map(|template| &template.descriptor);
            self.wire_format
                .template_list(descriptors, is_complete, version)
        })
    }

    /// The result of `prompts/list` for a token with these scopes.
    #[must_use]
    pub(crate) fn prompt_list(&self, granted: ScopeSet, version: ProtocolVersion) -> Arc<str> {
        self.prompt_lists.get(granted, version, || {
            let (visible, is_complete) =
                self.visible(granted, &self.prompts, DeclaredPrompt::scopes);
            let descriptors = visible.into_iter().map(|prompt| &prompt.descriptor);
            self.wire_format
                .prompt_list(descriptors, is_complete, version)
        })
    }

    /// The notifications for a session whose token has changed from the scopes `before` to `now`: one for
    /// each kind of list that differs.
    #[must_use]
    pub(crate) fn changed_lists(
        &self,
        before: ScopeSet,
        now: ScopeSet,
        version: ProtocolVersion,
    ) -> Vec<String> {
        if before == now {
            return Vec::new();
        }
        let tools = self.tool_list(before, version) != self.tool_list(now, version);
        // The same notification stands for the list of resources and the list of templates.
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
    pub(crate) fn resources_for(&self, granted: ScopeSet) -> Vec<&DeclaredResource> {
        self.visible(granted, &self.resources, DeclaredResource::scopes)
            .0
    }

    /// The template whose resources are listed, if these scopes permit to read them.
    #[must_use]
    pub(crate) fn listed_template(&self, granted: ScopeSet) -> Option<&DeclaredTemplate> {
        let listed = self.templates.iter().find(|template| template.is_listed());
        listed.filter(|template| self.scopes.require(granted, template.scopes()).is_ok())
    }

    /// The scopes with which `resources/list` contains resources of a template; `None` if it never does.
    #[must_use]
    pub(crate) fn scopes_of_listing(&self) -> Option<ScopeSet> {
        let listed = self.templates.iter().find(|template| template.is_listed());
        listed.map(DeclaredTemplate::scopes)
    }

    /// The declarations that these scopes permit, and whether that is all of them.
    fn visible<'a, T>(
        &self,
        granted: ScopeSet,
        all: &'a [T],
        scopes: fn(&T) -> ScopeSet,
    ) -> (Vec<&'a T>, bool) {
        let visible: Vec<_> = all
            .iter()
            .filter(|one| {
                self.presentation.all_features || self.scopes.require(granted, scopes(one)).is_ok()
            })
            .collect();
        let is_complete = visible.len() == all.len();
        (visible, is_complete)
    }

    /// The index of the tool with this name, visible or not.
    #[must_use]
    pub(crate) fn tool_index(&self, name: &str) -> Option<usize> {
        self.tools.iter().position(|tool| tool.name() == name)
    }

    /// The index of the prompt with this name, visible or not.
    #[must_use]
    pub(crate) fn prompt_index(&self, name: &str) -> Option<usize> {
        self.prompts.iter().position(|prompt| prompt.name() == name)
    }

    /// The index of the template with this URI template, visible or not.
    #[must_use]
    pub(crate) fn template_index(&self, uri_template: &str) -> Option<usize> {
        self.templates
            .iter()
            .position(|template| template.descriptor.uri_template == uri_template)
    }

    /// The resource or template that a URI identifies, visible or not.
    #[must_use]
    pub(crate) fn target_of_uri(&self, uri: &str) -> Option<Target> {
        let uri = Uri::parse(uri)?;
        let mut resources = self.resources.iter();
        let resource = resources.position(|resource| resource.is_at(uri));
        resource.map(Target::Resource).or_else(|| {
            let mut templates = self.templates.iter();
            templates
                .position(|template| template.id_in(uri).is_some())
                .map(Target::Template)
        })
    }

    /// The resource that a URI identifies, visible or not.
    #[must_use]
    pub(crate) fn locate<'a>(&'a self, uri: &'a str) -> Option<Located<'a>> {
        let parsed = Uri::parse(uri)?;
        match self.target_of_uri(uri)? {
            Target::Resource(index) => Some(Located::Resource(&self.resources[index])),
            Target::Template(index) => {
                let template = &self.templates[index];
                let id = template.id_in(parsed)?;
                Some(Located::Template(template, id))
            }
            _ => None,
        }
    }

    /// The tool with this index.
    #[must_use]
    pub(crate) fn tool(&self, index: usize) -> &DeclaredTool {
        &self.tools[index]
    }

    /// The prompt with this index.
    #[must_use]
    pub(crate) fn prompt(&self, index: usize) -> &DeclaredPrompt {
        &self.prompts[index]
    }

    /// The resource with this index.
    #[must_use]
    pub(crate) fn resource(&self, index: usize) -> &DeclaredResource {
        &self.resources[index]
    }

    /// The template with this index.
    #[must_use]
    pub(crate) fn template(&self, index: usize) -> &DeclaredTemplate {
        &self.templates[index]
    }

    /// All tools.
    pub(crate) fn tools(&self) -> impl Iterator<Item = &DeclaredTool> {
        self.tools.iter()
    }

    /// All resources with a fixed URI.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &DeclaredResource> {
        self.resources.iter()
    }

    /// All templates.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &DeclaredTemplate> {
        self.templates.iter()
    }

    /// All prompts.
    pub(crate) fn prompts(&self) -> impl Iterator<Item = &DeclaredPrompt> {
        self.prompts.iter()
    }

    /// The declared scopes.
    #[must_use]
    pub(crate) fn scopes(&self) -> &Scopes {
        &self.scopes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{
        context::ReadContext,
        resource::{Contents, Resource},
        tool_error::ToolError,
    };
    use resource_server::scope::ScopeError;

    struct File;

    impl Resource for File {
        const URI: &'static str = "files://current";
        const NAME: &'static str = "current";
        const DESCRIPTION: &'static str = "The current file.";
        const SCOPES: &'static [&'static str] = &["files:read"];

        async fn read(&self, _: ReadContext) -> Result<Contents, ToolError> {
            Ok(Contents::text("text"))
        }
    }

    struct Burn;

    impl Resource for Burn {
        const URI: &'static str = "files://ashes";
        const NAME: &'static str = "ashes";
        const DESCRIPTION: &'static str = "What is left.";
        const SCOPES: &'static [&'static str] = &["files:burn"];

        async fn read(&self, _: ReadContext) -> Result<Contents, ToolError> {
            Ok(Contents::text("text"))
        }
    }

    fn with(resources: Vec<DeclaredResource>) -> Result<Catalogue, DeclarationError> {
        let features = Features {
            resources,
            ..Features::default()
        };
        Catalogue::new(
            features,
            crate::samples::scopes(),
            ServerInfo::new("files", "1.0.0"),
            Presentation::default(),
        )
    }

    #[test]
    fn a_scope_that_is_not_declared_stops_the_start_with_its_name_and_the_features() {
        let error = with(vec![DeclaredResource::new(Burn)]).err().unwrap();
        assert_eq!(
            error.to_string(),
            "the resource `files://ashes`: the scope files:burn is not declared"
        );
        let DeclarationError::Scope { source, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(source, ScopeError::Undeclared("files:burn".to_owned()));
    }

    #[test]
    fn a_name_is_declared_once() {
        let twice = || DeclaredResource::new(File);
        let error = with(vec![twice(), twice()]).err().unwrap();
        assert!(matches!(
            error,
            DeclarationError::Duplicate {
                kind: "resource",
                ..
            }
        ));
        assert!(with(vec![twice()]).is_ok());
    }

    #[test]
    fn a_server_claims_only_what_it_has() {
        let catalogue = with(vec![DeclaredResource::new(File)]).unwrap();
        let discovery: serde_json::Value =
            serde_json::from_str(&catalogue.discovery(ScopeSet::EMPTY, ProtocolVersion::MODERN[0]))
                .unwrap();
        let capabilities = discovery["capabilities"].as_object().unwrap();
        assert!(capabilities.contains_key("resources"));
        for absent in ["tools", "prompts", "completions"] {
            assert!(!capabilities.contains_key(absent), "{absent}");
        }
    }
}
