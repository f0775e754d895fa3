//! The name of one HTTP request, in its response and in every log line that it causes.

use derive_more::Display;
use uuid::Uuid;

/// Drawn at random for each request; never taken from the client, who could forge another's.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, Hash)]
#[display("{}", _0.simple())]
pub struct RequestId(Uuid);

impl RequestId {
    /// A new id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The whole of it, as the name of a trace that begins with the request.
    #[must_use]
    pub(super) fn whole(self) -> u128 {
        self.0.as_u128()
    }

    /// Its second half, which names the request within a trace. Two of its bits are those of every
    /// random UUID (RFC 9562 §4.1), so it is never zero.
    #[must_use]
    pub(super) fn half(self) -> u64 {
        self.0.as_u64_pair().1
    }
}
