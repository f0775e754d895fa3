//! The description and the capabilities of a server.

use rmcp::model::{Icon, Implementation};
use serde_json::{Map, Value, json};

use crate::version::ProtocolVersion;

/// The description of a server (MCP, `Implementation`).
#[derive(Clone, Debug)]
pub struct ServerInfo {
    /// The name for programs.
    pub name: String,
    /// The version.
    pub version: String,
    /// The display name.
    pub title: Option<String>,
    /// A sentence that describes it.
    pub description: Option<String>,
    /// The URL of its website.
    pub website_url: Option<String>,
    /// Its icons.
    pub icons: Vec<Icon>,
    /// Instructions for models.
    pub instructions: Option<String>,
}

impl ServerInfo {
    /// A server with this name and version.
    #[must_use]
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            title: None,
            description: None,
            website_url: None,
            icons: Vec::new(),
            instructions: None,
        }
    }

    /// The `Implementation` of a revision.
    pub(crate) fn implementation(&self, version: ProtocolVersion) -> Implementation {
        let mut info = Implementation::new(self.name.clone(), self.version.clone());
        if version.has_titles() {
            info.title.clone_from(&self.title);
        }
        if version.has_implementation_details() {
            info.description.clone_from(&self.description);
            info.website_url.clone_from(&self.website_url);
            info.icons = (!self.icons.is_empty()).then(|| self.icons.clone());
        }
        info
    }
}

/// The features of a server, which determine its declared capabilities (MCP, Server Capabilities).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Tools.
    pub tools: bool,
    /// Resources or resource templates.
    pub resources: bool,
    /// Prompts.
    pub prompts: bool,
    /// Suggestions for arguments of prompts or ids of templates.
    pub completions: bool,
}

impl Capabilities {
    /// The `capabilities` member of a revision. `lists` is the value for tools and prompts.
    pub(crate) fn claimed(self, lists: &Value, version: ProtocolVersion) -> Value {
        let mut claimed = Map::new();
        let mut claim = |has: bool, name: &str, value: Value| {
            if has {
                claimed.insert(name.to_owned(), value);
            }
        };
        let resources = json!({ "subscribe": true, "listChanged": true });
        claim(self.tools, "tools", lists.clone());
        claim(self.resources, "resources", resources);
        claim(self.prompts, "prompts", lists.clone());
        claim(self.completions, "completions", json!({}));
        // Deprecated in 2026-07-28, whose clients name the level with each request.
        claim(!version.is_modern(), "logging", json!({}));
        claimed.into()
    }
}
