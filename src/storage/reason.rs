//! Why a database cannot be used, in its own words, where it is, and what to do about it.

use std::error::Error as _;

use derive_more::{Display, Error};
use secrecy::SecretString;

use super::{address::DatabaseAddress, error::StorageError};

/// A database that cannot be used: a sentence for the operator, without a password.
#[derive(Clone, Debug, Display, Error, PartialEq, Eq)]
#[display("{reason} ({address}){}", advice.map_or_else(String::new, |advice| format!("; {advice}")))]
pub struct Unusable {
    /// The database's own reason, or that of libpq.
    pub reason: String,
    /// Where it is.
    pub address: DatabaseAddress,
    /// What to do, if the reason is a known one.
    pub advice: Option<&'static str>,
}

/// What an error of the database at this URL says.
#[must_use]
pub fn unusable(url: &SecretString, error: &StorageError) -> Unusable {
    let cause = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    let reason = Vec::from_iter(cause.split_whitespace()).join(" ");
    Unusable {
        advice: advice(&reason),
        address: DatabaseAddress::of(url),
        reason,
    }
}

/// Words of the reasons of libpq, PostgreSQL and PgBouncer in English, and what to do. The first that fits counts.
const ADVICE: &[(&[&str], &str)] = &[
    (
        &[
            "password authentication failed",
            "SASL authentication failed",
            "no such user",
        ],
        "the user name or the password is wrong: correct DATABASE_URL, or set the role's password with ALTER ROLE … PASSWORD",
    ),
    (
        &["no password supplied"],
        "the server asks for a password, and DATABASE_URL has none",
    ),
    (
        &["Peer authentication failed", "Ident authentication failed"],
        "the server wants the system's user of the same name: connect over TCP with a password, or add the role to pg_hba.conf",
    ),
    (
        &["is not permitted to log in"],
        "allow it with ALTER ROLE … LOGIN, or name another role in DATABASE_URL",
    ),
    (
        &["no encryption", "SSL off", "SSL required", "requires SSL"],
        "the server takes no connection without TLS from here: set sslmode=verify-full (and sslrootcert, if its CA is a private one) \
         in a program that is built with TLS, or connect by a Unix socket or a TLS proxy on this machine",
    ),
    (
        &["server does not support SSL"],
        "the server has no TLS, or somebody in between hides it: turn ssl on there; on a private network, name the host in \
         EPICME_PLAIN_DATABASE_HOSTS and set sslmode=prefer",
    ),
    (
        &["certificate verify failed"],
        "the server's certificate is not of the CA that DATABASE_URL names: correct sslrootcert; if it is right, somebody in between \
         poses as the server",
    ),
    (
        &["server certificate for", "server common name"],
        "the server's certificate is for another name: write the host as the certificate has it",
    ),
    (
        &[
            "root certificate file",
            "home directory to locate root certificate",
        ],
        "name the file of the CA's certificate in DATABASE_URL: sslrootcert=/etc/ssl/certs/ca-certificates.crt for public ones",
    ),
    (
        &["channel binding", "authentication method requirement"],
        "the server asks for a password in another way than SCRAM, or it is not the server: set the role's password anew with \
         password_encryption = scram-sha-256, or say in DATABASE_URL which ways it may (require_auth)",
    ),
    (
        &["invalid connection option"],
        "DATABASE_URL has a parameter that this libpq does not know: require_auth and sslrootcert=system need libpq 16",
    ),
    (
        &["no pg_hba.conf entry", "pg_hba.conf rejects"],
        "the server does not let this user in from this address: add a line for it to pg_hba.conf and reload the server",
    ),
    (
        &[
            "too many clients",
            "too many connections",
            "remaining connection slots",
            "no more connections allowed",
        ],
        "every connection is taken: raise max_connections (or the role's CONNECTION LIMIT), or lower EPICME_DATABASE_POOL of \
         the processes that use it",
    ),
    (
        &["invalid when SSL support is not compiled in"],
        "this program is built without TLS to the database: use the image, or build with --no-default-features --features system-libpq",
    ),
    (
        &[
            "starting up",
            "shutting down",
            "in recovery mode",
            "not yet accepting connections",
        ],
        "wait: the server starts or stops",
    ),
    (
        &[
            "takes no writes",
            "read-only transaction",
            "session is read-only",
            "session is not read-write",
            "hot standby",
            "during recovery",
        ],
        "DATABASE_URL leads to a standby, or to a database that is set to be read only: name the primary",
    ),
    (
        &[
            "permission denied to create",
            "permission denied for schema",
            "must be owner of",
        ],
        "the role that migrates has to own the database or its schema: run `epicme migrate` as its owner, or GRANT CREATE ON \
         SCHEMA public",
    ),
    (
        &["permission denied"],
        "the role may not do this: GRANT it what it needs, or use the owner's role",
    ),
    (
        &[
            "does not exist",
            "no such database",
            "is not currently accepting connections",
        ],
        "correct the name in DATABASE_URL, or create it as a superuser: CREATE ROLE … LOGIN PASSWORD …; CREATE DATABASE … OWNER …",
    ),
    (
        &[
            "could not translate host name",
            "Name or service not known",
            "nodename nor servname",
            "could not look up",
        ],
        "no such host: correct it in DATABASE_URL, or the name resolution of this machine",
    ),
    (
        &["Connection refused"],
        "nobody listens there: is PostgreSQL running, are host and port right, and does it listen on this address \
         (listen_addresses)",
    ),
    (
        &["No such file or directory"],
        "no PostgreSQL has its socket there: is it running, and is the directory right (unix_socket_directories)",
    ),
    (
        &["Permission denied"],
        "this user may not open the socket: its directory or unix_socket_permissions",
    ),
    (
        &["timeout expired", "timed out", "no answer within"],
        "what is there does not answer as PostgreSQL does: is the address right, does a firewall drop the packets, is the server overloaded",
    ),
    (
        &["No route to host", "Network is unreachable"],
        "there is no way to that address: correct it in DATABASE_URL, or the network of this machine",
    ),
    (
        &[
            "expected authentication request",
            "invalid response",
            "received invalid",
        ],
        "what answers there is not PostgreSQL: correct host and port in DATABASE_URL",
    ),
    (
        &[
            "server closed the connection unexpectedly",
            "Connection reset",
            "could not receive data",
            "could not send",
        ],
        "the connection was cut: the log of the server (or of the pooler, where pool_mode = statement does this) has the reason, or \
         what answers there is not PostgreSQL",
    ),
    (
        &[
            "gives each transaction another session",
            "unsupported startup parameter",
            "transaction blocks not allowed in statement pooling",
        ],
        "a pooler is in between: connect to PostgreSQL itself, or set pool_mode = session for this database and user",
    ),
    (
        &["cannot be read"],
        "write DATABASE_URL as postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with user and password percent-encoded",
    ),
];

fn advice(reason: &str) -> Option<&'static str> {
    let fits = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    let found = ADVICE.iter().find(|(words, _)| fits(words));
    found.map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_advice() {
        let reasons = [
            "connection to server at \"db\" (10.0.0.7), port 5432 failed: FATAL: password authentication failed for user \"ann\"",
            "connection to server at \"db\" (10.0.0.7), port 5432 failed: fe_sendauth: no password supplied",
            "connection to server at \"db\" (10.0.0.7), port 5432 failed: FATAL: database \"nope\" does not exist",
            "connection to server at \"db\" (10.0.0.7), port 5432 failed: Connection refused Is the server running on that host?",
            "connection to server on socket \"/run/.s.PGSQL.5432\" failed: No such file or directory",
            "could not translate host name \"nowhere.invalid\" to address: Name or service not known",
            "connection to server at \"db\" (10.0.0.7), port 5432 failed: FATAL: no pg_hba.conf entry for host \"10.0.0.8\", user \"ann\", database \"epicme\", no encryption",
            "connection to server at \"db\" (10.0.0.7), port 5432 failed: FATAL: no pg_hba.conf entry for host \"10.0.0.8\", user \"ann\", database \"epicme\"",
            "connection to server at \"db\" (10.0.0.7), port 5432 failed: FATAL: sorry, too many clients already",
            "permission denied for schema public",
            "permission denied for table entries",
            "connection to server at \"db\" (10.0.0.7), port 5432 failed: timeout expired",
            "connection to server at \"db\" (10.0.0.7), port 5432 failed: FATAL: the database system is starting up",
        ];
        let mut advices: Vec<_> = reasons
            .iter()
            .map(|reason| advice(reason).unwrap_or_else(|| panic!("{reason}")))
            .collect();
        advices.sort_unstable();
        advices.dedup();
        assert_eq!(advices.len(), reasons.len());
    }

    #[test]
    fn the_sentence_has_the_reason_the_place_and_what_to_do() {
        let url = "postgres://ann:zq5@db/epicme".into();
        let error = StorageError::unavailable("FATAL:  database \"epicme\"\n does not exist");
        let said = unusable(&url, &error).to_string();
        assert!(
            said.starts_with(
                "FATAL: database \"epicme\" does not exist (postgresql://ann@db/epicme); correct the name"
            ),
            "{said}"
        );
    }
}
