//! One throw-away cluster a run, one database a test, cloned from a migrated template.
//!
//! With `EPICME_TEST_PARTITIONS=8` in the environment the tables of the template are divided into as many hash
//! partitions, by the script that operators use.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use diesel::{Connection, PgConnection, QueryResult, RunQueryDsl, sql_query};
use epicme::storage;
use private_postgres::{Cluster, ClusterOptions};
use secrecy::{ExposeSecret, SecretString};

const TEMPLATE: &str = "template";

/// Divides the tables of an empty database by user.
pub(crate) const PARTITIONS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/docs/scale/partitions.sql"
));

/// The role that row-level security binds. The cluster's own is a superuser, which it does not.
pub(crate) const SERVING: &str = "serving";

/// What that role may do with the tables that migrations will make.
pub(crate) const RIGHTS: &str = "
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO serving;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO serving";

pub(crate) fn new_cluster() -> Cluster {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("epicme-test-{}-{number}", std::process::id());
    Cluster::start(ClusterOptions {
        directory: std::env::temp_dir().join(name),
        durable: false,
        name: "epicme",
    })
    .unwrap()
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = new_cluster();
        cluster.create_database(TEMPLATE).unwrap();
        let url = cluster.url(TEMPLATE);
        // As docker/postgres/roles.sql does.
        let roles = format!(
            "CREATE ROLE {SERVING} LOGIN NOINHERIT;
             CREATE ROLE epicme_housekeeping NOLOGIN;
             GRANT epicme_housekeeping TO {SERVING};
             {RIGHTS}"
        );
        cluster.execute(TEMPLATE, &roles).unwrap();
        storage::migrate(&url).unwrap();
        if let Some(partitions) = std::env::var_os("EPICME_TEST_PARTITIONS") {
            let partitions: u32 = partitions.to_str().unwrap().parse().unwrap();
            let divide = format!("SET epicme.partitions = {partitions};\n{PARTITIONS}");
            cluster.execute(TEMPLATE, &divide).unwrap();
        }
        storage::turn_on_row_level_security(&url).unwrap();
        cluster
    })
}

/// A database of the test's own, dropped with it.
pub(crate) struct TestDatabase {
    name: String,
    pub(crate) url: SecretString,
}

impl TestDatabase {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        cluster().create_database_from(&name, TEMPLATE).unwrap();
        let url = cluster().url(&name);
        Self { name, url }
    }

    pub(crate) fn connect(&self) -> PgConnection {
        PgConnection::establish(self.url.expose_secret()).unwrap()
    }

    pub(crate) fn execute(&self, sql: &str) -> QueryResult<usize> {
        sql_query(sql).execute(&mut self.connect())
    }

    pub(crate) fn count(&self, from: &str) -> i64 {
        #[derive(diesel::QueryableByName)]
        struct Count {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            count: i64,
        }
        sql_query(format!("SELECT count(*) AS count FROM {from}"))
            .get_result::<Count>(&mut self.connect())
            .unwrap()
            .count
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        cluster().drop_database(&self.name).unwrap();
    }
}
