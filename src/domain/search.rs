//! What is searched for, and the pages of what is found.

use full_text::{NothingToSearch, Query};

use super::page::{Cursor, PageLimit, TimeCursor, decode_at_most, encode_bytes};

/// A query as a person writes it: words that must all occur, `"a phrase"`, `or` between alternatives, a minus before
/// what must not occur, a star behind the beginning of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchQuery {
    text: String,
    query: Query,
}

impl SearchQuery {
    /// Reads a query.
    ///
    /// # Errors
    /// If it has nothing to search for.
    pub fn read(text: &str) -> Result<Self, NothingToSearch> {
        Ok(Self {
            query: Query::read(text)?,
            text: text.to_owned(),
        })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// As it is understood.
    #[must_use]
    pub const fn query(&self) -> &Query {
        &self.query
    }
}

/// A page of what is found, in one of two orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchPage {
    /// All that matches, newest first, after this position if there is one.
    NewestFirst(Option<TimeCursor>),
    /// The newest [`MOST_RANKED`] that match, those first that have most of the query.
    ByRelevance(Option<RankCursor>),
}

/// Among how many matches those are that come first by relevance: the newest.
pub const MOST_RANKED: u16 = 500;

/// The request for a page of what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchRequest {
    /// At most this many entries.
    pub limit: PageLimit,
    /// The order, and where in it the page begins.
    pub page: SearchPage,
}

/// A position in what is found, ordered by relevance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankCursor {
    /// The newest of the entries that were ranked for the first page. Newer ones are left out of the pages after it, so
    /// that nothing is missing or repeated.
    pub newest: TimeCursor,
    /// The relevance of the last entry.
    pub relevance: f32,
    /// Where the last entry is among all, newest first, for entries of the same relevance.
    pub last: TimeCursor,
}

/// A relevance is a number, and no other value of `f32`.
impl Eq for RankCursor {}

/// A position in what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchCursor {
    /// Newest first.
    NewestFirst(TimeCursor),
    /// By relevance.
    ByRelevance(RankCursor),
}

const OF_TIME: usize = 16;
const OF_RANK: usize = 2 * OF_TIME + 4;

impl Cursor for SearchCursor {
    fn encode(&self) -> String {
        match self {
            Self::NewestFirst(cursor) => cursor.encode(),
            Self::ByRelevance(cursor) => {
                let mut bytes = [0; OF_RANK];
                bytes[..OF_TIME].copy_from_slice(&cursor.newest.to_bytes());
                bytes[OF_TIME..2 * OF_TIME].copy_from_slice(&cursor.last.to_bytes());
                bytes[2 * OF_TIME..].copy_from_slice(&cursor.relevance.to_be_bytes());
                encode_bytes(&bytes)
            }
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes = decode_at_most(text, OF_RANK)?;
        if let Ok(bytes) = <[u8; OF_TIME]>::try_from(bytes.as_slice()) {
            return Some(Self::NewestFirst(TimeCursor::from_bytes(bytes)));
        }
        let bytes: [u8; OF_RANK] = bytes.try_into().ok()?;
        let time = |at: usize| {
            Some(TimeCursor::from_bytes(
                bytes.get(at..at + OF_TIME)?.try_into().ok()?,
            ))
        };
        let relevance = f32::from_be_bytes(bytes[2 * OF_TIME..].try_into().ok()?);
        relevance.is_finite().then_some(())?;
        Some(Self::ByRelevance(RankCursor {
            newest: time(0)?,
            relevance,
            last: time(OF_TIME)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_position_round_trips(newest: (i64, i64), last: (i64, i64), relevance in -9.0..9.0_f32) {
            let time = |(micros, id)| TimeCursor { micros, id };
            let rank = RankCursor { newest: time(newest), relevance, last: time(last) };
            for cursor in [SearchCursor::NewestFirst(time(last)), SearchCursor::ByRelevance(rank)] {
                prop_assert_eq!(SearchCursor::decode(&cursor.encode()), Some(cursor));
            }
        }

        #[test]
        fn any_text_is_refused_or_read(text in ".{0,300}") {
            let _ = SearchCursor::decode(&text);
        }
    }

    #[test]
    fn a_relevance_that_is_no_number_is_refused() {
        let time = TimeCursor { micros: 1, id: 1 };
        let rank = RankCursor {
            newest: time,
            relevance: f32::NAN,
            last: time,
        };
        assert_eq!(
            SearchCursor::decode(&SearchCursor::ByRelevance(rank).encode()),
            None
        );
    }
}
