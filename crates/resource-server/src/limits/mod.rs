//! *Purpose:* rate limits: of refused tokens by source address, and of requests by user and by client. A request
//! over a limit gets 429 (RFC 6585 §4). Concurrency is limited by [`gate`](crate::gate).
//!
//! *Used by:* `guard`.
//!
//! *Invariants:* constant memory; a flood of other callers never resets a caller that is over its limit.
//!
//! *Start reading at* [`RateLimits`], then `limiter.rs`.

mod limiter;
mod source;
pub(crate) mod unknown_tokens;

use std::{
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use actix_web::{
    HttpRequest,
    http::header::{FORWARDED, HeaderName, X_FORWARDED_FOR},
};
use derive_more::Display;

pub use self::source::Source;
use self::{
    limiter::Limiter,
    source::source,
    unknown_tokens::{Charge, NoTurn, UnknownTokens},
};
use crate::{
    address_range::AddressRange,
    clock::{Clock, Timestamp},
    principal::Principal,
};

/// Rate limits per minute, which are also the burst sizes; `None` is unlimited.
#[derive(Clone, Debug)]
pub struct RateLimits {
    /// Proxies whose `Forwarded` and `X-Forwarded-For` fields are trusted.
    pub trusted_proxies: Vec<AddressRange>,
    /// Refused tokens from one source address: an IPv4 address, or an IPv6 /64.
    pub unknown_tokens: Option<NonZeroU32>,
    /// Requests of one user.
    pub requests_per_user: Option<NonZeroU32>,
    /// Requests of one client at one issuer.
    pub requests_per_client: Option<NonZeroU32>,
}

impl Default for RateLimits {
    /// 60 refused tokens per source address and 6,000 requests per user in a minute; no trusted proxies.
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            unknown_tokens: NonZeroU32::new(60),
            requests_per_user: NonZeroU32::new(6_000),
            requests_per_client: None,
        }
    }
}

/// Wrong secrets of operators from one source address, per minute.
const WRONG_SECRETS: NonZeroU32 = NonZeroU32::new(60).expect("sixty is not zero");

/// The limits, shared by all workers. Each enabled limit costs a request one hash and one short lock.
pub(crate) struct Limits {
    trusted_proxies: Vec<AddressRange>,
    unknown_tokens: Option<Arc<UnknownTokens>>,
    users: Option<Limiter>,
    clients: Option<Limiter>,
    secrets: Limiter,
}

/// A rate limit is exceeded.
#[derive(Clone, Copy, Debug, Display)]
#[display("{what}")]
pub struct Exceeded {
    /// Which limit it is.
    pub what: Limited,
    /// The limit per minute.
    pub per_minute: u32,
    /// The time until the next request is accepted, in whole seconds.
    pub wait: Duration,
}

// The fields of draft-ietf-httpapi-ratelimit-headers-06, which clients know, not the structured field of
// later drafts. Only on 429: on other responses they would be wrong when cached, and show each client of a
// user how active the others are.
static RATE_LIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
static RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
static RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

impl Exceeded {
    /// The header fields of the 429, besides `Retry-After`: the limit, nothing remaining, and the seconds until
    /// the next request is accepted.
    pub fn fields(&self) -> impl Iterator<Item = (HeaderName, u64)> {
        [
            (RATE_LIMIT_LIMIT.clone(), u64::from(self.per_minute)),
            (RATE_LIMIT_REMAINING.clone(), 0),
            (RATE_LIMIT_RESET.clone(), self.wait.as_secs()),
        ]
        .into_iter()
    }
}

/// A rate limit.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub enum Limited {
    /// Of tokens that are not known to be good, by source.
    #[display("too many unknown tokens from one source")]
    UnverifiedTokens,
    /// Of requests, by user.
    #[display("too many requests of one user")]
    User,
    /// Of requests, by client.
    #[display("too many requests of one client")]
    Client,
    /// Of wrong secrets of operators, by source.
    #[display("too many wrong secrets from one source")]
    Secrets,
}

impl Limits {
    /// Limits with these settings.
    #[must_use]
    pub(crate) fn new(limits: RateLimits, clock: &Clock) -> Self {
        Self {
            trusted_proxies: limits.trusted_proxies,
            unknown_tokens: limits
                .unknown_tokens
                .map(|per_minute| UnknownTokens::new(per_minute, clock.clone())),
            users: limits.requests_per_user.map(Limiter::new),
            clients: limits.requests_per_client.map(Limiter::new),
            secrets: Limiter::new(WRONG_SECRETS),
        }
    }

    /// Counts an attempt to prove a secret, before it is known whether that is the right one.
    ///
    /// # Errors
    /// The limit is exceeded.
    pub(crate) fn secret(
        &self,
        request: &HttpRequest,
        now: Timestamp,
    ) -> Result<SecretAttempt<'_>, Exceeded> {
        let source = self.source(request);
        self.secrets
            .reserve(&source, now)
            .map_err(|wait| Exceeded::new(Limited::Secrets, &self.secrets, wait))?;
        Ok(SecretAttempt {
            limiter: &self.secrets,
            source,
        })
    }

    /// Counts an authenticated request.
    ///
    /// # Errors
    /// The limit that is exceeded.
    pub(crate) fn admit(&self, principal: &Principal, now: Timestamp) -> Result<(), Exceeded> {
        if let Some(users) = &self.users {
            users
                .reserve(&principal.user, now)
                .map_err(|wait| Exceeded::new(Limited::User, users, wait))?;
        }
        if let (Some(clients), Some(client)) = (&self.clients, &principal.client) {
            clients
                .reserve(&(&principal.issuer, client), now)
                .map_err(|wait| Exceeded::new(Limited::Client, clients, wait))?;
        }
        Ok(())
    }

    /// Admits a token of this source to be asked about, because it is not cached: one that was good before at once,
    /// another in its turn. `None` without a limit.
    ///
    /// # Errors
    /// See [`Unadmitted`].
    pub(crate) async fn admit_token(
        &self,
        source: Source,
        is_known: bool,
    ) -> Result<Option<Charge>, Unadmitted> {
        let Some(budgets) = &self.unknown_tokens else {
            return Ok(None);
        };
        if is_known {
            return Ok(Some(budgets.known(source)));
        }
        let reserved = budgets.reserve(source).await;
        reserved.map(Some).map_err(|error| match error {
            NoTurn::Exceeded(wait) => Unadmitted::Exceeded(Exceeded::new(
                Limited::UnverifiedTokens,
                budgets.limiter(),
                wait,
            )),
            NoTurn::Busy => Unadmitted::Busy,
        })
    }

    /// Whether the `Forwarded` fields of this peer are trusted.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies
            .iter()
            .any(|range| range.contains(peer))
    }

    /// The source of a request: its peer, or the address that a trusted proxy names.
    pub(crate) fn source(&self, request: &HttpRequest) -> Source {
        self.source_address(request).into()
    }

    /// The address that a request comes from: the peer's, or the one that trusted proxies name.
    pub(crate) fn source_address(&self, request: &HttpRequest) -> IpAddr {
        // Every connection of a TCP listener has a peer.
        let peer = request
            .peer_addr()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        let lines = |name: HeaderName| request.headers().get_all(name).map(|line| line.as_bytes());
        source(
            peer,
            &self.trusted_proxies,
            lines(FORWARDED),
            lines(X_FORWARDED_FOR),
        )
    }
}

/// Why a token is not asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unadmitted {
    /// Too many tokens of its source were refused.
    Exceeded(Exceeded),
    /// Too many tokens wait, or it waited for too long.
    Busy,
}

/// An attempt to prove a secret: see [`Guard::secret_attempt`](crate::guard::Guard::secret_attempt).
#[must_use = "an attempt that is dropped counts as failed"]
pub struct SecretAttempt<'a> {
    limiter: &'a Limiter,
    source: Source,
}

impl SecretAttempt<'_> {
    /// The secret was right: the attempt does not count.
    pub fn succeeded(self) {
        self.limiter.refund(&self.source);
    }
}

impl Exceeded {
    fn new(what: Limited, limiter: &Limiter, wait: Duration) -> Self {
        Self {
            what,
            per_minute: limiter.per_minute(),
            // Rounded up, so that a client that waits for this time is served.
            wait: Duration::from_secs(wait.as_micros().div_ceil(1_000_000) as u64),
        }
    }

    /// The message for the client.
    #[must_use]
    pub fn description(&self) -> String {
        let what = match self.what {
            Limited::UnverifiedTokens => "unknown tokens from this address",
            Limited::User => "requests of this user",
            Limited::Client => "requests of this client",
            Limited::Secrets => "wrong secrets from this address",
        };
        format!(
            "There were too many {what}; there may be {} a minute",
            self.per_minute
        )
    }
}
