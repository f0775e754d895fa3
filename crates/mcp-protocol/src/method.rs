//! The methods of each era.

use crate::version::ProtocolVersion;

/// A method that the server supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `server/discover`, modern only.
    Discover,
    /// `ping`, legacy only.
    Ping,
    /// `tools/list`.
    ListTools,
    /// `tools/call`.
    CallTool,
    /// `resources/list`.
    ListResources,
    /// `resources/templates/list`.
    ListResourceTemplates,
    /// `resources/read`.
    ReadResource,
    /// `prompts/list`.
    ListPrompts,
    /// `prompts/get`.
    GetPrompt,
    /// `completion/complete`.
    Complete,
    /// `subscriptions/listen`, modern only.
    Listen,
    /// `resources/subscribe`, legacy only.
    Subscribe,
    /// `resources/unsubscribe`, legacy only.
    Unsubscribe,
    /// `logging/setLevel`, legacy only.
    SetLogLevel,
}

impl Method {
    /// The method with this name in this revision. `initialize` is not among them, because it is handled
    /// before there is a session.
    #[must_use]
    pub fn find(name: &str, version: ProtocolVersion) -> Option<Self> {
        match (name, version.is_modern()) {
            ("server/discover", true) => Some(Self::Discover),
            ("ping", false) => Some(Self::Ping),
            ("tools/list", _) => Some(Self::ListTools),
            ("tools/call", _) => Some(Self::CallTool),
            ("resources/list", _) => Some(Self::ListResources),
            ("resources/templates/list", _) => Some(Self::ListResourceTemplates),
            ("resources/read", _) => Some(Self::ReadResource),
            ("prompts/list", _) => Some(Self::ListPrompts),
            ("prompts/get", _) => Some(Self::GetPrompt),
            ("completion/complete", _) => Some(Self::Complete),
            ("subscriptions/listen", true) => Some(Self::Listen),
            ("resources/subscribe", false) => Some(Self::Subscribe),
            ("resources/unsubscribe", false) => Some(Self::Unsubscribe),
            ("logging/setLevel", false) => Some(Self::SetLogLevel),
            _ => None,
        }
    }

    /// The method with this name in any revision.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [ProtocolVersion::MODERN[0], ProtocolVersion::NEWEST_LEGACY]
            .into_iter()
            .find_map(|version| Self::find(name, version))
    }

    /// Whether only MCP 2026-07-28 has a method with this name. Without an envelope, such a request is
    /// answered like a modern one.
    #[must_use]
    pub fn is_modern_only(name: &str) -> bool {
        matches!(name, "server/discover" | "subscriptions/listen")
    }

    /// The member of `params` that `Mcp-Name` repeats for this method (MCP 2026-07-28, Transports).
    #[must_use]
    pub(crate) fn name_member(name: &str) -> Option<&'static str> {
        match name {
            "tools/call" | "prompts/get" => Some("name"),
            "resources/read" => Some("uri"),
            _ => None,
        }
    }
}
