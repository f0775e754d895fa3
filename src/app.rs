//! Runs the journal as a server: builds actors, routes and threads from a configuration and a listener, and
//! stops them in order. The tests start it as `main` does.

#[cfg(all(test, feature = "dev"))]
mod app_tests;
mod sessions;
mod settings;
pub mod signals;
pub mod start;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use actix_rt::Arbiter;
use derive_more::Display;
use futures_util::future::{Either, select};
use tokio::time::timeout;

use crate::{
    config::Config,
    domain::activity::EndedCall,
    journal::{DatabaseBus, JournalHandle, JournalSettings, SchemaFailure},
    prompts, resources, scopes,
    storage::Unusable,
    tools,
};
use mcp_server::{
    features::{
        catalogue::{Catalogue, Features},
        changes::Changes,
        presentation::Presentation,
        scope_table,
    },
    server::{Running, raise_descriptor_limit},
};
use resource_server::clock::Clock;

use self::settings::{info, journal_health, journal_settings, server};

pub(crate) use self::settings::issuer_settings;

pub use mcp_server::server::{DrainOverdue, TimeLimits, listen};

/// How long the start waits for the bus, so that no stream is open before it listens.
const BUS_ATTEMPT: Duration = Duration::from_secs(1);

/// Why a running server must stop.
#[derive(Clone, Debug, Display, PartialEq, Eq)]
pub enum AppFailure {
    /// The database, once it could be reached, turned out to lack migrations.
    #[display(
        "the database has {} pending migrations ({}); run `epicme migrate`, or set EPICME_MIGRATE=on",
        _0.len(),
        _0.join(", ")
    )]
    SchemaBehind(Arc<[String]>),
    /// The database refuses what it is asked, or a migration.
    #[display("the database cannot be used: {_0}")]
    Refused(Box<Unusable>),
    /// An actor has stopped, or every one has hung for long. Only a restart of the process helps.
    #[display("the actor {_0} stopped unexpectedly")]
    ActorDied(&'static str),
}

/// A running server.
pub struct App {
    running: Running,
    journal: JournalHandle,
    drain: Duration,
    changes_arbiter: Arbiter,
}

/// Raises the limit of open files. Call it before anything is opened: each connection is an open file.
pub fn raise_open_files() {
    if let Err(error) = raise_descriptor_limit() {
        log::warn!("the limit of open files could not be raised: {error}");
    }
}

/// The journal's features.
#[must_use]
pub fn features(journal: &JournalHandle) -> Features {
    Features {
        tools: tools::all(journal),
        resources: resources::all(journal),
        templates: resources::templates(journal),
        prompts: prompts::all(journal),
    }
}

/// The introduction to the table of `epicme scopes`.
const ABOUT_SCOPES: &str = "\
What a call of each feature needs, all of it at once. One declaration per feature decides the lists, the refusals (403 `insufficient_scope`) and this
page, which `epicme scopes` prints.

Write does not imply read: a client that dictates may append to a journal that it cannot read. What reveals stored content needs the scope to read it.";

/// The scopes that each feature needs, as a Markdown table. Needs an actix `System`, and no database.
///
/// # Panics
/// Outside an actix `System`.
#[must_use]
pub fn scope_table() -> String {
    let arbiter = Arbiter::new();
    let changes = Changes::start(&arbiter.handle());
    let journal = JournalHandle::start(&JournalSettings::new("".into(), changes));
    let catalogue = Catalogue::new(
        features(&journal),
        scopes::declared(),
        info(),
        Presentation::default(),
    );
    let table = scope_table::markdown(
        &catalogue.expect("the journal's declarations are right"),
        ABOUT_SCOPES,
    );
    arbiter.stop();
    table
}

impl App {
    /// Starts serving on a listener. Needs an actix `System`.
    ///
    /// # Errors
    /// Those of the operating system. The database and the authorization server may be down.
    pub fn start(config: Config, listener: TcpListener, clock: Clock) -> io::Result<Self> {
        Self::start_with(config, listener, clock, None, TimeLimits::default())
    }

    /// Starts serving, with other features or time limits, for tests.
    ///
    /// # Errors
    /// Those of [`App::start`].
    pub fn start_with(
        config: Config,
        listener: TcpListener,
        clock: Clock,
        other_features: Option<Features>,
        time_limits: TimeLimits,
    ) -> io::Result<Self> {
        for warning in config.warnings() {
            log::warn!("{warning}");
        }
        let changes_arbiter = Arbiter::new();
        let changes = Changes::start(&changes_arbiter.handle());
        let drain = config.drain.timeout;
        let database_url = config.database.url.clone();
        let settings = journal_settings(&config.database, changes.clone());
        let journal = JournalHandle::start(&settings);
        journal.start_cleanup();
        let features = other_features.unwrap_or_else(|| features(&journal));
        let recorded = journal.clone();
        let bus = config.database.bus;
        let bus = bus.then(|| DatabaseBus::new(config.database.direct_url().clone()));
        let mut server = server(config)
            .features(features)
            .changes(changes)
            .replay_store(Arc::new(journal.clone()))
            .revocation_store(Arc::new(journal.clone()))
            .session_store(Arc::new(journal.clone()))
            .on_call(move |call| recorded.record(EndedCall::from(call)))
            .health_check(journal_health(&journal, database_url))
            .metrics(Arc::new(journal.clone()))
            .time_limits(time_limits)
            .clock(clock);
        if let Some(bus) = &bus {
            server = server.bus(Arc::new(bus.clone()));
        }
        let bound = server.listen(listener).map_err(start::explained)?;
        if let Some(bus) = bus {
            bus.has_tried(BUS_ATTEMPT);
        }
        Ok(Self {
            running: bound.start()?,
            journal,
            drain,
            changes_arbiter,
        })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// The address of the metrics listener, if there is one.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.running.metrics_address()
    }

    /// The address of the listener of operators, if there is one.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.running.admin_address()
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &JournalHandle {
        &self.journal
    }

    /// How many legacy sessions are open.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.running.service().open_sessions()
    }

    /// Has the files of secrets and certificates read again before their next use.
    pub fn reload(&self) {
        self.running.reload();
    }

    /// Waits until the server must stop. A database or an authorization server that is down is no reason.
    pub async fn failed(&self) -> AppFailure {
        let stopped = async {
            let service = pin!(self.running.service().actor_stopped());
            let journal = pin!(self.journal.stopped());
            AppFailure::ActorDied(match select(service, journal).await {
                Either::Left((stopped, _)) => stopped.0,
                Either::Right(_) => "JournalActor",
            })
        };
        let schema = async {
            match self.journal.schema_failed().await {
                SchemaFailure::Behind(names) => AppFailure::SchemaBehind(names),
                SchemaFailure::Refused(unusable) => AppFailure::Refused(Box::new(unusable)),
            }
        };
        select(pin!(stopped), pin!(schema)).await.factor_first().0
    }

    /// Stops in order: reports not ready, accepts no new connection, ends streams, answers requests under way,
    /// finishes accepted writes, stores activity counts.
    ///
    /// # Errors
    /// [`DrainOverdue`] if the deadline passed; the rest is abandoned.
    pub async fn stop(self) -> Result<(), DrainOverdue> {
        let limit = self.drain;
        let (journal, service) = (self.journal.clone(), self.running.service().clone());
        timeout(limit, self.drain()).await.map_err(|_| {
            log::error!(
                "not drained within {} ms: {} journal messages under way, {} sessions open",
                limit.as_millis(),
                journal.under_way(),
                service.open_sessions()
            );
            DrainOverdue { timeout: limit }
        })
    }

    async fn drain(self) {
        let drained = self.running.drain().await;
        self.journal.finish_activity().await;
        self.journal.drained().await;
        self.changes_arbiter.stop();
        drained.end().await;
    }
}
