//! The routes `/livez` and `/readyz`.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::CACHE_CONTROL},
    web::{Bytes, Data},
};

use crate::http::state::AppState;

/// `/livez`: the process responds. Dependencies do not count, because a restart would not fix them.
pub(crate) async fn alive() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .content_type("text/plain; charset=utf-8")
        .body(Bytes::from_static(b"OK"))
}

/// `/readyz`: requests can be served.
pub(crate) async fn ready(state: Data<AppState>) -> HttpResponse {
    let found = state.health.look().await;
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
