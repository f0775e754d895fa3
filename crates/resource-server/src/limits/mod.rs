//! Which limits there are: of tokens that are not known, by where they come from, and of requests, by
//! user and by client. Who is over one is answered 429; what is under way is bounded elsewhere.

mod limiter;
mod source;

use std::{
    cell::Cell,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    time::Duration,
};

use actix_web::{
    HttpRequest,
    http::header::{FORWARDED, HeaderName, X_FORWARDED_FOR},
};
use derive_more::Display;

use self::{
    limiter::Limiter,
    source::{Source, source},
};
use crate::{
    address_range::AddressRange,
    clock::{Clock, Timestamp},
    principal::Principal,
};

/// How often what may be asked in a minute, and at once; `None` is as often as anybody likes.
#[derive(Clone, Debug)]
pub struct RateLimits {
    /// Proxies that are believed when they say for whom they ask.
    pub trusted_proxies: Vec<AddressRange>,
    /// Tokens from one source that are not known, and no good.
    pub unknown_tokens: Option<NonZeroU32>,
    /// Requests of one user.
    pub requests_per_user: Option<NonZeroU32>,
    /// Requests of one client of one issuer.
    pub requests_per_client: Option<NonZeroU32>,
}

impl Default for RateLimits {
    /// 60 unknown tokens from one address and 6,000 requests of one user in a minute; no proxy is
    /// trusted.
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            unknown_tokens: NonZeroU32::new(60),
            requests_per_user: NonZeroU32::new(6_000),
            requests_per_client: None,
        }
    }
}

/// The limits, shared by all workers. Each that is switched on has a table of its own, and costs a
/// request one hash and one lock that nobody holds for longer than a look at eight numbers.
pub struct Limits {
    trusted_proxies: Vec<AddressRange>,
    unknown_tokens: Option<Limiter>,
    users: Option<Limiter>,
    clients: Option<Limiter>,
}

/// There were too many in too short a time.
#[derive(Clone, Copy, Debug, Display)]
#[display("{what}")]
pub struct Exceeded {
    what: Limited,
    /// How many a minute, and at once, there may be.
    pub per_minute: u32,
    /// How long until there may be another, in whole seconds.
    pub wait: Duration,
}

#[derive(Clone, Copy, Debug, Display)]
enum Limited {
    #[display("too many unknown tokens from one source")]
    UnverifiedTokenBudgets,
    #[display("too many requests of one user")]
    User,
    #[display("too many requests of one client")]
    Client,
}

impl Limits {
    /// Those of the configuration.
    #[must_use]
    pub fn new(limits: RateLimits) -> Self {
        Self {
            trusted_proxies: limits.trusted_proxies,
            unknown_tokens: limits.unknown_tokens.map(Limiter::new),
            users: limits.requests_per_user.map(Limiter::new),
            clients: limits.requests_per_client.map(Limiter::new),
        }
    }

    /// Counts a request of somebody who is known.
    ///
    /// # Errors
    /// The limit that it exceeds.
    pub fn admit(&self, principal: &Principal, now: Timestamp) -> Result<(), Exceeded> {
        if let Some(users) = &self.users {
            users
                .take(&principal.user, now)
                .map_err(|wait| Exceeded::new(Limited::User, users, wait))?;
        }
        if let (Some(clients), Some(client)) = (&self.clients, &principal.client) {
            clients
                .take(&(&principal.issuer, client), now)
                .map_err(|wait| Exceeded::new(Limited::Client, clients, wait))?;
        }
        Ok(())
    }

    /// What a request takes for a token that is not known.
    pub(crate) fn unverified_token<'a>(
        &'a self,
        request: &'a HttpRequest,
        clock: &'a Clock,
    ) -> UnverifiedTokenBudget<'a> {
        UnverifiedTokenBudget {
            limits: self,
            request,
            clock,
            taken: Cell::new(0),
        }
    }

    fn source(&self, request: &HttpRequest) -> Source {
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

/// What one request takes for a token that is not known: one each time that the authorization server is
/// about to be asked, so that no number of them at once gets further than the limit. What turns out to
/// be good is given back, and so is what could not be found out: a hosted client may bring the tokens
/// of thousands of users from one address, and each of them is unknown again once its answer is too
/// old to be believed. Whoever mixes good tokens with bad ones gains one bad one for each good one at
/// most, and only if that one's answer comes late. Who hangs up meanwhile gets nothing back.
pub(crate) struct UnverifiedTokenBudget<'a> {
    limits: &'a Limits,
    request: &'a HttpRequest,
    clock: &'a Clock,
    taken: Cell<usize>,
}

impl UnverifiedTokenBudget<'_> {
    /// Takes one.
    ///
    /// # Errors
    /// That there is none.
    pub(crate) fn reserve(&self) -> Result<(), Exceeded> {
        if let Some(limiter) = &self.limits.unknown_tokens {
            limiter
                .take(&self.limits.source(self.request), self.clock.now())
                .map_err(|wait| Exceeded::new(Limited::UnverifiedTokenBudgets, limiter, wait))?;
            self.taken.set(self.taken.get() + 1);
        }
        Ok(())
    }

    /// Gives back what was taken.
    pub(crate) fn refund(&self) {
        if let Some(limiter) = &self.limits.unknown_tokens {
            for _ in 0..self.taken.take() {
                limiter.give_back(&self.limits.source(self.request));
            }
        }
    }
}

impl Exceeded {
    fn new(what: Limited, limiter: &Limiter, wait: Duration) -> Self {
        Self {
            what,
            per_minute: limiter.per_minute(),
            // Rounded up: who comes back when told is served.
            wait: Duration::from_secs(wait.as_micros().div_ceil(1_000_000) as u64),
        }
    }

    /// What the client reads.
    #[must_use]
    pub fn description(&self) -> String {
        let what = match self.what {
            Limited::UnverifiedTokenBudgets => "unknown tokens from this address",
            Limited::User => "requests of this user",
            Limited::Client => "requests of this client",
        };
        format!(
            "There were too many {what}; there may be {} a minute",
            self.per_minute
        )
    }
}
