//! The configuration itself: plain structs, one for each part of the program. They can be filled by hand;
//! `keys.rs` says how the environment and flags fill them.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use secrecy::{SecretBox, SecretString};
use url::Url;

use crate::scopes::JournalScopes;
use mcp_server::{audit::AddressDetail, tls::Identity};
use resource_server::{
    address_range::AddressRange,
    issuer::ClientAuthentication,
    jose::keys::Algorithm,
    token_rules::{JwtType, TokenRules},
    url::{IssuerUrl, PlainHttpHosts, PublicUrl},
};

/// The configuration of `epicme serve`, all of it valid.
#[derive(Clone, Debug)]
pub struct Config {
    /// The HTTP listener.
    pub http: HttpConfig,
    /// The authorization servers whose tokens are accepted; at least one.
    pub issuers: Vec<IssuerConfig>,
    /// PostgreSQL.
    pub database: DatabaseConfig,
    /// The keys that seal the state of multi round-trip calls.
    pub request_state: RequestStateConfig,
    /// Legacy sessions; `None` if the legacy era is switched off.
    pub sessions: Option<SessionConfig>,
    /// How the server shuts down.
    pub drain: DrainConfig,
    /// The audit log.
    pub audit: AuditConfig,
}

/// The audit log.
#[derive(Clone, Debug)]
pub struct AuditConfig {
    /// How much of an address is written.
    pub address: AddressDetail,
    /// The file of its lines; `None` if they are in the log alone.
    pub file: Option<PathBuf>,
    /// The key of the hashes.
    pub key: Option<SecretString>,
}

/// How the server shuts down.
#[derive(Clone, Copy, Debug)]
pub struct DrainConfig {
    /// The time limit for all of it.
    pub timeout: Duration,
    /// How long the server keeps serving, while `/readyz` answers 503, before it stops accepting.
    pub delay: Duration,
}

/// The HTTP listener, and the clients that it accepts.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// The address to listen on.
    pub bind: SocketAddr,
    /// The URL under which clients reach the server.
    pub public_url: PublicUrl,
    /// The certificate and key of the listener; `None` for plain HTTP.
    pub tls: Option<Identity>,
    /// How many threads serve HTTP.
    pub workers: NonZeroUsize,
    /// The address of the listener for metrics; `None` if there is none.
    pub metrics: Option<SocketAddr>,
    /// The OpenTelemetry collector that receives a span for every request. Builds without the feature
    /// `otlp` ignore it.
    pub collector: Option<Url>,
    /// Origins that may use `/mcp` from a browser, besides the public URL's.
    pub allowed_origins: Vec<String>,
    /// Hosts that the server answers to, besides the public URL's.
    pub allowed_hosts: Vec<String>,
    /// Whether pages served by this machine may use `/mcp` from a browser. For `epicme dev` only.
    pub loopback_origins: bool,
    /// Whether every issuer is asked at the start, and the server is not ready before it has answered. No key turns
    /// this off; tests do, which count what an issuer is asked.
    pub asks_issuers: bool,
    /// Proxies whose `Forwarded` and `X-Forwarded-For` are trusted.
    pub trusted_proxies: Vec<AddressRange>,
    /// Rate limits.
    pub limits: LimitConfig,
    /// The scopes that a client should request first.
    pub baseline: JournalScopes,
    /// Whether results of tools have links to resources.
    pub resource_links: bool,
    /// Whether lists have features that a token does not permit.
    pub list_all_features: bool,
    /// Whether tokens bound to a key are accepted.
    pub proofs: ProofConfig,
    /// The number of connections.
    pub connections: ConnectionConfig,
    /// What clients may make the server use.
    pub memory: MemoryConfig,
    /// The number of `subscriptions/listen` streams.
    pub streams: StreamConfig,
    /// Whether the issuer's metadata is served here too, for 2025-03-26 clients.
    pub relays_authorization_server: bool,
    /// The secret that authenticates revocation requests; `None` disables the revocation endpoints.
    pub revocation_secret: Option<SecretString>,
    /// The address of the listener for operators; `None` has their endpoints on the main one.
    pub admin: Option<SocketAddr>,
}

/// Whether tokens bound to a key are accepted (DPoP, RFC 9449).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofConfig {
    /// No: they are refused.
    Off,
    /// Yes, with a proof of the key.
    On,
    /// Yes, and each proof must contain a nonce that this server issued (RFC 9449 §9).
    Nonce,
}

/// Rate limits per minute, each also the size of a burst; `None` is no limit.
#[derive(Clone, Copy, Debug)]
pub struct LimitConfig {
    /// Tokens from one address that are not cached and turn out to be invalid.
    pub unknown_tokens: Option<NonZeroU32>,
    /// Requests of one user.
    pub requests_per_user: Option<NonZeroU32>,
    /// Requests of one client of one issuer, for all its users.
    pub requests_per_client: Option<NonZeroU32>,
}

/// An authorization server whose tokens are accepted.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// Its identifier.
    pub url: IssuerUrl,
    /// What its opaque tokens begin with; empty if that is unknown.
    pub token_prefixes: Vec<String>,
    /// The URL of its metadata; `None` for the well-known one of the identifier (RFC 8414 §3.1).
    pub metadata_url: Option<Url>,
    /// Hosts whose endpoints may be reached by http.
    pub plain_http_hosts: PlainHttpHosts,
    /// Addresses that are not on the internet, at which endpoints of its metadata may be.
    pub private_addresses: Vec<AddressRange>,
    /// Its introspection endpoint; `None` for the one in its metadata.
    pub introspection_url: Option<Url>,
    /// Whether introspection responses must be signed (RFC 9701).
    pub signed_replies: bool,
    /// How its tokens are verified.
    pub verification: Verification,
    /// Its key set; `None` for the one in its metadata.
    pub keys_url: Option<Url>,
    /// How long a valid token is cached at most.
    pub cache_lifetime: Duration,
    /// How many tokens are cached.
    pub cache_entries: NonZeroUsize,
    /// How long an invalid token is cached.
    pub negative_cache_lifetime: Duration,
    /// How long after its cache entry expired a token may still read, while the issuer is unreachable.
    pub stale: Duration,
    /// The time limit of one call.
    pub timeout: Duration,
    /// What is accepted of its tokens beyond the RFCs.
    pub rules: TokenRules,
    /// The types of JWTs that are accepted, where JWTs are verified.
    pub jwt_types: Vec<JwtType>,
    /// The audiences of logout tokens that are accepted besides the client id for introspection.
    pub logout_audiences: Vec<String>,
}

/// How the tokens of an issuer are verified.
#[derive(Clone, Debug)]
pub enum Verification {
    /// Every token is introspected (RFC 7662), as this client.
    Introspection(ClientAuthentication),
    /// JWTs (RFC 9068) are verified with the issuer's keys only.
    Jwt {
        /// The algorithms that are accepted.
        algorithms: Vec<Algorithm>,
        /// The client that introspects tokens which are not JWTs; `None` refuses them.
        opaque: Option<ClientAuthentication>,
    },
    /// JWTs are verified with the issuer's keys and then introspected, so that a revoked one is noticed.
    JwtThenIntrospection {
        /// The algorithms that are accepted.
        algorithms: Vec<Algorithm>,
        /// The client that introspects every token.
        client: ClientAuthentication,
    },
}

impl Verification {
    /// The client that introspects, if there is one.
    #[must_use]
    pub fn client(&self) -> Option<&ClientAuthentication> {
        match self {
            Self::Introspection(client) | Self::JwtThenIntrospection { client, .. } => Some(client),
            Self::Jwt { opaque, .. } => opaque.as_ref(),
        }
    }
}

/// PostgreSQL.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// A libpq URL.
    pub url: SecretString,
    /// The number of connections.
    pub pool: NonZeroU32,
    /// The most entries of a user; 0 for no limit.
    pub quota_entries: u64,
    /// The most bytes of text in the entries of a user; 0 for no limit.
    pub quota_bytes: u64,
    /// Whether rows of several users may be written by one statement.
    pub group_commit: bool,
    /// Whether connections are given the user whom they serve, for row-level security.
    pub row_level_security: bool,
    /// Whether pending migrations run at start.
    pub migrate: bool,
    /// Whether the process exchanges changes and revocations with others that share the database.
    pub bus: bool,
    /// A libpq URL that leads to PostgreSQL itself; `None` if `url` does.
    pub direct_url: Option<SecretString>,
    /// Whether its schema is unknown at start, because it was unreachable or migrations are to be run. Its schema is then
    /// checked once it can be reached, and nothing uses it before. No key sets this; `serve` finds out.
    pub schema_unknown_at_start: bool,
}

impl DatabaseConfig {
    /// The URL that leads to PostgreSQL itself, for the bus and for migrations.
    #[must_use]
    pub fn direct_url(&self) -> &SecretString {
        self.direct_url.as_ref().unwrap_or(&self.url)
    }
}

/// The keys that seal the state that a client carries through a multi round-trip call (`requestState`).
#[derive(Clone, Debug, Default)]
pub struct RequestStateConfig {
    /// Seals and opens. With `None`, each process generates a key.
    pub key: Option<SealingKey>,
    /// Only opens what was sealed before the key was changed.
    pub previous_key: Option<SealingKey>,
}

/// A key that seals.
pub type SealingKey = Arc<SecretBox<[u8; 32]>>;

/// The consequence if `EPICME_REQUEST_STATE_KEY` is not set.
pub const ONE_PROCESS: &str = "states of other processes are not accepted";

/// The number of `subscriptions/listen` streams.
#[derive(Clone, Copy, Debug)]
pub struct StreamConfig {
    /// Streams of all users together.
    pub in_all: NonZeroUsize,
    /// Streams per user.
    pub per_user: NonZeroUsize,
}

/// The number of connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionConfig {
    /// Connections of all clients together.
    pub in_all: NonZeroUsize,
    /// Connections of one source that have brought no good token.
    pub per_source: NonZeroUsize,
}

/// What clients may make the server use.
#[derive(Clone, Copy, Debug)]
pub struct MemoryConfig {
    /// Requests of one user that are in flight.
    pub requests_per_user: NonZeroUsize,
    /// Memory for the bodies of requests, in MiB.
    pub bodies_mib: NonZeroUsize,
    /// Memory for answers that are being sent, in MiB.
    pub answers_mib: NonZeroUsize,
    /// Memory for events of sessions, in MiB.
    pub events_mib: NonZeroUsize,
}

/// The number and the lifetime of legacy sessions.
#[derive(Clone, Copy, Debug)]
pub struct SessionConfig {
    /// Sessions of all users together.
    pub in_all: NonZeroUsize,
    /// Sessions per user and client.
    pub per_user: NonZeroUsize,
    /// How long a session lives without a request.
    pub idle: Duration,
    /// How long a session lives at most.
    pub lifetime: Duration,
}
