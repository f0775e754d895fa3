//! Deletes expired rows of all users, and tags whose deletion stopped on the way, and counts old activity by the
//! day.
//!
//! These are the only statements that reach rows without a user's id. A user's own writes delete the expired
//! rows of that user, so this is for users who never come back. Nothing of a row leaves the database here but the
//! ids of tags, which are deleted as their users would, and of users whose entries are to be cut into words.

use diesel::{
    OptionalExtension, PgConnection, RunQueryDsl,
    sql_types::{BigInt, Uuid},
};

use crate::domain::journal::TagId;
use resource_server::principal::UserId;

use super::{error::StorageError, statement::Statement, tags};

/// The statement that deletes the expired rows of a table, which has these columns as its key.
macro_rules! expired {
    ($table:literal, $key:literal, $condition:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE (",
            $key,
            ") IN (SELECT ",
            $key,
            " FROM ",
            $table,
            " WHERE ",
            $condition,
            " LIMIT $1 FOR UPDATE SKIP LOCKED)"
        )
    };
}

/// One statement for each table whose rows expire, and how many rows it deletes at most. It skips rows that
/// another statement has locked.
const STATEMENTS: &[(i64, &str)] = &[
    (
        1_000,
        expired!(
            "idempotency_keys",
            "user_id, operation, key",
            "created_at <= now() - interval '24 hours'"
        ),
    ),
    (
        1_000,
        expired!(
            "used_request_states",
            "user_id, nonce",
            "used_at <= now() - interval '30 minutes'"
        ),
    ),
    (
        1_000,
        expired!("sessions", "user_id, name", "expires_at <= now()"),
    ),
    (
        100,
        expired!(
            "session_answers",
            "user_id, session, question",
            "created_at <= now() - interval '5 minutes'"
        ),
    ),
    // Their parts are deleted with them, perhaps hundreds of each.
    (
        20,
        expired!("exports", "user_id, id", "expires_at <= now()"),
    ),
    // A day is deleted when the last of its hours is 90 days old. Hours have become days before.
    (
        1_000,
        expired!(
            "activity",
            "user_id, id",
            "by_day AND hour <= now() - interval '91 days'"
        ),
    ),
    // A token that has ended is refused without its revocation. If its end is not known and no operator ordered
    // it, it is remembered for as long as `resource_server` does.
    (
        1_000,
        expired!(
            "revocations",
            "id",
            "kind = 'token'
                AND (until <= now()
                     OR until IS NULL AND ordered_by <> 'operator'
                        AND revoked_at <= now() - interval '30 days')"
        ),
    ),
    // No token that was issued before a logout is still good then. What an operator ordered stays.
    (
        1_000,
        expired!(
            "revocations",
            "id",
            "kind <> 'token' AND ordered_by <> 'operator'
                AND revoked_at <= now() - interval '90 days'"
        ),
    ),
    // Every process reads what was lifted within seconds, or at its start knows of nothing that was.
    (
        1_000,
        expired!(
            "revocations",
            "id",
            "lifted_at <= now() - interval '7 days'"
        ),
    ),
    // What is left of a tag whose deletion stopped on the way: its links first.
    (
        500,
        "WITH gone AS (
           DELETE FROM entry_tags
            WHERE (user_id, entry_id, tag_id) IN (
                  SELECT l.user_id, l.entry_id, l.tag_id
                    FROM tag_deletions d
                    JOIN entry_tags l ON l.user_id = d.user_id AND l.tag_id = d.tag_id
                    JOIN entries e ON e.user_id = l.user_id AND e.id = l.entry_id
                   WHERE d.continued_at < now() - interval '1 minute'
                   LIMIT $1 FOR NO KEY UPDATE OF e SKIP LOCKED)
           RETURNING user_id, entry_id),
         counted AS (
           UPDATE entries e SET tag_count = e.tag_count - of_entry.links
             FROM (SELECT user_id, entry_id, count(*)::integer AS links
                     FROM gone GROUP BY user_id, entry_id) AS of_entry
            WHERE e.user_id = of_entry.user_id AND e.id = of_entry.entry_id)
         SELECT FROM gone",
    ),
];

/// The tags that nothing is left of but their rows.
const BARE_TAGS: &str = "SELECT d.user_id, d.tag_id FROM tag_deletions d
      WHERE d.continued_at < now() - interval '1 minute'
        AND NOT EXISTS (SELECT FROM entry_tags l WHERE l.user_id = d.user_id AND l.tag_id = d.tag_id)
      LIMIT 100";

/// How many hours of activity become days in one statement at most.
const HOURS: i64 = 1_000;

/// Counts hours of activity together that belong to a day which ended more than a week ago. Each batch takes its
/// rows away and adds their counts to those of their days, so that every sum is right at any time.
///
/// One process at a time, because two would wait for each other's days. The hour at midnight and its day have the
/// same key; that is why an hour is deleted and not changed.
const COUNT_BY_DAY: &str = "
    WITH hours AS (
      DELETE FROM activity
       WHERE (user_id, id) IN (
             SELECT user_id, id FROM activity
              WHERE NOT by_day AND hour < date_trunc('day', now(), 'UTC') - interval '168 hours'
                AND (SELECT pg_try_advisory_xact_lock(76177399569767))
              ORDER BY hour LIMIT $1 FOR UPDATE SKIP LOCKED)
      RETURNING user_id, client, kind, feature, outcome, date_trunc('day', hour, 'UTC') AS day,
                writes, count, first_at, last_at),
    days AS (
      INSERT INTO activity
        (user_id, client, kind, feature, outcome, hour, by_day, writes, count, first_at, last_at)
      SELECT user_id, client, kind, feature, outcome, day, true,
             bool_or(writes), sum(count)::bigint, min(first_at), max(last_at)
        FROM hours GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
      ON CONFLICT ON CONSTRAINT activity_key DO UPDATE
         SET by_day = true,
             count = activity.count + excluded.count,
             first_at = least(activity.first_at, excluded.first_at),
             last_at = greatest(activity.last_at, excluded.last_at))
    SELECT count(*) FROM hours";

/// Users who have tags whose keys were made by an older rule, some of them if there are many. Who has nothing but tags that are
/// being deleted is not among them.
///
/// # Errors
/// Those of the database.
pub fn users_with_older_names(connection: &mut PgConnection) -> Result<Vec<UserId>, StorageError> {
    let users: Vec<uuid::Uuid> = Statement::<Uuid>::new(
        "SELECT DISTINCT user_id FROM (
           SELECT user_id FROM tags t
            WHERE name_version = 0
              AND NOT EXISTS (SELECT FROM tag_deletions d WHERE d.user_id = t.user_id AND d.tag_id = t.id)
            LIMIT 1000) AS found",
    )
    .load(connection)?;
    Ok(users.into_iter().map(UserId::from_stored).collect())
}

/// The next user, in the order of their ids, who has entries that PostgreSQL has cut into words.
///
/// # Errors
/// Those of the database.
pub fn next_uncut(
    connection: &mut PgConnection,
    after: Option<UserId>,
) -> Result<Option<UserId>, StorageError> {
    let after = after.map_or(uuid::Uuid::nil(), UserId::as_uuid);
    let next: Option<uuid::Uuid> = Statement::<Uuid>::new(
        "SELECT user_id FROM entries WHERE search_form = 0 AND user_id > $1 ORDER BY user_id LIMIT 1",
    )
    .bind::<Uuid, _>(after)
    .get_result(connection)
    .optional()?;
    Ok(next.map(UserId::from_stored))
}

/// Deletes a batch of every table's expired rows, and counts a batch of hours of activity by the day; `true` if
/// there may be more.
///
/// # Errors
/// Those of the database.
pub fn delete_expired(connection: &mut PgConnection) -> Result<bool, StorageError> {
    let hours: i64 = Statement::<BigInt>::new(COUNT_BY_DAY)
        .bind::<BigInt, _>(HOURS)
        .get_result(connection)?;
    let mut more = hours >= HOURS;
    for (batch, sql) in STATEMENTS {
        let statement = Statement::<()>::new(sql).bind::<BigInt, _>(*batch);
        more |=
            i64::try_from(statement.execute(connection)?).is_ok_and(|deleted| deleted >= *batch);
    }
    // One by one, each as its user would: with its links, if somebody has put it on entries meanwhile.
    let bare: Vec<(uuid::Uuid, i64)> =
        Statement::<(Uuid, BigInt)>::new(BARE_TAGS).load(connection)?;
    for (user, tag) in bare {
        tags::delete_tag_of(connection, user, TagId(tag))?;
    }
    Ok(more)
}
