//! The revisions of MCP that are served.

use std::fmt;

/// A revision of MCP, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtocolVersion {
    /// 2025-03-26, legacy.
    V2025_03_26,
    /// 2025-06-18, legacy.
    V2025_06_18,
    /// 2025-11-25, the last legacy revision.
    V2025_11_25,
    /// 2026-07-28, modern: stateless, every request carries its envelope.
    V2026_07_28,
}

impl ProtocolVersion {
    /// All of them, newest first, as `server/discover` lists them.
    pub const ALL: [Self; 4] = [
        Self::V2026_07_28,
        Self::V2025_11_25,
        Self::V2025_06_18,
        Self::V2025_03_26,
    ];

    /// The revisions that a request with an envelope may name. A legacy one among them would send a
    /// client in circles (D-06).
    pub const MODERN: [Self; 1] = [Self::V2026_07_28];

    /// What `initialize` is answered with if it asks for a revision that it cannot have.
    pub const NEWEST_LEGACY: Self = Self::V2025_11_25;

    /// The revision as it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The revision that a text names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
    }

    /// The legacy revision that a text names.
    #[must_use]
    pub fn parse_legacy(text: &str) -> Option<Self> {
        Self::parse(text).filter(|version| !version.is_modern())
    }

    /// Whether requests carry an envelope and there is no session.
    #[must_use]
    pub const fn is_modern(self) -> bool {
        matches!(self, Self::V2026_07_28)
    }

    /// What its era is called, for the log.
    #[must_use]
    pub const fn era_name(self) -> &'static str {
        if self.is_modern() { "modern" } else { "legacy" }
    }

    /// What a legacy client is given that asked for `requested` (Lifecycle, Version Negotiation):
    /// that, if it can be had by `initialize`, else the newest that can. A modern version is never
    /// echoed.
    #[must_use]
    pub fn negotiate(requested: &str) -> Self {
        Self::parse_legacy(requested).unwrap_or(Self::NEWEST_LEGACY)
    }

    /// A question to the client is an answer, and its answer comes with the call's repetition (since
    /// 2026-07-28; P-01). Elsewhere it is a request to the client.
    #[must_use]
    pub const fn asks_in_rounds(self) -> bool {
        self.is_modern()
    }

    /// Several messages in one POST (2025-03-26 alone; L-13, L-14).
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

    /// Streams begin with an event without data, from which they can be resumed (2025-11-25).
    #[must_use]
    pub const fn primes_streams(self) -> bool {
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
