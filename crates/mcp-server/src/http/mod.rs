//! *Purpose:* the routes, and what happens to a request on its way to a feature: request id, access log, host
//! and origin, authentication, body, and the error type that becomes a response.
//!
//! *Used by:* `server`.
//!
//! *Invariants:* no rule of the protocol (`mcp_protocol`) and none of a resource server (`resource_server`)
//! is decided here; nothing in a response is built from the request's `Host`.
//!
//! *Start reading at* `routes.rs`, then `edge/middleware.rs` (runs for every request) and `mcp/endpoint.rs`.

mod auth;
mod edge;
pub(crate) mod mcp;
mod ops;
mod paths;
mod routes;
mod state;

pub use self::ops::health::{HealthCheck, HealthFuture, PartHealth};
pub(crate) use self::{
    auth::documents::Discovery,
    edge::{body::BodyTimes, origins::HostPolicy},
    ops::{
        health::Health,
        scrape::{Scrape, configure_scrape},
    },
    routes::{configure, configure_operators, configure_well_known},
    state::AppState,
};
