//! Answers of methods, independent of the revision.

use std::{borrow::Cow, error::Error, fmt, future::Future, pin::Pin, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use rmcp::model::Resource;
use serde::{Serialize, Serializer};

use crate::{json::dual::DualJson, outgoing::ServerRequest};

/// The result of a method, before [`WireFormat`](crate::wire_format::WireFormat) serialises it for a
/// revision.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A result without members.
    Empty,
    /// A result that is serialised already, because it is the same every time.
    Ready(Arc<str>),
    /// The result of a tool.
    Tool(ToolAnswer),
    /// The client has to respond to requests and repeat the call (MCP 2026-07-28, Multi Round-Trip Requests).
    InputRequired {
        /// The requests, each with the key of its response.
        requests: Vec<(&'static str, ServerRequest)>,
        /// The `requestState`, which the client sends back.
        state: String,
    },
    /// A page of the list of resources.
    Resources(ResourcePage),
    /// The contents of a resource.
    Contents(ResourceContents),
    /// The contents of a resource that is too long for memory.
    Streamed(StreamedResource),
    /// The messages of a prompt.
    Prompt(PromptOutput),
    /// Suggestions for an argument.
    Completion(Completion),
}

/// A page of the list of resources.
#[derive(Clone, Debug)]
pub struct ResourcePage {
    /// The resources, with the members of all revisions.
    pub resources: Vec<Resource>,
    /// The cursor of the next page; absent on the last one.
    pub next_cursor: Option<String>,
}

/// The contents of a resource (MCP, `ResourceContents`).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceContents {
    /// The URI of the resource.
    pub uri: String,
    /// The media type.
    pub mime_type: Cow<'static, str>,
    /// The text or the bytes.
    #[serde(flatten)]
    pub body: ResourceBody,
}

/// The contents of a resource, fetched and sent in chunks.
#[derive(Clone)]
pub struct StreamedResource {
    /// The URI of the resource.
    pub uri: String,
    /// The media type.
    pub mime_type: Cow<'static, str>,
    /// The text.
    pub chunks: Arc<dyn Chunks>,
}

/// The text of a [`StreamedResource`].
pub trait Chunks: Send + Sync {
    /// The number of chunks.
    fn count(&self) -> u32;

    /// Fetches a chunk, by its index from 0.
    fn chunk(&self, index: u32) -> ChunkFuture;
}

/// A chunk, being fetched.
pub type ChunkFuture =
    Pin<Box<dyn Future<Output = Result<String, Box<dyn Error + Send + Sync>>> + Send>>;

impl fmt::Debug for StreamedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "StreamedResource({} pieces of {})",
            self.chunks.count(),
            self.uri
        )
    }
}

impl From<ResourceContents> for Answer {
    fn from(contents: ResourceContents) -> Self {
        Self::Contents(contents)
    }
}

impl From<StreamedResource> for Answer {
    fn from(document: StreamedResource) -> Self {
        Self::Streamed(document)
    }
}

/// The text or the bytes of a resource.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ResourceBody {
    /// A text.
    Text(String),
    /// Bytes in Base64.
    Blob(Base64),
}

/// Bytes encoded in Base64 (RFC 4648 §4).
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Base64(String);

impl From<&[u8]> for Base64 {
    fn from(bytes: &[u8]) -> Self {
        Self(STANDARD.encode(bytes))
    }
}

/// A content block of a tool result or of a prompt message (MCP, `ContentBlock`).
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// A text.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    Image(Media),
    /// Audio (MCP 2025-03-26 and later).
    Audio(Media),
    /// A link to a resource (MCP 2025-06-18 and later).
    ResourceLink(ResourceLink),
    /// An embedded resource.
    Resource {
        /// The contents of the resource.
        resource: ResourceContents,
    },
}

impl Content {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}

impl From<ResourceLink> for Content {
    fn from(link: ResourceLink) -> Self {
        Self::ResourceLink(link)
    }
}

/// An image or audio.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Media {
    /// The bytes.
    pub data: Base64,
    /// The media type.
    pub mime_type: Cow<'static, str>,
}

/// The messages of a prompt, all with the role `user`.
#[derive(Clone, Debug)]
pub struct PromptOutput {
    /// The description of the prompt.
    pub description: Cow<'static, str>,
    /// The messages.
    pub messages: Vec<Content>,
}

/// Suggestions for an argument (MCP, Completion).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Completion {
    /// At most 100 values, the most relevant first.
    pub values: Vec<String>,
    /// The number of all values, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<usize>,
    /// Whether there are, or may be, more values.
    pub has_more: bool,
}

impl Completion {
    /// No suggestions.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            values: Vec::new(),
            total: Some(0),
            has_more: false,
        }
    }
}

/// The result of a tool.
#[derive(Clone, Debug)]
pub enum ToolAnswer {
    /// Success.
    Done(ToolOutput),
    /// An error that the model can correct, as a sentence (`isError`; MCP, Tools, Error Handling).
    Failed(String),
}

/// The output of a tool.
#[derive(Clone, Debug)]
pub struct ToolOutput {
    /// The content blocks.
    pub content: Vec<Content>,
    /// The structured content, if the tool has an `outputSchema`.
    pub structured: Option<DualJson>,
}

/// A link to a resource (MCP 2025-06-18 and later, Tools, Resource Links).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceLink {
    /// The URI of the resource.
    pub uri: LazyText,
    /// The display name.
    pub name: LazyText,
    /// The description.
    pub description: &'static str,
    /// The media type.
    pub mime_type: &'static str,
}

/// A text, or a number between two constant texts that is formatted only when it is serialised: a list has
/// two of them for each item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LazyText {
    /// A text.
    Text(String),
    /// A text with a number.
    Numbered {
        /// The text before the number. It must not need escaping in JSON.
        before: &'static str,
        /// The number.
        number: i64,
        /// The text after the number. It must not need escaping in JSON.
        after: &'static str,
    },
}

impl From<String> for LazyText {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for LazyText {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl fmt::Display for LazyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Numbered {
                before,
                number,
                after,
            } => write!(f, "{before}{number}{after}"),
        }
    }
}

impl Serialize for LazyText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
