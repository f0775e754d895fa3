//! Opens connections: to another machine with TLS only, with libpq parameters by which a lost host is noticed, and
//! with a session of their own.

use std::time::Duration;

use diesel::{
    Connection, ConnectionError, PgConnection, RunQueryDsl,
    connection::CacheSize,
    sql_types::{Nullable, Text},
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    error::StorageError,
    parameters::Parameters,
    pooling::SessionCheck,
    protection,
    statement::Statement,
    unreachable::Unreachable,
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

/// How long the rest may take besides connecting, which libpq limits by itself: looking up names, finding out whether the
/// connection keeps its session, and the first statements, Diesel's own among them.
const BESIDES_CONNECTING: Duration = Duration::from_secs(7);

/// Opens a connection that keeps its session. Blocks, for a limited time even if a server accepts it and never answers.
///
/// # Errors
/// `Unavailable` if the database cannot be reached, `Corrupt` if a pooler lends its sessions for single transactions.
pub(super) fn connect(url: &SecretString) -> Result<PgConnection, StorageError> {
    let opened = connect_with(url, |_| Ok::<_, StorageError>(()));
    opened.map(|(connection, ())| connection)
}

/// Opens a connection that keeps its session, and sets it up. The time limit of [`connect`] is for both.
///
/// # Errors
/// Those of [`connect`], and those of `set_up`.
pub(super) fn connect_with<T, E>(
    url: &SecretString,
    set_up: impl FnOnce(&mut PgConnection) -> Result<T, E> + Send + 'static,
) -> Result<(PgConnection, T), E>
where
    T: Send + 'static,
    E: From<Unreachable> + Send + 'static,
{
    let check = SessionCheck::new(url.clone(), establish);
    open_with(url, move |connection| {
        check.require(connection)?;
        set_up(connection)
    })
}

/// Opens a connection, and sets it up, which has to find out whether it keeps its session. The time limit of [`connect`] is
/// for both.
///
/// # Errors
/// Those of [`establish`], and those of `set_up`.
pub(super) fn open_with<T, E>(
    url: &SecretString,
    set_up: impl FnOnce(&mut PgConnection) -> Result<T, E> + Send + 'static,
) -> Result<(PgConnection, T), E>
where
    T: Send + 'static,
    E: From<Unreachable> + Send + 'static,
{
    let limit = time_limit(&completed(url.expose_secret())?);
    let url = url.clone();
    let opened = within(limit, move || {
        let mut connection = establish(&url)?;
        let set = set_up(&mut connection)?;
        Ok((connection, set))
    });
    opened.unwrap_or_else(|silent: Silent| Err(Unreachable::because(silent).into()))
}

/// How long opening a connection may take: libpq's own limit is for each host.
fn time_limit(parameters: &Parameters) -> Duration {
    let each = parameters.get("connect_timeout").unwrap_or_default().trim();
    match each.parse::<u64>().unwrap_or(0) {
        // What libpq takes for no limit.
        0 => Duration::from_secs(24 * 60 * 60),
        each => {
            let hosts = u32::try_from(hosts(parameters)).unwrap_or(u32::MAX);
            Duration::from_secs(each).saturating_mul(hosts) + BESIDES_CONNECTING
        }
    }
}

/// How many hosts are tried, one after the other.
fn hosts(parameters: &Parameters) -> usize {
    let lists = ["host", "hostaddr"].map(|name| parameters.get(name).unwrap_or_default());
    let longest = lists.map(|list| list.split(',').count()).into_iter().max();
    longest.unwrap_or(1)
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
    if hosts(&parameters) > 1 {
        let (name, value) = OF_SEVERAL_HOSTS;
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
    fn of_several_hosts_the_one_that_takes_writes_is_wanted_unless_another_is() {
        for (url, wanted) in [
            ("postgres://127.0.0.1,127.0.0.2/epicme", Some("read-write")),
            ("host=/a,/b port=1,2", Some("read-write")),
            (
                "postgres://127.0.0.1,127.0.0.2/epicme?target_session_attrs=any",
                Some("any"),
            ),
            ("host=/a", None),
        ] {
            let completed = completed(url).unwrap();
            assert_eq!(completed.get("target_session_attrs"), wanted, "{url}");
        }
    }

    #[test]
    fn the_time_limit_is_for_every_host_and_what_was_set() {
        for (url, seconds) in [
            ("postgres://127.0.0.1/epicme", 10),
            ("postgres://127.0.0.1,127.0.0.2/epicme", 13),
            (
                "postgres://127.0.0.1,127.0.0.2/epicme?connect_timeout=10",
                27,
            ),
            ("host=/a,/b connect_timeout = 10", 27),
            ("postgres://127.0.0.1/epicme?connect_timeout=0", 86_400),
        ] {
            let limit = time_limit(&completed(url).unwrap());
            assert_eq!(limit, Duration::from_secs(seconds), "{url}");
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
