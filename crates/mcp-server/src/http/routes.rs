//! The routes.

use actix_web::{
    HttpRequest, HttpResponse, Route,
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use resource_server::metadata;

use super::{
    auth::{discovery, revocation_endpoints},
    edge::{error::HttpError, middleware},
    mcp::endpoint,
    ops::health,
    paths::{
        BACKCHANNEL_LOGOUT, FORMER_REVOCATIONS, HEALTHCHECK, LIVEZ, READYZ, REVOCATIONS, REVOKED,
    },
    state::AppState,
};

/// The paths under which the protected resource metadata is served. Behind a proxy that takes the public
/// path off, it is found under both.
fn metadata_paths(site: &AppState) -> Vec<String> {
    let mut paths = vec![
        format!("{}{}", metadata::ROOT_PATH, site.endpoint),
        metadata::ROOT_PATH.to_owned(),
    ];
    if !paths.contains(&site.metadata_path) {
        paths.push(site.metadata_path.clone());
    }
    paths
}

/// The MCP endpoint, health, revocation and the page at `/`, and what [`configure_well_known`] has.
pub fn configure(site: &web::Data<AppState>) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let site = site.clone();
    move |service| {
        let accepts_revocations = site.revocation_secret.is_some();
        service.app_data(site.clone());
        service.app_data(site.guard.auth().start_worker());
        service.service(
            web::resource(site.endpoint.clone())
                .wrap(from_fn(middleware::pass))
                .route(web::post().to(endpoint::post))
                .route(web::get().to(endpoint::get))
                .route(web::delete().to(endpoint::delete))
                .route(web::method(actix_web::http::Method::OPTIONS).to(middleware::preflight))
                .default_service(web::to(endpoint::other_method)),
        );
        service.service(
            web::resource(BACKCHANNEL_LOGOUT)
                .wrap(from_fn(middleware::pass))
                .route(web::post().to(revocation_endpoints::backchannel_logout))
                .default_service(web::to(revocation_endpoints::other_method)),
        );
        if accepts_revocations {
            service.service(
                web::resource(REVOKED)
                    .wrap(from_fn(middleware::pass))
                    .route(web::post().to(revocation_endpoints::revoked))
                    .default_service(web::to(revocation_endpoints::other_method)),
            );
            for path in [REVOCATIONS, FORMER_REVOCATIONS] {
                service.service(
                    web::resource(path)
                        .wrap(from_fn(middleware::pass))
                        .route(web::post().to(revocation_endpoints::revocation))
                        .default_service(web::to(revocation_endpoints::other_method)),
                );
            }
        }
        document(service, "/", || web::to(discovery::front_page));
        for path in [HEALTHCHECK, LIVEZ] {
            document(service, path, || web::to(health::alive));
        }
        document(service, READYZ, || web::to(health::ready));
        well_known(service, &site);
        service.default_service(web::to(nothing_here).wrap(from_fn(middleware::pass)));
    }
}

/// The documents that clients look for at the root of the host, whatever the path of the server.
pub fn configure_well_known(site: &web::Data<AppState>) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let site = site.clone();
    move |service| {
        service.app_data(site.clone());
        well_known(service, &site);
    }
}

fn well_known(service: &mut ServiceConfig, site: &AppState) {
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
            .wrap(from_fn(middleware::pass))
            .route(read().method(actix_web::http::Method::GET))
            .route(read().method(actix_web::http::Method::HEAD))
            .route(web::method(actix_web::http::Method::OPTIONS).to(middleware::preflight))
            .default_service(web::to(discovery::other_method)),
    );
}

async fn nothing_here(request: HttpRequest, body: web::Payload) -> HttpResponse {
    HttpError::NoSuchPath.respond_unread(&request, body).await
}
