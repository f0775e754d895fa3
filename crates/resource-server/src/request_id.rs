//! The name of one HTTP request, in its response and in every log line that it causes.

use std::cell::RefCell;

use derive_more::Display;
use uuid::{Builder, Uuid, fmt::Simple};

/// For how many ids random bytes are fetched at once: the operating system is asked once for all of them.
const AT_ONCE: usize = 64;

/// Drawn at random for each request; never taken from the client, who could forge another's.
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
            static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn { bytes: [[0; 16]; AT_ONCE], left: 0 }) };
        }
        let bytes = DRAWN.with_borrow_mut(Drawn::next);
        Self(Builder::from_random_bytes(bytes).into_uuid())
    }

    /// As text, in memory of the caller's.
    pub fn encode(self, text: &mut [u8; Simple::LENGTH]) -> &str {
        self.0.simple().encode_lower(text)
    }

    /// The whole of it, as the name of a trace that begins with the request.
    #[must_use]
    pub(crate) fn whole(self) -> u128 {
        self.0.as_u128()
    }

    /// Its second half, which names the request within a trace. Two of its bits are those of every
    /// random UUID (RFC 9562 §4.1), so it is never zero.
    #[must_use]
    pub(crate) fn half(self) -> u64 {
        self.0.as_u64_pair().1
    }
}

/// Random bytes that were fetched, and how many of them have named no request yet.
struct Drawn {
    bytes: [[u8; 16]; AT_ONCE],
    left: usize,
}

impl Drawn {
    fn next(&mut self) -> [u8; 16] {
        if self.left == 0 {
            getrandom::fill(self.bytes.as_flattened_mut())
                .expect("the operating system gives random bytes");
            self.left = AT_ONCE;
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
    fn no_two_requests_have_one_name() {
        let ids: HashSet<_> = (0..10 * AT_ONCE).map(|_| RequestId::random()).collect();
        assert_eq!(ids.len(), 10 * AT_ONCE);
    }
}
