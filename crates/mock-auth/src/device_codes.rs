//! Devices that wait for a person who answers in a browser elsewhere (RFC 8628). It reads no clock: every call names the time.

use std::{collections::VecDeque, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    answer::{ErrorCode, OAuthError},
    bounded::Bounded,
    client::Client,
    scopes::Scopes,
    secret::{self, Digest},
};

/// How many devices may wait. The oldest makes room.
const MOST: usize = 1_000;

/// The letters of user codes (§6.1): no vowels, so that no words come about.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// How many letters a user code has. Of 20^8 codes, 1,000 devices use 4 in 100 million.
const LENGTH: usize = 8;

/// How many seconds a device has to wait between two tries (§3.5), and by how many that grows when it does not.
pub(crate) const INTERVAL: i64 = 5;

/// What the waiting grows to at most, in seconds.
const LONGEST_INTERVAL: i64 = 60;

/// By how much a device may be too early: its clock and its way here are not exact.
const EARLY: TimeDelta = TimeDelta::milliseconds(500);

/// How many wrong user codes are looked up within [`WINDOW`] (§5.1), whoever enters them.
const TRIES: usize = 30;
const WINDOW: TimeDelta = TimeDelta::minutes(1);

/// For how long it is told that a code has expired, and not that it never was.
const REMEMBERED: TimeDelta = TimeDelta::minutes(10);

/// What a device asks a person for.
#[derive(Debug)]
pub(crate) struct DeviceRequest {
    pub(crate) client: Arc<Client>,
    /// The scopes asked for, if any were named.
    pub(crate) scopes: Option<Scopes>,
    pub(crate) resources: Vec<String>,
    /// As people read it.
    pub(crate) user_code: String,
    key: Digest,
}

/// What a person answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Denied,
    Allowed { subject: String, scopes: Scopes },
}

/// Why no device is found by a user code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotFound {
    Unknown,
    /// Too many wrong codes were entered of late.
    TooManyTries,
}

struct Waiting {
    request: Arc<DeviceRequest>,
    expires: DateTime<Utc>,
    interval: i64,
    tried: Option<DateTime<Utc>>,
    answer: Option<Answer>,
}

/// What the device that begins to wait gets.
pub(crate) struct Begun {
    pub(crate) device_code: SecretString,
    pub(crate) user_code: String,
}

pub(crate) struct DeviceCodes {
    lifetime: TimeDelta,
    waiting: Bounded<Digest, Waiting>,
    user_codes: Bounded<Digest, Digest>,
    /// When the last wrong user codes were entered.
    wrong: VecDeque<DateTime<Utc>>,
}

impl DeviceCodes {
    pub(crate) fn new(lifetime: TimeDelta) -> Self {
        Self {
            lifetime,
            waiting: Bounded::new(MOST),
            user_codes: Bounded::new(MOST),
            wrong: VecDeque::new(),
        }
    }

    /// A device begins to wait.
    pub(crate) fn begin(
        &mut self,
        client: Arc<Client>,
        scopes: Option<Scopes>,
        resources: Vec<String>,
        now: DateTime<Utc>,
    ) -> Begun {
        let device_code = secret::random("epd_");
        let key = Digest::of(device_code.expose_secret());
        let user_code = random_user_code();
        let expires = now + self.lifetime;
        let request = DeviceRequest {
            client,
            scopes,
            resources,
            user_code: user_code.clone(),
            key,
        };
        let waiting = Waiting {
            request: Arc::new(request),
            expires,
            interval: INTERVAL,
            tried: None,
            answer: None,
        };
        self.waiting.insert(key, waiting, expires + REMEMBERED, now);
        self.user_codes
            .insert(Digest::of(&user_code), key, expires, now);
        Begun {
            device_code,
            user_code,
        }
    }

    /// The device that shows this code, however it is spelled.
    pub(crate) fn find(
        &mut self,
        user_code: &str,
        now: DateTime<Utc>,
    ) -> Result<Arc<DeviceRequest>, NotFound> {
        self.wrong.retain(|at| *at > now - WINDOW);
        if self.wrong.len() >= TRIES {
            return Err(NotFound::TooManyTries);
        }
        let key = spelled(user_code).and_then(|it| self.user_codes.get(&Digest::of(&it), now));
        let waiting = key.and_then(|key| self.waiting.get(key, now));
        match waiting {
            Some(waiting) => Ok(Arc::clone(&waiting.request)),
            None => {
                self.wrong.push_back(now);
                Err(NotFound::Unknown)
            }
        }
    }

    /// Keeps a person's answer, in the place of an earlier one. Says whether the device still waits.
    pub(crate) fn answer(
        &mut self,
        request: &DeviceRequest,
        answer: Answer,
        now: DateTime<Utc>,
    ) -> bool {
        let waiting = self.waiting.get_mut(&request.key, now);
        let Some(waiting) = waiting.filter(|waiting| waiting.expires > now) else {
            return false;
        };
        waiting.answer = Some(answer);
        true
    }

    /// The device asks whether somebody answered. A code that was allowed is good for one try.
    ///
    /// # Errors
    /// Those of §3.5, and `invalid_grant` for a code that is unknown, used or another client's.
    pub(crate) fn take(
        &mut self,
        device_code: &str,
        client_id: &str,
        now: DateTime<Utc>,
    ) -> Result<(Arc<DeviceRequest>, String, Scopes), OAuthError> {
        let key = Digest::of(device_code);
        let unknown = || OAuthError::invalid_grant("the device code is unknown or used");
        let waiting = self.waiting.get_mut(&key, now).ok_or_else(unknown)?;
        if waiting.request.client.id != client_id {
            return Err(unknown());
        }
        if waiting.expires <= now {
            let late = "nobody answered in time; the device has to begin again";
            return Err(OAuthError::new(ErrorCode::ExpiredToken, late));
        }
        let due = waiting
            .tried
            .map(|tried| tried + TimeDelta::seconds(waiting.interval));
        waiting.tried = Some(now);
        if due.is_some_and(|due| now + EARLY < due) {
            waiting.interval = (waiting.interval + INTERVAL).min(LONGEST_INTERVAL);
            let wait = format!("wait {} seconds before the next try", waiting.interval);
            return Err(OAuthError::new(ErrorCode::SlowDown, wait));
        }
        match waiting.answer.clone() {
            None => {
                let open = "the person has not answered yet";
                Err(OAuthError::new(ErrorCode::AuthorizationPending, open))
            }
            Some(Answer::Denied) => {
                self.remove(&key);
                let denied = "the user said no";
                Err(OAuthError::new(ErrorCode::AccessDenied, denied))
            }
            Some(Answer::Allowed { subject, scopes }) => {
                let request = self.remove(&key).ok_or_else(unknown)?;
                Ok((request, subject, scopes))
            }
        }
    }

    fn remove(&mut self, key: &Digest) -> Option<Arc<DeviceRequest>> {
        let request = self.waiting.remove(key)?.request;
        self.user_codes.remove(&Digest::of(&request.user_code));
        Some(request)
    }

    /// Forgets every device for which the predicate picks the person who allowed it, and the client.
    pub(crate) fn remove_where(&mut self, pick: impl Fn(&str, &str) -> bool) {
        self.waiting.remove_where(|waiting| match &waiting.answer {
            Some(Answer::Allowed { subject, .. }) => pick(subject, &waiting.request.client.id),
            Some(Answer::Denied) | None => false,
        });
    }
}

/// `BCDF-GHJK`.
fn random_user_code() -> String {
    let mut code = String::new();
    while code.len() < LENGTH + 1 {
        let [byte] = secret::random_bytes::<1>();
        // Without the bytes that would make some letters likelier than others.
        let Some(letter) = (byte < 240).then(|| LETTERS[usize::from(byte) % LETTERS.len()]) else {
            continue;
        };
        if code.len() == LENGTH / 2 {
            code.push('-');
        }
        code.push(char::from(letter));
    }
    code
}

/// A code as it was given out, from what a person typed (§6.1: case and what is no letter do not count).
fn spelled(typed: &str) -> Option<String> {
    if typed.len() > 64 {
        return None;
    }
    let letters: String = typed
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_uppercase())
        .collect();
    let (first, second) = (letters.len() == LENGTH).then(|| letters.split_at(LENGTH / 2))?;
    Some(format!("{first}-{second}"))
}

#[cfg(test)]
#[path = "device_codes_tests.rs"]
mod tests;
