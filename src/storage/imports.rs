//! Statements that bring tags and entries of an exported document into a journal.
//!
//! One batch of a user at a time, so that of two imports of the same document the second finds what the first has added.

use diesel::{
    Connection, PgConnection, RunQueryDsl,
    sql_types::{Array, BigInt, Bool, Nullable, SmallInt, Text, Timestamptz, Uuid},
};

use crate::domain::{
    import::{EntryImport, ImportedEntry, ImportedTag, TagImport},
    journal::{EntryId, JournalOwner, LimitReached, MOST_TAGS, TagId},
};

use super::{
    error::StorageError,
    quota::{self, ATTEMPTS, CHANGED_MEANWHILE, NoRoom, most_bytes, most_entries},
    schema::sql_types::Tsvector,
    statement::Statement,
    tag_names::{VERSION, renew_keys},
    tags::{label, lock_owner},
    time,
    words::{Words, form},
};

/// Adds the tags that the user does not have.
///
/// # Errors
/// Those of the database; then nothing was added.
pub fn import_tags(
    connection: &mut PgConnection,
    owner: &JournalOwner,
    tags: &[ImportedTag],
) -> Result<Vec<TagImport>, StorageError> {
    connection.transaction(|connection| {
        lock_owner(connection, owner)?;
        renew_keys(connection, owner.user)?;
        let has: i64 = Statement::<BigInt>::new("SELECT count(*) FROM tags WHERE user_id = $1")
            .bind::<Uuid, _>(owner.user.as_uuid())
            .get_result(connection)?;
        let mut room = MOST_TAGS - has;
        let mut done = Vec::with_capacity(tags.len());
        for tag in tags {
            let outcome = import_tag(connection, owner, tag, room > 0)?;
            room -= i64::from(matches!(outcome, TagImport::Added(_)));
            done.push(outcome);
        }
        Ok(done)
    })
}

fn import_tag(
    connection: &mut PgConnection,
    owner: &JournalOwner,
    tag: &ImportedTag,
    has_room: bool,
) -> Result<TagImport, StorageError> {
    let label = label(&tag.name)?;
    let (added, there): (Option<i64>, Option<i64>) =
        Statement::<(Nullable<BigInt>, Nullable<BigInt>)>::new(
            "WITH there AS MATERIALIZED (
               SELECT id FROM tags WHERE user_id = $1 AND folded_name = $3),
             added AS (
               INSERT INTO tags (user_id, name, folded_name, description, name_version, created_at, updated_at)
               SELECT $1, $2, $3, $4, $5, coalesce($6, now()), coalesce($7, $6, now())
                WHERE $8 AND NOT EXISTS (SELECT FROM there)
               RETURNING id)
             SELECT (SELECT id FROM added), (SELECT id FROM there)",
        )
        .bind::<Uuid, _>(owner.user.as_uuid())
        .bind::<Text, _>(&label.name)
        .bind::<Text, _>(&label.key)
        .bind::<Nullable<Text>, _>(tag.description.as_ref())
        .bind::<SmallInt, _>(VERSION)
        .bind::<Nullable<Timestamptz>, _>(tag.created_at.map(time::from_instant))
        .bind::<Nullable<Timestamptz>, _>(tag.updated_at.map(time::from_instant))
        .bind::<Bool, _>(has_room)
        .get_result(connection)?;
    Ok(match (added, there) {
        (Some(id), _) => TagImport::Added(TagId(id)),
        (None, Some(id)) => TagImport::There(TagId(id)),
        (None, None) => TagImport::Refused(LimitReached::Tags),
    })
}

/// Adds the entries that the user does not have, each with its tags.
///
/// # Errors
/// Those of the database; then nothing was added.
pub fn import_entries(
    connection: &mut PgConnection,
    owner: &JournalOwner,
    entries: &[ImportedEntry],
) -> Result<Vec<EntryImport>, StorageError> {
    connection.transaction(|connection| {
        lock_owner(connection, owner)?;
        entries
            .iter()
            .map(|entry| import_entry(connection, owner, entry))
            .collect()
    })
}

fn import_entry(
    connection: &mut PgConnection,
    owner: &JournalOwner,
    entry: &ImportedEntry,
) -> Result<EntryImport, StorageError> {
    let bytes = quota::bytes(&entry.entry);
    for _ in 0..ATTEMPTS {
        match try_import(connection, owner, entry, bytes)? {
            (Some(id), _) => return Ok(EntryImport::Added(EntryId(id))),
            (None, true) => return Ok(EntryImport::There),
            (None, false) => {}
        }
        match quota::no_room_for_entry(connection, owner, bytes)? {
            NoRoom::Full(StorageError::LimitReached(limit)) => {
                return Ok(EntryImport::Refused(limit));
            }
            NoRoom::Full(error) => return Err(error),
            NoRoom::Again => {}
        }
    }
    Err(StorageError::unavailable(CHANGED_MEANWHILE))
}

/// The new entry's id, or whether there is one already.
fn try_import(
    connection: &mut PgConnection,
    owner: &JournalOwner,
    ImportedEntry {
        entry,
        created_at,
        updated_at,
    }: &ImportedEntry,
    bytes: i64,
) -> Result<(Option<i64>, bool), StorageError> {
    let tags: Vec<i64> = entry.tags.iter().map(|tag| tag.0).collect();
    Ok(Statement::<(Nullable<BigInt>, Bool)>::new(concat!(
        "WITH there AS MATERIALIZED (
           SELECT FROM entries
            WHERE user_id = $1 AND created_at = $9 AND (title = $2 OR content = $3) LIMIT 1),
         own AS MATERIALIZED (
           SELECT id FROM tags WHERE user_id = $1 AND id = ANY ($11) FOR KEY SHARE),
         fits AS MATERIALIZED (
           SELECT FROM usage
            WHERE user_id = $1 AND NOT EXISTS (SELECT FROM there) AND entries < ",
        most_entries!(),
        " AND bytes <= ",
        most_bytes!(),
        " - $12 FOR NO KEY UPDATE),
         entry AS (
           INSERT INTO entries
             (user_id, title, content, mood, location, weather, is_private, is_favorite, tag_count, created_at, updated_at,
              search, search_form)
           SELECT $1, $2, $3, $4, $5, $6, $7, $8, (SELECT count(*) FROM own), $9, $10, $13, ",
        form!(),
        "
            WHERE EXISTS (SELECT FROM fits)
           RETURNING id, created_at),
         counted AS (
           UPDATE usage SET entries = entries + 1, bytes = bytes + $12
            WHERE user_id = $1 AND EXISTS (SELECT FROM entry)),
         linked AS (
           INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
           SELECT $1, entry.id, own.id, entry.created_at FROM entry, own)
         SELECT (SELECT id FROM entry), EXISTS (SELECT FROM there)"
    ))
    .bind::<Uuid, _>(owner.user.as_uuid())
    .bind::<Text, _>(&entry.title)
    .bind::<Text, _>(&entry.content)
    .bind::<Nullable<Text>, _>(entry.mood.as_ref())
    .bind::<Nullable<Text>, _>(entry.location.as_ref())
    .bind::<Nullable<Text>, _>(entry.weather.as_ref())
    .bind::<Bool, _>(entry.is_private)
    .bind::<Bool, _>(entry.is_favorite)
    .bind::<Timestamptz, _>(time::from_instant(*created_at))
    .bind::<Timestamptz, _>(time::from_instant(*updated_at))
    .bind::<Array<BigInt>, _>(tags)
    .bind::<BigInt, _>(bytes)
    .bind::<Tsvector, _>(&Words::of(&entry.title, &entry.content))
    .get_result(connection)?)
}
