//! The cache of introspection results (RFC 7662 §4) of one authorization server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use crate::{
    bearer::BearerToken,
    clock::Timestamp,
    principal::{Credential, Principal, Revocation, UserId},
    scope::ScopeSet,
    validation::{Refusal, ValidToken},
};

/// A cached result is not used in the last seconds before `exp`, because the clock of the issuer may be ahead.
const EXPIRY_SKEW: TimeDelta = TimeDelta::seconds(30);

/// When a token in use is asked about again: so many hundredths of its lifetime in the cache before that ends. The
/// number is random for each, so that tokens that were asked about together are spread.
const REFRESH_AHEAD: std::ops::Range<u32> = 10..25;

/// How long a token is left alone after a refresh of it has begun, or was not admitted: at least this, and up to
/// twice as long.
const REFRESH_PAUSE: TimeDelta = TimeDelta::seconds(1);

/// Size and lifetimes of the token cache of one issuer.
#[derive(Clone, Copy, Debug)]
pub struct CacheSettings {
    /// How long an active token is cached, unless it expires sooner. Default: 60 s.
    pub lifetime: Duration,
    /// The number of active tokens, and the number of refused ones, that are cached. They are separate, so
    /// that a flood of random tokens evicts no active one. Default: 10,000.
    pub entries: usize,
    /// How long a refused token is cached. Default: 5 s.
    pub negative_lifetime: Duration,
    /// Stale-if-error (RFC 5861 §4): how long beyond `lifetime` an active token keeps its read-only scopes
    /// while the issuer is unavailable; never past its `exp`. Default: zero.
    pub stale: Duration,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(60),
            entries: 10_000,
            negative_lifetime: Duration::from_secs(5),
            stale: Duration::ZERO,
        }
    }
}

/// Bounded maps from tokens to results. Keys are keyed hashes under a random key of the process: memory
/// holds no token beyond its request, and a memory dump cannot be matched against tokens found elsewhere.
///
/// Callers pass the time.
pub(crate) struct TokenCache {
    active: Cache<Credential, Active>,
    /// The tokens that are refused, or cannot be checked.
    refused: Cache<Credential, Negative>,
    /// SHA-256 after a secret first block. Only digests of 32 bytes are appended, so length extension,
    /// which HMAC prevents with its second pass, is not possible.
    keyed: Sha256,
    issuer: String,
    lifetime: TimeDelta,
    negative_lifetime: TimeDelta,
    stale: TimeDelta,
    /// The scopes that a stale token keeps.
    stale_scopes: ScopeSet,
    /// Raised when nothing that is cached may be used any more.
    generation: AtomicU32,
}

#[derive(Clone)]
struct Active {
    principal: Arc<Principal>,
    not_before: Option<Timestamp>,
    fresh_until: Timestamp,
    /// When it is asked about again if it is used, in microseconds since 1970.
    refresh_at: Arc<AtomicI64>,
    generation: u32,
}

#[derive(Clone, Copy)]
struct Negative {
    /// `None` if the token cannot be checked.
    refusal: Option<Refusal>,
    fresh_until: Timestamp,
}

/// The result of a look-up.
#[derive(Debug)]
pub(crate) enum Cached {
    /// The token is active.
    Active(Arc<Principal>),
    /// The token is active, and the caller has to ask about it again in the background. Others are not told.
    Due(Arc<Principal>),
    /// The token is refused.
    Refused(Refusal),
    /// The issuer answered something odd about the token; it is not asked again for this time.
    Uncheckable(Duration),
    /// There is no fresh entry.
    Missing,
}

impl TokenCache {
    /// A cache for one issuer. `rules` names the settings that results depend on: it is part of the key, so
    /// that a result under other settings is never found.
    pub(crate) fn new(
        settings: CacheSettings,
        issuer: &str,
        rules: &str,
        stale_scopes: ScopeSet,
    ) -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system gives random bytes");
        let mut keyed = Sha256::new();
        for half in [0, 1] {
            let mut derived = Sha256::new().chain_update(key).chain_update([half]);
            for part in [issuer, rules] {
                derived.update((part.len() as u64).to_be_bytes());
                derived.update(part);
            }
            keyed.update(derived.finalize());
        }
        let delta = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        Self {
            active: Cache::new(settings.entries),
            refused: Cache::new(settings.entries),
            keyed,
            issuer: issuer.to_owned(),
            lifetime: delta(settings.lifetime),
            negative_lifetime: delta(settings.negative_lifetime),
            stale: delta(settings.stale),
            stale_scopes,
            generation: AtomicU32::new(0),
        }
    }

    /// How long a result is used at most: its lifetime and the time for which it may be stale.
    pub(crate) fn max_staleness(&self) -> TimeDelta {
        self.lifetime
            .checked_add(&self.stale)
            .unwrap_or(TimeDelta::MAX)
    }

    /// The key of a token.
    pub(crate) fn credential(&self, token: &BearerToken) -> Credential {
        self.credential_of_digest(&Sha256::digest(token.expose()).into())
    }

    /// The key of the token with this SHA-256.
    pub(crate) fn credential_of_digest(&self, digest: &[u8; 32]) -> Credential {
        let mut keyed = self.keyed.clone();
        keyed.update(digest);
        Credential(keyed.finalize().into())
    }

    /// Looks a token up. Its times are checked again; its audience is not, because it is part of the key.
    pub(crate) fn find(&self, credential: &Credential, now: Timestamp) -> Cached {
        if let Some(entry) = self.active.get(credential)
            && entry.may_be_used(&self.issuer, now)
            && now < entry.fresh_until
            && self.is_current(&entry)
        {
            return if entry.claim_refresh(now) {
                Cached::Due(entry.principal)
            } else {
                Cached::Active(entry.principal)
            };
        }
        match self.refused.get(credential) {
            Some(entry) if now < entry.fresh_until => match entry.refusal {
                Some(refusal) => Cached::Refused(refusal),
                None => {
                    let left = (entry.fresh_until - now).to_std();
                    Cached::Uncheckable(left.unwrap_or_default())
                }
            },
            _ => Cached::Missing,
        }
    }

    /// The user of a token that was active when its issuer was asked last.
    pub(crate) fn known_user(&self, credential: &Credential, now: Timestamp) -> Option<UserId> {
        let entry = self.active.get(credential)?;
        entry
            .may_be_used(&self.issuer, now)
            .then_some(entry.principal.user)
    }

    /// Remembers that the issuer answered something odd about a token, which is not asked about again until
    /// then. What is known of the token stays.
    pub(crate) fn cannot_check(&self, credential: Credential, until: Timestamp) {
        let entry = Negative {
            refusal: None,
            fresh_until: until,
        };
        self.refused.insert(credential, entry);
    }

    /// Who was behind a token when its issuer could last be asked, if that is not too long ago. Such a
    /// principal may read and nothing else.
    pub(crate) fn find_stale(
        &self,
        credential: &Credential,
        now: Timestamp,
    ) -> Option<Arc<Principal>> {
        let entry = self.active.get(credential)?;
        let until = later(entry.fresh_until, self.stale);
        if !entry.may_be_used(&self.issuer, now) || now >= until || !self.is_current(&entry) {
            return None;
        }
        let principal = &entry.principal;
        let withheld = principal.scopes.minus(self.stale_scopes);
        let scopes = principal.scopes.minus(withheld);
        (!scopes.is_empty()).then(|| {
            Arc::new(Principal {
                scopes,
                withheld,
                ..Principal::clone(principal)
            })
        })
    }

    /// Caches an active token until its lifetime ends or the token expires, whichever is first
    /// (RFC 7662 §4). The lifetime begins when its issuer was `asked`.
    pub(crate) fn insert(
        &self,
        token: ValidToken,
        asked: Timestamp,
        now: Timestamp,
    ) -> Arc<Principal> {
        let ValidToken {
            principal,
            not_before,
        } = token;
        let principal = Arc::new(principal);
        let credential = principal.credential;
        self.refused.remove(&credential);
        // Later than now only if the clock was set back meanwhile.
        let configured = later(asked.min(now), self.lifetime);
        let fresh_until = principal.expires_at.map_or(configured, |end| {
            configured.min(end.checked_sub_signed(EXPIRY_SKEW).unwrap_or(end))
        });
        if fresh_until > now {
            let entry = Active {
                principal: Arc::clone(&principal),
                not_before,
                fresh_until,
                refresh_at: Arc::new(AtomicI64::new(self.refresh_at(fresh_until, configured))),
                generation: self.generation.load(Ordering::Relaxed),
            };
            self.active.insert(credential, entry);
        } else {
            self.active.remove(&credential);
        }
        principal
    }

    /// Caches a refusal for a short time only: a new token may not have reached every server of the issuer.
    /// A token that is not valid yet is not cached, because it becomes valid by itself. Returns whether the
    /// token was active before.
    pub(crate) fn refuse(&self, credential: Credential, refusal: Refusal, now: Timestamp) -> bool {
        let was_active = self.active.remove(&credential).is_some();
        let fresh_until = later(now, self.negative_lifetime);
        if fresh_until > now && refusal != Refusal::NotYetValid {
            let entry = Negative {
                refusal: Some(refusal),
                fresh_until,
            };
            self.refused.insert(credential, entry);
        }
        was_active
    }

    /// When a token that is fresh until then is asked about again. Never, if it is about to expire: its issuer
    /// cannot prolong it.
    fn refresh_at(&self, fresh_until: Timestamp, configured: Timestamp) -> i64 {
        if fresh_until < configured {
            return i64::MAX;
        }
        let lifetime = self.lifetime.num_microseconds().unwrap_or(i64::MAX);
        let ahead = lifetime / 100 * i64::from(random_in(REFRESH_AHEAD));
        fresh_until.timestamp_micros().saturating_sub(ahead)
    }

    fn is_current(&self, entry: &Active) -> bool {
        entry.generation == self.generation.load(Ordering::Relaxed)
    }

    /// Makes every token be checked again before it is used: for how long the results have been believed is not
    /// known. That a token was active before is not forgotten, so that its streams end if it is refused.
    pub(crate) fn forget_results(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        self.refused.clear();
    }

    /// Forgets which tokens cannot be checked.
    pub(crate) fn forget_uncheckable(&self) {
        self.refused.retain(|_, entry| entry.refusal.is_some());
    }

    /// Removes every entry that a revocation covers.
    pub(crate) fn remove(&self, revocation: &Revocation) {
        match revocation {
            Revocation::Credential(credential) => {
                self.active.remove(credential);
            }
            Revocation::All => {
                self.active.clear();
                self.refused.clear();
            }
            Revocation::User(_) | Revocation::Client { .. } => {
                self.active
                    .retain(|_, entry| !revocation.covers(&entry.principal));
            }
        }
    }

    /// `exp` of a token that is or was cached as active.
    pub(crate) fn expiry(&self, credential: &Credential) -> Option<Timestamp> {
        self.active.get(credential)?.principal.expires_at
    }

    /// Removes every refusal, because a reason for some of them no longer applies.
    pub(crate) fn forget_refusals(&self) {
        self.refused.clear();
    }

    #[cfg(test)]
    fn len(&self) -> (usize, usize) {
        (self.active.len(), self.refused.len())
    }
}

impl Active {
    /// Whether it is time to ask about the token again, and this caller is the one to do so.
    fn claim_refresh(&self, now: Timestamp) -> bool {
        let due = self.refresh_at.load(Ordering::Relaxed);
        let now = now.timestamp_micros();
        if now < due {
            return false;
        }
        let pause = REFRESH_PAUSE.num_microseconds().unwrap_or(0);
        let next = now + pause + pause / 100 * i64::from(random_in(0..100));
        let order = Ordering::Relaxed;
        self.refresh_at
            .compare_exchange(due, next, order, order)
            .is_ok()
    }

    fn may_be_used(&self, issuer: &str, now: Timestamp) -> bool {
        self.principal.issuer == issuer
            && self.principal.expires_at.is_none_or(|end| now < end)
            && self.not_before.is_none_or(|start| start <= now)
    }
}

fn random_in(range: std::ops::Range<u32>) -> u32 {
    let random = getrandom::u32().unwrap_or_default();
    range.start + random % (range.end - range.start)
}

fn later(now: Timestamp, by: TimeDelta) -> Timestamp {
    now.checked_add_signed(by).unwrap_or(Timestamp::MAX_UTC)
}

#[cfg(test)]
#[path = "token_cache_tests.rs"]
mod tests;
