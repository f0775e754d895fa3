//! Where Prometheus asks for metrics: on a listener of its own, which knows no caller.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    http::header::CACHE_CONTROL,
    web::{self, Data, ServiceConfig},
};

use crate::metrics::{Gauges, MEDIA_TYPE, Metrics};

/// What there is to tell of a server.
pub struct Scrape {
    /// What it has counted.
    pub metrics: Arc<Metrics>,
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
        .body(scrape.metrics.text(&Gauges::default()))
}
