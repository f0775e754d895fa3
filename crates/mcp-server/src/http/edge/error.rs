//! The one error type that becomes a response.
//!
//! Every variant has two faces: what the client reads, from the fixed words of this file, and the
//! private cause, which the access log writes once under the request id that the response carries.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{ALLOW, CACHE_CONTROL, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    web::Data,
};
use derive_more::Display;
use serde_json::json;

use super::{
    request_info::{LoggedCause, trace},
    route_path::path_of,
};
use crate::http::state::AppState;
use crate::{
    audit::{self, Event, Origin},
    metrics::Outcome,
    session::SessionError,
};
use mcp_protocol::{
    jsonrpc::{self, Id, ParseError, RpcError},
    status,
};
use resource_server::{
    auth::AuthError, cause::Cause, dpop::proof::ProofFault, guard::Refused, limits::Exceeded,
    principal::Principal, revocation::LogoutError, scope::ScopeSet, validation::Refusal,
};

/// Where a client finds the nonce for its next proof (RFC 9449 §9).
static DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

// What is limited, as draft-ietf-httpapi-ratelimit-headers-06 has it: that draft's three fields are
// those that clients know, not the structured one of later drafts. They stand on 429 alone: on other
// answers they would cost more than the limit itself, be wrong from a cache, and tell each client of a
// user how busy the others are.
static RATE_LIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
static RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
static RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Why a request is answered with an error.
#[derive(Debug, Display)]
pub(crate) enum HttpError {
    /// `Host` names another server.
    #[display("the host is not served")]
    Misdirected,
    /// `Origin` is not on the allow-list.
    #[display("the origin is not allowed")]
    ForbiddenOrigin,
    /// Nothing is here.
    #[display("no such path")]
    NoSuchPath,
    /// Something is here, but not by that method.
    #[display("method not allowed")]
    MethodNotAllowed {
        /// What would do.
        allow: &'static str,
    },
    /// The credentials do not do.
    #[display("{_0}")]
    Refused(Refusal),
    /// Good credentials, which do not reach as far as this very request.
    #[display("insufficient scope")]
    Forbidden {
        /// To answer under; a response has none of its own.
        id: Option<Id>,
        /// What the challenge names.
        needed: ScopeSet,
    },
    /// The authorization server cannot be asked, or answers nonsense.
    #[display("the authorization server is unavailable")]
    IssuerUnavailable {
        /// How long it asked to be left alone, if it did.
        retry_after: Option<Duration>,
        /// What went wrong.
        source: Cause,
    },
    /// There were too many in too short a time.
    #[display("{_0}")]
    LimitExceeded(Exceeded),
    /// As much is under way as may be.
    #[display("busy")]
    Busy(Option<Id>),
    /// Something that a feature needs cannot be reached.
    #[display("a feature is unavailable")]
    Unavailable {
        /// To answer under.
        id: Id,
        /// What the client reads.
        message: Cow<'static, str>,
        /// What went wrong.
        source: Cause,
    },
    /// The body is not what it has to be.
    #[display("unsupported media type")]
    UnsupportedMediaType {
        /// What would do.
        expected: &'static str,
    },
    /// The client takes neither JSON nor an event stream.
    #[display("not acceptable")]
    NotAcceptable,
    /// The body is longer than is read.
    #[display("body too large")]
    TooLarge {
        /// What would do, in bytes.
        longest: usize,
    },
    /// The body did not come to its end in time.
    #[display("body too slow")]
    TooSlow,
    /// The body broke off.
    #[display("body broke off")]
    BrokenOff,
    /// No session is named where one is needed.
    #[display("no session id")]
    NoSession(Option<Id>),
    /// No such session; not a word about why.
    #[display("unknown session")]
    UnknownSession(Option<Id>),
    /// The event that a stream is to be resumed after is not known in this session.
    #[display("not resumable")]
    NotResumable,
    /// Whoever tells this server something does not tell it well.
    #[display("{_0}")]
    Invalid(&'static str),
    /// Whoever tells this server something has not proved to be allowed to.
    #[display("the secret is wrong")]
    WrongSecret,
    /// A logout token is not believed.
    #[display("{_0}")]
    LogoutRefused(LogoutError),
    /// The protocol's own errors.
    #[display("{}", error.message)]
    Rpc {
        /// From `mcp::status`.
        status: u16,
        /// To answer under.
        id: Option<Id>,
        /// What is wrong.
        error: RpcError,
    },
    /// Our fault.
    #[display("internal error")]
    Internal {
        /// From `mcp::status`.
        status: u16,
        /// To answer under.
        id: Option<Id>,
        /// What went wrong.
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

impl From<AuthError> for HttpError {
    fn from(error: AuthError) -> Self {
        Refused::from(error).into()
    }
}

impl From<ParseError> for HttpError {
    fn from(unreadable: ParseError) -> Self {
        Self::Rpc {
            status: status::of_refused_envelope(&unreadable.error),
            id: unreadable.id,
            error: unreadable.error,
        }
    }
}

impl HttpError {
    /// A session error in answer to a request of that id.
    pub(crate) fn session(error: SessionError, id: Option<Id>) -> Self {
        match error {
            SessionError::Unknown => Self::UnknownSession(id),
            SessionError::Full => Self::Busy(id),
        }
    }

    /// The response. Under `/mcp` its body is a JSON-RPC error, elsewhere a plain one (RFC 6749 §5.2
    /// has the names); both say the same.
    pub(crate) fn respond(self, request: &HttpRequest) -> HttpResponse {
        let trace = trace(request);
        let request_id = trace.request_id;
        if let Self::Forbidden { needed, .. } = self {
            let extensions = request.extensions();
            let principal = extensions.get::<Arc<Principal>>();
            let scopes = &site(request).guard.challenger().scopes;
            let needed = Vec::from_iter(scopes.names(needed)).join(",");
            audit::log(
                Event::ScopeRefused { needed: &needed },
                Origin {
                    trace,
                    principal: principal.map(|principal| &**principal),
                    version: None,
                },
            );
        }
        let face = self.public(request);
        let mut response = HttpResponse::build(
            StatusCode::from_u16(face.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        );
        response.insert_header((CACHE_CONTROL, "no-store"));
        for challenge in &face.challenges {
            response.append_header((WWW_AUTHENTICATE, challenge.as_str()));
        }
        if let Self::Refused(Refusal::Proof(ProofFault::Nonce)) = &self
            && let Some(nonce) = site(request).guard.nonce()
        {
            response.insert_header((DPOP_NONCE.clone(), nonce));
        }
        if matches!(self, Self::WrongSecret) {
            response.insert_header((WWW_AUTHENTICATE, "Basic realm=\"revocations\""));
        }
        if let Some(allow) = face.allow {
            response.insert_header((ALLOW, allow));
        }
        if let Some(wait) = face.retry_after {
            response.insert_header((RETRY_AFTER, wait.as_secs().max(1)));
        }
        if let Self::LimitExceeded(exceeded) = &self {
            response
                .insert_header((RATE_LIMIT_LIMIT.clone(), exceeded.per_minute))
                .insert_header((RATE_LIMIT_REMAINING.clone(), 0))
                .insert_header((RATE_LIMIT_RESET.clone(), exceeded.wait.as_secs()));
        }
        let mut data = json!({
            "error": face.error,
            "error_description": face.description,
        });
        // An unknown session's answer is the same for everybody, to the byte.
        if !matches!(self, Self::UnknownSession(_)) {
            data["request_id"] = request_id.to_string().into();
        }
        let body = if path_of(request) == site(request).endpoint {
            let error = match &self {
                Self::Rpc { error, .. } => error.clone(),
                _ => RpcError::new(face.code, face.description.clone()).with_data(data),
            };
            jsonrpc::failure(self.id(), &error)
        } else {
            data.to_string()
        };
        let mut response = response.content_type("application/json").body(body);
        let cause = match &self {
            Self::Forbidden { needed, .. }
            | Self::Refused(Refusal::InsufficientScope { needed }) => {
                let scopes = &site(request).guard.challenger().scopes;
                format!("needs scope {}", scopes.list(*needed))
            }
            _ => self
                .cause()
                .map_or_else(|| self.to_string(), |cause| format!("{self}: {cause}")),
        };
        let mut told = response.extensions_mut();
        told.insert(LoggedCause(cause));
        told.insert(self.outcome());
        drop(told);
        response
    }

    fn id(&self) -> Option<&Id> {
        match self {
            Self::Busy(id)
            | Self::NoSession(id)
            | Self::UnknownSession(id)
            | Self::Rpc { id, .. }
            | Self::Forbidden { id, .. }
            | Self::Internal { id, .. } => id.as_ref(),
            Self::Unavailable { id, .. } => Some(id),
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
            | Self::UnknownSession(_) => Outcome::Refused,
            Self::Refused(Refusal::InsufficientScope { .. }) | Self::Forbidden { .. } => {
                Outcome::Forbidden
            }
            Self::Refused(_) | Self::WrongSecret => Outcome::Unauthorized,
            Self::IssuerUnavailable { .. } | Self::Unavailable { .. } => Outcome::Unavailable,
            Self::LimitExceeded(_) => Outcome::Limited,
            Self::Busy(_) => Outcome::Busy,
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

pub(super) fn site(request: &HttpRequest) -> &AppState {
    request
        .app_data::<Data<AppState>>()
        .expect("every route has the site")
}
