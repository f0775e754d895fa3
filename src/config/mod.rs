//! **Lives here:** the configuration: which keys there are, what they may say, and everything that is
//! wrong with them at once.
//!
//! **May enter:** `main`, `app`, `dev`. Each section goes to the room that needs it; [`Config`] itself
//! never travels further than `app`.
//!
//! **Never here:** a default that is not in `--help`; a secret in an error or in a printed value.
//!
//! **Begin with** `options.rs`, which is the list of keys; `issuers_file.rs` reads what they cannot tell.

mod issuer_fields;
mod issuers;
mod issuers_file;
mod limits;
mod options;
mod read;
mod secrets;
mod tls;
mod units;
mod warnings;

use std::{
    fmt,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use secrecy::{SecretBox, SecretString};
use url::Url;

use crate::{
    domain::address_range::AddressRange,
    oauth::{
        client_authentication::ClientAuthentication,
        keys::Algorithm,
        url::{IssuerUrl, PlainHttpHosts, PublicUrl},
    },
    tls::Identity,
};

pub use self::{
    options::{Options, Source, Sources},
    read::EffectiveValue,
};

/// The configuration of `epicme serve`, all of it valid.
#[derive(Clone, Debug)]
pub struct Config {
    /// The HTTP listener and who may use it.
    pub http: HttpConfig,
    /// The authorization servers and how far each is believed; at least one.
    pub issuers: Vec<IssuerConfig>,
    /// The database.
    pub database: DatabaseConfig,
    /// With what the states of modern calls are sealed.
    pub request_state: RequestStateConfig,
    /// Legacy sessions; `None` where the legacy era is switched off.
    pub sessions: Option<SessionConfig>,
    /// How the server ends.
    pub drain: DrainConfig,
}

/// How the server ends.
#[derive(Clone, Copy, Debug)]
pub struct DrainConfig {
    /// How long all of it may take.
    pub timeout: Duration,
    /// How long it goes on serving, and says that it is not ready, before it begins to stop.
    pub delay: Duration,
}

/// The HTTP listener and who may use it.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where to listen.
    pub bind: SocketAddr,
    /// Where clients reach the server.
    pub public_url: PublicUrl,
    /// With what the listener speaks TLS; `None` has it speak plain HTTP.
    pub tls: Option<Identity>,
    /// How many threads serve HTTP.
    pub workers: NonZeroUsize,
    /// Where metrics are asked for; `None` where they are not.
    pub metrics: Option<SocketAddr>,
    /// The collector that is told of every request, if there is one.
    #[cfg(feature = "otlp")]
    pub collector: Option<Url>,
    /// Origins that may use `/mcp` from a browser, besides the public URL's own.
    pub allowed_origins: Vec<String>,
    /// Hosts that the server answers to, besides the public URL's own.
    pub allowed_hosts: Vec<String>,
    /// Whether pages served by this machine may use `/mcp` from a browser. `epicme dev` alone.
    pub loopback_origins: bool,
    /// Proxies that are believed when they say for whom they ask.
    pub trusted_proxies: Vec<AddressRange>,
    /// How often what may be asked.
    pub limits: LimitConfig,
    /// What a client is told to ask for to begin with.
    pub baseline: Vec<String>,
    /// Whether and how proofs of a token's key are taken.
    pub proofs: ProofConfig,
    /// How many `subscriptions/listen` streams there may be.
    pub streams: StreamConfig,
    /// Whether the issuer's metadata is served here too, for 2025-03-26 clients.
    pub relays_authorization_server: bool,
    /// What proves that somebody may be cut off; `None` where nobody may say so.
    pub revocation_secret: Option<SecretString>,
}

/// Whether and how proofs of a token's key are taken (DPoP, RFC 9449).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofConfig {
    /// Not at all: tokens that are bound to a key cannot be used.
    Off,
    /// For tokens that are bound to a key.
    On,
    /// The same, and each has to have a nonce of this server's.
    Nonce,
}

/// How often what may be asked in a minute, and at once; `None` is as often as anybody likes.
#[derive(Clone, Copy, Debug)]
pub struct LimitConfig {
    /// Tokens from one address that are not known yet, and no good.
    pub unknown_tokens: Option<NonZeroU32>,
    /// Requests of one user.
    pub requests_per_user: Option<NonZeroU32>,
    /// Requests of one client of one issuer, for all its users.
    pub requests_per_client: Option<NonZeroU32>,
}

/// An authorization server and how far it is believed.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// Its identifier.
    pub url: IssuerUrl,
    /// What its opaque tokens begin with; empty if nothing is known of them.
    pub token_prefixes: Vec<String>,
    /// Where its metadata is; `None` looks for it under the identifier (RFC 8414 §3.1).
    pub metadata_url: Option<Url>,
    /// Hosts on which its endpoints may be reached by http.
    pub plain_http_hosts: PlainHttpHosts,
    /// Its introspection endpoint; `None` finds it in the issuer's metadata.
    pub introspection_url: Option<Url>,
    /// As whom introspection is called; `None` if the issuer's tokens are verified by its keys alone.
    pub client: Option<ClientAuthentication>,
    /// Whether introspection replies have to be signed (RFC 9701).
    pub signed_replies: bool,
    /// How its tokens that are JWTs are verified; `None` has every token introspected.
    pub jwt: Option<JwtConfig>,
    /// Its key set; `None` finds it in the issuer's metadata.
    pub keys_url: Option<Url>,
    /// How long an answer is believed at most.
    pub cache_lifetime: Duration,
    /// How many answers are kept.
    pub cache_entries: NonZeroUsize,
    /// How long it is believed that a token is no good.
    pub negative_cache_lifetime: Duration,
    /// For how long beyond its lifetime an answer still lets its user read during an outage.
    pub stale: Duration,
    /// How long one call may take.
    pub timeout: Duration,
    /// Whether a token without `aud` is accepted.
    pub audience_may_be_absent: bool,
}

/// How tokens that are JWTs are verified (RFC 9068).
#[derive(Clone, Debug)]
pub struct JwtConfig {
    /// The algorithms that are accepted.
    pub algorithms: Vec<Algorithm>,
    /// Whether the issuer is asked as well.
    pub introspected: bool,
}

/// The database.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// A libpq URL.
    pub url: SecretString,
    /// How many connections.
    pub pool: NonZeroU32,
    /// Whether pending migrations are run at start.
    pub migrate: bool,
    /// Whether it could not be reached at start: then its schema is looked at as soon as it can be, and
    /// nothing is asked before. No key says so; `serve` finds out.
    pub awaited: bool,
}

/// With what the states of modern calls are sealed, which a client carries from one round to the next.
#[derive(Clone, Debug, Default)]
pub struct RequestStateConfig {
    /// Seals and opens; `None` has each process draw one of its own.
    pub key: Option<SealingKey>,
    /// Opens what was sealed before the key was changed.
    pub previous_key: Option<SealingKey>,
}

/// A key that seals.
pub type SealingKey = Arc<SecretBox<[u8; 32]>>;

/// What it means that no key was set.
pub const ONE_PROCESS: &str = "states of other processes are not accepted";

/// How many `subscriptions/listen` streams there may be.
#[derive(Clone, Copy, Debug)]
pub struct StreamConfig {
    /// Streams in all.
    pub in_all: NonZeroUsize,
    /// Streams per user.
    pub per_user: NonZeroUsize,
}

/// How many legacy sessions there may be, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct SessionConfig {
    /// Sessions in all.
    pub in_all: NonZeroUsize,
    /// Sessions per user.
    pub per_user: NonZeroUsize,
    /// How long a session lives without being used.
    pub idle: Duration,
    /// How long a session lives at most.
    pub lifetime: Duration,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Fault>);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key, by its name in the environment.
    pub key: &'static str,
    /// Where the value came from.
    pub source: Source,
    /// What is wrong with it; never the value of a secret.
    pub reason: String,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "fault" } else { "faults" };
        writeln!(f, "the configuration has {count} {noun}:")?;
        for fault in &self.0 {
            writeln!(f, "  {} ({}): {}", fault.key, fault.source, fault.reason)?;
        }
        write!(f, "`epicme serve --help` explains every key")
    }
}

impl std::error::Error for ConfigErrors {}
