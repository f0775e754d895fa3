//! Where Prometheus asks for metrics: on a listener of its own, which knows no caller.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    body::BoxBody,
    http::header::CACHE_CONTROL,
    web::{self, Data, ServiceConfig},
};

use super::{Site, body::Keeping};
use crate::{
    auth::AuthHandle,
    journal::JournalHandle,
    metrics::{ConnectionState, Gate, Gauges, MEDIA_TYPE, Metrics, StreamKind},
    session::Sessions,
};

/// What there is to tell of a server.
pub struct Scrape {
    /// What it has counted.
    pub metrics: Arc<Metrics>,
    /// Has gates and circuits.
    pub auth: AuthHandle,
    /// Has a gate and connections.
    pub journal: JournalHandle,
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
        .body(scrape.metrics.text(&scrape.gauges()))
}

impl Scrape {
    fn gauges(&self) -> Gauges {
        let journal = &self.journal;
        let (idle, busy) = journal.connections();
        let gates = self.auth.gates().into_iter();
        let circuits = self.auth.circuits();
        Gauges {
            sessions: self.sessions.as_ref().map_or(0, Sessions::open_sessions),
            gates: gates
                .chain([(Gate::Journal, journal.under_way(), journal.places())])
                .collect(),
            connections: vec![(ConnectionState::Idle, idle), (ConnectionState::Busy, busy)],
            circuits: circuits
                .map(|(issuer, state)| (issuer.to_owned(), state))
                .collect(),
        }
    }
}

/// A response whose stream is counted for as long as it is open.
pub(super) fn counted(response: HttpResponse, kind: StreamKind, site: &Site) -> HttpResponse {
    let rest = site.metrics.open_stream(kind);
    response.map_body(|_, answer| BoxBody::new(Keeping { answer, rest }))
}
