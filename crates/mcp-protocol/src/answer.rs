//! Canonical answers: what a method has to say, before a revision gives it its shape.

use std::{borrow::Cow, error::Error, fmt, future::Future, pin::Pin, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use rmcp::model::Resource;
use serde::{Serialize, Serializer};

use crate::{json::data::Data, outgoing::ServerRequest};

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
        questions: Vec<(&'static str, ServerRequest)>,
        /// What the client has to bring back, sealed.
        state: String,
    },
    /// A page of the list of resources.
    Resources(ResourcePage),
    /// What reading a resource gave.
    Contents(ResourceContents),
    /// The same, where it is too long to be held at once.
    Document(Document),
    /// A prompt, filled in.
    Prompt(PromptOutput),
    /// How what was typed may go on.
    Completion(Completion),
}

/// A page of the list of resources.
#[derive(Clone, Debug)]
pub struct ResourcePage {
    /// With everything that any revision shows.
    pub resources: Vec<Resource>,
    /// Where the next page begins; absent on the last page.
    pub next_cursor: Option<String>,
}

/// A resource's contents.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceContents {
    /// Where it was read.
    pub uri: String,
    /// How to read it.
    pub mime_type: Cow<'static, str>,
    /// What it says.
    #[serde(flatten)]
    pub body: ResourceBody,
}

/// A resource's contents that are fetched and sent piece by piece.
#[derive(Clone)]
pub struct Document {
    /// Where it was read.
    pub uri: String,
    /// How to read it.
    pub mime_type: Cow<'static, str>,
    /// What it says.
    pub pieces: Arc<dyn Chunks>,
}

/// The text of a [`Document`].
pub trait Chunks: Send + Sync {
    /// How many there are.
    fn count(&self) -> u32;

    /// Fetches one, by its place from 0.
    fn fetch(&self, place: u32) -> PieceFuture;
}

/// A piece on its way.
pub type PieceFuture =
    Pin<Box<dyn Future<Output = Result<String, Box<dyn Error + Send + Sync>>> + Send>>;

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Document({} pieces of {})",
            self.pieces.count(),
            self.uri
        )
    }
}

impl From<ResourceContents> for Answer {
    fn from(contents: ResourceContents) -> Self {
        Self::Contents(contents)
    }
}

impl From<Document> for Answer {
    fn from(document: Document) -> Self {
        Self::Document(document)
    }
}

/// What a resource says.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ResourceBody {
    /// This.
    Text(String),
    /// These bytes, in Base64.
    Blob(Base64),
}

/// Bytes on their way into JSON.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Base64(String);

impl From<&[u8]> for Base64 {
    fn from(bytes: &[u8]) -> Self {
        Self(STANDARD.encode(bytes))
    }
}

/// A block of content: what a tool says, or a message of a prompt (MCP, Tools and Prompts).
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Words.
    Text {
        /// These.
        text: String,
    },
    /// A picture.
    Image(Media),
    /// Something to listen to (MCP 2025-03-26 and later).
    Audio(Media),
    /// Where a resource can be read (MCP 2025-06-18 and later).
    ResourceLink(ResourceLink),
    /// What a resource says.
    Resource {
        /// This one.
        resource: ResourceContents,
    },
}

impl Content {
    /// Words.
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

/// A picture or a sound.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Media {
    /// Its bytes.
    pub data: Base64,
    /// How to read them.
    pub mime_type: Cow<'static, str>,
}

/// A prompt, filled in: what the user says to the model.
#[derive(Clone, Debug)]
pub struct PromptOutput {
    /// What the prompt is for.
    pub description: Cow<'static, str>,
    /// One after the other.
    pub messages: Vec<Content>,
}

/// How what was typed may go on (MCP, Completion).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Completion {
    /// At most a hundred whole values, the likeliest first.
    pub values: Vec<String>,
    /// How many there are, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<usize>,
    /// Whether there are more, or may be.
    pub has_more: bool,
}

impl Completion {
    /// No value.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            values: Vec::new(),
            total: Some(0),
            has_more: false,
        }
    }
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
    /// For people and models.
    pub content: Vec<Content>,
    /// The result as data, if the tool promises any.
    pub structured: Option<Data>,
}

/// A link to a resource of this server (MCP 2025-06-18 and later, Tools, Resource Links).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceLink {
    /// Where it can be read.
    pub uri: LazyText,
    /// Its name for people.
    pub name: LazyText,
    /// What it is.
    pub description: &'static str,
    /// What reading it gives.
    pub mime_type: &'static str,
}

/// A text, or a number between two texts of this server's own, which is put together only where it is
/// written: a list has two of them for each of its items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LazyText {
    /// Any text.
    Text(String),
    /// With a number in it.
    Numbered {
        /// What stands before the number, of characters that stand in JSON as they are.
        before: &'static str,
        /// The number.
        number: i64,
        /// What stands after it, of the same characters.
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
