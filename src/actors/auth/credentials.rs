//! How this resource server shows the authorization server who it is (RFC 7662 §2.1: whoever
//! introspects must be authenticated), and how its secret changes without a restart.

use std::{cell::RefCell, fs, path::PathBuf, time::SystemTime};

use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};

use crate::{domain::clock::Timestamp, oauth::client_authentication::SecretSource, secret_file};

/// How often a secret's file is looked at.
const LOOKED_AT: TimeDelta = TimeDelta::seconds(1);

/// How long a new secret that was refused is left alone: it is often in its file before the
/// authorization server knows it.
const TRIED_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// A secret, and the one that may be about to take its place.
pub(super) struct Secret {
    file: Option<PathBuf>,
    state: RefCell<State>,
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
pub(super) struct Attempt {
    pub(super) secret: SecretString,
    is_candidate: bool,
}

impl Secret {
    pub(super) fn new(source: &SecretSource) -> Self {
        let (file, proven) = match source {
            SecretSource::Given(secret) => (None, Some(secret.clone())),
            SecretSource::File(path) => (Some(path.clone()), None),
        };
        Self {
            file,
            state: RefCell::new(State {
                proven,
                candidate: None,
                looked_at: None,
                stamp: None,
            }),
        }
    }

    /// Has the file looked at before the next call, however recently it was.
    pub(super) fn reload(&self) {
        let mut state = self.state.borrow_mut();
        state.looked_at = None;
        state.stamp = None;
        if let Some(candidate) = &mut state.candidate {
            candidate.refused_at = None;
        }
    }

    /// The secrets to call with, the likeliest first: a new one, and the one that worked so far.
    pub(super) fn attempts(&self, now: Timestamp) -> Vec<Attempt> {
        self.look(now);
        let state = self.state.borrow();
        let candidate = state
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
        let proven = state.proven.as_ref().map(|secret| Attempt {
            secret: secret.clone(),
            is_candidate: false,
        });
        candidate.into_iter().chain(proven).collect()
    }

    /// What became of a call: `accepted` says whether the authorization server took the secret.
    pub(super) fn learn(&self, attempt: &Attempt, accepted: bool, now: Timestamp) {
        if !attempt.is_candidate {
            return;
        }
        let mut state = self.state.borrow_mut();
        let is_same = |candidate: &Candidate| {
            candidate.secret.expose_secret() == attempt.secret.expose_secret()
        };
        match &mut state.candidate {
            Some(candidate) if is_same(candidate) => {
                if accepted {
                    state.proven = state.candidate.take().map(|candidate| candidate.secret);
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

    fn look(&self, now: Timestamp) {
        let Some(path) = &self.file else { return };
        let mut state = self.state.borrow_mut();
        // A clock that was put back must not keep us from looking.
        if state
            .looked_at
            .is_some_and(|at| at <= now && now < at + LOOKED_AT)
        {
            return;
        }
        state.looked_at = Some(now);
        let stamp = match fs::metadata(path) {
            Ok(metadata) => (metadata.modified().ok(), metadata.len()),
            Err(error) => {
                log::error!(
                    "the file of a secret cannot be read, the one before stays in use: {error}"
                );
                return;
            }
        };
        if state.stamp == Some(stamp) {
            return;
        }
        match secret_file::read(path) {
            Ok(secret) => {
                state.stamp = Some(stamp);
                let is_known = state
                    .proven
                    .as_ref()
                    .is_some_and(|proven| proven.expose_secret() == secret.expose_secret());
                state.candidate = (!is_known).then_some(Candidate {
                    secret,
                    refused_at: None,
                });
            }
            Err(error) => {
                log::error!(
                    "the file of a secret cannot be read, the one before stays in use: {error}"
                );
            }
        }
    }
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

    fn offered(secret: &Secret, now: i64) -> Vec<String> {
        let attempts = secret.attempts(at(now));
        let texts = attempts
            .iter()
            .map(|attempt| attempt.secret.expose_secret().to_owned());
        texts.collect()
    }

    fn learn(secret: &Secret, text: &str, accepted: bool, now: i64) {
        let attempts = secret.attempts(at(now));
        let attempt = attempts
            .iter()
            .find(|attempt| attempt.secret.expose_secret() == text)
            .unwrap();
        secret.learn(attempt, accepted, at(now));
    }

    #[test]
    fn a_given_secret_stays_what_it_is() {
        let secret = Secret::new(&SecretSource::Given("a".into()));
        assert_eq!(offered(&secret, 0), ["a"]);
        learn(&secret, "a", false, 0);
        secret.reload();
        assert_eq!(offered(&secret, 100), ["a"]);
    }

    #[test]
    fn a_new_secret_is_tried_first_and_the_old_one_kept_until_it_has_worked() {
        let file = File::new("rotate", "old\n");
        let secret = file.secret();
        assert_eq!(offered(&secret, 0), ["old"]);
        learn(&secret, "old", true, 0);
        file.write("newer\n");
        assert_eq!(offered(&secret, 0), ["old"], "looked at a moment ago");
        assert_eq!(offered(&secret, 1), ["newer", "old"]);
        learn(&secret, "newer", false, 1);
        assert_eq!(offered(&secret, 2), ["old"]);
        assert_eq!(offered(&secret, 31), ["newer", "old"]);
        learn(&secret, "newer", true, 31);
        assert_eq!(offered(&secret, 32), ["newer"]);
    }

    #[test]
    fn reloading_looks_at_once_and_tries_again_what_was_refused() {
        let file = File::new("reload", "old");
        let secret = file.secret();
        learn(&secret, "old", true, 0);
        file.write("newer");
        secret.reload();
        assert_eq!(offered(&secret, 0), ["newer", "old"]);
        learn(&secret, "newer", false, 0);
        assert_eq!(offered(&secret, 0), ["old"]);
        secret.reload();
        assert_eq!(offered(&secret, 0), ["newer", "old"]);
    }

    #[test]
    fn a_file_that_goes_away_or_is_empty_takes_nothing_away() {
        let file = File::new("gone", "old");
        let secret = file.secret();
        learn(&secret, "old", true, 0);
        file.write("  \n");
        assert_eq!(offered(&secret, 2), ["old"]);
        fs::remove_file(&file.0).unwrap();
        assert_eq!(offered(&secret, 4), ["old"]);
        file.write("back again");
        assert_eq!(offered(&secret, 6), ["back again", "old"]);
    }
}
