//! The id of one HTTP request, for its response and its log lines.

use std::cell::RefCell;

use derive_more::Display;
use uuid::{Builder, Uuid, fmt::Simple};

/// The number of ids per call to the random number generator of the operating system.
const BATCH: usize = 64;

/// A random id, never taken from the client.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, Hash)]
#[display("{}", _0.simple())]
pub struct RequestId(Uuid);

impl RequestId {
    /// A new id.
    ///
    /// # Panics
    /// If the operating system gives no random bytes.
    #[must_use]
    pub fn random() -> Self {
        thread_local! {
            static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn { bytes: [[0; 16]; BATCH], left: 0 }) };
        }
        let bytes = DRAWN.with_borrow_mut(Drawn::next);
        Self(Builder::from_random_bytes(bytes).into_uuid())
    }

    /// The id as text, in a buffer of the caller.
    pub fn encode(self, text: &mut [u8; Simple::LENGTH]) -> &str {
        self.0.simple().encode_lower(text)
    }

    /// All bits, for the id of a trace that starts with the request.
    #[must_use]
    pub(crate) fn whole(self) -> u128 {
        self.0.as_u128()
    }

    /// The second half, for the id of the span of the request. It is never zero, because it contains the variant
    /// bits of a UUID (RFC 9562 §4.1).
    #[must_use]
    pub(crate) fn half(self) -> u64 {
        self.0.as_u64_pair().1
    }
}

/// A buffer of random bytes, and the number of unused ids in it.
struct Drawn {
    bytes: [[u8; 16]; BATCH],
    left: usize,
}

impl Drawn {
    fn next(&mut self) -> [u8; 16] {
        if self.left == 0 {
            getrandom::fill(self.bytes.as_flattened_mut())
                .expect("the operating system gives random bytes");
            self.left = BATCH;
        }
        self.left -= 1;
        self.bytes[self.left]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique() {
        let ids: HashSet<_> = (0..10 * BATCH).map(|_| RequestId::random()).collect();
        assert_eq!(ids.len(), 10 * BATCH);
    }
}
