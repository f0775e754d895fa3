//! Canonical answers: what a method has to say, before a revision gives it its shape.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::outgoing::Question;

/// The answer to a request that went well.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Nothing to say but that it was done.
    Empty,
    /// A result that is in its wire shape already, because it is the same every time.
    Ready(Arc<str>),
    /// What a tool has to say.
    Tool(ToolAnswer),
    /// Nothing yet: the client has to answer first, and then call again (P-01). Modern only.
    InputRequired {
        /// The questions, each under the key that its answer comes back under.
        questions: Vec<(&'static str, Question)>,
        /// What the client has to bring back, sealed.
        state: String,
    },
}

/// What a tool has to say.
#[derive(Clone, Debug)]
pub enum ToolAnswer {
    /// It did what was asked.
    Done(ToolOutput),
    /// It could not, and here is what the model can do about it (S-08).
    Failed(String),
}

/// What a tool found or did.
#[derive(Clone, Debug)]
pub struct ToolOutput {
    /// A sentence for people.
    pub summary: String,
    /// The entries and tags that it is about.
    pub links: Vec<ResourceLink>,
    /// The result as data, serialised once: it is sent both as structured content and as text.
    pub structured: Box<RawValue>,
}

/// A link to a resource of this server (MCP 2025-06-18 and later, Tools, Resource Links).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceLink {
    /// Where it can be read.
    pub uri: String,
    /// Its name for people.
    pub name: String,
    /// What it is.
    pub description: &'static str,
    /// What reading it gives.
    pub mime_type: &'static str,
}
