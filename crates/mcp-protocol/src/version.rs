//! The supported revisions of MCP and their differences.

use std::fmt;

/// A revision of MCP, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtocolVersion {
    /// 2025-03-26, legacy.
    V2025_03_26,
    /// 2025-06-18, legacy.
    V2025_06_18,
    /// 2025-11-25, the last legacy revision.
    V2025_11_25,
    /// 2026-07-28, modern: no sessions, every request has an envelope.
    V2026_07_28,
}

impl ProtocolVersion {
    /// All revisions, newest first, as `server/discover` lists them.
    pub const ALL: [Self; 4] = [
        Self::V2026_07_28,
        Self::V2025_11_25,
        Self::V2025_06_18,
        Self::V2025_03_26,
    ];

    /// The revisions that an envelope may name.
    pub const MODERN: [Self; 1] = [Self::V2026_07_28];

    /// The answer to `initialize` if the requested revision is not available by it.
    pub const NEWEST_LEGACY: Self = Self::V2025_11_25;

    /// The revision on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Parses a revision.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
    }

    /// Parses a legacy revision.
    #[must_use]
    pub fn parse_legacy(text: &str) -> Option<Self> {
        Self::parse(text).filter(|version| !version.is_modern())
    }

    /// Whether requests have an envelope and there are no sessions.
    #[must_use]
    pub const fn is_modern(self) -> bool {
        matches!(self, Self::V2026_07_28)
    }

    /// The name of the era, for the log.
    #[must_use]
    pub const fn era_name(self) -> &'static str {
        if self.is_modern() { "modern" } else { "legacy" }
    }

    /// The revision for a client that requested `requested` with `initialize` (Lifecycle, Version
    /// Negotiation): the same if it is a legacy revision, otherwise the newest of these.
    #[must_use]
    pub fn negotiate(requested: &str) -> Self {
        Self::parse_legacy(requested).unwrap_or(Self::NEWEST_LEGACY)
    }

    /// Requests to the client are sent as `InputRequiredResult` (since 2026-07-28; Multi Round-Trip
    /// Requests). Before, they are JSON-RPC requests.
    #[must_use]
    pub const fn has_multi_round_trips(self) -> bool {
        self.is_modern()
    }

    /// JSON-RPC batches (2025-03-26 only).
    #[must_use]
    pub const fn has_batches(self) -> bool {
        matches!(self, Self::V2025_03_26)
    }

    /// `title` on tools, resources, prompts and their arguments, and on the server (since 2025-06-18).
    #[must_use]
    pub const fn has_titles(self) -> bool {
        !matches!(self, Self::V2025_03_26)
    }

    /// `structuredContent`, `outputSchema` and `resource_link` (since 2025-06-18).
    #[must_use]
    pub const fn has_structured_content(self) -> bool {
        !matches!(self, Self::V2025_03_26)
    }

    /// Streams begin with an event without data, from which they can be resumed (2025-11-25 only).
    #[must_use]
    pub const fn has_priming_events(self) -> bool {
        matches!(self, Self::V2025_11_25)
    }

    /// `elicitation/create` (since 2025-06-18).
    #[must_use]
    pub const fn has_elicitation(self) -> bool {
        !matches!(self, Self::V2025_03_26)
    }

    /// `description` and `websiteUrl` of an implementation (since 2025-11-25).
    #[must_use]
    pub const fn has_implementation_details(self) -> bool {
        matches!(self, Self::V2025_11_25 | Self::V2026_07_28)
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D-04.
    #[test]
    fn initialize_is_never_answered_with_a_modern_version() {
        for (requested, answered) in [
            ("2025-03-26", "2025-03-26"),
            ("2025-06-18", "2025-06-18"),
            ("2025-11-25", "2025-11-25"),
            ("2026-07-28", "2025-11-25"),
            ("2024-11-05", "2025-11-25"),
            ("", "2025-11-25"),
        ] {
            assert_eq!(ProtocolVersion::negotiate(requested).as_str(), answered);
        }
    }
}
