//! Opens connections, with libpq parameters by which a lost host is noticed.

use std::{fmt, time::Duration};

use derive_more::{Display, Error};
use diesel::{Connection, ConnectionError, PgConnection};
use secrecy::{ExposeSecret, SecretString};

use super::{
    address::DatabaseAddress,
    error::StorageError,
    within::{Silent, within},
};

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

/// Of several hosts, the one that takes writes is used: the others are its standbys, or a primary that was.
const OF_SEVERAL_HOSTS: (&str, &str) = ("target_session_attrs", "read-write");

/// How long the rest may take besides connecting, which libpq limits by itself: looking up names, and the first
/// statements of a connection, Diesel's own among them.
const BESIDES_CONNECTING: Duration = Duration::from_secs(4);

/// Opens a connection. Blocks, for a limited time even if a server accepts it and never answers.
///
/// # Errors
/// `Unavailable` if the database cannot be reached.
pub(super) fn connect(url: &SecretString) -> Result<PgConnection, StorageError> {
    let opened = connect_with(url, |_| Ok::<_, StorageError>(()));
    opened.map(|(connection, ())| connection)
}

/// Opens a connection and sets it up. The time limit of [`connect`] is for both.
///
/// # Errors
/// `Unavailable` if the database cannot be reached, and those of `set_up`.
pub(super) fn connect_with<T, E>(
    url: &SecretString,
    set_up: impl FnOnce(&mut PgConnection) -> Result<T, E> + Send + 'static,
) -> Result<(PgConnection, T), E>
where
    T: Send + 'static,
    E: From<Unreachable> + Send + 'static,
{
    let limit = time_limit(url);
    let url = with_defaults(url.expose_secret());
    let opened = within(limit, move || {
        let opened = PgConnection::establish(url.expose_secret());
        let mut connection = opened.map_err(|error| E::from(Unreachable::from(error)))?;
        let set = set_up(&mut connection)?;
        Ok((connection, set))
    });
    opened.unwrap_or_else(|silent: Silent| Err(Unreachable::because(silent).into()))
}

/// How long opening a connection may take: libpq's own limit is for each host.
fn time_limit(url: &SecretString) -> Duration {
    let hosts = DatabaseAddress::of(url).hosts();
    let url = url.expose_secret();
    let own = values_of(url, "connect_timeout").next();
    let each = own.map_or(3, |value| {
        let digits = value.find(|c: char| !c.is_ascii_digit());
        value[..digits.unwrap_or(value.len())].parse().unwrap_or(0)
    });
    match each {
        // What libpq takes for no limit.
        0 => Duration::from_secs(24 * 60 * 60),
        each => {
            let hosts = u32::try_from(hosts).unwrap_or(u32::MAX);
            Duration::from_secs(each).saturating_mul(hosts) + BESIDES_CONNECTING
        }
    }
}

/// The text after each place where a URL or `name=value` pairs set this parameter.
fn values_of<'a>(url: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    url.match_indices(name).filter_map(move |(at, _)| {
        let after = url[at + name.len()..].trim_start().strip_prefix('=')?;
        Some(after.trim_start())
    })
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
    let has_several = DatabaseAddress::read(url).is_ok_and(|address| address.hosts() > 1);
    let mut url = url.to_owned();
    for (name, value) in DEFAULTS
        .into_iter()
        .chain(has_several.then_some(OF_SEVERAL_HOSTS))
    {
        if values_of(&url, name).next().is_some() {
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

    fn connect_to(url: &SecretString) -> Result<PgConnection, Unreachable> {
        connect_with(url, |_| Ok(())).map(|(connection, ())| connection)
    }

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
    fn of_several_hosts_the_one_that_takes_writes_is_wanted_unless_another_is() {
        assert_eq!(
            completed("postgres://a,b/epicme"),
            format!("postgres://a,b/epicme?{ALL}&target_session_attrs=read-write")
        );
        assert_eq!(
            completed("host=a,b port=1,2"),
            format!(
                "host=a,b port=1,2 {} target_session_attrs=read-write",
                ALL.replace('&', " ")
            )
        );
        let any = "postgres://a,b/epicme?target_session_attrs=any";
        assert_eq!(completed(any), format!("{any}&{ALL}"));
    }

    #[test]
    fn the_time_limit_is_for_every_host_and_what_was_set() {
        for (url, seconds) in [
            ("postgres://db/epicme", 7),
            ("postgres://a,b/epicme", 10),
            ("postgres://a,b/epicme?connect_timeout=10", 24),
            ("host=a,b connect_timeout = 10", 24),
            ("postgres://db/epicme?connect_timeout=0", 86_400),
        ] {
            let limit = time_limit(&url.into());
            assert_eq!(limit, Duration::from_secs(seconds), "{url}");
        }
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
            let error = connect_to(&url.into())
                .err()
                .expect("it is wrong")
                .to_string();
            assert!(!error.contains("zq"), "{url}: {error}");
        }
    }

    #[test]
    fn what_is_added_is_understood_by_libpq() {
        for url in ["postgres://nobody@%2Fnowhere/x", "host=/nowhere dbname=x"] {
            let error = connect_to(&url.into())
                .err()
                .expect("nothing is there")
                .to_string();
            assert!(error.contains("/nowhere"), "{error}");
        }
    }
}
