//! The record of a call that has ended.

use std::{borrow::Cow, sync::Arc};

use resource_server::{clock::Timestamp, principal::Principal};

/// The kind of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FeatureKind {
    /// A call of a tool.
    Tool,
    /// A prompt was fetched.
    Prompt,
    /// A resource was read.
    Resource,
    /// Values were suggested.
    Completion,
    /// The resources were listed.
    List,
}

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Success.
    Done,
    /// The client has to respond to a request first.
    Asked,
    /// The user did not confirm the operation, so nothing was done.
    Declined,
    /// An error.
    Failed,
    /// The token lacks a scope.
    Refused,
    /// The client disconnected or cancelled the call. A write that was accepted is done nevertheless.
    Cancelled,
}

/// A declared feature. Clients cannot add any, so features may be used as labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Feature {
    /// Its kind.
    pub kind: FeatureKind,
    /// Its declared name or URI template; never text of a client.
    pub name: Cow<'static, str>,
    /// Whether it may change something.
    pub writes: bool,
}

/// A call that has ended.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// The user and the client.
    pub principal: Arc<Principal>,
    /// The feature.
    pub feature: Feature,
    /// The outcome.
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

    /// The kind as it is logged.
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

    /// The outcome as it is logged.
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
