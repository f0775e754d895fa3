//! What is revoked, by whom, and until when.

use derive_more::{Display, Error};

use crate::{
    cause::Cause,
    clock::Timestamp,
    principal::{Revocation, UserId},
};

/// What a revocation names, in the words of whoever ordered it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RevocationTarget {
    /// The token with this SHA-256, of whichever issuer.
    Token([u8; 32]),
    /// All tokens of a user.
    User {
        /// The issuer.
        issuer: String,
        /// `sub` at this issuer.
        subject: String,
    },
    /// All tokens of a client.
    Client {
        /// The issuer.
        issuer: String,
        /// The client id at this issuer.
        client: String,
    },
    /// All tokens.
    Everybody,
}

/// Who ordered a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderedBy {
    /// An operator of this server.
    Operator,
    /// The authorization server, by a logout token.
    Issuer,
    /// Whoever reports revoked tokens.
    Revoker,
}

/// A revocation as it was ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationOrder {
    /// What is revoked.
    pub target: RevocationTarget,
    /// When. Tokens that the target covers and that were issued until then are refused, unless they are
    /// introspected: then their issuer is asked again.
    pub revoked_at: Timestamp,
    /// Until when **every** token that the target covers is refused, also one that is issued later or that its
    /// issuer calls active. `None`: only those of `revoked_at`. Of [`RevocationTarget::Token`]: until when it is
    /// remembered, usually its `exp`; `None` if that is unknown.
    pub until: Option<Timestamp>,
    /// By whom.
    pub ordered_by: OrderedBy,
}

/// A revocation in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRevocation {
    /// Its number: a later one has a higher number.
    pub id: i64,
    /// What was ordered.
    pub order: RevocationOrder,
}

/// What has become of the revocation of a target by one party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationChange {
    /// It is in effect.
    Ordered(RevocationOrder),
    /// It was lifted.
    Lifted {
        /// What was revoked.
        target: RevocationTarget,
        /// By whom it had been ordered.
        ordered_by: OrderedBy,
    },
}

/// Why a revocation is not certain to last. Tokens were removed from the caches and their uses have ended all
/// the same.
#[derive(Clone, Debug, Display, Error)]
pub enum OrderError {
    /// As many revocations are remembered as can be; none of them gives way.
    #[display("no further revocation can be remembered")]
    Full,
    /// The store failed. This process remembers the revocation until it ends.
    #[display("the revocation is in effect here, but was not stored: {source}")]
    NotStored {
        /// The error of the store.
        source: Cause,
    },
}

impl RevocationTarget {
    /// What is revoked, unless it is a token, which only its issuers' caches can identify.
    #[must_use]
    pub fn revocation(&self) -> Option<Revocation> {
        Some(match self {
            Self::Token(_) => return None,
            Self::User { issuer, subject } => Revocation::User(UserId::derive(issuer, subject)),
            Self::Client { issuer, client } => Revocation::Client {
                issuer: issuer.clone(),
                client: client.clone(),
            },
            Self::Everybody => Revocation::All,
        })
    }

    /// `token`, `user`, `client` or `everybody`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::User { .. } => "user",
            Self::Client { .. } => "client",
            Self::Everybody => "everybody",
        }
    }
}

impl OrderedBy {
    /// Everybody who orders revocations.
    pub const ALL: [Self; 3] = [Self::Operator, Self::Issuer, Self::Revoker];

    /// `operator`, `issuer` or `revoker`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Issuer => "issuer",
            Self::Revoker => "revoker",
        }
    }

    /// Reads what [`OrderedBy::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}
