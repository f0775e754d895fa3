//! The audit log: one line per security event and per write, on the target `audit`. This module owns
//! the line's shape: what can be in it is listed here and in `docs/LOGGING.md`, and nothing else gets
//! in: no argument, no content, no token.

use std::borrow::Cow;

use log::{
    Level, Record,
    kv::{self, Key, Source, Value, VisitSource},
};

use crate::features::call_record::{Feature, Outcome};
use mcp_protocol::version::ProtocolVersion;
use resource_server::{
    bearer::BearerToken,
    principal::Principal,
    printable::printable,
    trace_context::{SpanId, Trace, TraceId},
    validation::Refusal,
};

/// The target, by which a log filter selects these lines.
const TARGET: &str = "audit";

/// Whose doing it was, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// In which request, and which trace that belongs to.
    pub trace: Trace,
    /// By whom, if the token was good.
    pub principal: Option<&'a Principal>,
    /// In which revision, where that is known.
    pub version: Option<ProtocolVersion>,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The credentials were refused, or there were none.
    TokenRefused {
        /// Why.
        refusal: Refusal,
        /// The token, if there was one; its fingerprint is logged.
        token: Option<&'a BearerToken>,
    },
    /// The token did not reach far enough.
    ScopeRefused {
        /// The names of what was needed, with commas between them.
        needed: &'a str,
    },
    /// `Host` named another server.
    HostRefused,
    /// `Origin` was not on the allow-list.
    OriginRefused,
    /// A session was opened.
    SessionOpened,
    /// A session was closed by its owner.
    SessionClosed,
    /// A session was not found for who named it.
    SessionRefused {
        /// Whether it was there, and somebody else's.
        to_stranger: bool,
    },
    /// A request state was not this server's for this call, or came too late or twice.
    RequestStateRefused {
        /// For a call of what.
        feature: &'a Feature,
    },
    /// A user was asked to confirm something, or answered.
    Confirmation {
        /// For a call of what.
        feature: &'a Feature,
        /// How far it came.
        step: Confirmation,
    },
    /// Somebody was cut off.
    Revocation {
        /// Of which kind: `token`, `user`, `client`, `everybody`. Never by name: whoever it is has not
        /// asked for anything.
        kind: &'static str,
        /// Who said so: `issuer`, `revoker`, `operator`.
        by: &'static str,
    },
    /// Who would have somebody cut off has not the secret.
    RevocationRefused,
    /// Something that writes was called.
    Write {
        /// What.
        feature: &'a Feature,
        /// What it came to.
        outcome: Outcome,
    },
}

/// How far a confirmation came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The question was put.
    Asked,
    /// The answer was yes.
    Given,
    /// The answer was no, or there was none.
    Declined,
    /// As many questions were open as may be, so nobody was asked and nothing was done.
    NotAsked,
    /// The client cannot ask, so nobody was asked.
    Impossible,
}

/// Writes an event into the audit log.
pub fn log(event: Event<'_>, origin: Origin<'_>) {
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

/// One line. What is a text already is borrowed, for every write has one.
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
        Event::Revocation { .. } => ("revocation", "done"),
        Event::RevocationRefused => ("revocation", "refused"),
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
        Refusal::WrongType => "wrong_type",
        Refusal::SenderConstrained => "sender_constrained",
        Refusal::WrongKey => "wrong_key",
        Refusal::Proof(_) => "proof",
        Refusal::NoSubject => "no_subject",
        Refusal::InsufficientScope { .. } => "too_few_scopes",
    }
}
