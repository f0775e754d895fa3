//! From the sections of the configuration to the settings of each module.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret;

use crate::{
    actors::{
        auth::{AuthSettings, CacheSettings, IssuerSettings, JwtSettings},
        journal::{JournalSettings, SchemaCheck},
        session::SessionSettings,
    },
    config::{
        DatabaseConfig, HttpConfig, IssuerConfig, ONE_PROCESS, ProofConfig, RequestStateConfig,
        SessionConfig, Verification,
    },
    http::{Discovery, Doors, Limits, ProofRules, RateLimits},
    mcp::request_state::Sealer,
    metrics::Metrics,
    oauth::{dpop::Window, dpop_nonce::Nonces, metadata::ProtectedResourceMetadata},
};

/// How many introspections may run at once.
const INTROSPECTIONS_IN_FLIGHT: usize = 256;

/// How long a request waits for its introspection to start.
const INTROSPECTION_FAILFAST: Duration = Duration::from_millis(500);

pub(super) fn discovery(http: &HttpConfig, issuers: &[IssuerConfig]) -> Discovery {
    let metadata = ProtectedResourceMetadata::new(
        &http.public_url,
        issuers.iter().map(|issuer| &issuer.url),
        http.proofs != ProofConfig::Off,
    );
    let resource = http.public_url.resource();
    Discovery::new(
        &metadata,
        resource.as_str(),
        http.relays_authorization_server,
    )
}

pub(super) fn doors(http: &HttpConfig) -> Doors {
    Doors::new(
        &http.public_url,
        http.allowed_hosts.clone(),
        http.allowed_origins.clone(),
        http.loopback_origins,
    )
}

pub(super) fn limits(http: &HttpConfig) -> Limits {
    Limits::new(RateLimits {
        trusted_proxies: http.trusted_proxies.clone(),
        unknown_tokens: http.limits.unknown_tokens,
        requests_per_user: http.limits.requests_per_user,
        requests_per_client: http.limits.requests_per_client,
    })
}

pub(super) fn proof_rules(http: &HttpConfig, keys: &RequestStateConfig) -> ProofRules {
    let nonces = match (http.proofs, &keys.key) {
        (ProofConfig::Off | ProofConfig::On, _) => None,
        // The processes behind one URL share that key, and so recognise each other's nonces.
        (ProofConfig::Nonce, Some(key)) => Some(Nonces::derived_from(key.expose_secret())),
        (ProofConfig::Nonce, None) => Some(Nonces::random()),
    };
    ProofRules::new(&http.public_url, http.proofs != ProofConfig::Off, nonces)
}

pub(super) fn sealer(keys: &RequestStateConfig) -> Sealer {
    let previous = keys.previous_key.as_ref();
    match &keys.key {
        Some(key) => Sealer::new(key.expose_secret(), previous.map(|key| key.expose_secret())),
        None => {
            log::info!("request states are sealed with a key drawn at start: {ONE_PROCESS}");
            Sealer::random()
        }
    }
}

pub(super) fn auth_settings(
    issuers: Vec<IssuerConfig>,
    http: &HttpConfig,
    metrics: Arc<Metrics>,
) -> AuthSettings {
    AuthSettings {
        resource: http.public_url.resource(),
        in_flight: INTROSPECTIONS_IN_FLIGHT,
        failfast: INTROSPECTION_FAILFAST,
        metrics,
        proof_window: Window::default(),
        issuers: issuers.into_iter().map(issuer_settings).collect(),
    }
}

fn issuer_settings(issuer: IssuerConfig) -> IssuerSettings {
    let jwt = |algorithms, introspected| {
        Some(JwtSettings {
            algorithms,
            introspected,
        })
    };
    let (client, jwt) = match issuer.verification {
        Verification::Introspection(client) => (Some(client), None),
        Verification::Jwt { algorithms, opaque } => (opaque, jwt(algorithms, false)),
        Verification::JwtThenIntrospection { algorithms, client } => {
            (Some(client), jwt(algorithms, true))
        }
    };
    IssuerSettings {
        url: issuer.url,
        token_prefixes: issuer.token_prefixes,
        metadata_url: issuer.metadata_url,
        plain_http_hosts: issuer.plain_http_hosts,
        introspection_url: issuer.introspection_url,
        client,
        signed_replies: issuer.signed_replies,
        jwt,
        keys_url: issuer.keys_url,
        timeout: issuer.timeout,
        cache: CacheSettings {
            lifetime: issuer.cache_lifetime,
            entries: issuer.cache_entries.get(),
            negative_lifetime: issuer.negative_cache_lifetime,
            stale: issuer.stale,
        },
        audience_may_be_absent: issuer.audience_may_be_absent,
    }
}

pub(super) fn journal_settings(
    database: DatabaseConfig,
    metrics: &Arc<Metrics>,
) -> JournalSettings {
    JournalSettings {
        metrics: Arc::clone(metrics),
        pool: database.pool,
        schema: if database.awaited {
            SchemaCheck::WhenReachable {
                migrate: database.migrate,
            }
        } else {
            SchemaCheck::Done
        },
        ..JournalSettings::new(database.url)
    }
}

pub(super) fn session_settings(limits: SessionConfig) -> SessionSettings {
    SessionSettings {
        in_all: limits.in_all.get(),
        per_user: limits.per_user.get(),
        idle: limits.idle,
        lifetime: limits.lifetime,
    }
}
