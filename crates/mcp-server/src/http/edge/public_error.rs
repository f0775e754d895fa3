//! The public part of an error: status, code, sentence and headers.

use std::time::Duration;

use actix_web::HttpRequest;
use mcp_protocol::rpc_error::code;
use resource_server::{
    guard::{BUSY, CANNOT_CHECK, RETRY_LATER, RETRY_SOON},
    revocation::OrderError,
    validation::Refusal,
};

use super::error::{HttpError, state};

/// The public part of an error.
pub(super) struct PublicError {
    pub(super) status: u16,
    pub(super) error: &'static str,
    pub(super) description: String,
    pub(super) code: i32,
    pub(super) challenge: Option<String>,
    pub(super) allow: Option<&'static str>,
    pub(super) retry_after: Option<Duration>,
}

impl PublicError {
    fn new(status: u16, error: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            error,
            description: description.into(),
            code: code::INVALID_REQUEST,
            challenge: None,
            allow: None,
            retry_after: None,
        }
    }

    fn challenge(refusal: Refusal, request: &HttpRequest) -> Self {
        let challenge = state(request).guard.challenge(refusal, request);
        Self {
            challenge: Some(challenge.field()),
            ..Self::new(
                challenge.status,
                challenge.body_error(),
                challenge.description,
            )
        }
    }
}

impl HttpError {
    pub(super) fn public(&self, request: &HttpRequest) -> PublicError {
        match self {
            Self::Misdirected => PublicError::new(
                421,
                "misdirected_request",
                format!(
                    "The Host field names another host; this server is {}",
                    state(request).public_url
                ),
            ),
            Self::ForbiddenOrigin => PublicError::new(
                403,
                "origin_not_allowed",
                "The Origin field names an origin that is not allowed here",
            ),
            Self::NoSuchPath => PublicError::new(
                404,
                "not_found",
                format!(
                    "There is nothing at this path; the MCP endpoint is {}",
                    state(request).resource()
                ),
            ),
            Self::MethodNotAllowed { allow } => PublicError {
                allow: Some(allow),
                ..PublicError::new(
                    405,
                    "method_not_allowed",
                    "The method is not allowed here; the Allow field names those that are",
                )
            },
            Self::Refused(refusal) => PublicError::challenge(*refusal, request),
            Self::Forbidden { needed, .. } => {
                PublicError::challenge(Refusal::InsufficientScope { needed: *needed }, request)
            }
            Self::IssuerUnavailable { retry_after, .. } => PublicError {
                retry_after: Some(retry_after.unwrap_or(RETRY_LATER)),
                code: code::INTERNAL_ERROR,
                ..PublicError::new(503, "temporarily_unavailable", CANNOT_CHECK)
            },
            Self::LimitExceeded(exceeded) => PublicError {
                retry_after: Some(exceeded.wait),
                ..PublicError::new(429, "too_many_requests", exceeded.description())
            },
            Self::OverBudget { over, .. } if over.is_callers() => PublicError {
                retry_after: Some(RETRY_SOON),
                ..PublicError::new(429, "too_many_requests", over.to_string())
            },
            Self::OverBudget { over, .. } => PublicError {
                retry_after: Some(RETRY_SOON),
                code: code::INTERNAL_ERROR,
                ..PublicError::new(503, "temporarily_unavailable", over.to_string())
            },
            Self::Busy(_) => PublicError {
                retry_after: Some(RETRY_SOON),
                code: code::INTERNAL_ERROR,
                ..PublicError::new(503, "temporarily_unavailable", BUSY)
            },
            Self::ShareUsedUp { message, .. } => PublicError {
                retry_after: Some(RETRY_SOON),
                code: code::INTERNAL_ERROR,
                ..PublicError::new(503, "temporarily_unavailable", message.clone())
            },
            Self::Unavailable { code, message, .. } => PublicError {
                retry_after: Some(RETRY_LATER),
                code: code::INTERNAL_ERROR,
                ..PublicError::new(503, code, message.clone())
            },
            Self::UnsupportedMediaType { expected } => PublicError::new(
                415,
                "unsupported_media_type",
                format!("The body must be {expected}, not encoded"),
            ),
            Self::NotAcceptable => PublicError::new(
                406,
                "not_acceptable",
                "The Accept field must allow application/json for the answer to a call, and text/event-stream for a stream of events",
            ),
            Self::TooLarge { longest } => PublicError::new(
                413,
                "content_too_large",
                format!("The body must not be longer than {}", size(*longest)),
            ),
            Self::TooSlow => PublicError::new(
                408,
                "request_timeout",
                "The body did not arrive in time: all of it must come within 30 seconds and, after the first \
                 5, 4 KiB in each",
            ),
            Self::BrokenOff => PublicError::new(400, "invalid_request", "The body broke off"),
            Self::NoSession(_) => PublicError::new(
                400,
                "session_required",
                "One Mcp-Session-Id field is required; initialize opens a session",
            ),
            Self::UnknownSession(_) => PublicError::new(
                404,
                "unknown_session",
                "There is no such session; initialize opens one",
            ),
            Self::NotResumable => PublicError::new(
                400,
                "not_resumable",
                "Last-Event-ID names no event of this session that a stream can be resumed after",
            ),
            Self::NotRevoked(error) => PublicError {
                retry_after: Some(RETRY_LATER),
                code: code::INTERNAL_ERROR,
                ..PublicError::new(503, "temporarily_unavailable", not_revoked(error))
            },
            Self::RevocationsUnread(_) => PublicError {
                retry_after: Some(RETRY_LATER),
                code: code::INTERNAL_ERROR,
                ..PublicError::new(
                    503,
                    "temporarily_unavailable",
                    "The stored revocations cannot be read at the moment; try again",
                )
            },
            Self::NoSuchRevocation => {
                PublicError::new(404, "not_found", "There is no such revocation")
            }
            Self::Invalid(why) => PublicError::new(400, "invalid_request", *why),
            // RFC 6749 §5.2.
            Self::WrongSecret => PublicError::new(
                401,
                "invalid_client",
                "The Authorization field must bring the secret, as Bearer or as the password of Basic",
            ),
            Self::LogoutRefused(why) => PublicError::new(400, "invalid_request", why.to_string()),
            Self::Rpc { status, error, .. } => PublicError {
                code: error.code,
                ..PublicError::new(*status, "invalid_request", error.message.clone())
            },
            Self::Internal { status, .. } => PublicError {
                code: code::INTERNAL_ERROR,
                ..PublicError::new(
                    *status,
                    "server_error",
                    "Something went wrong on the server; the request id finds it in the log",
                )
            },
        }
    }
}

fn not_revoked(error: &OrderError) -> &'static str {
    match error {
        OrderError::Full => {
            "The present uses have ended, but no further revocation can be remembered, so the tokens may be \
             accepted again; lift revocations that are no longer needed, and try again"
        }
        OrderError::NotStored { .. } => {
            "The change is in effect in this process, but could not be stored, so a restart undoes it; try again"
        }
    }
}

fn size(bytes: usize) -> String {
    match bytes / 1_024 {
        kib if kib % 1_024 == 0 => format!("{} MiB", kib / 1_024),
        kib => format!("{kib} KiB"),
    }
}
