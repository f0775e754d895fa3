//! PostgreSQL: whether it can be reached, what it is, and whether it fits.

use std::time::Duration;

use actix_rt::{task::spawn_blocking, time::timeout};
use secrecy::SecretString;

use super::{
    report::{Report, Section},
    row_security,
};
use crate::{
    config::{Config, DatabaseConfig, Options},
    storage::{self, DatabaseAddress, Encryption, Inspection, Pooling, Server, StorageError},
};

/// How long everything that is asked may take: a pooler, for one, may let a connection wait for minutes.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Connections that a process has besides its pool: for cancelling, for readiness, for the bus, and to check the others.
const BESIDES_THE_POOL: i64 = 4;

pub(super) async fn examine(options: &Options, report: &mut Report) {
    let Ok(url) = Config::database_url(options) else {
        let text = "it is not asked, because DATABASE_URL is wrong";
        return report.section("Database").wrong(text, None);
    };
    let database = Config::read(options).ok().map(|config| config.database);
    let address = DatabaseAddress::of(&url);
    let mut section = report.section(format!("Database {address}"));
    if let Some(inspection) = inspected(&url, &mut section).await {
        tell(&inspection, &address, database.as_ref(), &mut section);
    }
    let direct = database.filter(|database| database.bus || database.migrate);
    let Some(url) = direct.and_then(|database| database.direct_url) else {
        return;
    };
    let address = DatabaseAddress::of(&url);
    let mut section = report.section(format!("Database, directly {address}"));
    if let Some(inspection) = inspected(&url, &mut section).await {
        let server = &inspection.server;
        section.ok(format!(
            "PostgreSQL {} answers, database {}, role {}",
            server.version, server.database, server.role
        ));
        connection(server, inspection.pooling, &address, &mut section);
    }
}

/// What is found at this URL. `None` has left a line.
async fn inspected(url: &SecretString, section: &mut Section<'_>) -> Option<Inspection> {
    let asked = url.clone();
    let inspected = timeout(TIMEOUT, spawn_blocking(move || storage::inspect(&asked))).await;
    let inspected = match inspected {
        Ok(Ok(inspected)) => inspected,
        Ok(Err(_)) => Err(StorageError::corrupt(
            "the examination of the database panicked",
        )),
        Err(_) => Err(StorageError::unavailable(format!(
            "no answer within {} s",
            TIMEOUT.as_secs()
        ))),
    };
    inspected
        .inspect_err(|error| {
            let unusable = storage::unusable(url, error);
            section.wrong(unusable.reason, unusable.advice.map(str::to_owned));
        })
        .ok()
}

fn tell(
    inspection: &Inspection,
    address: &DatabaseAddress,
    database: Option<&DatabaseConfig>,
    section: &mut Section<'_>,
) {
    let server = &inspection.server;
    section.ok(format!(
        "PostgreSQL {} answers, database {}, role {}",
        server.version, server.database, server.role
    ));
    connection(server, inspection.pooling, address, section);
    if server.is_read_only {
        section.wrong(
            "it takes no writes",
            Some("DATABASE_URL leads to a standby, or to a database that is set to be read only: name the primary".to_owned()),
        );
    }
    if server.encoding != "UTF8" {
        section.wrong(
            format!("its encoding is {}, and UTF8 is needed", server.encoding),
            Some("CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0".to_owned()),
        );
    }
    if server.is_superuser {
        section.warning(
            "the role is a superuser, although serving needs less",
            Some(
                "serve with a role that may only read and change the tables (docs/DOCKER.md)"
                    .to_owned(),
            ),
        );
    } else {
        section.ok("the role is no superuser");
    }
    schema(inspection, database, section);
    extension(server, section);
    if let Some(tables) = &server.forbidden_tables {
        section.wrong(
            format!("the role may not both read and change {tables}"),
            Some(format!(
                "as their owner: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}",
                server.role
            )),
        );
    }
    row_security::tell(
        &inspection.row_security,
        &server.role,
        database.is_some_and(|database| database.row_level_security),
        section,
    );
    if let Some(database) = database {
        let needed = i64::from(database.pool.get()) + BESIDES_THE_POOL;
        let text = format!(
            "this process uses up to {needed} connections, and the server admits {} in all",
            server.most_connections
        );
        if needed > server.most_connections {
            let advice = "lower EPICME_DATABASE_POOL, or raise max_connections";
            section.wrong(text, Some(advice.to_owned()));
        } else {
            section.ok(text);
        }
    }
}

/// What is between this program and PostgreSQL.
fn connection(
    server: &Server,
    pooling: Pooling,
    address: &DatabaseAddress,
    section: &mut Section<'_>,
) {
    encryption(server, address, section);
    match pooling {
        Pooling::Transaction => section.wrong(
            "a pooler gives each transaction another session, so that a statement of one connection could run on another: \
             this program does not serve by it",
            Some(
                "connect to PostgreSQL itself, or set pool_mode = session for this database and user"
                    .to_owned(),
            ),
        ),
        Pooling::None => section.ok(match (server.port, address.port()) {
            (Some(own), Some(asked)) if i32::from(asked) != own => format!(
                "connections keep their session; PostgreSQL listens on port {own} and {asked} was asked, so a proxy, \
                 a port mapping or a pooler that keeps sessions is in between"
            ),
            _ => "connections keep their session: no pooler in transaction mode".to_owned(),
        }),
    }
}

fn encryption(server: &Server, address: &DatabaseAddress, section: &mut Section<'_>) {
    let verify = || {
        let advice = "set sslmode=verify-full in the URL, and sslrootcert to the file of the CA's certificate";
        Some(advice.to_owned())
    };
    match address.encryption() {
        _ if address.is_local() => {
            section.ok("the connection stays on this machine");
        }
        Encryption::Authenticated => {
            section.ok("the connection is encrypted, and the server must prove its identity");
        }
        Encryption::Demanded => section.warning(
            "the connection is encrypted, and the server's name is not checked: somebody in between could pose as the server",
            verify(),
        ),
        Encryption::Optional if server.is_encrypted => section.warning(
            "the connection is encrypted, and would also be made without encryption if the server had none",
            verify(),
        ),
        Encryption::Optional => section.warning(
            "the connection is without TLS, and leaves this machine: entries can be read on the way",
            verify(),
        ),
    }
}

/// A migration creates the extension, so its lack is told where that migration would fail.
fn extension(server: &Server, section: &mut Section<'_>) {
    if server.has_btree_gin {
        return;
    }
    if !server.offers_btree_gin {
        section.wrong(
            "the server lacks the extension btree_gin, which search needs",
            Some("install PostgreSQL's contrib package on the server's machine (postgresql-contrib; Debian has it in the server's own package)".to_owned()),
        );
    } else if !server.may_create_extensions {
        section.warning(
            "search needs the extension btree_gin, which is not there, and the role may not create it",
            Some("as the owner of the database: CREATE EXTENSION btree_gin, or run `epicme migrate` with a role that may create it".to_owned()),
        );
    }
}

fn schema(inspection: &Inspection, database: Option<&DatabaseConfig>, section: &mut Section<'_>) {
    let pending = match &inspection.pending_migrations {
        Ok(pending) => pending,
        Err(error) => {
            let text = format!(
                "the role may not read which migrations were run: {}",
                error.with_cause()
            );
            let advice = "as their owner: GRANT SELECT ON __diesel_schema_migrations to the role";
            return section.wrong(text, Some(advice.to_owned()));
        }
    };
    if pending.is_empty() {
        return section.ok("the schema is up to date");
    }
    let text = format!(
        "{} migrations are pending: {}",
        pending.len(),
        pending.join(", ")
    );
    let runs_them = database.is_some_and(|database| database.migrate);
    let may = inspection.server.may_create;
    let as_owner = "run `epicme migrate` with the role that owns the schema";
    match (runs_them, may) {
        (true, true) => section.warning(
            text,
            Some("`epicme serve` runs them (EPICME_MIGRATE=on)".to_owned()),
        ),
        (true, false) => section.wrong(
            format!("{text}; EPICME_MIGRATE is on, and the role may not create tables"),
            Some(as_owner.to_owned()),
        ),
        (false, true) => section.wrong(
            text,
            Some("run `epicme migrate`, or set EPICME_MIGRATE=on".to_owned()),
        ),
        (false, false) => section.wrong(text, Some(as_owner.to_owned())),
    }
}
