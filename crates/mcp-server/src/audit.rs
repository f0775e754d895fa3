//! *Purpose:* the audit log: one line for each security event and each write, with the target `audit`.
//!
//! *Used by:* `http`, `dispatch`.
//!
//! *Invariants:* a line contains only what is defined here and in `docs/LOGGING.md`: no argument, no user
//! content, no token.
//!
//! *Start reading at* [`Event`] and [`log`](fn@log).

use std::borrow::Cow;

use log::{
    Level, Record,
    kv::{self, Key, Source, Value, VisitSource},
};

use crate::{
    features::call_record::{Feature, Outcome},
    request_context::RequestContext,
};
use mcp_protocol::version::ProtocolVersion;
use resource_server::{
    bearer::BearerToken,
    principal::Principal,
    printable::printable,
    trace_context::{SpanId, Trace, TraceId},
    validation::Refusal,
};

/// The target of the lines.
const TARGET: &str = "audit";

/// The origin of an event, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    trace: Trace,
    principal: Option<&'a Principal>,
    version: Option<ProtocolVersion>,
}

impl<'a> Origin<'a> {
    /// A request without a valid token.
    pub(crate) fn anonymous(trace: Trace) -> Self {
        Self {
            trace,
            principal: None,
            version: None,
        }
    }

    /// An authenticated request.
    pub(crate) fn of(context: &'a RequestContext) -> Self {
        Self {
            principal: Some(&context.principal),
            ..Self::anonymous(context.trace)
        }
    }

    /// With the revision that the client speaks.
    pub(crate) fn speaking(self, version: ProtocolVersion) -> Self {
        Self {
            version: Some(version),
            ..self
        }
    }
}

/// An event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'a> {
    /// The credentials are missing or invalid.
    TokenRefused {
        /// The reason.
        refusal: Refusal,
        /// The token, if any; only its fingerprint is logged.
        token: Option<&'a BearerToken>,
    },
    /// The token lacks a scope.
    ScopeRefused {
        /// The names of the needed scopes, separated by commas.
        needed: &'a str,
    },
    /// `Host` named another server.
    HostRefused,
    /// `Origin` is not allowed.
    OriginRefused,
    /// A session was opened.
    SessionOpened,
    /// A session was closed by its owner.
    SessionClosed,
    /// A session was not found for its caller.
    SessionRefused {
        /// Whether it exists but belongs to somebody else.
        to_stranger: bool,
    },
    /// A `requestState` is invalid, expired or was used.
    RequestStateRefused {
        /// The feature of the call.
        feature: &'a Feature,
    },
    /// A user was asked to confirm something, or responded.
    Confirmation {
        /// The feature of the call.
        feature: &'a Feature,
        /// The step of the confirmation.
        step: Confirmation,
    },
    /// Something was revoked.
    Revocation {
        /// What: `token`, `user`, `client` or `everybody`. Never a name.
        kind: &'static str,
        /// Who revoked it: `issuer`, `revoker` or `operator`.
        by: &'static str,
    },
    /// A revocation was lifted by an operator.
    RevocationLifted {
        /// What it was of, as for a revocation.
        kind: &'static str,
    },
    /// The secret of a revocation is wrong.
    RevocationRefused,
    /// A feature that writes was called.
    Write {
        /// The feature.
        feature: &'a Feature,
        /// The outcome.
        outcome: Outcome,
    },
}

/// The step of a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmation {
    /// The user was asked.
    Asked,
    /// The user confirmed.
    Given,
    /// The user declined or did not respond.
    Declined,
    /// Too many requests are pending, so the user was not asked and nothing was done.
    NotAsked,
    /// The client does not support elicitation, so the user was not asked.
    Impossible,
}

/// Writes an event to the audit log.
pub(crate) fn log(event: Event<'_>, origin: Origin<'_>) {
    if !log::log_enabled!(target: TARGET, Level::Info) {
        return;
    }
    let (name, outcome) = words(event);
    let (mut request_id, mut user) = ([0; _], [0; _]);
    let line = Line {
        name,
        outcome,
        request_id: origin.trace.request_id.encode(&mut request_id),
        trace: origin.trace.names(),
        details: details(event),
        whose: origin.principal.map(|principal| Whose {
            issuer: printable(&principal.issuer),
            subject: &principal.fingerprint,
            user: principal.user.encode(&mut user),
            client: principal.client.as_deref().map(printable),
        }),
        version: origin.version,
    };
    log::logger().log(
        &Record::builder()
            .target(TARGET)
            .level(Level::Info)
            .key_values(&line)
            .args(format_args!("{name} {outcome}"))
            .build(),
    );
}

/// One line. Texts are borrowed, because every write has a line.
struct Line<'a> {
    name: &'static str,
    outcome: &'static str,
    request_id: &'a str,
    trace: Option<(TraceId, SpanId)>,
    details: Details<'a>,
    whose: Option<Whose<'a>>,
    version: Option<ProtocolVersion>,
}

struct Whose<'a> {
    issuer: Cow<'a, str>,
    subject: &'a str,
    user: &'a str,
    client: Option<Cow<'a, str>>,
}

enum Details<'a> {
    Nothing,
    Reason {
        reason: &'static str,
        token: Option<String>,
    },
    Needed(&'a str),
    Feature {
        kind: &'static str,
        name: Cow<'a, str>,
    },
    Revocation {
        kind: &'static str,
        by: &'static str,
    },
}

impl Source for Line<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        let mut pair = |key: &'static str, value: Value<'kvs>| {
            // In this order, which is that of `docs/LOGGING.md`.
            visitor.visit_pair(Key::from_str(key), value)
        };
        pair("event", self.name.into())?;
        pair("outcome", self.outcome.into())?;
        pair("request_id", self.request_id.into())?;
        if let Some((trace_id, span_id)) = &self.trace {
            pair("trace_id", Value::from_dyn_display(trace_id))?;
            pair("span_id", Value::from_dyn_display(span_id))?;
        }
        match &self.details {
            Details::Nothing => {}
            Details::Reason { reason, token } => {
                pair("reason", (*reason).into())?;
                if let Some(token) = token {
                    pair("token", token.as_str().into())?;
                }
            }
            Details::Needed(needed) => pair("needed", (*needed).into())?,
            Details::Feature { kind, name } => {
                pair("kind", (*kind).into())?;
                pair("feature", (&**name).into())?;
            }
            Details::Revocation { kind, by } => {
                pair("kind", (*kind).into())?;
                pair("by", (*by).into())?;
            }
        }
        if let Some(whose) = &self.whose {
            pair("issuer", (&*whose.issuer).into())?;
            pair("subject", whose.subject.into())?;
            pair("user", whose.user.into())?;
            if let Some(client) = &whose.client {
                pair("client", (&**client).into())?;
            }
        }
        if let Some(version) = self.version {
            pair("era", version.era_name().into())?;
            pair("version", version.as_str().into())?;
        }
        Ok(())
    }
}

fn words(event: Event<'_>) -> (&'static str, &'static str) {
    match event {
        Event::TokenRefused { .. } => ("token", "refused"),
        Event::ScopeRefused { .. } => ("scope", "refused"),
        Event::HostRefused => ("host", "refused"),
        Event::OriginRefused => ("origin", "refused"),
        Event::SessionOpened => ("session", "opened"),
        Event::SessionClosed => ("session", "closed"),
        Event::SessionRefused { .. } => ("session", "refused"),
        Event::RequestStateRefused { .. } => ("request_state", "refused"),
        Event::Confirmation { step, .. } => (
            "confirmation",
            match step {
                Confirmation::Asked => "asked",
                Confirmation::Given => "given",
                Confirmation::Declined => "declined",
                Confirmation::NotAsked => "not_asked",
                Confirmation::Impossible => "impossible",
            },
        ),
        Event::Revocation { .. } => ("cut_off", "done"),
        Event::RevocationLifted { .. } => ("cut_off", "lifted"),
        Event::RevocationRefused => ("cut_off", "refused"),
        Event::Write { outcome, .. } => ("write", outcome.as_str()),
    }
}

fn details(event: Event<'_>) -> Details<'_> {
    match event {
        Event::TokenRefused { refusal, token } => Details::Reason {
            reason: reason(refusal),
            token: token.map(BearerToken::fingerprint),
        },
        Event::ScopeRefused { needed } => Details::Needed(needed),
        Event::SessionRefused { to_stranger } => Details::Reason {
            reason: if to_stranger { "stranger" } else { "unknown" },
            token: None,
        },
        Event::RequestStateRefused { feature }
        | Event::Confirmation { feature, .. }
        | Event::Write { feature, .. } => Details::Feature {
            kind: feature.kind.as_str(),
            name: printable(&feature.name),
        },
        Event::Revocation { kind, by } => Details::Revocation { kind, by },
        Event::RevocationLifted { kind } => Details::Revocation {
            kind,
            by: "operator",
        },
        Event::HostRefused
        | Event::OriginRefused
        | Event::SessionOpened
        | Event::SessionClosed
        | Event::RevocationRefused => Details::Nothing,
    }
}

fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Missing => "missing",
        Refusal::Malformed(_) => "malformed",
        Refusal::UnknownIssuer => "nobodys_token",
        Refusal::Inactive => "inactive",
        Refusal::Expired => "expired",
        Refusal::NotYetValid => "not_yet_valid",
        Refusal::Unverified(_) => "unverified",
        Refusal::Incomplete(_) => "incomplete",
        Refusal::WrongIssuer => "wrong_issuer",
        Refusal::WrongAudience => "wrong_audience",
        Refusal::Contradicted(_) => "contradicted",
        Refusal::WrongType => "wrong_type",
        Refusal::SenderConstrained => "sender_constrained",
        Refusal::WrongKey => "wrong_key",
        Refusal::Proof(_) => "proof",
        Refusal::NoSubject => "no_subject",
        Refusal::InsufficientScope { .. } => "too_few_scopes",
    }
}
