//! What the handlers share.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use actix_web::HttpResponse;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::{Mutex, MutexGuard};
use secrecy::ExposeSecret;
use tokio::sync::{Semaphore, watch};
use url::Url;

use crate::{
    calls::Calls,
    faults::{Endpoint, Faults},
    grants::Lifetimes,
    redirect,
    resource::Resources,
    saved::Saved,
    scopes::Grantable,
    secret::Digest,
    settings::{IntrospectionClient, Settings},
    signing::Writer,
    store::Store,
    user::{self, User},
    vault::Vault,
};

/// What the handlers share.
pub(crate) struct State {
    /// The public URL, without a slash at its end.
    pub(crate) issuer: String,
    /// The hosts under which requests are answered, besides loopback.
    pub(crate) hosts: Vec<String>,
    /// The title of the pages.
    pub(crate) title: String,
    /// The types of `authorization_details` that can be granted.
    pub(crate) authorization_details: Vec<String>,
    pub(crate) users: Arc<[User]>,
    /// The user for whom authorization requests are answered without a page.
    pub(crate) auto_consent: Option<User>,
    pub(crate) scopes: Grantable,
    pub(crate) introspection_clients: Vec<(String, Digest)>,
    pub(crate) resources: Resources,
    /// Whether a client's id may be the URL of a document about it.
    pub(crate) client_documents: bool,
    /// Whether client documents may lie on this machine.
    pub(crate) loopback_documents: bool,
    /// How many client documents are fetched at once.
    pub(crate) fetches: Semaphore,
    pub(crate) faults: Faults,
    pub(crate) calls: Calls,
    /// Becomes true when the server stops.
    pub(crate) stopping: watch::Receiver<bool>,
    store: Mutex<Store>,
}

impl State {
    pub(crate) fn new(
        settings: Settings,
        address: SocketAddr,
        stopping: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let wrong = |what: String| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        let issuer = settings.issuer.unwrap_or_else(|| {
            let ip = match address.ip() {
                ip if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
                ip => ip,
            };
            format!("http://{}", SocketAddr::new(ip, address.port()))
        });
        let issuer = issuer.trim_end_matches('/').to_owned();
        let origin = Url::parse(&issuer).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == issuer
        });
        let Some(origin) = origin else {
            return wrong(format!(
                "the issuer has to be http:// or https://, a host in lower case and no path: {issuer}"
            ));
        };
        if origin.scheme() == "http" && !redirect::is_loopback(&origin) {
            log::warn!("the issuer {issuer} is not https: tokens travel in clear");
        }
        if let Some(fault) = user::fault_of(&settings.users) {
            return wrong(fault);
        }
        if settings.authorization_details.iter().any(String::is_empty) {
            return wrong("a type of authorization_details is empty".to_owned());
        }
        let users: Arc<[User]> = settings.users.into();
        let auto_consent = match &settings.auto_consent {
            None => None,
            Some(name) => match user::find(&users, name) {
                Some(user) => Some(user.clone()),
                None => return wrong(format!("auto-consent: there is no user {name:?}")),
            },
        };
        let scopes = match Grantable::new(settings.scopes) {
            Ok(scopes) => scopes,
            Err(what) => return wrong(what),
        };
        let blank = |client: &IntrospectionClient| client.secret.expose_secret().is_empty();
        if settings.introspection_clients.iter().any(blank) {
            return wrong("an introspection client needs a secret".to_owned());
        }
        let resources = Resources {
            allowed: settings.allowed_resources,
            default: settings.default_resource,
        };
        for resource in resources.allowed.iter().chain(&resources.default) {
            if resources.read([resource.as_str()].into_iter()).is_err() {
                return wrong(format!("not an absolute URI without fragment: {resource}"));
            }
        }
        let lifetime = |lifetime: std::time::Duration| {
            TimeDelta::from_std(lifetime)
                .ok()
                .filter(|lifetime| *lifetime <= TimeDelta::days(3650))
                .ok_or_else(|| {
                    let long = "a lifetime is longer than ten years";
                    io::Error::new(io::ErrorKind::InvalidInput, long)
                })
        };
        let lifetimes = Lifetimes {
            code: lifetime(settings.code_lifetime)?,
            access: lifetime(settings.access_token_lifetime)?,
            refresh: lifetime(settings.refresh_token_lifetime)?,
            device: lifetime(settings.device_code_lifetime)?,
            grace: lifetime(settings.refresh_token_grace)?,
        };
        let mut hosts = settings.allowed_hosts;
        hosts.extend(origin.host_str().map(ToOwned::to_owned));
        let writer = Writer::new(
            issuer.clone(),
            settings.access_token_format,
            Arc::clone(&users),
        );
        Ok(Self {
            issuer,
            hosts,
            title: settings.title,
            authorization_details: settings.authorization_details,
            users,
            auto_consent,
            scopes,
            introspection_clients: settings
                .introspection_clients
                .into_iter()
                .map(|client| (client.id, Digest::of(client.secret.expose_secret())))
                .collect(),
            resources,
            client_documents: settings.client_documents,
            loopback_documents: address.ip().is_loopback(),
            fetches: Semaphore::new(8),
            faults: Faults::default(),
            calls: Calls::default(),
            stopping,
            store: Mutex::new(Store::new(lifetimes, writer)),
        })
    }

    /// Goes on with what was kept in this folder, if there is anything. Call it before anything is kept in memory.
    ///
    /// # Errors
    /// `InvalidInput`: the folder cannot be used.
    pub(crate) fn go_on_with(&self, folder: &Path) -> io::Result<Vault> {
        let vault = Vault::open(folder)?;
        let Some(document) = vault.read()? else {
            return Ok(vault);
        };
        let saved: Result<Saved, _> = serde_json::from_slice(&document);
        let (mut store, now) = self.store();
        let mut next = store.like_new();
        let outcome = match saved {
            Ok(saved) => next.go_on_with(saved, now),
            Err(_) => Err("it is malformed"),
        };
        match outcome {
            Ok(()) => *store = next,
            Err(why) => vault.set_aside(why)?,
        }
        Ok(vault)
    }

    /// What the server remembers, and the time: the store reads no clock.
    pub(crate) fn store(&self) -> (MutexGuard<'_, Store>, DateTime<Utc>) {
        (self.store.lock(), Utc::now())
    }

    pub(crate) fn user(&self, subject: &str) -> Option<&User> {
        self.users.iter().find(|user| user.subject == subject)
    }

    /// Whether browsers reach this server through TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.issuer.starts_with("https:")
    }

    pub(crate) async fn fault(&self, endpoint: Endpoint) -> Option<HttpResponse> {
        self.faults.strike(endpoint, self.stopping.clone()).await
    }
}
