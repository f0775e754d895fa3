//! The routes.

use actix_web::{
    HttpRequest, HttpResponse, Resource, Route,
    guard::{GuardContext, fn_guard},
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use resource_server::metadata;

use super::{
    auth::{discovery, revocation_endpoints},
    edge::{
        error::HttpError,
        middleware::{self, OperatorsListener},
    },
    mcp::endpoint,
    ops::probes,
    paths::{
        BACKCHANNEL_LOGOUT, FORMER_REVOCATIONS, HEALTHCHECK, LIVEZ, READYZ, REVOCATIONS, REVOKED,
    },
    state::AppState,
};

/// The paths of the protected resource metadata: with and without the path of the public URL, which a proxy
/// may strip.
fn metadata_paths(state: &AppState) -> Vec<String> {
    let of_endpoint = state.endpoint_paths().into_iter();
    let mut paths: Vec<_> = of_endpoint
        .map(|path| format!("{}{path}", metadata::ROOT_PATH))
        .collect();
    paths.push(metadata::ROOT_PATH.to_owned());
    for path in [
        state.metadata_path.clone(),
        format!("{}/", state.metadata_path),
    ] {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// The MCP endpoint, health, revocation, the page at `/`, and the routes of [`configure_well_known`].
pub(crate) fn configure(state: &web::Data<AppState>) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let state = state.clone();
    move |service| {
        service.app_data(state.clone());
        service.app_data(state.guard.auth().start_worker());
        // One resource each: actix matches a list of paths by regular expressions.
        for path in state.endpoint_paths() {
            service.service(
                web::resource(path)
                    .wrap(from_fn(middleware::run))
                    .route(web::post().to(endpoint::post))
                    .route(web::get().to(endpoint::get))
                    .route(web::head().to(endpoint::head))
                    .route(web::delete().to(endpoint::delete))
                    .route(web::method(actix_web::http::Method::OPTIONS).to(middleware::preflight))
                    .default_service(web::to(endpoint::other_method)),
            );
        }
        service.service(
            web::resource(BACKCHANNEL_LOGOUT)
                .wrap(from_fn(middleware::run))
                .route(web::post().to(revocation_endpoints::backchannel_logout))
                .default_service(web::to(revocation_endpoints::other_method)),
        );
        if !state.operators_are_apart {
            operators(service, &state);
        }
        document(service, "/", || web::to(discovery::front_page));
        for path in [HEALTHCHECK, LIVEZ] {
            document(service, path, || web::to(probes::alive));
        }
        document(service, READYZ, || web::to(probes::ready));
        well_known(service, &state);
        service.default_service(web::to(nothing_here).wrap(from_fn(middleware::run)));
    }
}

/// The endpoints of operators, for a listener of their own.
pub(crate) fn configure_operators(
    state: &web::Data<AppState>,
) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let state = state.clone();
    move |service| {
        service.app_data(state.clone());
        service.app_data(OperatorsListener);
        operators(service, &state);
        service.default_service(web::to(nothing_here).wrap(from_fn(middleware::run)));
    }
}

/// The endpoints that need the secret.
fn operators(service: &mut ServiceConfig, state: &AppState) {
    if state.revocation_secret.is_none() {
        return;
    }
    service.service(
        spelled_out(REVOKED)
            .route(web::post().to(revocation_endpoints::revoked))
            .default_service(web::to(revocation_endpoints::other_method))
            .wrap(from_fn(middleware::run)),
    );
    service.service(
        spelled_out(REVOCATIONS)
            .route(web::post().to(revocation_endpoints::revocation))
            .route(web::get().to(revocation_endpoints::revocations))
            .default_service(web::to(revocation_endpoints::other_method_of_revocations))
            .wrap(from_fn(middleware::run)),
    );
    service.service(
        spelled_out(FORMER_REVOCATIONS)
            .route(web::post().to(revocation_endpoints::revocation))
            .default_service(web::to(revocation_endpoints::other_method))
            .wrap(from_fn(middleware::run)),
    );
}

/// A path that exists in this spelling alone. actix-web decodes a path before it looks for its route, so that
/// `/%61dmin` would pass a proxy that keeps `/admin` from the public by its spelling.
fn spelled_out(path: &'static str) -> Resource {
    let is_exact = move |context: &GuardContext<'_>| context.head().uri.path().ends_with(path);
    web::resource(path).guard(fn_guard(is_exact))
}

/// The documents that clients look for at the root of the host.
pub(crate) fn configure_well_known(
    state: &web::Data<AppState>,
) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let state = state.clone();
    move |service| {
        service.app_data(state.clone());
        well_known(service, &state);
    }
}

fn well_known(service: &mut ServiceConfig, state: &AppState) {
    for path in metadata_paths(state) {
        document(service, &path, || web::to(discovery::protected_resource));
    }
    document(service, "/.well-known/oauth-authorization-server", || {
        web::to(discovery::authorization_server)
    });
}

/// A document for GET and HEAD.
fn document(service: &mut ServiceConfig, path: &str, read: impl Fn() -> Route) {
    service.service(
        web::resource(path)
            .wrap(from_fn(middleware::run))
            .route(read().method(actix_web::http::Method::GET))
            .route(read().method(actix_web::http::Method::HEAD))
            .route(web::method(actix_web::http::Method::OPTIONS).to(middleware::preflight))
            .default_service(web::to(discovery::other_method)),
    );
}

async fn nothing_here(request: HttpRequest, body: web::Payload) -> HttpResponse {
    HttpError::NoSuchPath.respond_unread(&request, body).await
}
