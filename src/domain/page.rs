//! Pages of lists, and the cursors between them.

use std::num::NonZeroU16;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// One page of a list, and the cursor of the next one, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The items, at most as many as requested.
    pub items: Vec<T>,
    /// The key of the last item, if more items follow.
    pub next: Option<C>,
}

/// The request for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<C> {
    /// At most this many items.
    pub limit: PageLimit,
    /// Items after this key in the list's order; from the beginning if absent.
    pub after: Option<C>,
}

/// A page's length: 1 to 200, by default 50.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit(NonZeroU16);

impl PageLimit {
    /// The longest page.
    pub const LONGEST: Self = match Self::new(Self::MAX) {
        Some(limit) => limit,
        None => panic!("the longest page has items"),
    };
    /// The number of its items.
    pub const MAX: u16 = 200;
    /// The default length.
    pub const DEFAULT: u16 = 50;

    /// A limit between 1 and [`PageLimit::MAX`], else `None`.
    #[must_use]
    pub const fn new(limit: u16) -> Option<Self> {
        match NonZeroU16::new(limit) {
            Some(number) if limit <= Self::MAX => Some(Self(number)),
            _ => None,
        }
    }

    /// The number of items.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(NonZeroU16::new(Self::DEFAULT).expect("the default page length is not zero"))
    }
}

/// A position in a list that is ordered by time and id, newest first. The id breaks ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeCursor {
    /// Microseconds since the Unix epoch, the precision of PostgreSQL.
    pub micros: i64,
    /// The id of the item.
    pub id: i64,
}

/// A position in a list that is ordered by name, without regard to case, and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameCursor {
    /// The folded name, by which the list is sorted.
    pub folded_name: String,
    /// The id of the item.
    pub id: i64,
}

/// A position in a list, as opaque text for the client (MCP, Pagination). It is no credential: it only selects
/// among the caller's own rows.
pub trait Cursor: Sized {
    /// The opaque text: URL-safe, without padding.
    fn encode(&self) -> String;
    /// Parses the text; `None` if [`Cursor::encode`] did not write it.
    fn decode(text: &str) -> Option<Self>;
}

impl TimeCursor {
    pub(super) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.micros.to_be_bytes());
        bytes[8..].copy_from_slice(&self.id.to_be_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        let number = |half: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[8 * half..8 * (half + 1)]);
            i64::from_be_bytes(number)
        };
        Self {
            micros: number(0),
            id: number(1),
        }
    }
}

impl Cursor for TimeCursor {
    fn encode(&self) -> String {
        encode_bytes(&self.to_bytes())
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes = decode_at_most(text, 16)?.try_into().ok()?;
        Some(Self::from_bytes(bytes))
    }
}

/// The longest name that a cursor carries, in bytes: 60 characters, folded, with room to spare.
const LONGEST_FOLDED_NAME: usize = 1_024;

impl Cursor for NameCursor {
    fn encode(&self) -> String {
        let mut bytes = self.id.to_be_bytes().to_vec();
        bytes.extend_from_slice(self.folded_name.as_bytes());
        encode_bytes(&bytes)
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes = decode_at_most(text, 8 + LONGEST_FOLDED_NAME)?;
        let (id, name) = bytes.split_at_checked(8)?;
        let folded_name = String::from_utf8(name.to_vec()).ok()?;
        // PostgreSQL's text type cannot contain it, so no list has such a position.
        if folded_name.contains('\0') {
            return None;
        }
        Some(Self {
            folded_name,
            id: i64::from_be_bytes(id.try_into().ok()?),
        })
    }
}

pub(super) fn encode_bytes(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn decode_at_most(text: &str, bytes: usize) -> Option<Vec<u8>> {
    if text.len() > bytes.div_ceil(3) * 4 {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_limit_is_between_one_and_two_hundred() {
        assert_eq!(PageLimit::new(0), None);
        assert_eq!(PageLimit::new(201), None);
        assert_eq!(PageLimit::new(200).map(PageLimit::get), Some(200));
    }

    proptest! {
        #[test]
        fn a_time_cursor_round_trips(micros: i64, id: i64) {
            let cursor = TimeCursor { micros, id };
            prop_assert_eq!(TimeCursor::decode(&cursor.encode()), Some(cursor));
        }

        #[test]
        fn a_name_cursor_round_trips(folded_name in "[^\0]{0,60}", id: i64) {
            let cursor = NameCursor { folded_name, id };
            prop_assert_eq!(NameCursor::decode(&cursor.encode()), Some(cursor));
        }

        #[test]
        fn any_text_is_refused_or_read(text in ".{0,3000}") {
            let _ = (TimeCursor::decode(&text), NameCursor::decode(&text));
        }
    }
}
