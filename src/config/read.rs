//! From options to a configuration, or to everything that is wrong with them: reads every group of the
//! table, and holds the rules about several keys. Pure, except for the files that keys name.

use std::net::SocketAddr;

use secrecy::{ExposeSecret, SecretString};

use super::{
    errors::ConfigErrors,
    issuers::issuers,
    key::{Heading, Key},
    keys::{self, AUDIT, DATABASE, DRAIN, HTTP, KEYS, REQUEST_STATE, SESSIONS, TLS},
    kind::{Optional, Secret, Switch, Text},
    options::Options,
    reader::{EffectiveValue, Reader},
    rules,
    sections::{
        AuditConfig, Config, DrainConfig, HttpConfig, IssuerConfig, RequestStateConfig,
        SessionConfig,
    },
};
use crate::storage::PlainDatabaseHosts;
use mcp_server::{
    audit::AddressDetail,
    tls::{Identity, TlsFault},
};
use resource_server::url::PublicUrl;

impl Config {
    /// Reads the options.
    ///
    /// # Errors
    /// Every fault there is, not only the first.
    pub fn read(options: &Options) -> Result<Self, ConfigErrors> {
        read_with(options, config).map(|(config, _)| config)
    }

    /// Reads only the database's URL.
    ///
    /// # Errors
    /// The faults.
    pub fn database_url(options: &Options) -> Result<SecretString, ConfigErrors> {
        let read = |reader: &mut Reader<'_>| {
            let plain = plain_hosts(reader);
            keys::database_url(reader, &plain)
        };
        read_with(options, read).map(|(database, _)| database.url)
    }

    /// Reads only the URL by which the schema is changed, which is all that a migration needs: the one that leads to
    /// PostgreSQL itself, if there is one.
    ///
    /// # Errors
    /// The faults.
    pub fn migration_url(options: &Options) -> Result<SecretString, ConfigErrors> {
        let read = |reader: &mut Reader<'_>| {
            let plain = plain_hosts(reader);
            let url = keys::database_url(reader, &plain);
            let direct = Secret(|url| rules::database_url(&url, &plain));
            let direct = reader.read(&DATABASE.direct_url, Optional(direct, ""));
            Some(direct?.unwrap_or(url?.url))
        };
        read_with(options, read).map(|(url, _)| url)
    }

    /// Reads only whether row-level security is to be on.
    ///
    /// # Errors
    /// The faults.
    pub fn row_level_security(options: &Options) -> Result<bool, ConfigErrors> {
        read_with(options, |reader: &mut Reader<'_>| {
            reader.read(&keys::DATABASE.row_level_security, Switch)
        })
        .map(|(is_on, _)| is_on)
    }

    /// Reads only what decides about tokens: the URL of the server, and the issuers.
    ///
    /// # Errors
    /// The faults.
    pub fn issuers_alone(
        options: &Options,
    ) -> Result<(PublicUrl, Vec<IssuerConfig>), ConfigErrors> {
        let read = |reader: &mut Reader<'_>| {
            let public_url = reader.read(&HTTP.public_url, Text(rules::public_url));
            let issuers = issuers(reader);
            Some((public_url?, issuers?))
        };
        read_with(options, read).map(|(read, _)| read)
    }

    /// What `serve` would run with, for `check-config`.
    ///
    /// # Errors
    /// Every fault there is, not only the first.
    pub fn effective(options: &Options) -> Result<Vec<EffectiveValue>, ConfigErrors> {
        read_with(options, config).map(|(_, effective)| effective)
    }
}

fn read_with<T>(
    options: &Options,
    read: impl FnOnce(&mut Reader<'_>) -> Option<T>,
) -> Result<(T, Vec<EffectiveValue>), ConfigErrors> {
    let mut reader = Reader::new(options);
    let value = read(&mut reader);
    let (mut faults, mut effective) = reader.finish();
    faults.sort_by_key(|fault| place(&fault.key));
    effective.sort_by_key(|shown| (shown.group, place(shown.name)));
    let effective = effective.into_iter().map(|shown| shown.value).collect();
    match value {
        Some(value) if faults.is_empty() => Ok((value, effective)),
        _ => Err(ConfigErrors(faults)),
    }
}

/// Hosts that are wrong hide no other fault.
fn plain_hosts(reader: &mut Reader<'_>) -> PlainDatabaseHosts {
    let hosts = keys::database_hosts(reader);
    hosts.and_then(|hosts| hosts.plain).unwrap_or_default()
}

/// The position of a key in the help.
fn place(name: &str) -> Option<(Heading, usize)> {
    let is_named =
        |key: &&'static Key| key.name == name || key.file_name().is_some_and(|own| own == name);
    let at = KEYS.iter().position(is_named)?;
    Some((KEYS[at].heading, at))
}

/// Reads every group before it gives up, so that no fault hides another.
fn config(reader: &mut Reader<'_>) -> Option<Config> {
    let tls = tls(reader);
    let http = keys::http(reader, tls);
    if let Some(http) = &http {
        listeners(reader, http);
    }
    let plain = plain_hosts(reader);
    let database = keys::database(reader, &plain);
    let issuers = issuers(reader);
    let sessions = sessions(reader);
    let request_state = request_state(reader);
    let drain = drain(reader);
    let audit = audit(reader);
    Some(Config {
        http: http?,
        issuers: issuers?,
        database: database?,
        request_state: request_state?,
        sessions: sessions?,
        drain: drain?,
        audit: audit?,
    })
}

/// The certificate is read here too, so that a pair that cannot be served with stops the start.
fn tls(reader: &mut Reader<'_>) -> Option<Identity> {
    let files = keys::tls_files(reader)?;
    let is_alone = |other: &Key| format!("is set, and {} is not", other.name);
    match (files.certificate, files.key) {
        (None, None) => None,
        (Some(_), None) => reader.fault(&TLS.certificate, is_alone(&TLS.key)),
        (None, Some(_)) => reader.fault(&TLS.key, is_alone(&TLS.certificate)),
        (Some(certificate), Some(key)) => match Identity::read(&certificate, &key) {
            Ok(identity) => Some(identity),
            Err(fault) => {
                let (named_by, file) = match fault {
                    TlsFault::Certificate(_) => (&TLS.certificate, certificate),
                    TlsFault::Key(_) | TlsFault::Mismatch => (&TLS.key, key),
                };
                reader.fault(named_by, format!("{}: {fault}", file.display()))
            }
        },
    }
}

/// Within: `None` if the legacy era is switched off. The limits of its sessions are checked all the same.
fn sessions(reader: &mut Reader<'_>) -> Option<Option<SessionConfig>> {
    let legacy = keys::legacy(reader);
    let sessions = keys::sessions(reader);
    let is_enabled = legacy?.enabled;
    if !is_enabled {
        reader.hide(&[
            &SESSIONS.in_all,
            &SESSIONS.per_user,
            &SESSIONS.idle,
            &SESSIONS.lifetime,
        ]);
    }
    Some(is_enabled.then_some(sessions?))
}

fn request_state(reader: &mut Reader<'_>) -> Option<RequestStateConfig> {
    let keys = keys::request_state(reader);
    if reader.is_set(&REQUEST_STATE.previous_key) && !reader.is_set(&REQUEST_STATE.key) {
        return reader.fault(
            &REQUEST_STATE.previous_key,
            "is set, but EPICME_REQUEST_STATE_KEY is not",
        );
    }
    let keys = keys?;
    if let (Some(key), Some(previous_key)) = (&keys.key, &keys.previous_key) {
        reader.require(
            &REQUEST_STATE.previous_key,
            key.expose_secret() != previous_key.expose_secret(),
            "must differ from EPICME_REQUEST_STATE_KEY; set it to the key before that one, or remove it",
        );
    }
    Some(keys)
}

/// Two listeners of one process cannot have one port of one address.
fn listeners(reader: &mut Reader<'_>, http: &HttpConfig) {
    let overlap = |one: SocketAddr, other: SocketAddr| {
        one.port() != 0
            && one.port() == other.port()
            && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
    };
    let admin = http.admin.filter(|_| http.revocation_secret.is_some());
    let all = [
        (&HTTP.bind, Some(http.bind)),
        (&HTTP.metrics, http.metrics),
        (&HTTP.admin, admin),
    ];
    for (at, (key, address)) in all.iter().enumerate() {
        for (earlier, taken) in &all[..at] {
            if let (Some(address), Some(taken)) = (address, taken)
                && overlap(*address, *taken)
            {
                let rule = format!("needs another port than {} ({taken})", earlier.name);
                reader.fault::<()>(key, rule);
            }
        }
    }
}

fn drain(reader: &mut Reader<'_>) -> Option<DrainConfig> {
    let drain = keys::drain(reader)?;
    reader
        .require(
            &DRAIN.delay,
            drain.delay < drain.timeout,
            "must be shorter than EPICME_DRAIN_TIMEOUT, of which it is a part",
        )
        .then_some(drain)
}

/// A hash that another process cannot repeat would not find the lines of one address.
fn audit(reader: &mut Reader<'_>) -> Option<AuditConfig> {
    let audit = keys::audit(reader)?;
    reader
        .require(
            &AUDIT.address,
            audit.address != AddressDetail::Hashed || audit.key.is_some(),
            "is hashed, which needs EPICME_AUDIT_KEY",
        )
        .then_some(audit)
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
