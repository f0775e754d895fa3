//! Whole databases: made, cloned and dropped. For `dev` and the tests; a server has one and keeps it.

use diesel::{RunQueryDsl, sql_query, sql_types::Bool};
use secrecy::SecretString;

use super::{error::StorageError, establish::connect, statement::Statement};

/// Makes a database, as a copy of `template` if there is one; `false` if it exists already. Blocks.
///
/// # Errors
/// `Unavailable` if `server`, the URL of another database there, cannot be reached, or somebody is
/// connected to the template.
pub fn create_database(
    server: &SecretString,
    name: &str,
    template: Option<&str>,
) -> Result<bool, StorageError> {
    let mut connection = connect(server)?;
    let exists: bool = Statement::<Bool>::new(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1)",
    )
    .bind::<diesel::sql_types::Text, _>(name)
    .get_result(&mut connection)?;
    if exists {
        return Ok(false);
    }
    let template = template.map_or(String::new(), |t| format!(" TEMPLATE {}", quoted(t)));
    sql_query(format!("CREATE DATABASE {}{template}", quoted(name))).execute(&mut connection)?;
    Ok(true)
}

/// Drops a database and cuts whoever is connected to it. Not an error if there is none. Blocks.
///
/// # Errors
/// `Unavailable` if `server`, the URL of another database there, cannot be reached.
pub fn drop_database(server: &SecretString, name: &str) -> Result<(), StorageError> {
    let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name));
    sql_query(drop).execute(&mut connect(server)?)?;
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
