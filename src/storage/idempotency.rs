//! Idempotency keys: a write with a key is done once, however often it is repeated.
//!
//! A keyed write claims its key in the same statement that writes, so there is no moment at which
//! one is stored and the other is not. A second claim waits for the first one's statement to end,
//! then finds the key taken and writes nothing; what was done is then read here. The arguments of a
//! repeat are those of the first write (their digests agree), so the key keeps only what the
//! database added to them: id, time, and the tags' names as they were.

use diesel::{
    OptionalExtension, PgConnection, Queryable, RunQueryDsl,
    data_types::PgTimestamp,
    sql_types::{Array, BigInt, Binary, Text, Timestamptz, Uuid},
};

use crate::domain::journal::{IdempotencyKey, TagId, TagName};
use resource_server::principal::UserId;

use super::{
    error::{Constraint, StorageError},
    statement::Statement,
};

/// Replaces a key that is older than 24 hours; a younger one is kept and no row is returned.
macro_rules! claim_if_expired {
    () => {
        " ON CONFLICT (user_id, operation, key) DO UPDATE
             SET arguments = excluded.arguments, result_id = excluded.result_id,
                 result_tag_ids = excluded.result_tag_ids,
                 result_tag_names = excluded.result_tag_names, created_at = now()
           WHERE k.created_at <= now() - interval '24 hours'
           RETURNING k.result_id"
    };
}
pub(super) use claim_if_expired;

/// Deletes some expired keys of the user (`$1`) after the statement has claimed its key. Rows that another
/// statement has locked are skipped, so that no two statements wait for each other.
macro_rules! sweep {
    ($operation:literal, $key:literal) => {
        concat!(
            "DELETE FROM idempotency_keys
              WHERE user_id = $1 AND EXISTS (SELECT FROM claim)
                AND (operation, key) IN (
                      SELECT operation, key FROM idempotency_keys
                       WHERE user_id = $1 AND created_at <= now() - interval '24 hours'
                         AND (operation, key) <> (",
            $operation,
            ", ",
            $key,
            ")
                       LIMIT 100 FOR UPDATE SKIP LOCKED)"
        )
    };
}
pub(super) use sweep;

/// What the database added to the arguments of the first write.
pub(super) struct Remembered {
    pub(super) id: i64,
    pub(super) created_at: PgTimestamp,
    pub(super) tags: Vec<TagName>,
}

/// Looks up a key that a write could not claim. `None` if the key does not exist: the write was refused for
/// another reason.
///
/// # Errors
/// `Conflict` if the key was used with other arguments.
pub(super) fn recall(
    connection: &mut PgConnection,
    user: UserId,
    operation: &str,
    key: &IdempotencyKey,
) -> Result<Option<Remembered>, StorageError> {
    let row: Option<KeyRow> = Statement::<KeySql>::new(
        "SELECT arguments, result_id, result_tag_ids, result_tag_names, created_at
           FROM idempotency_keys
          WHERE user_id = $1 AND operation = $2 AND key = $3
            AND created_at > now() - interval '24 hours'",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Text, _>(operation)
    .bind::<Text, _>(&key.key)
    .get_result(connection)
    .optional()?;
    let Some(row) = row else { return Ok(None) };
    if row.arguments != key.arguments {
        return Err(StorageError::conflict(Constraint::IdempotencyKey));
    }
    let tags = row.tag_ids.into_iter().zip(row.tag_names);
    Ok(Some(Remembered {
        id: row.id,
        created_at: row.created_at,
        tags: tags
            .map(|(id, name)| TagName {
                id: TagId(id),
                name,
            })
            .collect(),
    }))
}

type KeySql = (Binary, BigInt, Array<BigInt>, Array<Text>, Timestamptz);

#[derive(Queryable)]
struct KeyRow {
    arguments: Vec<u8>,
    id: i64,
    tag_ids: Vec<i64>,
    tag_names: Vec<String>,
    created_at: PgTimestamp,
}
