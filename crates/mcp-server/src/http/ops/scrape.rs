//! Where Prometheus asks for metrics: on a listener of its own, which knows no caller.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    body::BoxBody,
    http::header::CACHE_CONTROL,
    web::{self, Data, ServiceConfig},
};

use crate::http::{edge::body::Keeping, state::AppState};
use crate::{
    metrics::{Gate, MEDIA_TYPE, MetricSource, Metrics, StreamKind},
    session::Sessions,
};
use resource_server::{
    auth::AuthHandle,
    metrics::{CircuitState, Label, Text},
};

/// What there is to tell of a server.
pub struct Scrape {
    /// What it has counted.
    pub metrics: Arc<Metrics>,
    /// Has gates and circuits.
    pub auth: AuthHandle,
    /// What other parts have to add.
    pub sources: Vec<Arc<dyn MetricSource>>,
    /// Has sessions.
    pub sessions: Option<Sessions>,
}

/// The one route of the listener for metrics.
pub fn configure_scrape(scrape: &Data<Scrape>) -> impl FnOnce(&mut ServiceConfig) + use<> {
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
        let own: [&dyn MetricSource; 2] = [&sessions, &self.auth];
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

/// A response whose stream is counted for as long as it is open.
pub(crate) fn counted(response: HttpResponse, kind: StreamKind, site: &AppState) -> HttpResponse {
    let rest = site.metrics.open_stream(kind);
    response.map_body(|_, answer| BoxBody::new(Keeping { answer, rest }))
}
