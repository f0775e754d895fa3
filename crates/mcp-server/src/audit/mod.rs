//! *Purpose:* the audit log: one line for each security event and each write, with the target `audit`.
//!
//! *Used by:* `http`, `dispatch`.
//!
//! *Invariants:* a line contains only what is defined here and in `docs/LOGGING.md`: no argument, no user
//! content, no token.
//!
//! *Start reading at* `Event` and `AuditLog`; `file.rs` writes lines to a file of their own, in which
//! `chain.rs` shows what was changed.

mod address;
mod chain;
mod file;
mod verify;

use std::{borrow::Cow, fmt, io, net::IpAddr, path::PathBuf, sync::Arc, time::SystemTime};

use log::{
    Level, Record,
    kv::{self, Key, Source, Value, VisitSource},
};

pub use self::{
    address::AddressDetail,
    verify::{AuditFault, Verified, verify},
};
use self::{address::AddressWriter, chain::ChainKey, file::AuditFile};
use crate::{
    features::call_record::{Feature, Outcome},
    metrics::{MetricSource, Text},
    request_context::RequestContext,
    telemetry,
};
use mcp_protocol::version::ProtocolVersion;
use resource_server::{
    bearer::BearerToken,
    principal::Principal,
    printable::printable,
    trace_context::{SpanId, Trace, TraceId},
    validation::Refusal,
};
use secrecy::{ExposeSecret, SecretString};

/// The target of the lines.
const TARGET: &str = "audit";

/// The target of lines about the file.
const FILE_TARGET: &str = "mcp_server::audit";

/// How the audit log is written.
#[derive(Clone, Debug, Default)]
pub struct AuditSettings {
    /// How much of the address of a request is written.
    pub address: AddressDetail,
    /// Makes the hashes of addresses and of the file's chain ones that nobody can compute without it.
    pub key: Option<SecretString>,
    /// A file for the lines, besides the log: see `docs/LOGGING.md`.
    pub file: Option<PathBuf>,
}

/// The audit log of a server. Clones share it.
#[derive(Clone)]
pub(crate) struct AuditLog(Arc<Sink>);

struct Sink {
    address: AddressWriter,
    file: Option<AuditFile>,
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditLog")
    }
}

/// The origin of an event, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    trace: Trace,
    address: IpAddr,
    principal: Option<&'a Principal>,
    version: Option<ProtocolVersion>,
}

impl<'a> Origin<'a> {
    /// A request without a valid token, from this address.
    pub(crate) fn anonymous(trace: Trace, address: IpAddr) -> Self {
        Self {
            trace,
            address,
            principal: None,
            version: None,
        }
    }

    /// An authenticated request.
    pub(crate) fn of(context: &'a RequestContext) -> Self {
        Self {
            principal: Some(&context.principal),
            ..Self::anonymous(context.trace, context.address)
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
        /// What it is about: see [`Event::Write`].
        object: &'a str,
    },
    /// Something was revoked.
    Revocation {
        /// What: `token`, `user`, `client` or `everybody`.
        kind: &'static str,
        /// Which: the beginning of the token's hash, the user's id, the client's id; empty for everybody.
        target: &'a str,
        /// Who revoked it: `issuer`, `revoker` or `operator`.
        by: &'static str,
    },
    /// A revocation was lifted by an operator.
    RevocationLifted {
        /// What it was of, as for a revocation.
        kind: &'static str,
        /// Which: as for a revocation.
        target: &'a str,
    },
    /// The secret of a revocation is wrong.
    RevocationRefused,
    /// A feature that writes was called.
    Write {
        /// The feature.
        feature: &'a Feature,
        /// The outcome.
        outcome: Outcome,
        /// What it is about, by kind and id, with commas between several: `note:7,label:3`. Empty if the
        /// feature did not say.
        object: &'a str,
    },
    /// A feature that only reads said what it is about.
    Read {
        /// The feature.
        feature: &'a Feature,
        /// The outcome.
        outcome: Outcome,
        /// As for a write.
        object: &'a str,
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

impl AuditLog {
    /// Opens the log and, if there is one, its file.
    ///
    /// # Errors
    /// The file cannot be opened, is in use by another process, or is none of the audit log.
    pub(crate) fn open(settings: AuditSettings) -> io::Result<Self> {
        let key = settings.key.as_ref().map(ExposeSecret::expose_secret);
        let chain_key = key.map(|key| ChainKey::new(key.as_bytes()));
        let file = settings.file.map(|path| AuditFile::open(path, chain_key));
        Ok(Self(Arc::new(Sink {
            address: AddressWriter::new(settings.address, key.map(str::as_bytes)),
            file: file.transpose()?,
        })))
    }

    /// A log without a file.
    #[cfg(test)]
    pub(crate) fn of_test() -> Self {
        Self::open(AuditSettings::default()).expect("nothing is opened")
    }

    /// Writes an event.
    pub(crate) fn log(&self, event: Event<'_>, origin: Origin<'_>) {
        let is_logged = log::log_enabled!(target: TARGET, Level::Info);
        if !is_logged && self.0.file.is_none() {
            return;
        }
        let (name, outcome) = words(event);
        let (mut request_id, mut user) = ([0; _], [0; _]);
        let line = Line {
            name,
            outcome,
            request_id: origin.trace.request_id.encode(&mut request_id),
            trace: origin.trace.names(),
            address: self.0.address.written(origin.address),
            details: details(event),
            whose: origin.principal.map(|principal| Whose {
                issuer: printable(&principal.issuer),
                subject: &principal.fingerprint,
                user: principal.user.encode(&mut user),
                client: principal.client.as_deref().map(printable),
            }),
            version: origin.version,
        };
        let message = format_args!("{name} {outcome}");
        let mut record = Record::builder();
        record
            .target(TARGET)
            .level(Level::Info)
            .key_values(&line)
            .args(message);
        if is_logged {
            log::logger().log(&record.build());
        }
        if let Some(file) = &self.0.file {
            let mut text = Vec::with_capacity(512);
            telemetry::put_object(&mut text, SystemTime::now(), &record.build());
            file.put(&text);
        }
    }

    /// Writes what waits to be written to the file.
    pub(crate) fn flush(&self) {
        if let Some(file) = &self.0.file {
            file.write_waiting();
        }
    }
}

impl MetricSource for AuditLog {
    fn write(&self, text: &mut Text) {
        let counts = self.0.file.as_ref().map(AuditFile::counts);
        counts.unwrap_or_default().write(text);
    }
}

/// One line. Texts are borrowed, because every write has a line.
struct Line<'a> {
    name: &'static str,
    outcome: &'static str,
    request_id: &'a str,
    trace: Option<(TraceId, SpanId)>,
    address: String,
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
        object: &'a str,
    },
    Revocation {
        kind: &'static str,
        target: &'a str,
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
        pair("address", self.address.as_str().into())?;
        match &self.details {
            Details::Nothing => {}
            Details::Reason { reason, token } => {
                pair("reason", (*reason).into())?;
                if let Some(token) = token {
                    pair("token", token.as_str().into())?;
                }
            }
            Details::Needed(needed) => pair("needed", (*needed).into())?,
            Details::Feature { kind, name, object } => {
                pair("kind", (*kind).into())?;
                pair("feature", (&**name).into())?;
                if !object.is_empty() {
                    pair("object", (*object).into())?;
                }
            }
            Details::Revocation { kind, target, by } => {
                pair("kind", (*kind).into())?;
                if !target.is_empty() {
                    pair("revoked", (*target).into())?;
                }
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
        Event::Read { outcome, .. } => ("read", outcome.as_str()),
    }
}

fn of_feature<'a>(feature: &'a Feature, object: &'a str) -> Details<'a> {
    Details::Feature {
        kind: feature.kind.as_str(),
        name: printable(&feature.name),
        object,
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
        Event::RequestStateRefused { feature } => of_feature(feature, ""),
        Event::Confirmation {
            feature, object, ..
        }
        | Event::Write {
            feature, object, ..
        }
        | Event::Read {
            feature, object, ..
        } => of_feature(feature, object),
        Event::Revocation { kind, target, by } => Details::Revocation { kind, target, by },
        Event::RevocationLifted { kind, target } => Details::Revocation {
            kind,
            target,
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
        Refusal::OtherUse(_) => "other_use",
        Refusal::SenderConstrained => "sender_constrained",
        Refusal::WrongKey => "wrong_key",
        Refusal::Proof(_) => "proof",
        Refusal::NoSubject => "no_subject",
        Refusal::InsufficientScope { .. } => "too_few_scopes",
    }
}
