//! The builder of a server.

use std::{net::SocketAddr, num::NonZeroUsize, sync::Arc};

use secrecy::SecretString;
#[cfg(feature = "otlp")]
use url::Url;

use super::settings::{DpopMode, DrainSettings, SealingKeys, StreamLimits, TimeLimits};
use crate::{
    audit::AuditSettings,
    budgets::MemoryLimits,
    bus::Bus,
    connections::ConnectionLimits,
    dispatch::OnCall,
    features::{
        call_record::CallRecord, catalogue::Features, changes::Changes, presentation::Presentation,
        replay_store::ReplayStore, session_store::SessionStore,
    },
    http::HealthCheck,
    metrics::MetricSource,
    session::SessionSettings,
    tls::Identity,
};
use mcp_protocol::server_info::ServerInfo;
use resource_server::{
    clock::Clock,
    guard::{Guard, GuardBuilder},
    issuer::Issuer,
    limits::RateLimits,
    revocation::RevocationStore,
};

/// The builder of a protected MCP server.
///
/// The defaults are meant for the open internet: DPoP proofs are accepted, only the host and the origin of
/// the public URL are allowed, and invalid tokens are limited per client address. At least one issuer is
/// required.
///
/// ```no_run
/// use mcp_server::server::Server;
/// use resource_server::Issuer;
///
/// # async fn run() -> std::io::Result<()> {
/// Server::new("files", "https://files.example")
///     .version("1.0.0")
///     .issuer(Issuer::introspecting("https://login.example", "files", "secret"))
///     .scope("files:read", "Read your files")
///     .bind("127.0.0.1:8080")?
///     .run()
///     .await
/// # }
/// ```
pub struct Server {
    pub(crate) info: ServerInfo,
    pub(crate) public_url: String,
    pub(crate) endpoint: String,
    pub(crate) realm: Option<String>,
    pub(crate) headline: Option<String>,
    pub(crate) documentation: Option<String>,
    pub(crate) resource_name: Option<String>,
    pub(crate) guard: GuardBuilder,
    pub(crate) features: Features,
    pub(crate) presentation: Presentation,
    pub(crate) changes: Option<Changes>,
    pub(crate) bus: Option<Arc<dyn Bus>>,
    pub(crate) replay_store: Option<Arc<dyn ReplayStore>>,
    pub(crate) session_store: Option<Arc<dyn SessionStore>>,
    pub(crate) on_call: Vec<OnCall>,
    pub(crate) health_checks: Vec<HealthCheck>,
    pub(crate) metric_sources: Vec<Arc<dyn MetricSource>>,
    pub(crate) metrics_prefix: String,
    pub(crate) metrics_bind: Option<SocketAddr>,
    pub(crate) admin_bind: Option<SocketAddr>,
    pub(crate) sealing_keys: Option<SealingKeys>,
    pub(crate) dpop: DpopMode,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) loopback_origins: bool,
    pub(crate) sessions: Option<SessionSettings>,
    pub(crate) streams: StreamLimits,
    pub(crate) relays_authorization_server: bool,
    pub(crate) revocation_secret: Option<SecretString>,
    pub(crate) workers: NonZeroUsize,
    pub(crate) drain: DrainSettings,
    pub(crate) time_limits: TimeLimits,
    pub(crate) connections: ConnectionLimits,
    pub(crate) memory: MemoryLimits,
    pub(crate) tls: Option<Identity>,
    #[cfg(feature = "otlp")]
    pub(crate) collector: Option<Url>,
    pub(crate) audit: AuditSettings,
    pub(crate) clock: Clock,
}

impl Server {
    /// Creates a builder. `name` is the name for programs (MCP, `Implementation`), `public_url` the URL under
    /// which clients reach the server, without the endpoint.
    #[must_use]
    pub fn new(name: impl Into<String>, public_url: impl Into<String>) -> Self {
        Self {
            info: ServerInfo::new(name, "0.0.0"),
            public_url: public_url.into(),
            endpoint: "/mcp".to_owned(),
            realm: None,
            headline: None,
            documentation: None,
            resource_name: None,
            guard: Guard::builder(""),
            features: Features::default(),
            presentation: Presentation::default(),
            changes: None,
            bus: None,
            replay_store: None,
            session_store: None,
            on_call: Vec::new(),
            health_checks: Vec::new(),
            metric_sources: Vec::new(),
            metrics_prefix: "mcp".to_owned(),
            metrics_bind: None,
            admin_bind: None,
            sealing_keys: None,
            dpop: DpopMode::default(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            loopback_origins: false,
            sessions: Some(SessionSettings::default()),
            streams: StreamLimits::default(),
            relays_authorization_server: true,
            revocation_secret: None,
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            drain: DrainSettings::default(),
            time_limits: TimeLimits::default(),
            connections: ConnectionLimits::default(),
            memory: MemoryLimits::default(),
            tls: None,
            #[cfg(feature = "otlp")]
            collector: None,
            audit: AuditSettings::default(),
            clock: Clock::system(),
        }
    }

    /// The path of the MCP endpoint under the public URL; `/mcp` by default. It must begin with a slash.
    #[must_use]
    pub fn endpoint(mut self, path: impl Into<String>) -> Self {
        self.endpoint = path.into();
        self
    }

    /// The `realm` of challenges (RFC 9110 §11.5); the title or the name by default.
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Adds an authorization server whose tokens are accepted. At least one is required.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<Issuer>) -> Self {
        self.guard = self.guard.issuer(issuer);
        self
    }

    /// Declares a scope: its name, and a description of what it permits. At most 64 scopes.
    #[must_use]
    pub fn scope(mut self, name: impl Into<String>, description: impl Into<String>) -> Self {
        self.guard = self.guard.scope(name, description);
        self
    }

    /// Treats tokens with the scope `broad` as if they also had the scopes `narrow`.
    #[must_use]
    pub fn scope_implies(mut self, broad: &str, narrow: &[&str]) -> Self {
        self.guard = self.guard.scope_implies(broad, narrow.iter().copied());
        self
    }

    /// The scopes that a client without a token is asked to request (`scope` of the challenge); all declared
    /// scopes by default.
    #[must_use]
    pub fn baseline<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.guard = self.guard.baseline(scopes);
        self
    }

    /// The scopes that a token keeps while its issuer is unreachable and the cached introspection result has
    /// expired. Name only scopes that permit reading. None by default.
    #[must_use]
    pub fn stale_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.guard = self.guard.stale_scopes(scopes);
        self
    }

    /// The channel through which the program publishes changes of resources. Without it, clients are never
    /// notified of any.
    #[must_use]
    pub fn changes(mut self, changes: Changes) -> Self {
        self.changes = Some(changes);
        self
    }

    /// Connects this process with the others of the same server: they notify their clients of each other's changes,
    /// and obey each other's revocations at once. Without a bus, this process is taken for the only one. The
    /// messages are encrypted with the [sealing keys](Server::sealing_keys), if there are any.
    #[must_use]
    pub fn bus(mut self, bus: Arc<dyn Bus>) -> Self {
        self.bus = Some(bus);
        self
    }

    /// The store that remembers used request states. In memory by default, which is enough for one process
    /// only.
    #[must_use]
    pub fn replay_store(mut self, store: Arc<dyn ReplayStore>) -> Self {
        self.replay_store = Some(store);
        self
    }

    /// The store of what legacy sessions gather and of those that have ended. In memory by default, which is enough
    /// for one process only. Without [`Server::sealing_keys`] sessions end with their process, and it is not used.
    #[must_use]
    pub fn session_store(mut self, store: Arc<dyn SessionStore>) -> Self {
        self.session_store = Some(store);
        self
    }

    /// Calls a function after each call of a feature. It must not block. May be called several times.
    #[must_use]
    pub fn on_call(mut self, on_call: impl Fn(CallRecord) + Send + Sync + 'static) -> Self {
        self.on_call.push(Box::new(on_call));
        self
    }

    /// Adds a check to `/readyz`.
    #[must_use]
    pub fn health_check(mut self, check: HealthCheck) -> Self {
        self.health_checks.push(check);
        self
    }

    /// Adds a source of metrics.
    #[must_use]
    pub fn metrics(mut self, source: Arc<dyn MetricSource>) -> Self {
        self.metric_sources.push(source);
        self
    }

    /// The prefix of the names of metrics; `mcp` by default.
    #[must_use]
    pub fn metrics_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.metrics_prefix = prefix.into();
        self
    }

    /// Serves `/metrics` for Prometheus on a listener of its own. It has no authentication.
    #[must_use]
    pub fn metrics_bind(mut self, address: SocketAddr) -> Self {
        self.metrics_bind = Some(address);
        self
    }

    /// Serves the endpoints that need [`Server::revocation_secret`] on a listener of their own, by plain HTTP, and
    /// no longer on the public one. Choose an address on loopback or a private network.
    #[must_use]
    pub fn admin_bind(mut self, address: SocketAddr) -> Self {
        self.admin_bind = Some(address);
        self
    }

    /// Where revocations are kept, so that they outlive the process; in its memory by default. No token is
    /// accepted until the stored revocations were read.
    #[must_use]
    pub fn revocation_store(mut self, store: Arc<dyn RevocationStore>) -> Self {
        self.guard = self.guard.revocation_store(store);
        self
    }

    /// Asks every issuer at the start, about a random string and for its keys, and again until it has answered. The
    /// server is not ready (`/readyz`) before. Default: no.
    #[must_use]
    pub fn ask_issuers_at_start(mut self, asks: bool) -> Self {
        self.guard = self.guard.ask_issuers_at_start(asks);
        self
    }

    /// The keys that encrypt request states and the ids of legacy sessions, and derive DPoP nonces. Random by default,
    /// which is enough for one process only.
    #[must_use]
    pub fn sealing_keys(mut self, keys: SealingKeys) -> Self {
        self.sealing_keys = Some(keys);
        self
    }

    /// Whether DPoP proofs are accepted; see [`DpopMode`].
    #[must_use]
    pub fn dpop(mut self, mode: DpopMode) -> Self {
        self.dpop = mode;
        self
    }

    /// Adds values of `Host` that are accepted besides the host of the public URL.
    #[must_use]
    pub fn allowed_hosts(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.allowed_hosts.extend(hosts);
        self
    }

    /// Adds origins whose pages may use the endpoint besides the origin of the public URL.
    #[must_use]
    pub fn allowed_origins(mut self, origins: impl IntoIterator<Item = String>) -> Self {
        self.allowed_origins.extend(origins);
        self
    }

    /// Whether pages with a loopback origin (`localhost`, 127.0.0.0/8, `::1`) may use the endpoint. For
    /// development; off by default.
    #[must_use]
    pub fn loopback_origins(mut self, allowed: bool) -> Self {
        self.loopback_origins = allowed;
        self
    }

    /// How many requests are accepted per minute, and which proxies are trusted to name the client's address.
    #[must_use]
    pub fn rate_limits(mut self, limits: RateLimits) -> Self {
        self.guard = self.guard.rate_limits(limits);
        self
    }

    /// The limits of legacy sessions; `None` disables the legacy revisions.
    #[must_use]
    pub fn sessions(mut self, sessions: Option<SessionSettings>) -> Self {
        self.sessions = sessions;
        self
    }

    /// The limits of `subscriptions/listen` streams.
    #[must_use]
    pub fn streams(mut self, limits: StreamLimits) -> Self {
        self.streams = limits;
        self
    }

    /// Whether the first issuer's metadata is also served here, because clients of MCP 2025-03-26 look for it
    /// at the resource server. On by default.
    #[must_use]
    pub fn relays_authorization_server(mut self, relays: bool) -> Self {
        self.relays_authorization_server = relays;
        self
    }

    /// The shared secret of the endpoints that receive revocations from operators and from whoever reports revoked
    /// tokens. Without one they do not exist. See also [`Server::admin_bind`].
    #[must_use]
    pub fn revocation_secret(mut self, secret: SecretString) -> Self {
        self.revocation_secret = Some(secret);
        self
    }

    /// The number of HTTP worker threads; the number of processors by default.
    #[must_use]
    pub fn workers(mut self, workers: NonZeroUsize) -> Self {
        self.workers = workers;
        self
    }

    /// How the server shuts down.
    #[must_use]
    pub fn drain(mut self, drain: DrainSettings) -> Self {
        self.drain = drain;
        self
    }

    /// The timeouts of exchanges with clients.
    #[must_use]
    pub fn time_limits(mut self, limits: TimeLimits) -> Self {
        self.time_limits = limits;
        self
    }

    /// How many connections there may be.
    #[must_use]
    pub fn connections(mut self, limits: ConnectionLimits) -> Self {
        self.connections = limits;
        self
    }

    /// How much memory clients may make the process use.
    #[must_use]
    pub fn memory(mut self, limits: MemoryLimits) -> Self {
        self.memory = limits;
        self
    }

    /// Serves over TLS with this certificate and key.
    #[must_use]
    pub fn tls(mut self, identity: Identity) -> Self {
        self.tls = Some(identity);
        self
    }

    /// How the audit log is written.
    #[must_use]
    pub fn audit(mut self, settings: AuditSettings) -> Self {
        self.audit = settings;
        self
    }

    /// Exports a span of every request to an OpenTelemetry collector (OTLP over HTTP).
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn collector(mut self, url: Url) -> Self {
        self.collector = Some(url);
        self
    }

    /// The clock; the system clock by default. Tests use [`Clock::manual`].
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}
