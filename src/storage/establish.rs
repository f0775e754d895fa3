//! Opens connections: to another machine with TLS only, with libpq parameters by which a lost host is noticed, and
//! with a session of their own.

use diesel::{
    Connection, ConnectionError, PgConnection, RunQueryDsl,
    connection::CacheSize,
    sql_types::{Nullable, Text},
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    error::StorageError, parameters::Parameters, pooling::SessionCheck, protection,
    statement::Statement, unreachable::Unreachable,
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

/// Opens a connection that keeps its session. Blocks.
///
/// # Errors
/// `Unavailable` if the database cannot be reached, `Corrupt` if a pooler lends its sessions for single transactions.
pub(super) fn connect(url: &SecretString) -> Result<PgConnection, StorageError> {
    let mut connection = establish(url)?;
    SessionCheck::new(url.clone(), establish).require(&mut connection)?;
    Ok(connection)
}

/// Opens a connection, of which it is not known yet whether it keeps its session. Blocks.
///
/// Behind a pooler it keeps no prepared statement, so that there is none to be mistaken for another's if that pooler is
/// told to lend sessions for single transactions while the connection is in use.
///
/// # Errors
/// If the database cannot be reached, or the URL cannot be read or leads to another machine without TLS.
pub(super) fn establish(url: &SecretString) -> Result<PgConnection, Unreachable> {
    let parameters = completed(url.expose_secret())?;
    let mut marked = parameters.clone();
    let options = protection::options(&parameters).map_err(misconfigured)?;
    marked.set(
        "options",
        format!("{} {MARK}", options.unwrap_or_default()).trim_start(),
    );
    let mut connection = match PgConnection::establish(marked.pairs().expose_secret()) {
        Err(error)
            if REFUSES_OPTIONS
                .iter()
                .any(|words| error.to_string().contains(words)) =>
        {
            PgConnection::establish(parameters.pairs().expose_secret())
        }
        established => established,
    }?;
    let way = Statement::<Nullable<Text>>::fit_to_binds(
        "SELECT pg_catalog.current_setting('epicme.connection', true)",
    )
    .get_result::<Option<String>>(&mut connection)
    .map_err(ConnectionError::CouldntSetupConfiguration)?;
    let is_direct = way.is_some_and(|way| way == "direct");
    if !is_direct {
        connection.set_prepared_statement_cache_size(CacheSize::Disabled);
    }
    Ok(connection)
}

/// A setting that PostgreSQL takes from its client, and that poolers do not pass on: they refuse it or leave it out.
const MARK: &str = "-c epicme.connection=direct";

/// How poolers word that they take no such settings: PgBouncer and Amazon's.
const REFUSES_OPTIONS: [&str; 2] = ["unsupported startup parameter", "command-line options"];

fn misconfigured(fault: String) -> Unreachable {
    Unreachable::until_changed(format!("the database's URL {fault}"))
}

/// What libpq is given, with what is missing.
fn completed(url: &str) -> Result<Parameters, Unreachable> {
    let mut parameters = Parameters::read(url).map_err(|_| Unreachable::unparsable())?;
    for (name, value) in DEFAULTS {
        parameters.set_default(name, value);
    }
    protection::protect(&mut parameters).map_err(misconfigured)?;
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "connect_timeout='3' tcp_user_timeout='10000' keepalives_idle='10' keepalives_interval='5' keepalives_count='3'";

    #[test]
    fn a_url_gets_time_limits_unless_it_has_them() {
        for (url, expected) in [
            (
                "postgres:///epicme?host=/run",
                format!("dbname='epicme' host='/run' {ALL}"),
            ),
            (
                "host=/run password = 'a\\'b' keepalives_idle = 99",
                format!(
                    "host='/run' password='a\\'b' keepalives_idle='99' {}",
                    ALL.replace("keepalives_idle='10' ", "")
                ),
            ),
        ] {
            assert_eq!(
                completed(url).unwrap().pairs().expose_secret(),
                expected,
                "{url}"
            );
        }
    }

    #[test]
    fn an_error_of_a_url_quotes_nothing_of_it() {
        for url in [
            "postgres://ann:zq5%zz@%2Frun/epicme",
            "postgres://ann:zq5/zq6@db/epicme",
            "postgres://[zq5/epicme",
            "host=/run password='zq5",
            "postgres://%2Frun/epicme?zq5=1",
            "postgres://%2Frun/epicme?zq=1",
            "postgres://%2Frun/epicme?sslmode=zq5",
            "postgres://%2Frun/epicme?gssencmode=zq5",
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
