//! What memory is used for, by whom, and how much of it there may be.

use derive_more::Display;

use resource_server::{limits::Source, principal::UserId};

const MIB: usize = 1_024 * 1_024;

/// How much memory clients may make the process use, in bytes, and how many requests of a user are in flight.
/// Each user, or each source where the user is not known, may have a quarter of each budget, and no more of it
/// than the others leave.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimits {
    /// Heads of requests that have not come completely, beyond 16 KiB of each.
    pub heads: usize,
    /// Bodies of requests, from their first byte until the request has been answered.
    pub bodies: usize,
    /// Answers, until their last byte has been handed over to the operating system.
    pub answers: usize,
    /// Events of legacy sessions that are kept for clients that resume.
    pub events: usize,
    /// Requests of one user that are in flight.
    pub requests_per_user: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            heads: 16 * MIB,
            bodies: 32 * MIB,
            answers: 64 * MIB,
            events: 48 * MIB,
            requests_per_user: 128,
        }
    }
}

/// What memory is used for.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
#[display("{}", self.as_str())]
pub(crate) enum Use {
    Heads,
    Bodies,
    Answers,
    Events,
}

impl Use {
    pub(crate) const ALL: [Self; 4] = [Self::Heads, Self::Bodies, Self::Answers, Self::Events];

    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Heads => "heads",
            Self::Bodies => "bodies",
            Self::Answers => "answers",
            Self::Events => "events",
        }
    }
}

/// Who causes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Payer {
    /// A user.
    User(UserId),
    /// A source, before the user is known.
    Source(Source),
}

/// A budget is used up.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub(crate) enum OverBudget {
    /// The caller has as many requests in flight as it may.
    #[display(
        "This user has {most} requests under way, which is the limit; wait until some have been answered"
    )]
    Requests {
        /// How many that is.
        most: usize,
    },
    /// By what the caller itself has.
    #[display("{}", own(*_0))]
    Own(Use),
    /// By what others have: the caller has nothing.
    #[display("The server has no memory for {_0} of this length now; try again later")]
    Process(Use),
}

fn own(of: Use) -> &'static str {
    match of {
        Use::Bodies => {
            "The bodies that are being received from this user or address take too much memory; send fewer at once"
        }
        Use::Answers => {
            "The answers that this user has not read take too much memory; read them first. What this request was \
             to do may have been done"
        }
        Use::Heads | Use::Events => "This user or address takes too much memory",
    }
}

impl OverBudget {
    /// Whether the caller is the one who uses it up.
    pub(crate) fn is_callers(self) -> bool {
        !matches!(self, Self::Process(_))
    }
}
