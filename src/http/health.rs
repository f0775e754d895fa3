//! How the server is: `/livez`, whether the process answers at all; `/readyz`, whether it can serve.

use std::{
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
use serde::Serialize;
use tokio::{sync::Mutex, time::timeout};

use super::Site;
use crate::{
    auth::AuthHandle,
    domain::journal::JournalError,
    journal::{JournalHandle, Ping},
    metrics::Label,
};

/// How long one part may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a finding is good for: whoever may reach `/readyz` must not have the database asked as often
/// as they like.
const FRESH: Duration = Duration::from_millis(500);

/// Tells how the server is.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    journal: JournalHandle,
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
    /// Of a server with this journal and these issuers.
    #[must_use]
    pub fn new(journal: JournalHandle, auth: AuthHandle) -> Self {
        Self(Arc::new(Inner {
            journal,
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
                journal: None,
                introspection: None,
                issuers: Vec::new(),
            });
        }
        let mut last = self.0.last.lock().await;
        if let Some((at, found)) = &*last
            && at.elapsed() < FRESH
        {
            return found.clone();
        }
        let (journal, auth) = futures_util::future::join(
            timeout(PATIENCE, self.0.journal.ask(Ping)),
            timeout(PATIENCE, self.0.auth.ping()),
        )
        .await;
        let journal = match journal {
            Ok(Ok(())) => Part::Ok,
            // It has all hands full, and is well: whoever takes it for unfit has others drown as well.
            Ok(Err(JournalError::Busy)) => Part::Busy,
            Ok(Err(error)) => {
                log::debug!("the journal is not ready: {error}");
                Part::Unavailable
            }
            Err(_) => Part::Unavailable,
        };
        let introspection = match auth {
            Ok(Ok(())) => Part::Ok,
            Ok(Err(_)) | Err(_) => Part::Unavailable,
        };
        let ready = journal != Part::Unavailable && introspection != Part::Unavailable;
        let found = found(&Report {
            status: if ready {
                Status::Ready
            } else {
                Status::NotReady
            },
            outage: (!ready).then(|| Outage::of("A part that every request needs does not answer")),
            journal: Some(journal),
            introspection: Some(introspection),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection: Option<Part>,
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

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Ok,
    Busy,
    Unavailable,
}

fn found(report: &Report<'_>) -> Found {
    let body = serde_json::to_vec(report).expect("a report is made of names");
    Found {
        ready: report.status == Status::Ready,
        body: body.into(),
    }
}

/// Whether the process answers at all. Nothing that it depends on counts: a restart would not mend that.
pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .content_type("text/plain; charset=utf-8")
        .body(Bytes::from_static(b"OK"))
}

/// Whether requests should be sent here.
pub(super) async fn ready(site: Data<Site>) -> HttpResponse {
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
