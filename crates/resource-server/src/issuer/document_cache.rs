//! A cached document of an authorization server: its metadata or its key set.

use std::sync::Arc;

use chrono::TimeDelta;
use tokio::{sync::Mutex, time::Instant};

use crate::{auth::error::AuthError, clock::Timestamp};

/// After a failed fetch a stale document is returned for this time without another attempt, so that requests
/// do not wait for a server that hangs.
const RETRY_INTERVAL: TimeDelta = TimeDelta::seconds(5);

/// A document with its lifetime, fetched on demand. The lock is held during a fetch, so that concurrent
/// requests share it.
pub(crate) struct CachedDocument<T> {
    state: Mutex<State<T>>,
    lifetime: TimeDelta,
    /// Stale-if-error (RFC 5861 §4), counted from the fetch.
    max_age_on_error: TimeDelta,
}

struct State<T> {
    current: Option<Current<T>>,
    failed: Option<Failed>,
    /// The time of the last refresh, and its error if it failed.
    refreshed: Option<(Timestamp, Option<AuthError>)>,
}

struct Failed {
    /// Requests that began to wait before this share the error.
    failed_at: Instant,
    at: Timestamp,
    error: AuthError,
}

struct Current<T> {
    document: Arc<T>,
    fetched_at: Timestamp,
}

impl<T> CachedDocument<T> {
    /// The document is fetched again after `lifetime`; while that fails, the old one is used until it is
    /// `max_age_on_error` old.
    pub(crate) fn new(lifetime: TimeDelta, max_age_on_error: TimeDelta) -> Self {
        Self {
            state: Mutex::new(State {
                current: None,
                failed: None,
                refreshed: None,
            }),
            lifetime,
            max_age_on_error,
        }
    }

    /// Returns the document, and fetches it if it is missing or too old.
    ///
    /// # Errors
    /// The error of the fetch, if there is no stale document to use.
    pub(crate) async fn get(
        &self,
        now: Timestamp,
        fetch: impl AsyncFnOnce() -> Result<T, AuthError>,
    ) -> Result<Arc<T>, AuthError> {
        let asked_at = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(current) = &state.current
            && now < current.fetched_at + self.lifetime
        {
            return Ok(Arc::clone(&current.document));
        }
        if let (Some(current), Some(failed)) = (&state.current, &state.failed)
            && now < current.fetched_at + self.max_age_on_error
            && (failed.at..failed.at + RETRY_INTERVAL).contains(&now)
        {
            return Ok(Arc::clone(&current.document));
        }
        // Requests that waited for a failed fetch share its error; later ones fetch again.
        let error = match &state.failed {
            Some(failed) if failed.failed_at >= asked_at => failed.error.clone(),
            _ => match fetch().await {
                Ok(document) => return Ok(state.keep(document, now)),
                Err(error) => {
                    log::warn!("a document of the authorization server cannot be fetched: {error}");
                    state.failed = Some(Failed {
                        failed_at: Instant::now(),
                        at: now,
                        error: error.clone(),
                    });
                    error
                }
            },
        };
        match &state.current {
            Some(current) if now < current.fetched_at + self.max_age_on_error => {
                Ok(Arc::clone(&current.document))
            }
            _ => Err(error),
        }
    }

    /// Returns a newer document than `seen`, because something is missing there, such as a key; `None` if
    /// there is none. It is fetched at most once per `pause`, so that a client that invents key ids cannot
    /// cause unlimited fetches.
    ///
    /// # Errors
    /// The error of the last fetch, until the pause is over: whether something is really missing is unknown
    /// until a fetch succeeds.
    pub(crate) async fn refresh(
        &self,
        seen: &Arc<T>,
        pause: TimeDelta,
        now: Timestamp,
        fetch: impl AsyncFnOnce() -> Result<T, AuthError>,
    ) -> Result<Option<Arc<T>>, AuthError> {
        let mut state = self.state.lock().await;
        if let Some(current) = &state.current
            && !Arc::ptr_eq(&current.document, seen)
        {
            return Ok(Some(Arc::clone(&current.document)));
        }
        if let Some((at, failure)) = &state.refreshed
            && now < *at + pause
        {
            return failure.clone().map_or(Ok(None), Err);
        }
        let fetched = fetch().await;
        state.refreshed = Some((now, fetched.as_ref().err().cloned()));
        Ok(Some(state.keep(fetched?, now)))
    }
}

impl<T> State<T> {
    fn keep(&mut self, document: T, now: Timestamp) -> Arc<T> {
        let document = Arc::new(document);
        self.current = Some(Current {
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

    fn cached() -> CachedDocument<u32> {
        CachedDocument::new(TimeDelta::seconds(10), TimeDelta::seconds(100))
    }

    async fn down() -> Result<u32, AuthError> {
        tokio::task::yield_now().await;
        Err(AuthError::Busy)
    }

    #[actix_rt::test]
    async fn concurrent_requests_share_one_fetch() {
        for fails in [false, true] {
            let (document, fetches) = (cached(), Cell::new(0));
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
    async fn a_stale_document_is_used_within_its_bound_while_fetches_fail() {
        let document = cached();
        assert_eq!(*document.get(at(0), async || Ok(1)).await.unwrap(), 1);
        assert_eq!(*document.get(at(9), down).await.unwrap(), 1);
        assert_eq!(*document.get(at(50), down).await.unwrap(), 1);
        assert!(document.get(at(100), down).await.is_err());
        assert_eq!(*document.get(at(100), async || Ok(2)).await.unwrap(), 2);
    }

    #[actix_rt::test]
    async fn a_refresh_happens_once_in_a_pause() {
        let (document, pause) = (cached(), TimeDelta::seconds(30));
        let first = document.get(at(0), async || Ok(1)).await.unwrap();
        let second = document.refresh(&first, pause, at(1), async || Ok(2)).await;
        let second = second.unwrap().unwrap();
        assert_eq!(*second, 2);
        // A caller with an older document gets this one.
        let given = document.refresh(&first, pause, at(1), down).await.unwrap();
        assert_eq!(*given.unwrap(), 2);
        assert!(
            document
                .refresh(&second, pause, at(30), down)
                .await
                .unwrap()
                .is_none()
        );
        assert!(
            document
                .refresh(&second, pause, at(31), down)
                .await
                .is_err()
        );
        // Whether something is missing is not known yet.
        let unasked = async || -> Result<u32, AuthError> { panic!("it was fetched in the pause") };
        let again = document.refresh(&second, pause, at(60), unasked).await;
        assert!(again.is_err());
    }

    #[actix_rt::test]
    async fn a_stale_document_is_returned_without_a_fetch_after_a_failure() {
        let document = cached();
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
        let refreshed = document.get(at(40), async || Ok(2)).await;
        assert_eq!(*refreshed.unwrap(), 2);
    }
}
