//! A cached document of an authorization server: its metadata or its key set.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio::{sync::watch, time::timeout};

use crate::{auth::error::AuthError, cause::Cause, clock::Timestamp, limits::Source};

/// After a failed fetch an old document is returned for this time without another attempt.
const PAUSE_WITH_DOCUMENT: TimeDelta = TimeDelta::seconds(5);

/// The same for the error of the fetch, if there is no document.
const PAUSE_WITHOUT_DOCUMENT: TimeDelta = TimeDelta::seconds(1);

/// How long requests wait for a fetch if there is an old document that they may use.
const PATIENCE: Duration = Duration::from_millis(500);

/// The shortest time between two fetches because something is missing in the document.
const REFRESH_INTERVAL: TimeDelta = TimeDelta::seconds(1);

/// The same for one source: anybody can send a token that names a key that is missing.
const REFRESH_INTERVAL_OF_SOURCE: TimeDelta = TimeDelta::seconds(10);

/// The same after a fetch that failed: the authorization server may be back.
const RETRY_INTERVAL_OF_SOURCE: TimeDelta = TimeDelta::seconds(5);

/// The number of sources whose last refresh is remembered.
const SOURCES: usize = 1_000;

/// A document with its lifetime, fetched on demand. One fetch is in flight at a time. It belongs to no request:
/// it goes on when those that wait for it give up.
pub(crate) struct CachedDocument<T> {
    state: Mutex<State<T>>,
    lifetime: TimeDelta,
    /// Stale-if-error (RFC 5861 §4), counted from the fetch.
    max_age_on_error: TimeDelta,
    /// When a source caused a refresh last.
    refreshed_by: Cache<Source, Timestamp>,
}

struct State<T> {
    current: Option<Current<T>>,
    failed: Option<Failed>,
    fetching: Option<Fetching<T>>,
    refreshed_at: Option<Timestamp>,
    /// How far the clock was set back since the cache was made, in all; never positive.
    set_back: TimeDelta,
}

struct Current<T> {
    document: Arc<T>,
    fetched_at: Timestamp,
    /// Whether it is to be fetched again although its lifetime has not ended.
    is_doubtful: bool,
}

/// A fetch that failed.
struct Failed {
    at: Timestamp,
    refusal: Refusal,
}

/// Why there is no document.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) error: AuthError,
    /// `Retry-After` of the server, if it sent one: it is not asked before.
    pub(crate) retry_after: Option<Duration>,
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

impl Failed {
    /// How long the server wants to be left alone, counted from the fetch.
    fn wait(&self) -> TimeDelta {
        let wait = self.refusal.retry_after.unwrap_or_default();
        TimeDelta::from_std(wait).unwrap_or_default()
    }
}

type Fetched<T> = Result<Arc<T>, AuthError>;
type Outcome<T> = watch::Receiver<Option<Fetched<T>>>;

struct Fetching<T> {
    began: Instant,
    outcome: Outcome<T>,
}

impl<T> Clone for Fetching<T> {
    fn clone(&self) -> Self {
        Self {
            began: self.began,
            outcome: self.outcome.clone(),
        }
    }
}

/// A fetch that has begun. Dropped without an outcome, it failed.
pub(crate) struct Fetch<T> {
    cache: Arc<CachedDocument<T>>,
    outcome: watch::Sender<Option<Fetched<T>>>,
    at: Timestamp,
    set_back: TimeDelta,
    is_complete: bool,
}

/// What there is for a request that misses something in the document.
#[derive(Debug)]
pub(crate) enum Refreshed<T> {
    /// A document that was fetched since the request began: what is missing there does not exist.
    Current(Arc<T>),
    /// A document whose fetch had begun before. What is missing may be found after this time.
    Recent(Arc<T>, Duration),
    /// No fetch may begin yet; the time until one may.
    Later(Duration),
}

impl<T> CachedDocument<T> {
    /// The document is fetched again after `lifetime`; while that fails, the old one is used until it is
    /// `max_age_on_error` old.
    pub(crate) fn new(lifetime: TimeDelta, max_age_on_error: TimeDelta) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                current: None,
                failed: None,
                fetching: None,
                refreshed_at: None,
                set_back: TimeDelta::zero(),
            }),
            lifetime,
            max_age_on_error,
            refreshed_by: Cache::new(SOURCES),
        })
    }

    /// Returns the document; if it is missing or too old, `start` fetches it.
    ///
    /// # Errors
    /// The error of the fetch, if there is no old document to use.
    pub(crate) async fn get(
        self: &Arc<Self>,
        now: Timestamp,
        start: impl FnOnce(Fetch<T>),
    ) -> Fetched<T> {
        let (fetching, begun, usable) = {
            let mut state = self.state.lock();
            let usable = match &state.current {
                Some(current)
                    if !current.is_doubtful && now < current.fetched_at + self.lifetime =>
                {
                    return Ok(Arc::clone(&current.document));
                }
                Some(current) if now < current.fetched_at + self.max_age_on_error => {
                    Some(Arc::clone(&current.document))
                }
                _ => None,
            };
            if let Some(failed) = &state.failed {
                let pause = match &usable {
                    Some(_) => PAUSE_WITH_DOCUMENT,
                    None => PAUSE_WITHOUT_DOCUMENT,
                };
                if (failed.at..failed.at + pause.max(failed.wait())).contains(&now) {
                    return usable.ok_or_else(|| failed.refusal.error.clone());
                }
            }
            let (fetching, begun) = self.fetch(&mut state, now);
            (fetching, begun, usable)
        };
        if let Some(begun) = begun {
            start(begun);
        }
        match usable {
            None => fetching.outcome().await,
            Some(usable) => {
                let left = PATIENCE.saturating_sub(fetching.began.elapsed());
                match timeout(left, fetching.outcome()).await {
                    Ok(Ok(document)) => Ok(document),
                    Ok(Err(_)) | Err(_) => Ok(usable),
                }
            }
        }
    }

    /// Returns a newer document than `seen`, because something is missing there, such as a key. Anybody can name
    /// a key that does not exist, so a source causes a fetch once in a while only, and no source keeps
    /// another from causing one for longer than the shortest time between two fetches.
    ///
    /// # Errors
    /// The error of the fetch: whether something is really missing is not known.
    pub(crate) async fn refresh(
        self: &Arc<Self>,
        seen: &Arc<T>,
        source: Option<Source>,
        now: Timestamp,
        start: impl FnOnce(Fetch<T>),
    ) -> Result<Refreshed<T>, AuthError> {
        let soon = REFRESH_INTERVAL.to_std().unwrap_or_default();
        let (fetching, begun) = {
            let mut state = self.state.lock();
            if let Some(current) = &state.current
                && !Arc::ptr_eq(&current.document, seen)
            {
                return Ok(Refreshed::Recent(Arc::clone(&current.document), soon));
            }
            if state.fetching.is_none() {
                let by_source = source.and_then(|source| self.refreshed_by.get(&source));
                let interval = match &state.failed {
                    Some(_) => RETRY_INTERVAL_OF_SOURCE,
                    None => REFRESH_INTERVAL_OF_SOURCE,
                };
                let next = [
                    by_source.map(|at| at + interval),
                    state.refreshed_at.map(|at| at + REFRESH_INTERVAL),
                    state
                        .failed
                        .as_ref()
                        .map(|failed| failed.at + failed.wait()),
                ];
                if let Some(next) = next.into_iter().flatten().max()
                    && now < next
                {
                    return Ok(Refreshed::Later((next - now).to_std().unwrap_or_default()));
                }
                state.refreshed_at = Some(now);
                if let Some(source) = source {
                    self.refreshed_by.insert(source, now);
                }
            }
            self.fetch(&mut state, now)
        };
        match begun {
            Some(begun) => {
                start(begun);
                Ok(Refreshed::Current(fetching.outcome().await?))
            }
            None => Ok(Refreshed::Recent(fetching.outcome().await?, soon)),
        }
    }

    /// The document, however old.
    pub(crate) fn last(&self) -> Option<Arc<T>> {
        let state = self.state.lock();
        let current = state.current.as_ref()?;
        Some(Arc::clone(&current.document))
    }

    /// The clock was set forwards by this, or back: the document is fetched again, and how old it is, which decides
    /// for how long it is used if that fails, is counted by the clock that says that it is older.
    pub(crate) fn clock_jumped(&self, by: TimeDelta) {
        let back = by.min(TimeDelta::zero());
        let mut state = self.state.lock();
        state.set_back = state.set_back.checked_add(&back).unwrap_or(back);
        state.failed = None;
        state.refreshed_at = None;
        self.refreshed_by.clear();
        if let Some(current) = &mut state.current {
            current.is_doubtful = true;
            current.fetched_at = shifted(current.fetched_at, back);
        }
    }

    /// Joins the fetch in flight, or begins one.
    fn fetch(
        self: &Arc<Self>,
        state: &mut State<T>,
        now: Timestamp,
    ) -> (Fetching<T>, Option<Fetch<T>>) {
        if let Some(fetching) = &state.fetching {
            return (fetching.clone(), None);
        }
        let (sender, receiver) = watch::channel(None);
        let fetching = Fetching {
            began: Instant::now(),
            outcome: receiver,
        };
        state.fetching = Some(fetching.clone());
        let fetch = Fetch {
            cache: Arc::clone(self),
            outcome: sender,
            at: now,
            set_back: state.set_back,
            is_complete: false,
        };
        (fetching, Some(fetch))
    }
}

impl<T> Fetching<T> {
    async fn outcome(mut self) -> Fetched<T> {
        match self.outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(abandoned())),
            Err(_) => Err(abandoned()),
        }
    }
}

impl<T> Fetch<T> {
    /// Ends the fetch, and wakes all that wait for it.
    pub(crate) fn complete(mut self, outcome: Result<T, Refusal>) {
        self.is_complete = true;
        let outcome = {
            let mut state = self.cache.state.lock();
            state.fetching = None;
            match outcome {
                Ok(document) => {
                    let document = Arc::new(document);
                    state.failed = None;
                    state.current = Some(Current {
                        document: Arc::clone(&document),
                        fetched_at: shifted(self.at, state.set_back - self.set_back),
                        is_doubtful: false,
                    });
                    Ok(document)
                }
                Err(refusal) => {
                    let error = refusal.error.clone();
                    log::warn!("a document of the authorization server cannot be fetched: {error}");
                    state.failed = Some(Failed {
                        at: self.at,
                        refusal,
                    });
                    Err(error)
                }
            }
        };
        let _ = self.outcome.send(Some(outcome));
    }
}

impl<T> Drop for Fetch<T> {
    fn drop(&mut self) {
        if !self.is_complete {
            self.cache.state.lock().fetching = None;
        }
    }
}

fn shifted(at: Timestamp, by: TimeDelta) -> Timestamp {
    at.checked_add_signed(by).unwrap_or(Timestamp::MIN_UTC)
}

fn abandoned() -> AuthError {
    AuthError::IssuerUnavailable {
        source: Cause::new("the fetch of a document was abandoned"),
        retry_after: None,
    }
}

#[cfg(test)]
#[path = "document_cache_tests.rs"]
mod tests;
