//! Activity in a user's journal, counted by client, feature, outcome and hour.

use std::hash::{Hash, Hasher};

use mcp_server::features::call_record::{CallRecord, Feature, FeatureKind, Outcome};
use resource_server::{clock::Timestamp, principal::UserId};

/// Stands for the clients of a user that come after [`CLIENTS_PER_HOUR`] others within an hour. No
/// client is named so: RFC 6749 Appendix A.1 has an id consist of visible ASCII.
pub const OTHER_CLIENTS: &str = "…";

/// How many clients of one user are told apart within an hour.
pub const CLIENTS_PER_HOUR: usize = 200;

/// How many clients a list of clients has at most: those that were seen last.
pub const MOST_CLIENTS: u16 = 200;

/// A call that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedCall {
    /// Whose journal.
    pub user: UserId,
    /// By which client, where the authorization server names it.
    pub client: Option<String>,
    /// Of what.
    pub feature: Feature,
    /// What it came to.
    pub outcome: Outcome,
    /// When.
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

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActivityKey {
    /// Whose journal.
    pub user: UserId,
    /// Which client, where the authorization server names it.
    pub client: Option<String>,
    /// Which feature.
    pub feature: Feature,
    /// What the calls came to.
    pub outcome: Outcome,
    /// Within which hour: its beginning.
    pub hour: Timestamp,
}

/// What tells most keys apart. The rest is compared, which costs less than to hash it: it is done for every
/// call.
impl Hash for ActivityKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.user.hash(state);
        self.client.hash(state);
        self.feature.name.hash(state);
    }
}

/// How often, and from when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// How many calls.
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
    /// Which client, where the authorization server names it.
    pub client: Option<String>,
    /// What was used.
    pub kind: FeatureKind,
    /// Its name.
    pub feature: String,
    /// What the calls came to.
    pub outcome: Outcome,
    /// How often, and when within the hour.
    pub tally: Tally,
}

/// A client that was seen in a user's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectedClient {
    /// Its id, where the authorization server names it.
    pub client: Option<String>,
    /// How many calls there were, and from when to when.
    pub calls: Tally,
    /// How many writes were done.
    pub writes: i64,
    /// How many calls its token did not reach far enough for.
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

    /// These calls and those.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.first_at = self.first_at.min(other.first_at);
        self.last_at = self.last_at.max(other.last_at);
    }
}
