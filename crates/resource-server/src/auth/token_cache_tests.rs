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
    matches!(found, Cached::Active(_) | Cached::Due(_))
}

fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

#[test]
fn a_flood_of_tokens_stays_within_bounds_and_evicts_no_active_one() {
    let token_cache = token_cache(settings(60));
    token_cache.insert(verdict(&token_cache, "good", None), at(0), at(0));
    for i in 0..10_000 {
        let credential = token_cache.credential(&token(&format!("t{i}")));
        token_cache.refuse(credential, Refusal::Inactive, at(0));
    }
    let (good, bad) = token_cache.len();
    assert_eq!(good, 1);
    assert!(bad <= 100, "{bad}");
    assert!(knows(&token_cache, "good", 1));
    for i in 0..10_000 {
        token_cache.insert(verdict(&token_cache, &format!("t{i}"), None), at(0), at(0));
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
    token_cache.insert(verdict(&token_cache, "a", None), at(0), at(0));
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
    other.insert(good, at(0), at(0));
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
    token_cache.insert(verdict(&token_cache, "a", None), at(1), at(1));
    assert!(knows(&token_cache, "a", 2), "the later result counts");
}

#[test]
fn what_cannot_be_checked_is_remembered_and_takes_nothing_away() {
    let token_cache = token_cache(CacheSettings {
        stale: Duration::from_secs(300),
        ..settings(60)
    });
    let credential = token_cache.credential(&token("a"));
    let found = |now| token_cache.find(&credential, at(now));
    token_cache.cannot_check(credential, at(5));
    assert!(matches!(found(2), Cached::Uncheckable(left) if left == Duration::from_secs(3)));
    assert!(matches!(found(5), Cached::Missing));
    assert!(token_cache.known_user(&credential, at(0)).is_none());
    token_cache.insert(verdict(&token_cache, "a", None), at(0), at(0));
    assert!(knows(&token_cache, "a", 1), "the later result counts");
    token_cache.cannot_check(credential, at(65));
    assert!(knows(&token_cache, "a", 59));
    assert!(matches!(found(60), Cached::Uncheckable(_)));
    assert!(token_cache.known_user(&credential, at(60)).is_some());
    assert!(token_cache.find_stale(&credential, at(60)).is_some());
    assert!(matches!(found(65), Cached::Missing));
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
    token_cache.insert(early, at(10), at(10));
    assert!(knows(&token_cache, "a", 10));
    assert!(!knows(&token_cache, "a", 9), "the clock was put back");
}

#[test]
fn one_caller_is_told_that_a_token_is_due_and_again_after_a_pause() {
    for _ in 0..50 {
        let token_cache = token_cache(settings(60));
        let credential = token_cache.credential(&token("a"));
        let due = |now| matches!(token_cache.find(&credential, at(now)), Cached::Due(_));
        // Counted from when its issuer was asked.
        token_cache.insert(verdict(&token_cache, "a", None), at(0), at(3));
        assert!(!due(45));
        let first = (46..=54).find(|now| due(*now)).expect("it is due");
        assert!(!due(first));
        assert!(due(first + 2), "nobody has renewed it");
        assert!(knows(&token_cache, "a", 59));
        assert!(!knows(&token_cache, "a", 60));
        token_cache.insert(verdict(&token_cache, "a", Some(85)), at(50), at(50));
        assert!((50..55).all(|now| !due(now)), "it is about to expire");
    }
}

#[test]
fn results_that_are_forgotten_are_not_used_and_what_was_active_is_known() {
    let token_cache = token_cache(CacheSettings {
        stale: Duration::from_secs(300),
        ..settings(60)
    });
    let credential = token_cache.credential(&token("a"));
    let refused = token_cache.credential(&token("b"));
    token_cache.insert(verdict(&token_cache, "a", None), at(0), at(0));
    token_cache.refuse(refused, Refusal::Inactive, at(0));
    token_cache.forget_results();
    assert!(!knows(&token_cache, "a", 1));
    assert!(token_cache.find_stale(&credential, at(1)).is_none());
    assert!(token_cache.known_user(&credential, at(1)).is_some());
    assert!(matches!(token_cache.find(&refused, at(1)), Cached::Missing));
    assert!(token_cache.refuse(credential, Refusal::Inactive, at(1)));
    // One that was asked about before the clock was set back.
    token_cache.insert(verdict(&token_cache, "a", None), at(1_000), at(10));
    assert!(knows(&token_cache, "a", 69));
    assert!(!knows(&token_cache, "a", 70));
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
        token_cache.insert(verdict(&token_cache, "a", None), at(0), at(0));
        token_cache.remove(&Revocation::User(UserId::derive("i", "another")));
        assert!(knows(&token_cache, "a", 0));
        token_cache.remove(&revocation);
        assert!(!knows(&token_cache, "a", 0), "{revocation:?}");
    }
    let token_cache = token_cache(settings(60));
    token_cache.insert(verdict(&token_cache, "a", None), at(0), at(0));
    token_cache.insert(verdict(&token_cache, "b", None), at(0), at(0));
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
        token_cache.insert(verdict, at(kept), at(kept));
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
