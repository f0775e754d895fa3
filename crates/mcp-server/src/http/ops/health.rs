//! The readiness of the server.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::web::Bytes;
use futures_util::future::{join_all, join3};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::{sync::Mutex, time::timeout};

use resource_server::{auth::AuthHandle, issuer::Asked, metrics::Label};

/// The timeout of one check.
const LONGEST_CHECK: Duration = Duration::from_secs(3);

/// How long a check waits for the stored revocations, which are usually read within milliseconds of the start.
const RESTORE_PATIENCE: Duration = Duration::from_millis(500);

/// How long a result is reused, so that requests to `/readyz` cannot put load on the database.
const FRESH: Duration = Duration::from_millis(500);

/// The readiness of a server. Clones share the state.
#[derive(Clone)]
pub(crate) struct Health(Arc<Inner>);

/// A check of something that the server depends on.
pub struct HealthCheck {
    /// The member of the body of `/readyz`.
    pub name: &'static str,
    /// The check; it times out after three seconds.
    pub check: Box<dyn Fn() -> HealthFuture + Send + Sync>,
}

/// A check in progress.
pub type HealthFuture = Pin<Box<dyn Future<Output = PartHealth>>>;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartHealth {
    /// It works.
    Ok,
    /// It works at its capacity. The server stays ready: taking it out of rotation would only overload the
    /// others.
    Busy,
    /// It does not work yet, because of work that the start has to do first. The word is for the report.
    Preparing(&'static str),
    /// It does not work.
    Unavailable,
}

impl PartHealth {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Busy => "busy",
            Self::Preparing(what) => what,
            Self::Unavailable => "unavailable",
        }
    }
}

struct Inner {
    checks: Vec<HealthCheck>,
    auth: AuthHandle,
    draining: AtomicBool,
    // Held during the checks, so that concurrent requests wait for their result.
    last: Mutex<Option<(Instant, Found)>>,
}

/// The response to `/readyz`.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) ready: bool,
    pub(crate) body: Bytes,
}

impl Health {
    /// The readiness of a server with these checks and this authentication.
    #[must_use]
    pub(crate) fn new(checks: Vec<HealthCheck>, auth: AuthHandle) -> Self {
        Self(Arc::new(Inner {
            checks,
            auth,
            draining: AtomicBool::new(false),
            last: Mutex::default(),
        }))
    }

    /// From now on the server is not ready, because it shuts down.
    pub(crate) fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Whether the server shuts down.
    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    pub(crate) async fn look(&self) -> Found {
        if self.is_draining() {
            return found(&Report {
                status: Status::Draining,
                outage: Some(Outage::of("The server is stopping")),
                parts: Map::new(),
                issuers: Vec::new(),
            });
        }
        let mut last = self.0.last.lock().await;
        if let Some((at, found)) = &*last
            && at.elapsed() < FRESH
        {
            return found.clone();
        }
        let introspection = async {
            match timeout(LONGEST_CHECK, self.0.auth.ping()).await {
                Ok(Ok(())) => PartHealth::Ok,
                Ok(Err(_)) | Err(_) => PartHealth::Unavailable,
            }
        };
        let checks = self.0.checks.iter().map(|part| async {
            let health = timeout(LONGEST_CHECK, (part.check)()).await;
            (part.name, health.unwrap_or(PartHealth::Unavailable))
        });
        // Reported only until then: afterwards it never changes.
        let revocations = timeout(RESTORE_PATIENCE, self.0.auth.restored());
        let (mut parts, introspection, revocations) =
            join3(join_all(checks), introspection, revocations).await;
        parts.push(("introspection", introspection));
        if revocations.is_err() {
            parts.push(("revocations", PartHealth::Unavailable));
        }
        let unavailable = |health: &PartHealth| *health == PartHealth::Unavailable;
        let preparing = |health: &PartHealth| matches!(health, PartHealth::Preparing(_));
        let answers = !parts
            .iter()
            .any(|(_, health)| unavailable(health) || preparing(health));
        let is_prepared = !parts.iter().any(|(_, health)| preparing(health));
        // Once each has answered, an outage only is informative: cached tokens stay valid while an issuer is down, and
        // another process could not reach it either.
        let auth = &self.0.auth;
        let were_asked = !auth.asks_first() || auth.asked().all(|(_, asked)| asked == Asked::Ok);
        let ready = answers && were_asked;
        let found = found(&Report {
            status: if ready {
                Status::Ready
            } else {
                Status::NotReady
            },
            outage: match (answers, were_asked) {
                (true, true) => None,
                _ if !is_prepared => Some(Outage::of(
                    "A part that every request needs is being prepared",
                )),
                (false, _) => Some(Outage::of(
                    "A part that every request needs does not answer",
                )),
                (true, false) => Some(Outage::of(
                    "An authorization server has not answered since the start",
                )),
            },
            parts: parts
                .into_iter()
                .map(|(name, health)| (name.to_owned(), json!(health.as_str())))
                .collect(),
            issuers: auth
                .circuits()
                .zip(auth.asked())
                .map(|((issuer, circuit), (_, asked))| IssuerReport {
                    issuer,
                    circuit: circuit.as_str(),
                    asked: asked.to_string(),
                })
                .collect(),
        });
        *last = Some((Instant::now(), found.clone()));
        found
    }
}

/// The body of `/readyz`.
#[derive(Serialize)]
struct Report<'a> {
    status: Status,
    #[serde(flatten)]
    outage: Option<Outage>,
    #[serde(flatten)]
    parts: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    issuers: Vec<IssuerReport<'a>>,
}

/// The members of every error body of this server.
#[derive(Serialize)]
struct Outage {
    error: &'static str,
    error_description: &'static str,
}

impl Outage {
    const fn of(error_description: &'static str) -> Self {
        Self {
            error: "temporarily_unavailable",
            error_description,
        }
    }
}

#[derive(Serialize)]
struct IssuerReport<'a> {
    issuer: &'a str,
    circuit: &'static str,
    asked: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ready,
    NotReady,
    Draining,
}

fn found(report: &Report<'_>) -> Found {
    let body = serde_json::to_vec(report).expect("a report is made of names");
    Found {
        ready: report.status == Status::Ready,
        body: body.into(),
    }
}
