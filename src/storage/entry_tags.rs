//! Links between entries and tags.

use diesel::{
    PgConnection, Queryable, RunQueryDsl,
    data_types::PgTimestamp,
    sql_types::{BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid},
};

use crate::domain::journal::{
    EntryId, EntryTag, LimitReached, MOST_TAGS_OF_AN_ENTRY, TagId, TagName,
};
use resource_server::principal::UserId;

use super::{error::StorageError, statement::Statement, time};

/// Adds a tag to an entry. Succeeds if the entry has it already.
///
/// # Errors
/// `NotFound` if the user has no such entry or no such tag, `LimitReached`.
pub fn add_tag_to_entry(
    connection: &mut PgConnection,
    user: UserId,
    entry_id: EntryId,
    tag_id: TagId,
) -> Result<EntryTag, StorageError> {
    for _ in 0..ATTEMPTS {
        if let Some(added) = try_add(connection, user, entry_id, tag_id)? {
            return Ok(added);
        }
        // No link was made, and none was there when the statement began.
        if is_full(connection, user, entry_id, tag_id)? {
            return Err(StorageError::LimitReached(LimitReached::TagsOfEntry));
        }
    }
    Err(StorageError::unavailable(
        "the tag was added and removed by others meanwhile",
    ))
}

/// How often a link is tried that another makes or removes meanwhile.
const ATTEMPTS: usize = 4;

/// Whether an entry has no room for a tag that it does not have.
fn is_full(
    connection: &mut PgConnection,
    user: UserId,
    entry_id: EntryId,
    tag_id: TagId,
) -> Result<bool, StorageError> {
    Ok(Statement::<Bool>::new(
        "SELECT EXISTS (SELECT FROM entries WHERE user_id = $1 AND id = $2 AND tag_count >= $4)
            AND NOT EXISTS (
                  SELECT FROM entry_tags WHERE user_id = $1 AND entry_id = $2 AND tag_id = $3)",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<BigInt, _>(entry_id.0)
    .bind::<BigInt, _>(tag_id.0)
    .bind::<Integer, _>(MOST_TAGS_OF_AN_ENTRY)
    .get_result(connection)?)
}

/// Makes the link, or finds it; `None` if neither, because the entry is full, or the link is made by another at
/// this moment.
fn try_add(
    connection: &mut PgConnection,
    user: UserId,
    entry_id: EntryId,
    tag_id: TagId,
) -> Result<Option<EntryTag>, StorageError> {
    // The locks prevent that either is deleted before the link exists, and that two links are made where there is
    // room for one. Whoever locks a tag does so before its entries, and these before their links. Only a link that
    // this statement has made is counted.
    let row: AddedRow = Statement::<AddedSql>::new(
        "WITH tag AS MATERIALIZED (
           SELECT id, name FROM tags WHERE user_id = $1 AND id = $3 FOR KEY SHARE),
         entry AS MATERIALIZED (
           SELECT id, title, created_at, tag_count FROM entries
            WHERE user_id = $1 AND id = $2 AND (SELECT count(*) FROM tag) >= 0 FOR NO KEY UPDATE),
         had AS MATERIALIZED (
           SELECT created_at FROM entry_tags WHERE user_id = $1 AND entry_id = $2 AND tag_id = $3),
         link AS (
           INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
           SELECT $1, entry.id, tag.id, entry.created_at FROM entry, tag
            WHERE entry.tag_count < $4 AND NOT EXISTS (SELECT FROM had)
               ON CONFLICT (user_id, entry_id, tag_id) DO NOTHING
           RETURNING created_at),
         counted AS (
           UPDATE entries SET tag_count = tag_count + 1
            WHERE user_id = $1 AND id = $2 AND EXISTS (SELECT FROM link))
         SELECT entry.title, tag.name, coalesce(link.created_at, had.created_at)
           FROM (VALUES (0)) AS one
           LEFT JOIN entry ON true LEFT JOIN tag ON true
           LEFT JOIN link ON true LEFT JOIN had ON true",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<BigInt, _>(entry_id.0)
    .bind::<BigInt, _>(tag_id.0)
    .bind::<Integer, _>(MOST_TAGS_OF_AN_ENTRY)
    .get_result(connection)?;
    let entry_title = row.entry_title.ok_or(StorageError::no_entry(entry_id))?;
    let name = row.tag_name.ok_or(StorageError::no_tag(tag_id))?;
    let Some(created_at) = row.created_at else {
        return Ok(None);
    };
    Ok(Some(EntryTag {
        entry_id,
        tag: TagName { id: tag_id, name },
        entry_title,
        created_at: time::to_instant(created_at)?,
    }))
}

/// Removes a tag from an entry; `false` if the entry did not have it.
///
/// # Errors
/// `NotFound` if the user has no such entry or no such tag.
pub fn remove_tag_from_entry(
    connection: &mut PgConnection,
    user: UserId,
    entry_id: EntryId,
    tag_id: TagId,
) -> Result<bool, StorageError> {
    let (entry, tag, removed): (bool, bool, bool) = Statement::<(Bool, Bool, Bool)>::new(
        // Locked in the order of `add_tag_to_entry`. The link is looked for among those of the entry, which are fifty at
        // most, and not by `entry_tags_by_tag`, which would have every link of the tag read; hence the zero.
        "WITH tag AS MATERIALIZED (
           SELECT FROM tags WHERE user_id = $1 AND id = $3 FOR KEY SHARE),
         entry AS MATERIALIZED (
           SELECT id FROM entries
            WHERE user_id = $1 AND id = $2 AND (SELECT count(*) FROM tag) >= 0 FOR NO KEY UPDATE),
         link AS (
           DELETE FROM entry_tags USING entry
            WHERE user_id = $1 AND entry_id = $2 AND tag_id + 0 = $3 AND entry_id = entry.id
           RETURNING tag_id),
         counted AS (
           UPDATE entries SET tag_count = tag_count - 1
            WHERE user_id = $1 AND id = $2 AND EXISTS (SELECT FROM link))
         SELECT EXISTS (SELECT FROM entry), EXISTS (SELECT FROM tag), EXISTS (SELECT FROM link)",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<BigInt, _>(entry_id.0)
    .bind::<BigInt, _>(tag_id.0)
    .get_result(connection)?;
    if !entry {
        return Err(StorageError::no_entry(entry_id));
    }
    if !tag {
        return Err(StorageError::no_tag(tag_id));
    }
    Ok(removed)
}

type AddedSql = (Nullable<Text>, Nullable<Text>, Nullable<Timestamptz>);

#[derive(Queryable)]
struct AddedRow {
    entry_title: Option<String>,
    tag_name: Option<String>,
    created_at: Option<PgTimestamp>,
}
