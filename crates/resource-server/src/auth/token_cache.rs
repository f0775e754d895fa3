//! What an authorization server said of tokens, for as long as it may be believed.

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

/// How long before a token's end the issuer is asked afresh each time, for its clock may be ahead.
const EXPIRY_SKEW: TimeDelta = TimeDelta::seconds(30);

/// How much is kept of what one issuer said, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct CacheSettings {
    /// How long an answer is believed at most; the token's end may come sooner.
    pub lifetime: Duration,
    /// How many good answers are kept, and how many bad ones: apart, so that a flood of random tokens
    /// pushes out no good one.
    pub entries: usize,
    /// How long it is believed that a token is no good.
    pub negative_lifetime: Duration,
    /// For how long beyond its lifetime an answer still lets its user read while the issuer cannot be
    /// asked; never past the token's end.
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

/// Bounded maps from tokens to what was said of them. Keys are keyed hashes, under a key that is drawn
/// at start and never leaves: the memory of the process holds no token that was not just presented,
/// and a dump of the maps cannot be matched against tokens found elsewhere.
///
/// Pure but for that key: it is told the time.
pub(crate) struct TokenCache {
    good: Cache<Credential, Good>,
    bad: Cache<Credential, Bad>,
    /// SHA-256 after its first block, which is secret. It goes on with what always has 32 bytes, so that
    /// nothing can be appended, which is what HMAC has its second pass for.
    keyed: Sha256,
    issuer: String,
    lifetime: TimeDelta,
    negative_lifetime: TimeDelta,
    stale: TimeDelta,
    /// What of a token still counts when it was last asked about too long ago and the issuer cannot be
    /// asked.
    stale_scopes: ScopeSet,
}

#[derive(Clone)]
struct Good {
    principal: Arc<Principal>,
    not_before: Option<Timestamp>,
    believed_until: Timestamp,
}

#[derive(Clone, Copy)]
struct Bad {
    refusal: Refusal,
    believed_until: Timestamp,
}

/// What is known of a token.
#[derive(Debug)]
pub(crate) enum Known {
    /// It is good.
    Good(Arc<Principal>),
    /// It is no good.
    Bad(Refusal),
    /// Nothing that may be believed.
    Nothing,
}

impl TokenCache {
    /// For the answers of one issuer. `rules` is what else they depend on: what was said under one
    /// configuration never answers under another.
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
            good: Cache::new(settings.entries),
            bad: Cache::new(settings.entries),
            keyed,
            issuer: issuer.to_owned(),
            lifetime: delta(settings.lifetime),
            negative_lifetime: delta(settings.negative_lifetime),
            stale: delta(settings.stale),
            stale_scopes,
        }
    }

    /// How long an answer counts for anything at most.
    pub(crate) fn patience(&self) -> TimeDelta {
        self.lifetime
            .checked_add(&self.stale)
            .unwrap_or(TimeDelta::MAX)
    }

    /// A token's name here.
    pub(crate) fn credential(&self, token: &BearerToken) -> Credential {
        self.credential_of_digest(&Sha256::digest(token.expose()).into())
    }

    /// The same, for whoever has the token's SHA-256 alone.
    pub(crate) fn credential_of_digest(&self, digest: &[u8; 32]) -> Credential {
        let mut keyed = self.keyed.clone();
        keyed.update(digest);
        Credential(keyed.finalize().into())
    }

    /// What is known of a token. Whatever could have changed since it was learned is looked at again;
    /// the audience cannot, for it is part of the key.
    pub(crate) fn find(&self, credential: &Credential, now: Timestamp) -> Known {
        if let Some(good) = self.good.get(credential) {
            if good.may_be_used(&self.issuer, now) && now < good.believed_until {
                return Known::Good(good.principal);
            }
            return Known::Nothing;
        }
        match self.bad.get(credential) {
            Some(bad) if now < bad.believed_until => Known::Bad(bad.refusal),
            _ => Known::Nothing,
        }
    }

    /// Who was behind a token when its issuer could last be asked, if that is not too long ago. Such a
    /// principal may read and nothing else.
    pub(crate) fn find_stale(
        &self,
        credential: &Credential,
        now: Timestamp,
    ) -> Option<Arc<Principal>> {
        let good = self.good.get(credential)?;
        let until = later(good.believed_until, self.stale);
        if !good.may_be_used(&self.issuer, now) || now >= until {
            return None;
        }
        let principal = &good.principal;
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

    /// Keeps a verdict until its lifetime ends, or its token, whichever is first (RFC 7662 §4).
    pub(crate) fn keep(&self, verdict: ValidToken, now: Timestamp) -> Arc<Principal> {
        let ValidToken {
            principal,
            not_before,
        } = verdict;
        let principal = Arc::new(principal);
        let credential = principal.credential;
        self.bad.remove(&credential);
        let configured = later(now, self.lifetime);
        let believed_until = principal.expires_at.map_or(configured, |end| {
            configured.min(end.checked_sub_signed(EXPIRY_SKEW).unwrap_or(end))
        });
        if believed_until > now {
            let good = Good {
                principal: Arc::clone(&principal),
                not_before,
                believed_until,
            };
            self.good.insert(credential, good);
        } else {
            self.good.remove(&credential);
        }
        principal
    }

    /// Keeps that a token is no good, for a short while: it may be so new that the issuer does not know
    /// it everywhere. One that is not valid yet is not kept, for that mends itself at a time of its own.
    /// Says whether it was good before.
    pub(crate) fn refuse(&self, credential: Credential, refusal: Refusal, now: Timestamp) -> bool {
        let was_good = self.good.remove(&credential).is_some();
        let believed_until = later(now, self.negative_lifetime);
        if believed_until > now && refusal != Refusal::NotYetValid {
            let bad = Bad {
                refusal,
                believed_until,
            };
            self.bad.insert(credential, bad);
        }
        was_good
    }

    /// Forgets everybody who is cut off.
    pub(crate) fn forget(&self, revocation: &Revocation) {
        match revocation {
            Revocation::Credential(credential) => {
                self.good.remove(credential);
            }
            Revocation::Everybody => {
                self.good.clear();
                self.bad.clear();
            }
            Revocation::User(_) | Revocation::Client { .. } => {
                self.good
                    .retain(|_, good| !revocation.covers(&good.principal));
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> (usize, usize) {
        (self.good.len(), self.bad.len())
    }
}

impl Good {
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
        matches!(found, Known::Good(_))
    }

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_flood_of_tokens_grows_nothing_and_pushes_out_no_good_one() {
        let token_cache = token_cache(settings(60));
        token_cache.keep(verdict(&token_cache, "good", None), at(0));
        for i in 0..10_000 {
            let credential = token_cache.credential(&token(&format!("t{i}")));
            token_cache.refuse(credential, Refusal::Inactive, at(0));
        }
        let (good, bad) = token_cache.len();
        assert_eq!(good, 1);
        assert!(bad <= 100, "{bad}");
        assert!(knows(&token_cache, "good", 1));
        for i in 0..10_000 {
            token_cache.keep(verdict(&token_cache, &format!("t{i}"), None), at(0));
        }
        assert!(token_cache.len().0 <= 100);
    }

    #[test]
    fn a_million_random_tokens_leave_no_more_than_the_cache_has_room_for() {
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
        token_cache.keep(verdict(&token_cache, "a", None), at(0));
        assert!(knows(&token_cache, "a", 59));
        assert!(!knows(&token_cache, "b", 0));
        assert!(!knows(&token_cache, "a", 60));
    }

    #[test]
    fn what_was_said_under_other_rules_or_by_another_issuer_answers_nothing() {
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
        other.keep(good, at(0));
        assert!(matches!(other.find(&credential, at(0)), Known::Nothing));
    }

    #[test]
    fn what_is_no_good_is_believed_for_a_short_while() {
        let token_cache = token_cache(settings(60));
        let credential = token_cache.credential(&token("a"));
        token_cache.refuse(credential, Refusal::Inactive, at(0));
        let found = |now| token_cache.find(&credential, at(now));
        assert!(matches!(found(4), Known::Bad(Refusal::Inactive)));
        assert!(matches!(found(5), Known::Nothing));
        token_cache.keep(verdict(&token_cache, "a", None), at(1));
        assert!(knows(&token_cache, "a", 2), "the later word counts");
    }

    #[test]
    fn a_token_that_was_not_valid_yet_is_asked_about_again() {
        let token_cache = token_cache(settings(60));
        let credential = token_cache.credential(&token("a"));
        token_cache.refuse(credential, Refusal::NotYetValid, at(0));
        assert!(matches!(
            token_cache.find(&credential, at(1)),
            Known::Nothing
        ));
    }

    #[test]
    fn a_token_that_is_not_valid_yet_is_not_so_from_the_cache_either() {
        let token_cache = token_cache(settings(60));
        let early = ValidToken {
            not_before: Some(at(10)),
            ..verdict(&token_cache, "a", None)
        };
        token_cache.keep(early, at(10));
        assert!(knows(&token_cache, "a", 10));
        assert!(!knows(&token_cache, "a", 9), "the clock was put back");
    }

    #[test]
    fn whoever_is_cut_off_is_forgotten() {
        let client = Revocation::Client {
            issuer: "i".to_owned(),
            client: "c".to_owned(),
        };
        for revocation in [
            Revocation::User(UserId::derive("i", "s")),
            client,
            Revocation::Everybody,
        ] {
            let token_cache = token_cache(settings(60));
            token_cache.keep(verdict(&token_cache, "a", None), at(0));
            token_cache.forget(&Revocation::User(UserId::derive("i", "another")));
            assert!(knows(&token_cache, "a", 0));
            token_cache.forget(&revocation);
            assert!(!knows(&token_cache, "a", 0), "{revocation:?}");
        }
        let token_cache = token_cache(settings(60));
        token_cache.keep(verdict(&token_cache, "a", None), at(0));
        token_cache.keep(verdict(&token_cache, "b", None), at(0));
        let digest = Sha256::digest("a").into();
        token_cache.forget(&Revocation::Credential(
            token_cache.credential_of_digest(&digest),
        ));
        assert!(!knows(&token_cache, "a", 0));
        assert!(knows(&token_cache, "b", 0));
    }

    proptest! {
        #[test]
        fn nothing_is_answered_past_its_lifetime_or_its_end(
            kept in 0i64..1_000, asked in 0i64..1_000, lifetime in 0u64..1_000, stale in 0u64..1_000,
            end in proptest::option::of(0i64..1_000),
        ) {
            prop_assume!(asked >= kept);
            let token_cache = token_cache(CacheSettings { stale: Duration::from_secs(stale), ..settings(lifetime) });
            let verdict = verdict(&token_cache, "a", end);
            let credential = verdict.principal.credential;
            token_cache.keep(verdict, at(kept));
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
