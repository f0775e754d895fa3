//! An exported journal: one document, kept for an hour so that it can be read.

use derive_more::Display;

use resource_server::clock::Timestamp;

/// The id of an export. Drawn at random, and good for its owner alone.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, Hash)]
pub struct ExportId(pub i64);

impl ExportId {
    /// From 64 random bits, an id that every JSON reader can hold: 1 to 2^53 − 1.
    #[must_use]
    pub fn from_random(bits: u64) -> Self {
        Self((bits >> 11).max(1).cast_signed())
    }
}

/// What an export is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// For programs.
    Json,
    /// For people.
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
    /// When. Entries that are written later are not in it.
    pub at: Timestamp,
    /// How many entries there are to write; `None` if there are too many to count first.
    pub entries: Option<usize>,
}

/// An export that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// What it is written in.
    pub format: ExportFormat,
    /// Of how many parts it consists, which are read one by one.
    pub parts: u32,
    /// Until when it can be read.
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
