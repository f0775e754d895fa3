//! The builder: what a server has and how it runs, declared in code.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    num::NonZeroUsize,
    sync::Arc,
};

use rmcp::model::Icon;
use secrecy::SecretString;
#[cfg(feature = "otlp")]
use url::Url;

use super::{
    listener::listen,
    running::Bound,
    service::Service,
    settings::{DpopMode, DrainSettings, SealingKeys, StartError, StreamLimits, TimeLimits},
};
use crate::{
    dispatch::OnCall,
    features::{
        call_record::CallRecord, catalogue::Features, changes::Changes, replay_store::ReplayStore,
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
};

/// A protected MCP server, being declared.
///
/// What is not said has a default that is safe on the open internet: proofs of possession are accepted,
/// only the public URL's own host and origin are allowed, unknown tokens are limited for each address.
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
    pub(crate) changes: Option<Changes>,
    pub(crate) replay_store: Option<Arc<dyn ReplayStore>>,
    pub(crate) on_call: Vec<OnCall>,
    pub(crate) health_checks: Vec<HealthCheck>,
    pub(crate) metric_sources: Vec<Arc<dyn MetricSource>>,
    pub(crate) metrics_prefix: String,
    pub(crate) metrics_bind: Option<SocketAddr>,
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
    pub(crate) tls: Option<Identity>,
    #[cfg(feature = "otlp")]
    pub(crate) collector: Option<Url>,
    pub(crate) clock: Clock,
}

impl Server {
    /// A server of this name, which clients reach at this URL. The MCP endpoint is `/mcp` under it.
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
            changes: None,
            replay_store: None,
            on_call: Vec::new(),
            health_checks: Vec::new(),
            metric_sources: Vec::new(),
            metrics_prefix: "mcp".to_owned(),
            metrics_bind: None,
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
            tls: None,
            #[cfg(feature = "otlp")]
            collector: None,
            clock: Clock::system(),
        }
    }

    /// The server's version, for clients.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.info.version = version.into();
        self
    }

    /// The server's name for people.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.info.title = Some(title.into());
        self
    }

    /// What the server is, in a sentence.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.info.description = Some(description.into());
        self
    }

    /// The server's page.
    #[must_use]
    pub fn website(mut self, url: impl Into<String>) -> Self {
        self.info.website_url = Some(url.into());
        self
    }

    /// An icon of the server. May be called several times.
    #[must_use]
    pub fn icon(mut self, icon: Icon) -> Self {
        self.info.icons.push(icon);
        self
    }

    /// What models should know before they use the server.
    #[must_use]
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.info.instructions = Some(instructions.into());
        self
    }

    /// The path of the MCP endpoint under the public URL; `/mcp` unless said otherwise.
    #[must_use]
    pub fn endpoint(mut self, path: impl Into<String>) -> Self {
        self.endpoint = path.into();
        self
    }

    /// The `realm` of challenges (RFC 9110 §11.5); the server's title or name unless said otherwise.
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// The first line of the page at `/`; the server's title and description unless said otherwise.
    #[must_use]
    pub fn headline(mut self, headline: impl Into<String>) -> Self {
        self.headline = Some(headline.into());
        self
    }

    /// The resource's name in its metadata (RFC 9728 §2, `resource_name`); the server's title or name
    /// unless said otherwise.
    #[must_use]
    pub fn resource_name(mut self, name: impl Into<String>) -> Self {
        self.resource_name = Some(name.into());
        self
    }

    /// Where developers read about the server (RFC 9728 §2, `resource_documentation`); the public URL
    /// unless said otherwise.
    #[must_use]
    pub fn documentation(mut self, url: impl Into<String>) -> Self {
        self.documentation = Some(url.into());
        self
    }

    /// An authorization server whose tokens are accepted. At least one is needed.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<Issuer>) -> Self {
        self.guard = self.guard.issuer(issuer);
        self
    }

    /// Declares a scope: its name, and what it permits for people on a consent page. At most 64.
    #[must_use]
    pub fn scope(mut self, name: impl Into<String>, description: impl Into<String>) -> Self {
        self.guard = self.guard.scope(name, description);
        self
    }

    /// Treats tokens with the scope `broad` as if they had `narrow` too.
    #[must_use]
    pub fn scope_implies(mut self, broad: &str, narrow: &[&str]) -> Self {
        self.guard = self.guard.scope_implies(broad, narrow.iter().copied());
        self
    }

    /// The scopes that a client is told to ask for when it comes without a token; all unless said
    /// otherwise.
    #[must_use]
    pub fn baseline<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.guard = self.guard.baseline(scopes);
        self
    }

    /// The scopes that a token keeps while its issuer cannot be reached and the last answer is older
    /// than its lifetime: those that only read. None unless said otherwise.
    #[must_use]
    pub fn stale_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.guard = self.guard.stale_scopes(scopes);
        self
    }

    /// How changes are published: what publishes them has a clone of this. Without it, resources never
    /// change.
    #[must_use]
    pub fn changes(mut self, changes: Changes) -> Self {
        self.changes = Some(changes);
        self
    }

    /// Where used request states are remembered; in the memory of this process unless said otherwise.
    #[must_use]
    pub fn replay_store(mut self, store: Arc<dyn ReplayStore>) -> Self {
        self.replay_store = Some(store);
        self
    }

    /// Calls a function when a call of a feature has ended. It must not block.
    #[must_use]
    pub fn on_call(mut self, on_call: impl Fn(CallRecord) + Send + Sync + 'static) -> Self {
        self.on_call.push(Box::new(on_call));
        self
    }

    /// Adds something that has to work for the server to be ready.
    #[must_use]
    pub fn health_check(mut self, check: HealthCheck) -> Self {
        self.health_checks.push(check);
        self
    }

    /// Adds metrics.
    #[must_use]
    pub fn metrics(mut self, source: Arc<dyn MetricSource>) -> Self {
        self.metric_sources.push(source);
        self
    }

    /// What the names of metrics begin with; `mcp` unless said otherwise.
    #[must_use]
    pub fn metrics_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.metrics_prefix = prefix.into();
        self
    }

    /// Serves metrics for Prometheus at `/metrics` on a listener of their own, without authentication.
    #[must_use]
    pub fn metrics_bind(mut self, address: SocketAddr) -> Self {
        self.metrics_bind = Some(address);
        self
    }

    /// The keys that seal what clients carry; drawn at start unless given, which does for one process.
    #[must_use]
    pub fn sealing_keys(mut self, keys: SealingKeys) -> Self {
        self.sealing_keys = Some(keys);
        self
    }

    /// Whether proofs of a token's key are accepted.
    #[must_use]
    pub fn dpop(mut self, mode: DpopMode) -> Self {
        self.dpop = mode;
        self
    }

    /// Hosts that the server answers to, besides the public URL's own.
    #[must_use]
    pub fn allowed_hosts(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.allowed_hosts.extend(hosts);
        self
    }

    /// Origins whose pages may use the endpoint, besides the public URL's own.
    #[must_use]
    pub fn allowed_origins(mut self, origins: impl IntoIterator<Item = String>) -> Self {
        self.allowed_origins.extend(origins);
        self
    }

    /// Whether pages served by this machine may use the endpoint: for development.
    #[must_use]
    pub fn loopback_origins(mut self, allowed: bool) -> Self {
        self.loopback_origins = allowed;
        self
    }

    /// How many requests are accepted in a minute, and which proxies are trusted to say for whom they
    /// forward.
    #[must_use]
    pub fn rate_limits(mut self, limits: RateLimits) -> Self {
        self.guard = self.guard.rate_limits(limits);
        self
    }

    /// How many sessions clients of the legacy revisions may have; `None` switches the legacy era off.
    #[must_use]
    pub fn sessions(mut self, sessions: Option<SessionSettings>) -> Self {
        self.sessions = sessions;
        self
    }

    /// How many `subscriptions/listen` streams may be open.
    #[must_use]
    pub fn streams(mut self, limits: StreamLimits) -> Self {
        self.streams = limits;
        self
    }

    /// Whether the first issuer's metadata is served here too, for clients of 2025-03-26, which look for
    /// it here. On unless said otherwise.
    #[must_use]
    pub fn relays_authorization_server(mut self, relays: bool) -> Self {
        self.relays_authorization_server = relays;
        self
    }

    /// The secret with which revocations are accepted; without one, those endpoints do not exist.
    #[must_use]
    pub fn revocation_secret(mut self, secret: SecretString) -> Self {
        self.revocation_secret = Some(secret);
        self
    }

    /// How many threads serve HTTP; as many as there are processors unless said otherwise.
    #[must_use]
    pub fn workers(mut self, workers: NonZeroUsize) -> Self {
        self.workers = workers;
        self
    }

    /// How the server stops.
    #[must_use]
    pub fn drain(mut self, drain: DrainSettings) -> Self {
        self.drain = drain;
        self
    }

    /// How long an exchange with a client may take.
    #[must_use]
    pub fn time_limits(mut self, limits: TimeLimits) -> Self {
        self.time_limits = limits;
        self
    }

    /// Serves over TLS with this certificate and key.
    #[must_use]
    pub fn tls(mut self, identity: Identity) -> Self {
        self.tls = Some(identity);
        self
    }

    /// Sends a span of every request to an OpenTelemetry collector.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn collector(mut self, url: Url) -> Self {
        self.collector = Some(url);
        self
    }

    /// The clock; the machine's unless said otherwise. Tests move one by hand.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Builds the server to be mounted in an actix-web `App`: see [`Service::configure`]. Needs an actix
    /// `System`.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn build(self) -> Result<Service, StartError> {
        Service::new(self)
    }

    /// Builds the server and listens at the first of these addresses that is free. Needs an actix
    /// `System`.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn bind(self, addresses: impl ToSocketAddrs) -> Result<Bound, StartError> {
        let mut refused =
            io::Error::new(io::ErrorKind::InvalidInput, "there is no address to bind");
        for address in addresses.to_socket_addrs()? {
            match listen(address) {
                Ok(listener) => return self.listen(listener),
                Err(error) => refused = error,
            }
        }
        Err(refused.into())
    }

    /// Builds the server for a listener that is open already.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn listen(self, listener: TcpListener) -> Result<Bound, StartError> {
        Bound::new(self, listener)
    }
}
