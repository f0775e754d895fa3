//! A built server: its actors run, and its routes can be mounted.

use std::{sync::Arc, time::Duration};

use actix_rt::{Arbiter, time::sleep};
use actix_web::web::{Data, ServiceConfig};
use derive_more::{Display, Error};
use parking_lot::Mutex;
use tokio::{sync::oneshot, time::timeout};

#[cfg(feature = "otlp")]
use crate::otlp;
use crate::{
    audit::AuditLog,
    budgets::Budgets,
    bus::{Bus, BusMetrics, Envelopes, Link, Outbox, Receivers},
    connections::{Capacity, Connections, Patience},
    dispatch::{Dispatcher, DispatcherSettings},
    features::{
        catalogue::Catalogue,
        changes::Changes,
        context::Environment,
        replay_store::InMemoryReplayStore,
        session_store::{InMemorySessionStore, SessionStore},
    },
    http::{self, AppState, BodyTimes, Discovery, Health, HostPolicy, Scrape},
    metrics::{MetricSource, Metrics},
    session::{Continuity, Listeners, Sessions},
};
use mcp_protocol::request_state::Sealer;
use resource_server::{
    auth::AuthHandle,
    dpop::nonce::Nonces,
    guard::Guard,
    metadata::{self, ResourceDescription},
    shared_secret::SharedSecret,
    url::PublicUrl,
};

use super::{
    builder::Server,
    settings::{DpopMode, SealingKeys, StartError},
};

/// How often the actors are checked.
const ACTOR_WATCH: Duration = Duration::from_secs(1);

/// How long a shutdown waits for the bus, which may be unable to send.
const BUS_END: Duration = Duration::from_secs(1);

/// An actor that every request needs has stopped unexpectedly. The process must be restarted.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
#[display("the actor {_0} stopped unexpectedly")]
pub struct ActorStopped(#[error(not(source))] pub &'static str);

/// A built server. Clones share its state.
#[derive(Clone)]
pub struct Service {
    state: Data<AppState>,
    scrape: Data<Scrape>,
    actors: Arc<Actors>,
}

struct Actors {
    auth_arbiter: Arbiter,
    changes: Changes,
    bus: Option<RunningBus>,
    health: Health,
}

/// The bus, until it has ended.
struct RunningBus {
    outbox: Arc<Outbox>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Drop for Actors {
    fn drop(&mut self) {
        if let Some(bus) = &self.bus {
            bus.outbox.stop();
        }
        self.auth_arbiter.stop();
    }
}

impl Server {
    /// Builds the server, to be mounted in an actix-web `App`: see [`Service::configure`]. Must be called
    /// within an actix `System`, because it starts actors.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn build(self) -> Result<Service, StartError> {
        Service::new(self)
    }
}

impl Service {
    fn new(server: Server) -> Result<Self, StartError> {
        if !server.endpoint.starts_with('/') {
            let reason = format!("the endpoint {:?} must begin with a slash", server.endpoint);
            return Err(StartError::Setting(reason));
        }
        let public_url: PublicUrl = server.public_url.parse().map_err(StartError::PublicUrl)?;
        let clock = server.clock;
        let info = server.info;
        let name = info.title.clone().unwrap_or_else(|| info.name.clone());
        let resource = public_url.resource(&server.endpoint);
        let metrics = Arc::new(Metrics::new(&server.metrics_prefix, &info.version));
        let budgets = Budgets::new(server.memory);
        let auth_arbiter = Arbiter::new();
        let runner = auth_arbiter.handle();
        let nonces = nonces(server.dpop, server.sealing_keys.as_ref());
        let documentation = server.documentation;
        #[cfg(feature = "otlp")]
        let reporter = otlp::Service {
            name: info.name.clone(),
            version: info.version.clone(),
        };
        let guard = server
            .guard
            .resource(resource.as_str())
            .realm(server.realm.unwrap_or_else(|| name.clone()))
            .description(ResourceDescription {
                name: server.resource_name.unwrap_or_else(|| name.clone()),
                documentation: Some(documentation.unwrap_or_else(|| public_url.join("/"))),
            })
            .proofs(server.dpop != DpopMode::Off, nonces)
            .metrics(Arc::clone(metrics.auth()))
            .clock(clock.clone())
            .arbiter(runner.clone())
            .build()?;
        let scopes = guard.scopes().clone();
        let headline = server.headline.unwrap_or_else(|| match &info.description {
            Some(description) => format!("{name}: {description}"),
            None => name.clone(),
        });
        let changes = server.changes.unwrap_or_else(|| Changes::start(&runner));
        let outbox = server.bus.as_ref().map(|_| Arc::<Outbox>::default());
        if let Some(outbox) = &outbox {
            changes.tell_others(Arc::clone(outbox));
            let outbox = Arc::clone(outbox);
            guard.auth().on_order(move || outbox.revocations_changed());
        }
        let catalogue = Catalogue::new(server.features, scopes.clone(), info, server.presentation)?;
        let audit = AuditLog::open(server.audit)?;
        let mut sources = server.metric_sources;
        sources.push(Arc::new(audit.clone()));
        let dispatcher = Arc::new(Dispatcher::new(DispatcherSettings {
            catalogue,
            environment: Environment {
                scopes: scopes.clone(),
                clock: clock.clone(),
                presentation: server.presentation,
            },
            sealer: sealer(server.sealing_keys.as_ref()),
            replay_store: server
                .replay_store
                .unwrap_or_else(|| Arc::new(InMemoryReplayStore::new(clock.clone()))),
            changes: changes.clone(),
            on_call: server.on_call,
            audit: audit.clone(),
        }));
        sources.push(Arc::clone(dispatcher.tool_metrics()) as Arc<dyn MetricSource>);
        let listeners = Listeners::new(
            server.streams.in_all,
            server.streams.per_user,
            Arc::clone(&dispatcher),
        );
        let continuity = continuity(
            server.sealing_keys.as_ref(),
            server.session_store,
            outbox.clone(),
        );
        let sessions = server.sessions.map(|limits| {
            Sessions::start(limits, continuity, Arc::clone(&dispatcher), clock.clone())
        });
        #[cfg(feature = "otlp")]
        let spans = server
            .collector
            .as_ref()
            .map(|collector| otlp::Exporter::start(collector, reporter, Arc::clone(&metrics)));
        let bus = server.bus.zip(outbox).map(|(bus, outbox)| {
            let metrics = Arc::<BusMetrics>::default();
            sources.push(Arc::clone(&metrics) as Arc<dyn MetricSource>);
            let keys = server.sealing_keys.as_ref();
            let sealer = keys.map(|keys| Sealer::new(&keys.current, keys.previous.as_ref()));
            let auth = guard.auth().clone();
            let receivers = Receivers {
                changes: changes.clone(),
                revocations: Box::new(move || auth.read_orders()),
                session: Box::new({
                    let sessions = sessions.clone();
                    move |message| {
                        if let Some(sessions) = &sessions {
                            sessions.heard(&message);
                        }
                    }
                }),
                sessions_missed: Box::new({
                    let sessions = sessions.clone();
                    move || {
                        if let Some(sessions) = &sessions {
                            sessions.missed();
                        }
                    }
                }),
            };
            let (link, ended) = Link::new(
                Arc::clone(&outbox),
                Envelopes::new(sealer),
                receivers,
                metrics,
            );
            bus.start(link);
            RunningBus {
                outbox,
                ended: Mutex::new(Some(ended)),
            }
        });
        let health = Health::new(server.health_checks, guard.auth().clone());
        let scrape = Data::new(Scrape {
            metrics: Arc::clone(&metrics),
            auth: guard.auth().clone(),
            sessions: sessions.clone(),
            sources,
            budgets: Arc::clone(&budgets),
        });
        let state = Data::new(AppState {
            health: health.clone(),
            metadata_path: metadata::path(&resource),
            guard,
            sessions,
            listeners,
            dispatcher,
            revocation_secret: server.revocation_secret.as_ref().map(SharedSecret::new),
            operators_are_apart: server.admin_bind.is_some(),
            metrics,
            #[cfg(feature = "otlp")]
            spans,
            budgets,
            body_times: BodyTimes {
                whole: server.time_limits.body,
                begin: server.time_limits.body_begin,
            },
            heartbeat_interval: server.time_limits.heartbeat,
            host_policy: HostPolicy::new(
                &public_url,
                server.allowed_hosts,
                server.allowed_origins,
                server.loopback_origins,
            ),
            discovery: Discovery::new(
                &headline,
                resource.as_str(),
                server.relays_authorization_server,
            ),
            endpoint: server.endpoint,
            public_url,
            audit,
            clock,
        });
        Ok(Self {
            state,
            scrape,
            actors: Arc::new(Actors {
                auth_arbiter,
                changes,
                bus,
                health,
            }),
        })
    }

    /// Mounts the server in an actix-web `App`, or in a scope of one: the endpoint, health, revocation and
    /// the page at `/`. Call it within the app factory, so that each worker has its own AuthActor. In a
    /// scope, mount [`Service::configure_well_known`] at the root of the host as well (RFC 9728 §3.1).
    pub fn configure(&self) -> impl FnOnce(&mut ServiceConfig) + use<> {
        http::configure(&self.state)
    }

    /// Mounts the documents that clients look for at the root of the host: the protected resource metadata
    /// and, for clients of MCP 2025-03-26, the issuer's metadata.
    pub fn configure_well_known(&self) -> impl FnOnce(&mut ServiceConfig) + use<> {
        http::configure_well_known(&self.state)
    }

    /// Mounts the endpoints of operators in an `App` of its own. With
    /// [`Server::admin_bind`](super::Server::admin_bind), they are nowhere else.
    pub fn configure_operators(&self) -> impl FnOnce(&mut ServiceConfig) + use<> {
        http::configure_operators(&self.state)
    }

    /// Mounts `/metrics`, which has no authentication, in an `App` of its own.
    pub fn configure_metrics(&self) -> impl FnOnce(&mut ServiceConfig) + use<> {
        http::configure_scrape(&self.scrape)
    }

    /// Publishes changes to the sessions and streams of this server.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.actors.changes
    }

    /// Revokes tokens, users and clients.
    #[must_use]
    pub fn auth(&self) -> &AuthHandle {
        self.state.guard.auth()
    }

    pub(super) fn guard(&self) -> &Guard {
        &self.state.guard
    }

    /// The connections of the listener. They appear in the metrics.
    pub(super) fn start_connections(&self, capacity: Capacity, patience: Patience) -> Connections {
        let metrics = Arc::clone(self.state.metrics.connections());
        Connections::start(capacity, patience, Arc::clone(&self.state.budgets), metrics)
    }

    /// The connections of a listener for operators.
    pub(super) fn start_small_connections(
        &self,
        capacity: Capacity,
        patience: Patience,
    ) -> Connections {
        let budgets = Arc::clone(&self.state.budgets);
        Connections::start(capacity, patience, budgets, Arc::default())
    }

    /// The number of open legacy sessions.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        let sessions = self.state.sessions.as_ref();
        sessions.map_or(0, Sessions::open_sessions)
    }

    /// Resolves when an actor that every request needs has stopped.
    pub async fn actor_stopped(&self) -> ActorStopped {
        loop {
            if !self.state.guard.auth().is_alive() {
                return ActorStopped("AuthActor");
            }
            if !self.actors.changes.is_alive() {
                return ActorStopped("ChangeNotifier");
            }
            sleep(ACTOR_WATCH).await;
        }
    }

    /// Makes `/readyz` report that the server is not ready. It goes on serving.
    pub fn begin_shutdown(&self) {
        self.actors.health.drain();
    }

    /// Closes streams and cancels requests to clients, so that requests in progress can complete. For
    /// programs that mount the server and stop the HTTP server themselves.
    pub async fn end_streams(&self) {
        self.state.listeners.close();
        if let Some(sessions) = &self.state.sessions {
            sessions.begin_shutdown().await;
        }
    }

    /// Sends what waits to the other processes, writes what waits for the audit file, and exports the remaining
    /// spans. The last step of a shutdown.
    pub async fn finish(&self) {
        if let Some(bus) = &self.actors.bus {
            bus.outbox.stop();
            let ended = bus.ended.lock().take();
            if let Some(ended) = ended {
                // It ends with an error: its sender is dropped.
                let _ = timeout(BUS_END, ended).await;
            }
        }
        self.state.audit.flush();
        #[cfg(feature = "otlp")]
        if let Some(spans) = &self.state.spans {
            spans.clone().finish().await;
        }
    }
}

fn sealer(keys: Option<&SealingKeys>) -> Sealer {
    match keys {
        Some(keys) => Sealer::new(&keys.current, keys.previous.as_ref()),
        None => {
            log::info!(
                "no sealing keys are set: request states and session ids are encrypted with a random key and not accepted by other processes"
            );
            Sealer::random()
        }
    }
}

/// Without keys nobody else can read the ids of sessions, and these end with the process.
fn continuity(
    keys: Option<&SealingKeys>,
    store: Option<Arc<dyn SessionStore>>,
    outbox: Option<Arc<Outbox>>,
) -> Continuity {
    match keys {
        Some(keys) => Continuity::across_processes(
            &keys.current,
            keys.previous.as_ref(),
            store.unwrap_or_else(|| Arc::new(InMemorySessionStore::default())),
            outbox,
        ),
        None => Continuity::of_this_process(),
    }
}

fn nonces(mode: DpopMode, keys: Option<&SealingKeys>) -> Option<Nonces> {
    match (mode, keys) {
        (DpopMode::Off | DpopMode::On, _) => None,
        // Processes behind one URL share the key and therefore accept each other's nonces.
        (DpopMode::Nonce, Some(keys)) => Some(Nonces::derived_from(&keys.current)),
        (DpopMode::Nonce, None) => Some(Nonces::random()),
    }
}
