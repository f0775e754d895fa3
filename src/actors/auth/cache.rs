//! What the authorization server said of a token, for as long as it may be believed.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use quick_cache::sync::Cache;
use sha2::Sha256;

use crate::{
    domain::{clock::Timestamp, principal::Principal},
    oauth::bearer::BearerToken,
};

/// A bounded map from tokens to principals. Keys are keyed hashes, under a key that is drawn at
/// start and never leaves: the memory of the process holds no token that was not just presented,
/// and a dump of the map cannot be matched against tokens found elsewhere.
///
/// Pure but for that key: it is told the time.
pub(super) struct VerdictCache {
    verdicts: Cache<[u8; 32], Verdict>,
    keyed: Hmac<Sha256>,
    lifetime: TimeDelta,
}

#[derive(Clone)]
struct Verdict {
    principal: Arc<Principal>,
    believed_until: Timestamp,
}

impl VerdictCache {
    /// Keeps at most `entries` verdicts of one issuer, each for at most `lifetime`.
    pub(super) fn new(entries: usize, lifetime: Duration, issuer: &str) -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system gives random bytes");
        let mut keyed =
            Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
        // The issuer is part of every key, so that a verdict never answers for another issuer.
        keyed.update(&(issuer.len() as u64).to_be_bytes());
        keyed.update(issuer.as_bytes());
        Self {
            verdicts: Cache::new(entries),
            keyed,
            lifetime: TimeDelta::from_std(lifetime).unwrap_or(TimeDelta::MAX),
        }
    }

    /// The principal behind a token, if it was asked for recently enough and the token has not
    /// ended since.
    pub(super) fn find(&self, token: &BearerToken, now: Timestamp) -> Option<Arc<Principal>> {
        let key = self.key(token);
        let verdict = self.verdicts.get(&key)?;
        let ended = verdict.principal.expires_at.is_some_and(|end| end <= now);
        if ended || verdict.believed_until <= now {
            self.verdicts.remove(&key);
            return None;
        }
        Some(verdict.principal)
    }

    /// Keeps a verdict until its lifetime or its token ends, whichever is first (RFC 7662 §4).
    pub(super) fn keep(&self, token: &BearerToken, principal: Arc<Principal>, now: Timestamp) {
        let configured = now
            .checked_add_signed(self.lifetime)
            .unwrap_or(Timestamp::MAX_UTC);
        let believed_until = principal
            .expires_at
            .map_or(configured, |end| end.min(configured));
        if believed_until > now {
            self.verdicts.insert(
                self.key(token),
                Verdict {
                    principal,
                    believed_until,
                },
            );
        }
    }

    fn key(&self, token: &BearerToken) -> [u8; 32] {
        let mut keyed = self.keyed.clone();
        keyed.update(token.expose().as_bytes());
        keyed.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{principal::UserId, scope::ScopeSet};

    fn token(text: &str) -> BearerToken {
        BearerToken::from_authorization([format!("Bearer {text}").as_bytes()].into_iter()).unwrap()
    }

    fn principal(end: Option<i64>) -> Arc<Principal> {
        Arc::new(Principal {
            issuer: "i".to_owned(),
            subject: "s".to_owned(),
            client: None,
            username: None,
            scopes: ScopeSet::ALL,
            expires_at: end.map(at),
            user: UserId::derive("i", "s"),
        })
    }

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_flood_of_tokens_does_not_grow_the_cache() {
        let cache = VerdictCache::new(100, Duration::from_secs(60), "i");
        for i in 0..10_000 {
            cache.keep(&token(&format!("t{i}")), principal(None), at(0));
        }
        assert!(cache.verdicts.len() <= 100, "{}", cache.verdicts.len());
    }

    #[test]
    fn one_token_never_answers_for_another() {
        let cache = VerdictCache::new(100, Duration::from_secs(60), "i");
        cache.keep(&token("a"), principal(None), at(0));
        assert!(cache.find(&token("a"), at(59)).is_some());
        assert!(cache.find(&token("b"), at(0)).is_none());
        assert!(cache.find(&token("a"), at(60)).is_none());
    }

    proptest! {
        #[test]
        fn nothing_is_answered_past_its_lifetime_or_its_end(
            kept in 0i64..1_000, asked in 0i64..1_000, lifetime in 0u64..1_000,
            end in proptest::option::of(0i64..1_000),
        ) {
            prop_assume!(asked >= kept);
            let cache = VerdictCache::new(10, Duration::from_secs(lifetime), "i");
            cache.keep(&token("a"), principal(end), at(kept));
            let answered = cache.find(&token("a"), at(asked)).is_some();
            let lives = asked < kept + i64::try_from(lifetime).unwrap() && end.is_none_or(|end| asked < end);
            prop_assert_eq!(answered, lives);
        }
    }
}
