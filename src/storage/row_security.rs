//! Row-level security: whose rows a connection reaches, and turning it on.
//!
//! The policies of the tables compare the owner of a row with a setting of the connection. So a statement whose
//! condition on the user was forgotten reaches the rows of one user and no more. It is no barrier to whoever can
//! run statements of their own, because these can change the setting.

use std::fmt::Write as _;

use diesel::{PgConnection, RunQueryDsl, connection::SimpleConnection, sql_query, sql_types::Bool};
use secrecy::SecretString;

use super::{error::StorageError, establish::connect, statement::Statement};
use resource_server::principal::UserId;

/// Whose rows the statements of a lease may reach, where row-level security is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowsOf {
    /// No user's: only what is the server's own.
    Nobody,
    /// One user's.
    User(UserId),
    /// Those of several, and only to write the entries of a group commit and their counts. Nothing else can be read or
    /// written.
    Users(Vec<UserId>),
    /// Everybody's, by the role of housekeeping, which deletes what expires and counts activity: keys, times and counts,
    /// of entries no text.
    Everybody,
}

/// Whose rows a connection reaches now; `None` if that is unknown, because changing it failed.
#[derive(Debug)]
pub(super) struct Reach(Option<RowsOf>);

impl Reach {
    /// That of a new connection.
    pub(super) const fn of_new_connection() -> Self {
        Self(Some(RowsOf::Nobody))
    }

    /// Changes it. Costs a round trip, but for the rows of the same user as before none.
    ///
    /// A connection that was returned keeps its user until its next lease, because nothing can use it before: the
    /// next lease begins here.
    pub(super) fn set(
        &mut self,
        connection: &mut PgConnection,
        wanted: RowsOf,
    ) -> Result<(), StorageError> {
        if self.0.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let from = self.0.take();
        connection.batch_execute(&change(from.as_ref(), &wanted))?;
        self.0 = Some(wanted);
        Ok(())
    }
}

/// The statements that change it. `SET` is cheaper than a `set_config` that was prepared.
fn change(from: Option<&RowsOf>, to: &RowsOf) -> String {
    let mut sql = String::with_capacity(96);
    if matches!(from, None | Some(RowsOf::Everybody)) {
        sql.push_str("RESET ROLE;");
    }
    if matches!(from, None | Some(RowsOf::Users(_))) {
        sql.push_str("SET epicme.user_ids = '';");
    }
    // What is written is hexadecimal digits and hyphens.
    let _ = match to {
        RowsOf::User(user) => write!(sql, "SET epicme.user_id = '{user}'"),
        RowsOf::Nobody | RowsOf::Users(_) | RowsOf::Everybody => {
            write!(sql, "SET epicme.user_id = ''")
        }
    };
    match to {
        RowsOf::Users(users) => {
            let users: Vec<_> = users.iter().map(UserId::to_string).collect();
            let _ = write!(sql, ";SET epicme.user_ids = '{{{}}}'", users.join(","));
        }
        // Where no policy binds the role, it may do so as it is.
        RowsOf::Everybody => sql.push_str(
            ";SELECT pg_catalog.set_config('role', 'epicme_housekeeping', false)
               WHERE pg_catalog.row_security_active('entries')",
        ),
        RowsOf::Nobody | RowsOf::User(_) => {}
    }
    sql
}

/// Why a connection is not used that would find every table empty.
pub(super) const NOT_EXPECTED: &str =
    "row-level security is on for this role, and EPICME_ROW_LEVEL_SECURITY is off";

/// What is said if connections are given users to no effect.
pub(super) const NOT_IN_FORCE: &str = "EPICME_ROW_LEVEL_SECURITY is on, and row-level security does not bind the role of \
     DATABASE_URL: it has not been turned on, or the role owns the tables (`epicme doctor` says which)";

/// Whether row-level security binds the role of a connection.
pub(super) fn is_in_force(connection: &mut PgConnection) -> Result<bool, StorageError> {
    Ok(Statement::<Bool>::new(
        "SELECT coalesce(pg_catalog.row_security_active(pg_catalog.to_regclass('entries')::oid), false)",
    )
    .get_result(connection)?)
}

/// Turns row-level security on for the tables of users. Blocks as long as each table is used by a transaction that
/// does not end, for two minutes at most.
///
/// # Errors
/// `Unavailable` if the database cannot be reached, or a table was in use all the time; `Corrupt` if it refuses, for
/// example because there is no role for housekeeping.
pub fn turn_on_row_level_security(database_url: &SecretString) -> Result<(), StorageError> {
    sql_query("CALL set_row_level_security(true)").execute(&mut connect(database_url)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::derive("https://issuer.example", name)
    }

    #[test]
    fn what_was_set_for_a_lease_is_taken_back_by_the_next() {
        let (ann, bob) = (user("ann"), user("bob"));
        let one = RowsOf::User(ann);
        let several = RowsOf::Users(vec![ann, bob]);
        assert_eq!(
            change(Some(&RowsOf::Nobody), &one),
            format!("SET epicme.user_id = '{ann}'")
        );
        assert_eq!(
            change(Some(&one), &RowsOf::Nobody),
            "SET epicme.user_id = ''"
        );
        assert_eq!(
            change(Some(&one), &several),
            format!("SET epicme.user_id = '';SET epicme.user_ids = '{{{ann},{bob}}}'")
        );
        assert_eq!(
            change(Some(&several), &one),
            format!("SET epicme.user_ids = '';SET epicme.user_id = '{ann}'")
        );
        for unknown in [None, Some(&RowsOf::Everybody)] {
            assert!(change(unknown, &one).starts_with("RESET ROLE;"));
        }
        assert!(change(None, &one).contains("SET epicme.user_ids = '';"));
    }
}
