//! **Lives here:** the routes, and everything that happens to a request on its way to a feature:
//! request id, access log, host and origin, authentication, the body, and the one error type that
//! becomes a response; and what others than clients tell this server (`hooks.rs`).
//!
//! **May enter:** `app`.
//!
//! **Never here:** the protocol's law (that is `mcp`), the resource server's law (that is `oauth`), a
//! value of the request's `Host` in a response.
//!
//! **Begin with** [`configure`], which is the whole of the routes, then `edge.rs` (what every request
//! passes) and `endpoint.rs` (`/mcp`).

mod access;
mod authenticate;
mod batch;
mod body;
mod discovery;
mod document;
mod edge;
mod endpoint;
mod error;
mod health;
mod hooks;
mod legacy;
mod limiter;
mod limits;
mod modern;
mod open_stream;
mod proofs;
mod scrape;
mod source;
mod stream;
mod token_watch;
mod whole;

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse, Route,
    middleware::from_fn,
    web::{self, ServiceConfig},
};

use crate::{
    auth::AuthHandle,
    domain::clock::Clock,
    features::dispatch::Dispatcher,
    metrics::Metrics,
    oauth::{challenge::Challenger, metadata, shared_secret::SharedSecret, url::PublicUrl},
    session::{Listeners, Sessions},
};

use self::error::HttpError;
pub use self::{
    discovery::Discovery,
    edge::Doors,
    health::{Health, HealthCheck, PartHealth},
    limits::{Limits, RateLimits},
    proofs::ProofRules,
    scrape::{Scrape, configure_scrape},
};

/// Where load balancers and orchestrators ask how the server is: whether it is there, whether the
/// process lives, whether it can serve.
const HEALTHCHECK: &str = "/healthcheck";
const LIVEZ: &str = "/livez";
const READYZ: &str = "/readyz";

/// Everything that the routes need, shared by all workers.
pub struct Site {
    /// Introspects.
    pub auth: AuthHandle,
    /// Finds legacy sessions; `None` where the legacy era is switched off.
    pub sessions: Option<Sessions>,
    /// Opens the streams on which modern clients are told of changes.
    pub listeners: Listeners,
    /// Begins calls.
    pub dispatcher: Arc<Dispatcher>,
    /// What proves that somebody may be cut off; `None` where nobody may say so.
    pub revocation_secret: Option<SharedSecret>,
    /// Tells how the server is.
    pub health: Health,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Tells a collector of every request, if there is one.
    #[cfg(feature = "otlp")]
    pub spans: Option<crate::otlp::Exporter>,
    /// Tells the time.
    pub clock: Clock,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long an event stream is silent at most.
    pub silence: Duration,
    /// Who may come in from where.
    pub doors: Doors,
    /// How often what may be asked.
    pub limits: Limits,
    /// What is said to those who do not know how to authenticate.
    pub discovery: Discovery,
    /// What proofs of a token's key have to be.
    pub proofs: ProofRules,
    /// What challenges say.
    pub challenger: Challenger,
    /// The path of the MCP endpoint.
    pub endpoint: String,
    /// The path of the protected resource metadata, as clients are told it.
    pub metadata_path: String,
    /// Where clients reach this server.
    pub public_url: PublicUrl,
}

impl Site {
    /// The nonce for the next proof, where one is needed.
    fn nonce(&self) -> Option<String> {
        self.proofs.nonce(self.clock.now())
    }
}

/// The paths under which the protected resource metadata is served. Behind a proxy that takes the public
/// path off, it is found under both.
fn metadata_paths(site: &Site) -> Vec<String> {
    let mut paths = vec![
        format!("{}{}", metadata::ROOT_PATH, site.endpoint),
        metadata::ROOT_PATH.to_owned(),
    ];
    if !paths.contains(&site.metadata_path) {
        paths.push(site.metadata_path.clone());
    }
    paths
}

/// Whether a path is one on which others ask how this server is. They do so by its address, whatever it
/// is called, and often.
fn is_probe(path: &str) -> bool {
    [HEALTHCHECK, LIVEZ, READYZ].contains(&path)
}

/// Whether a path is one on which others tell this server something.
fn is_hook(path: &str) -> bool {
    [
        hooks::BACKCHANNEL_LOGOUT,
        hooks::REVOKED,
        hooks::REVOCATIONS,
        hooks::CUT_OFFS,
    ]
    .contains(&path)
}

/// The MCP endpoint, health, revocation and the page at `/`, and what [`configure_well_known`] has.
pub fn configure(site: &web::Data<Site>) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let site = site.clone();
    move |service| {
        let accepts_revocations = site.revocation_secret.is_some();
        service.app_data(site.clone());
        service.service(
            web::resource(site.endpoint.clone())
                .wrap(from_fn(edge::pass))
                .route(web::post().to(endpoint::post))
                .route(web::get().to(endpoint::get))
                .route(web::delete().to(endpoint::delete))
                .route(web::method(actix_web::http::Method::OPTIONS).to(edge::preflight))
                .default_service(web::to(endpoint::other_method)),
        );
        service.service(
            web::resource(hooks::BACKCHANNEL_LOGOUT)
                .wrap(from_fn(edge::pass))
                .route(web::post().to(hooks::backchannel_logout))
                .default_service(web::to(hooks::other_method)),
        );
        if accepts_revocations {
            service.service(
                web::resource(hooks::REVOKED)
                    .wrap(from_fn(edge::pass))
                    .route(web::post().to(hooks::revoked))
                    .default_service(web::to(hooks::other_method)),
            );
            for path in [hooks::REVOCATIONS, hooks::CUT_OFFS] {
                service.service(
                    web::resource(path)
                        .wrap(from_fn(edge::pass))
                        .route(web::post().to(hooks::cut_off))
                        .default_service(web::to(hooks::other_method)),
                );
            }
        }
        document(service, "/", || web::to(discovery::front_page));
        for path in [HEALTHCHECK, LIVEZ] {
            document(service, path, || web::to(health::alive));
        }
        document(service, READYZ, || web::to(health::ready));
        well_known(service, &site);
        service.default_service(web::to(nothing_here).wrap(from_fn(edge::pass)));
    }
}

/// The documents that clients look for at the root of the host, whatever the path of the server.
pub fn configure_well_known(site: &web::Data<Site>) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let site = site.clone();
    move |service| {
        service.app_data(site.clone());
        well_known(service, &site);
    }
}

fn well_known(service: &mut ServiceConfig, site: &Site) {
    for path in metadata_paths(site) {
        document(service, &path, || web::to(discovery::protected_resource));
    }
    document(service, "/.well-known/oauth-authorization-server", || {
        web::to(discovery::authorization_server)
    });
}

/// A document that is read by GET and HEAD.
fn document(service: &mut ServiceConfig, path: &str, read: impl Fn() -> Route) {
    service.service(
        web::resource(path)
            .wrap(from_fn(edge::pass))
            .route(read().method(actix_web::http::Method::GET))
            .route(read().method(actix_web::http::Method::HEAD))
            .route(web::method(actix_web::http::Method::OPTIONS).to(edge::preflight))
            .default_service(web::to(discovery::other_method)),
    );
}

async fn nothing_here(request: HttpRequest, body: web::Payload) -> HttpResponse {
    HttpError::NoSuchPath.respond_unread(&request, body).await
}
