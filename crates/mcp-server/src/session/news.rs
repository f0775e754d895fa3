//! What the processes that have the same session tell each other about it, by the bus: that something was stored, and
//! what a client sent to one of them and another one waits for.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A message about a session. Its names are short because many have to fit into one text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum News {
    /// What it has gathered has changed.
    #[serde(rename = "g")]
    Gathered,
    /// Its client has ended it.
    #[serde(rename = "e")]
    Ended,
    /// Its client has cancelled the request with this id.
    #[serde(rename = "c")]
    Cancelled(Box<RawValue>),
    /// Its client has answered a question of another process.
    #[serde(rename = "a")]
    Answered(Answer),
    /// The answer to the question with this id is in the store, because it is long.
    #[serde(rename = "k")]
    AnswerKept(String),
    /// A request came with a token that has these scopes, and not those of the one before: lists differ.
    #[serde(rename = "s")]
    Scopes(String),
}

/// A client's answer to a question of another process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The id of the question.
    #[serde(rename = "q")]
    pub(crate) question: String,
    /// The scopes of the token that it came with. The process that waits decides whether they are enough.
    #[serde(rename = "s")]
    pub(crate) scopes: String,
    /// The result; none if the client sent an error.
    #[serde(rename = "r")]
    pub(crate) result: Option<Box<RawValue>>,
}
