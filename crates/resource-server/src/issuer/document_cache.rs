//! A document of the authorization server's, fetched when it is needed and kept for a while.

use std::sync::Arc;

use chrono::TimeDelta;
use tokio::{sync::Mutex, time::Instant};

use crate::auth::AuthError;
use crate::clock::Timestamp;

/// How long an old document serves before a new one is tried for again: while the server hangs, nobody
/// who could be served should wait for it.
const TRIED_AGAIN: TimeDelta = TimeDelta::seconds(5);

/// A document, and how long it is believed. Behind a lock, so that however many want it at once, it is
/// fetched once.
pub(crate) struct Fetched<T> {
    state: Mutex<State<T>>,
    lifetime: TimeDelta,
    longest: TimeDelta,
}

struct State<T> {
    known: Option<Known<T>>,
    failed: Option<Failed>,
    /// When a newer one was last looked for, and why that failed if it did.
    renewed: Option<(Timestamp, Option<AuthError>)>,
}

struct Failed {
    /// To tell who waited for it.
    noticed: Instant,
    at: Timestamp,
    error: AuthError,
}

struct Known<T> {
    document: Arc<T>,
    fetched_at: Timestamp,
}

impl<T> Fetched<T> {
    /// It is fetched anew after `lifetime`; while that fails, the old one serves on until it is as old
    /// as `longest`.
    pub(crate) fn new(lifetime: TimeDelta, longest: TimeDelta) -> Self {
        Self {
            state: Mutex::new(State {
                known: None,
                failed: None,
                renewed: None,
            }),
            lifetime,
            longest,
        }
    }

    /// The document, fetched if it is not known or too old.
    ///
    /// # Errors
    /// Those of the fetch, if there is no old one that may serve on.
    pub(crate) async fn get(
        &self,
        now: Timestamp,
        fetch: impl AsyncFnOnce() -> Result<T, AuthError>,
    ) -> Result<Arc<T>, AuthError> {
        let asked_at = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(known) = &state.known
            && now < known.fetched_at + self.lifetime
        {
            return Ok(Arc::clone(&known.document));
        }
        if let (Some(known), Some(failed)) = (&state.known, &state.failed)
            && now < known.fetched_at + self.longest
            && (failed.at..failed.at + TRIED_AGAIN).contains(&now)
        {
            return Ok(Arc::clone(&known.document));
        }
        // Whoever waited for a fetch that failed shares its failure; the next to come tries again.
        let error = match &state.failed {
            Some(failed) if failed.noticed >= asked_at => failed.error.clone(),
            _ => match fetch().await {
                Ok(document) => return Ok(state.keep(document, now)),
                Err(error) => {
                    log::warn!("a document of the authorization server cannot be fetched: {error}");
                    state.failed = Some(Failed {
                        noticed: Instant::now(),
                        at: now,
                        error: error.clone(),
                    });
                    error
                }
            },
        };
        match &state.known {
            Some(known) if now < known.fetched_at + self.longest => Ok(Arc::clone(&known.document)),
            _ => Err(error),
        }
    }

    /// A newer document than `seen`, in which something was missed; fetched at most once in a `pause`,
    /// or whoever invents what is missed would have it fetched at will. `None` if there is no newer one.
    ///
    /// # Errors
    /// Those of the fetch, for as long as none is tried again: that something is missed is not known
    /// before one went well.
    pub(crate) async fn renew(
        &self,
        seen: &Arc<T>,
        pause: TimeDelta,
        now: Timestamp,
        fetch: impl AsyncFnOnce() -> Result<T, AuthError>,
    ) -> Result<Option<Arc<T>>, AuthError> {
        let mut state = self.state.lock().await;
        if let Some(known) = &state.known
            && !Arc::ptr_eq(&known.document, seen)
        {
            return Ok(Some(Arc::clone(&known.document)));
        }
        if let Some((at, failure)) = &state.renewed
            && now < *at + pause
        {
            return failure.clone().map_or(Ok(None), Err);
        }
        let fetched = fetch().await;
        state.renewed = Some((now, fetched.as_ref().err().cloned()));
        Ok(Some(state.keep(fetched?, now)))
    }
}

impl<T> State<T> {
    fn keep(&mut self, document: T, now: Timestamp) -> Arc<T> {
        let document = Arc::new(document);
        self.known = Some(Known {
            document: Arc::clone(&document),
            fetched_at: now,
        });
        self.failed = None;
        document
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use chrono::DateTime;
    use futures_util::future::join_all;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn fetched() -> Fetched<u32> {
        Fetched::new(TimeDelta::seconds(10), TimeDelta::seconds(100))
    }

    async fn down() -> Result<u32, AuthError> {
        tokio::task::yield_now().await;
        Err(AuthError::Busy)
    }

    #[actix_rt::test]
    async fn however_many_want_it_at_once_it_is_fetched_once() {
        for fails in [false, true] {
            let (document, fetches) = (fetched(), Cell::new(0));
            let fetch = async || {
                fetches.set(fetches.get() + 1);
                tokio::task::yield_now().await;
                if fails { Err(AuthError::Busy) } else { Ok(7) }
            };
            let all = join_all((0..10).map(|_| document.get(at(0), &fetch))).await;
            assert!(all.iter().all(|one| one.is_err() == fails));
            assert_eq!(fetches.get(), 1);
        }
    }

    #[actix_rt::test]
    async fn an_old_one_serves_on_within_its_bound_while_no_new_one_can_be_had() {
        let document = fetched();
        assert_eq!(*document.get(at(0), async || Ok(1)).await.unwrap(), 1);
        assert_eq!(*document.get(at(9), down).await.unwrap(), 1);
        assert_eq!(*document.get(at(50), down).await.unwrap(), 1);
        assert!(document.get(at(100), down).await.is_err());
        assert_eq!(*document.get(at(100), async || Ok(2)).await.unwrap(), 2);
    }

    #[actix_rt::test]
    async fn what_is_missed_has_it_fetched_once_in_a_pause() {
        let (document, pause) = (fetched(), TimeDelta::seconds(30));
        let first = document.get(at(0), async || Ok(1)).await.unwrap();
        let second = document.renew(&first, pause, at(1), async || Ok(2)).await;
        let second = second.unwrap().unwrap();
        assert_eq!(*second, 2);
        // Whoever has an older one is given this one.
        let given = document.renew(&first, pause, at(1), down).await.unwrap();
        assert_eq!(*given.unwrap(), 2);
        assert!(
            document
                .renew(&second, pause, at(30), down)
                .await
                .unwrap()
                .is_none()
        );
        assert!(document.renew(&second, pause, at(31), down).await.is_err());
        // Nobody knows yet whether it is missed, so nobody is told that it is.
        let unasked = async || -> Result<u32, AuthError> { panic!("it was fetched in the pause") };
        let again = document.renew(&second, pause, at(60), unasked).await;
        assert!(again.is_err());
    }

    #[actix_rt::test]
    async fn an_old_one_serves_without_a_wait_for_what_has_just_failed() {
        let document = fetched();
        let (now, tries) = (at(20), Cell::new(0));
        document.get(at(0), async || Ok(1)).await.unwrap();
        let failing = async || {
            tries.set(tries.get() + 1);
            Err(AuthError::Busy)
        };
        for (seconds, expected) in [(0, 1), (4, 1), (5, 2)] {
            let served = document
                .get(now + TimeDelta::seconds(seconds), failing)
                .await;
            assert_eq!((*served.unwrap(), tries.get()), (1, expected));
        }
        let renewed = document.get(at(40), async || Ok(2)).await;
        assert_eq!(*renewed.unwrap(), 2);
    }
}
