//! A throw-away cluster, and databases in it that are migrated as far as a test wants.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use diesel::{
    Connection, PgConnection, QueryResult, QueryableByName, RunQueryDsl,
    connection::SimpleConnection,
    sql_query,
    sql_types::{Nullable, Text},
};
use epicme::storage;
use private_postgres::{Cluster, ClusterOptions};
use secrecy::{ExposeSecret, SecretString};

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let name = format!("epicme-migrations-{}", std::process::id());
        Cluster::start(ClusterOptions {
            directory: std::env::temp_dir().join(name),
            durable: false,
            name: "epicme",
        })
        .unwrap()
    })
}

/// A database of a test's own.
pub(crate) struct Database {
    name: &'static str,
}

impl Database {
    pub(crate) fn new(name: &'static str) -> Self {
        cluster().create_database(name).unwrap();
        Self { name }
    }

    /// One whose schema is that of a version.
    pub(crate) fn at(name: &'static str, version: &str) -> Self {
        let database = Self::new(name);
        storage::migrate_through(&database.url(), version).unwrap();
        database
    }

    pub(crate) fn url(&self) -> SecretString {
        cluster().url(self.name)
    }

    pub(crate) fn connect(&self) -> PgConnection {
        PgConnection::establish(self.url().expose_secret()).unwrap()
    }

    pub(crate) fn lines(&self, sql: &str) -> Vec<String> {
        lines(&mut self.connect(), sql).unwrap()
    }

    pub(crate) fn execute(&self, sql: &str) {
        self.connect().batch_execute(sql).unwrap();
    }

    /// Asks until the answer is not empty, and returns it. After a minute it has failed.
    pub(crate) fn when(&self, sql: &str) -> String {
        let mut connection = self.connect();
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < Duration::from_secs(60), "{sql}");
            let found = lines(&mut connection, sql).unwrap();
            if let Some(line) = found.into_iter().next() {
                return line;
            }
            std::thread::yield_now();
        }
    }
}

/// The column `line` of what a query returns, without nulls.
pub(crate) fn lines(connection: &mut PgConnection, sql: &str) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Nullable<Text>)]
        line: Option<String>,
    }
    let lines = sql_query(sql).load::<Line>(connection)?;
    Ok(lines.into_iter().filter_map(|line| line.line).collect())
}
