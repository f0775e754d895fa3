//! The cache of introspection results (RFC 7662 §4) of one authorization server.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use crate::{
    bearer::BearerToken,
    clock::Timestamp,
    principal::{Credential, Principal, Revocation},
    scope::ScopeSet,
    validation::{Refusal, ValidToken},
};

/// A cached result is not used in the last seconds before `exp`, because the clock of the issuer may be ahead.
const EXPIRY_SKEW: TimeDelta = TimeDelta::seconds(30);

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
    refused: Cache<Credential, Refused>,
    /// SHA-256 after a secret first block. Only digests of 32 bytes are appended, so length extension,
    /// which HMAC prevents with its second pass, is not possible.
    keyed: Sha256,
    issuer: String,
    lifetime: TimeDelta,
    negative_lifetime: TimeDelta,
    stale: TimeDelta,
    /// The scopes that a stale token keeps.
    stale_scopes: ScopeSet,
}

#[derive(Clone)]
struct Active {
    principal: Arc<Principal>,
    not_before: Option<Timestamp>,
    fresh_until: Timestamp,
}

#[derive(Clone, Copy)]
struct Refused {
    refusal: Refusal,
    fresh_until: Timestamp,
}

/// The result of a look-up.
#[derive(Debug)]
pub(crate) enum Cached {
    /// The token is active.
    Active(Arc<Principal>),
    /// The token is refused.
    Refused(Refusal),
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
        if let Some(entry) = self.active.get(credential) {
            if entry.may_be_used(&self.issuer, now) && now < entry.fresh_until {
                return Cached::Active(entry.principal);
            }
            return Cached::Missing;
        }
        match self.refused.get(credential) {
            Some(entry) if now < entry.fresh_until => Cached::Refused(entry.refusal),
            _ => Cached::Missing,
        }
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
        if !entry.may_be_used(&self.issuer, now) || now >= until {
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
    /// (RFC 7662 §4).
    pub(crate) fn insert(&self, token: ValidToken, now: Timestamp) -> Arc<Principal> {
        let ValidToken {
            principal,
            not_before,
        } = token;
        let principal = Arc::new(principal);
        let credential = principal.credential;
        self.refused.remove(&credential);
        let configured = later(now, self.lifetime);
        let fresh_until = principal.expires_at.map_or(configured, |end| {
            configured.min(end.checked_sub_signed(EXPIRY_SKEW).unwrap_or(end))
        });
        if fresh_until > now {
            let entry = Active {
                principal: Arc::clone(&principal),
                not_before,
                fresh_until,
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
            let entry = Refused {
                refusal,
                fresh_until,
            };
            self.refused.insert(credential, entry);
        }
        was_active
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
    fn may_be_used(&self, issuer: &str, now: Timestamp) -> bool {
        self.principal.issuer == issuer
            && self.principal.expires_at.is_none_or(|end| now < end)
            && self.not_before.is_none_or(|start| start <= now)
    }
}

fn later(now: Timestamp, by: TimeDelta) -> Timestamp {
    now.checked_add_signed(by).unwrap_or(Timestamp::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::{bearer::Presentation, principal::UserId, scope::Scopes};

    fn token(text: &str) -> BearerToken {
        Presentation::from_authorization([format!("Bearer {text}").as_bytes()].into_iter())
            .unwrap()
            .token
    }

    fn settings(lifetime: u64) -> CacheSettings {
        CacheSettings {
            lifetime: Duration::from_secs(lifetime),
            entries: 100,
            negative_lifetime: Duration::from_secs(5),
            stale: Duration::ZERO,
        }
    }

    fn token_cache(settings: CacheSettings) -> TokenCache {
        TokenCache::new(settings, "i", "", Scopes::of_test().parse("files:read"))
    }

    fn verdict(token_cache: &TokenCache, text: &str, end: Option<i64>) -> ValidToken {
        ValidToken {
            principal: Principal {
                client: Some("c".to_owned()),
                expires_at: end.map(at),
                credential: token_cache.credential(&token(text)),
                ..Principal::of_test("s")
            },
            not_before: None,
        }
    }

    fn knows(token_cache: &TokenCache, text: &str, now: i64) -> bool {
        let found = token_cache.find(&token_cache.credential(&token(text)), at(now));
        matches!(found, Cached::Active(_))
    }

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_flood_of_tokens_stays_within_bounds_and_evicts_no_active_one() {
        let token_cache = token_cache(settings(60));
        token_cache.insert(verdict(&token_cache, "good", None), at(0));
        for i in 0..10_000 {
            let credential = token_cache.credential(&token(&format!("t{i}")));
            token_cache.refuse(credential, Refusal::Inactive, at(0));
        }
        let (good, bad) = token_cache.len();
        assert_eq!(good, 1);
        assert!(bad <= 100, "{bad}");
        assert!(knows(&token_cache, "good", 1));
        for i in 0..10_000 {
            token_cache.insert(verdict(&token_cache, &format!("t{i}"), None), at(0));
        }
        assert!(token_cache.len().0 <= 100);
    }

    #[test]
    fn a_million_random_tokens_stay_within_the_capacity() {
        let settings = CacheSettings {
            entries: 10_000,
            ..settings(60)
        };
        let token_cache = token_cache(settings);
        for i in 0..1_000_000_u64 {
            let mut credential = [0; 32];
            credential[..8].copy_from_slice(&i.to_be_bytes());
            token_cache.refuse(Credential(credential), Refusal::Inactive, at(0));
        }
        let (good, bad) = token_cache.len();
        assert_eq!(good, 0);
        assert!((5_000..=10_000).contains(&bad), "{bad}");
    }

    #[test]
    fn one_token_never_answers_for_another() {
        let token_cache = token_cache(settings(60));
        token_cache.insert(verdict(&token_cache, "a", None), at(0));
        assert!(knows(&token_cache, "a", 59));
        assert!(!knows(&token_cache, "b", 0));
        assert!(!knows(&token_cache, "a", 60));
    }

    #[test]
    fn results_of_other_settings_or_issuers_are_not_found() {
        let ours = token_cache(settings(60));
        let good = verdict(&ours, "a", None);
        for (issuer, rules) in [("j", ""), ("i", "x")] {
            let other = TokenCache::new(settings(60), issuer, rules, ScopeSet::EMPTY);
            assert_ne!(other.credential(&token("a")), ours.credential(&token("a")));
        }
        // Even if the key were the same.
        let other = TokenCache {
            issuer: "j".to_owned(),
            ..token_cache(settings(60))
        };
        let credential = good.principal.credential;
        other.insert(good, at(0));
        assert!(matches!(other.find(&credential, at(0)), Cached::Missing));
    }

    #[test]
    fn a_refusal_is_cached_for_a_short_time() {
        let token_cache = token_cache(settings(60));
        let credential = token_cache.credential(&token("a"));
        token_cache.refuse(credential, Refusal::Inactive, at(0));
        let found = |now| token_cache.find(&credential, at(now));
        assert!(matches!(found(4), Cached::Refused(Refusal::Inactive)));
        assert!(matches!(found(5), Cached::Missing));
        token_cache.insert(verdict(&token_cache, "a", None), at(1));
        assert!(knows(&token_cache, "a", 2), "the later result counts");
    }

    #[test]
    fn a_token_that_is_not_valid_yet_is_not_cached() {
        let token_cache = token_cache(settings(60));
        let credential = token_cache.credential(&token("a"));
        token_cache.refuse(credential, Refusal::NotYetValid, at(0));
        assert!(matches!(
            token_cache.find(&credential, at(1)),
            Cached::Missing
        ));
    }

    #[test]
    fn the_start_of_a_token_is_checked_in_the_cache_too() {
        let token_cache = token_cache(settings(60));
        let early = ValidToken {
            not_before: Some(at(10)),
            ..verdict(&token_cache, "a", None)
        };
        token_cache.insert(early, at(10));
        assert!(knows(&token_cache, "a", 10));
        assert!(!knows(&token_cache, "a", 9), "the clock was put back");
    }

    #[test]
    fn a_revocation_removes_what_it_covers() {
        let client = Revocation::Client {
            issuer: "i".to_owned(),
            client: "c".to_owned(),
        };
        for revocation in [
            Revocation::User(UserId::derive("i", "s")),
            client,
            Revocation::All,
        ] {
            let token_cache = token_cache(settings(60));
            token_cache.insert(verdict(&token_cache, "a", None), at(0));
            token_cache.remove(&Revocation::User(UserId::derive("i", "another")));
            assert!(knows(&token_cache, "a", 0));
            token_cache.remove(&revocation);
            assert!(!knows(&token_cache, "a", 0), "{revocation:?}");
        }
        let token_cache = token_cache(settings(60));
        token_cache.insert(verdict(&token_cache, "a", None), at(0));
        token_cache.insert(verdict(&token_cache, "b", None), at(0));
        let digest = Sha256::digest("a").into();
        token_cache.remove(&Revocation::Credential(
            token_cache.credential_of_digest(&digest),
        ));
        assert!(!knows(&token_cache, "a", 0));
        assert!(knows(&token_cache, "b", 0));
    }

    proptest! {
        #[test]
        fn nothing_is_found_past_its_lifetime_or_its_expiry(
            kept in 0i64..1_000, asked in 0i64..1_000, lifetime in 0u64..1_000, stale in 0u64..1_000,
            end in proptest::option::of(0i64..1_000),
        ) {
            prop_assume!(asked >= kept);
            let token_cache = token_cache(CacheSettings { stale: Duration::from_secs(stale), ..settings(lifetime) });
            let verdict = verdict(&token_cache, "a", end);
            let credential = verdict.principal.credential;
            token_cache.insert(verdict, at(kept));
            let until = (kept + i64::try_from(lifetime).unwrap()).min(end.map_or(i64::MAX, |end| end - 30));
            prop_assert_eq!(knows(&token_cache, "a", asked), asked < until);
            let was_kept = until > kept;
            let ended = end.is_some_and(|end| end <= asked);
            let found = token_cache.find_stale(&credential, at(asked));
            let may = was_kept && !ended && asked < until.saturating_add(i64::try_from(stale).unwrap());
            prop_assert_eq!(found.is_some(), may);
            if let Some(principal) = found {
                prop_assert_eq!(principal.scopes, Scopes::of_test().parse("files:read"));
                prop_assert_eq!(principal.scopes.union(principal.withheld), Scopes::of_test().all());
            }
        }
    }
}
