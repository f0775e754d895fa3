//! The part of the builder that adds features.

use super::builder::Server;
use crate::features::{
    catalogue::Features,
    prompt::{DeclaredPrompt, Prompt},
    resource::{DeclaredResource, DeclaredTemplate, Resource, ResourceTemplate},
    tool::{DeclaredTool, Tool},
};

impl Server {
    /// Adds a tool; see [`Tool`] for an example.
    #[must_use]
    pub fn tool(self, tool: impl Tool) -> Self {
        self.declared_tools([DeclaredTool::new(tool)])
    }

    /// Adds a resource with a fixed URI.
    #[must_use]
    pub fn resource(self, resource: impl Resource) -> Self {
        self.declared_resources([DeclaredResource::new(resource)])
    }

    /// Adds a resource template.
    #[must_use]
    pub fn resource_template(self, template: impl ResourceTemplate) -> Self {
        self.declared_templates([DeclaredTemplate::new(template)])
    }

    /// Adds a prompt.
    #[must_use]
    pub fn prompt(self, prompt: impl Prompt) -> Self {
        self.declared_prompts([DeclaredPrompt::new(prompt)])
    }

    /// Adds tools that are already type-erased.
    #[must_use]
    pub fn declared_tools(mut self, tools: impl IntoIterator<Item = DeclaredTool>) -> Self {
        self.features.tools.extend(tools);
        self
    }

    /// Adds resources that are already type-erased.
    #[must_use]
    pub fn declared_resources(
        mut self,
        resources: impl IntoIterator<Item = DeclaredResource>,
    ) -> Self {
        self.features.resources.extend(resources);
        self
    }

    /// Adds resource templates that are already type-erased.
    #[must_use]
    pub fn declared_templates(
        mut self,
        templates: impl IntoIterator<Item = DeclaredTemplate>,
    ) -> Self {
        self.features.templates.extend(templates);
        self
    }

    /// Adds prompts that are already type-erased.
    #[must_use]
    pub fn declared_prompts(mut self, prompts: impl IntoIterator<Item = DeclaredPrompt>) -> Self {
        self.features.prompts.extend(prompts);
        self
    }

    /// Replaces all features that were added before.
    #[must_use]
    pub fn features(mut self, features: Features) -> Self {
        self.features = features;
        self
    }
}
