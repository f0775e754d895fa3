//! What is recorded of a call once it has ended.

use std::{borrow::Cow, sync::Arc};

use resource_server::{clock::Timestamp, principal::Principal};

/// The kind of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FeatureKind {
    /// A tool was called.
    Tool,
    /// A prompt was filled in.
    Prompt,
    /// A resource was read.
    Resource,
    /// An argument was completed.
    Completion,
    /// The resources were listed.
    List,
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// What was asked for.
    Done,
    /// A question to the user or the client, who has yet to answer it.
    Asked,
    /// Nothing: the user was asked, and did not say yes.
    Declined,
    /// Nothing: the arguments were wrong, or it could not be done.
    Failed,
    /// Nothing: the token does not reach so far.
    Refused,
    /// Unknown: the client left before the answer. A write that was accepted is done all the same.
    Cancelled,
}

/// A declared feature. Clients cannot add to them, so a feature may be counted and logged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Feature {
    /// What it is.
    pub kind: FeatureKind,
    /// Its declared name, or its template; never what a client wrote.
    pub name: Cow<'static, str>,
    /// Whether it writes.
    pub writes: bool,
}

/// A call that has ended.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// On whose behalf, and by which client.
    pub principal: Arc<Principal>,
    /// Of what.
    pub feature: Feature,
    /// What it came to.
    pub outcome: Outcome,
    /// When it ended.
    pub at: Timestamp,
}

impl FeatureKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Tool,
        Self::Prompt,
        Self::Resource,
        Self::Completion,
        Self::List,
    ];

    /// The kind in a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
            Self::Completion => "completion",
            Self::List => "list",
        }
    }
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 6] = [
        Self::Done,
        Self::Asked,
        Self::Declined,
        Self::Failed,
        Self::Refused,
        Self::Cancelled,
    ];

    /// The outcome in a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Asked => "asked",
            Self::Declined => "declined",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }
}
