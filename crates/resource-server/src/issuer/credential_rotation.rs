//! How this resource server shows the authorization server who it is (RFC 7662 §2.1: whoever
//! introspects must be authenticated), and how its secret changes without a restart.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use actix_rt::task::spawn_blocking;
use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::client_authentication::SecretSource;
use crate::{clock::Timestamp, secret_file};

/// How often a secret's file is looked at.
const LOOKED_AT: TimeDelta = TimeDelta::seconds(1);

/// How long a new secret that was refused is left alone: it is often in its file before the
/// authorization server knows it.
const TRIED_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// A secret, and the one that may be about to take its place. Its file is read where it keeps no thread
/// that serves, for whatever it is on may hang.
pub(crate) struct Secret {
    file: Option<PathBuf>,
    state: Mutex<State>,
    is_to_be_reloaded: AtomicBool,
    /// Shared with whoever reads the file, so that nobody else does meanwhile.
    reading: Arc<()>,
}

struct State {
    /// The one that worked last; at first, the only one there is.
    proven: Option<SecretString>,
    /// The one that the file holds since.
    candidate: Option<Candidate>,
    looked_at: Option<Timestamp>,
    stamp: Option<Stamp>,
}

struct Candidate {
    secret: SecretString,
    refused_at: Option<Timestamp>,
}

/// What of a file changes with its content.
type Stamp = (Option<SystemTime>, u64);

/// A secret to call with.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) secret: SecretString,
    is_candidate: bool,
}

impl Secret {
    pub(crate) fn new(source: &SecretSource) -> Self {
        let (file, proven) = match source {
            SecretSource::Given(secret) => (None, Some(secret.clone())),
            SecretSource::File(path) => (Some(path.clone()), None),
        };
        Self {
            file,
            state: Mutex::new(State {
                proven,
                candidate: None,
                looked_at: None,
                stamp: None,
            }),
            is_to_be_reloaded: AtomicBool::new(false),
            reading: Arc::default(),
        }
    }

    /// Has the file looked at before the next call, however recently it was, and what it holds tried again
    /// if it was refused.
    pub(crate) fn reload(&self) {
        self.is_to_be_reloaded.store(true, Ordering::Release);
    }

    /// The secrets to call with, the likeliest first: a new one, and the one that worked so far.
    pub(crate) async fn attempts(&self, now: Timestamp) -> Vec<Attempt> {
        let mut state = self.state.lock().await;
        if let Some(file) = &self.file {
            if self.is_to_be_reloaded.swap(false, Ordering::AcqRel) {
                state.forget_looks();
            }
            if state.is_to_be_looked_for(now) && Arc::strong_count(&self.reading) == 1 {
                state.looked_at = Some(now);
                let (file, stamp) = (file.clone(), state.stamp);
                let reading = Arc::clone(&self.reading);
                let read = spawn_blocking(move || {
                    let read = read_if_changed(&file, stamp);
                    drop(reading);
                    read
                });
                match read.await.unwrap_or_else(|error| Err(error.into())) {
                    Ok(Some((stamp, secret))) => state.offer(stamp, secret),
                    Ok(None) => {}
                    Err(error) => log::error!(
                        "the file of a secret cannot be read, the one before stays in use: {error}"
                    ),
                }
            }
        }
        state.attempts(now)
    }

    /// What became of a call: `accepted` says whether the authorization server took the secret.
    pub(crate) async fn learn(&self, attempt: &Attempt, accepted: bool, now: Timestamp) {
        if attempt.is_candidate {
            self.state.lock().await.learn(attempt, accepted, now);
        }
    }
}

impl State {
    fn forget_looks(&mut self) {
        self.looked_at = None;
        self.stamp = None;
        if let Some(candidate) = &mut self.candidate {
            candidate.refused_at = None;
        }
    }

    fn is_to_be_looked_for(&self, now: Timestamp) -> bool {
        // A clock that was put back must not keep us from looking.
        self.looked_at
            .is_none_or(|at| now < at || at + LOOKED_AT <= now)
    }

    /// Takes what the file holds since.
    fn offer(&mut self, stamp: Stamp, secret: SecretString) {
        self.stamp = Some(stamp);
        let is_known = self
            .proven
            .as_ref()
            .is_some_and(|proven| proven.expose_secret() == secret.expose_secret());
        self.candidate = (!is_known).then_some(Candidate {
            secret,
            refused_at: None,
        });
    }

    fn attempts(&self, now: Timestamp) -> Vec<Attempt> {
        let candidate = self
            .candidate
            .as_ref()
            .filter(|candidate| {
                candidate
                    .refused_at
                    .is_none_or(|at| now >= at + TRIED_AGAIN)
            })
            .map(|candidate| Attempt {
                secret: candidate.secret.clone(),
                is_candidate: true,
            });
        let proven = self.proven.as_ref().map(|secret| Attempt {
            secret: secret.clone(),
            is_candidate: false,
        });
        candidate.into_iter().chain(proven).collect()
    }

    fn learn(&mut self, attempt: &Attempt, accepted: bool, now: Timestamp) {
        let is_same = |candidate: &Candidate| {
            candidate.secret.expose_secret() == attempt.secret.expose_secret()
        };
        match &mut self.candidate {
            Some(candidate) if is_same(candidate) => {
                if accepted {
                    self.proven = self.candidate.take().map(|candidate| candidate.secret);
                    log::info!("a new secret for the authorization server is in use");
                } else {
                    candidate.refused_at = Some(now);
                    log::warn!(
                        "the authorization server refuses the new secret; the one before stays in use"
                    );
                }
            }
            _ => {}
        }
    }
}

/// What a file holds, if its stamp is another than that.
fn read_if_changed(file: &Path, seen: Option<Stamp>) -> io::Result<Option<(Stamp, SecretString)>> {
    let metadata = fs::metadata(file)?;
    let stamp = (metadata.modified().ok(), metadata.len());
    if seen == Some(stamp) {
        return Ok(None);
    }
    Ok(Some((stamp, secret_file::read(file)?)))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    struct File(PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let name = format!("epicme-secret-{}-{name}", std::process::id());
            let file = Self(std::env::temp_dir().join(name));
            file.write(text);
            file
        }

        fn write(&self, text: &str) {
            fs::write(&self.0, text).unwrap();
        }

        fn secret(&self) -> Secret {
            Secret::new(&SecretSource::File(self.0.clone()))
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    async fn offered(secret: &Secret, now: i64) -> Vec<String> {
        let attempts = secret.attempts(at(now)).await;
        let texts = attempts
            .iter()
            .map(|attempt| attempt.secret.expose_secret().to_owned());
        texts.collect()
    }

    async fn learn(secret: &Secret, text: &str, accepted: bool, now: i64) {
        let attempts = secret.attempts(at(now)).await;
        let attempt = attempts
            .iter()
            .find(|attempt| attempt.secret.expose_secret() == text)
            .unwrap();
        secret.learn(attempt, accepted, at(now)).await;
    }

    #[actix_rt::test]
    async fn a_given_secret_stays_what_it_is() {
        let secret = Secret::new(&SecretSource::Given("a".into()));
        assert_eq!(offered(&secret, 0).await, ["a"]);
        learn(&secret, "a", false, 0).await;
        secret.reload();
        assert_eq!(offered(&secret, 100).await, ["a"]);
    }

    #[actix_rt::test]
    async fn a_new_secret_is_tried_first_and_the_old_one_kept_until_it_has_worked() {
        let file = File::new("rotate", "old\n");
        let secret = file.secret();
        assert_eq!(offered(&secret, 0).await, ["old"]);
        learn(&secret, "old", true, 0).await;
        file.write("newer\n");
        assert_eq!(offered(&secret, 0).await, ["old"], "looked at a moment ago");
        assert_eq!(offered(&secret, 1).await, ["newer", "old"]);
        learn(&secret, "newer", false, 1).await;
        assert_eq!(offered(&secret, 2).await, ["old"]);
        assert_eq!(offered(&secret, 31).await, ["newer", "old"]);
        learn(&secret, "newer", true, 31).await;
        assert_eq!(offered(&secret, 32).await, ["newer"]);
    }

    #[actix_rt::test]
    async fn reloading_looks_at_once_and_tries_again_what_was_refused() {
        let file = File::new("reload", "old");
        let secret = file.secret();
        learn(&secret, "old", true, 0).await;
        file.write("newer");
        secret.reload();
        assert_eq!(offered(&secret, 0).await, ["newer", "old"]);
        learn(&secret, "newer", false, 0).await;
        assert_eq!(offered(&secret, 0).await, ["old"]);
        secret.reload();
        assert_eq!(offered(&secret, 0).await, ["newer", "old"]);
    }

    #[actix_rt::test]
    async fn a_file_that_goes_away_or_is_empty_takes_nothing_away() {
        let file = File::new("gone", "old");
        let secret = file.secret();
        learn(&secret, "old", true, 0).await;
        file.write("  \n");
        assert_eq!(offered(&secret, 2).await, ["old"]);
        fs::remove_file(&file.0).unwrap();
        assert_eq!(offered(&secret, 4).await, ["old"]);
        file.write("back again");
        assert_eq!(offered(&secret, 6).await, ["back again", "old"]);
    }
}
