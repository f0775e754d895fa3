//! The table of keys. From it come the flags and their help, the `_FILE` variants of secrets, what
//! `check-config` prints and docs/CONFIGURATION.md. To add a key, add a row here and the field that it
//! fills; the macro's documentation in `key.rs` explains a row.

use std::{num::NonZeroUsize, thread::available_parallelism};

use super::{
    key::{Heading, Key, keys},
    kind::{
        Amount, Choice, Count, File, Items, Limit, List, Optional, OrElse, OrNone, OrOff, Secret,
        Switch, SwitchOr, Text, Time, address,
    },
    parts::{Client, DatabaseHosts, DatabaseUrl, Issuers, Legacy, TlsFiles},
    reader::Reader,
    rules,
    sections::{
        AuditConfig, ConnectionConfig, DatabaseConfig, DrainConfig, HttpConfig, IssuerConfig,
        LimitConfig, MemoryConfig, RequestStateConfig, SessionConfig, StreamConfig, Verification,
    },
    words,
};
use crate::storage::PlainDatabaseHosts;
use mcp_server::tls::Identity;
use resource_server::{
    address_range::AddressRange,
    jose::keys::Algorithm,
    token_rules::{ClientClaim, JwtType, ScopeClaim, TokenRules},
    url::PlainHttpHosts,
};

/// An hour, in seconds.
const HOUR: u64 = 3_600;

/// A year, in seconds.
const YEAR: u64 = 366 * 24 * HOUR;

/// The highest number of anything that is counted.
const MOST: u32 = 1_000_000;

keys! {
    HTTP: HttpKeys, http(reader, tls: Option<Identity>) -> HttpConfig {
        Server {
            /// Address and port to listen on.
            bind: Key::new("EPICME_BIND", "ADDRESS").default("127.0.0.1:8787") => Text(address);

            /// URL under which clients reach the server. The protected resource is this URL plus /mcp. Must be
            /// https, except on a loopback host.
            public_url: Key::new("EPICME_PUBLIC_URL", "URL").default("http://127.0.0.1:8787")
                => Text(rules::public_url);

            /// Number of threads that serve HTTP. Default: one per processor core.
            workers: Key::new("EPICME_WORKERS", "N")
                => OrElse(Count(MOST), || available_parallelism().unwrap_or(NonZeroUsize::MIN));

            /// Hosts (host or host:port) that the server answers to in addition to the public URL's, separated
            /// by spaces.
            allowed_hosts: Key::new("EPICME_ALLOWED_HOSTS", "HOSTS").default("") => List(rules::host);

            /// Origins of web pages, desktop apps and extensions that may call /mcp in addition to the public URL's
            /// origin, separated by spaces, such as tauri://localhost.
            allowed_origins: Key::new("EPICME_ALLOWED_ORIGINS", "ORIGINS").default("") => List(rules::origin);

            /// Reverse proxies whose Forwarded and X-Forwarded-For headers are trusted: addresses and ranges
            /// such as 10.0.0.0/8, separated by spaces.
            trusted_proxies: Key::new("EPICME_TRUSTED_PROXIES", "ADDRESSES").default("") => List(rules::range);
        }
        Clients {
            /// Scopes that a client without a token should request first, separated by spaces.
            baseline: Key::new("EPICME_BASELINE_SCOPES", "SCOPES")
                .default("user:read entries:read entries:write tags:read tags:write") => Text(rules::scopes);

            /// Tokens bound to a key (DPoP, RFC 9449): off refuses them, on accepts them with a proof of the
            /// key, nonce also requires a server-issued nonce in each proof.
            proofs: Key::new("EPICME_DPOP", "OFF|ON|NONCE").default("on") => Choice(words::PROOFS);

            /// Whether results of tools have links to resources (resource_link): on or off. LangChain agents stop at
            /// the first link; without links, each item of a result has its URI.
            resource_links: Key::new("EPICME_RESOURCE_LINKS", "ON|OFF").default("off") => Switch;

            /// Whether lists of tools, prompts and resources include those for which the token lacks scopes: on or
            /// off. Calls of these are refused with the scopes that they need, which some hosts then request from
            /// their user.
            list_all_features: Key::new("EPICME_LIST_ALL_FEATURES", "ON|OFF").default("off") => Switch;

            /// Whether to serve a copy of the issuer's metadata, for clients of revision 2025-03-26: on or off.
            relays_authorization_server: Key::new("EPICME_AUTHORIZATION_SERVER_RELAY", "ON|OFF").default("on")
                => Switch;
        }
        Secrets {
            /// Secret with which the authorization server or an operator revokes tokens, users and clients, at
            /// least 16 characters. Without it the revocation endpoints are disabled.
            revocation_secret: Key::secret("EPICME_REVOCATION_SECRET", "SECRET")
                => Optional(Secret(rules::revocation_secret), "(not set: revocation endpoints are disabled)");

            /// Address and port of a listener for operators, such as 127.0.0.1:8788. The paths that need
            /// EPICME_REVOCATION_SECRET (/admin/… and /oauth/revoked) are then served only there, by plain HTTP.
            /// Without it they are served on EPICME_BIND.
            admin: Key::new("EPICME_ADMIN_BIND", "ADDRESS")
                => Optional(Text(address), "(not set: operators' paths are served on EPICME_BIND)");
        }
        Observability {
            /// Address and port of the listener for Prometheus (GET /metrics), or off. It has no
            /// authentication, so keep it on loopback or a private network.
            metrics: Key::new("EPICME_METRICS_BIND", "ADDRESS|OFF").default("127.0.0.1:9464")
                => OrOff(Text(address));

            /// OpenTelemetry collector that receives a span for every request (OTLP over HTTP), such as
            /// http://127.0.0.1:4318. Only in builds with the feature `otlp`.
            collector: Key::new("EPICME_OTLP_ENDPOINT", "URL") => Optional(Text(rules::collector), "(not set)");
        }
        .. {
            tls: Some(tls),
            limits: limits(reader),
            connections: connections(reader),
            memory: memory(reader),
            streams: streams(reader),
            loopback_origins: Some(false),
            asks_issuers: Some(true),
        }
    }

    TLS: TlsKeys, tls_files(reader) -> TlsFiles {
        Tls {
            /// PEM file with the certificate and its chain. With it and its key the server speaks TLS, without
            /// them plain HTTP. Both files are read again when they change, and on SIGHUP.
            certificate: Key::new("EPICME_TLS_CERTIFICATE_FILE", "FILE") => Optional(File, "(not set: plain HTTP)");

            /// PEM file with the certificate's private key.
            key: Key::new("EPICME_TLS_KEY_FILE", "FILE") => Optional(File, "(not set: plain HTTP)");
        }
    }

    DATABASE_URL: DatabaseUrlKeys, database_url(reader, plain: &PlainDatabaseHosts) -> DatabaseUrl {
        Database {
            /// PostgreSQL database, as a libpq URL. Required. On another machine it is reached by TLS
            /// (docs/SECURITY.md).
            url: Key::secret("DATABASE_URL", "URL") => Secret(|url| rules::database_url(&url, plain));
        }
    }

    DATABASE_HOSTS: DatabaseHostsKeys, database_hosts(reader) -> partial DatabaseHosts {
        Database {
            /// Hosts of a private network where the database may be reached without TLS, written as in DATABASE_URL,
            /// separated by spaces or commas. The password and every entry may be sent there unencrypted.
            plain: Key::new("EPICME_PLAIN_DATABASE_HOSTS", "HOSTS").default("")
                => Items(PlainDatabaseHosts::read, |hosts: &PlainDatabaseHosts| hosts.names().to_vec());
        }
    }

    DATABASE: DatabaseKeys, database(reader, plain: &PlainDatabaseHosts) -> DatabaseConfig {
        Database {
            /// Number of connections to PostgreSQL.
            pool: Key::new("EPICME_DATABASE_POOL", "N").default("10") => Count(1_000);

            /// Maximum number of entries of a user. 0 is no limit.
            quota_entries: Key::new("EPICME_QUOTA_ENTRIES_PER_USER", "N").default("1000000") => Amount;

            /// Maximum number of bytes of text in the entries of a user. 0 is no limit.
            quota_bytes: Key::new("EPICME_QUOTA_BYTES_PER_USER", "BYTES").default("1073741824") => Amount;

            /// Whether one statement writes entries of several users that arrive together, and their counts of
            /// activity: on or off. Off is for a database whose tables are distributed by user.
            group_commit: Key::new("EPICME_GROUP_COMMIT", "ON|OFF").default("on") => Switch;

            /// Whether PostgreSQL itself limits each statement to the rows of its user (row-level security): on or
            /// off. If on, each connection is told its user, and `epicme migrate` turns the policies on
            /// (docs/OPERATIONS.md). It needs a serving role that does not own the tables.
            row_level_security: Key::new("EPICME_ROW_LEVEL_SECURITY", "ON|OFF").default("off") => Switch;

            /// Whether to run pending migrations at start: on or off.
            migrate: Key::new("EPICME_MIGRATE", "ON|OFF").default("off") => Switch;

            /// Whether this process exchanges changes and revocations with other processes on the same database, over
            /// a separate connection (LISTEN and NOTIFY): on or off. Off is for a single process.
            bus: Key::new("EPICME_BUS", "ON|OFF").default("on") => Switch;

            /// URL of the same database that leads to PostgreSQL itself, if DATABASE_URL leads to a pooler. It is used
            /// for EPICME_BUS and for migrations.
            direct_url: Key::secret("EPICME_DATABASE_DIRECT_URL", "URL") => Optional(
                Secret(|url| rules::database_url(&url, plain)),
                "(not set: DATABASE_URL is used)",
            );
        }
        .. { url: database_url(reader, plain).map(|database| database.url), schema_unknown_at_start: Some(false) }
    }

    ISSUER: IssuerKeys, issuer(
        reader, plain: &PlainHttpHosts, private: &[AddressRange], signed: Option<bool>,
        types: Option<Vec<JwtType>>, verification: Option<Verification>
    ) -> IssuerConfig {
        AuthorizationServer {
            /// Issuer identifier of the authorization server, exactly as it writes it. Required, unless
            /// EPICME_ISSUERS_FILE is set.
            url: Key::new("EPICME_ISSUER", "URL").member("issuer") => Text(rules::issuer);

            /// Prefixes of the issuer's opaque tokens, at most 20. If there are several issuers, each needs this or
            /// jwt.
            token_prefixes: Key::member_only("tokenPrefixes", "PREFIXES").default("")
                => Items(rules::prefixes, Vec::clone);

            /// URL of the issuer's metadata, if it is not at the well-known location under the issuer identifier. The
            /// metadata must still name that identifier.
            metadata_url: Key::new("EPICME_ISSUER_METADATA_URL", "URL").member("metadataUrl")
                => Optional(Text(|url: &str| rules::endpoint(url, plain)), "(under the issuer's own URL)");

            /// Client ids, besides that of introspection, whose logout tokens end sessions here, separated by spaces:
            /// those with which people sign in at the issuer (docs/AUTHORIZATION.md).
            logout_audiences: Key::new("EPICME_LOGOUT_AUDIENCES", "CLIENT_IDS").default("")
                .member("logoutAudiences") => List(rules::client_id);
        }
        Introspection {
            /// Introspection endpoint. Defaults to the one in the issuer's metadata.
            introspection_url: Key::new("EPICME_INTROSPECTION_URL", "URL").member("introspection.url")
                => Optional(Text(|url: &str| rules::endpoint(url, plain)), "(from the issuer's metadata)");

            /// Time limit of one introspection, including a retry, up to 30s.
            timeout: Key::new("EPICME_INTROSPECTION_TIMEOUT", "DURATION").default("3s")
                .member("introspection.timeout") => Time::at_least(50).at_most(30);
        }
        TokenCache {
            /// Maximum time for which a valid token is cached, up to 1h and never past its expiry. A revoked token
            /// can be accepted for this long. 0s turns the cache off.
            cache_lifetime: Key::new("EPICME_INTROSPECTION_CACHE", "DURATION").default("60s")
                .member("introspection.cache") => Time::ANY.at_most(HOUR);

            /// Number of tokens in the cache.
            cache_entries: Key::new("EPICME_INTROSPECTION_CACHE_ENTRIES", "N").default("10000")
                .member("introspection.cacheEntries") => Count(MOST);

            /// How long an invalid token is cached, up to 1m. 0s asks the authorization server each time.
            negative_cache_lifetime: Key::new("EPICME_INTROSPECTION_NEGATIVE_CACHE", "DURATION").default("5s")
                .member("introspection.negativeCache") => Time::ANY.at_most(60);

            /// While the authorization server is unreachable: how long after its cache entry expired a token
            /// may still read, up to 1h (it never writes, and never outlives its expiry). 0s turns this off.
            stale: Key::new("EPICME_INTROSPECTION_STALE", "DURATION").default("0s")
                .member("introspection.stale") => Time::ANY.at_most(HOUR);
        }
        Jwt {
            /// Key set of the issuer (JWKS). Defaults to the one in the issuer's metadata.
            keys_url: Key::new("EPICME_JWKS_URL", "URL").member("jwksUrl")
                => Optional(Text(|url: &str| rules::endpoint(url, plain)), "(from the issuer's metadata)");
        }
        .. {
            plain_http_hosts: Some(plain.clone()),
            private_addresses: Some(private.to_vec()),
            signed_replies: signed,
            rules: token_rules(reader),
            jwt_types: types,
            verification: verification,
        }
    }

    RULES: RuleKeys, token_rules(reader) -> TokenRules {
        AuthorizationServer {
            /// Audiences of tokens that are accepted besides the URL of this resource, compared as exact text,
            /// separated by spaces. Only for an authorization server that cannot put that URL into aud.
            audiences: Key::new("EPICME_AUDIENCES", "AUDIENCES").default("").member("audiences")
                => Items(rules::audiences, words::audiences);

            /// Whether to accept tokens without an audience: off, on (if they have token_type), or untyped (even
            /// without it; only if the authorization server does not call refresh tokens active). Only for an
            /// authorization server that sends no audience: all its access tokens are then accepted here.
            absent_audience: Key::new("EPICME_AUDIENCE_OPTIONAL", "ON|OFF|UNTYPED").default("off")
                .member("audienceOptional") => SwitchOr(words::ABSENT_AUDIENCES);

            /// Claim that identifies the user: sub or username. With username, a new user with the name of a former
            /// user gets that user's journal. Only for an authorization server that sends no sub.
            subject: Key::new("EPICME_SUBJECT", "SUB|USERNAME").default("sub").member("subject")
                => Choice(words::SUBJECTS);

            /// Claims that name the client of a token, in the order in which they are tried: client_id, azp, cid,
            /// appid.
            client_claims: Key::new("EPICME_CLIENT_CLAIMS", "CLAIMS").default("client_id").member("clientClaims")
                => Items(rules::client_claims, |all: &Vec<_>| words::names(all, ClientClaim::as_str));

            /// Claims that contain the scopes of a token, in the order in which they are tried: scope, scp.
            scope_claims: Key::new("EPICME_SCOPE_CLAIMS", "CLAIMS").default("scope").member("scopeClaims")
                => Items(rules::scope_claims, |all: &Vec<_>| words::names(all, ScopeClaim::as_str));

            /// Prefix that the authorization server adds to the names of scopes, such as api://journal/. Clients are
            /// told the names with it; tokens may have them with or without it.
            scope_prefix: Key::new("EPICME_SCOPE_PREFIX", "PREFIX").default("").member("scopePrefix")
                => OrNone(Text(rules::scope_prefix));
        }
    }

    ISSUERS: IssuersKeys, issuers_keys(reader) -> partial Issuers {
        AuthorizationServer {
            /// JSON file that describes one or more authorization servers (docs/AUTHORIZATION.md). It replaces
            /// EPICME_ISSUER and every other key that describes a single one.
            file: Key::new("EPICME_ISSUERS_FILE", "FILE") => Optional(File, "(not set)");

            /// Hosts of a private network whose metadata, introspection endpoint and key set may be reached by
            /// http, separated by spaces. Tokens and secrets are sent there without encryption.
            plain_http_hosts: Key::new("EPICME_PLAIN_HTTP_HOSTS", "HOSTS").default("")
                => Items(rules::plain_http_hosts, |hosts: &PlainHttpHosts| hosts.names().to_vec());

            /// Private, loopback and link-local addresses, and ranges such as 10.0.0.0/8, that endpoints in an
            /// issuer's metadata may have, separated by spaces. Hosts named by another key may have private and
            /// loopback addresses anyway.
            private_addresses: Key::new("EPICME_PRIVATE_ISSUER_ADDRESSES", "ADDRESSES").default("")
                => List(rules::range);
        }
    }

    CLIENT: ClientKeys, client_values(reader) -> partial Client {
        Introspection {
            /// How this server authenticates to the introspection endpoint: client_secret_basic,
            /// client_secret_post, private_key_jwt or bearer.
            method: Key::new("EPICME_INTROSPECTION_AUTHENTICATION", "METHOD").default("client_secret_basic")
                .member("introspection.authentication") => Choice(words::METHODS);

            /// Client id of this server at the authorization server. Required, except with the method bearer
            /// or with EPICME_JWT=on.
            client_id: Key::new("EPICME_INTROSPECTION_CLIENT_ID", "ID").member("introspection.clientId")
                => Optional(Text(rules::id), "(not set)");

            /// Key id (kid) of the private key at the authorization server, for private_key_jwt.
            key_id: Key::new("EPICME_INTROSPECTION_CLIENT_KEY_ID", "ID").member("introspection.clientKeyId")
                => Optional(Text(rules::id), "(not set)");

            /// Audience of the assertion of private_key_jwt: issuer, or token_endpoint (of the issuer's metadata) for
            /// an authorization server that refuses its issuer identifier.
            assertion_audience: Key::new("EPICME_INTROSPECTION_ASSERTION_AUDIENCE", "ISSUER|TOKEN_ENDPOINT")
                .default("issuer").member("introspection.assertionAudience") => Choice(words::ASSERTION_AUDIENCES);

            /// Client secret, private key (PKCS#8 in PEM) or bearer token, depending on the method. Required
            /// whenever the client id is. Its file is read again when it changes, and on SIGHUP.
            secret: Key::secret("EPICME_INTROSPECTION_CLIENT_SECRET", "SECRET")
                .member("introspection.clientSecretFile") => Optional(Secret(rules::any_secret), "(not set)");

            /// Whether introspection responses must be signed (RFC 9701): on or off.
            signed: Key::new("EPICME_INTROSPECTION_SIGNED", "ON|OFF").default("off").member("introspection.signed")
                => Switch;
        }
        Jwt {
            /// How access tokens that are JWTs (RFC 9068) are verified: off introspects them like all others, on
            /// verifies them only with the issuer's keys, introspected does both, so that a revoked token is noticed.
            jwt: Key::new("EPICME_JWT", "OFF|ON|INTROSPECTED").default("off").member("jwt")
                => Choice(words::JWT_MODES);

            /// Algorithms with which JWTs may be signed, separated by spaces.
            algorithms: Key::new("EPICME_JWT_ALGORITHMS", "ALGORITHMS").default("ES256 RS256 PS256 EdDSA")
                .member("jwt.algorithms") => Items(rules::algorithms, |all: &Vec<_>| words::names(all, Algorithm::as_str));

            /// Types (typ) that JWT access tokens may have, separated by spaces: at+jwt, JWT, none. With JWT or none,
            /// tokens that look like ID tokens or other documents are refused.
            types: Key::new("EPICME_JWT_TYPES", "TYPES").default("at+jwt").member("jwt.types")
                => Items(rules::jwt_types, |all: &Vec<_>| words::names(all, JwtType::as_str));
        }
    }

    LEGACY: LegacyKeys, legacy(reader) -> Legacy {
        Clients {
            /// Whether to serve the protocol revisions 2025-03-26 to 2025-11-25 in addition to 2026-07-28: on or
            /// off.
            enabled: Key::new("EPICME_LEGACY", "ON|OFF").default("on") => Switch;
        }
    }

    LIMITS: LimitKeys, limits(reader) -> LimitConfig {
        RateLimits {
            /// Invalid tokens that one address (IPv6: one /64) may send per minute, and in one burst. Beyond that,
            /// its tokens that are not cached are answered 429. A token counts until the authorization server has
            /// confirmed it. 0 is no limit.
            unknown_tokens: Key::new("EPICME_UNKNOWN_TOKENS_PER_MINUTE", "N").default("60") => Limit(MOST);

            /// Requests of one user per minute, and in one burst. 0 is no limit.
            requests_per_user: Key::new("EPICME_REQUESTS_PER_MINUTE_PER_USER", "N").default("6000") => Limit(MOST);

            /// Requests of one client for all its users per minute, and in one burst. 0 is no limit, because one
            /// hosted client may serve everybody.
            requests_per_client: Key::new("EPICME_REQUESTS_PER_MINUTE_PER_CLIENT", "N").default("0")
                => Limit(MOST);
        }
    }

    CONNECTIONS: ConnectionKeys, connections(reader) -> ConnectionConfig {
        Memory {
            /// Number of connections of all clients together. If the limit of open files allows fewer, a warning at
            /// start says so. Connections without a valid token are closed first.
            in_all: Key::new("EPICME_CONNECTIONS", "N").default("8000") => Count(MOST);

            /// Number of connections of one address (IPv6: one /64) without a valid token, at most half of all; one
            /// more closes the oldest of them. Trusted proxies have no such limit.
            per_source: Key::new("EPICME_CONNECTIONS_PER_SOURCE", "N").default("2000") => Count(MOST);
        }
    }

    MEMORY: MemoryKeys, memory(reader) -> MemoryConfig {
        Memory {
            /// Number of requests of one user that are answered at the same time, apart from streams.
            requests_per_user: Key::new("EPICME_REQUESTS_IN_FLIGHT_PER_USER", "N").default("128") => Count(MOST);

            /// Memory for the bodies of requests, in MiB. One user may have a quarter of it.
            bodies_mib: Key::new("EPICME_BODY_MEMORY_MIB", "MIB").default("32") => Count(MOST);

            /// Memory for answers that clients have not read yet, in MiB. One user may have a quarter of it.
            answers_mib: Key::new("EPICME_ANSWER_MEMORY_MIB", "MIB").default("64") => Count(MOST);

            /// Memory for events that legacy sessions keep for clients that resume, in MiB. One user may have a
            /// quarter of it.
            events_mib: Key::new("EPICME_EVENT_MEMORY_MIB", "MIB").default("48") => Count(MOST);
        }
    }

    STREAMS: StreamKeys, streams(reader) -> StreamConfig {
        Sessions {
            /// Number of open subscriptions/listen streams of all users together.
            in_all: Key::new("EPICME_STREAMS", "N").default("20000") => Count(MOST);

            /// Number of open subscriptions/listen streams per user.
            per_user: Key::new("EPICME_STREAMS_PER_USER", "N").default("100") => Count(MOST);
        }
    }

    SESSIONS: SessionKeys, sessions(reader) -> SessionConfig {
        Sessions {
            /// Number of legacy sessions of all users together.
            in_all: Key::new("EPICME_SESSIONS", "N").default("20000") => Count(MOST);

            /// Number of legacy sessions per user and client. One more ends the session that was idle the longest. A
            /// user may have five times as many with all clients together.
            per_user: Key::new("EPICME_SESSIONS_PER_USER", "N").default("200") => Count(MOST);

            /// How long a process keeps a legacy session without a request. Where EPICME_REQUEST_STATE_KEY is set, the
            /// session goes on with its next request; otherwise it ends. Up to
            /// a year.
            idle: Key::new("EPICME_SESSION_IDLE", "DURATION").default("30m") => Time::at_least(1_000).at_most(YEAR);

            /// Maximum life of a legacy session, in all processes, up to a year.
            lifetime: Key::new("EPICME_SESSION_LIFETIME", "DURATION").default("24h")
                => Time::at_least(1_000).at_most(YEAR);
        }
    }

    REQUEST_STATE: RequestStateKeys, request_state(reader) -> RequestStateConfig {
        Secrets {
            /// Key that seals the state of multi round-trip calls (requestState) and the ids of legacy sessions: 32
            /// bytes in Base64 (openssl rand -base64 32). Set the same key for all processes behind one address. By
            /// default each process generates its own at start, rejects the others' states, and ends its sessions
            /// when it stops.
            key: Key::secret("EPICME_REQUEST_STATE_KEY", "KEY") => Optional(
                Secret(rules::sealing_key),
                "(drawn at start: states and sessions of other processes are not accepted)",
            );

            /// Previous value of EPICME_REQUEST_STATE_KEY. It opens states and sessions but seals none; set it for
            /// as long as a session may live (EPICME_SESSION_LIFETIME) after a change of the key.
            previous_key: Key::secret("EPICME_REQUEST_STATE_PREVIOUS_KEY", "KEY")
                => Optional(Secret(rules::sealing_key), "(not set)");
        }
    }

    AUDIT: AuditKeys, audit(reader) -> AuditConfig {
        Observability {
            /// How much of the address of a request the audit log records: full, truncated (the network: 24 bits of
            /// an IPv4 address, 48 of an IPv6 address) or hashed with EPICME_AUDIT_KEY.
            address: Key::new("EPICME_AUDIT_ADDRESS", "FULL|TRUNCATED|HASHED").default("truncated") => Choice(words::ADDRESSES);

            /// File to which the audit log is appended, besides the log, as JSON lines in a chain that `epicme audit
            /// verify` checks. Each process needs its own file, which may be renamed while the process runs.
            file: Key::new("EPICME_AUDIT_FILE", "FILE") => Optional(File, "(not set: in the log alone)");

            /// Secret of at least 16 characters with which the chain of the audit file and hashed addresses are
            /// computed, so that nobody else can compute them.
            key: Key::secret("EPICME_AUDIT_KEY", "SECRET")
                => Optional(Secret(rules::revocation_secret), "(not set: the chain has no key)");
        }
    }

    DRAIN: DrainKeys, drain(reader) -> DrainConfig {
        Shutdown {
            /// Time limit of a shutdown after SIGTERM, up to 1h: streams end, requests are answered, accepted writes
            /// are done. Unfinished work is then abandoned, and the exit code is 75. Choose less than the grace
            /// period of your process manager.
            timeout: Key::new("EPICME_DRAIN_TIMEOUT", "DURATION").default("25s") => Time::at_least(100).at_most(HOUR);

            /// First part of that time, during which the server still accepts requests while /readyz answers
            /// 503, so that a load balancer notices.
            delay: Key::new("EPICME_DRAIN_DELAY", "DURATION").default("0s") => Time::ANY;
        }
    }
}

/// Which log lines are written. Every command has it, so it is none of [`KEYS`].
pub static LOG: Key = Key::new("EPICME_LOG", "FILTER")
    .default("info,actix_server=warn")
    .described(
        "Which log lines to write, in the syntax of env_logger.",
        Heading::Observability,
    );

/// How log lines are written. Every command has it, so it is none of [`KEYS`].
pub static LOG_FORMAT: Key = Key::new("EPICME_LOG_FORMAT", "FORMAT")
    .default("text")
    .described("Format of log lines.", Heading::Observability);
