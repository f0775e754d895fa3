//! What one process tells the others.

use serde::{Deserialize, Serialize};

use crate::features::change::Change;
use resource_server::principal::UserId;

/// A message. Its names are short because many have to fit into one text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    /// Resources of a user have changed.
    #[serde(rename = "c")]
    Changes(UserId, Vec<Change>),
    /// Anything of this user may have changed; `None`: of every user.
    #[serde(rename = "l")]
    LookAgain(Option<UserId>),
    /// A revocation was stored or lifted: read what is new in the store.
    #[serde(rename = "r")]
    RevocationsChanged,
    /// For a legacy session that another process may have.
    #[serde(rename = "s")]
    Session(SessionMessage),
    /// Messages for sessions were left out.
    #[serde(rename = "m")]
    SessionsMissed,
}

/// A message for a legacy session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionMessage {
    /// Which session.
    pub(crate) id: String,
    /// What it is about. Its meaning is that of `session`.
    pub(crate) what: String,
}
