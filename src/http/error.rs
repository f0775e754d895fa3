//! The one error type that becomes a response.
//!
//! Every variant has two faces: what the client reads, from the fixed words of this file, and the
//! private cause, which the access log writes once under the request id that the response carries.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    body::BoxBody,
    http::{
        StatusCode,
        header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    web::Data,
};
use derive_more::Display;
use serde_json::json;

use super::{
    Site,
    access::{LoggedCause, trace},
    body::{self, Body},
    edge::path_of,
    limits::Exceeded,
};
use crate::{
    audit::{self, Event, Origin},
    auth::{AuthError, LogoutError},
    cause::Cause,
    domain::{principal::Principal, scope::ScopeSet},
    mcp::{
        jsonrpc::{self, Id, RpcError, Unreadable, code},
        status,
    },
    metrics::Outcome,
    oauth::{bearer::Scheme, dpop::ProofFault, judge::Refusal},
    session::SessionError,
};

/// Where a client finds the nonce for its next proof (RFC 9449 §9).
static DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// How long a client should wait where nobody said how long: long enough to matter, short enough
/// not to be noticed by a person.
const RETRY_SOON: Duration = Duration::from_secs(1);

/// How long a client should wait for something that is down.
const RETRY_LATER: Duration = Duration::from_secs(5);

// What is limited, as draft-ietf-httpapi-ratelimit-headers-06 has it: that draft's three fields are
// those that clients know, not the structured one of later drafts. They stand on 429 alone: on other
// answers they would cost more than the limit itself, be wrong from a cache, and tell each client of a
// user how busy the others are.
static RATE_LIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
static RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
static RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Why a request is answered with an error.
#[derive(Debug, Display)]
pub(super) enum HttpError {
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

impl From<AuthError> for HttpError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused(refusal) => Self::Refused(refusal),
            AuthError::Busy => Self::Busy(None),
            AuthError::IssuerDown {
                source,
                retry_after,
            } => Self::IssuerUnavailable {
                retry_after,
                source,
            },
            AuthError::IssuerNonsense { source } => Self::IssuerUnavailable {
                retry_after: None,
                source,
            },
        }
    }
}

impl From<Unreadable> for HttpError {
    fn from(unreadable: Unreadable) -> Self {
        Self::Rpc {
            status: status::of_refused_envelope(&unreadable.error),
            id: unreadable.id,
            error: unreadable.error,
        }
    }
}

impl HttpError {
    /// A session error in answer to a request of that id.
    pub(super) fn session(error: SessionError, id: Option<Id>) -> Self {
        match error {
            SessionError::Unknown => Self::UnknownSession(id),
            SessionError::Full => Self::Busy(id),
        }
    }

    /// The response. Under `/mcp` its body is a JSON-RPC error, elsewhere a plain one (RFC 6749 §5.2
    /// has the names); both say the same.
    pub(super) fn respond(self, request: &HttpRequest) -> HttpResponse {
        let trace = trace(request);
        let request_id = trace.request_id;
        if let Self::Forbidden { needed, .. } = self {
            let extensions = request.extensions();
            let principal = extensions.get::<Arc<Principal>>();
            let scopes = &site(request).challenger.scopes;
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
        let face = self.face(request);
        let mut response = HttpResponse::build(
            StatusCode::from_u16(face.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        );
        response.insert_header((CACHE_CONTROL, "no-store"));
        for challenge in &face.challenges {
            response.append_header((WWW_AUTHENTICATE, challenge.as_str()));
        }
        if let Self::Refused(Refusal::Proof(ProofFault::Nonce)) = &self
            && let Some(nonce) = site(request).nonce()
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
            Self::Forbidden { needed, .. } | Self::Refused(Refusal::TooFewScopes { needed }) => {
                let scopes = &site(request).challenger.scopes;
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

    /// The response to a request whose body was not read to its end. What is left of it is read and
    /// thrown away, so that the client gets to read the answer; if that is too much, the body is kept
    /// until the answer is on its way, which has the connection closed. (A body that is dropped
    /// would be read on for as long as it comes.)
    pub(super) async fn respond_unread(
        self,
        request: &HttpRequest,
        mut rest: impl Body + 'static,
    ) -> HttpResponse {
        body::drain(&mut rest).await;
        self.respond(request)
            .map_body(|_, answer| BoxBody::new(body::Keeping { answer, rest }))
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
            Self::Refused(Refusal::TooFewScopes { .. }) | Self::Forbidden { .. } => {
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

    fn face(&self, request: &HttpRequest) -> Face {
        match self {
            Self::Misdirected => Face::new(
                421,
                "misdirected_request",
                format!(
                    "The Host field names another host; this server is {}",
                    site(request).public_url
                ),
            ),
            Self::ForbiddenOrigin => Face::new(
                403,
                "origin_not_allowed",
                "The Origin field names an origin that is not allowed here",
            ),
            Self::NoSuchPath => Face::new(404, "not_found", "There is nothing at this path"),
            Self::MethodNotAllowed { allow } => Face {
                allow: Some(allow),
                ..Face::new(
                    405,
                    "method_not_allowed",
                    "The method is not allowed here; the Allow field names those that are",
                )
            },
            Self::Refused(refusal) => Face::challenge(*refusal, request),
            Self::Forbidden { needed, .. } => {
                Face::challenge(Refusal::TooFewScopes { needed: *needed }, request)
            }
            Self::IssuerUnavailable { retry_after, .. } => Face {
                retry_after: Some(retry_after.unwrap_or(RETRY_LATER)),
                code: code::INTERNAL_ERROR,
                ..Face::new(
                    503,
                    "temporarily_unavailable",
                    "The access token cannot be checked at the moment; try again with the same token",
                )
            },
            Self::LimitExceeded(exceeded) => Face {
                retry_after: Some(exceeded.wait),
                ..Face::new(429, "too_many_requests", exceeded.description())
            },
            Self::Busy(_) => Face {
                retry_after: Some(RETRY_SOON),
                code: code::INTERNAL_ERROR,
                ..Face::new(
                    503,
                    "temporarily_unavailable",
                    "The server is busy; try again soon",
                )
            },
            Self::Unavailable { message, .. } => Face {
                retry_after: Some(RETRY_LATER),
                code: code::INTERNAL_ERROR,
                ..Face::new(503, "temporarily_unavailable", message.clone())
            },
            Self::UnsupportedMediaType { expected } => Face::new(
                415,
                "unsupported_media_type",
                format!("The body must be {expected}, not encoded"),
            ),
            Self::NotAcceptable => Face::new(
                406,
                "not_acceptable",
                "The Accept field must allow text/event-stream and, for a POST, application/json",
            ),
            Self::TooLarge { longest } => Face::new(
                413,
                "content_too_large",
                format!("The body must not be longer than {}", size(*longest)),
            ),
            Self::TooSlow => Face::new(
                408,
                "request_timeout",
                "The body did not arrive within 30 seconds",
            ),
            Self::BrokenOff => Face::new(400, "invalid_request", "The body broke off"),
            Self::NoSession(_) => Face::new(
                400,
                "session_required",
                "One Mcp-Session-Id field is required; initialize opens a session",
            ),
            Self::UnknownSession(_) => Face::new(
                404,
                "unknown_session",
                "There is no such session; initialize opens one",
            ),
            Self::NotResumable => Face::new(
                400,
                "not_resumable",
                "Last-Event-ID names no event of this session that a stream can be resumed after",
            ),
            Self::Invalid(why) => Face::new(400, "invalid_request", *why),
            // RFC 6749 §5.2.
            Self::WrongSecret => Face::new(
                401,
                "invalid_client",
                "The Authorization field must bring the secret, as Bearer or as the password of Basic",
            ),
            Self::LogoutRefused(why) => Face::new(400, "invalid_request", why.to_string()),
            Self::Rpc { status, error, .. } => Face {
                code: error.code,
                ..Face::new(*status, "invalid_request", error.message.clone())
            },
            Self::Internal { status, .. } => Face {
                code: code::INTERNAL_ERROR,
                ..Face::new(
                    *status,
                    "server_error",
                    "Something went wrong on the server; the request id finds it in the log",
                )
            },
        }
    }
}

fn size(bytes: usize) -> String {
    match bytes / 1_024 {
        kib if kib % 1_024 == 0 => format!("{} MiB", kib / 1_024),
        kib => format!("{kib} KiB"),
    }
}

fn site(request: &HttpRequest) -> &Site {
    request
        .app_data::<Data<Site>>()
        .expect("every route has the site")
}

/// What the client sees.
struct Face {
    status: u16,
    error: &'static str,
    description: String,
    code: i32,
    challenges: Vec<String>,
    allow: Option<&'static str>,
    retry_after: Option<Duration>,
}

impl Face {
    fn new(status: u16, error: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            error,
            description: description.into(),
            code: code::INVALID_REQUEST,
            challenges: Vec::new(),
            allow: None,
            retry_after: None,
        }
    }
    fn challenge(refusal: Refusal, request: &HttpRequest) -> Self {
        let site = site(request);
        let values = request.headers().get_all(AUTHORIZATION);
        let scheme = Scheme::of(values.map(|value| value.as_bytes())).unwrap_or(Scheme::Bearer);
        let challenge = site.challenger.challenge(refusal, scheme);
        Self {
            challenges: challenge.fields().collect(),
            ..Self::new(
                challenge.status,
                challenge.body_error(),
                challenge.description,
            )
        }
    }
}
