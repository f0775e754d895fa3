//! The one database of the private cluster, made by libpq: not every package of PostgreSQL has psql.

use diesel::{Connection, PgConnection, RunQueryDsl, sql_query, sql_types::Text};
use private_postgres::Cluster;
use secrecy::ExposeSecret;

use crate::storage::StorageError;

/// The database that every cluster has.
const MAINTENANCE: &str = "postgres";

/// Makes the database unless there is one of that name, which is one of letters. Blocks.
pub(super) fn create(cluster: &Cluster, name: &str) -> Result<(), StorageError> {
    let url = cluster.url(MAINTENANCE);
    let mut connection =
        PgConnection::establish(url.expose_secret()).map_err(StorageError::unavailable)?;
    let found = sql_query("SELECT FROM pg_catalog.pg_database WHERE datname = $1")
        .bind::<Text, _>(name)
        .execute(&mut connection)?;
    if found == 0 {
        sql_query(format!("CREATE DATABASE {name}")).execute(&mut connection)?;
    }
    Ok(())
}
