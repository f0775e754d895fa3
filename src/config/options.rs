//! The keys, each a flag and an environment variable, as text: reading them is `read.rs`'s.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, parser::ValueSource};

/// What `epicme serve` is told. Every value is text here, so that all faults can be told at once.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Where to listen
    #[arg(
        long,
        env = "EPICME_BIND",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8787"
    )]
    pub(super) bind: String,

    /// Where clients reach the server; the resource is this plus /mcp. Must be https unless loopback
    #[arg(
        long,
        env = "EPICME_PUBLIC_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8787"
    )]
    pub(super) public_url: String,

    /// A certificate with its chain (PEM): with it and its key, what listens speaks TLS. Both files are
    /// read again when they change, and on SIGHUP
    #[arg(long, env = "EPICME_TLS_CERTIFICATE_FILE", value_name = "FILE")]
    pub(super) tls_certificate_file: Option<PathBuf>,

    /// The certificate's private key (PEM)
    #[arg(long, env = "EPICME_TLS_KEY_FILE", value_name = "FILE")]
    pub(super) tls_key_file: Option<PathBuf>,

    /// PostgreSQL, as a libpq URL (required, here or in DATABASE_URL_FILE)
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub(super) database_url: Option<String>,

    /// A file that holds DATABASE_URL
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub(super) database_url_file: Option<PathBuf>,

    /// Connections to PostgreSQL
    #[arg(
        long,
        env = "EPICME_DATABASE_POOL",
        value_name = "N",
        default_value = "10"
    )]
    pub(super) database_pool: String,

    /// Run pending migrations at start: on or off
    #[arg(
        long,
        env = "EPICME_MIGRATE",
        value_name = "ON|OFF",
        default_value = "off"
    )]
    pub(super) migrate: String,

    /// A JSON file that describes one or more authorization servers (docs/AUTHORIZATION.md), in place of
    /// EPICME_ISSUER and all keys of EPICME_INTROSPECTION, EPICME_JWT, EPICME_JWKS and EPICME_AUDIENCE
    #[arg(long, env = "EPICME_ISSUERS_FILE", value_name = "FILE")]
    pub(super) issuers_file: Option<PathBuf>,

    /// The authorization server's issuer identifier (required, unless EPICME_ISSUERS_FILE is set)
    #[arg(long, env = "EPICME_ISSUER", value_name = "URL")]
    pub(super) issuer: Option<String>,

    /// Where the issuer's metadata is fetched, if not under the issuer's own URL. Its issuer must be
    /// EPICME_ISSUER all the same
    #[arg(long, env = "EPICME_ISSUER_METADATA_URL", value_name = "URL")]
    pub(super) issuer_metadata_url: Option<String>,

    /// The introspection endpoint; by default the one that the issuer's metadata names
    #[arg(long, env = "EPICME_INTROSPECTION_URL", value_name = "URL")]
    pub(super) introspection_url: Option<String>,

    /// How introspection is authenticated: client_secret_basic, client_secret_post, private_key_jwt or
    /// bearer
    #[arg(
        long,
        env = "EPICME_INTROSPECTION_AUTHENTICATION",
        value_name = "METHOD",
        default_value = "client_secret_basic"
    )]
    pub(super) introspection_authentication: String,

    /// The client id with which introspection is called (required, but with bearer, and with EPICME_JWT=on)
    #[arg(long, env = "EPICME_INTROSPECTION_CLIENT_ID", value_name = "ID")]
    pub(super) introspection_client_id: Option<String>,

    /// The name of the private key at the authorization server (kid), for private_key_jwt
    #[arg(long, env = "EPICME_INTROSPECTION_CLIENT_KEY_ID", value_name = "ID")]
    pub(super) introspection_client_key_id: Option<String>,

    /// The client secret, the private key in PEM (PKCS#8) or the bearer token (required as the client id
    /// is, here or in EPICME_INTROSPECTION_CLIENT_SECRET_FILE)
    #[arg(
        long,
        env = "EPICME_INTROSPECTION_CLIENT_SECRET",
        value_name = "SECRET",
        hide_env_values = true
    )]
    pub(super) introspection_client_secret: Option<String>,

    /// A file that holds it. It is read again when it changes, and on SIGHUP
    #[arg(
        long,
        env = "EPICME_INTROSPECTION_CLIENT_SECRET_FILE",
        value_name = "FILE"
    )]
    pub(super) introspection_client_secret_file: Option<PathBuf>,

    /// Demand introspection replies that are signed (RFC 9701): on or off
    #[arg(
        long,
        env = "EPICME_INTROSPECTION_SIGNED",
        value_name = "ON|OFF",
        default_value = "off"
    )]
    pub(super) introspection_signed: String,

    /// How long an introspection reply is believed at most; the token's own end may come sooner. This
    /// is also how long a revoked token may still be accepted. 0s turns the cache off
    #[arg(
        long,
        env = "EPICME_INTROSPECTION_CACHE",
        value_name = "DURATION",
        default_value = "60s"
    )]
    pub(super) introspection_cache: String,

    /// How many introspection replies are kept
    #[arg(
        long,
        env = "EPICME_INTROSPECTION_CACHE_ENTRIES",
        value_name = "N",
        default_value = "10000"
    )]
    pub(super) introspection_cache_entries: String,

    /// How long it is believed that a token is no good. 0s asks each time
    #[arg(
        long,
        env = "EPICME_INTROSPECTION_NEGATIVE_CACHE",
        value_name = "DURATION",
        default_value = "5s"
    )]
    pub(super) introspection_negative_cache: String,

    /// While the authorization server cannot be asked: for how long beyond its lifetime a reply still
    /// lets its user read (never write, never past the token's end). 0s turns this off
    #[arg(
        long,
        env = "EPICME_INTROSPECTION_STALE",
        value_name = "DURATION",
        default_value = "0s"
    )]
    pub(super) introspection_stale: String,

    /// How long an introspection may take, a second try included
    #[arg(
        long,
        env = "EPICME_INTROSPECTION_TIMEOUT",
        value_name = "DURATION",
        default_value = "3s"
    )]
    pub(super) introspection_timeout: String,

    /// Access tokens that are JWTs (RFC 9068): off has them introspected as all others, on verifies them
    /// by the issuer's keys alone, introspected does both, so that a revoked one is found to be so
    #[arg(
        long,
        env = "EPICME_JWT",
        value_name = "OFF|ON|INTROSPECTED",
        default_value = "off"
    )]
    pub(super) jwt: String,

    /// The algorithms with which JWTs may be signed, separated by spaces
    #[arg(
        long,
        env = "EPICME_JWT_ALGORITHMS",
        value_name = "ALGORITHMS",
        default_value = "ES256 RS256 PS256 EdDSA"
    )]
    pub(super) jwt_algorithms: String,

    /// The issuer's key set; by default the one that the issuer's metadata names
    #[arg(long, env = "EPICME_JWKS_URL", value_name = "URL")]
    pub(super) jwks_url: Option<String>,

    /// Accept tokens without an audience: on or off. Only for an authorization server that is known to
    /// send none, and that sends token_type; any of its access tokens is then accepted here
    #[arg(
        long,
        env = "EPICME_AUDIENCE_OPTIONAL",
        value_name = "ON|OFF",
        default_value = "off"
    )]
    pub(super) audience_optional: String,

    /// Hosts of a private network, separated by spaces, on which the introspection endpoint, the key set
    /// and the metadata of an issuer may be reached by http: tokens and secrets go there in the clear
    #[arg(
        long,
        env = "EPICME_PLAIN_HTTP_HOSTS",
        value_name = "HOSTS",
        default_value = ""
    )]
    pub(super) plain_http_hosts: String,

    /// The scopes that a client is told to ask for to begin with, separated by spaces
    #[arg(
        long,
        env = "EPICME_BASELINE_SCOPES",
        value_name = "SCOPES",
        default_value = "user:read entries:read entries:write tags:read tags:write"
    )]
    pub(super) baseline_scopes: String,

    /// Take tokens that are bound to a key, with a proof of it (DPoP): off, on, or nonce, which has each
    /// proof contain a nonce of this server's
    #[arg(
        long,
        env = "EPICME_DPOP",
        value_name = "OFF|ON|NONCE",
        default_value = "on"
    )]
    pub(super) dpop: String,

    /// Threads that serve HTTP; by default one per core
    #[arg(long, env = "EPICME_WORKERS", value_name = "N")]
    pub(super) workers: Option<String>,

    /// Where Prometheus asks for metrics (GET /metrics), or off. Whoever reaches it can read them, so it
    /// belongs on loopback or a private network
    #[arg(
        long,
        env = "EPICME_METRICS_BIND",
        value_name = "ADDRESS|OFF",
        default_value = "127.0.0.1:9464"
    )]
    pub(super) metrics_bind: String,

    /// A collector that is told of every request (OpenTelemetry's OTLP over HTTP), such as
    /// http://127.0.0.1:4318. By default none is
    #[cfg(feature = "otlp")]
    #[arg(long, env = "EPICME_OTLP_ENDPOINT", value_name = "URL")]
    pub(super) otlp_endpoint: Option<String>,

    /// Origins that may use /mcp from a browser, separated by spaces; the public URL's own always may
    #[arg(
        long,
        env = "EPICME_ALLOWED_ORIGINS",
        value_name = "ORIGINS",
        default_value = ""
    )]
    pub(super) allowed_origins: String,

    /// Hosts (host or host:port) that the server answers to besides the public URL's, separated by spaces
    #[arg(
        long,
        env = "EPICME_ALLOWED_HOSTS",
        value_name = "HOSTS",
        default_value = ""
    )]
    pub(super) allowed_hosts: String,

    /// Proxies that are believed when they say for whom they ask (Forwarded, X-Forwarded-For): addresses
    /// and ranges such as 10.0.0.0/8, separated by spaces. By default none is
    #[arg(
        long,
        env = "EPICME_TRUSTED_PROXIES",
        value_name = "ADDRESSES",
        default_value = ""
    )]
    pub(super) trusted_proxies: String,

    /// How many tokens from one address (IPv6: one /64) the authorization server may refuse in a minute,
    /// and at once, before others that are not known are answered 429. Those that are being asked about
    /// count until it is known that they are good. 0 is no limit
    #[arg(
        long,
        env = "EPICME_UNKNOWN_TOKENS_PER_MINUTE",
        value_name = "N",
        default_value = "60"
    )]
    pub(super) unknown_tokens_per_minute: String,

    /// Requests of one user in a minute, and at once. 0 is no limit
    #[arg(
        long,
        env = "EPICME_REQUESTS_PER_MINUTE_PER_USER",
        value_name = "N",
        default_value = "6000"
    )]
    pub(super) requests_per_minute_per_user: String,

    /// Requests of one client of an authorization server, for all its users, in a minute, and at once.
    /// 0 is no limit: a client that is hosted may serve everybody
    #[arg(
        long,
        env = "EPICME_REQUESTS_PER_MINUTE_PER_CLIENT",
        value_name = "N",
        default_value = "0"
    )]
    pub(super) requests_per_minute_per_client: String,

    /// Serve the legacy revisions 2025-03-26 to 2025-11-25 besides 2026-07-28: on or off
    #[arg(
        long,
        env = "EPICME_LEGACY",
        value_name = "ON|OFF",
        default_value = "on"
    )]
    pub(super) legacy: String,

    /// Serve a copy of the issuer's metadata, for clients of 2025-03-26: on or off
    #[arg(
        long,
        env = "EPICME_AUTHORIZATION_SERVER_RELAY",
        value_name = "ON|OFF",
        default_value = "on"
    )]
    pub(super) authorization_server_relay: String,

    /// The key that seals what modern clients carry while they ask their user (requestState): 32 bytes in
    /// Base64 (openssl rand -base64 32), the same for every process behind one address. By default each
    /// process draws one at start, and accepts no other's
    #[arg(
        long,
        env = "EPICME_REQUEST_STATE_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    pub(super) request_state_key: Option<String>,

    /// A file that holds this key
    #[arg(long, env = "EPICME_REQUEST_STATE_KEY_FILE", value_name = "FILE")]
    pub(super) request_state_key_file: Option<PathBuf>,

    /// The key before this one: it opens what was sealed with it, and seals nothing. For ten minutes
    /// after the key was changed
    #[arg(
        long,
        env = "EPICME_REQUEST_STATE_PREVIOUS_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    pub(super) request_state_previous_key: Option<String>,

    /// A file that holds the previous key
    #[arg(
        long,
        env = "EPICME_REQUEST_STATE_PREVIOUS_KEY_FILE",
        value_name = "FILE"
    )]
    pub(super) request_state_previous_key_file: Option<PathBuf>,

    /// What the authorization server or an operator proves that a token was revoked or somebody is to
    /// be cut off, at least 16 characters. Without one, nobody can
    #[arg(
        long,
        env = "EPICME_REVOCATION_SECRET",
        value_name = "SECRET",
        hide_env_values = true
    )]
    pub(super) revocation_secret: Option<String>,

    /// A file that holds this secret
    #[arg(long, env = "EPICME_REVOCATION_SECRET_FILE", value_name = "FILE")]
    pub(super) revocation_secret_file: Option<PathBuf>,

    /// Streams of modern clients (subscriptions/listen) in all
    #[arg(
        long,
        env = "EPICME_STREAMS",
        value_name = "N",
        default_value = "20000"
    )]
    pub(super) streams: String,

    /// Streams of modern clients per user
    #[arg(
        long,
        env = "EPICME_STREAMS_PER_USER",
        value_name = "N",
        default_value = "100"
    )]
    pub(super) streams_per_user: String,

    /// Legacy sessions in all
    #[arg(
        long,
        env = "EPICME_SESSIONS",
        value_name = "N",
        default_value = "20000"
    )]
    pub(super) sessions: String,

    /// Legacy sessions per user; at one more, the user's longest idle one gives way
    #[arg(
        long,
        env = "EPICME_SESSIONS_PER_USER",
        value_name = "N",
        default_value = "200"
    )]
    pub(super) sessions_per_user: String,

    /// How long a legacy session lives without being used
    #[arg(
        long,
        env = "EPICME_SESSION_IDLE",
        value_name = "DURATION",
        default_value = "30m"
    )]
    pub(super) session_idle: String,

    /// How long the server may take to stop when it is told to (SIGTERM): streams end, requests are
    /// answered, accepted writes are done. Whatever is left then is given up, and the exit code is 75.
    /// Shorter than the grace of whoever stops it
    #[arg(
        long,
        env = "EPICME_DRAIN_TIMEOUT",
        value_name = "DURATION",
        default_value = "25s"
    )]
    pub(super) drain_timeout: String,

    /// How much of that it goes on serving while /readyz says 503 already, so that a load balancer finds
    /// out before connections are refused
    #[arg(
        long,
        env = "EPICME_DRAIN_DELAY",
        value_name = "DURATION",
        default_value = "0s"
    )]
    pub(super) drain_delay: String,

    /// How long a legacy session lives at most
    #[arg(
        long,
        env = "EPICME_SESSION_LIFETIME",
        value_name = "DURATION",
        default_value = "24h"
    )]
    pub(super) session_lifetime: String,
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// The environment.
    Environment,
    /// A flag.
    Flag,
    /// A file that the environment or a flag names.
    File,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Environment => "environment",
            Self::Flag => "flag",
            Self::File => "file",
        })
    }
}

/// Where each key's value came from, by the key's name in the environment.
#[derive(Clone, Debug, Default)]
pub struct Sources(BTreeMap<&'static str, Source>);

impl Sources {
    /// Reads the sources off what clap matched. `command` is what it matched against.
    #[must_use]
    pub fn of(matches: &ArgMatches, command: &clap::Command) -> Self {
        // clap keeps the names of environment variables as text that lives as long as the command;
        // the keys of this file are the only ones looked up, so they are matched against those.
        let sources = super::read::KEYS.iter().filter_map(|key| {
            let argument = command
                .get_arguments()
                .find(|argument| argument.get_env().is_some_and(|env| env == *key))?;
            let source = match matches.value_source(argument.get_id().as_str())? {
                ValueSource::EnvVariable => Source::Environment,
                ValueSource::CommandLine => Source::Flag,
                _ => Source::Default,
            };
            Some((*key, source))
        });
        Self(sources.collect())
    }

    /// Where a key's value came from.
    #[must_use]
    pub fn get(&self, key: &str) -> Source {
        self.0.get(key).copied().unwrap_or(Source::Default)
    }
}

impl Default for Options {
    /// What the options say where neither the environment nor a flag says anything else.
    fn default() -> Self {
        let command = Bare::command().mut_args(|argument| argument.env(None::<&str>));
        let matches = command.get_matches_from(["epicme"]);
        Bare::from_arg_matches(&matches)
            .expect("the defaults are complete")
            .options
    }
}

#[derive(clap::Parser)]
struct Bare {
    #[command(flatten)]
    options: Options,
}

#[cfg(feature = "dev")]
impl Options {
    /// Options for a server that has everything on its own machine. All its clients share an address, and
    /// none of them is a stranger, so there are no limits, nor are there metrics that nobody asks for.
    #[must_use]
    pub fn for_one_machine(
        address: std::net::SocketAddr,
        issuer: &str,
        introspection_secret: &secrecy::SecretString,
        database_url: &secrecy::SecretString,
    ) -> Self {
        use secrecy::ExposeSecret;
        Self {
            bind: address.to_string(),
            public_url: format!("http://{address}"),
            issuer: Some(issuer.to_owned()),
            introspection_client_id: Some("epicme".to_owned()),
            introspection_client_secret: Some(introspection_secret.expose_secret().to_owned()),
            database_url: Some(database_url.expose_secret().to_owned()),
            metrics_bind: "off".to_owned(),
            unknown_tokens_per_minute: "0".to_owned(),
            requests_per_minute_per_user: "0".to_owned(),
            ..Self::default()
        }
    }
}
