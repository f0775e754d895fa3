//! `/metrics` for Prometheus, on a listener of its own without authentication.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    body::BoxBody,
    http::header::CACHE_CONTROL,
    web::{self, Data, ServiceConfig},
};

use crate::http::{edge::body::BodyWithGuard, state::AppState};
use crate::{
    budgets::{Budgets, Use},
    metrics::{Gate, MEDIA_TYPE, MetricSource, Metrics, StreamKind},
    session::Sessions,
};
use resource_server::{
    auth::AuthHandle,
    metrics::{CircuitState, Label, Text},
};

/// The sources of `/metrics`.
pub(crate) struct Scrape {
    /// The counters of the server.
    pub metrics: Arc<Metrics>,
    /// Gates and circuits.
    pub auth: AuthHandle,
    /// Further sources.
    pub sources: Vec<Arc<dyn MetricSource>>,
    /// The budgets of memory.
    pub budgets: Arc<Budgets>,
    /// The number of sessions.
    pub sessions: Option<Sessions>,
}

/// The route of the metrics listener.
pub(crate) fn configure_scrape(scrape: &Data<Scrape>) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let scrape = scrape.clone();
    move |service| {
        service
            .app_data(scrape)
            .route("/metrics", web::get().to(metrics));
    }
}

async fn metrics(scrape: Data<Scrape>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .content_type(MEDIA_TYPE)
        .body(scrape.text())
}

impl Scrape {
    fn text(&self) -> String {
        let sessions = OpenSessions(self.sessions.as_ref());
        let own: [&dyn MetricSource; 3] = [&sessions, &self.auth, &*self.budgets];
        let others = self.sources.iter().map(|source| &**source);
        self.metrics
            .text(&Vec::from_iter(own.into_iter().chain(others)))
    }
}

struct OpenSessions<'a>(Option<&'a Sessions>);

impl MetricSource for OpenSessions<'_> {
    fn write(&self, text: &mut Text) {
        let name = "sessions_open";
        text.family(name, "gauge", "Legacy sessions that are open.");
        text.sample(name, &[], self.0.map_or(0, Sessions::open_sessions));
    }
}

impl MetricSource for Budgets {
    fn write(&self, text: &mut Text) {
        let name = "memory_used_bytes";
        let help = "Memory that clients make the server use.";
        text.family(name, "gauge", help);
        for of in Use::ALL {
            text.sample(name, &[("use", of.as_str())], self.usage(of).0);
        }
        let name = "memory_limit_bytes";
        text.family(name, "gauge", "How much of it there may be.");
        for of in Use::ALL {
            text.sample(name, &[("use", of.as_str())], self.usage(of).1);
        }
    }
}

impl MetricSource for AuthHandle {
    fn gates(&self) -> Vec<Gate> {
        let gates = self.gates().into_iter();
        gates
            .map(|(name, depth, capacity)| Gate {
                name,
                depth,
                capacity,
            })
            .collect()
    }

    fn write(&self, text: &mut Text) {
        let name = "issuer_circuit_state";
        let help = "1 at the state that an authorization server is in, 0 at the others.";
        text.family(name, "gauge", help);
        for (issuer, now) in self.circuits() {
            for state in CircuitState::ALL {
                let labels = [("issuer", issuer), ("state", state.as_str())];
                text.sample(name, &labels, u8::from(*state == now));
            }
        }
    }
}

/// A response whose stream is counted while it is open. `held` is dropped with it.
pub(crate) fn counted(
    response: HttpResponse,
    kind: StreamKind,
    held: impl Unpin + 'static,
    state: &AppState,
) -> HttpResponse {
    let guard = (state.metrics.open_stream(kind), held);
    response.map_body(|_, body| BoxBody::new(BodyWithGuard { body, guard }))
}
