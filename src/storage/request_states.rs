//! Used states of multi round-trip requests: each counts once, in all processes.

use diesel::{
    PgConnection, RunQueryDsl,
    sql_types::{Binary, Uuid},
};

use resource_server::principal::UserId;

use super::{error::StorageError, statement::Statement};

/// Marks a state as used. Returns `false` if it was used before, or if the user has used a thousand within
/// half an hour. Concurrent statements do not count each other, so there may be a few more.
///
/// A used state is remembered for 30 minutes by the database's clock. A state is valid for ten minutes by
/// the clocks of the processes, which may therefore differ by twenty.
///
/// # Errors
/// Those of the database. The state may have been used up then.
pub fn use_up(
    connection: &mut PgConnection,
    user: UserId,
    nonce: [u8; 12],
) -> Result<bool, StorageError> {
    // Two statements for the same state conflict on the primary key: the second waits for the first, and then
    // inserts nothing. Rows that another statement has locked are skipped.
    let inserted = Statement::<()>::new(
        "WITH forgotten AS (
           DELETE FROM used_request_states
            WHERE user_id = $1 AND nonce IN (
                  SELECT nonce FROM used_request_states
                   WHERE user_id = $1 AND used_at <= now() - interval '30 minutes'
                   LIMIT 100 FOR UPDATE SKIP LOCKED)),
         recent AS (
           SELECT FROM used_request_states
            WHERE user_id = $1 AND used_at > now() - interval '30 minutes' LIMIT 1000)
         INSERT INTO used_request_states (user_id, nonce)
         SELECT $1, $2 WHERE (SELECT count(*) FROM recent) < 1000
             ON CONFLICT (user_id, nonce) DO NOTHING",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Binary, _>(&nonce[..])
    .execute(connection)?;
    Ok(inserted == 1)
}
