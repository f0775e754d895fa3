//! What a server says of itself.

use mcp_protocol::server_info::ServerInfo;
use rmcp::model::Icon;

use super::builder::Server;
use crate::features::presentation::Presentation;

impl Server {
    /// Replaces the description of the server: name, version, title and the rest.
    #[must_use]
    pub fn info(mut self, info: ServerInfo) -> Self {
        self.info = info;
        self
    }

    /// The server's version (MCP, `Implementation`); `0.0.0` by default.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.info.version = version.into();
        self
    }

    /// The server's display name (MCP, `Implementation`).
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.info.title = Some(title.into());
        self
    }

    /// A sentence that describes the server (MCP, `Implementation`).
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.info.description = Some(description.into());
        self
    }

    /// The URL of the server's website (MCP, `Implementation`).
    #[must_use]
    pub fn website(mut self, url: impl Into<String>) -> Self {
        self.info.website_url = Some(url.into());
        self
    }

    /// Adds an icon (MCP, `Implementation`). May be called several times.
    #[must_use]
    pub fn icon(mut self, icon: Icon) -> Self {
        self.info.icons.push(icon);
        self
    }

    /// Instructions for models that use the server (MCP, `instructions`).
    #[must_use]
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.info.instructions = Some(instructions.into());
        self
    }

    /// The first line of the page at `/`; the title and the description by default.
    #[must_use]
    pub fn headline(mut self, headline: impl Into<String>) -> Self {
        self.headline = Some(headline.into());
        self
    }

    /// `resource_name` of the protected resource metadata (RFC 9728 §2); the title or the name by default.
    #[must_use]
    pub fn resource_name(mut self, name: impl Into<String>) -> Self {
        self.resource_name = Some(name.into());
        self
    }

    /// `resource_documentation` of the protected resource metadata (RFC 9728 §2), a URL; the public URL by
    /// default.
    #[must_use]
    pub fn documentation(mut self, url: impl Into<String>) -> Self {
        self.documentation = Some(url.into());
        self
    }

    /// What clients are shown beyond what they need: links to resources in results, features that their token does not
    /// permit. Nothing by default.
    #[must_use]
    pub fn presentation(mut self, presentation: Presentation) -> Self {
        self.presentation = presentation;
        self
    }
}
