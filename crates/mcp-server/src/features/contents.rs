//! The contents of a resource.

use std::{borrow::Cow, fmt::Display, sync::Arc};

use serde::Serialize;

use super::tool_error::ToolError;
use mcp_protocol::answer::{Answer, Chunks, ResourceBody, ResourceContents, StreamedResource};

/// The default media type.
pub(super) const JSON: &str = "application/json";

/// The contents of a resource.
#[derive(Debug)]
pub struct Contents {
    mime_type: Option<Cow<'static, str>>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Complete(ResourceBody),
    Streamed(StreamedBody),
}

struct StreamedBody(Arc<dyn Chunks>);

impl std::fmt::Debug for StreamedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} chunks", self.0.count())
    }
}

impl Contents {
    /// A value, serialised as JSON.
    ///
    /// # Errors
    /// [`ToolError::Internal`] if it cannot be serialised.
    pub fn json(value: &impl Serialize) -> Result<Self, ToolError> {
        serde_json::to_string(value)
            .map(Self::text)
            .map_err(ToolError::internal)
    }

    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            mime_type: None,
            body: Body::Complete(ResourceBody::Text(text.into())),
        }
    }

    /// Bytes, sent in Base64.
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Self {
        Self {
            mime_type: None,
            body: Body::Complete(ResourceBody::Blob(bytes.into())),
        }
    }

    /// A text that is too long for memory: it is fetched in chunks while the client receives it.
    #[must_use]
    pub fn streamed(chunks: Arc<dyn Chunks>) -> Self {
        Self {
            mime_type: None,
            body: Body::Streamed(StreamedBody(chunks)),
        }
    }

    /// Replaces the declared media type.
    #[must_use]
    pub fn with_mime_type(mut self, mime_type: impl Into<Cow<'static, str>>) -> Self {
        self.mime_type = Some(mime_type.into());
        self
    }

    pub(super) fn or_mime_type(mut self, declared: Option<String>) -> Self {
        self.mime_type = self.mime_type.or(declared.map(Cow::Owned));
        self
    }

    pub(super) fn answer(self, uri: String, declared: Option<&'static str>) -> Answer {
        let mime_type = self
            .mime_type
            .unwrap_or(Cow::Borrowed(declared.unwrap_or(JSON)));
        match self.body {
            Body::Complete(body) => Answer::Contents(ResourceContents {
                uri,
                mime_type,
                body,
            }),
            Body::Streamed(StreamedBody(chunks)) => Answer::Streamed(StreamedResource {
                uri,
                mime_type,
                chunks,
            }),
        }
    }
}

/// A JSON resource that is embedded in a message of a prompt or in the content of a tool.
///
/// # Errors
/// [`ToolError::Internal`] if the value cannot be serialised.
pub fn embedded(uri: impl Display, value: &impl Serialize) -> Result<ResourceContents, ToolError> {
    Ok(ResourceContents {
        uri: uri.to_string(),
        mime_type: JSON.into(),
        body: ResourceBody::Text(serde_json::to_string(value).map_err(ToolError::internal)?),
    })
}
