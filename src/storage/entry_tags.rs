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
    // The locks prevent that either is deleted before the link exists, and that two links are made where there is
    // room for one. Whoever locks a tag does so before its entries, and these before their links. An existing link
    // is overwritten with itself, because `DO NOTHING` would return no row.
    let row: AddedRow = Statement::<AddedSql>::new(
        "WITH tag AS MATERIALIZED (
           SELECT id, name FROM tags WHERE user_id = $1 AND id = $3 FOR KEY SHARE),
         entry AS MATERIALIZED (
           SELECT id, title, created_at, tag_count FROM entries
            WHERE user_id = $1 AND id = $2 AND (SELECT count(*) FROM tag) >= 0 FOR NO KEY UPDATE),
         link AS (
           INSERT INTO entry_tags AS l (user_id, entry_id, tag_id, entry_created_at)
           SELECT $1, entry.id, tag.id, entry.created_at FROM entry, tag
            WHERE entry.tag_count < $4
               OR EXISTS (SELECT FROM entry_tags WHERE user_id = $1 AND entry_id = $2 AND tag_id = $3)
               ON CONFLICT (user_id, entry_id, tag_id) DO UPDATE SET created_at = l.created_at
           RETURNING l.created_at)
         SELECT entry.title, tag.name, link.created_at
           FROM (VALUES (0)) AS one
           LEFT JOIN entry ON true LEFT JOIN tag ON true LEFT JOIN link ON true",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<BigInt, _>(entry_id.0)
    .bind::<BigInt, _>(tag_id.0)
    .bind::<Integer, _>(MOST_TAGS_OF_AN_ENTRY)
    .get_result(connection)?;
    let entry_title = row.entry_title.ok_or(StorageError::no_entry(entry_id))?;
    let name = row.tag_name.ok_or(StorageError::no_tag(tag_id))?;
    let created_at = row
        .created_at
        .ok_or(StorageError::LimitReached(LimitReached::TagsOfEntry))?;
    Ok(EntryTag {
        entry_id,
        tag: TagName { id: tag_id, name },
        entry_title,
        created_at: time::to_instant(created_at)?,
    })
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
        // Locked in the order of `add_tag_to_entry`.
        "WITH tag AS MATERIALIZED (
           SELECT FROM tags WHERE user_id = $1 AND id = $3 FOR KEY SHARE),
         entry AS MATERIALIZED (
           SELECT id FROM entries
            WHERE user_id = $1 AND id = $2 AND (SELECT count(*) FROM tag) >= 0 FOR NO KEY UPDATE),
         link AS (
           DELETE FROM entry_tags USING entry
            WHERE user_id = $1 AND entry_id = $2 AND tag_id = $3 AND entry_id = entry.id
           RETURNING tag_id)
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
