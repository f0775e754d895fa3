//! How the server is: `/livez`, whether the process answers at all; `/readyz`, whether it can serve.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::CACHE_CONTROL},
    web::{Bytes, Data},
};
use futures_util::future::{join, join_all};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::{sync::Mutex, time::timeout};

use crate::http::state::AppState;
use resource_server::{auth::AuthHandle, metrics::Label};

/// How long one part may take to answer.
const LONGEST_CHECK: Duration = Duration::from_secs(3);

/// How long a finding is good for: whoever may reach `/readyz` must not have the database asked as often
/// as they like.
const FRESH: Duration = Duration::from_millis(500);

/// Tells how the server is. Clones tell of the same one.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

/// A part of a server that has to work for the server to be ready.
pub struct HealthCheck {
    /// The part's name in the answer of `/readyz`.
    pub name: &'static str,
    /// Finds out how the part is; it may take three seconds.
    pub check: Box<dyn Fn() -> HealthFuture + Send + Sync>,
}

/// A part being asked how it is.
pub type HealthFuture = Pin<Box<dyn Future<Output = PartHealth>>>;

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartHealth {
    /// It works.
    Ok,
    /// It works at the limit of what it can do. That is not unhealthy: taking the server out of rotation
    /// would only overload the others.
    Busy,
    /// It does not work.
    Unavailable,
}

struct Inner {
    checks: Vec<HealthCheck>,
    auth: AuthHandle,
    draining: AtomicBool,
    // Held while one asks, so that the others wait for what it finds.
    last: Mutex<Option<(Instant, Found)>>,
}

/// What was found.
#[derive(Clone)]
struct Found {
    ready: bool,
    body: Bytes,
}

impl Health {
    /// The health of a server of these parts, which introspects by this handle.
    #[must_use]
    pub fn new(checks: Vec<HealthCheck>, auth: AuthHandle) -> Self {
        Self(Arc::new(Inner {
            checks,
            auth,
            draining: AtomicBool::new(false),
            last: Mutex::default(),
        }))
    }

    /// From now on the server is not ready: it is about to stop.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    async fn look(&self) -> Found {
        if self.0.draining.load(Ordering::Acquire) {
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
        let (mut parts, introspection) = join(join_all(checks), introspection).await;
        parts.push(("introspection", introspection));
        let ready = parts
            .iter()
            .all(|(_, health)| *health != PartHealth::Unavailable);
        let found = found(&Report {
            status: if ready {
                Status::Ready
            } else {
                Status::NotReady
            },
            outage: (!ready).then(|| Outage::of("A part that every request needs does not answer")),
            parts: parts
                .into_iter()
                .map(|(name, health)| (name.to_owned(), json!(health)))
                .collect(),
            // Shown, and not counted: known tokens go on while an issuer is down, and another process
            // would do no better.
            issuers: self
                .0
                .auth
                .circuits()
                .map(|(issuer, circuit)| IssuerReport {
                    issuer,
                    circuit: circuit.as_str(),
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

/// What every error body of this server has.
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

/// Whether the process answers at all. Nothing that it depends on counts: a restart would not mend that.
pub(crate) async fn alive() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .content_type("text/plain; charset=utf-8")
        .body(Bytes::from_static(b"OK"))
}

/// Whether requests should be sent here.
pub(crate) async fn ready(site: Data<AppState>) -> HttpResponse {
    let found = site.health.look().await;
    let status = if found.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    HttpResponse::build(status)
        .insert_header((CACHE_CONTROL, "no-store"))
        .content_type("application/json")
        .body(found.body)
}
