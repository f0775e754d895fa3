//! The audit log: one line per security event and per write, on the target `audit`. This module owns
//! the line's shape: what can be in it is listed here and in `docs/LOGGING.md`, and nothing else gets
//! in: no argument, no title or text, no tag, no token.

use log::{Level, Record};

use crate::{
    domain::{
        activity::{Feature, Outcome},
        principal::Principal,
        printable::Printable,
        scope::ScopeSet,
        trace_context::Trace,
    },
    mcp::version::ProtocolVersion,
    oauth::{bearer::BearerToken, judge::Refusal},
};

/// The target, by which `EPICME_LOG` selects these lines.
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
        /// What was needed, as the challenge names it.
        needed: ScopeSet,
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
    CutOff {
        /// Of which kind: `token`, `user`, `client`, `everybody`. Never by name: whoever it is has not
        /// asked for anything.
        kind: &'static str,
        /// Who said so: `issuer`, `revoker`, `operator`.
        by: &'static str,
    },
    /// Who would have somebody cut off has not the secret.
    CutOffRefused,
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
    let mut pairs = vec![
        ("event", name.to_owned()),
        ("outcome", outcome.to_owned()),
        ("request_id", origin.trace.request_id.to_string()),
    ];
    if let Some(trace_id) = origin.trace.trace_id() {
        pairs.push(("trace_id", trace_id.to_string()));
        pairs.push(("span_id", origin.trace.span_id().to_string()));
    }
    pairs.extend(details(event));
    if let Some(principal) = origin.principal {
        pairs.push(("issuer", printable(&principal.issuer)));
        pairs.push(("subject", principal.fingerprint.clone()));
        pairs.push(("user", principal.user.to_string()));
        pairs.extend(
            principal
                .client
                .as_ref()
                .map(|client| ("client", printable(client))),
        );
    }
    if let Some(version) = origin.version {
        pairs.push(("era", version.era_name().to_owned()));
        pairs.push(("version", version.as_str().to_owned()));
    }
    log::logger().log(
        &Record::builder()
            .target(TARGET)
            .level(Level::Info)
            .key_values(&pairs.as_slice())
            .args(format_args!("{name} {outcome}"))
            .build(),
    );
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
        Event::CutOff { .. } => ("cut_off", "done"),
        Event::CutOffRefused => ("cut_off", "refused"),
        Event::Write { outcome, .. } => ("write", outcome.as_str()),
    }
}

fn details(event: Event<'_>) -> Vec<(&'static str, String)> {
    match event {
        Event::TokenRefused { refusal, token } => {
            let mut details = vec![("reason", reason(refusal).to_owned())];
            details.extend(token.map(|token| ("token", token.fingerprint())));
            details
        }
        // With commas, so that no value has a space in it.
        Event::ScopeRefused { needed } => vec![("needed", needed.to_string().replace(' ', ","))],
        Event::SessionRefused { to_stranger } => {
            let reason = if to_stranger { "stranger" } else { "unknown" };
            vec![("reason", reason.to_owned())]
        }
        Event::RequestStateRefused { feature }
        | Event::Confirmation { feature, .. }
        | Event::Write { feature, .. } => vec![
            ("kind", feature.kind.as_str().to_owned()),
            ("feature", printable(&feature.name)),
        ],
        Event::CutOff { kind, by } => vec![("kind", kind.to_owned()), ("by", by.to_owned())],
        Event::HostRefused
        | Event::OriginRefused
        | Event::SessionOpened
        | Event::SessionClosed
        | Event::CutOffRefused => Vec::new(),
    }
}

fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Missing => "missing",
        Refusal::Malformed(_) => "malformed",
        Refusal::NobodysToken => "nobodys_token",
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
        Refusal::TooFewScopes { .. } => "too_few_scopes",
    }
}

fn printable(name: &str) -> String {
    Printable(name).to_string()
}
