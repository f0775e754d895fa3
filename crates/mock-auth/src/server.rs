//! The server: its routes, its start and its stop.

use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, TcpListener},
    thread,
};

use actix_web::{
    App, HttpServer, Resource, Route,
    dev::ServerHandle,
    guard,
    http::{StatusCode, header},
    middleware::from_fn,
    web,
};
use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{oneshot, watch};

use crate::{
    admin, answer, client_document, consent,
    details::Details,
    dev_endpoints, device,
    faults::Faults,
    grants::Grant,
    introspection,
    keeper::Keeper,
    metadata, middleware, pages,
    params::LONGEST,
    paths, register,
    settings::{IntrospectionClient, Settings, TokenFormat, TokenGrant},
    state::State,
    token, user,
};

/// Every path of the server.
fn routes(config: &mut web::ServiceConfig) {
    config
        .service(at("/", "GET, HEAD").route(read().to(pages::index)))
        .service(at("/healthcheck", "GET, HEAD").route(read().to(pages::healthcheck)))
        .service(at(paths::OAUTH_METADATA, "GET, HEAD, OPTIONS").route(read().to(metadata::oauth)))
        .service(
            at(paths::OPENID_METADATA, "GET, HEAD, OPTIONS").route(read().to(metadata::openid)),
        )
        .service(at("/oauth/jwks", "GET, HEAD, OPTIONS").route(read().to(metadata::jwks)))
        .service(at("/oauth/register", "POST, OPTIONS").route(web::post().to(register::register)))
        .service(
            at(paths::AUTHORIZE, "GET, HEAD, POST")
                .route(read().to(consent::begin))
                .route(web::post().to(consent::go_on)),
        )
        .service(at(paths::SIGN_IN, "GET, HEAD").route(read().to(consent::sign_in)))
        .service(at(paths::CONSENT, "GET, HEAD").route(read().to(consent::consent)))
        .service(
            at(paths::DEVICE_AUTHORIZATION, "POST, OPTIONS")
                .route(web::post().to(device::authorize)),
        )
        .service(
            at(paths::DEVICE, "GET, HEAD, POST")
                .route(read().to(device::page))
                .route(web::post().to(device::enter)),
        )
        .service(at(paths::DEVICE_ALLOWED, "GET, HEAD").route(read().to(device::allowed)))
        .service(at(paths::DEVICE_DENIED, "GET, HEAD").route(read().to(device::denied)))
        .service(at("/oauth/token", "POST, OPTIONS").route(web::post().to(token::token)))
        .service(at("/oauth/revoke", "POST, OPTIONS").route(web::post().to(token::revoke)))
        .service(
            at("/oauth/introspection", "POST").route(web::post().to(introspection::introspect)),
        )
        .service(at("/test-auth", "GET, HEAD").route(read().to(dev_endpoints::test_auth)))
        .service(at("/dev/token", "POST").route(web::post().to(dev_endpoints::dev_token)))
        .service(
            at("/admin", "GET, HEAD, POST")
                .route(read().to(admin::page))
                .route(web::post().to(admin::press)),
        )
        .service(
            at("/admin/faults", "GET, HEAD, PUT")
                .route(read().to(admin::faults))
                .route(web::put().to(admin::set_faults)),
        )
        .service(at("/admin/revoke", "POST").route(web::post().to(admin::revoke)))
        .service(at("/admin/stats", "GET, HEAD").route(read().to(admin::stats)))
        .default_service(web::to(|| async {
            answer::problem(
                StatusCode::NOT_FOUND,
                "not_found",
                "there is nothing here; see /",
            )
        }));
}

/// A path, and what it says to methods that it has no use for (RFC 9110 §15.5.6).
fn at(path: &str, allow: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move {
        let not_allowed = StatusCode::METHOD_NOT_ALLOWED;
        let mut response =
            answer::problem(not_allowed, "method_not_allowed", "see the Allow header");
        let allow = header::HeaderValue::from_static(allow);
        response.headers_mut().insert(header::ALLOW, allow);
        response
    }))
}

/// GET, and HEAD, whose answer the framework sends without the body.
fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// Runs the server until it is stopped, and tells first how to stop it, or why it does not run.
async fn run(
    listener: TcpListener,
    state: web::Data<State>,
    tell: oneshot::Sender<io::Result<ServerHandle>>,
) {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(client_document::Fetcher::default())
            .app_data(web::PayloadConfig::new(LONGEST))
            .configure(routes)
            .wrap(from_fn(middleware::handle))
    })
    .workers(1)
    .max_connections(4096)
    .shutdown_timeout(2)
    .disable_signals()
    .listen(listener);
    let server = match server {
        Ok(server) => server.run(),
        Err(error) => {
            // Nobody hears it if the caller gave up.
            let _ = tell.send(Err(error));
            return;
        }
    };
    if tell.send(Ok(server.handle())).is_err() {
        return;
    }
    if let Err(error) = server.await {
        log::error!("the mock authorization server failed: {error}");
    }
}

/// A mock authorization server that runs. Dropping it stops it, but only [`MockAuth::stop`] waits
/// until it has stopped.
pub struct MockAuth {
    state: web::Data<State>,
    address: SocketAddr,
    server: ServerHandle,
    stopping: watch::Sender<bool>,
    introspection_client: Option<IntrospectionClient>,
    /// Dropped last, when no request changes anything any more.
    keeper: Option<Keeper>,
}

impl MockAuth {
    /// Binds, and runs the server on a thread of its own until it is stopped. Any runtime, or none, may
    /// call this; the server sets no signal handlers.
    ///
    /// # Errors
    /// The address cannot be bound, or the settings contradict themselves or name a folder that cannot be used
    /// (`InvalidInput`).
    pub async fn start_with(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.bind)?;
        let address = listener.local_addr()?;
        let (stopping, stopped) = watch::channel(false);
        let folder = settings.state.clone();
        let introspection_client = settings.introspection_clients.first().cloned();
        let state = web::Data::new(State::new(settings, address, stopped)?);
        let vault = folder.map(|folder| state.go_on_with(&folder)).transpose()?;
        let keeper = vault.map(|vault| Keeper::start(state.clone().into_inner(), vault));
        let keeper = keeper.transpose()?;
        let shared = state.clone();
        let (tell, told) = oneshot::channel();
        thread::Builder::new()
            .name("mock-auth".to_owned())
            .spawn(move || actix_rt::System::new().block_on(run(listener, shared, tell)))?;
        let server = told
            .await
            .map_err(|_| io::Error::other("the mock authorization server did not come up"))??;
        Ok(Self {
            state,
            address,
            server,
            stopping,
            introspection_client,
            keeper,
        })
    }

    /// The issuer, as it stands in metadata and tokens: no slash at its end.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.state.issuer
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The credentials with which a resource server introspects, the first if there are several.
    #[must_use]
    pub fn introspection_client(&self) -> Option<&IntrospectionClient> {
        self.introspection_client.as_ref()
    }

    /// An access token for a user, by username or subject, with these scopes, for the default resource and the default lifetime:
    /// as a flow would give it to a client `test`, without a browser.
    ///
    /// # Panics
    /// If there is no such user.
    #[must_use]
    pub fn token(&self, user: &str, scopes: &str) -> SecretString {
        let user = user::find(&self.state.users, user);
        let user = user.expect("the user is one of the settings");
        let lifetime = self.state.store().0.access_lifetime();
        self.issue_token(TokenGrant {
            subject: user.subject.clone(),
            scopes: scopes.to_owned(),
            audience: self.state.resources.default.iter().cloned().collect(),
            lifetime: lifetime.to_std().unwrap_or_default(),
            ..TokenGrant::default()
        })
    }

    /// Mints an access token without any flow.
    ///
    /// # Panics
    /// If the lifetime is longer than a hundred years.
    #[must_use]
    pub fn issue_token(&self, grant: TokenGrant) -> SecretString {
        let format = self.state.store().0.writer.format;
        self.mint(format, None, grant)
    }

    /// The same, in a form of one's choice.
    ///
    /// # Panics
    /// If the lifetime is longer than a hundred years.
    #[must_use]
    pub fn issue_token_as(&self, format: TokenFormat, grant: TokenGrant) -> SecretString {
        self.mint(format, None, grant)
    }

    /// The same, bound to the key that has this thumbprint (RFC 9449 §6).
    ///
    /// # Panics
    /// If the lifetime is longer than a hundred years.
    #[must_use]
    pub fn issue_bound_token(
        &self,
        thumbprint: &str,
        format: TokenFormat,
        grant: TokenGrant,
    ) -> SecretString {
        self.mint(format, Some(thumbprint.to_owned()), grant)
    }

    fn mint(&self, format: TokenFormat, key: Option<String>, grant: TokenGrant) -> SecretString {
        let lifetime = TimeDelta::from_std(grant.lifetime)
            .ok()
            .filter(|lifetime| *lifetime <= TimeDelta::days(36_525))
            .expect("a token's lifetime is at most a hundred years");
        let (mut store, now) = self.state.store();
        let kept = Grant {
            subject: grant.subject,
            client_id: grant.client_id,
            scope: grant.scopes,
            audience: grant.audience,
            details: Details::unchecked(grant.authorization_details),
            format,
            key,
        };
        store.issue(kept, lifetime, now)
    }

    /// Signs with a new key from now on. The key set has the new one and the one before.
    pub fn rotate_signing_key(&self) {
        self.state.store().0.rotate_signing_key();
    }

    /// The switches for faults.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.state.faults.clone()
    }

    /// Revokes a token; with a refresh token, all that descends from the same consent. Says whether
    /// there was such a token.
    pub fn revoke_token(&self, token: &SecretString) -> bool {
        self.state.store().0.revoke(token.expose_secret())
    }

    /// Revokes all that was granted by a user. Says how many grants that were.
    pub fn revoke_subject(&self, subject: &str) -> usize {
        let (mut store, _) = self.state.store();
        store.revoke_where(|grant| grant.subject == subject)
    }

    /// Revokes all that was granted to a client. Says how many grants that were.
    pub fn revoke_client(&self, client_id: &str) -> usize {
        let (mut store, _) = self.state.store();
        store.revoke_where(|grant| grant.client_id == client_id)
    }

    /// How often each endpoint was called, by the names of `/admin/stats`.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<&'static str, u64> {
        self.state.calls.counts()
    }

    /// Stops: no new connections, and what is under way gets two seconds to end. What outlives a restart has been written then.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        self.server.stop(true).await;
        // It waits for one write of a file.
        drop(self.keeper.take());
    }
}

impl Drop for MockAuth {
    fn drop(&mut self) {
        self.stopping.send_replace(true);
        // The command is sent by the call; its future only waits.
        drop(self.server.stop(false));
    }
}
