//! How much each user has stored, and how much more fits.
//!
//! The statement that writes an entry also changes its user's row of counts, which it locks until it has been
//! committed: so no two writes take the same room. The limits are settings of the connection.

use diesel::{
    OptionalExtension, PgConnection, RunQueryDsl,
    sql_types::{BigInt, Text, Uuid},
};

use crate::domain::journal::{JournalOwner, LimitReached, NewEntry, Quota, Usage};
use resource_server::principal::UserId;

use super::{error::StorageError, statement::Statement};

/// The settings that a connection begins with.
pub(super) fn session_settings(quota: Quota) -> String {
    let no_limit = |limit: u64| if limit == 0 { i64::MAX as u64 } else { limit };
    format!(
        "SET epicme.quota_entries = {}; SET epicme.quota_bytes = {}",
        no_limit(quota.entries),
        no_limit(quota.bytes)
    )
}

/// The most entries of a user.
macro_rules! most_entries {
    () => {
        "coalesce(nullif(current_setting('epicme.quota_entries', true), '')::bigint, 9223372036854775807)"
    };
}
pub(super) use most_entries;

/// The most bytes of a user.
macro_rules! most_bytes {
    () => {
        "coalesce(nullif(current_setting('epicme.quota_bytes', true), '')::bigint, 9223372036854775807)"
    };
}
pub(super) use most_bytes;

/// The bytes of a row of `entries`.
macro_rules! bytes_of {
    ($row:literal) => {
        concat!(
            "(octet_length(",
            $row,
            ".title) + octet_length(",
            $row,
            ".content)
              + coalesce(octet_length(",
            $row,
            ".mood), 0) + coalesce(octet_length(",
            $row,
            ".location), 0)
              + coalesce(octet_length(",
            $row,
            ".weather), 0))::bigint"
        )
    };
}
pub(super) use bytes_of;

/// The bytes that an entry counts.
pub(super) fn bytes(entry: &NewEntry) -> i64 {
    let notes = [&entry.mood, &entry.location, &entry.weather];
    let notes: usize = notes.into_iter().flatten().map(String::len).sum();
    i64::try_from(entry.title.len() + entry.content.len() + notes).unwrap_or(i64::MAX)
}

/// How often a write is tried that finds no room although there is some: others fill and free it meanwhile.
pub(super) const ATTEMPTS: usize = 4;
pub(super) const CHANGED_MEANWHILE: &str = "the room for the entry changed hands";

/// What to do after a write that found no room.
pub(super) enum NoRoom {
    /// Again: the user had no counts yet, or there is room now.
    Again,
    /// There is none.
    Full(StorageError),
}

/// Finds out why a write of one more entry of so many bytes found no room. Begins the counts of an owner who
/// has none.
pub(super) fn no_room_for_entry(
    connection: &mut PgConnection,
    owner: &JournalOwner,
    bytes: i64,
) -> Result<NoRoom, StorageError> {
    match counted(connection, owner.user)? {
        None => {
            // The conflict clauses resolve a race of two first writes.
            Statement::<()>::new(concat!(
                "WITH owner AS (
                   INSERT INTO users (id, issuer, subject) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING)
                 INSERT INTO usage (user_id, entries, bytes)
                 SELECT $1, count(*), coalesce(sum(",
                bytes_of!("e"),
                "), 0)::bigint FROM entries e WHERE e.user_id = $1
                 ON CONFLICT DO NOTHING"
            ))
            .bind::<Uuid, _>(owner.user.as_uuid())
            .bind::<Text, _>(&owner.issuer)
            .bind::<Text, _>(&owner.subject)
            .execute(connection)?;
            Ok(NoRoom::Again)
        }
        Some(usage) => Ok(usage.no_room(1, bytes)),
    }
}

/// Finds out why an entry found no room to become longer by so many bytes.
pub(super) fn no_room_to_grow(
    connection: &mut PgConnection,
    user: UserId,
    bytes: i64,
) -> Result<NoRoom, StorageError> {
    match counted(connection, user)? {
        None => {
            Statement::<()>::new(concat!(
                "INSERT INTO usage (user_id, entries, bytes)
                 SELECT $1, count(*), coalesce(sum(",
                bytes_of!("e"),
                "), 0)::bigint FROM entries e WHERE e.user_id = $1
                 ON CONFLICT DO NOTHING"
            ))
            .bind::<Uuid, _>(user.as_uuid())
            .execute(connection)?;
            Ok(NoRoom::Again)
        }
        Some(usage) => Ok(usage.no_room(0, bytes)),
    }
}

/// How much a user has stored.
///
/// # Errors
/// Those of the database.
pub fn usage(connection: &mut PgConnection, user: UserId) -> Result<Usage, StorageError> {
    let usage = match counted(connection, user)? {
        Some(Counted { usage, .. }) => usage,
        // A journal of before there were counts.
        None => {
            let (entries, bytes): (i64, i64) = Statement::<(BigInt, BigInt)>::new(concat!(
                "SELECT count(*), coalesce(sum(",
                bytes_of!("e"),
                "), 0)::bigint FROM entries e WHERE e.user_id = $1"
            ))
            .bind::<Uuid, _>(user.as_uuid())
            .get_result(connection)?;
            Usage { entries, bytes }
        }
    };
    Ok(usage)
}

/// The counts of a user, and the limits.
struct Counted {
    usage: Usage,
    most_entries: i64,
    most_bytes: i64,
}

impl Counted {
    fn no_room(&self, entries: i64, bytes: i64) -> NoRoom {
        let Usage {
            entries: has_entries,
            bytes: has_bytes,
        } = self.usage;
        if has_entries.saturating_add(entries) > self.most_entries {
            NoRoom::Full(StorageError::LimitReached(LimitReached::Entries {
                most: self.most_entries,
            }))
        } else if has_bytes.saturating_add(bytes) > self.most_bytes {
            NoRoom::Full(StorageError::LimitReached(LimitReached::Bytes {
                has: has_bytes,
                more: bytes,
                most: self.most_bytes,
            }))
        } else {
            NoRoom::Again
        }
    }
}

fn counted(connection: &mut PgConnection, user: UserId) -> Result<Option<Counted>, StorageError> {
    let row: Option<(i64, i64, i64, i64)> =
        Statement::<(BigInt, BigInt, BigInt, BigInt)>::new(concat!(
            "SELECT entries, bytes, ",
            most_entries!(),
            ", ",
            most_bytes!(),
            " FROM usage WHERE user_id = $1"
        ))
        .bind::<Uuid, _>(user.as_uuid())
        .get_result(connection)
        .optional()?;
    Ok(
        row.map(|(entries, bytes, most_entries, most_bytes)| Counted {
            usage: Usage { entries, bytes },
            most_entries,
            most_bytes,
        }),
    )
}
