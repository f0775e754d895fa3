//! The error type that becomes a response.
//!
//! The client reads a fixed sentence of `public_error.rs`; the cause is only logged, under the request id of
//! the response.

use std::{borrow::Cow, fmt, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{ALLOW, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    web::Data,
};
use derive_more::Display;
use serde_json::json;

use super::{
    request_info::{LoggedCause, address, context, trace},
    route_path::path_of,
};
use crate::http::state::AppState;
use crate::{
    audit::{Event, Origin},
    budgets::OverBudget,
    metrics::Outcome,
    session::SessionError,
};
use mcp_protocol::{
    jsonrpc::{self, Id, ParseError},
    rpc_error::RpcError,
    status,
};
use resource_server::{
    auth::AuthError,
    cause::Cause,
    dpop::proof::ProofFault,
    guard::{DPOP_NONCE, Refused},
    limits::Exceeded,
    revocation::{LogoutError, OrderError},
    scope::ScopeSet,
    validation::Refusal,
};

/// Why a request is answered with an error.
#[derive(Debug, Display)]
pub(crate) enum HttpError {
    /// `Host` names another server.
    #[display("the host is not served")]
    Misdirected,
    /// `Origin` is not on the allow-list.
    #[display("the origin is not allowed")]
    ForbiddenOrigin,
    /// The path does not exist.
    #[display("no such path")]
    NoSuchPath,
    /// The path does not support the method.
    #[display("method not allowed")]
    MethodNotAllowed {
        /// The value of `Allow`.
        allow: &'static str,
    },
    /// The credentials are missing or invalid.
    #[display("{_0}")]
    Refused(Refusal),
    /// The token lacks a scope for this request.
    #[display("insufficient scope")]
    Forbidden {
        /// The id of the request, for the response.
        id: Option<Id>,
        /// The scopes of the challenge.
        needed: ScopeSet,
    },
    /// The authorization server is unreachable, or its response is invalid.
    #[display("the authorization server is unavailable")]
    IssuerUnavailable {
        /// Its `Retry-After`, if any.
        retry_after: Option<Duration>,
        /// The cause.
        source: Cause,
    },
    /// A rate limit was exceeded.
    #[display("{_0}")]
    LimitExceeded(Exceeded),
    /// The caller, or all together, would use too much memory or have too many requests in flight.
    #[display("{over}")]
    OverBudget {
        /// The id of the request, for the response.
        id: Option<Id>,
        /// The budget.
        over: OverBudget,
    },
    /// The server is at capacity.
    #[display("busy")]
    Busy(Option<Id>),
    /// The user has as much under way as one user may.
    #[display("the user's share is used up")]
    ShareUsedUp {
        /// The id of the request, for the response.
        id: Id,
        /// The message for the client.
        message: Cow<'static, str>,
    },
    /// Something that a feature depends on is unreachable, or did not finish in time.
    #[display("a feature is unavailable")]
    Unavailable {
        /// The id of the request, for the response.
        id: Id,
        /// The error code.
        code: &'static str,
        /// The message for the client.
        message: Cow<'static, str>,
        /// The cause.
        source: Cause,
    },
    /// The media type of the body is not accepted.
    #[display("unsupported media type")]
    UnsupportedMediaType {
        /// The accepted media type.
        expected: &'static str,
    },
    /// The client does not accept what the response would be.
    #[display("not acceptable")]
    NotAcceptable,
    /// The body is too long.
    #[display("body too large")]
    TooLarge {
        /// The limit in bytes.
        longest: usize,
    },
    /// The body did not arrive in time.
    #[display("body too slow")]
    TooSlow,
    /// The connection was closed within the body.
    #[display("body broke off")]
    BrokenOff,
    /// The session id is missing.
    #[display("no session id")]
    NoSession(Option<Id>),
    /// The session is unknown, for whatever reason.
    #[display("unknown session")]
    UnknownSession(Option<Id>),
    /// `Last-Event-ID` does not identify an event of this session.
    #[display("not resumable")]
    NotResumable,
    /// The body of a revocation is invalid.
    #[display("{_0}")]
    Invalid(&'static str),
    /// A revocation may not last.
    #[display("{_0}")]
    NotRevoked(OrderError),
    /// There is no revocation to lift.
    #[display("no such revocation")]
    NoSuchRevocation,
    /// The list of revocations cannot be read.
    #[display("the revocations cannot be read: {_0}")]
    RevocationsUnread(Cause),
    /// The secret of a revocation is wrong.
    #[display("the secret is wrong")]
    WrongSecret,
    /// A logout token is invalid.
    #[display("{_0}")]
    LogoutRefused(LogoutError),
    /// A JSON-RPC error.
    #[display("{}", error.message)]
    Rpc {
        /// The HTTP status, from [`status`].
        status: u16,
        /// The id of the request, for the response.
        id: Option<Id>,
        /// The error.
        error: RpcError,
    },
    /// An error of the server.
    #[display("internal error")]
    Internal {
        /// The HTTP status, from [`status`].
        status: u16,
        /// The id of the request, for the response.
        id: Option<Id>,
        /// The cause.
        source: Cause,
    },
}

impl From<Refused> for HttpError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Credentials { refusal, .. } => Self::Refused(refusal),
            Refused::LimitExceeded(exceeded) => Self::LimitExceeded(exceeded),
            Refused::Busy => Self::Busy(None),
            Refused::IssuerUnavailable {
                retry_after,
                source,
            } => Self::IssuerUnavailable {
                retry_after,
                source,
            },
        }
    }
}

impl From<OverBudget> for HttpError {
    fn from(over: OverBudget) -> Self {
        Self::OverBudget { id: None, over }
    }
}

impl From<AuthError> for HttpError {
    fn from(error: AuthError) -> Self {
        Refused::from(error).into()
    }
}

impl From<ParseError> for HttpError {
    fn from(failed: ParseError) -> Self {
        Self::Rpc {
            status: status::of_refused_envelope(&failed.error),
            id: failed.id,
            error: failed.error,
        }
    }
}

impl HttpError {
    /// A session error in response to the request with that id.
    pub(crate) fn session(error: SessionError, id: Option<Id>) -> Self {
        match error {
            SessionError::Unknown => Self::UnknownSession(id),
            SessionError::Full | SessionError::Unavailable => Self::Busy(id),
        }
    }

    /// The response. At the MCP endpoint its body is a JSON-RPC error, elsewhere a plain one (RFC 6749 §5.2).
    pub(crate) fn respond(self, request: &HttpRequest) -> HttpResponse {
        self.respond_to(request, None)
    }

    /// The response, with this id if the error has none.
    pub(super) fn respond_to(self, request: &HttpRequest, id: Option<&Id>) -> HttpResponse {
        let trace = trace(request);
        let request_id = trace.request_id;
        if let Self::Forbidden { needed, .. } = self {
            let context = context(request);
            let scopes = &state(request).guard.challenger().scopes;
            let needed = Vec::from_iter(scopes.names(needed)).join(",");
            let origin = context
                .as_ref()
                .map_or_else(|| Origin::anonymous(trace, address(request)), Origin::of);
            let event = Event::ScopeRefused { needed: &needed };
            state(request).audit.log(event, origin);
        }
        self.count_limit(request);
        let public = self.public(request);
        let mut response = HttpResponse::build(
            StatusCode::from_u16(public.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        );
        response.insert_header((CACHE_CONTROL, "no-store"));
        if let Some(challenge) = &public.challenge {
            response.insert_header((WWW_AUTHENTICATE, challenge.as_str()));
        }
        if let Self::Refused(Refusal::Proof(ProofFault::Nonce)) = &self
            && let Some(nonce) = state(request).guard.nonce()
        {
            response.insert_header((DPOP_NONCE.clone(), nonce));
        }
        if matches!(self, Self::WrongSecret) {
            response.insert_header((WWW_AUTHENTICATE, "Basic realm=\"revocations\""));
        }
        if let Some(allow) = public.allow {
            response.insert_header((ALLOW, allow));
        }
        if let Some(wait) = public.retry_after {
            response.insert_header((RETRY_AFTER, wait.as_secs().max(1)));
        }
        if let Self::LimitExceeded(exceeded) = &self {
            for field in exceeded.fields() {
                response.insert_header(field);
            }
        }
        let mut data = json!({
            "error": public.error,
            "error_description": public.description,
        });
        // The response for an unknown session must not differ in any byte.
        if !matches!(self, Self::UnknownSession(_)) {
            data["request_id"] = request_id.to_string().into();
        }
        let body = if state(request).is_endpoint(path_of(request)) {
            let error = match &self {
                Self::Rpc { error, .. } => error.clone(),
                _ => RpcError::new(public.code, public.description.clone()).with_data(data),
            };
            jsonrpc::failure(self.id().or(id), &error)
        } else {
            data.to_string()
        };
        let mut response = response.content_type("application/json").body(body);
        let cause = match &self {
            Self::Forbidden { needed, .. }
            | Self::Refused(Refusal::InsufficientScope { needed }) => {
                let scopes = &state(request).guard.challenger().scopes;
                format!("needs scope {}", scopes.list(*needed))
            }
            _ => self
                .cause()
                .map_or_else(|| self.to_string(), |cause| format!("{self}: {cause}")),
        };
        let mut logged = response.extensions_mut();
        logged.insert(LoggedCause(cause));
        logged.insert(self.outcome());
        drop(logged);
        response
    }

    pub(super) fn id(&self) -> Option<&Id> {
        match self {
            Self::Busy(id)
            | Self::OverBudget { id, .. }
            | Self::NoSession(id)
            | Self::UnknownSession(id)
            | Self::Rpc { id, .. }
            | Self::Forbidden { id, .. }
            | Self::Internal { id, .. } => id.as_ref(),
            Self::Unavailable { id, .. } | Self::ShareUsedUp { id, .. } => Some(id),
            _ => None,
        }
    }

    fn cause(&self) -> Option<&dyn fmt::Display> {
        match self {
            Self::IssuerUnavailable { source, .. }
            | Self::Unavailable { source, .. }
            | Self::Internal { source, .. } => Some(source),
            _ => None,
        }
    }

    fn outcome(&self) -> Outcome {
        match self {
            Self::Misdirected
            | Self::ForbiddenOrigin
            | Self::NoSuchPath
            | Self::MethodNotAllowed { .. }
            | Self::NoSuchRevocation
            | Self::UnknownSession(_) => Outcome::Refused,
            Self::Refused(Refusal::InsufficientScope { .. }) | Self::Forbidden { .. } => {
                Outcome::Forbidden
            }
            Self::Refused(_) | Self::WrongSecret => Outcome::Unauthorized,
            Self::IssuerUnavailable { .. }
            | Self::Unavailable { .. }
            | Self::NotRevoked(_)
            | Self::RevocationsUnread(_) => Outcome::Unavailable,
            Self::LimitExceeded(_) => Outcome::Limited,
            Self::OverBudget { over, .. } if over.is_callers() => Outcome::Limited,
            Self::OverBudget { .. } | Self::Busy(_) | Self::ShareUsedUp { .. } => Outcome::Busy,
            Self::Internal { .. } => Outcome::Internal,
            Self::UnsupportedMediaType { .. }
            | Self::NotAcceptable
            | Self::TooLarge { .. }
            | Self::TooSlow
            | Self::BrokenOff
            | Self::NoSession(_)
            | Self::NotResumable
            | Self::Invalid(_)
            | Self::LogoutRefused(_)
            | Self::Rpc { .. } => Outcome::Error,
        }
    }
}

pub(super) fn state(request: &HttpRequest) -> &AppState {
    request
        .app_data::<Data<AppState>>()
        .expect("every route has the AppState")
}
