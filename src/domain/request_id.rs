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
}
