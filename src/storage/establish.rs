//! Opens connections, with libpq parameters by which a lost host is noticed.

use std::fmt;

use derive_more::{Display, Error};
use diesel::{Connection, ConnectionError, PgConnection};
use secrecy::{ExposeSecret, SecretString};

use super::error::StorageError;

/// Connection parameters for libpq, unless the URL has them. Without these, a host that vanishes (a
/// fail-over, a cut cable) blocks a thread for many minutes: libpq waits for a connection without limit,
/// and the kernel resends unacknowledged data for a quarter of an hour.
const DEFAULTS: [(&str, &str); 5] = [
    ("connect_timeout", "3"),
    ("tcp_user_timeout", "10000"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
];

/// Opens a connection. Blocks.
///
/// # Errors
/// `Unavailable` if the database cannot be reached.
pub(super) fn connect(url: &SecretString) -> Result<PgConnection, StorageError> {
    establish(url).map_err(StorageError::from)
}

/// Opens a connection. Blocks.
///
/// # Errors
/// If the database cannot be reached, or libpq cannot parse the URL.
pub(super) fn establish(url: &SecretString) -> Result<PgConnection, Unreachable> {
    let url = with_defaults(url.expose_secret());
    PgConnection::establish(url.expose_secret()).map_err(Unreachable::from)
}

/// Why there is no connection, in libpq's words. If libpq cannot parse the URL, its message quotes the
/// URL with its password, so that message is replaced.
#[derive(Debug, Display, Error)]
#[display("{reason}")]
pub(super) struct Unreachable {
    reason: String,
}

const UNPARSABLE: &str = "the database's URL cannot be read";

impl Unreachable {
    pub(super) fn because(reason: impl fmt::Display) -> Self {
        Self {
            reason: reason.to_string(),
        }
    }
}

impl From<ConnectionError> for Unreachable {
    fn from(error: ConnectionError) -> Self {
        let reason = error.to_string();
        let quotes_the_url = reason.contains("://")
            || reason.contains("connection info string")
            || reason.contains("percent-encoded");
        let is_about_the_server = matches!(error, ConnectionError::CouldntSetupConfiguration(_))
            || ABOUT_THE_SERVER
                .iter()
                .any(|begin| reason.starts_with(begin));
        if quotes_the_url {
            Self::because(UNPARSABLE)
        } else if is_about_the_server {
            Self { reason }
        } else {
            Self::because(without_quotations(&reason))
        }
    }
}

/// How libpq's errors begin that quote hosts, users and databases, and nothing that may be a secret.
const ABOUT_THE_SERVER: [&str; 3] = [
    "connection to server",
    "could not translate host name",
    "could not look up",
];

/// Other errors may quote any part of the URL: `invalid integer value "…" for connection option "port"`.
fn without_quotations(reason: &str) -> String {
    let mut parts = reason.split('"');
    let mut said = parts.next().unwrap_or_default().to_owned();
    for (at, part) in parts.enumerate() {
        if at % 2 == 0 {
            said.push_str("\"…\"");
        } else {
            said.push_str(part);
        }
    }
    said
}

impl From<Unreachable> for StorageError {
    /// `Corrupt` if libpq cannot parse the URL, because waiting does not help.
    fn from(error: Unreachable) -> Self {
        if error.reason == UNPARSABLE {
            Self::corrupt(UNPARSABLE)
        } else {
            Self::unavailable(error)
        }
    }
}

/// Both forms that libpq reads: a URL, and `name=value` pairs.
fn with_defaults(url: &str) -> SecretString {
    let is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let mut url = url.to_owned();
    for (name, value) in DEFAULTS {
        let is_set = url
            .match_indices(name)
            .any(|(at, _)| url[at + name.len()..].trim_start().starts_with('='));
        if is_set {
            continue;
        }
        url.push_str(match (is_url, url.contains('?')) {
            (true, true) => "&",
            (true, false) => "?",
            (false, _) => " ",
        });
        url.push_str(name);
        url.push('=');
        url.push_str(value);
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(url: &str) -> String {
        with_defaults(url).expose_secret().to_owned()
    }

    const ALL: &str = "connect_timeout=3&tcp_user_timeout=10000&keepalives_idle=10&keepalives_interval=5&keepalives_count=3";

    #[test]
    fn a_url_gets_time_limits_unless_it_has_them() {
        assert_eq!(
            completed("postgres://db/epicme"),
            format!("postgres://db/epicme?{ALL}")
        );
        assert_eq!(
            completed("postgresql://db/epicme?sslmode=disable"),
            format!("postgresql://db/epicme?sslmode=disable&{ALL}")
        );
        let with_limit = completed("postgres://db/epicme?connect_timeout=60");
        assert!(with_limit.starts_with("postgres://db/epicme?connect_timeout=60&tcp_user_timeout"));
        assert_eq!(with_limit.matches("connect_timeout").count(), 1);
    }

    #[test]
    fn pairs_of_names_and_values_get_them_too() {
        assert_eq!(
            completed("host=db dbname=epicme keepalives_idle = 99"),
            format!(
                "host=db dbname=epicme keepalives_idle = 99 {}",
                ALL.replace("keepalives_idle=10&", "").replace('&', " ")
            )
        );
    }

    #[test]
    fn an_error_of_a_url_quotes_nothing_of_it() {
        for url in [
            "postgres://ann:zq5%zz@db/epicme",
            "postgres://ann:zq5/zq6@db/epicme",
            "postgres://[zq5/epicme",
            "host=db password='zq5",
            "postgres://db/epicme?zq5=1",
            "postgres://db/epicme?sslmode=zq5",
            "postgres://db/epicme?gssencmode=zq5",
        ] {
            let error = establish(&url.into())
                .err()
                .expect("it is wrong")
                .to_string();
            assert!(!error.contains("zq"), "{url}: {error}");
        }
    }

    #[test]
    fn what_is_added_is_understood_by_libpq() {
        for url in ["postgres://nobody@%2Fnowhere/x", "host=/nowhere dbname=x"] {
            let error = establish(&url.into())
                .err()
                .expect("nothing is there")
                .to_string();
            assert!(error.contains("/nowhere"), "{error}");
        }
    }
}
