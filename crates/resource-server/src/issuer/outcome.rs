//! What a call about a token says: something about the endpoint, or something about this token alone.

use std::time::{Duration, SystemTime};

use actix_web::http::{
    StatusCode,
    header::{HeaderMap, HttpDate, RETRY_AFTER},
};
use chrono::TimeDelta;

use crate::{auth::error::AuthError, cause::Cause, clock::Timestamp};

/// How long a token that cannot be checked is not asked about again, unless the response says how long.
pub(crate) const UNCHECKABLE_FOR: Duration = Duration::from_secs(5);

/// The longest `Retry-After` that is respected.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// What a failed call says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The endpoint cannot be reached; no token was sent.
    Unreachable,
    /// There was no response in time, or it was 502, 503 or 504.
    Unanswered,
    /// The server failed on this token (500 and others of its class): a fact about the token until it happens
    /// to others.
    ServerError,
    /// Status 429, and for how long the server is not to be asked.
    RateLimited(Duration),
    /// The response is not usable: a fact about this token.
    Token,
    /// This server did not or could not ask.
    Nothing,
}

/// Why a call failed, and what that says.
#[derive(Debug)]
pub(crate) struct CallError {
    pub(crate) error: AuthError,
    pub(crate) finding: Finding,
    /// Whether it may be made once more at once.
    pub(crate) is_retryable: bool,
    /// Whether a document of the issuer could not be had, so that the endpoint was not called.
    pub(crate) is_of_document: bool,
}

impl CallError {
    /// The response about this token is not usable.
    pub(crate) fn of_token(why: impl Into<String>) -> Self {
        Self {
            error: uncheckable(why, UNCHECKABLE_FOR),
            finding: Finding::Token,
            is_retryable: false,
            is_of_document: false,
        }
    }

    /// This server did not or could not ask.
    pub(crate) fn of_this_server(error: AuthError) -> Self {
        Self {
            error,
            finding: Finding::Nothing,
            is_retryable: false,
            is_of_document: false,
        }
    }

    /// A document of the issuer is missing, without which no token can be checked.
    pub(crate) fn of_document(error: AuthError) -> Self {
        let finding = match error {
            AuthError::IssuerUnavailable { .. } => Finding::Unreachable,
            _ => Finding::Nothing,
        };
        Self {
            error,
            finding,
            is_retryable: false,
            is_of_document: true,
        }
    }

    /// The error of a request that was not about a token.
    pub(crate) fn about_a_document(self) -> AuthError {
        match self.error {
            AuthError::Uncheckable { source, .. } => AuthError::InvalidResponse { source },
            error => error,
        }
    }

    /// The same, with the OAuth error code (RFC 6749 §5.2) of the response, for the log.
    pub(crate) fn saying(mut self, code: Option<&str>) -> Self {
        if let Some(code) = code {
            self.error = self.error.with_cause(|cause| format!("{cause}, {code}"));
        }
        self
    }

    /// The response to an introspection has another status than 200.
    pub(crate) fn of_status(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Self {
        let retry_after = retry_after(headers, now);
        let why = format!("status {}", status.as_u16());
        match status {
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Self {
                error: AuthError::IssuerUnavailable {
                    source: Cause::new(why),
                    retry_after,
                },
                finding: Finding::Unanswered,
                // A server that sends `Retry-After` is not called again before.
                is_retryable: retry_after.is_none(),
                is_of_document: false,
            },
            StatusCode::TOO_MANY_REQUESTS => {
                let wait = retry_after
                    .unwrap_or(UNCHECKABLE_FOR)
                    .max(Duration::from_secs(1));
                Self {
                    error: uncheckable(why, wait),
                    finding: Finding::RateLimited(wait),
                    is_retryable: false,
                    is_of_document: false,
                }
            }
            status if status.is_server_error() => Self {
                error: uncheckable(why, UNCHECKABLE_FOR),
                finding: Finding::ServerError,
                is_retryable: retry_after.is_none(),
                is_of_document: false,
            },
            _ => Self::of_token(why),
        }
    }
}

fn uncheckable(why: impl Into<String>, retry_after: Duration) -> AuthError {
    AuthError::Uncheckable {
        source: Cause::new(why.into()),
        retry_after,
    }
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date. A date that has passed says nothing.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has are longer than the longest wait.
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER));
    }
    let date = SystemTime::from(value.parse::<HttpDate>().ok()?);
    let wait = Timestamp::from(date) - now;
    (wait > TimeDelta::zero()).then(|| {
        // Rounded up, so that nobody asks before the date.
        let whole = wait.num_milliseconds().unsigned_abs().div_ceil(1_000);
        Duration::from_secs(whole).min(LONGEST_RETRY_AFTER)
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        DateTime::parse_from_rfc3339("2026-10-21T07:28:00Z")
            .unwrap()
            .to_utc()
    }

    fn wait(value: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(value).ok()?);
        retry_after(&headers, now()).map(|wait| wait.as_secs())
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        for (value, expected) in [
            ("17", Some(17)),
            ("0", Some(0)),
            (" 17 ", Some(17)),
            ("999999", Some(300)),
            ("99999999999999999999999999", Some(300)),
            ("Wed, 21 Oct 2026 07:28:30 GMT", Some(30)),
            ("Wednesday, 21-Oct-26 07:28:30 GMT", Some(30)),
            ("Wed Oct 21 07:28:30 2026", Some(30)),
            ("Wed, 21 Oct 2026 17:28:00 GMT", Some(300)),
            ("Wed, 21 Oct 2026 07:28:00 GMT", None),
            ("Wed, 21 Oct 2020 07:28:00 GMT", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(wait(value), expected, "{value}");
        }
    }

    #[test]
    fn the_status_says_whether_it_is_about_the_endpoint_or_about_the_token() {
        for (status, finding) in [
            (201, Finding::Token),
            (302, Finding::Token),
            (400, Finding::Token),
            (401, Finding::Token),
            (403, Finding::Token),
            (404, Finding::Token),
            (418, Finding::Token),
            (429, Finding::RateLimited(UNCHECKABLE_FOR)),
            (500, Finding::ServerError),
            (501, Finding::ServerError),
            (502, Finding::Unanswered),
            (503, Finding::Unanswered),
            (504, Finding::Unanswered),
            (505, Finding::ServerError),
            (520, Finding::ServerError),
            (599, Finding::ServerError),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = CallError::of_status(status, &HeaderMap::new(), now());
            assert_eq!(error.finding, finding, "{status}");
        }
    }

    proptest! {
        #[test]
        fn any_retry_after_is_a_wait_of_five_minutes_at_most(value in "\\PC{0,40}") {
            prop_assert!(wait(&value).is_none_or(|wait| wait <= 300));
        }
    }
}
