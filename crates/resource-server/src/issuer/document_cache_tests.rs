use std::{
    cell::{Cell, RefCell},
    net::{IpAddr, Ipv4Addr},
};

use chrono::DateTime;
use futures_util::future::{join, join_all};

use super::*;

fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn source(n: u8) -> Option<Source> {
    Some(IpAddr::from(Ipv4Addr::new(203, 0, 113, n)).into())
}

fn cached() -> Arc<CachedDocument<u32>> {
    CachedDocument::new(TimeDelta::seconds(10), TimeDelta::seconds(100))
}

/// A fetch that ends at once.
fn gives(outcome: Result<u32, AuthError>) -> impl FnOnce(Fetch<u32>) {
    move |fetch| fetch.complete(outcome.map_err(Refusal::from))
}

fn unasked(_: Fetch<u32>) {
    panic!("it was fetched")
}

async fn get(
    document: &Arc<CachedDocument<u32>>,
    now: i64,
    outcome: Result<u32, AuthError>,
) -> u32 {
    *document.get(at(now), gives(outcome)).await.unwrap()
}

#[actix_rt::test]
async fn concurrent_requests_share_one_fetch() {
    for outcome in [Ok(7), Err(AuthError::Busy)] {
        let (document, fetches) = (cached(), RefCell::new(Vec::new()));
        let all = join_all(
            (0..10).map(|_| document.get(at(0), |fetch| fetches.borrow_mut().push(fetch))),
        );
        let end = async {
            tokio::task::yield_now().await;
            let mut fetches = fetches.take();
            assert_eq!(fetches.len(), 1);
            fetches
                .remove(0)
                .complete(outcome.clone().map_err(Refusal::from));
        };
        let (all, ()) = join(all, end).await;
        assert!(all.iter().all(|one| one.is_err() == outcome.is_err()));
    }
}

#[actix_rt::test]
async fn an_old_document_is_used_within_its_bound_while_fetches_fail() {
    let document = cached();
    assert_eq!(get(&document, 0, Ok(1)).await, 1);
    assert_eq!(get(&document, 9, Ok(2)).await, 1);
    assert_eq!(get(&document, 50, Err(AuthError::Busy)).await, 1);
    let failing = document.get(at(100), gives(Err(AuthError::Busy))).await;
    assert!(failing.is_err());
    assert_eq!(get(&document, 101, Ok(2)).await, 2);
}

#[actix_rt::test]
async fn a_failed_fetch_is_followed_by_a_pause() {
    for (kept, pause) in [(Some(1), 5), (None, 1)] {
        let (document, tries) = (cached(), Cell::new(0));
        if let Some(kept) = kept {
            get(&document, 0, Ok(kept)).await;
        }
        for (seconds, expected) in [(0, 1), (pause - 1, 1), (pause, 2)] {
            let outcome = document.get(at(20 + seconds), |fetch| {
                tries.set(tries.get() + 1);
                fetch.complete(Err(AuthError::Busy.into()));
            });
            let outcome = outcome.await.ok().map(|document| *document);
            assert_eq!((outcome, tries.get()), (kept, expected));
        }
    }
}

#[actix_rt::test]
async fn a_server_is_not_asked_before_it_wants_to_be() {
    let refused = |fetch: Fetch<u32>| {
        fetch.complete(Err(Refusal {
            error: AuthError::Busy,
            retry_after: Some(Duration::from_secs(60)),
        }));
    };
    let document = cached();
    assert!(document.get(at(0), refused).await.is_err());
    assert!(document.get(at(59), unasked).await.is_err());
    assert_eq!(get(&document, 60, Ok(1)).await, 1);
    assert_eq!(*document.get(at(75), refused).await.unwrap(), 1);
    assert_eq!(*document.get(at(134), unasked).await.unwrap(), 1);
    // Nor for what is missing in it.
    let seen = document.last().unwrap();
    let later = document.refresh(&seen, source(1), at(134), unasked).await;
    assert!(matches!(later, Ok(Refreshed::Later(wait)) if wait == Duration::from_secs(1)));
    assert_eq!(get(&document, 135, Ok(2)).await, 2);
}

#[actix_rt::test]
async fn a_fetch_that_hangs_keeps_nobody_from_an_old_document() {
    let (document, hanging) = (cached(), Cell::new(None));
    get(&document, 0, Ok(1)).await;
    let first = document.get(at(20), |fetch| hanging.set(Some(fetch))).await;
    assert_eq!(*first.unwrap(), 1);
    let began = Instant::now();
    for _ in 0..10 {
        assert_eq!(*document.get(at(20), unasked).await.unwrap(), 1);
    }
    assert!(began.elapsed() < PATIENCE);
    hanging.take().unwrap().complete(Ok(2));
    assert_eq!(*document.get(at(20), unasked).await.unwrap(), 2);
}

#[actix_rt::test]
async fn a_fetch_that_is_abandoned_is_begun_again() {
    let document = cached();
    assert!(document.get(at(0), drop).await.is_err());
    assert_eq!(get(&document, 0, Ok(1)).await, 1);
}

#[actix_rt::test]
async fn no_source_keeps_another_from_a_refresh_for_longer_than_a_second() {
    let document = cached();
    let seen = document.get(at(0), gives(Ok(1))).await.unwrap();
    let refresh = async |seen, who, now, outcome| {
        let refreshed = document.refresh(seen, source(who), at(now), gives(Ok(outcome)));
        refreshed.await.unwrap()
    };
    let Refreshed::Current(second) = refresh(&seen, 1, 1, 2).await else {
        panic!("it was not fetched");
    };
    // Who has an older document gets this one.
    assert!(matches!(refresh(&seen, 1, 1, 3).await, Refreshed::Recent(newer, _) if *newer == 2));
    for (who, left) in [(1, 10), (2, 1)] {
        let later = refresh(&second, who, 1, 3).await;
        assert!(matches!(later, Refreshed::Later(wait) if wait == Duration::from_secs(left)));
    }
    let later = refresh(&second, 1, 2, 3).await;
    assert!(matches!(later, Refreshed::Later(wait) if wait == Duration::from_secs(9)));
    let Refreshed::Current(third) = refresh(&second, 2, 2, 3).await else {
        panic!("another source may");
    };
    assert!(matches!(refresh(&third, 1, 11, 4).await, Refreshed::Current(newer) if *newer == 4));
}

#[actix_rt::test]
async fn a_refresh_that_fails_says_nothing_about_what_is_missing() {
    let document = cached();
    let seen = document.get(at(0), gives(Ok(1))).await.unwrap();
    let failing = gives(Err(AuthError::Busy));
    assert!(
        document
            .refresh(&seen, source(1), at(1), failing)
            .await
            .is_err()
    );
    let later = document.refresh(&seen, source(1), at(1), unasked).await;
    assert!(matches!(later, Ok(Refreshed::Later(_))));
    let again = document
        .refresh(&seen, source(2), at(2), gives(Ok(2)))
        .await;
    assert!(matches!(again, Ok(Refreshed::Current(_))));
}

#[actix_rt::test]
async fn who_joins_a_fetch_does_not_know_whether_it_saw_everything() {
    let (document, fetch) = (cached(), Cell::new(None));
    let seen = document.get(at(0), gives(Ok(1))).await.unwrap();
    let first = document.refresh(&seen, source(1), at(5), |begun| fetch.set(Some(begun)));
    let second = async {
        let joined = document.refresh(&seen, source(2), at(5), unasked);
        let end = async { fetch.take().unwrap().complete(Ok(2)) };
        join(joined, end).await.0
    };
    let (first, second) = join(first, second).await;
    assert!(matches!(first, Ok(Refreshed::Current(_))));
    assert!(matches!(second, Ok(Refreshed::Recent(_, _))));
}

#[actix_rt::test]
async fn a_source_whose_refresh_failed_may_ask_again_after_five_seconds() {
    let document = cached();
    let seen = document.get(at(0), gives(Ok(1))).await.unwrap();
    let failing = gives(Err(AuthError::Busy));
    let failed = document.refresh(&seen, source(1), at(1), failing).await;
    assert!(failed.is_err());
    let later = document.refresh(&seen, source(1), at(5), unasked).await;
    assert!(matches!(later, Ok(Refreshed::Later(wait)) if wait == Duration::from_secs(1)));
    let again = document
        .refresh(&seen, source(1), at(6), gives(Ok(2)))
        .await;
    assert!(matches!(again, Ok(Refreshed::Current(_))));
}

#[actix_rt::test]
async fn after_a_jump_of_the_clock_a_document_is_fetched_again_and_is_as_old_as_it_is() {
    let jump = |document: &Arc<CachedDocument<u32>>, by| {
        document.clock_jumped(TimeDelta::seconds(by));
    };
    for by in [-1_000, 20] {
        let document = cached();
        get(&document, 2_000, Ok(1)).await;
        jump(&document, by);
        assert_eq!(get(&document, 2_000 + by, Ok(2)).await, 2, "fetched again");
        assert_eq!(get(&document, 2_009 + by, Ok(3)).await, 2, "once");
    }
    // While it cannot be fetched, it is used until it is a hundred seconds old, by the time that has passed.
    let document = cached();
    get(&document, 2_000, Ok(1)).await;
    jump(&document, -1_000);
    let failing = || gives(Err(AuthError::Busy));
    assert_eq!(get(&document, 1_099, Err(AuthError::Busy)).await, 1);
    assert!(document.get(at(1_105), failing()).await.is_err());
    // A fetch that was under way.
    let (document, hanging) = (cached(), Cell::new(None));
    get(&document, 1_980, Ok(1)).await;
    let old = document
        .get(at(2_000), |fetch| hanging.set(Some(fetch)))
        .await;
    assert_eq!(*old.unwrap(), 1);
    jump(&document, -1_000);
    hanging.take().unwrap().complete(Ok(2));
    assert_eq!(get(&document, 1_009, Ok(3)).await, 2);
    assert_eq!(get(&document, 1_010, Ok(3)).await, 3);
}
