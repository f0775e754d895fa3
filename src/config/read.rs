//! From options to a configuration, or to everything that is wrong with them. Pure but for the
//! files that hold secrets or describe issuers.

use std::{
    borrow::Cow,
    fmt::Display,
    num::{NonZeroU32, NonZeroUsize},
    str::FromStr,
    thread::available_parallelism,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};

use super::{
    Config, ConfigErrors, DatabaseConfig, DrainConfig, Fault, HttpConfig, ONE_PROCESS, ProofConfig,
    SessionConfig, StreamConfig,
    issuer_fields::{shown_by_file, shown_by_key},
    limits,
    options::{Options, Source, Sources},
    units,
};
use crate::scopes;

/// Every key, by its name in the environment, in the order in which `check-config` prints them.
pub(super) const KEYS: &[&str] = &[
    "EPICME_BIND",
    "EPICME_PUBLIC_URL",
    "EPICME_TLS_CERTIFICATE_FILE",
    "EPICME_TLS_KEY_FILE",
    "DATABASE_URL",
    "DATABASE_URL_FILE",
    "EPICME_DATABASE_POOL",
    "EPICME_MIGRATE",
    "EPICME_ISSUERS_FILE",
    "EPICME_ISSUER",
    "EPICME_ISSUER_METADATA_URL",
    "EPICME_INTROSPECTION_URL",
    "EPICME_INTROSPECTION_AUTHENTICATION",
    "EPICME_INTROSPECTION_CLIENT_ID",
    "EPICME_INTROSPECTION_CLIENT_KEY_ID",
    "EPICME_INTROSPECTION_CLIENT_SECRET",
    "EPICME_INTROSPECTION_CLIENT_SECRET_FILE",
    "EPICME_INTROSPECTION_SIGNED",
    "EPICME_INTROSPECTION_CACHE",
    "EPICME_INTROSPECTION_CACHE_ENTRIES",
    "EPICME_INTROSPECTION_NEGATIVE_CACHE",
    "EPICME_INTROSPECTION_STALE",
    "EPICME_INTROSPECTION_TIMEOUT",
    "EPICME_JWT",
    "EPICME_JWT_ALGORITHMS",
    "EPICME_JWKS_URL",
    "EPICME_AUDIENCE_OPTIONAL",
    "EPICME_PLAIN_HTTP_HOSTS",
    "EPICME_BASELINE_SCOPES",
    "EPICME_DPOP",
    "EPICME_WORKERS",
    "EPICME_METRICS_BIND",
    #[cfg(feature = "otlp")]
    "EPICME_OTLP_ENDPOINT",
    "EPICME_ALLOWED_ORIGINS",
    "EPICME_ALLOWED_HOSTS",
    "EPICME_TRUSTED_PROXIES",
    "EPICME_UNKNOWN_TOKENS_PER_MINUTE",
    "EPICME_REQUESTS_PER_MINUTE_PER_USER",
    "EPICME_REQUESTS_PER_MINUTE_PER_CLIENT",
    "EPICME_LEGACY",
    "EPICME_AUTHORIZATION_SERVER_RELAY",
    "EPICME_REQUEST_STATE_KEY",
    "EPICME_REQUEST_STATE_KEY_FILE",
    "EPICME_REQUEST_STATE_PREVIOUS_KEY",
    "EPICME_REQUEST_STATE_PREVIOUS_KEY_FILE",
    "EPICME_REVOCATION_SECRET",
    "EPICME_REVOCATION_SECRET_FILE",
    "EPICME_STREAMS",
    "EPICME_STREAMS_PER_USER",
    "EPICME_SESSIONS",
    "EPICME_SESSIONS_PER_USER",
    "EPICME_SESSION_IDLE",
    "EPICME_SESSION_LIFETIME",
    "EPICME_DRAIN_TIMEOUT",
    "EPICME_DRAIN_DELAY",
];

/// A key, what is in effect, and where it came from.
#[derive(Clone, Debug)]
pub struct EffectiveValue {
    /// The key, by its name in the environment; of what the file of issuers tells, the member's place.
    pub key: Cow<'static, str>,
    /// The value; `***` for a secret.
    pub value: String,
    /// Where it came from.
    pub source: Source,
}

impl Config {
    /// Reads the options.
    ///
    /// # Errors
    /// Every fault there is, not the first alone.
    pub fn read(options: &Options, sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut reader = Reader {
            sources,
            faults: Vec::new(),
        };
        let config = reader.config(options);
        match config {
            Some(config) if reader.faults.is_empty() => Ok(config),
            _ => Err(ConfigErrors(reader.faults)),
        }
    }

    /// Reads the database's URL alone: a migration needs nothing else.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn database_url(
        options: &Options,
        sources: &Sources,
    ) -> Result<SecretString, ConfigErrors> {
        let mut reader = Reader {
            sources,
            faults: Vec::new(),
        };
        reader
            .database_url(options)
            .ok_or(ConfigErrors(reader.faults))
    }

    /// What is in effect, for `check-config`.
    #[must_use]
    pub fn effective(&self, options: &Options, sources: &Sources) -> Vec<EffectiveValue> {
        let show = |key: &'static str| -> Option<String> {
            let path = |path: &Option<std::path::PathBuf>| {
                path.as_ref().map(|path| path.display().to_string())
            };
            let switch = |on: bool| Some(units::show_switch(on).to_owned());
            match key {
                "EPICME_BIND" => Some(self.http.bind.to_string()),
                "EPICME_PUBLIC_URL" => Some(self.http.public_url.to_string()),
                "EPICME_TLS_CERTIFICATE_FILE" => path(&options.tls_certificate_file),
                "EPICME_TLS_KEY_FILE" => path(&options.tls_key_file),
                "DATABASE_URL" => Some("***".to_owned()),
                "DATABASE_URL_FILE" => path(&options.database_url_file),
                "EPICME_DATABASE_POOL" => Some(self.database.pool.to_string()),
                "EPICME_MIGRATE" => switch(self.database.migrate),
                "EPICME_ISSUERS_FILE" => path(&options.issuers_file),
                "EPICME_PLAIN_HTTP_HOSTS" => {
                    Some(self.issuers[0].plain_http_hosts.names().join(" "))
                }
                "EPICME_BASELINE_SCOPES" => Some(self.http.baseline.join(" ")),
                "EPICME_DPOP" => Some(
                    match self.http.proofs {
                        ProofConfig::Off => "off",
                        ProofConfig::On => "on",
                        ProofConfig::Nonce => "nonce",
                    }
                    .to_owned(),
                ),
                "EPICME_WORKERS" => Some(self.http.workers.to_string()),
                #[cfg(feature = "otlp")]
                "EPICME_OTLP_ENDPOINT" => self.http.collector.as_ref().map(ToString::to_string),
                "EPICME_METRICS_BIND" => Some(
                    self.http
                        .metrics
                        .map_or_else(|| "off".to_owned(), |address| address.to_string()),
                ),
                "EPICME_ALLOWED_ORIGINS" => Some(self.http.allowed_origins.join(" ")),
                "EPICME_ALLOWED_HOSTS" => Some(self.http.allowed_hosts.join(" ")),
                "EPICME_TRUSTED_PROXIES" => Some(units::joined(&self.http.trusted_proxies)),
                "EPICME_UNKNOWN_TOKENS_PER_MINUTE" => {
                    Some(limits::show(self.http.limits.unknown_tokens))
                }
                "EPICME_REQUESTS_PER_MINUTE_PER_USER" => {
                    Some(limits::show(self.http.limits.requests_per_user))
                }
                "EPICME_REQUESTS_PER_MINUTE_PER_CLIENT" => {
                    Some(limits::show(self.http.limits.requests_per_client))
                }
                "EPICME_LEGACY" => switch(self.sessions.is_some()),
                "EPICME_AUTHORIZATION_SERVER_RELAY" => {
                    switch(self.http.relays_authorization_server)
                }
                "EPICME_REQUEST_STATE_KEY" => Some(match self.request_state.key {
                    Some(_) => "***".to_owned(),
                    None => format!("(drawn at start: {ONE_PROCESS})"),
                }),
                "EPICME_REVOCATION_SECRET" => Some(match self.http.revocation_secret {
                    Some(_) => "***".to_owned(),
                    None => "(none: nobody can cut anybody off)".to_owned(),
                }),
                "EPICME_REVOCATION_SECRET_FILE" => path(&options.revocation_secret_file),
                "EPICME_REQUEST_STATE_KEY_FILE" => path(&options.request_state_key_file),
                "EPICME_REQUEST_STATE_PREVIOUS_KEY" => {
                    let key = self.request_state.previous_key.as_ref();
                    Some(key.map_or("(none)", |_| "***").to_owned())
                }
                "EPICME_REQUEST_STATE_PREVIOUS_KEY_FILE" => {
                    path(&options.request_state_previous_key_file)
                }
                "EPICME_STREAMS" => Some(self.http.streams.in_all.to_string()),
                "EPICME_STREAMS_PER_USER" => Some(self.http.streams.per_user.to_string()),
                "EPICME_SESSIONS" => self.sessions.map(|sessions| sessions.in_all.to_string()),
                "EPICME_SESSIONS_PER_USER" => {
                    self.sessions.map(|sessions| sessions.per_user.to_string())
                }
                "EPICME_SESSION_IDLE" => self.sessions.map(|sessions| units::show(sessions.idle)),
                "EPICME_SESSION_LIFETIME" => {
                    self.sessions.map(|sessions| units::show(sessions.lifetime))
                }
                "EPICME_DRAIN_TIMEOUT" => Some(units::show(self.drain.timeout)),
                "EPICME_DRAIN_DELAY" => Some(units::show(self.drain.delay)),
                _ if options.issuers_file.is_some() => None,
                key => shown_by_key(&self.issuers[0], key),
            }
        };
        let keys = KEYS.iter().filter_map(|key| {
            let file = match *key {
                "DATABASE_URL" => options.database_url_file.is_some(),
                "EPICME_INTROSPECTION_CLIENT_SECRET" => {
                    options.introspection_client_secret_file.is_some()
                }
                "EPICME_REVOCATION_SECRET" => options.revocation_secret_file.is_some(),
                "EPICME_REQUEST_STATE_KEY" => options.request_state_key_file.is_some(),
                "EPICME_REQUEST_STATE_PREVIOUS_KEY" => {
                    options.request_state_previous_key_file.is_some()
                }
                _ => false,
            };
            show(key).map(|value| EffectiveValue {
                key: Cow::Borrowed(key),
                value,
                source: if file { Source::File } else { sources.get(key) },
            })
        });
        let file = options.issuers_file.as_ref();
        keys.chain(file.map_or_else(Vec::new, |_| shown_by_file(&self.issuers)))
            .collect()
    }
}

pub(super) struct Reader<'a> {
    sources: &'a Sources,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    /// Reads every key before it gives up, so that no fault hides another.
    fn config(&mut self, options: &Options) -> Option<Config> {
        let bind = self.parsed(
            "EPICME_BIND",
            &options.bind,
            "must be an address and a port, such as 127.0.0.1:8787",
        );
        let public_url = self.url("EPICME_PUBLIC_URL", Some(&options.public_url));
        let tls = self.tls(options);
        let database_url = self.database_url(options);
        let pool = self
            .parsed::<NonZeroU32>(
                "EPICME_DATABASE_POOL",
                &options.database_pool,
                "must be a whole number from 1 to 1000",
            )
            .filter(|pool| {
                self.hold(
                    "EPICME_DATABASE_POOL",
                    pool.get() <= 1_000,
                    "must be a whole number from 1 to 1000",
                )
            });
        let migrate = self.read("EPICME_MIGRATE", units::switch(&options.migrate));
        let issuers = self.issuers(options);
        let baseline = self.scopes("EPICME_BASELINE_SCOPES", &options.baseline_scopes);
        let proofs = match options.dpop.as_str() {
            "off" => Some(ProofConfig::Off),
            "on" => Some(ProofConfig::On),
            "nonce" => Some(ProofConfig::Nonce),
            _ => {
                self.fault("EPICME_DPOP", "must be off, on or nonce");
                None
            }
        };
        let workers = match &options.workers {
            Some(workers) => self.count("EPICME_WORKERS", workers),
            None => Some(available_parallelism().unwrap_or(NonZeroUsize::MIN)),
        };
        let metrics = match options.metrics_bind.as_str() {
            "off" => Some(None),
            address => self
                .parsed(
                    "EPICME_METRICS_BIND",
                    address,
                    "must be an address and a port, such as 127.0.0.1:9464, or off",
                )
                .map(Some),
        };
        #[cfg(feature = "otlp")]
        let collector = self.collector(options);
        let allowed_origins = units::list(&options.allowed_origins);
        for origin in &allowed_origins {
            let plain = url::Url::parse(origin)
                .is_ok_and(|url| url.origin().ascii_serialization() == *origin);
            self.hold(
                "EPICME_ALLOWED_ORIGINS",
                plain,
                "must be origins such as https://app.example or http://localhost:6274, in lower case, without a path",
            );
        }
        let trusted_proxies = self.trusted_proxies(options);
        let limits = self.limits(options);
        let legacy = self.read("EPICME_LEGACY", units::switch(&options.legacy));
        let relays = self.read(
            "EPICME_AUTHORIZATION_SERVER_RELAY",
            units::switch(&options.authorization_server_relay),
        );
        let request_state = self.request_state(options);
        let revocation_secret = self.revocation_secret(options);
        let streams_in_all = self.count("EPICME_STREAMS", &options.streams);
        let streams_per_user = self.count("EPICME_STREAMS_PER_USER", &options.streams_per_user);
        let in_all = self.count("EPICME_SESSIONS", &options.sessions);
        let per_user = self.count("EPICME_SESSIONS_PER_USER", &options.sessions_per_user);
        let idle = self.lifetime("EPICME_SESSION_IDLE", &options.session_idle);
        let lifetime = self.lifetime("EPICME_SESSION_LIFETIME", &options.session_lifetime);
        let drain = self.drain(options);

        let sessions = SessionConfig {
            in_all: in_all?,
            per_user: per_user?,
            idle: idle?,
            lifetime: lifetime?,
        };
        Some(Config {
            http: HttpConfig {
                bind: bind?,
                public_url: public_url?,
                tls,
                workers: workers?,
                metrics: metrics?,
                #[cfg(feature = "otlp")]
                collector: collector?,
                allowed_origins,
                allowed_hosts: units::list(&options.allowed_hosts),
                loopback_origins: false,
                trusted_proxies: trusted_proxies?,
                limits: limits?,
                baseline: baseline?,
                proofs: proofs?,
                streams: StreamConfig {
                    in_all: streams_in_all?,
                    per_user: streams_per_user?,
                },
                relays_authorization_server: relays?,
                revocation_secret,
            },
            issuers: issuers?,
            database: DatabaseConfig {
                url: database_url?,
                pool: pool?,
                migrate: migrate?,
                awaited: false,
            },
            request_state,
            sessions: legacy?.then_some(sessions),
            drain: drain?,
        })
    }

    fn drain(&mut self, options: &Options) -> Option<DrainConfig> {
        const LONGEST: Duration = Duration::from_secs(3_600);
        let timeout = self
            .lifetime("EPICME_DRAIN_TIMEOUT", &options.drain_timeout)
            .filter(|timeout| {
                self.hold(
                    "EPICME_DRAIN_TIMEOUT",
                    *timeout <= LONGEST,
                    "must not be longer than 1h",
                )
            });
        let delay = self.read("EPICME_DRAIN_DELAY", units::duration(&options.drain_delay))?;
        let timeout = timeout?;
        let leaves_time = self.hold(
            "EPICME_DRAIN_DELAY",
            delay < timeout,
            "must be shorter than EPICME_DRAIN_TIMEOUT, of which it is a part",
        );
        leaves_time.then_some(DrainConfig { timeout, delay })
    }

    fn database_url(&mut self, options: &Options) -> Option<SecretString> {
        self.secret(
            "DATABASE_URL",
            options.database_url.as_deref(),
            "DATABASE_URL_FILE",
            options.database_url_file.as_deref(),
        )
        .filter(|url| {
            let url = url.expose_secret();
            // libpq has the last word; this is for what is no address of a database at all.
            let is_one = url.starts_with("postgresql://")
                || url.starts_with("postgres://")
                || url.contains('=');
            self.hold(
                "DATABASE_URL",
                is_one,
                "must be a libpq URL, such as postgresql://epicme@db.internal/epicme",
            )
        })
    }

    #[cfg(feature = "otlp")]
    fn collector(&mut self, options: &Options) -> Option<Option<url::Url>> {
        let rule = "must be an http or https URL without a query, such as http://127.0.0.1:4318";
        let Some(text) = &options.otlp_endpoint else {
            return Some(None);
        };
        let url = self.parsed::<url::Url>("EPICME_OTLP_ENDPOINT", text, rule)?;
        let plain = ["http", "https"].contains(&url.scheme())
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        self.hold("EPICME_OTLP_ENDPOINT", plain, rule)
            .then_some(Some(url))
    }

    pub(super) fn source(&self, key: &str) -> Source {
        self.sources.get(key)
    }

    pub(super) fn has_fault(&self, key: &str, begin: &str) -> bool {
        self.faults
            .iter()
            .any(|fault| fault.key == key && fault.reason.starts_with(begin))
    }

    pub(super) fn fault(&mut self, key: &'static str, reason: impl Into<String>) {
        self.faults.push(Fault {
            key,
            source: self.source(key),
            reason: reason.into(),
        });
    }

    pub(super) fn hold(&mut self, key: &'static str, holds: bool, rule: &str) -> bool {
        if !holds {
            self.fault(key, rule);
        }
        holds
    }

    pub(super) fn read<T, E: Display>(
        &mut self,
        key: &'static str,
        value: Result<T, E>,
    ) -> Option<T> {
        value
            .map_err(|reason| self.fault(key, reason.to_string()))
            .ok()
    }

    fn parsed<T: FromStr>(&mut self, key: &'static str, text: &str, rule: &str) -> Option<T> {
        self.read(key, text.parse().map_err(|_| rule))
    }

    fn count(&mut self, key: &'static str, text: &str) -> Option<NonZeroUsize> {
        self.read(key, units::count(text))
    }

    fn lifetime(&mut self, key: &'static str, text: &str) -> Option<Duration> {
        self.read(key, units::duration(text))
            .filter(|lifetime| self.hold(key, !lifetime.is_zero(), "must be longer than nothing"))
    }

    fn url<T: FromStr<Err: Display>>(
        &mut self,
        key: &'static str,
        text: Option<&str>,
    ) -> Option<T> {
        match text {
            Some(text) if !text.is_empty() => self.read(key, text.parse()),
            _ => {
                self.fault(key, "is required");
                None
            }
        }
    }

    fn scopes(&mut self, key: &'static str, text: &str) -> Option<Vec<String>> {
        for token in text.split_ascii_whitespace() {
            self.hold(
                key,
                scopes::declared().set(&[token]).is_ok(),
                "names a scope that does not exist",
            );
        }
        self.hold(key, !text.trim().is_empty(), "must name at least one scope")
            .then(|| text.split_ascii_whitespace().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> Options {
        Options {
            database_url: Some("postgres://localhost/epicme".to_owned()),
            issuer: Some("https://issuer.example".to_owned()),
            introspection_client_id: Some("epicme".to_owned()),
            introspection_client_secret: Some("hunter2".to_owned()),
            ..Options::default()
        }
    }

    fn faults(options: &Options) -> Vec<(&'static str, String)> {
        Config::read(options, &Sources::default())
            .unwrap_err()
            .0
            .into_iter()
            .map(|fault| (fault.key, fault.reason))
            .collect()
    }

    /// T-03.
    #[test]
    fn database_issuer_and_introspection_client_are_all_that_is_needed() {
        let config = Config::read(&complete(), &Sources::default()).unwrap();
        assert_eq!(config.http.bind.to_string(), "127.0.0.1:8787");
        assert_eq!(config.issuers[0].cache_lifetime, Duration::from_secs(60));
        assert_eq!(config.http.baseline.len(), scopes::DESCRIPTIONS.len());
        assert!(config.http.limits.unknown_tokens.is_some());
        assert!(config.sessions.is_some());
        let keys: Vec<_> = faults(&Options::default())
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(
            keys,
            [
                "DATABASE_URL",
                "EPICME_ISSUER",
                "EPICME_INTROSPECTION_CLIENT_ID",
                "EPICME_INTROSPECTION_CLIENT_SECRET"
            ]
        );
    }

    #[test]
    fn all_faults_are_told_at_once_and_no_secret_with_them() {
        let options = Options {
            bind: "here".to_owned(),
            public_url: "http://journal.example".to_owned(),
            database_pool: "0".to_owned(),
            migrate: "yes".to_owned(),
            introspection_cache: "2h".to_owned(),
            introspection_timeout: "0s".to_owned(),
            baseline_scopes: "entries:read everything".to_owned(),
            allowed_origins: "https://a.example/ https://b.example".to_owned(),
            introspection_client_secret_file: Some("/nonexistent".into()),
            session_idle: "5".to_owned(),
            ..complete()
        };
        let said = faults(&options);
        let keys: Vec<_> = said.iter().map(|(key, _)| *key).collect();
        assert_eq!(
            keys,
            [
                "EPICME_BIND",
                "EPICME_PUBLIC_URL",
                "EPICME_DATABASE_POOL",
                "EPICME_MIGRATE",
                "EPICME_INTROSPECTION_CLIENT_SECRET",
                "EPICME_INTROSPECTION_CACHE",
                "EPICME_INTROSPECTION_TIMEOUT",
                "EPICME_BASELINE_SCOPES",
                "EPICME_ALLOWED_ORIGINS",
                "EPICME_SESSION_IDLE"
            ]
        );
        assert!(!format!("{said:?}").contains("hunter2"));
    }

    #[test]
    fn every_key_is_shown_and_secrets_are_masked() {
        let options = complete();
        let config = Config::read(&options, &Sources::default()).unwrap();
        let effective = config.effective(&options, &Sources::default());
        let unset = [
            "EPICME_TLS_CERTIFICATE_FILE",
            "EPICME_TLS_KEY_FILE",
            "DATABASE_URL_FILE",
            "EPICME_OTLP_ENDPOINT",
            "EPICME_ISSUERS_FILE",
            "EPICME_INTROSPECTION_CLIENT_KEY_ID",
            "EPICME_JWT_ALGORITHMS",
            "EPICME_INTROSPECTION_CLIENT_SECRET_FILE",
            "EPICME_REQUEST_STATE_KEY_FILE",
            "EPICME_REQUEST_STATE_PREVIOUS_KEY_FILE",
            "EPICME_REVOCATION_SECRET_FILE",
        ];
        let shown: Vec<_> = effective.iter().map(|value| &*value.key).collect();
        let expected: Vec<_> = KEYS
            .iter()
            .copied()
            .filter(|key| !unset.contains(key))
            .collect();
        assert_eq!(shown, expected);
        assert!(
            effective
                .iter()
                .all(|value| !value.value.contains("hunter2"))
        );
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
