//! Activity in a user's journal, counted by client, feature, outcome and hour; after a week by the day.

use std::hash::{Hash, Hasher};

use mcp_server::features::call_record::{CallRecord, Feature, FeatureKind, Outcome};
use resource_server::{clock::Timestamp, principal::UserId};

/// The name under which the clients of a user beyond [`CLIENTS_PER_HOUR`] within an hour are counted. No client
/// has this id: RFC 6749 Appendix A.1 allows only visible ASCII.
pub const OTHER_CLIENTS: &str = "…";

/// At most this many clients of one user are counted separately within an hour.
pub const CLIENTS_PER_HOUR: usize = 200;

/// At most this many clients are listed: those that were active last.
pub const MOST_CLIENTS: u16 = 200;

/// A call that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedCall {
    /// The user whose journal it is.
    pub user: UserId,
    /// The client, if the authorization server names it.
    pub client: Option<String>,
    /// The feature.
    pub feature: Feature,
    /// The outcome.
    pub outcome: Outcome,
    /// When it ended.
    pub at: Timestamp,
}

impl From<CallRecord> for EndedCall {
    fn from(call: CallRecord) -> Self {
        Self {
            user: call.principal.user,
            client: call.principal.client.clone(),
            feature: call.feature,
            outcome: call.outcome,
            at: call.at,
        }
    }
}

/// The key of a count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActivityKey {
    /// The user whose journal it is.
    pub user: UserId,
    /// The client, if the authorization server names it.
    pub client: Option<String>,
    /// The feature.
    pub feature: Feature,
    /// The outcome of the calls.
    pub outcome: Outcome,
    /// The beginning of the hour.
    pub hour: Timestamp,
}

/// Hashes only the members that distinguish most keys. Comparing the others costs less than hashing them for
/// every call.
impl Hash for ActivityKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.user.hash(state);
        self.client.hash(state);
        self.feature.name.hash(state);
    }
}

/// The number of calls, and the period of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The number of calls.
    pub count: i64,
    /// When the first ended.
    pub first_at: Timestamp,
    /// When the last ended.
    pub last_at: Timestamp,
}

/// One line of a user's activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Breaks ties of time.
    pub id: i64,
    /// The client, if the authorization server names it.
    pub client: Option<String>,
    /// The kind of feature.
    pub kind: FeatureKind,
    /// Its name.
    pub feature: String,
    /// The outcome of the calls.
    pub outcome: Outcome,
    /// The beginning of the hour, or of the day if the calls are counted by the day.
    pub hour: Timestamp,
    /// The number of calls, and their period within the hour or day.
    pub tally: Tally,
}

/// A client that used a user's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectedClient {
    /// Its id, if the authorization server names it.
    pub client: Option<String>,
    /// The number of calls, and their period.
    pub calls: Tally,
    /// The number of completed writes.
    pub writes: i64,
    /// The number of calls for which its token lacked a scope.
    pub refusals: i64,
}

impl Tally {
    /// One call.
    #[must_use]
    pub const fn once(at: Timestamp) -> Self {
        Self {
            count: 1,
            first_at: at,
            last_at: at,
        }
    }

    /// The sum of two tallies.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.first_at = self.first_at.min(other.first_at);
        self.last_at = self.last_at.max(other.last_at);
    }
}
