//! The client secret of this resource server at an authorization server (RFC 7662 §2.1), and its rotation
//! without a restart.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_rt::task::spawn_blocking;
use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::client_authentication::SecretSource;
use crate::{clock::Timestamp, secret_file, watched_file::WatchedFile};

/// How often the file is checked for a new secret.
const CHECK_INTERVAL: TimeDelta = TimeDelta::seconds(1);

/// How long a rejected new secret is not tried again: it is often written to its file before the
/// authorization server accepts it.
const RETRY_AFTER_REJECTION: TimeDelta = TimeDelta::seconds(30);

/// The same if the current secret was rejected as well, so that one of them works within this time of the return of
/// an authorization server.
const RETRY_AFTER_REJECTION_OF_ALL: TimeDelta = TimeDelta::seconds(5);

/// The current secret, and the next one while it has not been accepted yet. The file is read on a
/// blocking thread, because its file system may hang.
pub(crate) struct CredentialRotation {
    state: Mutex<State>,
    reload_requested: AtomicBool,
    /// A second reference is held while the file is being read, so that only one thread reads it.
    reading: Arc<()>,
}

struct State {
    file: Option<WatchedFile>,
    /// The secret that was accepted last; before that, the first one that was read.
    current: Option<SecretString>,
    /// The secret that the file has held since.
    next: Option<NextSecret>,
}

struct NextSecret {
    secret: SecretString,
    rejected_at: Option<Timestamp>,
}

/// A secret to authenticate with.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) secret: SecretString,
    is_next: bool,
}

impl CredentialRotation {
    pub(crate) fn new(source: &SecretSource) -> Self {
        let (file, current) = match source {
            SecretSource::Given(secret) => (None, Some(secret.clone())),
            SecretSource::File(path) => {
                (Some(WatchedFile::new(path.clone(), CHECK_INTERVAL)), None)
            }
        };
        Self {
            state: Mutex::new(State {
                file,
                current,
                next: None,
            }),
            reload_requested: AtomicBool::new(false),
            reading: Arc::default(),
        }
    }

    /// Makes the next call read the file, however recently it was checked, and try its secret again even
    /// if it was rejected.
    pub(crate) fn reload(&self) {
        self.reload_requested.store(true, Ordering::Release);
    }

    /// The secrets to authenticate with, in this order: the next one if there is one, then the current one.
    pub(crate) async fn attempts(&self, now: Timestamp) -> Vec<Attempt> {
        let mut state = self.state.lock().await;
        if self.reload_requested.swap(false, Ordering::AcqRel) {
            state.reset();
        }
        if let Some(file) = &mut state.file
            && file.is_due(now)
            && Arc::strong_count(&self.reading) == 1
        {
            file.mark_checked(now);
            let file = file.clone();
            let reading = Arc::clone(&self.reading);
            let read = spawn_blocking(move || {
                let read = read_if_changed(file);
                drop(reading);
                read
            });
            match read.await.unwrap_or_else(|error| Err(error.into())) {
                Ok(Some((file, secret))) => state.offer(file, secret),
                Ok(None) => {}
                Err(error) => log::error!(
                    "the file of a secret cannot be read, the previous secret stays in use: {error}"
                ),
            }
        }
        state.attempts(now)
    }

    /// Records whether the authorization server accepted the secret of an attempt.
    pub(crate) async fn record_outcome(&self, attempt: &Attempt, accepted: bool, now: Timestamp) {
        if attempt.is_next {
            let mut state = self.state.lock().await;
            state.record_outcome(attempt, accepted, now);
        }
    }

    /// Records that the authorization server accepted none of the attempts: the new secret that was left out is
    /// tried again soon.
    pub(crate) async fn record_rejection_of_all(&self, now: Timestamp) {
        let mut state = self.state.lock().await;
        if let Some(next) = &mut state.next
            && let Some(at) = &mut next.rejected_at
        {
            *at = (*at).min(now - (RETRY_AFTER_REJECTION - RETRY_AFTER_REJECTION_OF_ALL));
        }
    }
}

impl State {
    fn reset(&mut self) {
        if let Some(file) = &mut self.file {
            file.reset();
        }
        if let Some(next) = &mut self.next {
            next.rejected_at = None;
        }
    }

    /// Takes the secret that was read from the file.
    fn offer(&mut self, file: WatchedFile, secret: SecretString) {
        self.file = Some(file);
        let is_current = self
            .current
            .as_ref()
            .is_some_and(|current| current.expose_secret() == secret.expose_secret());
        self.next = (!is_current).then_some(NextSecret {
            secret,
            rejected_at: None,
        });
    }

    fn attempts(&self, now: Timestamp) -> Vec<Attempt> {
        let next = self.next.as_ref().filter(|next| {
            next.rejected_at
                .is_none_or(|at| now < at || now >= at + RETRY_AFTER_REJECTION)
        });
        let next = next.map(|next| Attempt {
            secret: next.secret.clone(),
            is_next: true,
        });
        let current = self.current.as_ref().map(|secret| Attempt {
            secret: secret.clone(),
            is_next: false,
        });
        next.into_iter().chain(current).collect()
    }

    fn record_outcome(&mut self, attempt: &Attempt, accepted: bool, now: Timestamp) {
        // The file may have changed again while the call was made.
        let Some(next) = &mut self.next else { return };
        if next.secret.expose_secret() != attempt.secret.expose_secret() {
            return;
        }
        if accepted {
            self.current = self.next.take().map(|next| next.secret);
            log::info!("a new secret for the authorization server is in use");
        } else {
            next.rejected_at = Some(now);
            log::warn!(
                "the authorization server rejects the new secret; the previous secret stays in use"
            );
        }
    }
}

/// The content of a file that has changed, and the file as it was seen before it was read.
fn read_if_changed(mut file: WatchedFile) -> io::Result<Option<(WatchedFile, SecretString)>> {
    if !file.refresh() {
        return Ok(None);
    }
    let secret = secret_file::read(file.path())?;
    Ok(Some((file, secret)))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use chrono::DateTime;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    struct File(PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let name = format!("files-secret-{}-{name}", std::process::id());
            let file = Self(std::env::temp_dir().join(name));
            file.write(text);
            file
        }

        fn write(&self, text: &str) {
            fs::write(&self.0, text).unwrap();
        }

        fn secret(&self) -> CredentialRotation {
            CredentialRotation::new(&SecretSource::File(self.0.clone()))
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    async fn offered(secret: &CredentialRotation, now: i64) -> Vec<String> {
        let attempts = secret.attempts(at(now)).await;
        let texts = attempts
            .iter()
            .map(|attempt| attempt.secret.expose_secret().to_owned());
        texts.collect()
    }

    async fn record(secret: &CredentialRotation, text: &str, accepted: bool, now: i64) {
        let attempts = secret.attempts(at(now)).await;
        let attempt = attempts
            .iter()
            .find(|attempt| attempt.secret.expose_secret() == text)
            .unwrap();
        secret.record_outcome(attempt, accepted, at(now)).await;
    }

    #[actix_rt::test]
    async fn a_given_secret_stays_what_it_is() {
        let secret = CredentialRotation::new(&SecretSource::Given("a".into()));
        assert_eq!(offered(&secret, 0).await, ["a"]);
        record(&secret, "a", false, 0).await;
        secret.reload();
        assert_eq!(offered(&secret, 100).await, ["a"]);
    }

    #[actix_rt::test]
    async fn a_new_secret_is_tried_first_and_the_old_one_kept_until_it_has_worked() {
        let file = File::new("rotate", "old\n");
        let secret = file.secret();
        assert_eq!(offered(&secret, 0).await, ["old"]);
        record(&secret, "old", true, 0).await;
        file.write("newer\n");
        assert_eq!(offered(&secret, 0).await, ["old"], "looked at a moment ago");
        assert_eq!(offered(&secret, 1).await, ["newer", "old"]);
        record(&secret, "newer", false, 1).await;
        assert_eq!(offered(&secret, 2).await, ["old"]);
        assert_eq!(offered(&secret, 31).await, ["newer", "old"]);
        record(&secret, "newer", true, 31).await;
        assert_eq!(offered(&secret, 32).await, ["newer"]);
    }

    /// An authorization server that comes back after a rotation may know the new secret alone.
    #[actix_rt::test]
    async fn a_new_secret_is_tried_within_five_seconds_once_the_old_one_is_rejected_too() {
        let file = File::new("both", "old");
        let secret = file.secret();
        record(&secret, "old", true, 0).await;
        file.write("newer");
        record(&secret, "newer", false, 1).await;
        for now in 3..8 {
            assert_eq!(offered(&secret, now).await, ["old"], "{now}");
            secret.record_rejection_of_all(at(now)).await;
        }
        assert_eq!(offered(&secret, 8).await, ["newer", "old"]);
    }

    #[actix_rt::test]
    async fn a_clock_that_is_set_back_does_not_keep_a_new_secret_from_being_tried() {
        let file = File::new("back", "old");
        let secret = file.secret();
        record(&secret, "old", true, 10_000).await;
        file.write("newer");
        record(&secret, "newer", false, 10_001).await;
        assert_eq!(offered(&secret, 10_002).await, ["old"]);
        assert_eq!(offered(&secret, 5_000).await, ["newer", "old"]);
    }

    #[actix_rt::test]
    async fn reloading_looks_at_once_and_tries_again_what_was_refused() {
        let file = File::new("reload", "old");
        let secret = file.secret();
        record(&secret, "old", true, 0).await;
        file.write("newer");
        secret.reload();
        assert_eq!(offered(&secret, 0).await, ["newer", "old"]);
        record(&secret, "newer", false, 0).await;
        assert_eq!(offered(&secret, 0).await, ["old"]);
        secret.reload();
        assert_eq!(offered(&secret, 0).await, ["newer", "old"]);
    }

    #[actix_rt::test]
    async fn a_file_that_goes_away_or_is_empty_takes_nothing_away() {
        let file = File::new("gone", "old");
        let secret = file.secret();
        record(&secret, "old", true, 0).await;
        file.write("  \n");
        assert_eq!(offered(&secret, 2).await, ["old"]);
        fs::remove_file(&file.0).unwrap();
        assert_eq!(offered(&secret, 4).await, ["old"]);
        file.write("back again");
        assert_eq!(offered(&secret, 6).await, ["back again", "old"]);
    }
}
