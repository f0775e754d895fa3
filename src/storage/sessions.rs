//! What sessions of the legacy revisions have set, and which have ended.

use diesel::{
    OptionalExtension, PgConnection, RunQueryDsl,
    sql_types::{Array, Binary, Bool, Nullable, Text, Timestamptz, Uuid},
};

use mcp_protocol::logging::Level;
use mcp_server::features::session_store::{Gathered, SessionChange, SessionName, StoredSession};
use resource_server::principal::UserId;

use super::{error::StorageError, statement::Statement};

/// A statement that adds a row of a user ($1) for a session ($2). Where the user has a thousand, those that began
/// first give way, ended ones or not.
macro_rules! making_room {
    ($statement:literal) => {
        concat!(
            "WITH crowded AS (
               DELETE FROM sessions
                WHERE user_id = $1 AND name IN (
                      SELECT name FROM sessions
                       WHERE user_id = $1 AND name <> $2
                       ORDER BY expires_at DESC OFFSET 999 LIMIT 100 FOR UPDATE SKIP LOCKED)) ",
            $statement
        )
    };
}

type Row = (bool, Option<String>, Vec<String>);

/// What a session has set, and whether it has ended.
///
/// # Errors
/// Those of the database.
pub fn load(
    connection: &mut PgConnection,
    user: UserId,
    name: SessionName,
) -> Result<Gathered, StorageError> {
    let row: Option<Row> = Statement::<(Bool, Nullable<Text>, Array<Text>)>::new(
        "SELECT ended, log_level, subscriptions FROM sessions WHERE user_id = $1 AND name = $2",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Binary, _>(&name.as_bytes()[..])
    .get_result(connection)
    .optional()?;
    let gathered = row.map(|(ended, log_level, subscriptions)| Gathered {
        ended,
        // A level that this version does not know is as none.
        log_level: log_level.as_deref().and_then(Level::parse),
        subscriptions,
    });
    Ok(gathered.unwrap_or_default())
}

/// Stores a change; `false` if the session has ended, or has as many subscriptions as it may have.
///
/// # Errors
/// Those of the database.
pub fn change(
    connection: &mut PgConnection,
    session: &StoredSession,
    change: &SessionChange,
) -> Result<bool, StorageError> {
    let user = session.user.as_uuid();
    let name = &session.name.as_bytes()[..];
    let until = session.until;
    let rows = match change {
        SessionChange::LogLevel(level) => Statement::<()>::new(making_room!(
            "INSERT INTO sessions AS s (user_id, name, expires_at, log_level)
             VALUES ($1, $2, $3, $4)
                 ON CONFLICT (user_id, name) DO UPDATE SET log_level = excluded.log_level
              WHERE NOT s.ended"
        ))
        .bind::<Uuid, _>(user)
        .bind::<Binary, _>(name)
        .bind::<Timestamptz, _>(until)
        .bind::<Text, _>(level.as_str())
        .execute(connection)?,
        SessionChange::Subscribed(uri) => Statement::<()>::new(making_room!(
            "INSERT INTO sessions AS s (user_id, name, expires_at, subscriptions)
             VALUES ($1, $2, $3, ARRAY[$4])
                 ON CONFLICT (user_id, name) DO UPDATE
                SET subscriptions = array_remove(s.subscriptions, $4) || excluded.subscriptions
              WHERE NOT s.ended
                AND (cardinality(s.subscriptions) < 100 OR $4 = ANY (s.subscriptions))"
        ))
        .bind::<Uuid, _>(user)
        .bind::<Binary, _>(name)
        .bind::<Timestamptz, _>(until)
        .bind::<Text, _>(uri)
        .execute(connection)?,
        SessionChange::Unsubscribed(uri) => {
            Statement::<()>::new(
                "UPDATE sessions SET subscriptions = array_remove(subscriptions, $3)
                  WHERE user_id = $1 AND name = $2",
            )
            .bind::<Uuid, _>(user)
            .bind::<Binary, _>(name)
            .bind::<Text, _>(uri)
            .execute(connection)?;
            1
        }
        SessionChange::Ended => Statement::<()>::new(making_room!(
            "INSERT INTO sessions (user_id, name, expires_at, ended)
             VALUES ($1, $2, $3, true)
                 ON CONFLICT (user_id, name) DO UPDATE
                SET ended = true, log_level = NULL, subscriptions = '{}'"
        ))
        .bind::<Uuid, _>(user)
        .bind::<Binary, _>(name)
        .bind::<Timestamptz, _>(until)
        .execute(connection)?,
    };
    Ok(rows > 0)
}

/// Keeps an answer for the process that asked; `false` if the user has 32 that were not taken. Those of which nobody
/// took notice for five minutes are deleted first.
///
/// # Errors
/// Those of the database.
pub fn keep_answer(
    connection: &mut PgConnection,
    session: &StoredSession,
    question: &str,
    answer: &str,
) -> Result<bool, StorageError> {
    let rows = Statement::<()>::new(
        "WITH forgotten AS (
           DELETE FROM session_answers
            WHERE user_id = $1 AND created_at <= now() - interval '5 minutes'),
         kept AS (
           SELECT FROM session_answers
            WHERE user_id = $1 AND created_at > now() - interval '5 minutes' LIMIT 32)
         INSERT INTO session_answers (user_id, session, question, answer)
         SELECT $1, $2, $3, $4 WHERE (SELECT count(*) FROM kept) < 32
             ON CONFLICT (user_id, session, question) DO NOTHING",
    )
    .bind::<Uuid, _>(session.user.as_uuid())
    .bind::<Binary, _>(&session.name.as_bytes()[..])
    .bind::<Text, _>(question)
    .bind::<Text, _>(answer)
    .execute(connection)?;
    Ok(rows > 0)
}

/// Takes an answer out of the table; `None` if there is none.
///
/// # Errors
/// Those of the database.
pub fn take_answer(
    connection: &mut PgConnection,
    session: &StoredSession,
    question: &str,
) -> Result<Option<String>, StorageError> {
    let row: Option<(String,)> = Statement::<(Text,)>::new(
        "DELETE FROM session_answers WHERE user_id = $1 AND session = $2 AND question = $3
         RETURNING answer",
    )
    .bind::<Uuid, _>(session.user.as_uuid())
    .bind::<Binary, _>(&session.name.as_bytes()[..])
    .bind::<Text, _>(question)
    .get_result(connection)
    .optional()?;
    Ok(row.map(|(answer,)| answer))
}
