//! An exported journal: one document, kept for an hour so that it can be read.

use derive_more::Display;

use resource_server::clock::Timestamp;

/// The id of an export: random, and valid only for its owner.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, Hash)]
pub struct ExportId(pub i64);

impl ExportId {
    /// Makes an id of 64 random bits, from 1 to 2^53 − 1, which every JSON parser can represent.
    #[must_use]
    pub fn from_random(bits: u64) -> Self {
        Self((bits >> 11).max(1).cast_signed())
    }
}

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// JSON, for programs.
    Json,
    /// Markdown, for people.
    Markdown,
}

impl ExportFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Json, Self::Markdown];

    /// Its media type (RFC 6838; RFC 7763 for Markdown).
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Markdown => "text/markdown",
        }
    }
}

/// An export that was begun.
#[derive(Clone, Copy, Debug)]
pub struct ExportBegun {
    /// When it began. Entries written later are not in it.
    pub at: Timestamp,
    /// The number of entries to write; `None` if there are too many to count.
    pub entries: Option<usize>,
}

/// An export that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// Its format.
    pub format: ExportFormat,
    /// The number of its parts, which are read one by one.
    pub parts: u32,
    /// When it expires.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_export_has_an_id_that_every_json_reader_can_hold(bits: u64) {
            let ExportId(id) = ExportId::from_random(bits);
            prop_assert!((1..1 << 53).contains(&id));
        }
    }
}
