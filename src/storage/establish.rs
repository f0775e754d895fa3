//! Opening a connection, and what libpq is told so that a database that vanished is noticed.

use diesel::{Connection, PgConnection};
use secrecy::{ExposeSecret, SecretString};

use super::{error::StorageError, pool::unreachable};

/// What libpq is told unless the URL says otherwise. Without these, a host that vanished without a
/// word (a fail-over, a cut cable) holds a thread for many minutes: libpq waits for a connection
/// without end, and the kernel repeats unacknowledged data for a quarter of an hour.
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
    establish(url).map_err(unreachable)
}

/// The same, with Diesel's own error.
pub(super) fn establish(url: &SecretString) -> diesel::ConnectionResult<PgConnection> {
    PgConnection::establish(with_defaults(url.expose_secret()).expose_secret())
}

/// Both forms that libpq reads: a URL, and `name=value` pairs.
fn with_defaults(url: &str) -> SecretString {
    let is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let mut url = url.to_owned();
    for (name, value) in DEFAULTS {
        let said = url
            .match_indices(name)
            .any(|(at, _)| url[at + name.len()..].trim_start().starts_with('='));
        if said {
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

    fn told(url: &str) -> String {
        with_defaults(url).expose_secret().to_owned()
    }

    const ALL: &str = "connect_timeout=3&tcp_user_timeout=10000&keepalives_idle=10&keepalives_interval=5&keepalives_count=3";

    #[test]
    fn a_url_is_told_when_to_give_up_unless_it_says_so_itself() {
        assert_eq!(
            told("postgres://db/epicme"),
            format!("postgres://db/epicme?{ALL}")
        );
        assert_eq!(
            told("postgresql://db/epicme?sslmode=disable"),
            format!("postgresql://db/epicme?sslmode=disable&{ALL}")
        );
        let patient = told("postgres://db/epicme?connect_timeout=60");
        assert!(patient.starts_with("postgres://db/epicme?connect_timeout=60&tcp_user_timeout"));
        assert_eq!(patient.matches("connect_timeout").count(), 1);
    }

    #[test]
    fn so_are_pairs_of_names_and_values() {
        assert_eq!(
            told("host=db dbname=epicme keepalives_idle = 99"),
            format!(
                "host=db dbname=epicme keepalives_idle = 99 {}",
                ALL.replace("keepalives_idle=10&", "").replace('&', " ")
            )
        );
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
