//! How many sessions there may be, and for how long.

use chrono::TimeDelta;

use resource_server::clock::Timestamp;

/// The limits of the sessions of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of all users.
    pub(crate) in_all: usize,
    /// Of one user with one client.
    pub(crate) per_client: usize,
    /// Of one user with all clients.
    pub(crate) per_user: usize,
    pub(crate) idle: TimeDelta,
    pub(crate) lifetime: TimeDelta,
}

impl Limits {
    /// Whether the lifetime of a session that began then is over.
    pub(crate) fn is_over(&self, begun_at: Timestamp, now: Timestamp) -> bool {
        now - begun_at >= self.lifetime
    }

    /// When the lifetime of a session that began then is over.
    pub(crate) fn end_of(&self, begun_at: Timestamp) -> Timestamp {
        let end = begun_at.checked_add_signed(self.lifetime);
        end.unwrap_or(Timestamp::MAX_UTC)
    }
}
