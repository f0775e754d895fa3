//! Why a request is not authorized, and the response.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{AUTHORIZATION, CACHE_CONTROL, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use derive_more::{Display, Error};
use serde_json::json;

use super::state::Guard;
use crate::{
    auth::AuthError,
    bearer::{BearerToken, Presentation, Scheme},
    cause::Cause,
    challenge::Challenge,
    dpop::proof::ProofFault,
    limits::Exceeded,
    validation::Refusal,
};

/// The header with the nonce for the next proof (RFC 9449 §9).
pub static DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// `Retry-After` when the server is busy.
pub const RETRY_SOON: Duration = Duration::from_secs(1);

/// `Retry-After` when the authorization server is unavailable and sent none.
pub const RETRY_LATER: Duration = Duration::from_secs(5);

/// What a client reads when the server is busy.
pub const BUSY: &str = "The server is busy; try again soon";

/// What a client reads when its token cannot be checked.
pub const CANNOT_CHECK: &str =
    "The access token cannot be checked at the moment; try again with the same token";

impl Guard {
    /// The challenge for a request (RFC 6750 §3), in the scheme that the request uses. Its scopes have the names that
    /// the issuer of the token gives them; without a token, those of the first issuer.
    #[must_use]
    pub fn challenge(&self, refusal: Refusal, request: &HttpRequest) -> Challenge<'_> {
        let values = || {
            let values = request.headers().get_all(AUTHORIZATION);
            values.map(|value| value.as_bytes())
        };
        let scheme = Scheme::of(values()).unwrap_or(Scheme::Bearer);
        let challenge = self.challenger().challenge(refusal, scheme);
        let presented = Presentation::from_authorization(values()).ok();
        let prefix = presented.and_then(|presented| self.auth().scope_prefix(&presented.token));
        match prefix {
            Some(scope_prefix) => Challenge {
                scope_prefix,
                ..challenge
            },
            None => challenge,
        }
    }
}

/// Why a request is not authorized.
#[derive(Clone, Debug, Display, Error)]
pub enum Refused {
    /// The credentials are refused: the client has to send others.
    #[display("{refusal}")]
    Credentials {
        /// The reason.
        refusal: Refusal,
        /// The token, if there was one, for the log; it is printed as its fingerprint.
        #[error(not(source))]
        token: Option<BearerToken>,
    },
    /// A rate limit is exceeded.
    #[display("{_0}")]
    LimitExceeded(#[error(not(source))] Exceeded),
    /// The limit of concurrent introspections is reached.
    #[display("busy")]
    Busy,
    /// The authorization server is unreachable or returned an invalid response. Never the client's fault.
    #[display("the authorization server is unavailable: {source}")]
    IssuerUnavailable {
        /// Its `Retry-After`, if it sent one.
        retry_after: Option<Duration>,
        /// What went wrong; only for the log.
        source: Cause,
    },
}

impl From<AuthError> for Refused {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused(refusal) => Self::credentials(refusal),
            AuthError::Busy => Self::Busy,
            AuthError::IssuerUnavailable {
                source,
                retry_after,
            } => Self::IssuerUnavailable {
                retry_after,
                source,
            },
            AuthError::Uncheckable {
                source,
                retry_after,
            } => Self::IssuerUnavailable {
                retry_after: Some(retry_after),
                source,
            },
            AuthError::InvalidResponse { source } => Self::IssuerUnavailable {
                retry_after: None,
                source,
            },
        }
    }
}

impl Refused {
    pub(super) fn credentials(refusal: Refusal) -> Self {
        Self::Credentials {
            refusal,
            token: None,
        }
    }

    pub(super) fn token(refusal: Refusal, token: &BearerToken) -> Self {
        Self::Credentials {
            refusal,
            token: Some(token.clone()),
        }
    }

    /// The response: a challenge (RFC 6750 §3), 429, or 503, with a JSON body in the form of RFC 6749 §5.2. It
    /// does not say why a token is invalid, so the reason is logged.
    #[must_use]
    pub fn response(&self, guard: &Guard, request: &HttpRequest) -> HttpResponse {
        let respond = |status: u16, error: &str, description: &str| {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED);
            let mut response = HttpResponse::build(status);
            response.insert_header((CACHE_CONTROL, "no-store"));
            let body = json!({ "error": error, "error_description": description });
            (response, body)
        };
        let wait = |wait: Duration| (RETRY_AFTER, wait.as_secs().max(1));
        let (mut response, body) = match self {
            Self::Credentials { refusal, token } => {
                let token = token
                    .as_ref()
                    .map_or_else(String::new, BearerToken::fingerprint);
                log::info!(token = token; "a request is refused: {refusal}");
                let challenge = guard.challenge(*refusal, request);
                let (mut response, body) = respond(
                    challenge.status,
                    challenge.body_error(),
                    &challenge.description,
                );
                response.insert_header((WWW_AUTHENTICATE, challenge.field()));
                if let Refusal::Proof(ProofFault::Nonce) = refusal
                    && let Some(nonce) = guard.nonce()
                {
                    response.insert_header((DPOP_NONCE.clone(), nonce));
                }
                (response, body)
            }
            Self::LimitExceeded(exceeded) => {
                let description = exceeded.description();
                let (mut response, body) = respond(429, "too_many_requests", &description);
                response.insert_header(wait(exceeded.wait));
                for field in exceeded.fields() {
                    response.insert_header(field);
                }
                (response, body)
            }
            Self::Busy => {
                let (mut response, body) = respond(503, "temporarily_unavailable", BUSY);
                response.insert_header(wait(RETRY_SOON));
                (response, body)
            }
            Self::IssuerUnavailable {
                retry_after,
                source,
            } => {
                if let Some(others) = guard.0.unavailable_log.due(guard.0.clock.now()) {
                    log::warn!(others = others; "a request is answered with 503: {source}");
                }
                let (mut response, body) = respond(503, "temporarily_unavailable", CANNOT_CHECK);
                response.insert_header(wait(retry_after.unwrap_or(RETRY_LATER)));
                (response, body)
            }
        };
        response.json(body)
    }
}
