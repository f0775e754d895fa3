//! The server, wired: from a configuration and a listener to actors, routes and threads, and back
//! down in order. Tests start it the way `main` does.

#[cfg(all(test, feature = "dev"))]
mod app_tests;
mod listener;
mod settings;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use actix_rt::{Arbiter, task::JoinHandle, time::sleep};
use actix_web::{App as Routes, dev::ServerHandle, web::Data};
use derive_more::{Display, Error};
use futures_util::future::select;
use tokio::time::timeout;

#[cfg(feature = "otlp")]
use crate::otlp;
use crate::{
    actors::{
        auth::AuthHandle,
        journal::JournalHandle,
        session::{Listeners, Sessions},
    },
    config::{Config, DrainConfig},
    domain::clock::Clock,
    features::{catalogue::Catalogue, dispatch::Dispatcher, scope_table},
    http::{self, Health, Scrape, Site},
    metrics::Metrics,
    oauth::{policy::ScopePolicy, shared_secret::SharedSecret},
    tls::Identities,
};

use self::{
    listener::{Serving, serve},
    settings::{
        auth_settings, discovery, doors, journal_settings, limits, proof_rules, sealer,
        session_settings,
    },
};

pub use self::listener::listen;

/// How often it is looked whether the actors still live.
const ACTOR_WATCH: Duration = Duration::from_secs(1);

/// How many connections there may be to the listener for metrics.
const MOST_SCRAPERS: usize = 32;

/// How long is waited in an exchange with a client. No operator has a reason to choose, so these are no
/// keys of the configuration; a test has one, which is not to wait.
#[derive(Clone, Copy, Debug)]
pub struct ClientTimeouts {
    /// For the body of a request: the longest of 2 MiB needs no fast line to come within it.
    pub body: Duration,
    /// For something to say on an event stream, before a comment is said: shorter than the 30 s or more
    /// after which proxies close a silent connection.
    pub silence: Duration,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            body: Duration::from_secs(30),
            silence: Duration::from_secs(15),
        }
    }
}

/// Why a running server cannot go on.
#[derive(Clone, Debug, Display, PartialEq, Eq)]
pub enum Failure {
    /// The database, once it was there, turned out to lack migrations.
    #[display(
        "the database has {} pending migrations ({}); run `epicme migrate`, or set EPICME_MIGRATE=on",
        _0.len(),
        _0.join(", ")
    )]
    SchemaBehind(Arc<[String]>),
    /// An actor is gone, which nothing but a new process mends.
    #[display("the actor {_0} has died")]
    ActorDied(&'static str),
}

/// The server did not come to its end in time: what was under way was left.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
#[display("not everything that was under way ended within {} ms", deadline.as_millis())]
pub struct DrainOverdue {
    /// How long it had.
    pub deadline: Duration,
}

/// A running server.
pub struct App {
    handle: ServerHandle,
    finished: JoinHandle<io::Result<()>>,
    address: SocketAddr,
    auth: AuthHandle,
    journal: JournalHandle,
    sessions: Option<Sessions>,
    listeners: Listeners,
    health: Health,
    drain: DrainConfig,
    tls: Option<Arc<Identities>>,
    auth_arbiter: Arbiter,
    metrics: Option<MetricsServer>,
    #[cfg(feature = "otlp")]
    spans: Option<otlp::Exporter>,
}

/// The listener for metrics. It goes last, so that what happens while the server stops can be seen.
struct MetricsServer {
    handle: ServerHandle,
    address: SocketAddr,
}

/// What each feature needs, as a table for people.
#[must_use]
pub fn scope_table() -> String {
    scope_table::markdown(&Catalogue::new(ScopePolicy::default()))
}

impl App {
    /// Starts serving on a listener. Needs an actix `System`.
    ///
    /// # Errors
    /// Those of the operating system. The database and the authorization server need not be there.
    pub fn start(config: Config, listener: TcpListener, clock: Clock) -> io::Result<Self> {
        Self::start_with(
            config,
            listener,
            clock,
            Catalogue::new(ScopePolicy::default()),
            ClientTimeouts::default(),
        )
    }

    /// Starts serving other features than the journal's, or with other patience, in the same way.
    ///
    /// # Errors
    /// Those of [`App::start`].
    pub fn start_with(
        config: Config,
        listener: TcpListener,
        clock: Clock,
        catalogue: Catalogue,
        timeouts: ClientTimeouts,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let metrics = Arc::new(Metrics::new());
        let metrics_listener = config.http.metrics.map(listen_for_metrics).transpose()?;
        for warning in config.warnings() {
            log::warn!("{warning}");
        }
        let journal = JournalHandle::start(&journal_settings(config.database, &metrics));
        journal.start_cleanup();
        let auth_arbiter = Arbiter::new();
        let discovery = discovery(&config.http, &config.issuers);
        let auth = AuthHandle::start(
            auth_settings(config.issuers, &config.http, Arc::clone(&metrics)),
            clock.clone(),
            &auth_arbiter.handle(),
        );
        let dispatcher = Arc::new(Dispatcher::new(
            Arc::new(catalogue),
            journal.clone(),
            sealer(&config.request_state),
            clock.clone(),
        ));
        let listeners = Listeners::new(
            config.http.streams.in_all.get(),
            config.http.streams.per_user.get(),
            Arc::clone(&dispatcher),
        );
        let sessions = config.sessions.map(|limits| {
            Sessions::start(
                session_settings(limits),
                Arc::clone(&dispatcher),
                clock.clone(),
            )
        });
        #[cfg(feature = "otlp")]
        let spans = config
            .http
            .collector
            .as_ref()
            .map(|collector| otlp::Exporter::start(collector, Arc::clone(&metrics)));
        let workers = config.http.workers.get();
        let health = Health::new(journal.clone(), auth.clone());
        let drain = config.drain;
        let site = Data::new(Site {
            health: health.clone(),
            auth: auth.clone(),
            sessions: sessions.clone(),
            listeners: listeners.clone(),
            dispatcher,
            revocation_secret: config
                .http
                .revocation_secret
                .as_ref()
                .map(SharedSecret::new),
            metrics: Arc::clone(&metrics),
            #[cfg(feature = "otlp")]
            spans: spans.clone(),
            clock: clock.clone(),
            body_timeout: timeouts.body,
            silence: timeouts.silence,
            doors: doors(&config.http),
            limits: limits(&config.http),
            discovery,
            baseline: config.http.baseline,
            proofs: proof_rules(&config.http, &config.request_state),
            public_url: config.http.public_url,
        });
        let routes = move || Routes::new().configure(http::configure(&site));
        let tls = config
            .http
            .tls
            .map(|identity| Identities::new(identity, clock));
        let serving = Serving {
            workers,
            drain: drain.timeout.as_secs().saturating_add(1),
            tls: tls.as_ref().map(Identities::acceptor).transpose()?,
            ..Serving::default()
        };
        let server = serve(listener, serving, routes)?;
        let scrape = Scrape {
            metrics,
            auth: auth.clone(),
            journal: journal.clone(),
            sessions: sessions.clone(),
        };
        let metrics = metrics_listener
            .map(|listener| MetricsServer::start(listener, scrape))
            .transpose()?;
        Ok(Self {
            handle: server.handle(),
            finished: actix_rt::spawn(server),
            address,
            auth,
            journal,
            sessions,
            listeners,
            health,
            drain,
            tls,
            auth_arbiter,
            metrics,
            #[cfg(feature = "otlp")]
            spans,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it tells its metrics, if it does.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|server| server.address)
    }

    /// The journal, for whoever has to put something into it.
    #[must_use]
    pub fn journal(&self) -> &JournalHandle {
        &self.journal
    }

    /// How many legacy sessions are open.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.sessions.as_ref().map_or(0, Sessions::open_sessions)
    }

    /// Has the files of secrets looked at before they are needed next, and what was refused tried again; and
    /// the certificate read again.
    pub fn reload(&self) {
        self.auth.reload();
        if let Some(tls) = &self.tls {
            tls.reload();
        }
    }

    /// Waits until the server cannot go on. What can be mended while it runs, such as a database or an
    /// authorization server that is away, is no failure.
    pub async fn failed(&self) -> Failure {
        let dead = async {
            loop {
                if !self.journal.is_alive() {
                    return Failure::ActorDied("JournalActor");
                }
                if !self.auth.is_alive() {
                    return Failure::ActorDied("AuthActor");
                }
                sleep(ACTOR_WATCH).await;
            }
        };
        let behind = async { Failure::SchemaBehind(self.journal.schema_is_behind().await) };
        select(pin!(dead), pin!(behind)).await.factor_first().0
    }

    /// Stops in order: not ready any more; no new connection; streams told of their end, requests under
    /// way answered; writes that were accepted done; what was counted of the users' activity written
    /// down.
    ///
    /// # Errors
    /// [`DrainOverdue`] if that took longer than it may. What is left is given up by then.
    pub async fn stop(self) -> Result<(), DrainOverdue> {
        let deadline = self.drain.timeout;
        let (journal, sessions) = (self.journal.clone(), self.sessions.clone());
        timeout(deadline, self.drain()).await.map_err(|_| {
            log::error!(
                "not drained within {} ms: {} journal messages under way, {} sessions open",
                deadline.as_millis(),
                journal.under_way(),
                sessions.as_ref().map_or(0, Sessions::open_sessions)
            );
            DrainOverdue { deadline }
        })
    }

    async fn drain(self) {
        self.health.drain();
        // Whoever balances the load finds out, and sends nothing here any more, while all that still
        // comes is served.
        if !self.drain.delay.is_zero() {
            sleep(self.drain.delay).await;
        }
        // Said at once, so that nothing new begins meanwhile.
        let stopped = self.handle.stop(true);
        // Streams end in order, so that the rest need not wait for them.
        self.listeners.close();
        if let Some(sessions) = &self.sessions {
            sessions.retire().await;
        }
        stopped.await;
        if let Ok(Err(error)) = self.finished.await {
            log::error!("the HTTP server ended with an error: {error}");
        }
        self.journal.finish_activity().await;
        self.journal.drained().await;
        self.auth_arbiter.stop();
        #[cfg(feature = "otlp")]
        if let Some(spans) = self.spans {
            spans.finish().await;
        }
        if let Some(metrics) = self.metrics {
            metrics.handle.stop(false).await;
        }
    }
}

impl MetricsServer {
    /// One thread is enough: nobody but Prometheus asks, and that every few seconds.
    fn start(listener: TcpListener, scrape: Scrape) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let scrape = Data::new(scrape);
        let routes = move || Routes::new().configure(http::configure_scrape(&scrape));
        let serving = Serving {
            most_connections: MOST_SCRAPERS,
            ..Serving::default()
        };
        let server = serve(listener, serving, routes)?;
        let handle = server.handle();
        actix_rt::spawn(server);
        Ok(Self { handle, address })
    }
}

fn listen_for_metrics(address: SocketAddr) -> io::Result<TcpListener> {
    listen(address).map_err(|error| {
        let told = format!("cannot listen on {address} for metrics: {error}");
        io::Error::new(error.kind(), told)
    })
}
