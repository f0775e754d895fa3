//! The guard: the state that all workers share.

use std::{net::IpAddr, sync::Arc};

use actix_web::{HttpRequest, web::ServiceConfig};
use secrecy::SecretString;

use super::document::MetadataDocument;
use crate::{
    auth::{AuthError, AuthHandle},
    challenge::Challenger,
    clock::Clock,
    dpop::rules::ProofRules,
    limits::{Exceeded, Limits, SecretAttempt, Source},
    metadata,
    rare_log::RareLog,
    revocation::{LogoutError, RevocationTarget},
    scope::Scopes,
    url::ResourceUri,
};

/// Authenticates requests for one resource. Clones are the same guard.
///
/// ```no_run
/// use actix_web::{App, HttpServer, web};
/// use resource_server::{guard::{Authorized, Guard}, issuer::Issuer};
///
/// async fn hello(caller: Authorized) -> String {
///     format!("Hello, {}.", caller.principal.subject)
/// }
///
/// #[actix_rt::main]
/// async fn main() -> std::io::Result<()> {
///     let guard = Guard::builder("https://files.example/api")
///         .issuer(Issuer::introspecting("https://login.example", "files", "secret"))
///         .scope("files:read", "Read your files")
///         .build()?;
///     let read = guard.protect(&["files:read"]).expect("the scope is declared");
///     HttpServer::new(move || {
///         App::new()
///             .configure(guard.configure())
///             .service(web::resource("/api").wrap(read.clone()).route(web::get().to(hello)))
///     })
///     .bind("127.0.0.1:8080")?
///     .run()
///     .await
/// }
/// ```
#[derive(Clone)]
pub struct Guard(pub(super) Arc<State>);

pub(super) struct State {
    pub(super) auth: AuthHandle,
    pub(super) limits: Limits,
    pub(super) proofs: ProofRules,
    pub(super) challenger: Challenger,
    pub(super) resource: ResourceUri,
    pub(super) document: MetadataDocument,
    pub(super) clock: Clock,
    /// Limits the lines about tokens that cannot be checked.
    pub(super) unavailable_log: RareLog,
    /// Limits the lines about tokens of unknown issuers.
    pub(super) unknown_issuer_log: RareLog,
}

impl Guard {
    /// Serves the protected resource metadata (RFC 9728 §3), and starts the introspection actor of the worker
    /// thread. Pass it to `App::configure` in the app factory, at the root of the `App`.
    pub fn configure(&self) -> impl FnOnce(&mut ServiceConfig) + use<> {
        let guard = self.clone();
        move |service| {
            service.app_data(guard.0.auth.start_worker());
            for path in [
                metadata::path(&guard.0.resource),
                metadata::ROOT_PATH.to_owned(),
            ] {
                service.service(guard.0.document.clone().at(&path));
            }
        }
    }

    /// The declared scopes.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.0.challenger.scopes
    }

    /// Token checks, revocations and active uses.
    #[must_use]
    pub fn auth(&self) -> &AuthHandle {
        &self.0.auth
    }

    /// The metadata document of the first issuer (RFC 8414) as JSON text, for clients that look for it at
    /// the resource.
    ///
    /// # Errors
    /// [`AuthError::Busy`], or that the issuer is unavailable or its metadata invalid.
    pub async fn issuer_metadata(&self, request: &HttpRequest) -> Result<Arc<str>, AuthError> {
        let source = self.0.limits.source(request);
        self.0.auth.metadata(source).await
    }

    /// Verifies the logout token (OpenID Connect Back-Channel Logout 1.0 §2.6) of a request, and revokes the tokens
    /// of the user whom it names. Each token is accepted once, unless the revocation could not be stored. Returns
    /// the user.
    ///
    /// # Errors
    /// See [`LogoutError`].
    pub async fn log_out(
        &self,
        request: &HttpRequest,
        token: SecretString,
    ) -> Result<RevocationTarget, LogoutError> {
        let source = self.0.limits.source(request);
        self.0.auth.log_out(token, source).await
    }

    /// The source of a request: the peer of its connection, or the address that a trusted proxy names.
    #[must_use]
    pub fn source(&self, request: &HttpRequest) -> Source {
        self.0.limits.source(request)
    }

    /// Whether this peer is a trusted proxy ([`RateLimits::trusted_proxies`](crate::limits::RateLimits)).
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.0.limits.trusts(peer)
    }

    /// The settings of challenges.
    #[must_use]
    pub fn challenger(&self) -> &Challenger {
        &self.0.challenger
    }

    /// The resource identifier.
    #[must_use]
    pub fn resource(&self) -> &ResourceUri {
        &self.0.resource
    }

    /// The protected resource metadata.
    #[must_use]
    pub fn document(&self) -> &MetadataDocument {
        &self.0.document
    }

    /// Counts an attempt to prove a shared secret, such as that of operators' endpoints, for its source address.
    /// Ask before the secret is compared.
    ///
    /// # Errors
    /// There were too many wrong ones from this address.
    pub fn secret_attempt(&self, request: &HttpRequest) -> Result<SecretAttempt<'_>, Exceeded> {
        self.0.limits.secret(request, self.0.clock.now())
    }

    /// The value for `DPoP-Nonce`, if proofs need a nonce (RFC 9449 §8, §9).
    #[must_use]
    pub fn nonce(&self) -> Option<String> {
        self.0.proofs.nonce(self.0.clock.now())
    }
}
